//! Which path does what. The guard stands before all of them; probes and metrics included.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use super::guard::{Asked, Guard};
use super::{error, handlers, ledger, tables};
use crate::proxy::Proxy;

/// Makes the routes of the admin address.
pub fn router(proxy: Arc<Proxy>, guard: Guard) -> Router {
    let api = Router::new()
        .route("/status", get(handlers::status))
        .route("/shards", get(handlers::shards))
        .route("/pools", get(handlers::pools))
        .route("/clients", get(handlers::clients))
        .route("/routes", get(handlers::routes))
        .route("/rules", get(handlers::rules))
        .route("/config", get(handlers::config))
        .route("/version", get(handlers::version))
        .route("/reload", post(handlers::reload))
        .route("/ids", get(handlers::ids))
        .route("/ids/{tag}", get(handlers::next_ids))
        .route("/ledger", get(ledger::list))
        .route("/ledger/{txid}", get(ledger::show))
        .route("/ledger/{txid}/retry", post(ledger::retry))
        .route("/ledger/{txid}/skip", post(ledger::skip))
        .route("/ledger/{txid}/compensate", post(ledger::compensate))
        .route("/compensations", get(ledger::compensations))
        .route("/tables/{table}/verify", post(tables::verify))
        .route("/tables/{table}/resync", post(tables::resync))
        .route("/audit", get(tables::audit))
        .route("/in-doubt", get(tables::in_doubt))
        .route("/dead-letters", get(ledger::dead_letters))
        .route("/ddl", get(ledger::ddl))
        .route("/lanes", get(ledger::lanes))
        .route("/targets", get(ledger::paused))
        .route("/targets/{shard}/pause", post(ledger::pause))
        .route("/targets/{shard}/resume", post(ledger::resume));
    Router::new()
        .route("/", get(handlers::index))
        .route("/healthz", get(handlers::healthz))
        .route("/readyz", get(handlers::readyz))
        .route("/metrics", get(handlers::metrics))
        .nest("/api/v1", api)
        .fallback(handlers::not_found)
        .layer(middleware::from_fn_with_state(Arc::new(guard), admit))
        .with_state(proxy)
}

async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let asked = Asked {
        host: text(headers, &HOST),
        origin: text(headers, &ORIGIN),
        authorization: text(headers, &AUTHORIZATION),
    };
    match guard.check(asked) {
        Ok(()) => error::in_our_shape(next.run(request).await).await,
        Err(denied) => error::denied(denied),
    }
}

/// A header that is not text, or is there twice, counts as foreign: `?` is no machine's name.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { Some("?") } else { Some(first.to_str().unwrap_or("?")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_given_twice_is_nobodys_name() {
        let mut headers = HeaderMap::new();
        assert_eq!(text(&headers, &HOST), None);
        headers.append(HOST, "localhost".parse().unwrap());
        assert_eq!(text(&headers, &HOST), Some("localhost"));
        headers.append(HOST, "evil.example".parse().unwrap());
        assert_eq!(text(&headers, &HOST), Some("?"));
    }
}
