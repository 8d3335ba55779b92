//! What holds for layouts and for ids.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{BORROW_MS_MAX, Generator, IdError, Layout, LayoutError, WorkerPermit};
use crate::types::{ManualClock, SqlState};

/// 2024-01-01 UTC.
const EPOCH_MS: i64 = 1_704_067_200_000;
const NOW_MS: i64 = EPOCH_MS + 1_000_000_000;
const FAR_MS: i64 = NOW_MS + 1_000_000_000;
const LEASE: Duration = Duration::from_secs(3_600);

fn standard() -> Layout {
    Layout::new(EPOCH_MS, 41, 6, 7, 9).unwrap()
}

fn permit(worker: u16, floor_ms: i64, reserved_until_ms: i64) -> Arc<WorkerPermit> {
    Arc::new(WorkerPermit::new(worker, 1, floor_ms, reserved_until_ms, LEASE))
}

fn generator(clock: &Arc<ManualClock>) -> Generator {
    let generator = Generator::new(standard(), clock.clone());
    generator.set_permit(permit(5, 0, FAR_MS)).unwrap();
    generator
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW_MS))
}

prop_compose! {
    fn layouts()(time in 30u8..=42, tag in 0u8..=6, worker in 0u8..=7, sequence in 0u8..=8) -> Layout {
        Layout::new(EPOCH_MS, time, tag, worker, sequence).unwrap()
    }
}

proptest! {
    #[test]
    fn what_is_composed_is_decoded(layout in layouts(), time: u64, tag: u16, worker: u16, sequence: u64) {
        let time = time % (1 << 30);
        let tag = (u32::from(tag) % layout.tags()) as u16;
        let worker = (u32::from(worker) % layout.workers()) as u16;
        let sequence = sequence % layout.ids_per_ms();
        let id = layout.compose(time, tag, worker, sequence);
        prop_assert!(id >= 0);
        let decoded = layout.decode(id).unwrap();
        prop_assert_eq!(decoded.time_ms, EPOCH_MS + time as i64);
        prop_assert_eq!((decoded.tag, decoded.worker, decoded.sequence), (tag, worker, sequence));
    }

    #[test]
    fn a_later_id_is_greater(layout in layouts(), time in 0u64..1 << 29, tags: (u16, u16), workers: (u16, u16)) {
        let early = layout.compose(time, tags.0, workers.0, u64::MAX);
        let late = layout.compose(time + 1, tags.1, workers.1, 0);
        prop_assert!(early < late);
    }
}

#[test]
fn widths_are_checked_at_both_sides() {
    assert!(Layout::new(0, 41, 6, 7, 9).is_ok());
    assert_eq!(Layout::new(0, 41, 6, 7, 10), Err(LayoutError::TooManyBits { bits: 64 }));
    assert!(Layout::new(0, 1, 0, 0, 0).is_ok());
    assert_eq!(Layout::new(0, 0, 0, 0, 0), Err(LayoutError::TimeBits { bits: 0 }));
    assert!(Layout::new(0, 30, 16, 1, 1).is_ok());
    assert_eq!(Layout::new(0, 30, 17, 1, 1), Err(LayoutError::FieldBits { field: "tag", bits: 17 }));
    assert_eq!(Layout::new(-1, 41, 6, 7, 9), Err(LayoutError::Epoch { epoch_ms: -1 }));
}

#[test]
fn numbers_of_other_layouts_are_not_decoded() {
    assert_eq!(standard().decode(-1), None);
    let narrow = Layout::new(EPOCH_MS, 41, 4, 4, 4).unwrap();
    assert!(narrow.decode((1 << 53) - 1).is_some());
    assert_eq!(narrow.decode(1 << 53), None);
}

#[test]
fn end_of_life_is_a_date() {
    assert_eq!(standard().end_of_life_ms(), EPOCH_MS + 2_199_023_255_552);
    assert_eq!(standard().end_of_life_date(), "2093-09-06");
    assert_eq!(Layout::new(0, 1, 0, 0, 0).unwrap().end_of_life_date(), "1970-01-01");
}

#[test]
fn without_a_permit_nothing_is_issued() {
    let generator = Generator::new(standard(), clock());
    assert_eq!(generator.next(0), Err(IdError::NoLease));
    assert_eq!(IdError::NoLease.refusal().state, SqlState::CANNOT_CONNECT_NOW);
    generator.set_permit(permit(1, 0, FAR_MS)).unwrap();
    assert!(generator.next(0).is_ok());
    generator.clear_permit();
    assert_eq!(generator.next(0), Err(IdError::NoLease));
}

#[test]
fn tags_and_workers_out_of_range_are_refused() {
    let generator = generator(&clock());
    assert!(generator.next(63).is_ok());
    assert_eq!(generator.next(64), Err(IdError::UnknownTag { tag: 64, limit: 64 }));
    assert!(generator.set_permit(permit(127, 0, FAR_MS)).is_ok());
    let refused = generator.set_permit(permit(128, 0, FAR_MS));
    assert_eq!(refused, Err(IdError::UnknownWorker { worker: 128, limit: 128 }));
}

#[test]
fn an_id_says_when_where_and_what() {
    let generator = generator(&clock());
    let decoded = standard().decode(generator.next(7).unwrap()).unwrap();
    assert_eq!((decoded.time_ms, decoded.tag, decoded.worker), (NOW_MS, 7, 5));
    assert_eq!((generator.issued(7), generator.issued(8), generator.issued_total()), (1, 0, 1));
}

#[test]
fn a_full_millisecond_runs_over_into_the_next() {
    let generator = generator(&clock());
    let mut ids = Vec::new();
    generator.next_many(1, 2_000, &mut ids).unwrap();
    assert!(ids.is_sorted_by(|a, b| a < b));
    let last = standard().decode(ids[1_999]).unwrap();
    assert!((NOW_MS + 3..=NOW_MS + 4).contains(&last.time_ms));
    assert_eq!(generator.borrowed_ms(), (last.time_ms - NOW_MS) as u64);
    assert!(generator.next(1).unwrap() > ids[1_999]);
}

#[test]
fn borrowing_ends_at_its_bound() {
    let generator = generator(&clock());
    let mut ids = Vec::new();
    let most = BORROW_MS_MAX as usize * 512;
    generator.next_many(1, most, &mut ids).unwrap();
    let refused = generator.next_many(1, 1_024, &mut ids);
    assert!(matches!(refused, Err(IdError::BorrowExceeded { tag: 1, .. })), "{refused:?}");
    assert_eq!(ids.len(), most);
    assert!(generator.next(2).is_ok(), "other tags go on");
}

#[test]
fn a_clock_that_steps_back_repeats_nothing() {
    let clock = clock();
    let generator = generator(&clock);
    let before = generator.next(1).unwrap();
    clock.step_to(NOW_MS - 10_000);
    let after = generator.next(1).unwrap();
    assert!(after > before);
    assert_eq!(generator.steps_back(), 1);
    generator.next(1).unwrap();
    assert_eq!(generator.steps_back(), 1);
    clock.step_to(NOW_MS - BORROW_MS_MAX - 1);
    assert!(matches!(generator.next(1), Err(IdError::BorrowExceeded { .. })));
}

#[test]
fn a_fresh_worker_id_starts_at_the_clock_again() {
    let clock = clock();
    let generator = generator(&clock);
    generator.next(1).unwrap();
    clock.step_to(NOW_MS - 60_000);
    assert!(generator.next(1).is_err());
    generator.set_permit(permit(6, 0, FAR_MS)).unwrap();
    let decoded = standard().decode(generator.next(1).unwrap()).unwrap();
    assert_eq!((decoded.worker, decoded.time_ms), (6, NOW_MS - 60_000));
}

#[test]
fn a_new_holder_starts_after_the_reserved_time() {
    let clock = clock();
    let first = generator(&clock);
    first.set_permit(permit(5, 0, NOW_MS + 3)).unwrap();
    let mut ids = Vec::new();
    while let Ok(id) = first.next(1) {
        ids.push(id);
    }
    assert_eq!(first.next(1), Err(IdError::BorrowExceeded { tag: 1, ahead_ms: 3, max_ms: 3 }));
    assert_eq!(standard().decode(*ids.last().unwrap()).unwrap().time_ms, NOW_MS + 2);
    clock.step_to(NOW_MS - 5_000);
    let second = Generator::new(standard(), clock.clone());
    second.set_permit(permit(5, NOW_MS + 3, FAR_MS)).unwrap();
    let id = second.next(1).unwrap();
    assert_eq!(standard().decode(id).unwrap().time_ms, NOW_MS + 4);
    assert!(id > *ids.last().unwrap());
}

#[test]
fn a_lapsed_lease_issues_nothing_until_extended() {
    let clock = clock();
    let generator = Generator::new(standard(), clock.clone());
    let permit = permit(5, 0, FAR_MS);
    generator.set_permit(permit.clone()).unwrap();
    clock.advance(LEASE - Duration::from_millis(1));
    assert!(generator.next(1).is_ok());
    clock.advance(Duration::from_millis(1));
    assert_eq!(generator.next(1), Err(IdError::LeaseLapsed { worker: 5 }));
    permit.extend(0, LEASE * 2);
    assert!(generator.next(1).is_ok());
    assert_eq!(permit.reserved_until_ms(), FAR_MS, "the reserved time never shrinks");
    permit.revoke();
    assert_eq!(generator.next(1), Err(IdError::LeaseLapsed { worker: 5 }));
}

#[test]
fn time_outside_the_layout_is_refused() {
    let clock = Arc::new(ManualClock::at(EPOCH_MS - 1));
    let generator = Generator::new(standard(), clock.clone());
    generator.set_permit(permit(5, 0, i64::MAX)).unwrap();
    assert!(matches!(generator.next(1), Err(IdError::ClockBeforeEpoch { .. })));
    clock.step_to(EPOCH_MS);
    assert_ne!(generator.next(0).unwrap(), generator.next(0).unwrap(), "position 0 is issued once");
    assert!(generator.next(1).is_ok());
    clock.step_to(standard().end_of_life_ms() - 1);
    assert!(generator.next(1).is_ok());
    clock.step_to(standard().end_of_life_ms());
    assert!(matches!(generator.next(1), Err(IdError::TimeExhausted { .. })));
}

#[test]
fn ids_issued_one_by_one_spread_evenly() {
    let clock = clock();
    let generator = generator(&clock);
    let mut remainders = [0u32; 64];
    for _ in 0..64_000 {
        clock.advance(Duration::from_millis(3));
        remainders[(generator.next(1).unwrap() % 64) as usize] += 1;
    }
    assert!(remainders.iter().all(|&count| (800..1_200).contains(&count)), "{remainders:?}");
}

#[test]
fn threads_never_share_an_id() {
    const PER_THREAD: usize = 1_000_000;
    let generator = generator(&clock());
    let issue = || {
        let mut ids = Vec::with_capacity(PER_THREAD);
        while ids.len() < PER_THREAD {
            ids.push(generator.next(3).unwrap());
        }
        ids
    };
    let (mine, mut all) = std::thread::scope(|scope| {
        let other = scope.spawn(issue);
        (issue(), other.join().unwrap())
    });
    assert!(mine.is_sorted_by(|a, b| a < b) && all.is_sorted_by(|a, b| a < b));
    all.extend(mine);
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "an id was issued twice");
}

/// Ids of one tag ascend strictly, so that none of ten million can be there twice.
#[test]
fn ten_million_ids_have_no_duplicate() {
    let clock = clock();
    let generator = generator(&clock);
    let mut ids = Vec::with_capacity(1_000);
    let mut last = 0;
    for _ in 0..10_000 {
        clock.advance(Duration::from_millis(2));
        ids.clear();
        generator.next_many(9, 1_000, &mut ids).unwrap();
        assert!(last < ids[0] && ids.is_sorted_by(|a, b| a < b));
        last = ids[999];
    }
    assert_eq!(generator.issued(9), 10_000_000);
}

#[test]
fn tags_never_share_an_id() {
    let generator = generator(&clock());
    let ids: HashSet<i64> =
        (0..64).flat_map(|tag| [generator.next(tag).unwrap(), generator.next(tag).unwrap()]).collect();
    assert_eq!(ids.len(), 128);
}
