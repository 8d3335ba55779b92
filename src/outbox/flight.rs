//! Flights: transactions whose client path is still at work, and what of this process is pending. In memory only.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::gate::{Closed, Gate};
use super::pace::Pace;
use crate::types::{ShardId, ShardSet};

/// A mark that waits to be written to the ledger: target applied with so many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub home: ShardId,
    pub txid: i64,
    pub target: ShardId,
    pub affected: i64,
    /// Whether row images are still to come there, which the relay brings.
    pub copy: bool,
}

/// What the process knows of its own recent transactions.
#[derive(Debug)]
pub(super) struct Flights {
    inner: Mutex<Inner>,
    /// Counts changes; waiters look again at each.
    pub changed: watch::Sender<u64>,
    /// One per home: wakes its relay.
    pub wake: Vec<Arc<Notify>>,
    /// One per home: says that there are marks, which may wait for more of them.
    pub marked: Vec<Arc<Notify>>,
    /// One per home: counts the times that its lanes were told not to wait any longer.
    pub nudges: Vec<AtomicU64>,
    /// Of all lanes.
    pub pace: Pace,
    /// One per target.
    pub gates: Vec<Arc<Gate>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Transactions that have an id and are not over: nobody may decide about them but their own COMMIT.
    drawn: HashSet<i64>,
    flying: HashMap<i64, ShardId>,
    pending: HashMap<i64, (ShardId, ShardSet)>,
    backlog: HashMap<ShardId, usize>,
    marks: Vec<Mark>,
    /// With their homes, and since when.
    doubtful: Vec<(i64, ShardId, Instant)>,
}

impl Flights {
    pub fn new(names: &[String]) -> Self {
        let homes = || (0..names.len() as u16).map(ShardId);
        let gates = names
            .iter()
            .zip(homes())
            .map(|(name, target)| Arc::new(Gate::closed_for(name.clone(), homes().filter(move |home| *home != target))))
            .collect();
        Self {
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
            wake: names.iter().map(|_| Arc::new(Notify::new())).collect(),
            marked: names.iter().map(|_| Arc::new(Notify::new())).collect(),
            nudges: names.iter().map(|_| AtomicU64::new(0)).collect(),
            pace: Pace::default(),
            gates,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells whether the client path still works on `txid`.
    pub fn is_flying(&self, txid: i64) -> bool {
        self.inner().flying.contains_key(&txid)
    }

    /// Tells whether a client of this process has `txid` open.
    pub fn is_open(&self, txid: i64) -> bool {
        let inner = self.inner();
        inner.drawn.contains(&txid) || inner.flying.contains_key(&txid)
    }

    /// Returns the targets of `txid` that this process knows to be pending.
    pub fn pending(&self, txid: i64) -> ShardSet {
        self.inner().pending.get(&txid).map(|(_, targets)| *targets).unwrap_or_default()
    }

    /// Returns how many of this process's transactions are pending on `target`.
    pub fn backlog(&self, target: ShardId) -> usize {
        self.inner().backlog.get(&target).copied().unwrap_or(0)
    }

    /// Returns transactions of one home whose client path has ended and that are pending, at most `limit`.
    pub fn waiting(&self, home: ShardId, limit: usize) -> Vec<i64> {
        let inner = self.inner();
        // What is in doubt is not in the ledger yet, or never will be: it waits for its fence.
        let doubtful: HashSet<i64> = inner.doubtful.iter().map(|(txid, ..)| *txid).collect();
        let settled = |txid: &i64| !inner.flying.contains_key(txid) && !doubtful.contains(txid);
        let mine = inner.pending.iter().filter(|(txid, (of, _))| *of == home && settled(txid));
        mine.map(|(txid, _)| *txid).take(limit).collect()
    }

    /// Notes that `txid` waits for no more on `target`: applied, or given up to an operator.
    pub fn finished(&self, txid: i64, target: ShardId) {
        let mut inner = self.inner();
        inner.finish(txid, target);
        drop(inner);
        self.gates[target.index()].lift(Closed::Redo(txid));
        self.told();
    }

    /// Ends the waits of a home's lanes: what they waited for may have changed.
    pub fn nudge(&self, home: ShardId) {
        self.nudges[home.index()].fetch_add(1, Ordering::AcqRel);
        self.wake[home.index()].notify_one();
    }

    /// Takes all marks that wait for one home.
    pub fn take_marks(&self, home: ShardId) -> Vec<Mark> {
        let mut inner = self.inner();
        let (mine, rest) = inner.marks.drain(..).partition(|mark| mark.home == home);
        inner.marks = rest;
        mine
    }

    /// Puts marks back that could not be written.
    pub fn return_marks(&self, marks: Vec<Mark>) {
        self.inner().marks.extend(marks);
    }

    /// Notes that these marks are in the ledger: the relay may look at their transactions again.
    pub fn written(&self, marks: &[Mark]) {
        let mut inner = self.inner();
        for mark in marks {
            inner.flying.remove(&mark.txid);
        }
    }

    /// Returns how many transactions wait for their home to say what became of them.
    pub fn doubtful_count(&self) -> usize {
        self.inner().doubtful.len()
    }

    /// Takes the transactions of one home whose client path ended without saying how.
    pub fn take_doubtful(&self, home: ShardId) -> Vec<(i64, Instant)> {
        let mut inner = self.inner();
        let (mine, rest): (Vec<_>, Vec<_>) = inner.doubtful.drain(..).partition(|(_, of, _)| *of == home);
        inner.doubtful = rest;
        mine.into_iter().map(|(txid, _, since)| (txid, since)).collect()
    }

    /// Returns the transactions whose client path ended without saying how, and their homes.
    pub fn doubts(&self) -> Vec<(i64, ShardId)> {
        self.inner().doubtful.iter().map(|(txid, home, _)| (*txid, *home)).collect()
    }

    /// Puts a transaction back whose outcome could not be asked.
    pub fn return_doubtful(&self, txid: i64, home: ShardId, since: Instant) {
        self.inner().doubtful.push((txid, home, since));
    }
}

impl Inner {
    fn finish(&mut self, txid: i64, target: ShardId) {
        let Some((_, set)) = self.pending.get_mut(&txid) else { return };
        if !set.contains(target) {
            return;
        }
        *set = set.iter().filter(|shard| *shard != target).collect();
        if set.is_empty() {
            self.pending.remove(&txid);
        }
        if let Some(count) = self.backlog.get_mut(&target) {
            *count = count.saturating_sub(1);
        }
    }
}

/// A transaction whose client path is at work: while it lives, this process's relay leaves the transaction alone.
///
/// Say how it ended with one of its verbs; dropped without, its targets count as unknown.
#[derive(Debug)]
#[must_use = "a dropped flight counts as lost"]
pub struct Flight {
    flights: Arc<Flights>,
    home: ShardId,
    txid: i64,
    targets: ShardSet,
    copies: ShardSet,
    ended: bool,
}

impl Flight {
    pub(super) fn begin(flights: Arc<Flights>, home: ShardId, txid: i64, targets: ShardSet) -> Self {
        let mut inner = flights.inner();
        inner.flying.insert(txid, home);
        if !targets.is_empty() {
            inner.pending.insert(txid, (home, targets));
        }
        for target in targets.iter() {
            *inner.backlog.entry(target).or_default() += 1;
        }
        drop(inner);
        Self { flights, home, txid, targets, copies: ShardSet::new(), ended: false }
    }

    /// Says that these targets also get row images: they stay pending until the relay has delivered those.
    pub fn with_copies(mut self, copies: ShardSet) -> Self {
        self.copies = copies;
        self
    }

    /// Home and these targets committed, with so many affected rows: marks follow in batches. The rest is the relay's.
    pub fn settled(mut self, applied: Vec<(ShardId, i64)>) {
        self.ended = true;
        let mut inner = self.flights.inner();
        for (target, affected) in &applied {
            let copy = self.copies.contains(*target);
            inner.marks.push(Mark { home: self.home, txid: self.txid, target: *target, affected: *affected, copy });
            if !copy {
                inner.finish(self.txid, *target);
            }
        }
        // With marks on their way it stays flying until they are written, or the relay would look at it for nothing.
        if applied.iter().all(|(target, _)| self.copies.contains(*target)) {
            inner.flying.remove(&self.txid);
        }
        let is_over = !inner.pending.contains_key(&self.txid);
        drop(inner);
        self.flights.told();
        let told = if is_over { &self.flights.marked } else { &self.flights.wake };
        told[self.home.index()].notify_one();
    }

    /// Home committed; nothing ran on the targets: the relay delivers.
    pub fn deferred(self) {
        self.settled(Vec::new());
    }

    /// Home committed, these targets committed too, but the answers of `lost` did not come: the relay redoes them at
    /// once, and their gates stay closed until it has.
    pub fn unknown_targets(self, lost: &[ShardId], applied: Vec<(ShardId, i64)>) {
        for target in lost {
            self.flights.gates[target.index()].close(Closed::Redo(self.txid));
        }
        self.settled(applied);
    }

    /// Home did not commit: there is nothing to deliver.
    pub fn aborted(mut self) {
        self.ended = true;
        let mut inner = self.flights.inner();
        inner.flying.remove(&self.txid);
        for target in self.targets.iter() {
            inner.finish(self.txid, target);
        }
        drop(inner);
        self.flights.told();
    }
}

/// Says that a client of this process has a transaction open, until it is dropped.
#[derive(Debug)]
#[must_use = "dropped, the transaction counts as over"]
pub struct Drawn {
    flights: Arc<Flights>,
    txid: i64,
}

impl Drawn {
    pub(super) fn new(flights: Arc<Flights>, txid: i64) -> Self {
        flights.inner().drawn.insert(txid);
        Self { flights, txid }
    }

    /// Returns the transaction's id.
    pub fn txid(&self) -> i64 {
        self.txid
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.flights.inner().drawn.remove(&self.txid);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        for target in self.targets.iter() {
            self.flights.gates[target.index()].close(Closed::Redo(self.txid));
        }
        let mut inner = self.flights.inner();
        inner.flying.remove(&self.txid);
        inner.doubtful.push((self.txid, self.home, Instant::now()));
        drop(inner);
        self.flights.wake[self.home.index()].notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_flights() -> Arc<Flights> {
        let flights = Arc::new(Flights::new(&["s0".into(), "s1".into(), "s2".into()]));
        for (gate, target) in flights.gates.iter().zip(0..3u16) {
            for home in (0..3).filter(|home| *home != target) {
                gate.lift(Closed::Unscanned(ShardId(home)));
            }
        }
        flights
    }

    fn flight(flights: &Arc<Flights>) -> Flight {
        Flight::begin(flights.clone(), ShardId(0), 7, [ShardId(1), ShardId(2)].into_iter().collect())
    }

    #[test]
    fn a_settled_target_is_marked_and_the_rest_stays_pending() {
        let flights = open_flights();
        flight(&flights).settled(vec![(ShardId(1), 3)]);
        assert_eq!(flights.pending(7).only(), Some(ShardId(2)));
        assert_eq!(flights.take_marks(ShardId(0)).len(), 1);
        assert!(flights.gates[2].is_open());
        assert_eq!((flights.backlog(ShardId(1)), flights.backlog(ShardId(2))), (0, 1));
    }

    #[test]
    fn a_dropped_flight_closes_its_gates_until_it_is_finished() {
        let flights = open_flights();
        let flying = flight(&flights);
        assert!(flights.is_flying(7));
        drop(flying);
        assert!(!flights.is_flying(7) && !flights.gates[1].is_open());
        flights.finished(7, ShardId(1));
        assert!(flights.gates[1].is_open() && !flights.gates[2].is_open());
    }

    #[test]
    fn a_transaction_is_open_while_it_is_drawn_or_flies_and_without_targets_leaves_nothing() {
        let flights = open_flights();
        let drawn = Drawn::new(flights.clone(), 9);
        assert!(flights.is_open(9) && !flights.is_flying(9));
        let flying = Flight::begin(flights.clone(), ShardId(0), 9, ShardSet::new());
        drop(drawn);
        assert!(flights.is_open(9));
        flying.settled(Vec::new());
        assert!(!flights.is_open(9) && flights.inner().pending.is_empty());
    }

    #[test]
    fn an_aborted_flight_leaves_nothing() {
        let flights = open_flights();
        flight(&flights).aborted();
        assert!(flights.pending(7).is_empty() && flights.take_marks(ShardId(0)).is_empty());
    }
}
