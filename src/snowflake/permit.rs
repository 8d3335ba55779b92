//! The right to stamp ids as one worker, as the lease in the home database grants it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A leased worker id. The lease's keeper extends it in place; ids already being made keep to what they read.
///
/// Safe by construction: a time that is stamped lies between `floor_ms` and `reserved_until_ms` (both excluded),
/// and the next holder of the worker id starts after `reserved_until_ms`.
#[derive(Debug)]
pub struct WorkerPermit {
    worker: u16,
    epoch: i64,
    floor_ms: i64,
    reserved_until_ms: AtomicI64,
    valid_until_ms: AtomicI64,
}

impl WorkerPermit {
    /// Makes a permit.
    ///
    /// `epoch` is the lease's fencing number; `floor_ms` the `reserved_until` of the worker id's previous holder and
    /// `reserved_until_ms` the first time that may not be stamped (both in milliseconds since the UNIX epoch);
    /// `valid_until` is when the lease lapses by `Clock::monotonic`.
    pub fn new(worker: u16, epoch: i64, floor_ms: i64, reserved_until_ms: i64, valid_until: Duration) -> Self {
        Self {
            worker,
            epoch,
            floor_ms,
            reserved_until_ms: AtomicI64::new(reserved_until_ms),
            valid_until_ms: AtomicI64::new(millis(valid_until)),
        }
    }

    /// Extends the permit after the database confirmed it; the reserved time never shrinks.
    pub fn extend(&self, reserved_until_ms: i64, valid_until: Duration) {
        self.reserved_until_ms.fetch_max(reserved_until_ms, Ordering::AcqRel);
        self.valid_until_ms.store(millis(valid_until), Ordering::Release);
    }

    /// Ends the permit: the lease was lost or given back.
    pub fn revoke(&self) {
        self.valid_until_ms.store(i64::MIN, Ordering::Release);
    }

    /// Returns the worker id.
    pub fn worker(&self) -> u16 {
        self.worker
    }

    /// Returns the lease's fencing number.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Returns the last time that may not be stamped because a previous holder may have done so.
    pub fn floor_ms(&self) -> i64 {
        self.floor_ms
    }

    /// Returns the first time that may not be stamped.
    pub fn reserved_until_ms(&self) -> i64 {
        self.reserved_until_ms.load(Ordering::Acquire)
    }

    /// Tells whether the lease holds at `monotonic`.
    pub fn is_valid_at(&self, monotonic: Duration) -> bool {
        millis(monotonic) < self.valid_until_ms.load(Ordering::Acquire)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
