//! Asking again when a segment was empty.

use super::failure::Failure;
use crate::proxy::{IdWait, Proxy, SEGMENT_EMPTY};

/// Tells whether a failure ends when the next range of a segment has come.
pub(super) fn is_segment_empty<T>(done: &Result<T, Failure>) -> bool {
    matches!(done, Err(Failure::Refused(refusal)) if refusal.reason == SEGMENT_EMPTY)
}

/// Asks again, after a segment was empty, until it is not or the time is over.
pub(super) async fn asked_again<T>(proxy: &Proxy, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut wait = IdWait::new(proxy);
    let mut asked = ask();
    while is_segment_empty(&asked) && wait.next().await {
        asked = ask();
    }
    asked
}
