//! The outbox's own counters, copied into the process's metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::{Metrics, OutboxState};
use crate::outbox::OutboxMetrics;

/// What was copied so far: counters there count from the start, here they are added to.
#[derive(Debug, Default)]
pub struct Counted {
    applied: u64,
    retried: u64,
}

impl Counted {
    /// Copies what changed since the last call.
    pub fn publish(&mut self, from: &OutboxMetrics, to: &Metrics) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let gauge = |counter: &AtomicU64| i64::try_from(read(counter)).unwrap_or(i64::MAX);
        let (applied, retried) = (read(&from.applied), read(&from.retried));
        to.outbox_applied(applied.saturating_sub(self.applied));
        to.outbox_retried(retried.saturating_sub(self.retried));
        (self.applied, self.retried) = (applied, retried);
        to.outbox(OutboxState {
            oldest_pending_ms: gauge(&from.oldest_pending_ms),
            dead: gauge(&from.dead),
            drift: gauge(&from.drift),
            lost: gauge(&from.lost),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_added_once() {
        let (from, to, mut counted) = (OutboxMetrics::default(), Metrics::new(), Counted::default());
        from.applied.store(3, Ordering::Relaxed);
        counted.publish(&from, &to);
        counted.publish(&from, &to);
        from.applied.store(5, Ordering::Relaxed);
        counted.publish(&from, &to);
        let text = to.encode();
        let line = text.lines().find(|line| line.contains("applied_total")).unwrap();
        assert!(line.ends_with(" 5"), "{line}");
    }
}
