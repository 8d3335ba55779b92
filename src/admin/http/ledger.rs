//! The write ledger over HTTP: look, retry, skip, take back.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::error::ApiError;
use super::handlers::Handle;
use crate::admin::views::{self, ChangeView, CompensatedView, LedgerChange, LedgerVerb};
use crate::outbox::{CompensationRow, DdlRow, DeadLetterRow, LaneChange, LaneRow, LedgerDetail, LedgerRow, PausedRow};
use crate::proxy::Proxy;
use crate::types::{Refusal, SqlState};

/// The most entries of one answer.
pub(super) const ENTRIES_MAX: u32 = 1000;

/// Entries of one answer unless asked otherwise.
pub(super) const ENTRIES_DEFAULT: u32 = 100;

/// Who changes the ledger here, for the audit: the admin address knows one operator.
pub(super) const ACTOR: &str = "admin-http";

/// Which entries are wanted.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    state: Option<String>,
    limit: Option<u32>,
}

/// What a change says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    reason: String,
    target: Option<String>,
}

/// Why a shard gets nothing replayed, or does again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    reason: String,
}

/// Lists transactions, newest first.
pub async fn list(State(proxy): Handle, Query(wanted): Query<Wanted>) -> Result<Json<Vec<LedgerRow>>, ApiError> {
    let limit = wanted.limit.unwrap_or(ENTRIES_DEFAULT).clamp(1, ENTRIES_MAX);
    Ok(Json(views::ledger(&proxy, wanted.state.as_deref(), limit).await?))
}

/// Shows one transaction.
pub async fn show(State(proxy): Handle, Path(txid): Path<i64>) -> Result<Json<LedgerDetail>, ApiError> {
    Ok(Json(views::ledger_entry(&proxy, txid).await?))
}

/// Replays dead or parked targets again.
pub async fn retry(
    State(proxy): Handle,
    Path(txid): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<ChangeView>, ApiError> {
    apply(&proxy, txid, LedgerVerb::Retry, &change).await
}

/// Gives targets up.
pub async fn skip(
    State(proxy): Handle,
    Path(txid): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<ChangeView>, ApiError> {
    apply(&proxy, txid, LedgerVerb::Skip, &change).await
}

/// Takes a transaction back.
pub async fn compensate(
    State(proxy): Handle,
    Path(txid): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<CompensatedView>, ApiError> {
    let reason = given_reason(&change)?;
    if change.target.is_some() {
        let refusal = Refusal::new(SqlState::INVALID_PARAMETER_VALUE, "a transaction is taken back on all shards");
        return Err(ApiError(refusal.with_hint("Leave the target out.")));
    }
    Ok(Json(views::compensate(&proxy, txid, reason, ACTOR).await?))
}

/// Lists what was taken back, or could not be yet.
pub async fn compensations(State(proxy): Handle) -> Json<Vec<CompensationRow>> {
    Json(views::compensations(&proxy, ENTRIES_MAX).await)
}

/// Lists what could not be replayed.
pub async fn dead_letters(State(proxy): Handle) -> Json<Vec<DeadLetterRow>> {
    Json(views::dead_letters(&proxy).await)
}

/// Lists statements that run shard by shard.
pub async fn ddl(State(proxy): Handle) -> Result<Json<Vec<DdlRow>>, ApiError> {
    Ok(Json(views::ddl(&proxy).await?))
}

/// Lists lanes with their backlog.
pub async fn lanes(State(proxy): Handle) -> Json<Vec<LaneRow>> {
    Json(views::lanes(&proxy).await)
}

/// Lists lanes that stand still.
pub async fn paused(State(proxy): Handle) -> Json<Vec<PausedRow>> {
    Json(views::paused(&proxy).await)
}

/// Lets the replay to a shard stand still.
pub async fn pause(
    State(proxy): Handle,
    Path(target): Path<String>,
    Json(change): Json<Stop>,
) -> Result<Json<Vec<LaneChange>>, ApiError> {
    Ok(Json(views::pause(&proxy, &target, true, &change.reason, ACTOR).await?))
}

/// Lets the replay to a shard go on.
pub async fn resume(
    State(proxy): Handle,
    Path(target): Path<String>,
    Json(change): Json<Stop>,
) -> Result<Json<Vec<LaneChange>>, ApiError> {
    Ok(Json(views::pause(&proxy, &target, false, &change.reason, ACTOR).await?))
}

async fn apply(proxy: &Proxy, txid: i64, verb: LedgerVerb, change: &Change) -> Result<Json<ChangeView>, ApiError> {
    let reason = given_reason(change)?;
    let change = LedgerChange { txid, target: change.target.as_deref(), reason, actor: ACTOR };
    Ok(Json(views::change(proxy, verb, change).await?))
}

fn given_reason(change: &Change) -> Result<&str, ApiError> {
    if change.reason.trim().is_empty() {
        let refusal = Refusal::new(SqlState::INVALID_PARAMETER_VALUE, "a change of the ledger needs a reason");
        return Err(ApiError(refusal.with_hint("It is written to the audit table.")));
    }
    Ok(&change.reason)
}
