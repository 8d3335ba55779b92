//! Users who are not in the configuration: their secrets are asked of home by `auth.query`, as PgBouncer does.
//!
//! The service role asks, on a connection of this worker's pools, so that their bounds hold for logins too.

use std::sync::Arc;

use tracing::warn;

use crate::backend::{Ask, BackendError, ServerTarget, SettingsTag};
use crate::config::Config;
use crate::execute::Worker;
use crate::proxy::Candidate;
use crate::types::{Refusal, SqlState};

/// What brings a connection back to its start.
const RESET: &str = "DISCARD ALL";

/// Returns who `name` is: of the configuration, remembered, or as home says now. Fails with `57P03` when home cannot say.
pub(super) async fn candidate(worker: &Worker, name: &str) -> Result<Candidate, Refusal> {
    let logins = &worker.proxy.logins;
    let listed = logins.find(name);
    let live = worker.proxy.live.load();
    let Some(query) = live.auth.query.as_deref().filter(|_| listed.user.is_none()) else { return Ok(listed) };
    let now = worker.proxy.clock.monotonic();
    if let Some(candidate) = logins.remembered(name, now) {
        return Ok(candidate);
    }
    match stored_secret(worker, &live, query, name).await {
        Ok(stored) => Ok(logins.remember(name, stored.as_deref(), now + live.auth.cache_ttl)),
        Err(error) => {
            warn!(%error, "the query of auth failed");
            let message = "the password cannot be looked up: home did not answer the query of auth";
            Err(Refusal::new(SqlState::CANNOT_CONNECT_NOW, message).with_hint("The log of the proxy has the reason."))
        }
    }
}

/// Asks for the secret of `name`; `None` if there is no such user or it has no password.
async fn stored_secret(
    worker: &Worker,
    config: &Config,
    query: &str,
    name: &str,
) -> Result<Option<String>, BackendError> {
    let target = target(worker, config);
    let mut server = worker.pools.checkout(&target).await?;
    if server.settings != SettingsTag::default() {
        // A client of the same role may have left a search_path: the question must mean what the operator wrote.
        server.simple(RESET).await?;
        server.forget_session(RESET);
    }
    let row = server.ask(Ask { sql: query, parameter: name }).await;
    worker.pools.checkin(server);
    Ok(row?.and_then(|row| row.into_iter().nth(1).flatten()))
}

fn target(worker: &Worker, config: &Config) -> Arc<ServerTarget> {
    let rules = &worker.proxy.rules.load().rules;
    let (home, service) = (rules.shard(rules.home), &worker.proxy.config.service);
    Arc::new(ServerTarget {
        shard: rules.home,
        shard_name: home.name.as_str().into(),
        host: home.host.clone(),
        port: home.port,
        database: config.auth.dbname.clone().unwrap_or_else(|| home.database.clone()),
        user: service.user.clone(),
        encoding: Some("UTF8"),
        tls: worker.server_tls(),
        password: service.password.clone(),
        keys: None,
        oids: Arc::default(),
    })
}
