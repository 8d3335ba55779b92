//! Waiting for ids: of a segment whose next range is being fetched, or that have run ahead of the clock.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Proxy;
use super::ids::{Fetched, SEGMENT_EMPTY};
use crate::snowflake::AHEAD_OF_CLOCK;
use crate::types::Refusal;

/// The longest that a statement waits for a range: longer than a short restart of home takes, short enough that a client
/// learns what is wrong.
const RANGE_WAIT: Duration = Duration::from_secs(5);

/// Pause until the clock is asked again: short beside what it lets through.
const CLOCK_PAUSE: Duration = Duration::from_millis(5);

/// One statement's wait.
pub struct IdWait {
    fetches: watch::Receiver<Fetched>,
    until: Instant,
}

impl IdWait {
    /// Begins to wait; whoever asks for ids after this misses no fetch.
    pub fn new(proxy: &Proxy) -> Self {
        Self { fetches: proxy.ids.fetches(), until: Instant::now() + RANGE_WAIT }
    }

    /// Waits for the clock; `false` once the time is over.
    async fn tick(&self) -> bool {
        tokio::time::sleep(CLOCK_PAUSE).await;
        Instant::now() < self.until
    }

    /// Waits for the next fetch; `false` once the time is over.
    pub async fn next(&mut self) -> bool {
        timeout_at(self.until, self.fetches.changed()).await.is_ok_and(|changed| changed.is_ok())
    }
}

/// Asks for ids until they are there, or until they cannot be had.
///
/// # Errors
/// What `ask` refuses for another reason than an empty segment or the clock, or still refuses when the time is over.
pub async fn until_there<T>(proxy: &Proxy, mut ask: impl FnMut() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let mut asked = ask();
    if refused_for(&asked, SEGMENT_EMPTY) || refused_for(&asked, AHEAD_OF_CLOCK) {
        let mut wait = IdWait::new(proxy);
        asked = ask();
        while refused_for(&asked, SEGMENT_EMPTY) && wait.next().await
            || refused_for(&asked, AHEAD_OF_CLOCK) && wait.tick().await
        {
            asked = ask();
        }
    }
    asked
}

fn refused_for<T>(asked: &Result<T, Refusal>, reason: &str) -> bool {
    asked.as_ref().is_err_and(|refusal| refusal.reason == reason)
}
