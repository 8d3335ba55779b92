//! Once a second, each worker looks after its own pools: old connections are closed, those of a dead shard too, changed
//! settings taken over, and the figures published for the console.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::backend::{PoolStats, Pools};
use crate::proxy::{PoolFigures, Proxy, ShardState};

/// The pace: figures on the console are at most this old.
const CARE_EVERY: Duration = Duration::from_secs(1);

/// Looks after the pools of `worker` until cancelled.
pub async fn care(worker: usize, proxy: &Proxy, pools: &Pools) {
    tokio::join!(pools.attend(), keep_house(worker, proxy, pools));
}

async fn keep_house(worker: usize, proxy: &Proxy, pools: &Pools) {
    let mut pace = interval(CARE_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = proxy.live.generation();
    loop {
        pace.tick().await;
        let now = proxy.live.generation();
        if seen != now {
            seen = now;
            pools.reconfigure();
        }
        pools.sweep();
        close_dead(proxy, pools);
        pools.warm_up().await;
        publish(worker, proxy, pools);
    }
}

/// Connections at rest to a server that went down are dead; the next statement makes a new one.
fn close_dead(proxy: &Proxy, pools: &Pools) {
    for shard in &proxy.rules.load().rules.shards {
        if matches!(proxy.health.state(&shard.name).0, ShardState::Down(_)) {
            pools.close_idle(&shard.name);
        }
    }
}

fn publish(worker: usize, proxy: &Proxy, pools: &Pools) {
    proxy.pools.publish(worker, pools.stats().into_iter().map(figures).collect());
}

/// The shard goes by the name it had when the pool was made: the rules may know fewer shards by now.
fn figures(stats: PoolStats) -> PoolFigures {
    PoolFigures {
        shard: stats.shard_name,
        database: stats.database,
        user: stats.user,
        active: stats.active,
        idle: stats.idle,
        waiting: stats.waiting,
        wait_us: stats.wait_us,
        wait_ms_max: stats.wait_ms_max,
        paused: stats.paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ShardId;

    #[test]
    fn a_pool_of_a_shard_that_the_rules_no_longer_know_keeps_its_name() {
        let stats = PoolStats {
            shard: ShardId(7),
            shard_name: "gone".to_owned(),
            database: "shop".to_owned(),
            user: "app".to_owned(),
            active: 1,
            idle: 2,
            waiting: 3,
            wait_us: 4,
            wait_ms_max: 5,
            opened_total: 6,
            paused: true,
        };
        let figures = figures(stats);
        assert_eq!((figures.shard.as_str(), figures.idle, figures.paused), ("gone", 2, true));
    }
}
