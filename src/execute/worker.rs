//! What the clients of one worker thread share: pools, plans, server addresses.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Pools, ServerTarget};
use crate::proxy::{Proxy, Snapshot};
use crate::types::ShardId;

use super::consequences::Readings;
use super::link::Identity;
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
    limits: Limits,
    targets: RefCell<HashMap<TargetKey, Arc<ServerTarget>>>,
}

/// The bounds that statements meet, from the configuration.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest wait for the redo of a target before a write to it is refused.
    pub gate_wait: Duration,
    /// `lock_timeout` in transactions over several shards.
    pub cross_shard_lock_timeout: Duration,
    /// The longest wait for the session's own replayed writes.
    pub wait_timeout: Duration,
    /// Groups that a GROUP BY over several shards may hold in memory.
    pub group_rows: usize,
}

/// Shard, database and role.
type TargetKey = (ShardId, String, String);

impl Worker {
    /// Makes a worker with its pools.
    pub fn new(proxy: Arc<Proxy>, pools: Pools, plans: Plans, limits: Limits) -> Self {
        Self {
            proxy,
            pools,
            plans,
            readings: Readings::default(),
            statement_names: StatementNames::default(),
            limits,
            targets: RefCell::default(),
        }
    }

    /// Returns the bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
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
            password: identity.shard_password.clone(),
            keys: identity.shard_keys.clone(),
        });
        targets.insert(key, Arc::clone(&target));
        target
    }
}
