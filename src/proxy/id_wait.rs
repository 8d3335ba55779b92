//! Waiting for ids: of a segment whose next range is being fetched, or that have run ahead of the clock.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Proxy;
use super::ids::{Fetched, LAYOUT_IS_NEW, SEGMENT_EMPTY};
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

    /// Waits for what ids were refused for; `false` once the time is over, and for what does not end by itself.
    pub async fn ends(&mut self, refusal: &Refusal) -> bool {
        match refusal.reason {
            SEGMENT_EMPTY => timeout_at(self.until, self.fetches.changed()).await.is_ok_and(|changed| changed.is_ok()),
            AHEAD_OF_CLOCK | LAYOUT_IS_NEW => {
                tokio::time::sleep(CLOCK_PAUSE).await;
                Instant::now() < self.until
            }
            _ => false,
        }
    }
}

/// Tells whether a refusal of ids ends in a while.
pub fn is_waited_for(refusal: &Refusal) -> bool {
    [SEGMENT_EMPTY, AHEAD_OF_CLOCK, LAYOUT_IS_NEW].contains(&refusal.reason)
}

/// Asks for ids until they are there, or until they cannot be had.
///
/// # Errors
/// What `ask` refuses for another reason than an empty segment or the clock, or still refuses when the time is over.
pub async fn until_there<T>(proxy: &Proxy, mut ask: impl FnMut() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let mut asked = ask();
    if asked.as_ref().is_err_and(is_waited_for) {
        let mut wait = IdWait::new(proxy);
        asked = ask();
        while let Err(refusal) = &asked
            && wait.ends(refusal).await
        {
            asked = ask();
        }
    }
    asked
}
