//! Asks every shard, once a second by default, whether it answers; changes are logged once and shown everywhere.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::link::{ServiceRole, ShardLink};
use crate::proxy::{Proxy, ShardState};
use crate::rules::Shard;

/// How long one shard has to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Probes all shards until cancelled.
pub async fn probe_all(proxy: Arc<Proxy>, role: ServiceRole) {
    let shards = proxy.rules.load().rules.shards.clone();
    let mut probes = JoinSet::new();
    for shard in shards {
        probes.spawn(probe(Arc::clone(&proxy), shard, role.clone()));
    }
    while probes.join_next().await.is_some() {}
}

async fn probe(proxy: Arc<Proxy>, shard: Shard, role: ServiceRole) {
    let mut link = ShardLink::new(&shard, &role, &proxy.connector);
    // A shard's end and return show within two of these.
    let mut pace = interval(proxy.config.limits.probe_interval);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let state = match link.probe(PROBE_TIMEOUT).await {
            Ok(()) => ShardState::Up,
            Err(error) => ShardState::Down(error),
        };
        if proxy.health.note(&shard.name, state.clone(), proxy.clock.wall_ms()) {
            announce(&proxy, &shard.name, &state);
        }
    }
}

fn announce(proxy: &Proxy, shard: &str, state: &ShardState) {
    match state {
        ShardState::Up => {
            info!(shard, "the shard answers");
            // It may have come back with other tables.
            proxy.requests.refresh_catalog();
        }
        ShardState::Down(error) => warn!(shard, error, "the shard does not answer"),
        ShardState::Unknown => {}
    }
}
