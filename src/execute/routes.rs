//! One worker's share of the board of routes: whose counter is whose, and what is worth a line in the log.

use std::sync::Arc;
use std::time::Instant;

use crate::proxy::{RouteBoard, RouteCounter};
use crate::sql;
use crate::types::Refusal;

/// A worker's way to the board; without one nothing is counted.
#[derive(Default)]
pub(super) struct Routes(Option<Member>);

struct Member {
    board: Arc<RouteBoard>,
    worker: usize,
    started: Instant,
}

impl Routes {
    /// Joins the board.
    pub(super) fn on(board: Arc<RouteBoard>) -> Self {
        let worker = board.join();
        Self(Some(Member { board, worker, started: Instant::now() }))
    }

    /// Returns the counter of a text.
    pub(super) fn counter(&self, text: &str) -> Option<Arc<RouteCounter>> {
        let member = self.0.as_ref()?;
        Some(member.board.counter(member.worker, &sql::fingerprint(text)))
    }

    /// Counts a refusal. The line has no message: that may have values.
    pub(super) fn refused(&self, route: &RouteCounter, refusal: &Refusal) {
        route.refused(refusal);
        if self.may_log(route) {
            let (statement, sqlstate, reason) = (route.fingerprint(), refusal.state.code(), refusal.reason);
            tracing::info!(statement, sqlstate, reason, "statement refused");
        }
    }

    /// Logs a gather: it is the way that costs most.
    pub(super) fn gathered(&self, route: &RouteCounter, because: &str) {
        if self.may_log(route) {
            tracing::info!(statement = route.fingerprint(), because, "statement gathered on home");
        }
    }

    fn may_log(&self, route: &RouteCounter) -> bool {
        let now = self.0.as_ref().map(|member| member.started.elapsed().as_millis());
        now.is_some_and(|now| route.may_log(i64::try_from(now).unwrap_or(i64::MAX)))
    }
}
