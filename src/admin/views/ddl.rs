//! Statements that run shard by shard: how far each shard is.

use crate::outbox::{DdlRow, ShardRunState};
use crate::proxy::Proxy;
use crate::types::Refusal;

/// The columns of `SHOW DDL`.
pub const DDL_COLUMNS: &[&str] = &[
    "id",
    "shard",
    "state",
    "statement",
    "sqlstate",
    "error",
    "leftover",
    "user",
    "proxy",
    "started_at",
    "updated_at",
];

/// Lists them shard by shard, the newest statement first.
///
/// # Errors
/// When home does not answer.
pub async fn ddl(proxy: &Proxy) -> Result<Vec<DdlRow>, Refusal> {
    let home = proxy.rules.load().rules.home;
    proxy.outbox.shard_runs(home).await.map_err(|error| error.refusal())
}

/// Forgets one; returns how many shards it had.
///
/// # Errors
/// When there is none of that number, or home does not answer.
pub async fn forget_ddl(proxy: &Proxy, id: i64, reason: &str, actor: &str) -> Result<u64, Refusal> {
    let home = proxy.rules.load().rules.home;
    proxy.outbox.forget_shard_run(home, id, reason, actor).await.map_err(|error| error.refusal())
}

/// Returns the statements that are not done on every shard, with the shards that lack them.
pub fn unfinished(rows: &[DdlRow]) -> Vec<(i64, Vec<&str>)> {
    let mut found: Vec<(i64, Vec<&str>)> = Vec::new();
    for row in rows.iter().filter(|row| row.state != ShardRunState::Done.name()) {
        match found.last_mut() {
            Some((id, shards)) if *id == row.id => shards.push(&row.shard),
            Some(_) | None => found.push((row.id, vec![&row.shard])),
        }
    }
    found
}
