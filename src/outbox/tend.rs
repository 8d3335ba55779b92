//! What a relay does beside its turns, so that a target that says nothing holds up neither its lease nor its other
//! lanes: decides prepared transactions, and forgets what is finished. One task per target at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::error::Error;
use super::handle::Outbox;
use crate::types::ShardId;

/// Longest that one such task takes: a target that is silent is asked again by the next.
const TEND_MAX: Duration = Duration::from_secs(60);

/// What is being tended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tended {
    /// Prepared transactions on this target.
    Prepared(ShardId),
    /// Old rows of this home and of its inboxes.
    Retention,
    /// What targets have and this home has lost.
    Lost,
}

/// The tasks of one relay.
#[derive(Debug, Default)]
pub(super) struct Tending {
    running: HashSet<Tended>,
    tasks: JoinSet<Tended>,
}

impl Tending {
    /// Ends all tasks.
    pub fn stop(&mut self) {
        self.tasks.abort_all();
        self.running.clear();
    }

    /// Decides what is prepared on `target` and belongs to `home`, unless that is being done.
    pub fn decide_prepared(&mut self, outbox: &Arc<Outbox>, home: ShardId, target: ShardId) {
        let own = outbox.clone();
        self.start(Tended::Prepared(target), outbox, target, async move { own.decide_prepared(home, target).await });
    }

    /// Forgets what is finished on `home`, unless that is being done.
    pub fn retain(&mut self, outbox: &Arc<Outbox>, home: ShardId) {
        let own = outbox.clone();
        self.start(Tended::Retention, outbox, home, async move {
            own.retain(home).await?;
            own.measure_ledger(home).await
        });
    }

    /// Looks through the inboxes for what `home` has lost, unless that is being done.
    pub fn check_lost(&mut self, outbox: &Arc<Outbox>, home: ShardId) {
        let own = outbox.clone();
        self.start(Tended::Lost, outbox, home, async move {
            own.check_lost(home).await;
            Ok(())
        });
    }

    fn start(
        &mut self,
        what: Tended,
        outbox: &Arc<Outbox>,
        shard: ShardId,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        self.reap();
        if !self.running.insert(what) {
            return;
        }
        let outbox = outbox.clone();
        self.tasks.spawn(async move {
            if let Err(error) = outbox.store.within(shard, TEND_MAX, work).await {
                tracing::debug!(shard = outbox.store.name(shard), ?what, %error, "not tended");
            }
            what
        });
    }

    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(what) => _ = self.running.remove(&what),
                // Which one ended like that is not told: starting one twice does no harm.
                Err(_) => self.running.clear(),
            }
        }
    }
}
