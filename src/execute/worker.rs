//! What the clients of one worker thread share: pools, plans, server addresses.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{Pools, ServerTarget, ShardOids};
use crate::proxy::{Proxy, Snapshot};
use crate::tls::{Connector, Mode};
use crate::types::ShardId;

use super::consequences::Readings;
use super::link::Identity;
use super::merges::Merges;
use super::statement_names::StatementNames;
use super::understand::Plans;

/// One worker's share of the proxy. Lives on its thread and never leaves it.
pub struct Worker {
    /// The handles that all workers share.
    pub proxy: Arc<Proxy>,
    /// This worker's server connections.
    pub pools: Pools,
    /// This worker's plan cache.
    pub plans: Plans,
    /// This worker's memory of what texts leave with their session.
    pub readings: Readings,
    /// The names under which servers know clients' prepared statements.
    pub statement_names: StatementNames,
    /// This worker's memory of which reads it can merge.
    pub merges: Merges,
    limits: Limits,
    /// An instant and the wall clock's milliseconds then.
    wall: Cell<(Instant, i64)>,
    targets: RefCell<HashMap<TargetKey, Arc<ServerTarget>>>,
}

/// The bounds that statements meet, from the configuration.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest wait for the redo of a target before a write to it is refused.
    pub gate_wait: Duration,
    /// `lock_timeout` in transactions over several shards.
    pub cross_shard_lock_timeout: Duration,
    /// The longest wait for a shard's answer to a step of a commit over several shards.
    pub commit_timeout: Duration,
    /// The longest wait for the session's own replayed writes.
    pub wait_timeout: Duration,
    /// Groups that a GROUP BY over several shards may hold in memory.
    pub group_rows: usize,
    /// Rows that one statement may gather on home.
    pub gather_rows: usize,
}

/// How long the wall clock is told from the monotonic one, before it is read again.
const WALL_AGE_MAX: Duration = Duration::from_secs(1);

/// Shard, database and role.
type TargetKey = (ShardId, String, String);

impl Worker {
    /// Returns what encrypts connections to servers; `None` without TLS.
    pub fn server_tls(&self) -> Option<Arc<Connector>> {
        (self.proxy.connector.mode() != Mode::Disable).then(|| Arc::clone(&self.proxy.connector))
    }

    /// Returns the wall clock's milliseconds at `now`, which is about now; reads that clock about once a second.
    #[inline]
    pub fn wall_ms(&self, now: Instant) -> i64 {
        let (read, ms) = self.wall.get();
        let age = now.saturating_duration_since(read);
        if age < WALL_AGE_MAX {
            return ms + age.as_millis() as i64;
        }
        let ms = self.proxy.now_ms();
        self.wall.set((now, ms));
        ms
    }

    /// Makes a worker with its pools.
    pub fn new(proxy: Arc<Proxy>, pools: Pools, plans: Plans, limits: Limits) -> Self {
        let wall = Cell::new((Instant::now(), proxy.now_ms()));
        Self {
            proxy,
            pools,
            plans,
            readings: Readings::default(),
            merges: Merges::default(),
            statement_names: StatementNames::default(),
            limits,
            wall,
            targets: RefCell::default(),
        }
    }

    /// Returns the bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the shard's numbers; a database that is passed through keeps its own.
    fn oids_of(&self, shard: ShardId, identity: &Identity) -> Arc<ShardOids> {
        let known = self.proxy.oids.get(usize::from(shard.0)).filter(|_| !identity.passthrough);
        known.cloned().unwrap_or_default()
    }

    /// Returns the address and the role under which `identity` reaches `shard`.
    pub fn target(&self, snapshot: &Snapshot, identity: &Identity, shard: ShardId) -> Arc<ServerTarget> {
        let rule = snapshot.rules.shard(shard);
        let database = if identity.passthrough { &identity.database } else { &rule.database };
        let key = (shard, database.clone(), identity.shard_user.clone());
        let mut targets = self.targets.borrow_mut();
        if let Some(target) = targets.get(&key)
            && (target.host == rule.host && target.port == rule.port)
            && (target.password == identity.shard_password && target.keys == identity.shard_keys)
        {
            return Arc::clone(target);
        }
        let target = Arc::new(ServerTarget {
            shard,
            shard_name: rule.name.as_str().into(),
            host: rule.host.clone(),
            port: rule.port,
            database: database.clone(),
            user: identity.shard_user.clone(),
            // Of a sharded database the proxy reads every text.
            encoding: (!identity.passthrough).then_some("UTF8"),
            tls: self.server_tls(),
            password: identity.shard_password.clone(),
            keys: identity.shard_keys.clone(),
            oids: self.oids_of(shard, identity),
        });
        targets.insert(key, Arc::clone(&target));
        target
    }
}
