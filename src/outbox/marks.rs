//! What the ledger on home is told: marks of applied targets, failures, finished transactions. Names the tables.

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;

use super::error::Error;
use super::fault::{self, FaultPoint};
use super::flight::Mark;
use super::handle::Outbox;
use super::metrics::OutboxMetrics;
use super::state::TargetState;
use super::store::execute_prepared;
use crate::types::ShardId;

/// One target's new state, as the ledger writes it.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub txid: i64,
    pub target: ShardId,
    pub state: TargetState,
    pub expected: Option<i64>,
    pub affected: Option<i64>,
    pub sqlstate: Option<String>,
    pub error: Option<String>,
    pub keys: Vec<String>,
    /// Milliseconds until the next try.
    pub retry_ms: Option<i64>,
}

impl Verdict {
    /// Makes the verdict of an applied target; `affected` is `None` where only the inbox row tells.
    pub fn applied(txid: i64, target: ShardId, expected: i64, affected: Option<i64>) -> Self {
        Self::new(txid, target, TargetState::Applied).with_rows(expected, affected)
    }

    pub fn new(txid: i64, target: ShardId, state: TargetState) -> Self {
        let (expected, affected, sqlstate, error, retry_ms) = (None, None, None, None, None);
        Self { txid, target, state, expected, affected, sqlstate, error, keys: Vec::new(), retry_ms }
    }

    fn with_rows(mut self, expected: i64, affected: Option<i64>) -> Self {
        self.expected = Some(expected);
        self.affected = affected;
        self
    }

    /// Tells whether the target changed another number of rows than home expects.
    pub fn drifts(&self) -> bool {
        matches!((self.expected, self.affected), (Some(expected), Some(affected)) if expected != affected)
    }
}

const WRITE_VERDICTS: &str = "INSERT INTO shardloom.ledger_target (txid, target, state, attempts, expected_rows, \
     affected_rows, drift, last_sqlstate, last_error, keys, next_attempt_at, applied_at) \
     SELECT txid, target, state, attempts, expected, affected, coalesce(expected <> affected, false), sqlstate, error, \
     string_to_array(keys, chr(1)), clock_timestamp() + retry_ms * interval '1 ms', \
     CASE WHEN state = 'APPLIED' THEN clock_timestamp() END \
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], \
     $9::text[], $10::bigint[]) AS v (txid, target, state, attempts, expected, affected, sqlstate, error, keys, retry_ms) \
     ON CONFLICT (txid, target) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, \
     expected_rows = coalesce(excluded.expected_rows, ledger_target.expected_rows), \
     affected_rows = coalesce(excluded.affected_rows, ledger_target.affected_rows), drift = excluded.drift, \
     last_sqlstate = coalesce(excluded.last_sqlstate, ledger_target.last_sqlstate), \
     last_error = coalesce(excluded.last_error, ledger_target.last_error), keys = excluded.keys, \
     next_attempt_at = excluded.next_attempt_at, applied_at = coalesce(ledger_target.applied_at, excluded.applied_at), \
     updated_at = clock_timestamp() WHERE ledger_target.state NOT IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED')";

/// Marks from the client path; a target that still waits for row images is left to the relay.
const WRITE_MARKS: &str = "INSERT INTO shardloom.ledger_target (txid, target, state, expected_rows, affected_rows, drift, \
     applied_at) SELECT m.txid, m.target, 'APPLIED', (e.value ->> 'expected_rows')::bigint, m.affected, \
     coalesce((e.value ->> 'expected_rows')::bigint <> m.affected, false), clock_timestamp() \
     FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS m (txid, target, affected) \
     JOIN shardloom.ledger l ON l.txid = m.txid AND NOT m.target = ANY (l.copies) \
     LEFT JOIN LATERAL json_array_elements(l.payload) e (value) ON e.value ->> 'shard' = m.target \
     ON CONFLICT (txid, target) DO UPDATE SET state = 'APPLIED', affected_rows = excluded.affected_rows, \
     drift = excluded.drift, applied_at = excluded.applied_at, updated_at = clock_timestamp() \
     WHERE ledger_target.state NOT IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED')";

/// Marks of targets that still wait for row images: whoever owns the relay need not wait for the client path there.
const WRITE_PASSED: &str = "INSERT INTO shardloom.ledger_target (txid, target, state) \
     SELECT m.txid, m.target, 'PUBLISHED' FROM unnest($1::bigint[], $2::text[]) AS m (txid, target) \
     JOIN shardloom.ledger l ON l.txid = m.txid AND m.target = ANY (l.copies) ON CONFLICT (txid, target) DO NOTHING";

/// A bound of [`FINISH`] for transactions that are named.
pub(super) const NO_BOUND: Option<i64> = None;

/// Closes transactions all of whose targets are terminal, and drops the row images they needed: those of $1, or all above
/// $2 up to $3.
pub(super) const FINISH: &str = "WITH done AS (UPDATE shardloom.ledger l SET state = 'DONE', finished_at = clock_timestamp() \
     WHERE l.state IN ('OPEN', 'ATTENTION') AND ($1::bigint[] IS NULL OR l.txid = ANY ($1)) \
     AND ($2::bigint IS NULL OR l.commit_seq > $2 AND l.commit_seq <= $3) \
     AND cardinality(l.targets) = (SELECT count(*) FROM shardloom.ledger_target t WHERE t.txid = l.txid \
     AND t.target = ANY (l.targets) AND t.state IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED')) \
     RETURNING l.xid, l.copies) \
     DELETE FROM shardloom.outbox o USING done WHERE o.xid = done.xid AND done.copies <> '{}'";

/// Shows that somebody should look, or no longer needs to.
const ATTEND: &str = "UPDATE shardloom.ledger l SET state = s.state FROM (SELECT l.txid, CASE WHEN EXISTS (SELECT FROM \
     shardloom.ledger_target t WHERE t.txid = l.txid AND t.state IN ('DEAD', 'PARKED', 'BLOCKED')) THEN 'ATTENTION' \
     ELSE 'OPEN' END AS state FROM shardloom.ledger l WHERE l.txid = ANY ($1) AND l.state IN ('OPEN', 'ATTENTION')) s \
     WHERE l.txid = s.txid AND l.state <> s.state";

impl Outbox {
    /// Writes the relay's verdicts to `home`, closes what is finished, and tells those who wait.
    pub(super) async fn write_verdicts(&self, home: ShardId, verdicts: &[Verdict]) -> Result<(), Error> {
        if verdicts.is_empty() {
            return Ok(());
        }
        let at = self.store.at(home);
        let txids: Vec<i64> = verdicts.iter().map(|v| v.txid).collect();
        let targets: Vec<&str> = verdicts.iter().map(|v| self.store.name(v.target)).collect();
        let states: Vec<&str> = verdicts.iter().map(|v| v.state.name()).collect();
        let attempts: Vec<i32> = verdicts.iter().map(|v| v.state.attempts()).collect();
        let expected: Vec<Option<i64>> = verdicts.iter().map(|v| v.expected).collect();
        let affected: Vec<Option<i64>> = verdicts.iter().map(|v| v.affected).collect();
        let sqlstates: Vec<Option<&str>> = verdicts.iter().map(|v| v.sqlstate.as_deref()).collect();
        let errors: Vec<Option<&str>> = verdicts.iter().map(|v| v.error.as_deref()).collect();
        let keys: Vec<String> = verdicts.iter().map(|v| v.keys.join("\u{1}")).collect();
        let retries: Vec<Option<i64>> = verdicts.iter().map(|v| v.retry_ms).collect();
        let mut client = self.store.connect(home).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        let values: [&(dyn ToSql + Sync); 10] =
            [&txids, &targets, &states, &attempts, &expected, &affected, &sqlstates, &errors, &keys, &retries];
        execute_prepared(&transaction, WRITE_VERDICTS, &values).await.map_err(&at)?;
        execute_prepared(&transaction, ATTEND, &[&txids]).await.map_err(&at)?;
        transaction.commit().await.map_err(&at)?;
        if let Err(error) = self.finish(home, &mut client, &txids).await {
            tracing::debug!(%error, "finished transactions are closed later");
        }
        for verdict in verdicts {
            self.count(verdict);
            // What is given up to an operator holds up no gate and no reader either.
            if verdict.state.is_terminal() || verdict.state.wants_attention() {
                self.flights.finished(verdict.txid, verdict.target);
            }
        }
        Ok(())
    }

    fn count(&self, verdict: &Verdict) {
        let metrics = self.metrics();
        let counter = match verdict.state {
            TargetState::Applied | TargetState::Resynced => Some(&metrics.applied),
            TargetState::Retry { .. } | TargetState::Blocked => Some(&metrics.retried),
            TargetState::Dead
            | TargetState::Pending
            | TargetState::Published
            | TargetState::Parked
            | TargetState::Skipped
            | TargetState::Compensated => None,
        };
        if let Some(counter) = counter {
            OutboxMetrics::add(counter, 1);
        }
        if verdict.drifts() {
            OutboxMetrics::add(&metrics.drift, 1);
            tracing::error!(
                txid = verdict.txid,
                target = self.store.name(verdict.target),
                "affected rows differ from home's"
            );
        }
    }

    /// Writes the marks of the client path, in one transaction per batch. Marks stay queued while home is away.
    pub(super) async fn write_marks(&self, home: ShardId) -> Result<(), Error> {
        let marks = self.flights.take_marks(home);
        if marks.is_empty() {
            return Ok(());
        }
        fault::reached(FaultPoint::BeforeMarks);
        let most = self.settings.bounds.home_timeout;
        match self.store.within(home, most, self.try_write_marks(home, &marks)).await {
            Ok(()) => {
                let settled = marks.iter().filter(|mark| !mark.copy).count();
                OutboxMetrics::add(&self.metrics().settled, settled as u64);
                self.flights.written(&marks);
                Ok(())
            }
            Err(error) => {
                self.flights.return_marks(marks);
                Err(error)
            }
        }
    }

    async fn try_write_marks(&self, home: ShardId, marks: &[Mark]) -> Result<(), Error> {
        let at = self.store.at(home);
        let txids: Vec<i64> = marks.iter().map(|mark| mark.txid).collect();
        let targets: Vec<&str> = marks.iter().map(|mark| self.store.name(mark.target)).collect();
        let affected: Vec<i64> = marks.iter().map(|mark| mark.affected).collect();
        let mut client = self.store.connect(home).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        execute_prepared(&transaction, WRITE_MARKS, &[&txids, &targets, &affected]).await.map_err(&at)?;
        if marks.iter().any(|mark| mark.copy) {
            execute_prepared(&transaction, WRITE_PASSED, &[&txids, &targets]).await.map_err(&at)?;
        }
        transaction.commit().await.map_err(&at)?;
        self.finish(home, &mut client, &txids).await
    }

    /// Closes those of these transactions that are finished, when what was written of them is there for all to see: of two
    /// lanes that finish at the same moment one sees both marks. What a crash undoes is closed by [`Outbox::finish_all`].
    async fn finish(&self, home: ShardId, client: &mut Object, txids: &[i64]) -> Result<(), Error> {
        let at = self.store.at(home);
        // Two lanes may close the same rows, each in an order of its own.
        let _one = self.finishing[home.index()].lock().await;
        let transaction = client.transaction().await.map_err(&at)?;
        execute_prepared(&transaction, FINISH, &[&Some(txids), &NO_BOUND, &NO_BOUND]).await.map_err(&at)?;
        transaction.commit().await.map_err(&at)
    }

    /// Closes what was finished and not closed, because somebody died in between: above `floor`, up to `upto`.
    pub(super) async fn finish_all(&self, home: ShardId, floor: i64, upto: i64) -> Result<(), Error> {
        let client = self.store.connect(home).await?;
        let values: [&(dyn ToSql + Sync); 3] = [&None::<Vec<i64>>, &Some(floor), &Some(upto)];
        execute_prepared(&client, FINISH, &values).await.map_err(self.store.at(home))?;
        Ok(())
    }
}
