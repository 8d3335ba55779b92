//! All pools of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::{Allowance, Claimant};
use super::bell::Bell;
use super::grant::{Grant, Slot, Waiting};
use super::pool::{FAILURE_MEMORY, Pool, Step};
use super::roster::Roster;
use super::{BackendError, PoolSettings, PoolStats, Server, ServerTarget};
use crate::types::SqlState;

/// How often is looked for a pause, and during one for a place.
const PAUSE_LOOK: Duration = Duration::from_millis(50);

/// One worker's pools, by shard, database and user; clones share them. Never leaves its thread.
#[derive(Debug, Clone)]
pub struct Pools {
    inner: Rc<Inner>,
}

/// A session's way to a pool without a look-up; the pool stays as long as somebody has one.
#[derive(Debug, Clone)]
pub struct PoolRef(Rc<Pool>);

impl PoolRef {
    /// Returns how long a client waits for a connection.
    pub fn wait(&self) -> Duration {
        self.0.settings().wait
    }
}

/// Says how the pool of a target behaves; asked when the pool is made and when settings change.
pub type Policy = Box<dyn Fn(&ServerTarget) -> PoolSettings>;

struct Inner {
    policy: Policy,
    allowance: Arc<Allowance>,
    roster: Roster,
    bell: Arc<Bell>,
    hasher: RandomState,
    /// By hash of the key, so that a look-up makes no string; a bucket has one pool unless hashes collide.
    pools: RefCell<HashMap<u64, Vec<Rc<Pool>>>>,
}

impl Pools {
    /// Makes pools that behave as `settings` say and share nothing with other workers.
    pub fn new(settings: PoolSettings) -> Self {
        Self::over(Allowance::new(), Roster::default(), Box::new(move |_| settings.clone()))
    }

    /// Makes the pools of one worker; connections are made when wanted, within what all workers are allowed.
    pub fn over(allowance: Arc<Allowance>, roster: Roster, policy: Policy) -> Self {
        let (bell, hasher) = (allowance.join(), RandomState::new());
        Self { inner: Rc::new(Inner { policy, allowance, roster, bell, hasher, pools: RefCell::default() }) }
    }

    /// Does what other workers and operators want of this one, until cancelled: hand on places, close, pause. Without it
    /// the sweep does it.
    pub async fn attend(&self) {
        loop {
            self.inner.bell.rung().await;
            self.answer_bell();
        }
    }

    fn answer_bell(&self) {
        let pools = self.all();
        let granted = self.inner.bell.take();
        for pool in &pools {
            granted.iter().filter(|id| **id == pool.claim_id()).for_each(|_| pool.place_granted());
            pool.obey();
            pool.make_way();
        }
    }

    /// Asks the policy again for every pool.
    pub fn reconfigure(&self) {
        self.all().iter().for_each(|pool| pool.set_settings((self.inner.policy)(&pool.target)));
    }

    /// Opens at most one connection ahead for each pool that has fewer than its `min`; failures are left to whoever
    /// wants one.
    pub async fn warm_up(&self) {
        for pool in self.all() {
            if let Some(slot) = pool.place_ahead()
                && let Ok(server) = pool.open(&pool.target, slot).await
            {
                pool.give_back(server);
            }
        }
    }

    /// Borrows a connection: the one last used, else a new one, else the next that becomes free.
    ///
    /// Connections that the server closed meanwhile are passed over silently. Fails with
    /// [`BackendError::PoolTimeout`] after the settings' wait, and at once for 300 ms after a failed connect; only a
    /// server that has no connection left is asked again until the wait is over. May be dropped at any await.
    /// Dropping the connection closes it; [`Pools::checkin`] keeps it.
    pub async fn checkout(&self, target: &Arc<ServerTarget>) -> Result<Server, BackendError> {
        self.checkout_from(&self.pool_of(target), target).await
    }

    /// Returns the pool for a target, to be kept for [`Pools::checkout_from`].
    pub fn pool_of(&self, target: &Arc<ServerTarget>) -> PoolRef {
        PoolRef(self.pool(target))
    }

    /// Takes the idle connection that was used last, without waiting; `None` also if it turns out to be closed.
    #[inline]
    pub fn take_idle(&self, pool: &PoolRef, target: &Arc<ServerTarget>) -> Option<Server> {
        pool.0.idle().and_then(|server| fitting(server, target))
    }

    /// As [`Pools::checkout`], from the pool of that target.
    pub async fn checkout_from(&self, pool: &PoolRef, target: &Arc<ServerTarget>) -> Result<Server, BackendError> {
        match borrow(&pool.0, target).await {
            Err(error) if is_full(&error) => self.checkout_from_full(target, error).await,
            done => done,
        }
    }

    /// As [`Pools::checkout_from`], for who has connections of other shards already: PAUSE waits until they are given
    /// back, so this one does not wait for its end.
    pub async fn checkout_begun(&self, pool: &PoolRef, target: &Arc<ServerTarget>) -> Result<Server, BackendError> {
        let started = Instant::now();
        loop {
            if !pool.0.is_paused() {
                tokio::select! {
                    biased;
                    done = self.checkout_from(pool, target) => return done,
                    () = until_paused(&pool.0) => {}
                }
            }
            if let Some(slot) = pool.0.begun() {
                return pool.0.open(target, slot).await;
            }
            if started.elapsed() >= pool.0.settings().wait {
                return Err(pool.0.wait_failed(started.elapsed()));
            }
            tokio::time::sleep(PAUSE_LOOK).await;
        }
    }

    /// Closes this worker's idle connections to a server that is full, and tries again until the wait is over.
    async fn checkout_from_full(
        &self,
        target: &Arc<ServerTarget>,
        mut error: BackendError,
    ) -> Result<Server, BackendError> {
        let deadline = Instant::now() + self.pool(target).settings().wait;
        while is_full(&error) && Instant::now() < deadline {
            self.close_idle(&target.shard_name);
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

    /// Closes the idle connections to the shard of that name.
    pub fn close_idle(&self, shard: &str) {
        self.all().iter().filter(|pool| &*pool.target.shard_name == shard).for_each(Pool::close_idle);
    }

    /// Closes connections that were idle or lived too long and forgets empty pools; call it about once a second.
    pub fn sweep(&self) {
        self.answer_bell();
        let now = Instant::now();
        self.all().iter().for_each(|pool| pool.close_expired(now));
        self.inner.pools.borrow_mut().retain(|_, bucket| {
            bucket.retain(|pool| !pool.is_empty() || Rc::strong_count(pool) > 1);
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
        let pool = self.make(target);
        bucket.push(pool.clone());
        pool
    }

    fn make(&self, target: &Arc<ServerTarget>) -> Rc<Pool> {
        let inner = &self.inner;
        let settings = (inner.policy)(target);
        let who = Claimant {
            shard: Arc::clone(&target.shard_name),
            database: target.database.as_str().into(),
            user: target.user.as_str().into(),
            group: settings.group.as_deref().unwrap_or(&target.database).into(),
        };
        let claim = inner.allowance.claim(&who, settings.bounds(), &inner.bell);
        Pool::new(target.clone(), settings, claim, inner.roster.clone())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.allowance.part(&self.bell);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools").field("pools", &self.pools.borrow().len()).finish_non_exhaustive()
    }
}

/// Takes from `pool` what comes first: an idle connection, a new one, one that another session returns.
async fn borrow(pool: &Rc<Pool>, target: &Arc<ServerTarget>) -> Result<Server, BackendError> {
    loop {
        let server = match pool.step()? {
            Step::Use(server) => server,
            Step::Open(slot) => return pool.open(target, slot).await,
            Step::Wait(waiting) => match wait(pool, waiting).await? {
                Grant::Server(server) => server,
                Grant::Slot(slot) => return pool.open(target, slot).await,
            },
        };
        if let Some(server) = fitting(server, target) {
            return Ok(server);
        }
    }
}

/// Ends when the pool is paused.
async fn until_paused(pool: &Rc<Pool>) {
    while !pool.is_paused() {
        tokio::time::sleep(PAUSE_LOOK).await;
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

/// Waits in the queue; after `reserve_after` the reserve is tried. A pause counts as no time: it ends by RESUME.
async fn wait(pool: &Rc<Pool>, mut waiting: Waiting) -> Result<Grant, BackendError> {
    let started = Instant::now();
    let settings = pool.settings();
    let mut since = started;
    let mut reserve = settings.reserve > 0;
    loop {
        let bound = if reserve { settings.reserve_after.min(settings.wait) } else { settings.wait };
        match tokio::time::timeout_at(since + bound, &mut waiting.receiver).await {
            Ok(Ok(grant)) => {
                pool.note_wait(started.elapsed());
                return Ok(grant);
            }
            Err(_) if pool.is_paused() => (since, reserve) = (Instant::now(), settings.reserve > 0),
            Err(_) if reserve && settings.reserve_after < settings.wait => {
                reserve = false;
                if let Some(slot) = pool.reserve() {
                    pool.note_wait(started.elapsed());
                    return Ok(Grant::Slot(slot));
                }
            }
            Ok(Err(_)) | Err(_) => {
                pool.note_wait(started.elapsed());
                return Err(pool.wait_failed(started.elapsed()));
            }
        }
    }
}
