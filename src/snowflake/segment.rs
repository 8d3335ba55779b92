//! Dense ids: ranges that home's database reserved, handed out in order. Fetches nothing; says how much is to be fetched.
//!
//! Two ranges are kept: while one is used the next is fetched, before the first half of the ids at hand is gone.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The step is doubled when ranges are asked for faster than this: a fetch then stands for seconds, not for statements.
const DOUBLED_BELOW: Duration = Duration::from_secs(10);
/// The step is halved when a range lasts longer than this: a restart loses what is left of it.
const HALVED_ABOVE: Duration = Duration::from_secs(600);
/// The largest step that a segment grows to.
const STEP_MAX: i64 = 1_000_000;

/// The ids of one tag that this process may hand out.
#[derive(Debug)]
pub struct Segment {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ranges: VecDeque<Range<i64>>,
    /// The least step, as the rules say.
    step_min: i64,
    step: i64,
    /// Ids that were asked for and not there.
    lacking: i64,
    fetched_at: Option<Duration>,
    /// The end of the highest range so far: home must never go back behind it.
    end: i64,
    issued: u64,
}

/// Why a range that home handed out cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// It lies before one that was handed out already.
    #[error(
        "home handed out ids from {from} after ids up to {end} had been handed out: its table shardloom.id_segment was changed"
    )]
    Backwards {
        /// Where the range begins.
        from: i64,
        /// Where the ids known so far end.
        end: i64,
    },
}

impl Segment {
    /// Makes a segment without ids; `step` is the least number to reserve at a time.
    pub fn new(step: i64) -> Self {
        let (ranges, step_min) = (VecDeque::new(), step.clamp(1, STEP_MAX));
        let state = State { ranges, step_min, step: step_min, lacking: 0, fetched_at: None, end: i64::MIN, issued: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Appends `count` ids, ascending; `false`, and no id, if there are not as many: then they are wanted.
    pub fn take(&self, count: usize, ids: &mut Vec<i64>) -> bool {
        let mut state = self.state();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if state.left() < count {
            state.lacking = state.lacking.max(count);
            return false;
        }
        let mut open = count;
        while open > 0
            && let Some(range) = state.ranges.front_mut()
        {
            let end = range.end.min(range.start.saturating_add(open));
            open -= end - range.start;
            ids.extend(range.start..end);
            range.start = end;
            if range.is_empty() {
                state.ranges.pop_front();
            }
        }
        state.issued += count as u64;
        true
    }

    /// Returns how many ids are to be fetched now, `None` while there are enough.
    pub fn wants(&self) -> Option<i64> {
        let state = self.state();
        state.is_low().then(|| state.step.max(state.lacking - state.left()))
    }

    /// Tells whether the ids at hand run low, so that the next range is to be fetched.
    pub fn is_low(&self) -> bool {
        self.state().is_low()
    }

    /// Takes a range that home reserved at `now`, which is monotonic, and fits the next one to the rate.
    ///
    /// # Errors
    /// It lies before an earlier one.
    pub fn put(&self, range: Range<i64>, now: Duration) -> Result<(), SegmentError> {
        let mut state = self.state();
        if range.start < state.end {
            return Err(SegmentError::Backwards { from: range.start, end: state.end });
        }
        match state.fetched_at.map(|at| now.saturating_sub(at)) {
            Some(lasted) if lasted < DOUBLED_BELOW => state.step = (state.step * 2).min(STEP_MAX),
            Some(lasted) if lasted > HALVED_ABOVE => state.step = (state.step / 2).max(state.step_min),
            Some(_) | None => {}
        }
        (state.end, state.fetched_at, state.lacking) = (range.end, Some(now), 0);
        match state.ranges.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            Some(_) | None => state.ranges.push_back(range),
        }
        Ok(())
    }

    /// Returns how many ids were handed out since start.
    pub fn issued(&self) -> u64 {
        self.state().issued
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_low(&self) -> bool {
        let left = self.left();
        left * 2 <= self.step || left < self.lacking
    }

    fn left(&self) -> i64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(segment: &Segment, count: usize) -> Option<Vec<i64>> {
        let mut ids = Vec::new();
        segment.take(count, &mut ids).then_some(ids)
    }

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn ids_are_dense_over_ranges() {
        let segment = Segment::new(4);
        assert_eq!(taken(&segment, 1), None);
        assert_eq!(segment.wants(), Some(4));
        segment.put(1..5, NOW).unwrap();
        assert_eq!(taken(&segment, 3), Some(vec![1, 2, 3]));
        assert_eq!(taken(&segment, 2), None, "all of them or none");
        segment.put(9..13, NOW).unwrap();
        assert_eq!(taken(&segment, 3), Some(vec![4, 9, 10]));
        assert_eq!(segment.issued(), 6);
    }

    #[test]
    fn the_next_range_is_wanted_before_this_one_ends() {
        let segment = Segment::new(10);
        segment.put(0..10, NOW).unwrap();
        taken(&segment, 4).unwrap();
        assert!(!segment.is_low());
        assert_eq!(segment.wants(), None);
        taken(&segment, 1).unwrap();
        assert!(segment.is_low());
        assert_eq!(segment.wants(), Some(10));
    }

    #[test]
    fn the_step_follows_the_rate() {
        let segment = Segment::new(10);
        let mut now = NOW;
        let mut wants_after = |lasted: Duration| {
            now += lasted;
            let from = now.as_millis() as i64;
            segment.put(from..from + 1, now).unwrap();
            taken(&segment, 1).unwrap();
            segment.wants()
        };
        assert_eq!(wants_after(Duration::ZERO), Some(10));
        assert_eq!(wants_after(DOUBLED_BELOW - Duration::from_millis(1)), Some(20));
        assert_eq!(wants_after(DOUBLED_BELOW), Some(20));
        assert_eq!(wants_after(HALVED_ABOVE), Some(20));
        assert_eq!(wants_after(HALVED_ABOVE + Duration::from_millis(1)), Some(10));
        assert_eq!(wants_after(HALVED_ABOVE * 2), Some(10), "never below the rules' step");
        assert_eq!(segment.wants(), Some(10), "asking changes nothing");
    }

    #[test]
    fn a_large_order_is_fetched_at_once() {
        let segment = Segment::new(10);
        assert_eq!(taken(&segment, 500), None);
        assert_eq!(segment.wants(), Some(500));
        segment.put(0..500, NOW).unwrap();
        assert_eq!(taken(&segment, 500).map(|ids| ids.len()), Some(500));
    }

    #[test]
    fn a_table_that_was_set_back_repeats_nothing() {
        let segment = Segment::new(10);
        segment.put(100..110, NOW).unwrap();
        assert!(matches!(segment.put(105..115, NOW), Err(SegmentError::Backwards { from: 105, end: 110 })));
        assert!(segment.put(110..120, NOW).is_ok());
    }
}
