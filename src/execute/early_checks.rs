//! What shards check before COMMIT, along with their parts of a write that commits by itself: a round less than behind all of
//! them. Each then waits for the others with its locks, for a time that PostgreSQL bounds; where that could become too short,
//! the bound is taken off, and they are asked once more when all are done.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::BackendError;
use crate::plan::MultiWrite;
use crate::types::ShardId;
use crate::wire::frontend;

use super::collect::{self, Collected};
use super::failure::Failure;
use super::forward;
use super::link::Link;
use super::transaction::Member;

/// Takes the bound off until [`Link::last_words`] sets it again.
const UNBOUNDED: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// The checks of one statement, as long as they go along with its parts.
#[derive(Debug)]
pub(super) struct EarlyChecks {
    /// When the bound must be taken off.
    until: Instant,
    last_words: String,
}

impl Link {
    /// Returns the checks of a write whose parts run in so many rounds; `None` where they have to wait for the end.
    pub(super) fn early_checks(&mut self, plan: &MultiWrite, rounds: usize) -> Option<EarlyChecks> {
        let first = plan.parts.first()?.shard;
        if plan.parts.iter().all(|part| part.shard == first) {
            return None;
        }
        // Behind the first round, joining shards may wait, and nobody takes the bound off meanwhile.
        let most = self.worker.limits().commit_timeout;
        let wait = if rounds > 1 { self.longest_wait(first) } else { Duration::ZERO };
        (wait <= most).then(|| EarlyChecks { until: Instant::now() + most, last_words: self.last_words() })
    }

    /// Queues them behind a shard's last part.
    pub(super) fn check_along(&mut self, position: usize, checks: &EarlyChecks) {
        let home = self.home();
        self.transaction.members[position].check_with(home, &checks.last_words);
    }

    /// Reads a member's reply to its part, and to what it checks along with it.
    pub(super) async fn collect_part(
        &mut self,
        position: usize,
        checks: &mut Option<EarlyChecks>,
    ) -> Result<Collected, Failure> {
        let Self { client, transaction, .. } = self;
        let (before, rest) = transaction.members.split_at_mut(position);
        let Some((member, after)) = rest.split_first_mut() else { unreachable!("a part's shard is a member") };
        let mut reply = {
            let mut collecting = pin!(collect::collect(client, member));
            let in_time = match checks {
                Some(checks) => tokio::time::timeout_at(checks.until, &mut collecting).await.ok(),
                None => None,
            };
            match in_time {
                Some(reply) => reply,
                None => {
                    *checks = None;
                    for member in before.iter_mut().chain(after) {
                        member.unbind().await?;
                    }
                    collecting.await
                }
            }
        };
        if checks.is_none() {
            member.unbind().await?;
        }
        let behind = std::mem::take(&mut member.behind);
        if behind > 0 && member.server.is_awaited() {
            let checked = forward::swallow(client, &mut member.server, behind).await;
            if let Ok(reply) = &mut reply {
                reply.check_failure = checked.err();
            }
        }
        reply
    }
}

impl Member {
    /// Queues what a shard is told before anything is decided; not where its inbox row is missing still.
    fn check_with(&mut self, home: ShardId, last_words: &str) {
        if self.server.shard() == home || self.inbox == Some(home) {
            frontend::write_query(self.server.out(), last_words);
            self.checked = true;
            self.behind += 1;
        }
    }

    /// Lets a member that has been checked wait for as long as it takes; it is checked again at the end.
    async fn unbind(&mut self) -> Result<(), BackendError> {
        if !std::mem::take(&mut self.checked) {
            return Ok(());
        }
        frontend::write_query(self.server.out(), UNBOUNDED);
        match self.behind {
            // Its part is done.
            0 => self.preamble += 1,
            _ => self.behind += 1,
        }
        self.server.flush().await
    }
}
