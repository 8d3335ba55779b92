//! How long a busy lane lets events gather before it delivers the next: each delivery costs two shards the same whether it
//! is of one event or of ten. While somebody waits for an event, no longer than it must.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Tells lanes whether anybody waits for what they deliver.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waiters: AtomicUsize,
    come: Notify,
}

/// Somebody waits until this is dropped.
pub(super) struct Waiter<'a>(&'a Pace);

impl Pace {
    /// Says that somebody waits.
    pub fn hurry(&self) -> Waiter<'_> {
        self.waiters.fetch_add(1, Ordering::AcqRel);
        self.come.notify_waiters();
        Waiter(self)
    }

    /// Sleeps for `gather`, and only for `least` from the moment that somebody waits.
    pub async fn sleep(&self, least: Duration, gather: Duration) {
        let mut come = std::pin::pin!(self.come.notified());
        // Who comes from here on is noticed.
        come.as_mut().enable();
        if self.waiters.load(Ordering::Acquire) == 0 {
            tokio::select! {
                () = tokio::time::sleep(gather) => return,
                () = come => {}
            }
        }
        tokio::time::sleep(least).await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(1);
    const GATHER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn lanes_gather_until_somebody_waits() {
        let pace = Pace::default();
        let waiter = pace.hurry();
        pace.sleep(LEAST, GATHER).await;
        drop(waiter);
        tokio::time::timeout(LEAST * 20, pace.sleep(LEAST, GATHER)).await.expect_err("nobody waits");
        let later = async {
            tokio::time::sleep(LEAST * 20).await;
            drop(pace.hurry());
        };
        tokio::join!(pace.sleep(LEAST, GATHER), later);
    }
}
