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
    /// The longest wait so far, in milliseconds.
    pub wait_ms_max: u64,
    /// As `active`, by PgBouncer's name.
    pub sv_active: usize,
    /// As `idle`, by PgBouncer's name.
    pub sv_idle: usize,
    /// As `waiting`, by PgBouncer's name.
    pub cl_waiting: usize,
    /// How long the first client that waits has done so, whole seconds.
    pub maxwait: u64,
    /// The microseconds beyond `maxwait`.
    pub maxwait_us: u64,
    /// How long connections are lent.
    pub pool_mode: &'static str,
    /// Whether nothing is lent now.
    pub paused: bool,
}

/// The columns of SHOW POOLS.
pub const POOL_COLUMNS: &[&str] = &[
    "worker",
    "shard",
    "database",
    "user",
    "sv_active",
    "sv_idle",
    "cl_waiting",
    "wait_ms_max",
    "maxwait",
    "maxwait_us",
    "pool_mode",
    "paused",
];

/// A second in microseconds.
const SECOND_US: u64 = 1_000_000;

/// Returns the pools as the workers published them last, by worker.
pub fn pools(proxy: &Proxy) -> Vec<PoolView> {
    let view = |(worker, pool): (usize, crate::proxy::PoolFigures)| PoolView {
        worker,
        pool_mode: mode(proxy, &pool),
        sv_active: pool.active,
        sv_idle: pool.idle,
        cl_waiting: pool.waiting,
        maxwait: pool.wait_us / SECOND_US,
        maxwait_us: pool.wait_us % SECOND_US,
        paused: pool.paused,
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

/// Returns the mode of the pool's role and database; clients may reach a role as several users.
fn mode(proxy: &Proxy, pool: &crate::proxy::PoolFigures) -> &'static str {
    let config = proxy.live.load();
    let rules = &proxy.rules.load().rules;
    let sharded = rules.shards.iter().any(|shard| shard.name == pool.shard && shard.database == pool.database);
    let database = if sharded { &rules.database } else { &pool.database };
    let user = config.users.iter().find(|user| user.shard_user == pool.user).map_or(&*pool.user, |user| &user.name);
    config.mode_of(user, database).word()
}
