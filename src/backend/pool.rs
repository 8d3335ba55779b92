//! The connections of one worker to one database of one shard as one user.
//!
//! `open` counts every place taken: connections in use, idle, and being made. Nothing is dropped while the state is
//! borrowed, because dropping a connection comes back here.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::grant::{Grant, Slot, Waiting};
use super::statements::STATEMENTS_MAX;
use super::{BackendError, Server, ServerTarget, StatementCache};
use crate::types::ShardId;

/// How long a failed connect is remembered: short enough that a recovered server is noticed within two seconds, long
/// enough that a dead one does not cost a connect per statement.
pub(super) const FAILURE_MEMORY: Duration = Duration::from_millis(300);

/// How a pool behaves; the numbers are per worker and per (shard, database, user).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// The most connections.
    pub size: usize,
    /// Connections beyond `size` for those who waited longer than `reserve_after`.
    pub reserve: usize,
    /// How long one waits before the reserve is opened.
    pub reserve_after: Duration,
    /// The longest wait for a connection.
    pub wait: Duration,
    /// The most who may wait at once.
    pub waiting_max: usize,
    /// How long a connection may be idle.
    pub idle: Duration,
    /// How long a connection may live.
    pub lifetime: Duration,
    /// The longest time for connecting and logging in.
    pub connect_timeout: Duration,
    /// The most prepared statements kept on one connection.
    pub statements: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            size: 20,
            reserve: 0,
            reserve_after: Duration::from_secs(1),
            wait: Duration::from_secs(10),
            waiting_max: 10_000,
            idle: Duration::from_secs(600),
            lifetime: Duration::from_secs(3600),
            connect_timeout: Duration::from_secs(3),
            statements: STATEMENTS_MAX,
        }
    }
}

/// What a pool is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStats {
    /// The shard.
    pub shard: ShardId,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// Connections in use or being made.
    pub active: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Sessions that wait.
    pub waiting: usize,
    /// The longest wait so far, milliseconds.
    pub wait_ms_max: u64,
    /// Connections made so far.
    pub opened_total: u64,
}

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) target: Arc<ServerTarget>,
    pub(super) settings: Rc<PoolSettings>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Last in, first out; the front is the longest idle.
    idle: VecDeque<Idle>,
    waiting: VecDeque<(u64, oneshot::Sender<Grant>)>,
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

/// The next step of one who wants a connection.
#[expect(clippy::large_enum_variant, reason = "lives for one match; a box would cost an allocation per transaction")]
pub(super) enum Step {
    /// Take this one, if it is still alive.
    Use(Server),
    /// Open one.
    Open(Slot),
    /// Wait for one.
    Wait(Waiting),
}

impl Pool {
    pub(super) fn new(target: Arc<ServerTarget>, settings: Rc<PoolSettings>) -> Rc<Self> {
        Rc::new(Self { target, settings, state: RefCell::default() })
    }

    /// Decides what one who wants a connection does next; fails at once after a failed connect or a full queue.
    pub(super) fn step(self: &Rc<Self>) -> Result<Step, BackendError> {
        let mut state = self.state.borrow_mut();
        if let Some(entry) = state.idle.pop_back() {
            return Ok(Step::Use(self.take_into_use(entry.server)));
        }
        if let Some(error) = state.fresh_failure() {
            return Err(error);
        }
        if state.open < self.settings.size {
            state.open += 1;
            return Ok(Step::Open(Slot::counted(self.clone())));
        }
        if state.waiting.len() >= self.settings.waiting_max {
            return Err(self.wait_failed(Duration::ZERO));
        }
        Ok(Step::Wait(state.enqueue(self)))
    }

    /// Takes a place of the reserve, if one is free.
    pub(super) fn reserve(self: &Rc<Self>) -> Option<Slot> {
        let mut state = self.state.borrow_mut();
        (state.open < self.settings.size + self.settings.reserve).then(|| {
            state.open += 1;
            Slot::counted(self.clone())
        })
    }

    /// Returns the error for a wait of this length.
    pub(super) fn wait_failed(&self, after: Duration) -> BackendError {
        BackendError::PoolTimeout { shard: self.target.shard_name.clone(), after }
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
        match Server::connect(target, self.settings.connect_timeout).await {
            Ok(mut server) => {
                server.slot = Some(slot);
                server.statements = StatementCache::with_capacity(self.settings.statements);
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

    /// Frees a place: the first who waits may open a connection.
    pub(super) fn release(self: &Rc<Self>) {
        while let Some(sender) = self.next_waiting() {
            match sender.send(Grant::Slot(Slot::counted(self.clone()))) {
                Ok(()) => return,
                Err(Grant::Slot(slot)) => slot.keep(),
                Err(Grant::Server(server)) => drop(server),
            }
        }
        self.state.borrow_mut().open -= 1;
    }

    /// Takes a usable connection back: to the first who waits, else to the idle ones, else it is closed.
    pub(super) fn give_back(&self, server: Server) {
        let now = Instant::now();
        if !server.is_usable() || now.duration_since(server.opened()) >= self.settings.lifetime {
            return drop(server);
        }
        let mut server = Box::new(server);
        while let Some(sender) = self.next_waiting() {
            match sender.send(Grant::Server(server)) {
                Ok(()) | Err(Grant::Slot(_)) => return,
                Err(Grant::Server(back)) => server = back,
            }
        }
        if self.state.borrow().open > self.settings.size {
            return drop(server);
        }
        server.shrink_buffers();
        if let Some(slot) = server.slot.take() {
            slot.keep();
        }
        self.state.borrow_mut().idle.push_back(Idle { server: *server, since: now });
    }

    fn next_waiting(&self) -> Option<oneshot::Sender<Grant>> {
        self.state.borrow_mut().waiting.pop_front().map(|(_, sender)| sender)
    }

    /// Takes one who gave up out of the queue.
    pub(super) fn leave(&self, number: u64) {
        let waiting = &mut self.state.borrow_mut().waiting;
        if let Ok(position) = waiting.binary_search_by_key(&number, |(waiting, _)| *waiting) {
            waiting.remove(position);
        }
    }

    /// Closes connections that were idle or lived too long.
    pub(super) fn close_expired(self: &Rc<Self>, now: Instant) {
        let (idle, lifetime) = (self.settings.idle, self.settings.lifetime);
        self.close_where(|entry| {
            now.duration_since(entry.since) >= idle || now.duration_since(entry.server.opened()) >= lifetime
        });
    }

    /// Closes all idle connections.
    pub(super) fn close_idle(self: &Rc<Self>) {
        self.close_where(|_| true);
    }

    fn close_where(self: &Rc<Self>, closes: impl Fn(&Idle) -> bool) {
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

    /// Tells whether the pool has no connection and nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.borrow();
        state.open == 0 && state.waiting.is_empty()
    }

    pub(super) fn stats(&self) -> PoolStats {
        let state = self.state.borrow();
        PoolStats {
            shard: self.target.shard,
            database: self.target.database.clone(),
            user: self.target.user.clone(),
            active: state.open - state.idle.len(),
            idle: state.idle.len(),
            waiting: state.waiting.len(),
            wait_ms_max: state.wait_ms_max,
            opened_total: state.opened_total,
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
        self.waiting.push_back((number, sender));
        Waiting { pool: pool.clone(), number, receiver }
    }
}
