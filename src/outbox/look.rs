//! What operators look at besides the ledger: the audit's record of changes, and transactions in doubt. Reads only.

use serde::Serialize;

use super::error::Error;
use super::handle::Outbox;
use super::ledger::{GID_PREFIX, Gid};

/// One change that an operator made.
#[derive(Debug, Clone, Serialize)]
pub struct AuditRow {
    /// When, ISO 8601.
    pub at: String,
    /// The shard that has the record: the home of what was changed.
    pub home: String,
    /// Who.
    pub actor: String,
    /// What was done: `retry`, `skip`, `resync`, …
    pub verb: String,
    /// To what.
    pub subject: String,
    /// How it was.
    pub before: Option<String>,
    /// How it is since.
    pub after: Option<String>,
    /// Why.
    pub reason: String,
}

/// One transaction whose outcome somebody still has to find out.
#[derive(Debug, Clone, Serialize)]
pub struct DoubtRow {
    /// The transaction.
    pub txid: i64,
    /// The shard whose ledger decides.
    pub home: String,
    /// The shard on which it is prepared; empty where home's COMMIT was not answered.
    pub target: String,
    /// `commit unanswered` (this process asks home until it answers), `prepared`, or `lost by home`: the target has
    /// applied it, and home's ledger does not know it.
    pub kind: &'static str,
    /// For how long it is prepared or applied, in milliseconds.
    pub age_ms: Option<i64>,
}

const AUDIT: &str = "SELECT to_char(at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), actor, verb, subject, before, after, reason \
     FROM shardloom.audit ORDER BY id DESC LIMIT $1";

const PREPARED: &str = "SELECT gid, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint \
     FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, $1) ORDER BY prepared";

impl Outbox {
    /// Returns what operators changed, the newest first, at most `limit` of all shards that can be reached.
    pub async fn audit_log(&self, limit: u32) -> Vec<AuditRow> {
        let mut rows = Vec::new();
        for home in self.store.shards() {
            let found = self.query(home, AUDIT, &[&i64::from(limit)]).await;
            let found = found.unwrap_or_else(|error| unread(&error));
            rows.extend(found.iter().map(|row| AuditRow {
                at: row.get(0),
                home: self.store.name(home).to_owned(),
                actor: row.get(1),
                verb: row.get(2),
                subject: row.get(3),
                before: row.get(4),
                after: row.get(5),
                reason: row.get(6),
            }));
        }
        rows.sort_by(|one, two| two.at.cmp(&one.at));
        rows.truncate(limit as usize);
        rows
    }

    /// Returns what is in doubt: COMMITs of this process that home has not answered, and our prepared transactions on
    /// all shards that can be reached, and what targets have applied within the last hour that home does not know.
    pub async fn doubts(&self) -> Vec<DoubtRow> {
        let unanswered = |(txid, home)| DoubtRow {
            txid,
            home: self.store.name(home).to_owned(),
            target: String::new(),
            kind: "commit unanswered",
            age_ms: None,
        };
        let mut rows: Vec<DoubtRow> = self.flights.doubts().into_iter().map(unanswered).collect();
        for target in self.store.shards() {
            let found = self.query(target, PREPARED, &[&GID_PREFIX]).await;
            let found = found.unwrap_or_else(|error| unread(&error));
            rows.extend(found.iter().filter_map(|row| {
                let gid = Gid::parse(row.get(0))?;
                let target = self.store.name(target).to_owned();
                Some(DoubtRow { txid: gid.txid, home: gid.home, target, kind: "prepared", age_ms: row.get(1) })
            }));
        }
        for (home, target) in self.store.shards().flat_map(|home| self.store.shards().map(move |target| (home, target)))
        {
            let lost = if home == target { Ok(Vec::new()) } else { self.lost_by_home(home, target).await };
            rows.extend(lost.unwrap_or_default().into_iter().map(|(txid, age)| DoubtRow {
                txid,
                home: self.store.name(home).to_owned(),
                target: self.store.name(target).to_owned(),
                kind: "lost by home",
                age_ms: Some(age),
            }));
        }
        rows
    }
}

fn unread(error: &Error) -> Vec<tokio_postgres::Row> {
    tracing::debug!(%error, "a shard was left out of a report");
    Vec::new()
}
