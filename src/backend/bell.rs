//! How a worker learns that another one left something for it: places, orders, or a wish for its idle connections.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A worker's bell. What was granted is bounded by the sizes of its pools.
#[derive(Debug, Default)]
pub(super) struct Bell {
    notify: Notify,
    granted: Mutex<Vec<u64>>,
}

impl Bell {
    /// Wakes the worker; rings before it looks are one.
    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }

    /// Leaves a place for the claim `id` and rings.
    pub(super) fn grant(&self, id: u64) {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        self.ring();
    }

    /// Takes the places that were left.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.granted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a ring. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.notify.notified().await;
    }
}
