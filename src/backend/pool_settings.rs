//! How a pool behaves, and what it says of itself.

use std::time::Duration;

use super::allowance::Bounds;
use super::statements::STATEMENTS_MAX;
use crate::types::ShardId;

/// How a pool behaves; sizes count over all workers, per (shard, database, user).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// The database as clients name it; the server's own name for it by default.
    pub group: Option<String>,
    /// The most connections.
    pub size: usize,
    /// Connections beyond `size` for those who waited longer than `reserve_after`.
    pub reserve: usize,
    /// How long one waits before the reserve is opened.
    pub reserve_after: Duration,
    /// Connections that are kept although they are idle, and opened ahead once the pool is used.
    pub min: usize,
    /// The most connections of the user in this process.
    pub user_max: Option<usize>,
    /// The most connections to the database in this process.
    pub database_max: Option<usize>,
    /// The most connections to the shard in this process.
    pub shard_max: Option<usize>,
    /// The longest wait for a connection.
    pub wait: Duration,
    /// The most of one worker who may wait at once.
    pub waiting_max: usize,
    /// How long a connection may be idle.
    pub idle: Duration,
    /// How long a connection may live.
    pub lifetime: Duration,
    /// The longest time for connecting and logging in.
    pub connect_timeout: Duration,
    /// How long the server's host may leave bytes or keepalives unacknowledged; zero leaves it to the system.
    pub tcp_user_timeout: Duration,
    /// The most prepared statements kept on one connection.
    pub statements: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            group: None,
            size: 20,
            reserve: 0,
            reserve_after: Duration::from_secs(1),
            min: 0,
            user_max: None,
            database_max: None,
            shard_max: None,
            wait: Duration::from_secs(10),
            waiting_max: 10_000,
            idle: Duration::from_secs(600),
            lifetime: Duration::from_secs(3600),
            connect_timeout: Duration::from_secs(3),
            tcp_user_timeout: Duration::from_secs(15),
            statements: STATEMENTS_MAX,
        }
    }
}

impl PoolSettings {
    pub(super) fn bounds(&self) -> Bounds {
        let (user, database, shard) = (self.user_max, self.database_max, self.shard_max);
        Bounds { size: self.size, reserve: self.reserve, user, database, shard }
    }
}

/// What a pool is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStats {
    /// The shard.
    pub shard: ShardId,
    /// The shard's name.
    pub shard_name: String,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// Connections in use or being made.
    pub active: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Sessions that wait.
    pub waiting: usize,
    /// How long the first of them has waited, microseconds.
    pub wait_us: u64,
    /// The longest wait so far, milliseconds.
    pub wait_ms_max: u64,
    /// Connections made so far.
    pub opened_total: u64,
    /// Whether nothing is lent now.
    pub paused: bool,
}
