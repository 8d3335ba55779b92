//! Which way statements took: counts by fingerprint, written by one worker each and read when somebody asks.
//!
//! A fingerprint is a statement's text without its constants. A worker that knows a statement holds its counter and adds
//! to it without a lock; the board is locked when a text is read for the first time and when it is shown.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::types::Refusal;

/// The most statements that the board keeps per worker: more than an application has, less than a MiB.
pub const ROUTES_MAX: usize = 1_000;
/// The most bytes of a fingerprint that are kept and shown; statements that differ beyond are counted apart.
pub const FINGERPRINT_BYTES_MAX: usize = 1_000;
/// How often one statement may have a line in the log.
const LOGGED_EVERY_MS: i64 = 60_000;

/// The way that a statement took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteMode {
    /// One shard answered.
    Direct,
    /// Several shards answered a read.
    Scatter,
    /// The rows of several shards came to home.
    Gather,
    /// Several shards were written.
    MultiWrite,
    /// COPY of a sharded table.
    Copy,
    /// The same on several shards.
    Everywhere,
    /// The proxy refused it.
    Refused,
}

impl RouteMode {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Direct, Self::Scatter, Self::Gather, Self::MultiWrite, Self::Copy, Self::Everywhere, Self::Refused];

    /// Returns the name that operators read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Scatter => "scatter",
            Self::Gather => "gather",
            Self::MultiWrite => "multi_write",
            Self::Copy => "copy",
            Self::Everywhere => "everywhere",
            Self::Refused => "refused",
        }
    }
}

/// One statement's counts on one worker.
#[derive(Debug)]
pub struct RouteCounter {
    fingerprint: Box<str>,
    modes: [ModeCounts; RouteMode::ALL.len()],
    last_refusal: Mutex<Option<(&'static str, String)>>,
    logged_ms: AtomicI64,
}

/// What one way had to do.
#[derive(Debug, Default)]
struct ModeCounts {
    count: AtomicU64,
    shards: AtomicU64,
    rows: AtomicU64,
    micros: AtomicU64,
    micros_max: AtomicU64,
}

/// Adds as the only writer: no other thread adds to this counter.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).saturating_add(more), Ordering::Relaxed);
}

impl RouteCounter {
    fn new(fingerprint: Box<str>) -> Self {
        Self {
            fingerprint,
            modes: Default::default(),
            last_refusal: Mutex::new(None),
            logged_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// Counts a statement that one shard answers; its time is not taken.
    #[inline]
    pub fn direct(&self) {
        add(&self.modes[RouteMode::Direct as usize].count, 1);
    }

    /// Counts one that took several shards.
    pub fn note(&self, mode: RouteMode, shards: usize, rows: u64, time: Duration) {
        let counts = &self.modes[mode as usize];
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        add(&counts.count, 1);
        add(&counts.shards, shards as u64);
        add(&counts.rows, rows);
        add(&counts.micros, micros);
        counts.micros_max.fetch_max(micros, Ordering::Relaxed);
    }

    /// Counts one that was refused, and keeps why.
    pub fn refused(&self, refusal: &Refusal) {
        add(&self.modes[RouteMode::Refused as usize].count, 1);
        let why = if refusal.reason.is_empty() { "refused" } else { refusal.reason };
        *self.refusal() = Some((why, refusal.state.code().to_owned()));
    }

    fn refusal(&self) -> MutexGuard<'_, Option<(&'static str, String)>> {
        self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a line about it may be logged at `now_ms` of any one clock, once a minute at most.
    pub fn may_log(&self, now_ms: i64) -> bool {
        let before = self.logged_ms.load(Ordering::Relaxed);
        let due = now_ms.saturating_sub(before) >= LOGGED_EVERY_MS;
        if due {
            self.logged_ms.store(now_ms, Ordering::Relaxed);
        }
        due
    }

    /// Returns the statement without its constants.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn total(&self) -> u64 {
        self.modes.iter().map(|counts| counts.count.load(Ordering::Relaxed)).sum()
    }

    fn clear(&self) {
        for counts in &self.modes {
            for counter in [&counts.count, &counts.shards, &counts.rows, &counts.micros, &counts.micros_max] {
                counter.store(0, Ordering::Relaxed);
            }
        }
        *self.refusal() = None;
    }
}

/// One way of one statement, summed over the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteFigures {
    /// The statement without its constants.
    pub fingerprint: String,
    /// The way.
    pub mode: RouteMode,
    /// How often.
    pub count: u64,
    /// How many shards were asked, over all times.
    pub shards: u64,
    /// How many rows were answered or written; 0 for direct ones.
    pub rows: u64,
    /// How long they took together, in microseconds; 0 for direct ones.
    pub micros: u64,
    /// How long the longest took, in microseconds.
    pub micros_max: u64,
    /// Of refused ones, the last reason and its SQLSTATE.
    pub last_refusal: Option<(&'static str, String)>,
}

/// The counters of all workers.
#[derive(Debug, Default)]
pub struct RouteBoard {
    counters: Mutex<Counters>,
    workers: AtomicUsize,
}

/// By worker and hash of the fingerprint.
type Counters = HashMap<(usize, u64), Arc<RouteCounter>>;

impl RouteBoard {
    /// Returns the number of one more worker that counts.
    pub fn join(&self) -> usize {
        self.workers.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns a worker's counter of a statement.
    pub fn counter(&self, worker: usize, fingerprint: &str) -> Arc<RouteCounter> {
        let mut hasher = DefaultHasher::new();
        fingerprint.hash(&mut hasher);
        let key = (worker, hasher.finish());
        let mut board = self.lock();
        if let Some(known) = board.get(&key) {
            return Arc::clone(known);
        }
        if board.keys().filter(|(of, _)| *of == worker).count() >= ROUTES_MAX {
            make_room(&mut board, worker);
        }
        let counter = Arc::new(RouteCounter::new(shortened(fingerprint)));
        board.insert(key, Arc::clone(&counter));
        counter
    }

    /// Returns what was counted, the most frequent first.
    pub fn list(&self) -> Vec<RouteFigures> {
        let mut sums: HashMap<(Box<str>, usize), RouteFigures> = HashMap::new();
        for counter in self.lock().values() {
            for mode in RouteMode::ALL {
                let counts = &counter.modes[mode as usize];
                let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
                let count = of(&counts.count);
                if count == 0 {
                    continue;
                }
                let sum = sums.entry((counter.fingerprint.clone(), mode as usize)).or_insert_with(|| RouteFigures {
                    fingerprint: counter.fingerprint.to_string(),
                    mode,
                    count: 0,
                    shards: 0,
                    rows: 0,
                    micros: 0,
                    micros_max: 0,
                    last_refusal: None,
                });
                sum.count += count;
                sum.shards += if mode == RouteMode::Direct { count } else { of(&counts.shards) };
                sum.rows += of(&counts.rows);
                sum.micros += of(&counts.micros);
                sum.micros_max = sum.micros_max.max(of(&counts.micros_max));
                if mode == RouteMode::Refused {
                    sum.last_refusal = counter.refusal().clone().or(sum.last_refusal.take());
                }
            }
        }
        let mut all: Vec<_> = sums.into_values().collect();
        let rank = |row: &RouteFigures| (std::cmp::Reverse(row.count), row.fingerprint.clone(), row.mode as usize);
        all.sort_by_cached_key(rank);
        all
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        let mut board = self.lock();
        board.retain(|_, counter| Arc::strong_count(counter) > 1);
        board.values().for_each(|counter| counter.clear());
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a quarter of a worker's statements, those first that no plan cache has any more, then the rarest.
fn make_room(board: &mut Counters, worker: usize) {
    let own = board.iter().filter(|((of, _), _)| *of == worker);
    let mut ranked: Vec<_> =
        own.map(|(key, counter)| (Arc::strong_count(counter) > 1, counter.total(), *key)).collect();
    ranked.sort_unstable();
    for (_, _, key) in ranked.into_iter().take(ROUTES_MAX / 4) {
        board.remove(&key);
    }
}

fn shortened(fingerprint: &str) -> Box<str> {
    if fingerprint.len() <= FINGERPRINT_BYTES_MAX {
        return fingerprint.into();
    }
    let end = (0..=FINGERPRINT_BYTES_MAX).rev().find(|at| fingerprint.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &fingerprint[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlState;

    #[test]
    fn workers_counts_add_up_and_reset_begins_anew() {
        let board = RouteBoard::default();
        let (one, other) = (board.counter(0, "select ?"), board.counter(1, "select ?"));
        one.direct();
        other.direct();
        other.note(RouteMode::Scatter, 3, 10, Duration::from_micros(5));
        other.note(RouteMode::Scatter, 3, 20, Duration::from_micros(9));
        let list = board.list();
        assert_eq!((list[0].mode, list[0].count, list[0].shards), (RouteMode::Direct, 2, 2));
        let scatter = (list[1].count, list[1].shards, list[1].rows, list[1].micros, list[1].micros_max);
        assert_eq!(scatter, (2, 6, 30, 14, 9));
        board.reset();
        assert_eq!(board.list(), []);
        // Who holds a counter goes on with it.
        one.direct();
        assert_eq!(board.list()[0].count, 1);
    }

    #[test]
    fn a_refusal_is_kept_without_its_words() {
        let board = RouteBoard::default();
        let counter = board.counter(0, "merge");
        counter.refused(&Refusal::unsupported("no 'secret' value", "").with_reason("merge"));
        counter.refused(&Refusal::new(SqlState::SYNTAX_ERROR, "'secret'"));
        let list = board.list();
        assert_eq!((list[0].count, &list[0].last_refusal), (2, &Some(("refused", "42601".to_owned()))));
    }

    #[test]
    fn a_flood_of_statements_is_bounded_and_spares_those_in_use() {
        let board = RouteBoard::default();
        let held = board.counter(0, "held");
        for number in 0..ROUTES_MAX * 3 {
            board.counter(0, &format!("flood {number}")).direct();
        }
        board.counter(1, "of another worker").direct();
        held.direct();
        let list = board.list();
        assert!(list.len() <= ROUTES_MAX + 1 && list.iter().any(|row| row.fingerprint == "held"), "{}", list.len());
        assert!(list.iter().any(|row| row.fingerprint == "of another worker"));
    }

    #[test]
    fn a_line_a_minute_and_long_texts_are_cut() {
        let counter = RouteCounter::new(shortened(&"é".repeat(FINGERPRINT_BYTES_MAX)));
        assert!(counter.fingerprint().len() <= FINGERPRINT_BYTES_MAX + 3);
        assert!(counter.may_log(1_000) && !counter.may_log(60_999) && counter.may_log(61_000));
    }
}
