//! Server connections.

use serde::Serialize;

use crate::proxy::Proxy;

/// One pool of one worker.
#[derive(Debug, Serialize)]
pub struct PoolView {
    /// The worker that owns it.
    pub worker: usize,
    /// The shard's name.
    pub shard: String,
    /// The database there.
    pub database: String,
    /// The role there.
    pub user: String,
    /// Connections lent to clients.
    pub active: usize,
    /// Connections at rest.
    pub idle: usize,
    /// Clients that wait for one.
    pub waiting: usize,
    /// The longest wait of those, in milliseconds.
    pub wait_ms_max: u64,
}

/// Returns the pools as the workers published them last, by worker.
pub fn pools(proxy: &Proxy) -> Vec<PoolView> {
    let view = |(worker, pool): (usize, crate::proxy::PoolFigures)| PoolView {
        worker,
        shard: pool.shard,
        database: pool.database,
        user: pool.user,
        active: pool.active,
        idle: pool.idle,
        waiting: pool.waiting,
        wait_ms_max: pool.wait_ms_max,
    };
    proxy.pools.list().into_iter().map(view).collect()
}
