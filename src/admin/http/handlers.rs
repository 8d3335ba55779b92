//! Probes, metrics and the plain views.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::exposition;
use crate::admin::views;
use crate::proxy::{Proxy, Reloaded, until_there};
use crate::types::{Refusal, SqlState};

/// What every handler gets.
pub type Handle = State<Arc<Proxy>>;

/// The most ids that one request may ask for: the answer is some 200 KB then.
const IDS_MAX: usize = 10_000;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How many ids are wanted, and of what kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdsWanted {
    n: Option<usize>,
    /// As the id column of this table has them.
    table: Option<String>,
    /// The sharding key of their rows.
    key: Option<String>,
}

/// Where things are, in plain text.
const INDEX: &str = "Shardloom

/healthz                     the process runs
/readyz                      200 when traffic should come here, else 503; the reasons either way
/metrics                     OpenMetrics
/api/v1/status               everything on one page
/api/v1/shards  /pools  /clients  /routes  /rules  /config  /version  /ids  /lanes  /targets  /dead-letters  /compensations  /ddl
/api/v1/ledger               transactions over several shards: ?state=open|attention|done|aborted&limit=N
/api/v1/ledger/TXID          one of them with its targets
POST /api/v1/ledger/TXID/retry or /skip    {\"reason\": \"...\", \"target\": \"s1\"}
POST /api/v1/ledger/TXID/compensate        {\"reason\": \"...\"}
POST /api/v1/reload          reads the rule files again
/api/v1/ids/TAG?n=10         makes ids; &table=orders&key=42 as that table's rows of that sharding key have them

The same for people: psql to the database shardloom on the clients' port, SHOW HELP; and: shardloom --help
";

/// Says where things are.
pub async fn index() -> &'static str {
    INDEX
}

/// The process runs.
pub async fn healthz() -> Json<Value> {
    Json(json!({"ok": true}))
}

/// 200 when traffic should come here, else 503; the reasons either way.
pub async fn readyz(State(proxy): Handle) -> Response {
    let view = views::ready(&proxy);
    let status = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(view)).into_response()
}

/// All metrics in OpenMetrics' text format.
pub async fn metrics(State(proxy): Handle) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], exposition::text(&proxy)).into_response()
}

/// One page about everything.
pub async fn status(State(proxy): Handle) -> Json<views::StatusView> {
    Json(views::status(&proxy).await)
}

/// Shards in the order of the topology.
pub async fn shards(State(proxy): Handle) -> Json<Vec<views::ShardView>> {
    Json(views::shards(&proxy))
}

/// Server connections.
pub async fn pools(State(proxy): Handle) -> Json<Vec<views::PoolView>> {
    Json(views::pools(&proxy))
}

/// Connected clients.
pub async fn clients(State(proxy): Handle) -> Json<Vec<views::ClientView>> {
    Json(views::clients(&proxy))
}

/// Which way statements took.
pub async fn routes(State(proxy): Handle) -> Json<Vec<views::RouteView>> {
    Json(views::routes(&proxy))
}

/// The rules in force.
pub async fn rules(State(proxy): Handle) -> Json<views::RulesView> {
    Json(views::rules(&proxy))
}

/// The settings, without secrets.
pub async fn config(State(proxy): Handle) -> Json<Vec<views::SettingView>> {
    Json(views::config(&proxy))
}

/// The program's version.
pub async fn version() -> Json<views::VersionView> {
    Json(views::version())
}

/// Tags of generated ids and the worker lease.
pub async fn ids(State(proxy): Handle) -> Json<Vec<views::IdTagView>> {
    Json(views::ids(&proxy))
}

/// Reads the rules again.
pub async fn reload(State(proxy): Handle) -> Result<Json<Value>, ApiError> {
    let word = match proxy.requests.reload().await? {
        Reloaded::Unchanged => "unchanged",
        Reloaded::Swapped => "reloaded",
    };
    Ok(Json(json!({"rules": word, "generation": proxy.rules.generation()})))
}

/// Makes `n` ids of a tag.
pub async fn next_ids(
    State(proxy): Handle,
    Path(tag): Path<String>,
    Query(wanted): Query<IdsWanted>,
) -> Result<Json<Value>, ApiError> {
    let count = wanted.n.unwrap_or(1);
    if !(1..=IDS_MAX).contains(&count) {
        let refusal = Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("n must be from 1 to {IDS_MAX}"));
        return Err(ApiError(refusal));
    }
    let rules = Arc::clone(&proxy.rules.load().rules);
    let ids = until_there(&proxy, None, || match (&wanted.table, &wanted.key) {
        (None, None) => proxy.next_ids(&tag, count, &rules.ids),
        (None, Some(_)) => Err(key_without_table()),
        (Some(table), key) => {
            let ids = proxy.ids_of_table(&tag, (table, key.as_deref()), count, &rules)?;
            Ok(ids.into_iter().filter_map(|id| id.bigint()).collect())
        }
    });
    let ids = ids.await?;
    Ok(Json(json!({"tag": tag, "ids": ids})))
}

fn key_without_table() -> Refusal {
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, "a key has no meaning without the table whose rows it is of")
        .with_hint("Say both: table=orders&key=42.")
}

/// Any other path.
pub async fn not_found() -> ApiError {
    ApiError(
        Refusal::new(SqlState::UNDEFINED_OBJECT, "there is nothing at this path")
            .with_hint("Try /api/v1/status, /metrics, /healthz or /readyz."),
    )
}
