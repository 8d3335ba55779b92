//! `pool`: server connections per shard, database and user, counted over all workers.

use super::settings::settings;

settings! {
    /// Server connections, counted per shard, database and user over all workers.
    pub struct Pool as "pool" in POOL_NUMBERS {
        /// Connections lent at most. Default 20.
        size: count(1, 10_000) = 20,
        /// Connections beyond `size` for clients that have waited longer than `reserve_after`. Default 5.
        reserve: count(0, 10_000) = 5,
        /// How long a client waits before the reserve is opened to it. Default 2500ms.
        reserve_after: span(0, 3_600_000) = 2_500,
        /// Connections kept open while somebody uses the pool, also when they are idle. Default 0.
        min: count(0, 10_000) = 0,
        /// How long a client waits for a connection before 53300. Default 5s.
        wait: span(1, 3_600_000) = 5_000,
        /// The most clients of one worker that wait for one pool; one more gets 53300 at once. Default 10000.
        waiting: count(0, 1_000_000) = 10_000,
        /// How long an unused connection stays open. Default 10min.
        idle: span(100, 86_400_000) = 600_000,
        /// How old a connection may become before it is replaced, when it is idle. Default 1h.
        lifetime: span(1_000, 2_592_000_000) = 3_600_000,
        /// Server connections of one role in this process, over all databases and shards; 0 is no bound. Default 0.
        max_user_connections: count(0, 100_000) = 0,
        /// Server connections to one database in this process, over all users and shards; 0 is no bound. Default 0.
        max_db_connections: count(0, 100_000) = 0,
        /// Server connections to one shard in this process; 0 is no bound. Default 0.
        max_shard_connections: count(0, 100_000) = 0,
    }
}
