//! Whether the copies of a reference table have what its home has.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::handle::Outbox;
use super::triggers::qualified;
use crate::types::ShardId;

/// How often home is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// Whether rows of the table are on their way. What waits for an operator, or for a change of tables, is none of these: it
/// would not come before the change that is about to be made.
const ON_ITS_WAY: &str = "SELECT EXISTS (SELECT FROM shardloom.outbox o LEFT JOIN shardloom.ledger l ON l.xid = o.xid AND l.copies <> '{}' \
     WHERE o.relation = format('%I.%I', $1::text, $2::text) AND coalesce(l.state, 'OPEN') = 'OPEN') \
     AND NOT EXISTS (SELECT FROM shardloom.ledger_target WHERE state = 'BLOCKED')";

impl Outbox {
    /// Waits until all that is committed on `home` of a reference table is on its copies; false if `timeout` passed first.
    /// The table is named as the rules name it; nobody should be able to write it meanwhile.
    ///
    /// # Errors
    /// What home says when it is asked.
    pub async fn wait_copied(&self, home: ShardId, table: &str, timeout: Duration) -> Result<bool, Error> {
        let _waiter = self.flights.pace.hurry();
        let deadline = Instant::now() + timeout;
        let (schema, name) = qualified(table);
        loop {
            let rows = self.query(home, ON_ITS_WAY, &[&schema, &name]).await?;
            if !rows.first().is_some_and(|row| row.get(0)) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.flights.nudge(home);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
