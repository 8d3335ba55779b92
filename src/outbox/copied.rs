//! Whether the copies of a reference table have what its home has.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::handle::Outbox;
use super::triggers::qualified;
use crate::types::ShardId;

/// How often home is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// Whether rows of the table are on their way to a copy, and whether some wait for an operator or a change of tables. What
/// comes behind those that do would not come before the change that is about to be made.
const UNAPPLIED: &str = "SELECT coalesce(bool_or(u.state IN ('PENDING', 'PUBLISHED', 'RETRY')), false) \
     AND NOT EXISTS (SELECT FROM shardloom.ledger_target WHERE state = 'BLOCKED'), \
     coalesce(bool_or(u.state IN ('DEAD', 'PARKED', 'BLOCKED')), false) \
     FROM (SELECT coalesce(t.state, 'PENDING') AS state FROM shardloom.outbox o \
     LEFT JOIN shardloom.ledger l ON l.xid = o.xid AND l.copies <> '{}' LEFT JOIN LATERAL unnest(l.copies) x (target) ON true \
     LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target \
     WHERE o.relation = format('%I.%I', $1::text, $2::text) AND o.seq <= $3) u";
/// The newest of all that was captured.
const NEWEST: &str = "SELECT coalesce(max(seq), 0) FROM shardloom.outbox";

/// What has become of the rows that home has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Every copy has them, or never will.
    Yes,
    /// Some are still on their way.
    NotYet,
    /// Some wait for an operator, or for a change of tables.
    Stuck,
}

/// How far copies have to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpTo {
    /// Up to a row of the outbox, by its number.
    Captured(i64),
    /// Up to the last; nobody should be able to write the table meanwhile.
    End,
}

impl Outbox {
    /// Returns what `home` has captured last.
    ///
    /// # Errors
    /// What home says when it is asked.
    pub async fn newest_captured(&self, home: ShardId) -> Result<UpTo, Error> {
        let rows = self.query(home, NEWEST, &[]).await?;
        Ok(UpTo::Captured(rows.first().map_or(0, |row| row.get(0))))
    }

    /// Waits until what is committed on `home` of a reference table is on its copies, at most `timeout`. The table is named as
    /// the rules name it.
    ///
    /// # Errors
    /// What home says when it is asked.
    pub async fn wait_copied(
        &self,
        home: ShardId,
        table: &str,
        up_to: UpTo,
        timeout: Duration,
    ) -> Result<Copied, Error> {
        let _waiter = self.flights.pace.hurry();
        let deadline = Instant::now() + timeout;
        let (schema, name) = qualified(table);
        let last = match up_to {
            UpTo::Captured(last) => last,
            UpTo::End => i64::MAX,
        };
        loop {
            let rows = self.query(home, UNAPPLIED, &[&schema, &name, &last]).await?;
            match rows.first().map(|row| (row.get(0), row.get(1))) {
                Some((true, _)) if Instant::now() >= deadline => return Ok(Copied::NotYet),
                Some((true, _)) => {}
                Some((false, true)) => return Ok(Copied::Stuck),
                Some((false, false)) | None => return Ok(Copied::Yes),
            }
            self.flights.nudge(home);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
