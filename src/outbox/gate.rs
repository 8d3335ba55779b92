//! Gates: writes to a target wait until what this process still has to redo there is done. In memory only.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

use crate::types::{Refusal, ShardId, SqlState};

/// Why a gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Closed {
    /// It is not known yet what this home has to redo.
    Unscanned(ShardId),
    /// This transaction is lost there and is being redone.
    Redo(i64),
}

/// One target's gate.
#[derive(Debug)]
pub struct Gate {
    shard: String,
    reasons: Mutex<HashSet<Closed>>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Makes a gate that stays closed until each of `homes` was scanned.
    pub(super) fn closed_for(shard: String, homes: impl IntoIterator<Item = ShardId>) -> Self {
        let reasons: HashSet<Closed> = homes.into_iter().map(Closed::Unscanned).collect();
        let open = watch::Sender::new(reasons.is_empty());
        Self { shard, reasons: Mutex::new(reasons), open }
    }

    /// Tells whether writes may pass; one atomic-like read, for the client path.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Waits until writes may pass.
    ///
    /// # Errors
    /// `57P03` after `timeout`.
    pub async fn wait_open(&self, timeout: Duration) -> Result<(), Refusal> {
        if self.is_open() {
            return Ok(());
        }
        let mut open = self.open.subscribe();
        let waited = tokio::time::timeout(timeout, open.wait_for(|open| *open)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refusal::new(
                SqlState::CANNOT_CONNECT_NOW,
                format!("writes to shard \"{}\" wait for the redo of earlier transactions", self.shard),
            )
            .with_hint("Try again; SHOW LANES tells what is pending there.")),
        }
    }

    pub(super) fn close(&self, reason: Closed) {
        self.change(|reasons| {
            reasons.insert(reason);
        });
    }

    pub(super) fn lift(&self, reason: Closed) {
        self.change(|reasons| {
            reasons.remove(&reason);
        });
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<Closed>)) {
        let mut reasons = self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut reasons);
        // Under the lock, so that the last one to change is the last one to tell.
        self.open.send_replace(reasons.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_opens_the_gate() {
        let gate = Gate::closed_for("s1".into(), [ShardId(0), ShardId(2)]);
        gate.lift(Closed::Unscanned(ShardId(0)));
        assert!(gate.wait_open(Duration::from_millis(1)).await.is_err());
        gate.lift(Closed::Unscanned(ShardId(2)));
        assert!(gate.wait_open(Duration::from_millis(1)).await.is_ok());
        gate.close(Closed::Redo(9));
        assert!(!gate.is_open());
        gate.lift(Closed::Redo(9));
        assert!(gate.is_open());
    }
}
