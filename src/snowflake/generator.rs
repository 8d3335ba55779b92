//! Issues ids: one packed atomic per tag, a logical clock, no lock and no sleep.
//!
//! A tag's state is its first free position: milliseconds since the layout's epoch, then the sequence. A full
//! millisecond runs over into the next by plain addition; the wall clock lifts the position.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::{IdError, Layout, WorkerPermit};
use crate::types::Clock;

/// How far the logical clock may run ahead of the wall clock: enough to live through a clock that is set back by ten
/// seconds and to start at once after a holder that died with its time reserved ahead; little enough that ids tell
/// the time.
pub const BORROW_MS_MAX: i64 = 15_000;

/// Threads that read the clock one after the other may compare it the other way round; less is no step back.
const CLOCK_JITTER_MS: i64 = 10;

/// Issues the ids of one layout for all of its tags. Shared by all threads.
pub struct Generator {
    layout: Layout,
    clock: Arc<dyn Clock>,
    active: ArcSwapOption<Active>,
    issued: Box<[Cell]>,
    borrowed_ms: Cell,
    steps_back: AtomicU64,
    wall_seen_ms: AtomicI64,
}

/// A permit and the positions stamped under it. Another worker id gets positions of its own, so that a thread still
/// holding the old ones cannot meet them again.
struct Active {
    permit: Arc<WorkerPermit>,
    positions: Arc<[Cell]>,
}

/// A number on a cache line of its own, so that tags and threads do not slow each other down.
#[derive(Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

/// A run of positions that was reserved at once.
struct Run {
    first: u64,
    worker: u16,
}

impl Generator {
    /// Makes a generator that refuses until [`Self::set_permit`] is called.
    pub fn new(layout: Layout, clock: Arc<dyn Clock>) -> Self {
        Self {
            issued: cells(layout).collect(),
            wall_seen_ms: AtomicI64::new(clock.wall_ms()),
            active: ArcSwapOption::empty(),
            borrowed_ms: Cell::default(),
            steps_back: AtomicU64::new(0),
            layout,
            clock,
        }
    }

    /// Takes a new or renewed permit; fails when its worker id does not fit into the layout.
    ///
    /// Called by the lease's keeper only, one call at a time.
    pub fn set_permit(&self, permit: Arc<WorkerPermit>) -> Result<(), IdError> {
        let (worker, limit) = (permit.worker(), self.layout.workers());
        if u32::from(worker) >= limit {
            return Err(IdError::UnknownWorker { worker, limit });
        }
        let positions = match self.active.load_full() {
            Some(active) if active.permit.worker() == worker => Arc::clone(&active.positions),
            Some(_) | None => cells(self.layout).collect(),
        };
        self.active.store(Some(Arc::new(Active { permit, positions })));
        Ok(())
    }

    /// Takes the permit away: nothing is issued until the next [`Self::set_permit`].
    pub fn clear_permit(&self) {
        self.active.store(None);
    }

    /// Returns the permit in use.
    pub fn permit(&self) -> Option<Arc<WorkerPermit>> {
        self.active.load().as_ref().map(|active| Arc::clone(&active.permit))
    }

    /// Returns the layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Issues one id of the tag; ids of one tag and worker ascend.
    pub fn next(&self, tag_code: u16) -> Result<i64, IdError> {
        let run = self.reserve(tag_code, 1)?;
        Ok(self.id_at(run.first, tag_code, run.worker))
    }

    /// Issues `count` ids of the tag at once, ascending, and appends them to `ids`; all of them or none.
    ///
    /// At most [`BORROW_MS_MAX`] milliseconds' worth of ids can be asked for.
    pub fn next_many(&self, tag_code: u16, count: usize, ids: &mut Vec<i64>) -> Result<(), IdError> {
        if count == 0 {
            return Ok(());
        }
        let run = self.reserve(tag_code, count as u64)?;
        ids.extend((0..count as u64).map(|index| self.id_at(run.first + index, tag_code, run.worker)));
        Ok(())
    }

    /// Returns how many ids of the tag were issued since start; 0 for an unknown tag.
    pub fn issued(&self, tag_code: u16) -> u64 {
        self.issued.get(usize::from(tag_code)).map_or(0, |cell| cell.0.load(Ordering::Relaxed))
    }

    /// Returns how many ids of all tags were issued since start.
    pub fn issued_total(&self) -> u64 {
        self.issued.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum()
    }

    /// Returns how many milliseconds were borrowed ahead of the wall clock since start, over all tags.
    pub fn borrowed_ms(&self) -> u64 {
        self.borrowed_ms.0.load(Ordering::Relaxed)
    }

    /// Returns how often the wall clock was seen to step back since start.
    pub fn steps_back(&self) -> u64 {
        self.steps_back.load(Ordering::Relaxed)
    }

    fn reserve(&self, tag: u16, count: u64) -> Result<Run, IdError> {
        if u32::from(tag) >= self.layout.tags() {
            return Err(IdError::UnknownTag { tag, limit: self.layout.tags() });
        }
        let wall_ms = self.wall();
        loop {
            let guard = self.active.load();
            let active = guard.as_ref().ok_or(IdError::NoLease)?;
            let position = &active.positions[usize::from(tag)].0;
            let free = position.load(Ordering::Acquire);
            let first = self.first_from(free, wall_ms, tag, &active.permit)?;
            let end = self.check(first, count, wall_ms, tag, &active.permit)?;
            if position.compare_exchange_weak(free, end + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.count(free, end, wall_ms, tag, count);
                return Ok(Run { first, worker: active.permit.worker() });
            }
        }
    }

    /// Reads the wall clock and counts a step back once.
    fn wall(&self) -> i64 {
        let wall_ms = self.clock.wall_ms();
        let seen_ms = self.wall_seen_ms.load(Ordering::Relaxed);
        let stepped_back = wall_ms < seen_ms - CLOCK_JITTER_MS;
        if wall_ms > seen_ms || stepped_back {
            let exchanged =
                self.wall_seen_ms.compare_exchange(seen_ms, wall_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if exchanged && stepped_back {
                self.steps_back.fetch_add(1, Ordering::Relaxed);
            }
        }
        wall_ms
    }

    /// Returns the position to issue next: not before `free`, not before the clock, after the permit's floor.
    fn first_from(&self, free: u64, wall_ms: i64, tag: u16, permit: &WorkerPermit) -> Result<u64, IdError> {
        let epoch_ms = self.layout.epoch_ms();
        if wall_ms < epoch_ms {
            return Err(IdError::ClockBeforeEpoch { wall_ms, epoch_ms });
        }
        let earliest_ms = wall_ms.max(permit.floor_ms().saturating_add(1)).min(self.layout.end_of_life_ms());
        let time = (earliest_ms - epoch_ms) as u64;
        let bits = self.layout.sequence_bits();
        let opened = time << bits;
        Ok(if free <= opened { opened | self.start_of(time, tag) } else { free })
    }

    /// Returns where the sequence starts in a millisecond that the clock opened, so that ids issued one by one are
    /// not all even. Half of the range (all of a narrow one) is enough for every low bit to vary and leaves room.
    fn start_of(&self, time: u64, tag: u16) -> u64 {
        let range = self.layout.ids_per_ms();
        let spread = if range > 8 { range / 2 } else { range };
        scramble(time ^ u64::from(tag) << 48) & (spread - 1)
    }

    /// Returns the last position of the run if all of it may be stamped.
    fn check(&self, first: u64, count: u64, wall_ms: i64, tag: u16, permit: &WorkerPermit) -> Result<u64, IdError> {
        let worker = permit.worker();
        let end = first.saturating_add(count - 1);
        let time_ms = self.layout.epoch_ms().saturating_add((end >> self.layout.sequence_bits()) as i64);
        if time_ms >= self.layout.end_of_life_ms() {
            return Err(IdError::TimeExhausted { end: self.layout.end_of_life_date() });
        }
        let ahead_ms = time_ms - wall_ms;
        if ahead_ms > BORROW_MS_MAX {
            return Err(IdError::BorrowExceeded { tag, ahead_ms, max_ms: BORROW_MS_MAX });
        }
        let reserved_ms = permit.reserved_until_ms();
        if !permit.is_valid_at(self.clock.monotonic()) || wall_ms >= reserved_ms {
            return Err(IdError::LeaseLapsed { worker });
        }
        if time_ms >= reserved_ms {
            return Err(IdError::BorrowExceeded { tag, ahead_ms, max_ms: reserved_ms - wall_ms });
        }
        Ok(end)
    }

    fn count(&self, free: u64, end: u64, wall_ms: i64, tag: u16, count: u64) {
        self.issued[usize::from(tag)].0.fetch_add(count, Ordering::Relaxed);
        let bits = self.layout.sequence_bits();
        let wall = (wall_ms - self.layout.epoch_ms()) as u64;
        let borrowed = (end >> bits).saturating_sub(wall.max(free.saturating_sub(1) >> bits));
        if borrowed > 0 {
            self.borrowed_ms.0.fetch_add(borrowed, Ordering::Relaxed);
        }
    }

    fn id_at(&self, position: u64, tag: u16, worker: u16) -> i64 {
        let bits = self.layout.sequence_bits();
        self.layout.compose(position >> bits, tag, worker, position & (self.layout.ids_per_ms() - 1))
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator").field("layout", &self.layout).field("permit", &self.permit()).finish()
    }
}

fn cells(layout: Layout) -> impl Iterator<Item = Cell> {
    (0..layout.tags()).map(|_| Cell::default())
}

/// Mixes the bits of `value` (the finalizer of splitmix64).
fn scramble(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
