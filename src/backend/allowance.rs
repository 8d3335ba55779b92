//! How many server connections this process may have: per pool, role, database and shard, counted over all workers.
//!
//! Sockets belong to their worker; only the right to have one moves. It is asked for when a connection is opened, closed
//! or wanted in vain, never when an idle one is lent. A worker that wants one in vain is *hungry*: others close what
//! they have idle, and hand on what comes back once its clients have waited noticeably longer than their own.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::orders::Orders;

/// How much longer clients of another worker must have waited before a connection in demand moves there. Moving one
/// costs the server a fork and a login, some milliseconds.
const PATIENCE: Duration = Duration::from_millis(100);

/// The kinds of scope a connection counts in: its pool, role, database and shard.
const SCOPES: usize = 4;

/// Connections that count together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Scope {
    Pool(Arc<str>, Arc<str>, Arc<str>),
    User(Arc<str>),
    Database(Arc<str>),
    Shard(Arc<str>),
}

/// The bounds of one pool and of what it counts in; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) size: usize,
    pub(super) reserve: usize,
    pub(super) user: Option<usize>,
    pub(super) database: Option<usize>,
    pub(super) shard: Option<usize>,
}

/// Who claims connections: a database on a shard as a role; `group` is the database as clients name it.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
    pub(super) shard: Arc<str>,
    pub(super) database: Arc<str>,
    pub(super) user: Arc<str>,
    pub(super) group: Arc<str>,
}

/// Whether the reserve may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Size,
    Reserve,
    /// As [`Depth::Size`], also during a pause: a transaction that has begun has to come to its end.
    Begun,
}

/// What came of asking for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is there.
    Yes,
    /// All places are this pool's own.
    Own,
    /// Others have places that this pool could use.
    Shared,
}

/// The places of all workers of one process.
#[derive(Default)]
pub struct Allowance {
    ledger: Mutex<Ledger>,
    /// Pools that want what others have.
    hungry: AtomicUsize,
    orders: Orders,
}

#[derive(Default)]
struct Ledger {
    counts: HashMap<Scope, Arc<AtomicUsize>>,
    claims: BTreeMap<u64, Claim>,
    bells: Vec<Arc<Bell>>,
    next: u64,
}

/// One worker's part of one pool.
struct Claim {
    scopes: [(Scope, Arc<AtomicUsize>); SCOPES],
    bounds: Bounds,
    held: usize,
    granted: usize,
    demand: Arc<Demand>,
    bell: Arc<Bell>,
}

/// What a pool wants and has left to close, written by its worker and read by all.
#[derive(Debug, Default)]
pub(super) struct Demand {
    pub(super) waiting: AtomicUsize,
    /// Since when the first of them waits, in microseconds of [`now_us`]; 0 when nobody does.
    pub(super) since_us: AtomicU64,
    hungry: AtomicBool,
    /// Connections in use that were opened before the last RECONNECT.
    pub(super) stale: AtomicUsize,
    /// Up to which order the pool has come.
    pub(super) obeyed: AtomicU64,
}

/// A pool's own end of its claim; dropping it ends the claim.
pub(super) struct ClaimHandle {
    allowance: Arc<Allowance>,
    id: u64,
    group: Arc<str>,
    pub(super) demand: Arc<Demand>,
    pool_open: Arc<AtomicUsize>,
}

/// Returns microseconds since some moment before the first call, at least 1.
pub(super) fn now_us() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64 + 1
}

impl Allowance {
    /// Makes the allowance of a process.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Returns what operators ordered: pauses and reconnects.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Returns how many server connections to `database` there are, as clients name it; to all for `None`.
    pub fn open(&self, database: Option<&str>) -> usize {
        let ledger = self.lock();
        let of = |claim: &&Claim| database.is_none_or(|name| claim.group() == name);
        ledger.claims.values().filter(of).map(|claim| claim.held).sum()
    }

    /// Tells whether every pool of `database` has obeyed the orders so far and closed what RECONNECT outdated.
    pub fn is_settled(&self, database: Option<&str>) -> bool {
        let generation = self.orders.generation();
        let ledger = self.lock();
        let of = |claim: &&Claim| database.is_none_or(|name| claim.group() == name);
        ledger.claims.values().filter(of).all(|claim| {
            claim.demand.obeyed.load(Ordering::Acquire) >= generation && claim.demand.stale.load(Ordering::Acquire) == 0
        })
    }

    /// Wakes every worker, so that it looks at orders and settings.
    pub fn ring(&self) {
        self.lock().bells.iter().for_each(|bell| bell.ring());
    }

    /// Makes the bell of one worker.
    pub(super) fn join(&self) -> Arc<Bell> {
        let bell = Arc::new(Bell::default());
        self.lock().bells.push(Arc::clone(&bell));
        bell
    }

    /// Takes a worker's bell out when the worker ends.
    pub(super) fn part(&self, bell: &Arc<Bell>) {
        self.lock().bells.retain(|known| !Arc::ptr_eq(known, bell));
    }

    /// Opens the claim of one worker's pool.
    pub(super) fn claim(self: &Arc<Self>, who: &Claimant, bounds: Bounds, bell: &Arc<Bell>) -> ClaimHandle {
        let mut ledger = self.lock();
        let demand = Arc::new(Demand::default());
        let scopes = [
            Scope::Pool(Arc::clone(&who.shard), Arc::clone(&who.database), Arc::clone(&who.user)),
            Scope::User(Arc::clone(&who.user)),
            Scope::Database(Arc::clone(&who.group)),
            Scope::Shard(Arc::clone(&who.shard)),
        ]
        .map(|scope| {
            let count = Arc::clone(ledger.counts.entry(scope.clone()).or_default());
            (scope, count)
        });
        let pool_open = Arc::clone(&scopes[0].1);
        let id = ledger.next;
        ledger.next += 1;
        let (held, granted) = (0, 0);
        let claim = Claim { scopes, bounds, held, granted, demand: Arc::clone(&demand), bell: Arc::clone(bell) };
        ledger.claims.insert(id, claim);
        ClaimHandle { allowance: Arc::clone(self), id, group: Arc::clone(&who.group), demand, pool_open }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClaimHandle {
    /// Returns the number under which others grant this claim a place.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the database as clients name it.
    pub(super) fn group(&self) -> &Arc<str> {
        &self.group
    }

    /// Returns the orders for this pool's database.
    pub(super) fn orders(&self) -> &Orders {
        &self.allowance.orders
    }

    /// Returns the connections of the pool in all workers.
    pub(super) fn pool_open(&self) -> usize {
        self.pool_open.load(Ordering::Relaxed)
    }

    /// Takes a place for a new connection.
    pub(super) fn take(&self, depth: Depth) -> Taken {
        let mut ledger = self.allowance.lock();
        if depth != Depth::Begun && self.allowance.orders.is_paused(&self.group) {
            return Taken::Own;
        }
        let Some(claim) = ledger.claims.get_mut(&self.id) else { return Taken::Own };
        claim.take(depth)
    }

    /// Gives a place back; tells whether it stays here, for the first who waits in this pool.
    pub(super) fn release(&self) -> bool {
        let mut ledger = self.allowance.lock();
        if let Some(claim) = ledger.claims.get_mut(&self.id) {
            claim.leave();
        }
        let chosen = ledger.oldest(|id, claim| {
            let paused = self.allowance.orders.is_paused(claim.group());
            (claim.wants() > 0 && !paused && claim.fits(Depth::Size, &[])).then_some(id)
        });
        let Some(chosen) = chosen else { return false };
        let Some(claim) = ledger.claims.get_mut(&chosen) else { return false };
        claim.enter();
        if chosen == self.id {
            return true;
        }
        claim.granted += 1;
        claim.bell.grant(chosen);
        if self.demand.waiting.load(Ordering::Relaxed) > 0 {
            // What went elsewhere is missed here now.
            self.allowance.set_hungry(&self.demand, true);
        }
        false
    }

    /// Says that a place that was granted over the bell has arrived.
    pub(super) fn arrived(&self) {
        if let Some(claim) = self.allowance.lock().claims.get_mut(&self.id) {
            claim.granted = claim.granted.saturating_sub(1);
        }
    }

    /// Says whether somebody waits here for what others have; they are woken to look.
    pub(super) fn set_hungry(&self, hungry: bool) {
        self.allowance.set_hungry(&self.demand, hungry);
        if hungry {
            self.allowance.ring();
        }
    }

    /// Tells whether a connection of this pool should be closed, so that another pool may open one: the first who waits
    /// here did so since `first_us`.
    #[inline]
    pub(super) fn is_wanted_elsewhere(&self, first_us: Option<u64>) -> bool {
        let hungry = self.allowance.hungry.load(Ordering::Relaxed);
        hungry > usize::from(self.demand.hungry.load(Ordering::Relaxed)) && self.stands_in_the_way(first_us)
    }

    #[cold]
    fn stands_in_the_way(&self, first_us: Option<u64>) -> bool {
        let ledger = self.allowance.lock();
        let Some(own) = ledger.claims.get(&self.id) else { return false };
        let patience = PATIENCE.as_micros() as u64;
        let wanted = ledger.oldest(|id, claim| {
            let helped = id != self.id && claim.wants() > 0 && !claim.fits(Depth::Size, &[]);
            let helped = helped && claim.fits(Depth::Size, &own.scopes);
            (helped && !self.allowance.orders.is_paused(claim.group())).then_some(claim.since())
        });
        wanted.is_some_and(|since| first_us.is_none_or(|first| since + patience < first))
    }

    /// Puts other bounds in force.
    pub(super) fn set_bounds(&self, bounds: Bounds) {
        if let Some(claim) = self.allowance.lock().claims.get_mut(&self.id) {
            claim.bounds = bounds;
        }
    }
}

impl Allowance {
    fn set_hungry(&self, demand: &Demand, hungry: bool) {
        // The look first: it is the same for every transaction of a pool that has what it wants.
        if demand.hungry.load(Ordering::Relaxed) != hungry && demand.hungry.swap(hungry, Ordering::Relaxed) != hungry {
            if hungry {
                self.hungry.fetch_add(1, Ordering::Relaxed);
            } else {
                self.hungry.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for ClaimHandle {
    fn drop(&mut self) {
        self.allowance.set_hungry(&self.demand, false);
        let mut ledger = self.allowance.lock();
        if let Some(mut claim) = ledger.claims.remove(&self.id) {
            while claim.held > 0 {
                claim.leave();
            }
        }
        ledger.counts.retain(|_, count| Arc::strong_count(count) > 1);
    }
}

impl Ledger {
    /// Returns what `choose` returns of the claim whose clients have waited longest, among those it takes.
    fn oldest<T>(&self, choose: impl Fn(u64, &Claim) -> Option<T>) -> Option<T> {
        let chosen = self.claims.iter().filter_map(|(id, claim)| Some((claim.since(), choose(*id, claim)?)));
        chosen.min_by_key(|(since, _)| *since).map(|(_, chosen)| chosen)
    }
}

impl Claim {
    fn group(&self) -> &str {
        match &self.scopes[2].0 {
            Scope::Database(group) => group,
            Scope::Pool(..) | Scope::User(_) | Scope::Shard(_) => "",
        }
    }

    fn since(&self) -> u64 {
        self.demand.since_us.load(Ordering::Relaxed)
    }

    /// Returns how many wait here without a place on its way.
    fn wants(&self) -> usize {
        self.demand.waiting.load(Ordering::Relaxed).saturating_sub(self.granted)
    }

    fn bound(&self, index: usize, depth: Depth) -> Option<usize> {
        let Bounds { size, reserve, user, database, shard } = self.bounds;
        let pool = if depth == Depth::Reserve { size + reserve } else { size };
        [Some(pool), user, database, shard][index]
    }

    /// Tells whether one more connection is within all bounds once a connection of `freed` is closed.
    fn fits(&self, depth: Depth, freed: &[(Scope, Arc<AtomicUsize>)]) -> bool {
        self.scopes.iter().enumerate().all(|(index, (scope, count))| {
            let less = usize::from(freed.iter().any(|(other, _)| other == scope));
            self.bound(index, depth).is_none_or(|bound| count.load(Ordering::Relaxed) < bound + less)
        })
    }

    fn take(&mut self, depth: Depth) -> Taken {
        if self.fits(depth, &[]) {
            self.enter();
            return Taken::Yes;
        }
        let shared = self.scopes.iter().enumerate().any(|(index, (_, count))| {
            let count = count.load(Ordering::Relaxed);
            self.bound(index, depth).is_some_and(|bound| count >= bound) && count > self.held
        });
        if shared { Taken::Shared } else { Taken::Own }
    }

    fn enter(&mut self) {
        self.held += 1;
        for (_, count) in &self.scopes {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn leave(&mut self) {
        self.held = self.held.saturating_sub(1);
        for (_, count) in &self.scopes {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allowance").field("open", &self.open(None)).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClaimHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
