//! UUIDs of version 7 (RFC 9562): milliseconds on top, then a counter, then randomness. Those of one process ascend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;

use crate::types::Clock;

/// Bits behind the milliseconds that count within one: the RFC's `rand_a`.
const COUNTER_BITS: u32 = 12;
const VERSION: u8 = 0x70;
const VARIANT: u8 = 0x80;

/// Makes uuids. Shared by all threads.
pub struct UuidMaker {
    clock: Arc<dyn Clock>,
    /// The last one's milliseconds and counter; a full millisecond runs over into the next.
    last: AtomicU64,
}

impl UuidMaker {
    /// Makes a maker.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: AtomicU64::new(0) }
    }

    /// Returns a new uuid, greater than all before it, whatever the clock does.
    pub fn make(&self) -> [u8; 16] {
        let wall = u64::try_from(self.clock.wall_ms()).unwrap_or(0) << COUNTER_BITS;
        let after = |last: u64| Some(wall.max(last + 1));
        let last = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, after).unwrap_or_else(|last| last);
        let stamp = wall.max(last + 1);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&(stamp >> COUNTER_BITS).to_be_bytes()[2..]);
        bytes[6] = VERSION | (stamp >> 8) as u8 & 0x0f;
        bytes[7] = stamp as u8;
        rand::rng().fill(&mut bytes[8..]);
        bytes[8] = VARIANT | bytes[8] & 0x3f;
        bytes
    }
}

impl std::fmt::Debug for UuidMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UuidMaker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ManualClock;

    #[test]
    fn uuids_are_of_version_7_and_ascend_over_a_step_back() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_123));
        let maker = UuidMaker::new(clock.clone());
        let first = maker.make();
        assert_eq!(&first[..6], &1_700_000_000_123u64.to_be_bytes()[2..]);
        assert_eq!((first[6] >> 4, first[8] >> 6), (7, 0b10));
        let mut last = first;
        for round in 0..10_000 {
            if round == 100 {
                clock.step_to(1_600_000_000_000);
            }
            let next = maker.make();
            assert!(next > last);
            assert_eq!((next[6] >> 4, next[8] >> 6), (7, 0b10));
            last = next;
        }
    }
}
