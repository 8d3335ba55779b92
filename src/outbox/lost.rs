//! What home has lost: targets have applied transactions that home's ledger does not know any more, as after a failover
//! to a standby that lacked the last commits. They are reported; what is right, an operator has to say.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::error::Error;
use super::handle::Outbox;
use super::metrics::OutboxMetrics;
use super::status::REMEMBERED;
use crate::types::ShardId;

/// How far back the inboxes are looked through: longer than a failover takes to be noticed.
const WINDOW: Duration = Duration::from_secs(3_600);

/// The newest inbox rows of one lane that are looked at.
const ROWS_MAX: i64 = 100_000;

const APPLIED: &str = "SELECT txid, (extract(epoch FROM clock_timestamp() - applied_at) * 1000)::bigint FROM shardloom.inbox \
     WHERE home = $1 AND applied_at > clock_timestamp() - make_interval(secs => $2) ORDER BY applied_at DESC LIMIT $3";

const UNKNOWN: &str = "SELECT DISTINCT x FROM unnest($1::bigint[]) x WHERE NOT EXISTS \
     (SELECT FROM shardloom.ledger l WHERE l.txid = x AND l.state <> 'ABORTED')";

impl Outbox {
    /// Finds transactions that `target` has applied lately and `home` does not know, with the time since in milliseconds.
    pub(super) async fn lost_by_home(&self, home: ShardId, target: ShardId) -> Result<Vec<(i64, i64)>, Error> {
        let window = WINDOW.min(self.settings.bounds.ledger_grace.mul_f64(REMEMBERED)).as_secs_f64();
        let client = self.store.connect(target).await?;
        let rows = client.query(APPLIED, &[&self.store.name(home), &window, &ROWS_MAX]).await;
        let rows = rows.map_err(self.store.at(target))?;
        drop(client);
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let applied: HashMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        // Asked after the target: what it has committed, home has committed before.
        let mut unknown = self.unknown_to(home, applied.keys().copied().collect()).await?;
        // A transaction that wrote a reference table last is decided by another home than the first of its inbox rows says.
        for other in self.store.shards().filter(|other| *other != home) {
            if unknown.is_empty() {
                break;
            }
            // One that cannot be asked may have decided them.
            unknown = match self.unknown_to(other, unknown).await {
                Ok(unknown) => unknown,
                Err(error) => {
                    tracing::debug!(shard = self.store.name(other), %error, "a ledger was not looked through");
                    Vec::new()
                }
            };
        }
        let mut lost: Vec<(i64, i64)> =
            unknown.into_iter().filter_map(|txid| Some((txid, *applied.get(&txid)?))).collect();
        lost.sort_unstable();
        Ok(lost)
    }

    /// Returns those of the transactions that the ledger of `home` does not have.
    async fn unknown_to(&self, home: ShardId, txids: Vec<i64>) -> Result<Vec<i64>, Error> {
        let client = self.store.connect(home).await?;
        let rows = client.query(UNKNOWN, &[&txids]).await.map_err(self.store.at(home))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Looks through the inboxes of all targets of one home; says so once for each number that comes up.
    pub(super) async fn check_lost(&self, home: ShardId) {
        let mut count = 0;
        for target in self.store.shards().filter(|target| *target != home) {
            match self.lost_by_home(home, target).await {
                Ok(lost) => count += lost.len() as u64,
                Err(error) => tracing::debug!(target = self.store.name(target), %error, "inbox not looked through"),
            }
        }
        let mut known = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(home, count).unwrap_or(0) < count {
            let home = self.store.name(home);
            tracing::error!(home, count, "targets have what home has lost: SHOW INDOUBT lists it");
        }
        OutboxMetrics::set(&self.metrics().lost, known.values().sum());
    }
}
