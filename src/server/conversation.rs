//! What one worker's clients share, and the way of a client from the listener to its session.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::backend::{PoolSettings, Pools};
use crate::execute::{Limits, Plans, Worker};
use crate::proxy::Proxy;
use crate::session;

/// How long a write waits for the redo of what was lost on its shard: a start installs the schema first, and a home
/// that does not answer is given up after the same time (`OutboxBounds::gate_home_wait`).
const GATE_WAIT: Duration = Duration::from_secs(10);

/// What one worker's clients share. Belongs to the worker's thread.
#[derive(Clone)]
pub struct Conversations {
    worker: Rc<Worker>,
}

impl Conversations {
    /// Makes what the clients of one worker share; each worker has its share of the server connections.
    pub fn new(proxy: Arc<Proxy>) -> Self {
        let pools = Pools::new(pool_settings(&proxy));
        let limits = &proxy.config.limits;
        let plans = Plans::new(limits.plan_cache, limits.plan_cache_text, Arc::clone(&proxy.metrics));
        let limits = Limits {
            gate_wait: GATE_WAIT.max(limits.wait_timeout),
            cross_shard_lock_timeout: limits.cross_shard_lock_timeout,
            wait_timeout: limits.wait_timeout,
            group_rows: limits.group_rows,
        };
        Self { worker: Rc::new(Worker::new(proxy, pools, plans, limits)) }
    }

    /// Serves one client until it leaves or the drain closes it.
    pub async fn run(&self, client: TcpStream) {
        session::run(client, Rc::clone(&self.worker)).await;
    }

    /// Returns this worker's server connections.
    pub fn pools(&self) -> &Pools {
        &self.worker.pools
    }
}

/// Splits the configured sizes evenly among the workers, at least one connection each.
fn pool_settings(proxy: &Proxy) -> PoolSettings {
    let pool = &proxy.config.pool;
    let workers = proxy.workers().max(1);
    PoolSettings {
        size: pool.size.div_ceil(workers).max(1),
        reserve: pool.reserve / workers,
        wait: pool.wait,
        idle: pool.idle,
        lifetime: pool.lifetime,
        connect_timeout: proxy.config.limits.connect_timeout,
        statements: proxy.config.limits.server_statements,
        ..PoolSettings::default()
    }
}
