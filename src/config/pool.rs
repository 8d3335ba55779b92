//! `pool`: server connections per worker, shard, database and user.

use super::settings::settings;

settings! {
    /// Server connections, counted per shard, database and user; a connection is lent for one transaction.
    pub struct Pool as "pool" in POOL_NUMBERS {
        /// Connections lent at most. Default 20.
        size: count(1, 10_000) = 20,
        /// Connections beyond `size` for clients that have waited longer than half of `wait`. Default 5.
        reserve: count(0, 10_000) = 5,
        /// How long a client waits for a connection before 53300. Default 5s.
        wait: span(1, 3_600_000) = 5_000,
        /// How long an unused connection stays open. Default 10min.
        idle: span(100, 86_400_000) = 600_000,
        /// How old a connection may become before it is replaced, when it is idle. Default 1h.
        lifetime: span(1_000, 2_592_000_000) = 3_600_000,
    }
}
