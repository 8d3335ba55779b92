//! Planning again when a segment was empty. Nothing else of planning ever waits.

use super::call::Call;
use super::failure::Failure;
use super::link::Link;
use super::understand::Understood;
use crate::plan::Plan;
use crate::proxy::{IdWait, SEGMENT_EMPTY};

/// Tells whether a failure ends when the next range of a segment has come.
pub fn is_awaited<T>(done: &Result<T, Failure>) -> bool {
    matches!(done, Err(Failure::Refused(refusal)) if refusal.reason == SEGMENT_EMPTY)
}

impl Link {
    /// Plans again, after a segment was empty, until it is not.
    pub(super) async fn plan_awaiting_ids(&self, call: &Call, understood: &Understood) -> Result<Plan, Failure> {
        let mut wait = IdWait::new(&self.worker.proxy);
        let mut plan = self.plan(call, understood);
        while is_awaited(&plan) && wait.next().await {
            plan = self.plan(call, understood);
        }
        plan
    }
}
