//! All pools of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::grant::{Grant, Slot, Waiting};
use super::pool::{FAILURE_MEMORY, Pool, Step};
use super::{BackendError, PoolSettings, PoolStats, Server, ServerTarget};
use crate::types::{ShardId, SqlState};

/// One worker's pools, by shard, database and user; clones share them. Never leaves its thread.
#[derive(Debug, Clone)]
pub struct Pools {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Rc<PoolSettings>,
    hasher: RandomState,
    /// By hash of the key, so that a look-up makes no string; a bucket has one pool unless hashes collide.
    pools: RefCell<HashMap<u64, Vec<Rc<Pool>>>>,
}

impl Pools {
    /// Makes pools that behave as `settings` say; connections are made when wanted.
    pub fn new(settings: PoolSettings) -> Self {
        let settings = Rc::new(settings);
        Self { inner: Rc::new(Inner { settings, hasher: RandomState::new(), pools: RefCell::default() }) }
    }

    /// Borrows a connection: the one last used, else a new one, else the next that becomes free.
    ///
    /// Connections that the server closed meanwhile are passed over silently. Fails with
    /// [`BackendError::PoolTimeout`] after the settings' wait, and at once for 300 ms after a failed connect; only a
    /// server that has no connection left is asked again until the wait is over. May be dropped at any await.
    /// Dropping the connection closes it; [`Pools::checkin`] keeps it.
    pub async fn checkout(&self, target: &Arc<ServerTarget>) -> Result<Server, BackendError> {
        match borrow(&self.pool(target), target).await {
            Err(error) if is_full(&error) => self.checkout_from_full(target, error).await,
            done => done,
        }
    }

    /// Closes this worker's idle connections to a server that is full, and tries again until the wait is over.
    async fn checkout_from_full(
        &self,
        target: &Arc<ServerTarget>,
        mut error: BackendError,
    ) -> Result<Server, BackendError> {
        let deadline = Instant::now() + self.inner.settings.wait;
        while is_full(&error) && Instant::now() < deadline {
            self.close_idle(target.shard);
            tokio::time::sleep(FAILURE_MEMORY).await;
            match borrow(&self.pool(target), target).await {
                Ok(server) => return Ok(server),
                Err(next) => error = next,
            }
        }
        Err(error)
    }

    /// Returns a connection; one that is not usable (unknown state, open transaction, cancelled) is closed instead.
    pub fn checkin(&self, server: Server) {
        let pool = server.slot.as_ref().and_then(Slot::pool).cloned();
        match pool {
            Some(pool) => pool.give_back(server),
            None => drop(server),
        }
    }

    /// Closes the idle connections to `shard`.
    pub fn close_idle(&self, shard: ShardId) {
        self.all().iter().filter(|pool| pool.target.shard == shard).for_each(Pool::close_idle);
    }

    /// Closes connections that were idle or lived too long and forgets empty pools; call it about once a second.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.all().iter().for_each(|pool| pool.close_expired(now));
        self.inner.pools.borrow_mut().retain(|_, bucket| {
            bucket.retain(|pool| !pool.is_empty());
            !bucket.is_empty()
        });
    }

    /// Returns what each pool is doing, by shard, database and user.
    pub fn stats(&self) -> Vec<PoolStats> {
        let mut stats: Vec<_> = self.all().iter().map(|pool| pool.stats()).collect();
        stats.sort_by(|a, b| (a.shard, &a.database, &a.user).cmp(&(b.shard, &b.database, &b.user)));
        stats
    }

    fn all(&self) -> Vec<Rc<Pool>> {
        self.inner.pools.borrow().values().flatten().cloned().collect()
    }

    fn pool(&self, target: &Arc<ServerTarget>) -> Rc<Pool> {
        let key = self.inner.hasher.hash_one((target.shard, &target.database, &target.user));
        let mut pools = self.inner.pools.borrow_mut();
        let bucket = pools.entry(key).or_default();
        if let Some(pool) = bucket.iter().find(|pool| pool.target.same_pool(target)) {
            return pool.clone();
        }
        let pool = Pool::new(target.clone(), self.inner.settings.clone());
        bucket.push(pool.clone());
        pool
    }
}

/// Takes from `pool` what comes first: an idle connection, a new one, one that another session returns.
async fn borrow(pool: &Rc<Pool>, target: &Arc<ServerTarget>) -> Result<Server, BackendError> {
    loop {
        let server = match pool.step()? {
            Step::Use(server) => server,
            Step::Open(slot) => return pool.open(target, slot).await,
            Step::Wait(waiting) => match wait(pool, waiting).await? {
                Grant::Server(server) => *server,
                Grant::Slot(slot) => return pool.open(target, slot).await,
            },
        };
        if let Some(server) = fitting(server, target) {
            return Ok(server);
        }
    }
}

/// Tells whether the server has no connection left, which is no fault of its own.
fn is_full(error: &BackendError) -> bool {
    error.server_error().is_some_and(|error| error.state == SqlState::TOO_MANY_CONNECTIONS)
}

/// Returns the connection if it goes where `target` says now and is still alive; else closes it.
fn fitting(server: Server, target: &Arc<ServerTarget>) -> Option<Server> {
    let same = Arc::ptr_eq(server.target(), target) || server.target() == target;
    (same && server.is_usable() && server.is_quiet()).then_some(server)
}

/// Waits in the queue; after `reserve_after` the reserve is tried.
async fn wait(pool: &Rc<Pool>, mut waiting: Waiting) -> Result<Grant, BackendError> {
    let started = Instant::now();
    let settings = &pool.settings;
    let deadline = started + settings.wait;
    let first = if settings.reserve > 0 { (started + settings.reserve_after).min(deadline) } else { deadline };
    let mut granted = tokio::time::timeout_at(first, &mut waiting.receiver).await;
    if granted.is_err() && settings.reserve > 0 {
        if let Some(slot) = pool.reserve() {
            pool.note_wait(started.elapsed());
            return Ok(Grant::Slot(slot));
        }
        granted = tokio::time::timeout_at(deadline, &mut waiting.receiver).await;
    }
    let waited = started.elapsed();
    pool.note_wait(waited);
    match granted {
        Ok(Ok(grant)) => Ok(grant),
        Ok(Err(_)) | Err(_) => Err(pool.wait_failed(waited)),
    }
}
