//! What console, command line and HTTP show: ledger rows, dead letters, lanes. Reads only.

use serde::Serialize;
use tokio_postgres::Row;

use super::error::Error;
use super::handle::Outbox;
use crate::types::ShardId;

/// Rows that one answer has at most, whatever the filter says.
const ROWS_MAX: i64 = 10_000;

/// Which ledger rows to show; the newest first.
#[derive(Debug, Clone, Default)]
pub struct LedgerFilter {
    /// `OPEN`, `ATTENTION`, `DONE` or `ABORTED`; in any case. `None` shows all.
    pub state: Option<String>,
    /// How many rows at most, per home and in all; 0 means 100.
    pub limit: usize,
    /// Only this transaction.
    pub txid: Option<i64>,
}

/// One transaction.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerRow {
    /// The transaction.
    pub txid: i64,
    /// Name of its home.
    pub home: String,
    /// `OPEN`, `ATTENTION`, `DONE` or `ABORTED`.
    pub state: String,
    /// `eventual`, `eager` or `two_phase`; `none` for a fence.
    pub mode: String,
    /// What it did.
    pub kind: String,
    /// Names of its targets.
    pub targets: Vec<String>,
    /// Targets that are finished.
    pub finished_targets: i64,
    /// Rows affected on home.
    pub home_rows: i64,
    /// Its place in the order of commits.
    pub commit_seq: Option<i64>,
    /// The proxy that wrote it.
    pub proxy: Option<String>,
    /// The client's user.
    pub user: Option<String>,
    /// When, ISO 8601.
    pub created_at: String,
    /// When it was finished, ISO 8601.
    pub finished_at: Option<String>,
}

/// One target of a transaction.
#[derive(Debug, Clone, Serialize)]
pub struct TargetRow {
    /// Name of the shard.
    pub target: String,
    /// Word of `TargetState`.
    pub state: String,
    /// Attempts used up.
    pub attempts: i32,
    /// Rows that home expects.
    pub expected_rows: Option<i64>,
    /// Rows that the target changed.
    pub affected_rows: Option<i64>,
    /// Whether they differ.
    pub drift: bool,
    /// The last failure's SQLSTATE.
    pub last_sqlstate: Option<String>,
    /// The last failure.
    pub last_error: Option<String>,
    /// When it was applied, ISO 8601.
    pub applied_at: Option<String>,
}

/// One transaction in full.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerDetail {
    /// The transaction.
    pub row: LedgerRow,
    /// Its targets.
    pub targets: Vec<TargetRow>,
    /// Version of the rules that routed it.
    pub rule_version: Option<String>,
    /// The client's idempotency key.
    pub idempotency_key: Option<String>,
    /// The client's trace id.
    pub trace_id: Option<String>,
    /// Rows captured on home for the copies.
    pub captured_rows: i64,
}

/// One event that an operator has to decide.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetterRow {
    /// The transaction.
    pub txid: i64,
    /// Name of its home.
    pub home: String,
    /// Name of the target that refused it.
    pub target: String,
    /// SQLSTATE.
    pub sqlstate: Option<String>,
    /// The error.
    pub error: String,
    /// The error with numbers masked; equal for equal causes.
    pub error_group: String,
    /// The keys whose later events wait.
    pub keys: Vec<String>,
    /// Later events that wait on this lane.
    pub parked: i64,
    /// When, ISO 8601.
    pub died_at: String,
}

/// One lane.
#[derive(Debug, Clone, Serialize)]
pub struct LaneRow {
    /// Name of the home.
    pub home: String,
    /// Name of the target.
    pub target: String,
    /// Transactions not finished there.
    pub pending: i64,
    /// Age of the oldest of them, in milliseconds.
    pub oldest_ms: i64,
    /// The last commit sequence of home.
    pub last_commit_seq: i64,
    /// Dead events.
    pub dead: i64,
    /// Parked events.
    pub parked: i64,
    /// `ok`, `behind`, `blocked`, `attention`, or `home away`.
    pub state: String,
    /// Whether this process lets writes pass to the target.
    pub gate_open: bool,
    /// Who owns home's relay.
    pub owner: Option<String>,
}

const LEDGER: &str = "SELECT l.txid, l.state, l.mode, l.kind, l.targets, (SELECT count(*) FROM shardloom.ledger_target t \
     WHERE t.txid = l.txid AND t.state IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED')), l.home_rows, l.commit_seq, \
     l.proxy, l.username, to_char(l.created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
     to_char(l.finished_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), l.rule_version, l.idempotency_key, l.trace_id, l.captured_rows \
     FROM shardloom.ledger l WHERE ($1::text IS NULL OR l.state = upper($1)) AND ($2::bigint IS NULL OR l.txid = $2) \
     ORDER BY l.created_at DESC LIMIT $3";

const TARGETS: &str = "SELECT x.target, coalesce(t.state, 'PENDING'), coalesce(t.attempts, 0), \
     coalesce(t.expected_rows, e.rows + CASE WHEN x.target = ANY (l.copies) THEN l.captured_rows ELSE 0 END), \
     t.affected_rows, coalesce(t.drift, false), t.last_sqlstate, t.last_error, \
     to_char(t.applied_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM shardloom.ledger l \
     CROSS JOIN unnest(l.targets) WITH ORDINALITY x (target, place) \
     CROSS JOIN LATERAL (SELECT coalesce(sum((p.value ->> 'expected_rows')::bigint), 0)::bigint AS rows \
     FROM json_array_elements(l.payload) p (value) WHERE p.value ->> 'shard' = x.target) e \
     LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target WHERE l.txid = $1 ORDER BY x.place";

const DEAD: &str = "SELECT d.txid, d.target, d.sqlstate, d.error, d.error_group, d.keys, (SELECT count(*) \
     FROM shardloom.ledger_target t WHERE t.target = d.target AND t.state = 'PARKED'), \
     to_char(d.died_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM shardloom.dead_letter d \
     WHERE d.resolved_at IS NULL ORDER BY d.died_at LIMIT $1";

const LANES: &str = "SELECT x.target, count(*) FILTER (WHERE t.state IS NULL OR t.state IN ('PENDING', 'PUBLISHED', 'RETRY', \
     'BLOCKED')), coalesce((extract(epoch FROM clock_timestamp() - min(l.created_at) FILTER (WHERE t.state IS NULL OR \
     t.state IN ('PENDING', 'PUBLISHED', 'RETRY', 'BLOCKED'))) * 1000)::bigint, 0), count(*) FILTER (WHERE t.state = 'DEAD'), \
     count(*) FILTER (WHERE t.state = 'PARKED'), count(*) FILTER (WHERE t.state = 'BLOCKED') \
     FROM shardloom.ledger l CROSS JOIN unnest(l.targets) x (target) LEFT JOIN shardloom.ledger_target t \
     ON t.txid = l.txid AND t.target = x.target WHERE l.state IN ('OPEN', 'ATTENTION') GROUP BY 1";

impl Outbox {
    /// Returns ledger rows of all homes that can be reached, newest first.
    pub async fn ledger(&self, filter: LedgerFilter) -> Vec<LedgerRow> {
        let limit = if filter.limit == 0 { 100 } else { filter.limit };
        let limit = i64::try_from(limit).unwrap_or(ROWS_MAX).min(ROWS_MAX);
        let mut rows = Vec::new();
        for home in self.store.shards() {
            match self.query(home, LEDGER, &[&filter.state, &filter.txid, &limit]).await {
                Ok(found) => rows.extend(found.iter().map(|row| ledger_row(self.store.name(home), row))),
                Err(error) => tracing::debug!(%error, "ledger not read"),
            }
        }
        rows.sort_by(|one, two| two.created_at.cmp(&one.created_at));
        rows.truncate(limit as usize);
        rows
    }

    /// Returns one transaction in full; `None` if no reachable home knows it.
    pub async fn ledger_show(&self, txid: i64) -> Option<LedgerDetail> {
        let mut fence = None;
        for home in self.store.shards() {
            let found = self.query(home, LEDGER, &[&None::<String>, &Some(txid), &1i64]).await.unwrap_or_default();
            let Some(row) = found.first() else { continue };
            let targets = self.query(home, TARGETS, &[&txid]).await.ok()?;
            let detail = LedgerDetail {
                row: ledger_row(self.store.name(home), row),
                targets: targets.iter().map(target_row).collect(),
                rule_version: row.get(12),
                idempotency_key: row.get(13),
                trace_id: row.get(14),
                captured_rows: row.get(15),
            };
            // Several shards may have a fence, and only one of them the row of what has committed.
            if detail.row.state != "ABORTED" {
                return Some(detail);
            }
            fence.get_or_insert(detail);
        }
        fence
    }

    /// Returns the dead letters that wait for a decision, of all homes that can be reached.
    pub async fn dead_letters(&self) -> Vec<DeadLetterRow> {
        let mut letters = Vec::new();
        for home in self.store.shards() {
            let rows = self.query(home, DEAD, &[&ROWS_MAX]).await.unwrap_or_default();
            letters.extend(rows.iter().map(|row| DeadLetterRow {
                txid: row.get(0),
                home: self.store.name(home).to_owned(),
                target: row.get(1),
                sqlstate: row.get(2),
                error: row.get(3),
                error_group: row.get(4),
                keys: row.get(5),
                parked: row.get(6),
                died_at: row.get(7),
            }));
        }
        letters
    }

    /// Returns every lane, home by home.
    pub async fn lanes(&self) -> Vec<LaneRow> {
        let mut lanes = Vec::new();
        let paused = self.paused_targets().await;
        for home in self.store.shards() {
            let facts = self.query(home, LANES, &[]).await;
            let relay = "SELECT last_value, (SELECT owner FROM shardloom.lease WHERE name = 'relay' \
                         AND expires_at > clock_timestamp()) FROM shardloom.commit_seq";
            let relay = self.query(home, relay, &[]).await.ok().and_then(|rows| rows.into_iter().next());
            for target in self.store.shards().filter(|target| *target != home) {
                let mut lane = LaneRow {
                    home: self.store.name(home).to_owned(),
                    target: self.store.name(target).to_owned(),
                    pending: 0,
                    oldest_ms: 0,
                    last_commit_seq: relay.as_ref().map_or(0, |row| row.get(0)),
                    dead: 0,
                    parked: 0,
                    state: if facts.is_ok() { "ok" } else { "home away" }.to_owned(),
                    gate_open: self.gate(target).is_open(),
                    owner: relay.as_ref().and_then(|row| row.get(1)),
                };
                let name = self.store.name(target);
                if let Some(row) = facts.iter().flatten().find(|row| row.get::<_, String>(0) == name) {
                    fill(&mut lane, row);
                }
                if paused.iter().any(|paused| paused.home == lane.home && paused.target == lane.target) {
                    "paused".clone_into(&mut lane.state);
                }
                lanes.push(lane);
            }
        }
        lanes
    }

    pub(super) async fn query(
        &self,
        shard: ShardId,
        sql: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let client = self.store.connect(shard).await?;
        client.query(sql, parameters).await.map_err(self.store.at(shard))
    }
}

fn fill(lane: &mut LaneRow, row: &Row) {
    lane.pending = row.get(1);
    lane.oldest_ms = row.get(2);
    lane.dead = row.get(3);
    lane.parked = row.get(4);
    let blocked: i64 = row.get(5);
    lane.state = match (blocked, lane.dead, lane.pending) {
        (1.., _, _) => "blocked",
        (_, 1.., _) => "attention",
        (_, _, 1..) => "behind",
        (_, _, _) => "ok",
    }
    .to_owned();
}

fn ledger_row(home: &str, row: &Row) -> LedgerRow {
    LedgerRow {
        txid: row.get(0),
        home: home.to_owned(),
        state: row.get(1),
        mode: row.get(2),
        kind: row.get(3),
        targets: row.get(4),
        finished_targets: row.get(5),
        home_rows: row.get(6),
        commit_seq: row.get(7),
        proxy: row.get(8),
        user: row.get(9),
        created_at: row.get(10),
        finished_at: row.get(11),
    }
}

fn target_row(row: &Row) -> TargetRow {
    TargetRow {
        target: row.get(0),
        state: row.get(1),
        attempts: row.get(2),
        expected_rows: row.get(3),
        affected_rows: row.get(4),
        drift: row.get(5),
        last_sqlstate: row.get(6),
        last_error: row.get(7),
        applied_at: row.get(8),
    }
}
