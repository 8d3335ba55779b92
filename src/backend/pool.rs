//! The connections of one worker to one database of one shard as one user.
//!
//! `open` counts every place taken here: connections in use, idle, and being made; how many there may be is a matter of
//! the [`Allowance`](super::Allowance). Nothing is dropped while the state is borrowed, because dropping a connection
//! comes back here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::allowance::{ClaimHandle, Depth, Taken, now_us};
use super::grant::{Grant, Slot, Waiting};
use super::pool_settings::{PoolSettings, PoolStats};
use super::roster::Roster;
use super::{BackendError, Server, ServerTarget, StatementCache};

/// How long a failed connect is remembered: short enough that a recovered server is noticed within two seconds, long
/// enough that a dead one does not cost a connect per statement.
pub(super) const FAILURE_MEMORY: Duration = Duration::from_millis(300);

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) target: Arc<ServerTarget>,
    settings: RefCell<Rc<PoolSettings>>,
    claim: ClaimHandle,
    roster: Roster,
    paused: Cell<bool>,
    /// The order that outdated connections made before it.
    epoch: Cell<u64>,
    /// When it was last swept, at first when it was made.
    swept: Cell<Instant>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Last in, first out; the front is the longest idle.
    idle: VecDeque<Idle>,
    waiting: VecDeque<Queued>,
    next_number: u64,
    open: usize,
    opened_total: u64,
    wait_ms_max: u64,
    failure: Option<(Instant, BackendError)>,
}

#[derive(Debug)]
struct Idle {
    server: Server,
    since: Instant,
}

#[derive(Debug)]
struct Queued {
    number: u64,
    since_us: u64,
    sender: oneshot::Sender<Grant>,
}

/// The next step of one who wants a connection.
pub(super) enum Step {
    /// Take this one, if it is still alive.
    Use(Server),
    /// Open one.
    Open(Slot),
    /// Wait for one.
    Wait(Waiting),
}

impl Pool {
    pub(super) fn new(
        target: Arc<ServerTarget>,
        settings: PoolSettings,
        claim: ClaimHandle,
        roster: Roster,
    ) -> Rc<Self> {
        let pool = Self {
            target,
            settings: RefCell::new(Rc::new(settings)),
            claim,
            roster,
            paused: Cell::new(false),
            epoch: Cell::new(0),
            swept: Cell::new(Instant::now()),
            state: RefCell::default(),
        };
        let pool = Rc::new(pool);
        pool.obey();
        pool
    }

    pub(super) fn settings(&self) -> Rc<PoolSettings> {
        Rc::clone(&self.settings.borrow())
    }

    /// Puts other settings in force; who waits may profit.
    pub(super) fn set_settings(self: &Rc<Self>, settings: PoolSettings) {
        self.claim.set_bounds(settings.bounds());
        *self.settings.borrow_mut() = Rc::new(settings);
        self.open_for_waiting();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.get()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    /// Takes the idle connection that was used last.
    #[inline]
    pub(super) fn idle(self: &Rc<Self>) -> Option<Server> {
        let entry = self.state.borrow_mut().idle.pop_back()?;
        Some(self.take_into_use(entry.server))
    }

    /// Decides what one who wants a connection does next; fails at once after a failed connect or a full queue.
    pub(super) fn step(self: &Rc<Self>) -> Result<Step, BackendError> {
        if let Some(server) = self.idle() {
            return Ok(Step::Use(server));
        }
        let mut state = self.state.borrow_mut();
        if let Some(error) = state.fresh_failure() {
            return Err(error);
        }
        // Who waits already comes first.
        let taken = if state.waiting.is_empty() { self.claim.take(Depth::Size) } else { Taken::Own };
        if taken == Taken::Yes {
            state.open += 1;
            return Ok(Step::Open(Slot::counted(self.clone())));
        }
        if state.waiting.len() >= self.settings.borrow().waiting_max {
            drop(state);
            return Err(self.wait_failed(Duration::ZERO));
        }
        let waiting = state.enqueue(self);
        drop(state);
        if taken == Taken::Shared {
            self.claim.set_hungry(true);
        }
        Ok(Step::Wait(waiting))
    }

    /// Takes a place during a pause, if one is free: for a transaction that has begun.
    pub(super) fn begun(self: &Rc<Self>) -> Option<Slot> {
        self.place(Depth::Begun)
    }

    /// Takes a place of the reserve, if one is free.
    pub(super) fn reserve(self: &Rc<Self>) -> Option<Slot> {
        self.place(Depth::Reserve)
    }

    fn place(self: &Rc<Self>, depth: Depth) -> Option<Slot> {
        (self.claim.take(depth) == Taken::Yes).then(|| {
            self.state.borrow_mut().open += 1;
            Slot::counted(self.clone())
        })
    }

    /// Returns the error for a wait of this length.
    pub(super) fn wait_failed(&self, after: Duration) -> BackendError {
        BackendError::PoolTimeout {
            shard: self.target.shard_name.clone(),
            database: self.target.database.as_str().into(),
            user: self.target.user.as_str().into(),
            open: self.claim.pool_open(),
            waiting: self.state.borrow().waiting.len(),
            after,
        }
    }

    pub(super) fn note_wait(&self, waited: Duration) {
        let mut state = self.state.borrow_mut();
        state.wait_ms_max = state.wait_ms_max.max(waited.as_millis() as u64);
    }

    /// Connects in the place `slot`; a failure is remembered for [`FAILURE_MEMORY`].
    pub(super) async fn open(&self, target: &Arc<ServerTarget>, slot: Slot) -> Result<Server, BackendError> {
        if let Some(error) = self.state.borrow_mut().fresh_failure() {
            return Err(error);
        }
        let settings = self.settings();
        match Server::connect(target, settings.connect_timeout).await {
            Ok(mut server) => {
                server.bound_silence(settings.tcp_user_timeout);
                server.slot = Some(slot);
                server.enrolled = Some(self.roster.enrol(target, server.process()));
                server.statements = StatementCache::with_capacity(settings.statements);
                let mut state = self.state.borrow_mut();
                state.opened_total += 1;
                state.failure = None;
                Ok(server)
            }
            Err(error) => {
                self.state.borrow_mut().failure = Some((Instant::now(), error.clone()));
                drop(slot);
                Err(error)
            }
        }
    }

    /// Frees a place of a connection made under the order `epoch`: the first who waits, here or in another pool, may
    /// open one.
    pub(super) fn release(self: &Rc<Self>, epoch: u64) {
        if epoch < self.epoch.get() {
            self.claim.demand.stale.fetch_sub(1, Ordering::AcqRel);
        }
        if self.claim.release() && self.hand_place() {
            return;
        }
        self.state.borrow_mut().open -= 1;
    }

    /// Hands a place that is counted here to the first who waits; tells whether somebody took it. If nobody did, it is
    /// given back to the allowance.
    fn hand_place(self: &Rc<Self>) -> bool {
        while let Some(sender) = self.next_waiting() {
            match sender.send(Grant::Slot(Slot::counted(self.clone()))) {
                Ok(()) => return true,
                Err(Grant::Slot(slot)) => slot.keep(),
                Err(Grant::Server(server)) => drop(server),
            }
        }
        // Nobody waits here, so it cannot come back to this pool.
        self.claim.release();
        false
    }

    /// Takes a place that another pool made free.
    pub(super) fn place_granted(self: &Rc<Self>) {
        self.claim.arrived();
        self.state.borrow_mut().open += 1;
        if !self.hand_place() {
            self.state.borrow_mut().open -= 1;
        }
    }

    /// Opens what the bounds allow to those who wait.
    fn open_for_waiting(self: &Rc<Self>) {
        while !self.state.borrow().waiting.is_empty() && self.claim.take(Depth::Size) == Taken::Yes {
            self.state.borrow_mut().open += 1;
            if !self.hand_place() {
                self.state.borrow_mut().open -= 1;
            }
        }
    }

    /// Takes a usable connection back: to the first who waits, else to the idle ones, else it is closed.
    pub(super) fn give_back(&self, mut server: Server) {
        // As of the last sweep: exact to a second, and no reading of the clock per transaction.
        let now = self.swept.get();
        let settings = self.settings.borrow();
        let outdated = server.slot.as_ref().is_some_and(|slot| slot.epoch() < self.epoch.get());
        if !server.is_usable() || outdated || now.duration_since(server.opened()) >= settings.lifetime {
            return drop(server);
        }
        let first = self.state.borrow().waiting.front().map(|queued| queued.since_us);
        if self.paused.get() || self.claim.is_wanted_elsewhere(first) {
            return drop(server);
        }
        while let Some(sender) = self.next_waiting() {
            match sender.send(Grant::Server(server)) {
                Ok(()) | Err(Grant::Slot(_)) => return,
                Err(Grant::Server(back)) => server = back,
            }
        }
        if settings.reserve > 0 && self.claim.pool_open() > settings.size {
            return drop(server);
        }
        server.shrink_buffers();
        server.lend(0);
        if let Some(slot) = server.slot.take() {
            slot.keep();
        }
        self.state.borrow_mut().idle.push_back(Idle { server, since: now });
    }

    fn next_waiting(&self) -> Option<oneshot::Sender<Grant>> {
        let mut state = self.state.borrow_mut();
        let first = state.waiting.pop_front()?;
        self.note_queue(&state);
        Some(first.sender)
    }

    /// Takes one who gave up out of the queue.
    pub(super) fn leave(&self, number: u64) {
        let mut state = self.state.borrow_mut();
        if let Ok(position) = state.waiting.binary_search_by_key(&number, |queued| queued.number) {
            state.waiting.remove(position);
            self.note_queue(&state);
        }
    }

    /// Lets other workers see how many wait here, and since when.
    fn note_queue(&self, state: &State) {
        let demand = &self.claim.demand;
        demand.waiting.store(state.waiting.len(), Ordering::Relaxed);
        demand.since_us.store(state.waiting.front().map_or(0, |first| first.since_us), Ordering::Relaxed);
        if state.waiting.is_empty() {
            self.claim.set_hungry(false);
        }
    }

    /// Does what was ordered since the last look: a pause, its end, new connections in place of old ones.
    pub(super) fn obey(self: &Rc<Self>) {
        let orders = self.claim.orders();
        let generation = orders.generation();
        if self.claim.demand.obeyed.load(Ordering::Acquire) >= generation {
            return;
        }
        let (paused, renewed) = (orders.is_paused(self.claim.group()), orders.renewed(self.claim.group()));
        self.paused.set(paused);
        if renewed > self.epoch.get() {
            self.close_idle();
            // What is in use now was made before the order, whatever order it was made under.
            self.claim.demand.stale.store(self.state.borrow().open, Ordering::Release);
            self.epoch.set(renewed);
        }
        if paused {
            self.close_idle()
        } else {
            self.open_for_waiting()
        }
        self.claim.demand.obeyed.store(generation, Ordering::Release);
    }

    /// Closes idle connections as long as another pool could use their places.
    pub(super) fn make_way(self: &Rc<Self>) {
        while !self.state.borrow().idle.is_empty() && self.claim.is_wanted_elsewhere(None) {
            let Some(entry) = self.state.borrow_mut().idle.pop_front() else { return };
            drop(self.take_into_use(entry.server));
        }
    }

    /// Closes connections that were idle or lived too long, and those that the server closed.
    pub(super) fn close_expired(self: &Rc<Self>, now: Instant) {
        self.swept.set(now);
        let settings = self.settings();
        let mut spare = self.claim.pool_open().saturating_sub(settings.min);
        self.close_where(|entry| {
            let dead = !entry.server.is_quiet() || now.duration_since(entry.server.opened()) >= settings.lifetime;
            let expired = now.duration_since(entry.since) >= settings.idle && spare > 0;
            if dead || expired {
                spare = spare.saturating_sub(1);
            }
            dead || expired
        });
    }

    /// Takes a place for a connection that is opened ahead, while there are fewer than `min`.
    pub(super) fn place_ahead(self: &Rc<Self>) -> Option<Slot> {
        let wanted = !self.paused.get() && self.claim.pool_open() < self.settings.borrow().min;
        if wanted { self.place(Depth::Size) } else { None }
    }

    /// Closes all idle connections.
    pub(super) fn close_idle(self: &Rc<Self>) {
        self.close_where(|_| true);
    }

    fn close_where(self: &Rc<Self>, closes: impl FnMut(&Idle) -> bool) {
        let idle = std::mem::take(&mut self.state.borrow_mut().idle);
        let (closed, kept): (VecDeque<_>, VecDeque<_>) = idle.into_iter().partition(closes);
        self.state.borrow_mut().idle = kept;
        closed.into_iter().for_each(|entry| drop(self.take_into_use(entry.server)));
    }

    /// Gives an idle connection its place's token back, so that dropping it frees the place.
    fn take_into_use(self: &Rc<Self>, mut server: Server) -> Server {
        server.slot = Some(Slot::counted(self.clone()));
        server
    }

    /// Returns the number of the claim, under which other workers know this pool.
    pub(super) fn claim_id(&self) -> u64 {
        self.claim.id()
    }

    /// Tells whether the pool has no connection and nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.borrow();
        state.open == 0 && state.waiting.is_empty()
    }

    pub(super) fn stats(&self) -> PoolStats {
        let state = self.state.borrow();
        PoolStats {
            shard: self.target.shard,
            shard_name: self.target.shard_name.to_string(),
            database: self.target.database.clone(),
            user: self.target.user.clone(),
            active: state.open - state.idle.len(),
            idle: state.idle.len(),
            waiting: state.waiting.len(),
            wait_us: state.waiting.front().map_or(0, |first| now_us().saturating_sub(first.since_us)),
            wait_ms_max: state.wait_ms_max,
            opened_total: state.opened_total,
            paused: self.paused.get(),
        }
    }
}

impl State {
    /// Returns the last failure if it is fresh; an old one is forgotten, so the clock is read only after failures.
    fn fresh_failure(&mut self) -> Option<BackendError> {
        let (at, _) = self.failure.as_ref()?;
        if at.elapsed() >= FAILURE_MEMORY {
            self.failure = None;
        }
        self.failure.as_ref().map(|(_, error)| error.clone())
    }

    fn enqueue(&mut self, pool: &Rc<Pool>) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back(Queued { number, since_us: now_us(), sender });
        pool.note_queue(self);
        Waiting { pool: pool.clone(), number, receiver }
    }
}
