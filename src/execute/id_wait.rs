//! Planning again when a segment was empty. Nothing else of planning ever waits.

use super::failure::Failure;
use crate::proxy::{IdWait, Proxy, SEGMENT_EMPTY};

/// Tells whether a failure ends when the next range of a segment has come.
pub fn is_awaited<T>(done: &Result<T, Failure>) -> bool {
    matches!(done, Err(Failure::Refused(refusal)) if refusal.reason == SEGMENT_EMPTY)
}

/// Asks again, after a segment was empty, until it is not or the time is over.
pub(super) async fn asked_again<T>(proxy: &Proxy, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut wait = IdWait::new(proxy);
    let mut asked = ask();
    while is_awaited(&asked) && wait.next().await {
        asked = ask();
    }
    asked
}
