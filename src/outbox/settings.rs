//! What the outbox is told at start: endpoints, the service role, and every bound by name. Reads no file itself.

use std::sync::Arc;
use std::time::Duration;

use crate::tls::Connector;
use crate::types::ShardId;

/// One shard as the control plane reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEndpoint {
    /// Position in the topology.
    pub id: ShardId,
    /// The rule file's name, `s0`; ledger, inbox and lanes speak of shards by it.
    pub name: String,
    /// Host name or address, or the directory of a UNIX socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database on that server.
    pub database: String,
}

/// Everything that [`super::Outbox::new`] needs.
#[derive(Debug, Clone)]
pub struct OutboxSettings {
    /// The proxy's name, unique among proxies over the same shards; kept over restarts.
    pub proxy: String,
    /// The service role; owns the `shardloom` schema and may set `session_replication_role`.
    pub user: String,
    /// Its password; empty where the servers ask for none.
    pub password: String,
    /// The shards in topology order.
    pub shards: Vec<ShardEndpoint>,
    /// The shard that keeps worker leases.
    pub home: ShardId,
    /// The roles under which clients reach the shards: they are granted just the INSERTs that the client path needs.
    pub shard_roles: Vec<String>,
    /// TLS to the shards.
    pub connector: Arc<Connector>,
    /// Waits, batches and limits.
    pub bounds: OutboxBounds,
}

/// Bounds of the relay and its services; `Default` is what a production proxy uses.
#[derive(Debug, Clone)]
pub struct OutboxBounds {
    /// How long a relay's lease lasts without renewal; a dead proxy is taken over after this.
    pub relay_lease: Duration,
    /// How long a worker lease lasts without renewal; longer than a restart of the home database.
    pub worker_lease: Duration,
    /// How far ahead of now a worker's `reserved_until` is kept: ids go on for so long when home is away.
    pub worker_reserve: Duration,
    /// The scanner's pace and the longest sleep of a relay.
    pub poll_max: Duration,
    /// The shortest sleep of a relay that just found work.
    pub poll_min: Duration,
    /// How long a busy lane lets events gather that nobody waits for.
    pub lane_pace: Duration,
    /// How long the marks of transactions that need nothing else are gathered before they are written.
    pub mark_wait: Duration,
    /// Source transactions per apply transaction at most. 1 → 200 was over 100 times faster; on a busy machine each of a
    /// batch's two dozen round trips waits for its turn, and a backlog wants more.
    pub batch: i64,
    /// Bytes of recorded commands per apply transaction from which it takes no more.
    pub batch_bytes: i64,
    /// First wait after a transient failure.
    pub backoff_min: Duration,
    /// Longest wait after a transient failure, and first probe of a target that is away.
    pub backoff_max: Duration,
    /// Longest wait between two probes of a target that is away; 2 s, because recovery must be noticed within 2 s.
    pub probe_max: Duration,
    /// Attempts of a transient failure before the event is dead.
    pub attempts_max: i32,
    /// How old another proxy's eager transaction is before its redo, and a foreign prepared one before its decision.
    pub foreign_grace: Duration,
    /// How long finished ledger rows stay readable.
    pub ledger_grace: Duration,
    /// How long an idempotency key is remembered.
    pub key_grace: Duration,
    /// How long inbox rows and fences of aborted transactions stay after all older transactions are finished.
    pub inbox_grace: Duration,
    /// Pending transactions to one target beyond which new eventual writes to it are refused with `53400`.
    pub backlog_max: usize,
    /// How long [`super::Outbox::resolve`] asks a home that is away.
    pub resolve_wait: Duration,
    /// How long the gates wait, at start, for a home that cannot be asked what it has to redo.
    pub gate_home_wait: Duration,
    /// Connections per shard.
    pub connections: usize,
    /// Longest wait for a lock inside an apply transaction.
    pub apply_lock_wait: Duration,
    /// Longest that one statement of an apply transaction runs.
    pub apply_timeout: Duration,
    /// Longest that home may leave the relay without an answer; longer counts as away.
    pub home_timeout: Duration,
    /// Pending transactions of one target from which a warning is logged.
    pub backlog_warning: usize,
}

impl Default for OutboxBounds {
    fn default() -> Self {
        Self {
            relay_lease: Duration::from_secs(3),
            worker_lease: Duration::from_secs(60),
            worker_reserve: Duration::from_secs(30),
            poll_max: Duration::from_secs(1),
            poll_min: Duration::from_millis(5),
            lane_pace: Duration::from_millis(25),
            mark_wait: Duration::from_millis(50),
            batch: 1_000,
            batch_bytes: 4 << 20,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
            probe_max: Duration::from_secs(2),
            attempts_max: 20,
            foreign_grace: Duration::from_secs(10),
            ledger_grace: Duration::from_secs(900),
            key_grace: Duration::from_secs(86_400),
            inbox_grace: Duration::from_secs(86_400),
            backlog_max: 1_000_000,
            resolve_wait: Duration::from_secs(5),
            gate_home_wait: Duration::from_secs(10),
            connections: 8,
            apply_lock_wait: Duration::from_secs(2),
            apply_timeout: Duration::from_secs(60),
            home_timeout: Duration::from_secs(30),
            backlog_warning: 100_000,
        }
    }
}
