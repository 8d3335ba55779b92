//! Takes a transaction back of which a target has refused its part: what was done elsewhere is undone by the statements
//! that the rules declare, recorded with the transaction. The compensation is a transaction of its own: home's part is
//! undone in the COMMIT that decides it, the targets follow by their lanes.
//!
//! A target undoes only what it has applied; one that has not never will, because its inbox has the row from then on.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use serde::Serialize;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::ToSql;

use super::error::Error;
use super::fault::{self, FaultPoint};
use super::handle::Outbox;
use super::ledger::{Compensates, Environment, LedgerTarget, RedoCommand};
use super::marks::{FINISH, NO_BOUND};
use super::metrics::OutboxMetrics;
use super::redo;
use super::state::{Input, TargetState, next};
use crate::types::ShardId;

/// Kind of its ledger rows, the policy in the ledger, the verb in the audit.
pub(super) const COMPENSATE: &str = "compensate";

/// Dead transactions that one look takes on.
const BATCH: i64 = 100;

/// Who compensates where the rules say so.
const RELAY: &str = "relay";

/// The longest pause between two tries, in seconds.
const PAUSE_MAX: i32 = 60;

/// Whether anything is dead: as a rule nothing is, and one small look a second is all that it costs.
const ANY_DEAD: &str = "SELECT 1 FROM shardloom.ledger_target WHERE state = 'DEAD' LIMIT 1";

/// Dead transactions that the rules want taken back and that recorded how, unless that was done, or has failed just now.
const DUE: &str = "SELECT DISTINCT l.txid FROM shardloom.ledger_target t JOIN shardloom.ledger l ON l.txid = t.txid \
     WHERE t.state = 'DEAD' AND l.on_dead = $1 AND l.kind <> $1 AND NOT EXISTS (SELECT FROM shardloom.compensation c \
     WHERE c.txid = l.txid AND (c.state = 'DONE' OR c.next_attempt_at > clock_timestamp())) \
     AND EXISTS (SELECT FROM json_array_elements(l.payload) e (value) WHERE e.value -> 'undo' IS NOT NULL) \
     ORDER BY 1 LIMIT $2";

/// What was taken back and has been refused by one more target since: that one never had it.
const LATE: &str = "SELECT t.txid, array_agg(t.target) FROM shardloom.ledger_target t JOIN shardloom.compensation c \
     ON c.txid = t.txid AND c.state = 'DONE' WHERE t.state = 'DEAD' GROUP BY 1 LIMIT $1";

/// The transaction, held until it is taken back.
const HOLD: &str = "SELECT state, kind, payload::text, environment::text, acting_role, targets \
     FROM shardloom.ledger WHERE txid = $1 FOR UPDATE";

/// Where its targets stand.
const STANDS: &str = "SELECT target, state, attempts FROM shardloom.ledger_target WHERE txid = $1";

/// Claims it; nothing comes back where it is done already.
const CLAIM: &str = "INSERT INTO shardloom.compensation (txid, compensated_by, state, attempts, actor, reason) \
     VALUES ($1, $2, 'DONE', 1, $3, $4) ON CONFLICT (txid) DO UPDATE SET compensated_by = excluded.compensated_by, \
     state = 'DONE', attempts = compensation.attempts + 1, sqlstate = NULL, error = NULL, actor = excluded.actor, \
     reason = excluded.reason, next_attempt_at = NULL, updated_at = clock_timestamp() \
     WHERE compensation.state <> 'DONE' RETURNING txid";

const FAILED: &str = "INSERT INTO shardloom.compensation (txid, state, attempts, sqlstate, error, actor, reason, \
     next_attempt_at) VALUES ($1, 'FAILED', 1, $2, $3, $4, $5, clock_timestamp() + interval '1 s') \
     ON CONFLICT (txid) DO UPDATE SET attempts = compensation.attempts + 1, sqlstate = excluded.sqlstate, \
     error = excluded.error, next_attempt_at = clock_timestamp() + interval '1 s' * least(power(2, \
     least(compensation.attempts, 16)), $6::int), updated_at = clock_timestamp() WHERE compensation.state <> 'DONE'";

const RECORD: &str = "INSERT INTO shardloom.ledger (txid, xid, state, mode, kind, targets, payload, environment, home_rows, \
     proxy, username, acting_role, commit_seq) VALUES ($1, pg_current_xact_id(), 'OPEN', 'eventual', $2, $3, $4::text::json, \
     $5::text::json, $6, $7, $8, $9, nextval('shardloom.commit_seq'))";

const NOTE: &str = "UPDATE shardloom.compensation SET error = $2 WHERE txid = $1";

const LIST: &str = "SELECT txid, compensated_by, state, attempts, sqlstate, error, actor, reason, \
     to_char(updated_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM shardloom.compensation ORDER BY updated_at DESC LIMIT $1";

/// One transaction that was taken back, or could not be yet.
#[derive(Debug, Clone, Serialize)]
pub struct CompensationRow {
    /// The transaction.
    pub txid: i64,
    /// Name of its home.
    pub home: String,
    /// `DONE`, or `FAILED`: nothing was undone, and it is tried again.
    pub state: String,
    /// The transaction that takes it back.
    pub compensated_by: Option<i64>,
    /// How often that was tried.
    pub attempts: i32,
    /// The last failure's SQLSTATE.
    pub sqlstate: Option<String>,
    /// The last failure.
    pub error: Option<String>,
    /// Who asked for it; `relay` where the rules did.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, ISO 8601.
    pub updated_at: String,
}

/// Who wants a transaction taken back, and why.
#[derive(Debug, Clone, Copy)]
struct Why<'a> {
    reason: &'a str,
    actor: &'a str,
}

/// What came of a look at a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// It is taken back.
    Done,
    /// Somebody else did, or nothing of it is dead any more.
    Nothing,
}

/// What is known of a transaction that is to be taken back.
struct Held {
    shares: Vec<LedgerTarget>,
    environment: Environment,
    role: String,
    targets: Vec<String>,
    /// Targets that have refused their part, and so will never have it.
    dead: Vec<String>,
    /// Targets that have it.
    applied: BTreeSet<String>,
}

impl Outbox {
    /// Takes back what the rules want taken back on the homes that can be reached; `txids` gives each its transaction.
    pub async fn compensate_dead(&self, mut txids: impl FnMut() -> Result<i64, Error>) {
        for home in self.store.shards() {
            let most = self.settings.bounds.home_timeout;
            let due = match self.store.within(home, most, self.due(home)).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!(home = self.store.name(home), %error, "nothing is compensated");
                    continue;
                }
            };
            for txid in due {
                let why = Why { reason: "on_dead: compensate", actor: RELAY };
                let done = match txids() {
                    Ok(by) => self.compensate_at(home, txid, by, why).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = done {
                    tracing::error!(txid, home = self.store.name(home), %error, "not compensated");
                }
            }
        }
    }

    /// Closes what was refused after it had been taken back, and returns what is to be taken back now.
    async fn due(&self, home: ShardId) -> Result<Vec<i64>, Error> {
        let at = self.store.at(home);
        let mut client = self.store.connect(home).await?;
        // In one message, and planned anew each time: what was right for an empty table reads a large one whole.
        let dead = client.simple_query(ANY_DEAD).await.map_err(&at)?;
        if !dead.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))) {
            return Ok(Vec::new());
        }
        for row in client.query(LATE, &[&BATCH]).await.map_err(&at)? {
            let transaction = client.transaction().await.map_err(&at)?;
            self.let_go(home, &transaction, row.get(0), &row.get::<_, Vec<String>>(1)).await?;
            transaction.commit().await.map_err(&at)?;
            self.flights.nudge(home);
        }
        let due = client.query(DUE, &[&COMPENSATE, &BATCH]).await.map_err(&at)?;
        Ok(due.iter().map(|row| row.get(0)).collect())
    }

    /// Takes one transaction back, whatever the rules say of its death; returns the transaction that does.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a transaction that no reachable home knows, [`Error::BadRecord`] without a reason, where
    /// nothing was declared for it, or it is taken back already; else what home answers: then nothing is undone.
    pub async fn compensate(&self, txid: i64, by: i64, reason: &str, actor: &str) -> Result<i64, Error> {
        if reason.trim().is_empty() {
            return Err(Error::BadRecord("compensate needs a reason".to_owned()));
        }
        let (home, _) = self.find(txid).await?;
        match self.compensate_at(home, txid, by, Why { reason, actor }).await? {
            Looked::Done => Ok(by),
            Looked::Nothing => Err(Error::BadRecord(format!("transaction {txid} is compensated already"))),
        }
    }

    async fn compensate_at(&self, home: ShardId, txid: i64, by: i64, why: Why<'_>) -> Result<Looked, Error> {
        let most = self.settings.bounds.home_timeout;
        let done = self.store.within(home, most, self.undo(home, txid, by, why)).await;
        match &done {
            Ok(Looked::Nothing) => {}
            Ok(Looked::Done) => {
                OutboxMetrics::add(&self.metrics().compensated, 1);
                tracing::warn!(txid, by, home = self.store.name(home), reason = why.reason, "transaction compensated");
                self.flights.nudge(home);
            }
            // What a person was refused is that person's to know.
            Err(Error::BadRecord(_) | Error::Unknown(_)) if why.actor != RELAY => {}
            Err(error) => {
                OutboxMetrics::add(&self.metrics().compensations_failed, 1);
                let (state, text) = (error.sqlstate().map(str::to_owned), error.to_string());
                let note = async {
                    let values: [&(dyn ToSql + Sync); 6] = [&txid, &state, &text, &why.actor, &why.reason, &PAUSE_MAX];
                    let client = self.store.connect(home).await?;
                    client.execute(FAILED, &values).await.map_err(self.store.at(home))
                };
                self.store.within(home, most, note).await?;
            }
        }
        done
    }

    /// Undoes home's part and decides about the others, in one transaction.
    async fn undo(&self, home: ShardId, txid: i64, by: i64, why: Why<'_>) -> Result<Looked, Error> {
        if self.flights.is_flying(txid) {
            return Err(Error::BadRecord(format!("the client of transaction {txid} is still at work")));
        }
        let at = self.store.at(home);
        let mut client = self.store.connect(home).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        let bounds = &self.settings.bounds;
        let (lock_ms, statement_ms) = (bounds.apply_lock_wait.as_millis(), bounds.apply_timeout.as_millis());
        let waits = format!("SET LOCAL lock_timeout = {lock_ms}; SET LOCAL statement_timeout = {statement_ms}");
        transaction.batch_execute(&waits).await.map_err(&at)?;
        let held = self.hold(home, &transaction, txid).await?;
        // Since it was looked for, an operator may have decided otherwise.
        if why.actor == RELAY && held.dead.is_empty() {
            return Ok(Looked::Nothing);
        }
        let claimed = transaction.query_opt(CLAIM, &[&txid, &by, &why.actor, &why.reason]).await.map_err(&at)?;
        if claimed.is_none() {
            return Ok(Looked::Nothing);
        }
        let rows = self.undo_home(home, &transaction, txid, &held).await?;
        self.let_go(home, &transaction, txid, &held.dead).await?;
        self.record_compensation(home, &transaction, (txid, by), &held, rows, why).await?;
        fault::reached(FaultPoint::BeforeUndoCommit);
        transaction.commit().await.map_err(&at)?;
        fault::reached(FaultPoint::AfterUndoCommit);
        Ok(Looked::Done)
    }

    /// Takes home's part back; says where a row was changed or gone.
    async fn undo_home(
        &self,
        home: ShardId,
        transaction: &Transaction<'_>,
        txid: i64,
        held: &Held,
    ) -> Result<i64, Error> {
        let at = self.store.at(home);
        let own = held.shares.iter().find(|share| share.shard == self.store.name(home));
        let undo = own.map(reversed).unwrap_or_default();
        transaction.batch_execute(&redo::settings(&held.environment, &held.role)).await.map_err(&at)?;
        let rows: i64 = redo::run(transaction, undo.iter(), self.store.name(home)).await?.into_iter().sum();
        transaction.batch_execute("RESET ROLE; SET LOCAL search_path = pg_catalog").await.map_err(&at)?;
        if rows != undo.len() as i64 {
            let note = format!("on home {rows} rows were undone where {} are expected", undo.len());
            tracing::error!(txid, note, "compensation drifts");
            OutboxMetrics::add(&self.metrics().drift, 1);
            transaction.execute(NOTE, &[&txid, &note]).await.map_err(&at)?;
        }
        Ok(rows)
    }

    /// Writes the audit and the ledger row of what takes a transaction back.
    async fn record_compensation(
        &self,
        home: ShardId,
        transaction: &Transaction<'_>,
        (txid, by): (i64, i64),
        held: &Held,
        rows: i64,
        why: Why<'_>,
    ) -> Result<(), Error> {
        let at = self.store.at(home);
        let audit =
            "INSERT INTO shardloom.audit (actor, verb, subject, before, after, reason) VALUES ($1, $2, $3, $4, $5, $6)";
        let dead = held.dead.join(", ");
        transaction
            .execute(audit, &[&why.actor, &COMPENSATE, &txid.to_string(), &dead, &format!("by {by}"), &why.reason])
            .await
            .map_err(&at)?;
        let payload = serde_json::to_string(&shares(held, txid, self.store.name(home)));
        let payload = payload.expect("strings and numbers always serialise");
        let environment = serde_json::to_string(&held.environment).expect("strings always serialise");
        let proxy = &self.settings.proxy;
        let values: [&(dyn ToSql + Sync); 9] =
            [&by, &COMPENSATE, &held.targets, &payload, &environment, &rows, proxy, &why.actor, &held.role];
        transaction.execute(RECORD, &values).await.map_err(&at)?;
        Ok(())
    }

    /// Locks the transaction and reads what takes it back.
    async fn hold(&self, home: ShardId, transaction: &Transaction<'_>, txid: i64) -> Result<Held, Error> {
        let at = self.store.at(home);
        let row = transaction.query_opt(HOLD, &[&txid]).await.map_err(&at)?;
        let row = row.ok_or_else(|| Error::Unknown(format!("no home knows transaction {txid}")))?;
        let (state, kind): (String, String) = (row.get(0), row.get(1));
        if state == "ABORTED" || kind == COMPENSATE {
            return Err(Error::BadRecord(format!("transaction {txid} has nothing to take back: {state}, {kind}")));
        }
        let bad = |error: serde_json::Error| Error::BadRecord(format!("ledger row {txid}: {error}"));
        let payload: Option<String> = row.get(2);
        let shares: Vec<LedgerTarget> = serde_json::from_str(payload.as_deref().unwrap_or("[]")).map_err(bad)?;
        let environment: Option<String> = row.get(3);
        let environment = environment.map(|text| serde_json::from_str(&text)).transpose().map_err(bad)?;
        let targets: Vec<String> = row.get(5);
        let declared: BTreeSet<&str> =
            shares.iter().filter(|share| !share.undo.is_empty()).map(|share| share.shard.as_str()).collect();
        let all = || targets.iter().map(String::as_str).chain([self.store.name(home)]);
        if let Some(shard) = all().find(|shard| !declared.contains(shard)) {
            return Err(Error::BadRecord(format!(
                "nothing takes back what transaction {txid} did on shard \"{shard}\": its tables declared no undo for it"
            )));
        }
        let (mut dead, mut applied) = (Vec::new(), BTreeSet::new());
        for row in transaction.query(STANDS, &[&txid]).await.map_err(&at)? {
            let Some(state) = TargetState::from_name(row.get(1), row.get(2)) else { continue };
            if state == TargetState::Applied {
                applied.insert(row.get(0));
            } else if next(state, Input::Compensated).is_ok() {
                dead.push(row.get(0));
            }
        }
        let (environment, role) = (environment.unwrap_or_default(), row.get(4));
        Ok(Held { shares, environment, role, targets, dead, applied })
    }

    /// Closes what was refused: it needs no decision any more, and what waited behind it may go on.
    async fn let_go(
        &self,
        home: ShardId,
        transaction: &Transaction<'_>,
        txid: i64,
        dead: &[String],
    ) -> Result<(), Error> {
        let at = self.store.at(home);
        for sql in [
            "UPDATE shardloom.ledger_target SET state = 'COMPENSATED', keys = '{}', updated_at = clock_timestamp() \
             WHERE txid = $1 AND target = ANY ($2)",
            "UPDATE shardloom.dead_letter SET resolved_at = clock_timestamp(), resolution = 'compensate' \
             WHERE txid = $1 AND target = ANY ($2) AND resolved_at IS NULL",
            "UPDATE shardloom.ledger_target SET state = 'PENDING', keys = '{}', updated_at = clock_timestamp() \
             WHERE txid <> $1 AND target = ANY ($2) AND state = 'PARKED'",
        ] {
            transaction.execute(sql, &[&txid, &dead]).await.map_err(&at)?;
        }
        transaction.execute(FINISH, &[&Some(vec![txid]), &NO_BOUND, &NO_BOUND]).await.map_err(&at)?;
        Ok(())
    }

    /// Lists what was taken back, or could not be yet, the newest first.
    pub async fn compensations(&self, limit: i64) -> Vec<CompensationRow> {
        let mut found = Vec::new();
        for home in self.store.shards() {
            let rows = self.query(home, LIST, &[&limit]).await.unwrap_or_default();
            found.extend(rows.iter().map(|row| CompensationRow {
                txid: row.get(0),
                home: self.store.name(home).to_owned(),
                compensated_by: row.get(1),
                state: row.get(2),
                attempts: row.get(3),
                sqlstate: row.get(4),
                error: row.get(5),
                actor: row.get(6),
                reason: row.get(7),
                updated_at: row.get(8),
            }));
        }
        found.sort_by(|one, two| two.updated_at.cmp(&one.updated_at));
        found.truncate(usize::try_from(limit).unwrap_or(0));
        found
    }
}

/// Returns what takes a share back, the last thing first.
fn reversed(share: &LedgerTarget) -> Vec<RedoCommand> {
    share.undo.iter().rev().cloned().collect()
}

/// Returns what the targets undo. The command is none: a relay that does not know of compensations refuses it, rather than
/// undo what was never done there.
fn shares(held: &Held, txid: i64, home: &str) -> Vec<LedgerTarget> {
    let others = held.shares.iter().filter(|share| share.shard != home);
    let mark = RedoCommand { sql: COMPENSATE.to_owned(), types: Vec::new(), parameters: Vec::new(), expected_rows: 0 };
    others
        .map(|share| {
            let undo = reversed(share);
            let expected = undo.iter().map(|command| command.expected_rows).sum();
            let applied = held.applied.contains(&share.shard);
            LedgerTarget {
                undo,
                compensates: Some(Compensates { txid, applied }),
                ..LedgerTarget::new(share.shard.clone(), expected, vec![mark.clone()])
            }
        })
        .collect()
}
