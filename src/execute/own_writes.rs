//! A session reads its own writes, also those that reach the other shards by replay.

use std::time::Instant;

use crate::types::{Refusal, ShardId, ShardSet, SqlState};

use super::failure::Failure;
use super::link::Link;

/// Writes of one session that are waited for at once, oldest first.
const UNSETTLED_MAX: usize = 1_000;

/// The newest rows of one lane.
#[derive(Debug, Clone, Copy)]
pub struct Following {
    home: ShardId,
    target: ShardId,
    txid: i64,
}

impl Link {
    /// Tells whether a reference write of this session may still be missing on a copy.
    pub(super) fn has_unsettled(&mut self) -> bool {
        let outbox = &self.worker.proxy.outbox;
        self.unsettled.retain(|txid| !outbox.pending_targets(*txid).is_empty());
        !self.unsettled.is_empty()
    }

    /// Waits until this session's replayed writes are on `shard`, at most `wait_timeout`.
    pub(super) async fn wait_for_own_writes(&mut self, shard: ShardId) -> Result<(), Failure> {
        if self.transaction.reference && self.transaction.reference_home != Some(shard) {
            return Err(uncommitted_elsewhere(&self.snapshot.rules.shard(shard).name).into());
        }
        if !self.read_your_writes || self.unsettled.is_empty() || !self.has_unsettled() {
            return Ok(());
        }
        let wait = self.worker.limits().wait_timeout;
        for txid in self.unsettled.iter().take(UNSETTLED_MAX) {
            if !Box::pin(self.worker.proxy.outbox.wait_applied(*txid, shard, wait)).await {
                return Err(not_yet(*txid, " to a reference table", &self.snapshot.rules.shard(shard).name).into());
            }
        }
        Ok(())
    }

    /// Notes that rows of `txid` follow on `target`. A lane delivers in order, so that its newest stands for all.
    pub(super) fn follow(&mut self, txid: i64, home: ShardId, target: ShardId) {
        self.following.retain(|known| (known.home, known.target) != (home, target));
        self.following.push(Following { home, target, txid });
    }

    /// Waits until the rows that this session's transactions left to follow on these shards are there, at most
    /// `wait_timeout`: a statement that did not find them would not change them either.
    pub async fn wait_for_following(&mut self, shards: ShardSet) -> Result<(), Failure> {
        if self.following.is_empty() {
            return Ok(());
        }
        let outbox = &self.worker.proxy.outbox;
        self.following.retain(|known| !outbox.is_applied(known.txid, known.target));
        if !self.read_your_writes {
            return Ok(());
        }
        let deadline = Instant::now() + self.worker.limits().wait_timeout;
        for known in self.following.iter().filter(|known| shards.contains(known.target)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if !Box::pin(outbox.wait_applied(known.txid, known.target, left)).await {
                return Err(not_yet(known.txid, "", &self.snapshot.rules.shard(known.target).name).into());
            }
        }
        Ok(())
    }
}

fn not_yet(txid: i64, what: &str, shard: &str) -> Refusal {
    Refusal::new(
        SqlState::LOCK_NOT_AVAILABLE,
        format!("your own write {txid}{what} has not reached shard \"{shard}\" yet"),
    )
    .with_hint("Try again, or SET shardloom.read_your_writes = off to see the shard as it is.")
}

fn uncommitted_elsewhere(shard: &str) -> Refusal {
    Refusal::unsupported(
        format!("this transaction changed a reference table; its copy on shard \"{shard}\" follows after the commit"),
        "Commit first, or read the reference table by itself: that goes to its home.",
    )
}
