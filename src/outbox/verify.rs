//! Compares the copies of a reference table with home, exactly and while it is written: a barrier travels through the
//! lanes, and each target measures its copy inside the transaction that applies it.
//!
//! On home the table is locked against writers for the moment in which the barrier gets its place in the order and a
//! snapshot is taken; home's rows are measured in that snapshot afterwards, without a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deadpool_postgres::Transaction;
use postgres_protocol::escape::escape_identifier;
use serde::Serialize;
use tokio::time::Instant;
use tokio_postgres::IsolationLevel;

use super::error::Error;
use super::fingerprint::{Measure, Measured};
use super::handle::Outbox;
use super::item::BARRIER;
use super::lane::LaneRun;
use super::ledger::LedgerTarget;
use super::recover::{CAPTURE_ORPHANS, ORPHAN_BATCH};
use crate::types::ShardId;

/// Parts of a table that are compared row by row; where more differ, the table is best copied again as a whole.
const PARTS_NAMED_MAX: usize = 8;

/// Rows that a report names for each target.
const ROWS_NAMED_MAX: usize = 100;

/// How often home's table is asked for its lock, and how long at a time: writers wait behind it.
const LOCK_TRIES: usize = 10;
const LOCK_WAIT: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Pause between two looks whether a target has measured.
const PAUSE: Duration = Duration::from_millis(20);

/// What one copy is like.
#[derive(Debug, Clone, Serialize)]
pub struct CopyReport {
    /// The shard.
    pub target: String,
    /// `equal`, `different`, or why it is not known: the state of the target's share, such as `PENDING` or `BLOCKED`.
    pub state: String,
    /// Rows of the copy at the barrier.
    pub rows: Option<i64>,
    /// Their hash.
    pub hash: Option<String>,
    /// Rows that differ, at most 100: key and what is wrong.
    pub differences: Vec<RowDifference>,
    /// Whether there are more of them.
    pub more: bool,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// The primary key as a JSON object.
    pub key: String,
    /// `missing` on the target, `extra` there, or `different`.
    pub kind: &'static str,
}

/// What a comparison found.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// The table.
    pub table: String,
    /// Its home.
    pub home: String,
    /// The barrier's transaction.
    pub txid: i64,
    /// Home's rows at the barrier.
    pub rows: i64,
    /// Their hash.
    pub hash: String,
    /// The copies.
    pub copies: Vec<CopyReport>,
}

/// One barrier's results.
struct Round {
    txid: i64,
    home: Measured,
    copies: BTreeMap<ShardId, Result<Measured, String>>,
}

const RESULT: &str = "SELECT measured FROM shardloom.barrier WHERE txid = $1 AND home = $2";

const STATE: &str = "SELECT coalesce((SELECT state || coalesce(': ' || last_error, '') FROM shardloom.ledger_target \
     WHERE txid = $1 AND target = $2), 'PENDING')";

impl Outbox {
    /// Compares all copies of a reference table with home; `txids` makes ids of transactions.
    ///
    /// What differs is looked at a second time, by another barrier: only rows that differ in both are named.
    ///
    /// # Errors
    /// [`Error::Unknown`] for what is no reference table, else what home answers. A target that is late or away is not
    /// an error: its state tells.
    pub async fn verify(
        &self,
        table: &str,
        wait: Duration,
        mut txids: impl FnMut() -> Result<i64, Error>,
    ) -> Result<VerifyReport, Error> {
        let (home, relation) = self.reference(table)?;
        let client = self.store.connect(home).await?;
        let name = self.store.name(home).to_owned();
        let measure = Measure::of(&client, &relation, &name).await?;
        drop(client);
        let targets: Vec<ShardId> = self.store.shards().filter(|shard| *shard != home).collect();
        let round = self.barrier(home, &measure, &targets, txids()?, wait).await?;
        let mut parts = BTreeSet::new();
        let mut suspects = Vec::new();
        for (target, measured) in &round.copies {
            let differing = measured.as_ref().map(|copy| round.home.differing(copy)).unwrap_or_default();
            if !differing.is_empty() {
                parts.extend(differing);
                suspects.push(*target);
            }
        }
        let more = parts.len() > PARTS_NAMED_MAX;
        let parts: Vec<i32> = parts.into_iter().take(PARTS_NAMED_MAX).collect();
        let named = if suspects.is_empty() {
            None
        } else {
            let measure = Measure { parts: Some(parts), ..measure };
            Some(self.barrier(home, &measure, &suspects, txids()?, wait).await?)
        };
        let copies = targets.iter().map(|target| self.copy_report(*target, &round, named.as_ref(), more)).collect();
        Ok(VerifyReport {
            table: table.to_owned(),
            home: name,
            txid: round.txid,
            rows: round.home.count(),
            hash: round.home.hash(),
            copies,
        })
    }

    fn copy_report(&self, target: ShardId, round: &Round, named: Option<&Round>, more: bool) -> CopyReport {
        let report = |state: &str| CopyReport {
            target: self.store.name(target).to_owned(),
            state: state.to_owned(),
            rows: None,
            hash: None,
            differences: Vec::new(),
            more: false,
        };
        let first = match round.copies.get(&target) {
            Some(Ok(measured)) => measured,
            Some(Err(state)) => return report(state),
            None => return report("PENDING"),
        };
        let (rows, hash) = (Some(first.count()), Some(first.hash()));
        if round.home.differing(first).is_empty() {
            return CopyReport { rows, hash, ..report("equal") };
        }
        let mut differences = match named.and_then(|named| Some((named, named.copies.get(&target)?))) {
            Some((named, Ok(copy))) => differences(&named.home, copy),
            Some((_, Err(state))) => return CopyReport { rows, hash, ..report(state) },
            None => Vec::new(),
        };
        // Rows of more parts than were looked at may differ; of those that were, nothing is left.
        let state = if differences.is_empty() && !more { "equal" } else { "different" };
        let more = more || differences.len() > ROWS_NAMED_MAX;
        differences.truncate(ROWS_NAMED_MAX);
        CopyReport { rows, hash, differences, more: more && state == "different", ..report(state) }
    }

    /// Returns the home and the quoted name of a reference table.
    pub(super) fn reference(&self, table: &str) -> Result<(ShardId, String), Error> {
        let (schema, name) = table.split_once('.').unwrap_or(("public", table));
        let full = |known: &str| if known.contains('.') { known.to_owned() } else { format!("public.{known}") };
        let known = self.wanted().references.unwrap_or_default();
        let found = known.iter().find(|reference| full(&reference.table) == format!("{schema}.{name}"));
        let home = found.map(|reference| reference.home);
        let home = home.ok_or_else(|| Error::Unknown(format!("\"{table}\" is no reference table of the rules")))?;
        let quote = |name: &str| {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if plain { name.to_owned() } else { escape_identifier(name) }
        };
        Ok((home, format!("{}.{}", quote(schema), quote(name))))
    }

    /// Sends one barrier and gathers what home and the targets measure at it.
    async fn barrier(
        &self,
        home: ShardId,
        measure: &Measure,
        targets: &[ShardId],
        txid: i64,
        wait: Duration,
    ) -> Result<Round, Error> {
        let at = self.store.at(home);
        let mut snapshots = self.store.connect(home).await?;
        let mut client = self.store.connect(home).await?;
        let transaction = self.lock(&mut client, home, &measure.relation).await?;
        let snapshot = snapshots.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = snapshot.start().await.map_err(&at)?;
        // The snapshot is that of the first statement.
        snapshot.query_one("SELECT 1", &[]).await.map_err(&at)?;
        let targets_text: Vec<&str> = targets.iter().map(|target| self.store.name(*target)).collect();
        let shares: Vec<LedgerTarget> =
            targets_text.iter().map(|name| LedgerTarget::new((*name).to_owned(), 0, Vec::new())).collect();
        let payload = serde_json::to_string(&shares).expect("strings and numbers always serialise");
        let spec = serde_json::to_string(measure).expect("strings and numbers always serialise");
        transaction
            .execute(
                "INSERT INTO shardloom.ledger (txid, xid, state, mode, kind, targets, payload, barrier, proxy, on_dead, \
                 commit_seq) VALUES ($1, pg_current_xact_id(), 'OPEN', 'eventual', $2, $3, $4::text::json, $5, $6, 'skip', \
                 nextval('shardloom.commit_seq'))",
                &[&txid, &BARRIER, &targets_text, &payload, &spec, &self.settings.proxy],
            )
            .await
            .map_err(&at)?;
        transaction.commit().await.map_err(&at)?;
        self.flights.nudge(home);
        let measured = measure.run(&snapshot, self.store.name(home)).await?;
        snapshot.commit().await.map_err(&at)?;
        drop((client, snapshots));
        let deadline = Instant::now() + wait;
        let mut copies = BTreeMap::new();
        for target in targets {
            copies.insert(*target, self.await_measured(home, *target, txid, deadline).await);
        }
        Ok(Round { txid, home: measured, copies })
    }

    /// Opens a transaction in which nobody else writes the table, and what was written around the proxy is in the ledger.
    pub(super) async fn lock<'a>(
        &self,
        client: &'a mut deadpool_postgres::Object,
        home: ShardId,
        relation: &str,
    ) -> Result<Transaction<'a>, Error> {
        let at = self.store.at(home);
        let mut transaction = client.transaction().await.map_err(&at)?;
        transaction.batch_execute(LOCK_WAIT).await.map_err(&at)?;
        let lock = format!("LOCK TABLE {relation} IN SHARE MODE");
        for tries in 1.. {
            let savepoint = transaction.savepoint("shardloom_lock").await.map_err(&at)?;
            match savepoint.batch_execute(&lock).await.map_err(&at) {
                Ok(()) => {
                    savepoint.commit().await.map_err(&at)?;
                    break;
                }
                // Long writers are let through, and those that wait behind them.
                Err(error) if error.sqlstate() == Some("55P03") && tries < LOCK_TRIES => {
                    savepoint.rollback().await.map_err(&at)?;
                }
                Err(error) => return Err(error),
            }
        }
        let copies: Vec<&str> = self.store.shards().filter(|s| *s != home).map(|s| self.store.name(s)).collect();
        let orphan = super::item::ORPHAN;
        let found = [&orphan as _, &copies as _, &self.settings.proxy as _, &ORPHAN_BATCH as _];
        while transaction.execute(CAPTURE_ORPHANS, &found).await.map_err(&at)? > 0 {}
        Ok(transaction)
    }

    /// Waits for what a target measures; else its state.
    async fn await_measured(
        &self,
        home: ShardId,
        target: ShardId,
        txid: i64,
        deadline: Instant,
    ) -> Result<Measured, String> {
        loop {
            let found = self.measured(home, target, txid).await;
            match found {
                Ok(Some(measured)) => return Ok(measured),
                Ok(None) | Err(_) if Instant::now() + PAUSE < deadline => tokio::time::sleep(PAUSE).await,
                Ok(None) => return Err(self.share_state(home, target, txid).await),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn measured(&self, home: ShardId, target: ShardId, txid: i64) -> Result<Option<Measured>, Error> {
        let client = self.store.connect(target).await?;
        let row = client.query_opt(RESULT, &[&txid, &self.store.name(home)]).await.map_err(self.store.at(target))?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| Error::BadRecord(format!("barrier {txid}: {error}")))
        };
        row.map(|row| read(row.get(0))).transpose()
    }

    async fn share_state(&self, home: ShardId, target: ShardId, txid: i64) -> String {
        let asked = async {
            let client = self.store.connect(home).await?;
            let row = client.query_one(STATE, &[&txid, &self.store.name(target)]).await.map_err(self.store.at(home))?;
            Ok::<String, Error>(row.get(0))
        };
        asked.await.unwrap_or_else(|error| error.to_string())
    }

    /// Applies a barrier on a target: measures there, inside the transaction of the lane.
    pub(super) async fn apply_barrier(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        txid: i64,
    ) -> Result<(), Error> {
        let home = self.store.connect(run.home).await?;
        let row = home
            .query_one("SELECT barrier FROM shardloom.ledger WHERE txid = $1", &[&txid])
            .await
            .map_err(self.store.at(run.home))?;
        let bad = |error: serde_json::Error| Error::BadRecord(format!("barrier {txid}: {error}"));
        let measure: Measure = serde_json::from_str(row.get::<_, Option<&str>>(0).unwrap_or_default()).map_err(bad)?;
        let measured = measure.run(transaction, self.store.name(run.target)).await?;
        let text = serde_json::to_string(&measured).expect("strings and numbers always serialise");
        transaction
            .execute(
                "INSERT INTO shardloom.barrier (txid, home, measured) VALUES ($1, $2, $3)",
                &[&txid, &self.store.name(run.home), &text],
            )
            .await
            .map_err(self.store.at(run.target))?;
        Ok(())
    }
}

/// Names the rows that differ, home's first.
fn differences(home: &Measured, copy: &Measured) -> Vec<RowDifference> {
    let difference = |key: &String, kind| RowDifference { key: key.clone(), kind };
    let mut found: Vec<RowDifference> = home
        .rows
        .iter()
        .filter_map(|(key, hash)| match copy.rows.get(key) {
            None => Some(difference(key, "missing")),
            Some(other) if other != hash => Some(difference(key, "different")),
            Some(_) => None,
        })
        .collect();
    found.extend(copy.rows.keys().filter(|key| !home.rows.contains_key(*key)).map(|key| difference(key, "extra")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_differ_by_being_missing_extra_or_other() {
        let rows = |rows: &[(&str, &str)]| Measured {
            rows: rows.iter().map(|(key, hash)| ((*key).to_owned(), (*hash).to_owned())).collect(),
            ..Measured::default()
        };
        let found =
            differences(&rows(&[("1", "a"), ("2", "b"), ("3", "c")]), &rows(&[("1", "a"), ("2", "x"), ("4", "d")]));
        let found: Vec<_> = found.iter().map(|row| (row.key.as_str(), row.kind)).collect();
        assert_eq!(found, [("2", "different"), ("3", "missing"), ("4", "extra")]);
    }
}
