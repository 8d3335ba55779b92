//! Reference tables and their copies: compare, copy again; what operators changed, and what is in doubt.

use std::time::Duration;

use crate::outbox::{AuditRow, DoubtRow, Error, Resynced, VerifyReport};
use crate::proxy::Proxy;
use crate::types::{Refusal, ShardId, SqlState};

/// The columns of `SHOW AUDIT`.
pub const AUDIT_COLUMNS: &[&str] = &["at", "home", "actor", "verb", "subject", "before", "after", "reason"];

/// The columns of `SHOW INDOUBT`.
pub const DOUBT_COLUMNS: &[&str] = &["txid", "home", "target", "kind", "age_ms"];

/// How long a comparison waits for each of its two barriers: together less than a request may take.
const BARRIER_WAIT: Duration = Duration::from_secs(10);

/// Which rows go where, and why.
#[derive(Debug, Clone, Copy)]
pub struct ResyncWanted<'a> {
    /// The reference table.
    pub table: &'a str,
    /// Only this copy; else all.
    pub target: Option<&'a str>,
    /// Only the rows with these keys, JSON objects; else the whole table.
    pub keys: Option<&'a [String]>,
    /// Why, for the audit.
    pub reason: &'a str,
    /// Who, for the audit.
    pub actor: &'a str,
}

/// Compares a reference table's copies with home.
///
/// # Errors
/// `22023` for what is no reference table, else what home answers.
pub async fn verify(proxy: &Proxy, table: &str) -> Result<VerifyReport, Refusal> {
    let txids = || proxy.next_txid().map_err(|refusal| Error::BadRecord(refusal.message));
    proxy.outbox.verify(table, BARRIER_WAIT, txids).await.map_err(|error| error.refusal())
}

/// Copies rows of a reference table from home again.
///
/// # Errors
/// `22023` for what is no reference table or shard and without a reason, else what home answers.
pub async fn resync(proxy: &Proxy, wanted: ResyncWanted<'_>) -> Result<Resynced, Refusal> {
    let rules = &proxy.rules.load().rules;
    let targets: Vec<ShardId> = match wanted.target {
        Some(name) => vec![rules.shard_by_name(name).ok_or_else(|| {
            Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("no shard \"{name}\" in the rules"))
                .with_hint("SHOW SHARDS lists them.")
        })?],
        None => (0..rules.shards.len() as u16).map(ShardId).collect(),
    };
    let txids = || proxy.next_txid().map_err(|refusal| Error::BadRecord(refusal.message));
    let why = (wanted.reason, wanted.actor);
    let done = proxy.outbox.resync(wanted.table, &targets, wanted.keys, why, txids).await;
    done.map_err(|error| error.refusal())
}

/// Lists what operators changed, the newest first.
pub async fn audit(proxy: &Proxy, limit: u32) -> Vec<AuditRow> {
    proxy.outbox.audit_log(limit).await
}

/// Lists transactions whose outcome is still to be found out.
pub async fn in_doubt(proxy: &Proxy) -> Vec<DoubtRow> {
    proxy.outbox.doubts().await
}
