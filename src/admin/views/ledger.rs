//! The write ledger: transactions, dead letters and lanes, as the outbox tells them; and an operator's changes.

use serde::Serialize;

use crate::outbox::{
    CompensationRow, DeadLetterRow, LaneChange, LaneRow, LedgerDetail, LedgerFilter, LedgerRow, PausedRow,
};
use crate::proxy::Proxy;
use crate::types::{Refusal, ShardId, SqlState};

/// The columns of `SHOW LEDGER`.
pub const LEDGER_COLUMNS: &[&str] =
    &["txid", "home", "state", "mode", "kind", "targets", "finished_targets", "home_rows", "created_at", "finished_at"];

/// The columns of `SHOW DEAD LETTERS`.
pub const DEAD_LETTER_COLUMNS: &[&str] = &["txid", "home", "target", "sqlstate", "error", "keys", "parked", "died_at"];

/// The columns of `SHOW COMPENSATIONS`.
pub const COMPENSATION_COLUMNS: &[&str] =
    &["txid", "home", "state", "compensated_by", "attempts", "sqlstate", "error", "actor", "reason", "updated_at"];

/// The columns of `SHOW LANES`.
pub const LANE_COLUMNS: &[&str] =
    &["home", "target", "state", "pending", "oldest_ms", "dead", "parked", "last_commit_seq", "gate_open", "owner"];

/// The columns of `targets ls`.
pub const PAUSED_COLUMNS: &[&str] = &["target", "home", "since", "actor", "reason"];

/// The columns of what `targets pause` and `targets resume` say.
pub const LANE_CHANGE_COLUMNS: &[&str] = &["home", "state", "error"];

/// The states that a transaction may be asked for by.
const STATES: [&str; 4] = ["OPEN", "ATTENTION", "DONE", "ABORTED"];

/// Target states that no operator need decide.
const SETTLED: [&str; 4] = ["APPLIED", "SKIPPED", "RESYNCED", "COMPENSATED"];

/// What an operator can do to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerVerb {
    /// Try its unfinished targets again.
    Retry,
    /// Give them up.
    Skip,
}

/// Who changes what, and why.
#[derive(Debug, Clone, Copy)]
pub struct LedgerChange<'a> {
    /// The transaction.
    pub txid: i64,
    /// Only this target shard; else all that are not finished.
    pub target: Option<&'a str>,
    /// Why, for the audit.
    pub reason: &'a str,
    /// Who, for the audit.
    pub actor: &'a str,
}

/// What takes a transaction back.
#[derive(Debug, Serialize)]
pub struct CompensatedView {
    /// The transaction that does; its targets follow.
    pub compensated_by: i64,
}

/// What came of a change.
#[derive(Debug, Serialize)]
pub struct ChangeView {
    /// How many targets were changed.
    pub changed: usize,
}

/// Lists transactions, newest first; fails with `22023` for a state that does not exist.
pub async fn ledger(proxy: &Proxy, state: Option<&str>, limit: u32) -> Result<Vec<LedgerRow>, Refusal> {
    let state = state.map(known_state).transpose()?;
    Ok(proxy.outbox.ledger(LedgerFilter { state, limit: limit as usize, txid: None }).await)
}

/// Shows one transaction; fails with `42704` if no shard that answers knows it.
pub async fn ledger_entry(proxy: &Proxy, txid: i64) -> Result<LedgerDetail, Refusal> {
    proxy.outbox.ledger_show(txid).await.ok_or_else(|| {
        Refusal::new(SqlState::UNDEFINED_OBJECT, format!("no ledger entry {txid} on the shards that answer"))
            .with_hint("SHOW LEDGER lists the newest; finished ones are removed after a while.")
    })
}

/// Lists what waits for an operator's decision.
pub async fn dead_letters(proxy: &Proxy) -> Vec<DeadLetterRow> {
    proxy.outbox.dead_letters().await
}

/// Lists what was taken back, or could not be yet, the newest first.
pub async fn compensations(proxy: &Proxy, limit: u32) -> Vec<CompensationRow> {
    proxy.outbox.compensations(i64::from(limit)).await
}

/// Takes a transaction back by what its tables declare.
///
/// # Errors
/// `22023` where nothing was declared, without a reason, or if it is taken back already; else what home answers.
pub async fn compensate(proxy: &Proxy, txid: i64, reason: &str, actor: &str) -> Result<CompensatedView, Refusal> {
    let by = proxy.next_txid()?;
    let compensated_by = proxy.outbox.compensate(txid, by, reason, actor).await.map_err(|error| error.refusal())?;
    Ok(CompensatedView { compensated_by })
}

/// Lists lanes with their backlog.
pub async fn lanes(proxy: &Proxy) -> Vec<LaneRow> {
    proxy.outbox.lanes().await
}

/// Lists lanes that stand still.
pub async fn paused(proxy: &Proxy) -> Vec<PausedRow> {
    proxy.outbox.paused_targets().await
}

/// Lets the replay to a shard stand still, or go on.
///
/// # Errors
/// `22023` for a shard that does not exist, or without a reason.
pub async fn pause(
    proxy: &Proxy,
    target: &str,
    pause: bool,
    reason: &str,
    actor: &str,
) -> Result<Vec<LaneChange>, Refusal> {
    let target = shard(proxy, target)?;
    proxy.outbox.change_lanes(target, pause, reason, actor).await.map_err(|error| error.refusal())
}

/// Changes targets of one transaction.
pub async fn change(proxy: &Proxy, verb: LedgerVerb, change: LedgerChange<'_>) -> Result<ChangeView, Refusal> {
    let target = change.target.map(|name| shard(proxy, name)).transpose()?;
    let changed = match verb {
        LedgerVerb::Retry => proxy
            .outbox
            .retry(change.txid, target, change.reason, change.actor)
            .await
            .map_err(|error| error.refusal())?,
        LedgerVerb::Skip => skip(proxy, change, target).await?,
    };
    Ok(ChangeView { changed })
}

async fn skip(proxy: &Proxy, change: LedgerChange<'_>, target: Option<ShardId>) -> Result<usize, Refusal> {
    let targets = match target {
        Some(target) => vec![target],
        None => unsettled(proxy, change.txid).await?,
    };
    for target in &targets {
        proxy.outbox.skip(change.txid, *target, change.reason, change.actor).await.map_err(|error| error.refusal())?;
    }
    Ok(targets.len())
}

async fn unsettled(proxy: &Proxy, txid: i64) -> Result<Vec<ShardId>, Refusal> {
    let detail = ledger_entry(proxy, txid).await?;
    let open = detail.targets.iter().filter(|target| !SETTLED.contains(&target.state.as_str()));
    open.map(|target| shard(proxy, &target.target)).collect()
}

fn shard(proxy: &Proxy, name: &str) -> Result<ShardId, Refusal> {
    proxy.rules.load().rules.shard_by_name(name).ok_or_else(|| {
        Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("no shard \"{name}\" in the rules"))
            .with_hint("SHOW SHARDS lists them.")
    })
}

fn known_state(state: &str) -> Result<String, Refusal> {
    let upper = state.to_ascii_uppercase();
    if STATES.contains(&upper.as_str()) {
        return Ok(upper);
    }
    Err(Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("no ledger state \"{state}\""))
        .with_hint("The states are open, attention, done and aborted."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_in_any_case_and_others_are_refused() {
        assert_eq!(known_state("open").unwrap(), "OPEN");
        assert_eq!(known_state("Attention").unwrap(), "ATTENTION");
        assert_eq!(known_state("opened").unwrap_err().state, SqlState::INVALID_PARAMETER_VALUE);
    }
}
