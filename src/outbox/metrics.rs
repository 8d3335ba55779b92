//! The outbox's own counters, plain atomics that a scrape reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the process started, and the age of the oldest pending transaction.
#[derive(Debug, Default)]
pub struct OutboxMetrics {
    /// Milliseconds since the oldest transaction still pending was recorded; 0 if none is.
    pub oldest_pending_ms: AtomicU64,
    /// Transactions still pending, over all lanes of this process.
    pub pending: AtomicU64,
    /// Targets applied by the relay.
    pub applied: AtomicU64,
    /// Targets applied by the client path itself.
    pub settled: AtomicU64,
    /// Tries that failed and will be repeated.
    pub retried: AtomicU64,
    /// Dead letters on the lanes of this process.
    pub dead: AtomicU64,
    /// Targets whose affected rows differ from the expected ones.
    pub drift: AtomicU64,
    /// Times that a target's fence refused this process.
    pub fence_refusals: AtomicU64,
    /// Prepared transactions decided by recovery.
    pub prepared_decided: AtomicU64,
    /// Writes found on home that bypassed the proxy.
    pub orphans: AtomicU64,
    /// Transactions taken back.
    pub compensated: AtomicU64,
    /// Tries to take one back that failed.
    pub compensations_failed: AtomicU64,
    /// Transactions that targets have applied and their home has lost.
    pub lost: AtomicU64,
    /// Renewals of the worker id's lease.
    pub lease_renewals: AtomicU64,
    /// Worker ids leased.
    pub leases_taken: AtomicU64,
}

impl OutboxMetrics {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(gauge: &AtomicU64, value: u64) {
        gauge.store(value, Ordering::Relaxed);
    }
}
