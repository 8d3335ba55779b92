//! `limits`: the bounds of sessions, caches and multi-shard statements.

use super::settings::{GIB, KIB, MIB, settings};

settings! {
    /// Bounds of sessions, caches and statements over several shards.
    pub struct Limits as "limits" in LIMITS {
        /// The longest message of a client; a longer one is refused with 54000. Default 64MiB.
        client_message: size(64 * KIB, GIB) = 64 * MIB,
        /// The longest message before the client is authenticated. Default 16KiB.
        pre_auth_message: size(KIB, MIB) = 16 * KIB,
        /// How long a client may take to log in. Default 15s.
        login_timeout: span(100, 600_000) = 15_000,
        /// The most connections that have not logged in; 0 is max_clients. A new one takes the place of one that has
        /// lingered for over a second, else it is refused with 53300. Default 0.
        max_unauthenticated: count(0, 1_000_000) = 0,
        /// The most connections of one address that have not logged in; 0 is no bound. Default 0.
        max_unauthenticated_per_address: count(0, 1_000_000) = 0,
        /// The most clients at once; one more is refused with 53300. Default 5000.
        max_clients: count(1, 1_000_000) = 5_000,
        /// The most clients of one user; 0 is no bound. Default 0.
        max_user_client_connections: count(0, 1_000_000) = 0,
        /// The most clients of one database; 0 is no bound. Default 0.
        max_db_client_connections: count(0, 1_000_000) = 0,
        /// A statement that runs longer is cancelled and its client closed; 0 is never. Looked at once a second. Default 0ms.
        query_timeout: span(0, 86_400_000) = 0,
        /// A client without a transaction that is silent for longer is closed; 0 is never. Default 0ms.
        client_idle_timeout: span(0, 86_400_000) = 0,
        /// A client that is silent for longer within a transaction is closed with 25P03; 0 is never. Default 0ms.
        idle_transaction_timeout: span(0, 86_400_000) = 0,
        /// A transaction that is open for longer ends with its client, 25P04; 0 is never. Default 0ms.
        transaction_timeout: span(0, 86_400_000) = 0,
        /// Plans kept in a worker's shared plan cache. Default 4096.
        plan_cache: count(0, 1_000_000) = 4_096,
        /// The longest statement that is kept in the plan cache; longer ones are planned each time. Default 64KiB.
        plan_cache_text: size(KIB, 16 * MIB) = 64 * KIB,
        /// Prepared statements kept on one server connection, least recently used leave first. Default 256.
        server_statements: count(1, 65_536) = 256,
        /// Prepared statements and portals that one client may hold. Default 16384.
        client_statements: count(1, 1_000_000) = 16_384,
        /// Rows that a GROUP BY or DISTINCT over several shards keeps in memory; more fail with 54000. Default 1000000.
        group_rows: count(1, 1_000_000_000) = 1_000_000,
        /// Rows that one statement may gather from the shards; more fail with 54000. Default 1000000.
        gather_rows: count(1, 1_000_000_000) = 1_000_000,
        /// Bytes of rows that a merge holds ready per shard before that shard has to wait. Default 256KiB.
        merge_buffer: size(16 * KIB, GIB) = 256 * KIB,
        /// Changes that one transaction over several shards may record; more fail with 54000. Default 100000.
        transaction_events: count(1, 100_000_000) = 100_000,
        /// lock_timeout of a statement in a transaction that has already written on another shard. Default 2s.
        cross_shard_lock_timeout: span(1, 600_000) = 2_000,
        /// How long a read waits for the session's own writes to arrive at a shard. Default 1s.
        wait_timeout: span(0, 600_000) = 1_000,
        /// How long connecting to a server may take. Default 5s.
        connect_timeout: span(10, 600_000) = 5_000,
        /// How long a shard may take to answer a COMMIT, PREPARE TRANSACTION or ROLLBACK of a transaction that concerns
        /// several shards, before its connection counts as lost. Default 30s.
        commit_timeout: span(100, 3_600_000) = 30_000,
        /// How long the host of a server may leave bytes or keepalives unacknowledged before the connection counts as
        /// lost; 0 leaves it to the system. Default 15s.
        tcp_user_timeout: span(0, 3_600_000) = 15_000,
        /// How often a server that is away is probed; recovered servers are noticed within two of these. Default 1s.
        probe_interval: span(10, 600_000) = 1_000,
        /// How long a stopping proxy waits for open transactions before it ends them. Default 8s.
        drain_timeout: span(0, 3_600_000) = 8_000,
        /// How long a proxy whose sockets were taken over lets its clients stay before it drains. Default 1min.
        takeover_timeout: span(0, 86_400_000) = 60_000,
    }
}
