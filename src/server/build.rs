//! Puts the [`Proxy`] together: rules, outbox, ids. Connects to nothing.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::options::Options;
use super::rules_text::{lines, load};
use crate::backend::{Allowance, CancelRegistry, Roster};
use crate::config::{Ids as IdSettings, Relay};
use crate::metrics::Metrics;
use crate::outbox::{Outbox, OutboxBounds, OutboxSettings, ShardEndpoint};
use crate::proxy::{
    ClientRegistry, Drain, HealthBoard, Ids, Live, Logins, PoolBoard, Proxy, Readiness, ReloadAnswer, Requests, Rules,
    SchemaChanges, Strangers,
};
use crate::rules::RuleSet;
use crate::tls::{Acceptor, Connector};
use crate::types::{Clock, ShardId, SystemClock};

/// Builds the handles; fails with one line per finding.
pub fn build(options: &Options) -> Result<(Arc<Proxy>, mpsc::Receiver<ReloadAnswer>), Vec<String>> {
    let rules = load(&options.rules).map_err(lines)?;
    let clock = clock();
    let ids =
        Ids::new(&rules.ids, options.config.ids.worker, Arc::clone(&clock)).map_err(|error| vec![error.to_string()])?;
    let connector = Arc::new(Connector::default());
    connector.load(&options.config.server_tls).map_err(|error| vec![format!("server_tls: {error}")])?;
    let outbox = Outbox::new(outbox_settings(options, &rules, &connector), Arc::clone(&clock));
    let (requests, reloads) = Requests::new();
    let source = options.rules.directory.display().to_string();
    let config = Arc::new(options.config.clone());
    let oids = rules.shards.iter().map(|_| Arc::default()).collect();
    let proxy = Proxy {
        config: Arc::clone(&config),
        live: Live::new(config),
        allowance: Allowance::new(),
        servers: Roster::default(),
        name: options.name(),
        started: clock.monotonic(),
        logins: Logins::new(&options.config.users).map_err(|error| vec![error])?,
        rules: Rules::new(rules, source, clock.wall_ms()),
        cancels: CancelRegistry::new(),
        acceptor: Acceptor::default(),
        connector: Arc::clone(&connector),
        metrics: Arc::new(Metrics::new()),
        outbox,
        ids,
        clients: ClientRegistry::default(),
        strangers: Strangers::default(),
        schema_changes: SchemaChanges::default(),
        pools: PoolBoard::default(),
        routes: Arc::default(),
        schemas: Default::default(),
        oids,
        health: HealthBoard::default(),
        readiness: Readiness::default(),
        drain: Drain::default(),
        requests,
        clock,
    };
    proxy.acceptor.load(&options.config.listen.tls).map_err(|error| vec![format!("listen.tls: {error}")])?;
    Ok((Arc::new(proxy), reloads))
}

/// The machine's clock; a debug build that a test asks for it adds an offset.
fn clock() -> Arc<dyn Clock> {
    #[cfg(debug_assertions)]
    if let Some(clock) = super::test_clock::from_environment() {
        return clock;
    }
    Arc::new(SystemClock::new())
}

fn outbox_settings(options: &Options, rules: &RuleSet, connector: &Arc<Connector>) -> OutboxSettings {
    let config = &options.config;
    let endpoint = |(index, shard): (usize, &crate::rules::Shard)| ShardEndpoint {
        id: ShardId(index as u16),
        name: shard.name.clone(),
        host: shard.host.clone(),
        port: shard.port,
        database: shard.database.clone(),
    };
    let mut shard_roles: Vec<String> = config.users.iter().map(|user| user.shard_user.clone()).collect();
    shard_roles.sort();
    shard_roles.dedup();
    OutboxSettings {
        proxy: options.name(),
        user: config.service.user.clone(),
        password: config.service.password.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default(),
        shards: rules.shards.iter().enumerate().map(endpoint).collect(),
        home: rules.home,
        shard_roles,
        connector: Arc::clone(connector),
        bounds: bounds(&config.relay, config.ids),
    }
}

/// The file's bounds of the relay; the others are the outbox's own.
fn bounds(relay: &Relay, ids: IdSettings) -> OutboxBounds {
    OutboxBounds {
        worker_lease: ids.lease,
        worker_reserve: ids.reserve,
        poll_max: relay.poll,
        batch: i64::try_from(relay.batch).unwrap_or(i64::MAX),
        batch_bytes: i64::try_from(relay.batch_bytes).unwrap_or(i64::MAX),
        backoff_min: relay.retry_min,
        backoff_max: relay.retry_max,
        attempts_max: i32::try_from(relay.attempts).unwrap_or(i32::MAX),
        ledger_grace: relay.keep,
        key_grace: relay.keep_keys,
        backlog_max: relay.backlog,
        backlog_warning: relay.backlog_warning,
        apply_timeout: relay.apply_timeout,
        home_timeout: relay.apply_timeout / 2,
        ..OutboxBounds::default()
    }
}
