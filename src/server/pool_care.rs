//! Once a second, each worker looks after its own pools: old connections are closed, those of a dead shard too, and
//! the figures are published for the console.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::backend::{PoolStats, Pools};
use crate::proxy::{PoolFigures, Proxy, ShardState};
use crate::types::ShardId;

/// The pace: figures on the console are at most this old.
const CARE_EVERY: Duration = Duration::from_secs(1);

/// Looks after the pools of `worker` until cancelled.
pub async fn care(worker: usize, proxy: &Proxy, pools: &Pools) {
    let mut pace = interval(CARE_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        pools.sweep();
        close_dead(proxy, pools);
        publish(worker, proxy, pools);
    }
}

/// Connections at rest to a server that went down are dead; the next statement makes a new one.
fn close_dead(proxy: &Proxy, pools: &Pools) {
    for (index, shard) in proxy.rules.load().rules.shards.iter().enumerate() {
        if matches!(proxy.health.state(&shard.name).0, ShardState::Down(_)) {
            pools.close_idle(ShardId(index as u16));
        }
    }
}

fn publish(worker: usize, proxy: &Proxy, pools: &Pools) {
    let rules = &proxy.rules.load().rules;
    let figures = |stats: PoolStats| PoolFigures {
        shard: rules.shard(stats.shard).name.clone(),
        database: stats.database,
        user: stats.user,
        active: stats.active,
        idle: stats.idle,
        waiting: stats.waiting,
        wait_ms_max: stats.wait_ms_max,
    };
    proxy.pools.publish(worker, pools.stats().into_iter().map(figures).collect());
}
