//! Reference tables over HTTP: compare, copy again; the audit and what is in doubt.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::error::ApiError;
use super::handlers::Handle;
use super::ledger::{ACTOR, ENTRIES_DEFAULT, ENTRIES_MAX};
use crate::admin::views::{self, ResyncWanted};
use crate::outbox::{AuditRow, DoubtRow, Resynced, VerifyReport};

/// What a resync says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resync {
    reason: String,
    target: Option<String>,
    keys: Option<Vec<String>>,
}

/// How much of the audit is wanted.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    limit: Option<u32>,
}

/// Compares the copies of a reference table with home.
pub async fn verify(State(proxy): Handle, Path(table): Path<String>) -> Result<Json<VerifyReport>, ApiError> {
    Ok(Json(views::verify(&proxy, &table).await?))
}

/// Copies a reference table, or rows of it, from home again.
pub async fn resync(
    State(proxy): Handle,
    Path(table): Path<String>,
    Json(wanted): Json<Resync>,
) -> Result<Json<Resynced>, ApiError> {
    let wanted = ResyncWanted {
        table: &table,
        target: wanted.target.as_deref(),
        keys: wanted.keys.as_deref(),
        reason: &wanted.reason,
        actor: ACTOR,
    };
    Ok(Json(views::resync(&proxy, wanted).await?))
}

/// Lists what operators changed.
pub async fn audit(State(proxy): Handle, Query(wanted): Query<Wanted>) -> Json<Vec<AuditRow>> {
    Json(views::audit(&proxy, wanted.limit.unwrap_or(ENTRIES_DEFAULT).clamp(1, ENTRIES_MAX)).await)
}

/// Lists transactions whose outcome is still to be found out.
pub async fn in_doubt(State(proxy): Handle) -> Json<Vec<DoubtRow>> {
    Json(views::in_doubt(&proxy).await)
}
