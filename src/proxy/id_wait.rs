//! Waiting for ids: of a segment whose next range is being fetched, or that have run ahead of the clock.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Proxy;
use super::ids::{Fetched, LAYOUT_IS_NEW, SEGMENT_EMPTY};
use crate::backend::{CancelHandle, CancelRequests};
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
    cancels: Option<CancelRequests>,
}

impl IdWait {
    /// Begins to wait; whoever asks for ids after this misses no fetch. `cancel` is the session's that waits.
    pub fn new(proxy: &Proxy, cancel: Option<&CancelHandle>) -> Self {
        Self {
            fetches: proxy.ids.fetches(),
            until: Instant::now() + RANGE_WAIT,
            cancels: cancel.map(CancelHandle::requests),
        }
    }

    /// Waits for what ids were refused for; `false` once the time is over, and for what does not end by itself.
    ///
    /// # Errors
    /// `57014`: the client asked to cancel the statement.
    pub async fn ends(&mut self, refusal: &Refusal) -> Result<bool, Refusal> {
        let Self { fetches, until, cancels } = self;
        let ended = async {
            match refusal.reason {
                SEGMENT_EMPTY => timeout_at(*until, fetches.changed()).await.is_ok_and(|changed| changed.is_ok()),
                AHEAD_OF_CLOCK | LAYOUT_IS_NEW => {
                    tokio::time::sleep(CLOCK_PAUSE).await;
                    Instant::now() < *until
                }
                _ => false,
            }
        };
        match cancels {
            Some(cancels) => tokio::select! {
                ended = ended => Ok(ended),
                canceled = cancels.next() => Err(canceled),
            },
            None => Ok(ended.await),
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
/// What `ask` refuses for another reason than an empty segment or the clock, or still refuses when the time is over; `57014`
/// where the session of `cancel` was asked to stop.
pub async fn until_there<T>(
    proxy: &Proxy,
    cancel: Option<&CancelHandle>,
    mut ask: impl FnMut() -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut asked = ask();
    if asked.as_ref().is_err_and(is_waited_for) {
        let mut wait = IdWait::new(proxy, cancel);
        asked = ask();
        while let Err(refusal) = &asked
            && wait.ends(refusal).await?
        {
            asked = ask();
        }
    }
    asked
}
