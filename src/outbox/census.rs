//! How much waits on each lane, counted by the relay that owns it: for the backlog's limit, metrics and the lanes' floors.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;
use super::handle::Outbox;
use super::metrics::OutboxMetrics;
use crate::types::ShardId;

/// The newest counts, home by target; those of homes that another proxy owns are 0.
#[derive(Debug)]
pub(super) struct Census {
    lanes: Vec<Vec<LaneCount>>,
    /// One per home: bytes of ledger and outbox, as of the last retention.
    bytes: Vec<AtomicU64>,
}

/// What waits on a lane, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneLag {
    /// Name of the shard whose COMMIT decided.
    pub home: String,
    /// Name of the shard that follows.
    pub target: String,
    /// Transactions that wait.
    pub pending: u64,
    /// Age of the oldest of them in milliseconds, 0 if none waits.
    pub oldest_ms: u64,
}

/// What waits on one lane.
#[derive(Debug, Default)]
pub(super) struct LaneCount {
    pub pending: AtomicU64,
    pub oldest_ms: AtomicU64,
    /// Those of other proxies, and of earlier runs of this one.
    pub foreign: AtomicU64,
    /// Dead letters.
    pub dead: AtomicU64,
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
    pub dead: u64,
}

const COUNT: &str = "SELECT x.target, count(*) FILTER (WHERE w.waits), coalesce((extract(epoch FROM clock_timestamp() - \
     min(l.created_at) FILTER (WHERE w.waits)) * 1000)::bigint, 0), min(l.commit_seq), \
     count(*) FILTER (WHERE t.state = 'DEAD') FROM shardloom.ledger l \
     CROSS JOIN unnest(l.targets) x (target) LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target \
     CROSS JOIN LATERAL (SELECT coalesce(t.state, 'PENDING') IN ('PENDING', 'PUBLISHED', 'RETRY', 'BLOCKED')) w (waits) \
     WHERE l.commit_seq > $1 AND l.state IN ('OPEN', 'ATTENTION') \
     AND coalesce(t.state, 'PENDING') NOT IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED') GROUP BY 1";

const BYTES: &str = "SELECT (pg_total_relation_size('shardloom.ledger') + pg_total_relation_size('shardloom.ledger_target') + \
     pg_total_relation_size('shardloom.outbox'))::bigint";

impl Census {
    pub fn new(shards: usize) -> Self {
        let lane = |_| LaneCount::default();
        let lanes = (0..shards).map(|_| (0..shards).map(lane).collect()).collect();
        Self { lanes, bytes: (0..shards).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Returns what waits for `target`, from all homes, that this run of the process did not write itself.
    pub fn foreign_for(&self, target: ShardId) -> usize {
        self.lanes.iter().map(|lanes| lanes[target.index()].foreign.load(Ordering::Relaxed) as usize).sum()
    }

    /// Returns the count of one lane.
    pub fn lane(&self, home: ShardId, target: ShardId) -> &LaneCount {
        &self.lanes[home.index()][target.index()]
    }

    /// Keeps the counts of all lanes of `home`: those not among them are empty. `own` says how many of a target's this
    /// process has written itself.
    pub fn keep(&self, home: ShardId, counted: &[Counted], own: impl Fn(ShardId) -> usize) {
        for (index, lane) in self.lanes[home.index()].iter().enumerate() {
            let found = counted.iter().find(|found| found.target.index() == index);
            lane.pending.store(found.map_or(0, |found| found.pending), Ordering::Relaxed);
            lane.oldest_ms.store(found.map_or(0, |found| found.oldest_ms), Ordering::Relaxed);
            let foreign = found.map_or(0, |found| found.pending.saturating_sub(own(found.target) as u64));
            lane.foreign.store(foreign, Ordering::Relaxed);
            lane.dead.store(found.map_or(0, |found| found.dead), Ordering::Relaxed);
        }
    }

    /// Returns the dead letters of all lanes.
    pub fn dead(&self) -> u64 {
        self.lanes.iter().flatten().map(|lane| lane.dead.load(Ordering::Relaxed)).sum()
    }

    /// Returns the sum of all lanes, and the age of the oldest.
    pub fn totals(&self) -> (u64, u64) {
        let lanes = || self.lanes.iter().flatten();
        let oldest = lanes().map(|lane| lane.oldest_ms.load(Ordering::Relaxed)).max().unwrap_or(0);
        (lanes().map(|lane| lane.pending.load(Ordering::Relaxed)).sum(), oldest)
    }
}

impl Outbox {
    /// Returns what waits on each lane, as its relay last counted; lanes that another proxy owns show nothing.
    pub fn lane_lags(&self) -> Vec<LaneLag> {
        let lanes = self.store.shards().flat_map(|home| self.store.shards().map(move |target| (home, target)));
        let lag = |(home, target): (ShardId, ShardId)| {
            let count = self.census.lane(home, target);
            LaneLag {
                home: self.store.name(home).to_owned(),
                target: self.store.name(target).to_owned(),
                pending: count.pending.load(Ordering::Relaxed),
                oldest_ms: count.oldest_ms.load(Ordering::Relaxed),
            }
        };
        lanes.filter(|(home, target)| home != target).map(lag).collect()
    }

    /// Returns the bytes of ledger and outbox on each home, by its name; 0 where another proxy owns the relay.
    pub fn ledger_bytes(&self) -> Vec<(String, u64)> {
        let bytes = |home: ShardId| self.census.bytes[home.index()].load(Ordering::Relaxed);
        self.store.shards().map(|home| (self.store.name(home).to_owned(), bytes(home))).collect()
    }

    /// Measures ledger and outbox on `home`.
    pub(super) async fn measure_ledger(&self, home: ShardId) -> Result<(), Error> {
        let client = self.store.connect(home).await?;
        let row = client.query_one(BYTES, &[]).await.map_err(self.store.at(home))?;
        self.census.bytes[home.index()].store(row.get::<_, i64>(0).max(0) as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Counts what waits on the lanes of `home` above `floor`, and keeps it.
    pub(super) async fn count_lanes(&self, home: ShardId, floor: i64) -> Result<Vec<Counted>, Error> {
        let client = self.store.connect(home).await?;
        let before: Vec<usize> = self.store.shards().map(|target| self.flights.backlog(target)).collect();
        let rows = client.query(COUNT, &[&floor]).await.map_err(self.store.at(home))?;
        let counted: Vec<Counted> = rows
            .iter()
            .filter_map(|row| {
                let target = self.store.id(row.get(0)).filter(|target| *target != home)?;
                let number = |column: usize| row.get::<_, i64>(column).max(0) as u64;
                Some(Counted { target, pending: number(1), oldest_ms: number(2), first: row.get(3), dead: number(4) })
            })
            .collect();
        self.keep_counts(home, &counted, &before);
        Ok(counted)
    }

    /// Keeps that nothing waits on any lane of `home`.
    pub(super) fn count_none(&self, home: ShardId) {
        let before: Vec<usize> = self.store.shards().map(|target| self.flights.backlog(target)).collect();
        self.keep_counts(home, &[], &before);
    }

    fn keep_counts(&self, home: ShardId, counted: &[Counted], before: &[usize]) {
        let warning = self.settings.bounds.backlog_warning as u64;
        for lane in counted {
            let before = self.census.lane(home, lane.target).pending.load(Ordering::Relaxed);
            if before < warning && lane.pending >= warning {
                let (home, target) = (self.store.name(home), self.store.name(lane.target));
                tracing::warn!(home, target, pending = lane.pending, "a lane's backlog is long");
            }
        }
        // Of before and after the count the larger: what ended or began meanwhile is not another's.
        self.census.keep(home, counted, |target| before[target.index()].max(self.flights.backlog(target)));
        let (pending, oldest) = self.census.totals();
        self.metrics().pending.store(pending, Ordering::Relaxed);
        self.metrics().oldest_pending_ms.store(oldest, Ordering::Relaxed);
        OutboxMetrics::set(&self.metrics().dead, self.census.dead());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_what_waits_from_all_homes_and_an_empty_lane_nothing() {
        let census = Census::new(3);
        let one = |pending| Counted { target: ShardId(2), pending, oldest_ms: 7, first: 1, dead: pending - 4 };
        census.keep(ShardId(0), &[one(5)], |_| 2);
        census.keep(ShardId(1), &[one(6)], |_| 7);
        assert_eq!((census.foreign_for(ShardId(2)), census.totals(), census.dead()), (3, (11, 7), 3));
        census.keep(ShardId(0), &[], |_| 0);
        assert_eq!((census.foreign_for(ShardId(2)), census.totals(), census.dead()), (0, (6, 7), 2));
    }
}
