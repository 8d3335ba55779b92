//! How much waits on each lane, counted by the relay that owns it: for the backlog's limit, metrics and the lanes' floors.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;
use super::handle::Outbox;
use crate::types::ShardId;

/// The newest counts, home by target; those of homes that another proxy owns are 0.
#[derive(Debug)]
pub(super) struct Census {
    lanes: Vec<Vec<LaneCount>>,
}

/// What waits on one lane.
#[derive(Debug, Default)]
pub(super) struct LaneCount {
    pub pending: AtomicU64,
    pub oldest_ms: AtomicU64,
}

/// One lane, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub target: ShardId,
    /// Transactions that the relay is to deliver; dead and parked ones are an operator's.
    pub pending: u64,
    pub oldest_ms: u64,
    /// The commit sequence of the first that has not ended, dead ones included.
    pub first: i64,
}

const COUNT: &str = "SELECT x.target, count(*) FILTER (WHERE w.waits), coalesce((extract(epoch FROM clock_timestamp() - \
     min(l.created_at) FILTER (WHERE w.waits)) * 1000)::bigint, 0), min(l.commit_seq) FROM shardloom.ledger l \
     CROSS JOIN unnest(l.targets) x (target) LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target \
     CROSS JOIN LATERAL (SELECT coalesce(t.state, 'PENDING') IN ('PENDING', 'PUBLISHED', 'RETRY', 'BLOCKED')) w (waits) \
     WHERE l.commit_seq > $1 AND l.state IN ('OPEN', 'ATTENTION') \
     AND coalesce(t.state, 'PENDING') NOT IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED') GROUP BY 1";

impl Census {
    pub fn new(shards: usize) -> Self {
        Self { lanes: (0..shards).map(|_| (0..shards).map(|_| LaneCount::default()).collect()).collect() }
    }

    /// Returns what is known to wait for `target`, from all homes.
    pub fn waiting_for(&self, target: ShardId) -> usize {
        self.lanes.iter().map(|lanes| lanes[target.index()].pending.load(Ordering::Relaxed) as usize).sum()
    }

    /// Returns the count of one lane.
    pub fn lane(&self, home: ShardId, target: ShardId) -> &LaneCount {
        &self.lanes[home.index()][target.index()]
    }

    /// Keeps the counts of all lanes of `home`: those not among them are empty.
    pub fn keep(&self, home: ShardId, counted: &[Counted]) {
        for (index, lane) in self.lanes[home.index()].iter().enumerate() {
            let found = counted.iter().find(|found| found.target.index() == index);
            lane.pending.store(found.map_or(0, |found| found.pending), Ordering::Relaxed);
            lane.oldest_ms.store(found.map_or(0, |found| found.oldest_ms), Ordering::Relaxed);
        }
    }

    /// Returns the sum of all lanes, and the age of the oldest.
    pub fn totals(&self) -> (u64, u64) {
        let lanes = || self.lanes.iter().flatten();
        let oldest = lanes().map(|lane| lane.oldest_ms.load(Ordering::Relaxed)).max().unwrap_or(0);
        (lanes().map(|lane| lane.pending.load(Ordering::Relaxed)).sum(), oldest)
    }
}

impl Outbox {
    /// Counts what waits on the lanes of `home` above `floor`, and keeps it.
    pub(super) async fn count_lanes(&self, home: ShardId, floor: i64) -> Result<Vec<Counted>, Error> {
        let client = self.store.connect(home).await?;
        let rows = client.query(COUNT, &[&floor]).await.map_err(self.store.at(home))?;
        let counted: Vec<Counted> = rows
            .iter()
            .filter_map(|row| {
                let target = self.store.id(row.get(0)).filter(|target| *target != home)?;
                let number = |column: usize| row.get::<_, i64>(column).max(0) as u64;
                Some(Counted { target, pending: number(1), oldest_ms: number(2), first: row.get(3) })
            })
            .collect();
        self.keep_counts(home, &counted);
        Ok(counted)
    }

    fn keep_counts(&self, home: ShardId, counted: &[Counted]) {
        let warning = self.settings.bounds.backlog_warning as u64;
        for lane in counted {
            let before = self.census.lane(home, lane.target).pending.load(Ordering::Relaxed);
            if before < warning && lane.pending >= warning {
                let (home, target) = (self.store.name(home), self.store.name(lane.target));
                tracing::warn!(home, target, pending = lane.pending, "a lane's backlog is long");
            }
        }
        self.census.keep(home, counted);
        let (pending, oldest) = self.census.totals();
        self.metrics().pending.store(pending, Ordering::Relaxed);
        self.metrics().oldest_pending_ms.store(oldest, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_what_waits_from_all_homes_and_an_empty_lane_nothing() {
        let census = Census::new(3);
        let one = |pending| Counted { target: ShardId(2), pending, oldest_ms: 7, first: 1 };
        census.keep(ShardId(0), &[one(5)]);
        census.keep(ShardId(1), &[one(6)]);
        assert_eq!((census.waiting_for(ShardId(2)), census.totals()), (11, (11, 7)));
        census.keep(ShardId(0), &[]);
        assert_eq!((census.waiting_for(ShardId(2)), census.waiting_for(ShardId(1))), (6, 0));
    }
}
