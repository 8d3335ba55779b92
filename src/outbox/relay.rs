//! One relay per home: holds the lease, writes marks, scans, and keeps a run going for each lane that has something.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::error::Error;
use super::gate::Closed;
use super::handle::Outbox;
use super::item::IN_ORDER;
use super::lane::{LaneRun, Ran, Rest};
use super::store::query_prepared;
use super::tend::Tending;
use crate::types::ShardId;

/// Pace of retention.
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// Pace at which a process without the lease looks how far its own transactions are.
const FOLLOW_EVERY: Duration = Duration::from_millis(50);

/// Pace at which the inboxes are looked through for what home has lost.
const LOST_EVERY: Duration = Duration::from_secs(10);

/// Parts of the lease after which it is renewed: two renewals may fail.
const RENEWALS_PER_LEASE: u32 = 3;

/// A scan's pause is at least so many times as long as the scan: a long backlog is slow to count.
const PAUSES_PER_SCAN: u32 = 10;

/// How many times rarer scans are while no lane has anything: what they look for is rare, and nobody waits for it.
const IDLE_SCANS: u32 = 5;

/// The longest pause between two scans: one may have been slow for another reason than a backlog.
const SCAN_PAUSE_MAX: Duration = Duration::from_secs(10);

/// The most that the wait for a slow home grows, in bounds of the wait for one that answers.
const PATIENCE_MAX: u32 = 16;

/// What a lane waits for.
#[derive(Debug, Default, Clone, Copy)]
struct LaneState {
    /// Runs now.
    running: bool,
    /// Something may have come while it ran.
    asked: bool,
    /// Not before.
    until: Option<Instant>,
    /// Failures in a row to reach the target.
    away: i32,
    /// The epoch that has raised the target's fence.
    raised: Option<i64>,
    /// Everything at or below is finished on this lane.
    floor: i64,
}

/// What a relay has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// All that may have come.
    Turn,
    /// Transactions have ended that need nothing but their marks: no lane has anything of them to deliver.
    Marks,
}

/// What one relay remembers between turns.
struct Relay {
    outbox: Arc<Outbox>,
    home: ShardId,
    started: Instant,
    /// When it last looked for all that may have come.
    turned: Instant,
    installed: bool,
    scanned: bool,
    /// Whether the lease was asked for: only the first time it is taken from an earlier run of this proxy.
    asked: bool,
    epoch: Option<i64>,
    held_until: Option<Instant>,
    renew_at: Option<Instant>,
    scan_at: Option<Instant>,
    retain_at: Option<Instant>,
    lost_at: Option<Instant>,
    tending: Tending,
    /// How many bounds the next turn may take.
    patience: u32,
    /// Everything at or below is finished on all lanes.
    floor: i64,
    /// The last commit sequence of an earlier scan and an xid assigned after it was drawn: once all older xids have
    /// ended, no number at or below can appear any more.
    horizon: Option<(i64, i64)>,
    /// No number at or below can appear any more.
    settled: i64,
    /// How often home's numbers have gone back: what runs say that began before does not count.
    resets: u64,
    lanes: HashMap<ShardId, LaneState>,
    nudges: u64,
    /// Whether a lane has run since the last scan.
    worked: bool,
    runs: JoinSet<(LaneRun, Result<Ran, Error>)>,
}

/// The lanes of $1 that have an event due above their floors of $2, or parked behind nothing, and do not stand still.
const DUE: &str = "SELECT v.target FROM unnest($1::text[], $2::bigint[]) v (target, floor) CROSS JOIN LATERAL (SELECT \
     FROM shardloom.ledger l LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = v.target \
     WHERE l.commit_seq > v.floor AND l.state IN ('OPEN', 'ATTENTION') AND v.target = ANY (l.targets) \
     AND (coalesce(t.state, 'PENDING') IN ('PENDING', 'PUBLISHED', 'RETRY', 'BLOCKED') OR t.state = 'PARKED' AND NOT EXISTS \
     (SELECT FROM shardloom.ledger_target d WHERE d.target = v.target AND d.state = 'DEAD')) ORDER BY l.commit_seq LIMIT 1) due \
     WHERE NOT EXISTS (SELECT FROM shardloom.paused_target p WHERE p.target = v.target)";

/// The last commit sequence that was drawn, and the oldest xid that still runs.
const HORIZON: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END, \
     pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM shardloom.commit_seq";

impl LaneState {
    fn rests(&self, now: Instant) -> bool {
        !self.running && self.until.is_none_or(|until| until <= now)
    }
}

impl Outbox {
    /// Runs the relays of all homes until [`Outbox::stop`]; started once, on the outbox's own thread.
    ///
    /// Dropping the future ends everything at once, as a crash would.
    pub async fn run(self: Arc<Self>) {
        self.store.settle_here();
        let (mut relays, mut watches) = (JoinSet::new(), JoinSet::new());
        for shard in self.store.shards() {
            relays.spawn(Relay::new(self.clone(), shard).run());
            let outbox = self.clone();
            watches.spawn(async move { outbox.watch_prepared(shard).await });
        }
        while relays.join_next().await.is_some() {}
    }

    /// Lets [`Outbox::run`] end after its current turns; leases are given back.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }
}

impl Relay {
    fn new(outbox: Arc<Outbox>, home: ShardId) -> Self {
        Self {
            outbox,
            home,
            started: Instant::now(),
            turned: Instant::now(),
            installed: false,
            scanned: false,
            asked: false,
            epoch: None,
            held_until: None,
            renew_at: None,
            scan_at: None,
            retain_at: None,
            lost_at: None,
            tending: Tending::default(),
            patience: 1,
            floor: -1,
            horizon: None,
            settled: -1,
            resets: 0,
            lanes: HashMap::new(),
            nudges: 0,
            worked: true,
            runs: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        let mut stopping = self.outbox.stopping.subscribe();
        let (mut away, mut due) = (false, Due::Turn);
        while !*stopping.borrow() {
            let (outbox, home) = (self.outbox.clone(), self.home);
            let most = outbox.settings.bounds.home_timeout * self.patience;
            let began = Instant::now();
            let result = outbox.store.within(home, most, self.work(due)).await;
            // A home that is only slow would else never be done: each time it is given longer.
            self.patience = if began.elapsed() < most { 1 } else { (self.patience * 2).min(PATIENCE_MAX) };
            if result.is_err() != away {
                away = result.is_err();
                match &result {
                    Ok(()) => tracing::info!(home = self.name(), "relay works again"),
                    Err(error) => tracing::warn!(home = self.name(), %error, "relay waits for its home"),
                }
            }
            if away {
                self.open_without_home();
            }
            let wake = self.outbox.flights.wake[self.home.index()].clone();
            let marked = self.outbox.flights.marked[self.home.index()].clone();
            let mark_wait = self.outbox.settings.bounds.mark_wait;
            // Short, so that marks are written in batches and not one by one.
            tokio::time::sleep(self.outbox.settings.bounds.poll_min).await;
            let next_turn = self.next_turn();
            due = tokio::select! {
                () = wake.notified() => Due::Turn,
                Some(done) = self.runs.join_next() => done.map_or(Due::Turn, |done| self.lane_rests(done)),
                () = tokio::time::sleep_until(next_turn) => Due::Turn,
                _ = stopping.changed() => Due::Turn,
                () = async { marked.notified().await; tokio::time::sleep(mark_wait).await } => Due::Marks,
            };
        }
        self.tending.stop();
        self.runs.shutdown().await;
        let _ = self.outbox.write_marks(self.home).await;
        if self.epoch.is_some() {
            let _ = self.outbox.release_lease(self.home).await;
        }
    }

    fn name(&self) -> &str {
        self.outbox.store.name(self.home)
    }

    fn next_turn(&self) -> Instant {
        let mut at = self.turned + self.outbox.settings.bounds.poll_max;
        if self.epoch.is_none() && !self.outbox.flights.waiting(self.home, 1).is_empty() {
            at = Instant::now() + FOLLOW_EVERY;
        }
        if let Some(renew) = self.renew_at {
            at = at.min(renew);
        }
        for until in self.lanes.values().filter_map(|lane| lane.until) {
            at = at.min(until);
        }
        at
    }

    async fn work(&mut self, due: Due) -> Result<(), Error> {
        match due {
            // Where it is not installed yet, or away, there is more to do first.
            Due::Marks if self.installed => self.outbox.write_marks(self.home).await,
            Due::Marks | Due::Turn => self.turn().await,
        }
    }

    async fn turn(&mut self) -> Result<(), Error> {
        self.turned = Instant::now();
        if !self.installed {
            self.outbox.install_on(self.home).await?;
            self.outbox.reconcile_on(self.home).await?;
            self.installed = true;
        }
        self.outbox.write_marks(self.home).await?;
        self.outbox.settle_doubtful(self.home).await;
        if !self.scanned {
            self.scan_own_redo().await?;
        }
        self.keep_lease().await?;
        let Some(epoch) = self.epoch else { return self.outbox.follow(self.home).await };
        self.tend_prepared();
        self.scan().await?;
        let nudges = self.outbox.flights.nudges[self.home.index()].load(Ordering::Acquire);
        if std::mem::replace(&mut self.nudges, nudges) != nudges {
            self.lanes.values_mut().for_each(|lane| lane.until = None);
        }
        self.start_lanes(epoch).await
    }

    async fn keep_lease(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if self.held_until.is_some_and(|until| until <= now) {
            self.lose_lease();
        }
        if self.renew_at.is_some_and(|at| at > now) {
            return Ok(());
        }
        let lease = self.outbox.settings.bounds.relay_lease;
        // Counted from before the question: the database's lease ends later than what is believed here.
        let held = self.outbox.hold_lease(self.home, !self.asked).await?;
        self.asked = true;
        match held {
            Some(epoch) => {
                if self.epoch != Some(epoch) {
                    tracing::info!(home = self.name(), epoch, "relay holds the lease");
                    self.begin_anew();
                }
                (self.epoch, self.held_until) = (Some(epoch), Some(now + lease));
            }
            None => self.lose_lease(),
        }
        self.renew_at = Some(now + lease / RENEWALS_PER_LEASE);
        Ok(())
    }

    fn lose_lease(&mut self) {
        (self.epoch, self.held_until) = (None, None);
        self.runs.abort_all();
        self.tending.stop();
        self.lanes.clear();
        self.outbox.census.keep(self.home, &[], |_| 0);
    }

    /// Decides left-over prepared transactions, however long a backlog takes to count: they hold locks.
    fn tend_prepared(&mut self) {
        for target in self.outbox.prepared.take(self.home).iter() {
            self.tending.decide_prepared(&self.outbox, self.home, target);
        }
    }

    /// The level-triggered part, once per `poll_max`; less often while no lane has anything.
    async fn scan(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        if self.scan_at.is_some_and(|at| at > began) {
            return Ok(());
        }
        self.scan_at = Some(began + self.outbox.settings.bounds.poll_max);
        self.outbox.capture_orphans(self.home).await?;
        let all = self.retain_at.is_none_or(|at| at <= began);
        let drawn = self.move_horizon().await?;
        if all || self.floor < drawn {
            self.close_and_count(all).await?;
        } else {
            // No commit can be above the floor.
            self.outbox.count_none(self.home);
        }
        self.outbox.follow(self.home).await?;
        if all {
            self.tending.retain(&self.outbox, self.home);
            self.retain_at = Some(began + RETAIN_EVERY);
        }
        if self.lost_at.is_none_or(|at| at <= began) {
            self.tending.check_lost(&self.outbox, self.home);
            self.lost_at = Some(began + LOST_EVERY);
        }
        tracing::debug!(home = self.name(), took = ?began.elapsed(), "scanned");
        let pace = if std::mem::take(&mut self.worked) { 1 } else { IDLE_SCANS };
        let pause = pause_after(began.elapsed(), self.outbox.settings.bounds.poll_max * pace);
        self.scan_at = Some(Instant::now() + pause);
        Ok(())
    }

    /// Closes what is finished and still open, and moves the floors up; `all`: also what waits behind a lane that stands.
    async fn close_and_count(&mut self, all: bool) -> Result<(), Error> {
        // Behind a lane that is stuck there may be something to close, too; that takes a look at all that waits.
        let delivered =
            self.outbox.store.shards().filter(|target| *target != self.home).map(|target| self.lane_floor(target));
        let upto = if all { i64::MAX } else { delivered.min().unwrap_or(i64::MAX) };
        self.outbox.finish_all(self.home, self.floor, upto).await?;
        self.advance_floors().await
    }

    /// Counts the lanes, and moves the floors up to the oldest unfinished transaction, never past a number that may still
    /// appear.
    async fn advance_floors(&mut self) -> Result<(), Error> {
        let settled = self.settled;
        // Asked later than the horizon, so that everything below it is seen.
        let counted = self.outbox.count_lanes(self.home, self.floor).await?;
        for target in self.outbox.store.shards().filter(|target| *target != self.home) {
            let first = counted.iter().find(|lane| lane.target == target).map(|lane| lane.first);
            let lane = self.lanes.entry(target).or_default();
            lane.floor = lane.floor.max(first.map_or(settled, |first| settled.min(first - 1)));
        }
        let client = self.outbox.store.connect(self.home).await?;
        let oldest =
            "SELECT min(commit_seq) FROM shardloom.ledger WHERE commit_seq > $1 AND state IN ('OPEN', 'ATTENTION')";
        let row = client.query_one(oldest, &[&self.floor]).await.map_err(self.outbox.store.at(self.home))?;
        let oldest: Option<i64> = row.get(0);
        self.floor = self.floor.max(oldest.map_or(settled, |oldest| settled.min(oldest - 1)));
        Ok(())
    }

    /// Takes nothing for finished or settled any more.
    fn begin_anew(&mut self) {
        (self.floor, self.settled, self.horizon) = (-1, -1, None);
        self.resets += 1;
        self.lanes.values_mut().for_each(|lane| lane.floor = 0);
    }

    /// Looks whether the horizon is settled, so that nothing at or below it can appear any more, and draws the next. Returns
    /// the last number that was drawn.
    async fn move_horizon(&mut self) -> Result<i64, Error> {
        let client = self.outbox.store.connect(self.home).await?;
        let at = self.outbox.store.at(self.home);
        let row = query_prepared(&client, HORIZON, &[]).await.map_err(&at)?;
        let Some((last, xmin)) = row.first().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))) else {
            return Ok(i64::MAX);
        };
        if last < self.settled || last < self.floor {
            // Home has lost its last commits, and numbers come again.
            tracing::warn!(home = self.name(), last, floor = self.floor, "home's commit sequence has gone back");
            self.begin_anew();
        }
        if let Some((number, _)) = self.horizon.take_if(|(_, before)| xmin >= *before) {
            self.settled = self.settled.max(number);
        }
        if last > self.settled && self.horizon.is_none() {
            // Who drew a number up to `last` has an xid below this one. A snapshot's xmax would not do: it is only one
            // above the last *completed* xid, and running ones may lie beyond.
            let own = "SELECT pg_current_xact_id()::text::bigint";
            let row = query_prepared(&client, own, &[]).await.map_err(&at)?;
            self.horizon = row.first().map(|row| (last, row.get(0)));
        }
        Ok(last)
    }

    /// Starts the lanes that rest and have something. Asks for the first event only: a backlog may be long.
    async fn start_lanes(&mut self, epoch: i64) -> Result<(), Error> {
        let now = Instant::now();
        let targets = self.outbox.store.shards().filter(|target| *target != self.home);
        self.lanes.values_mut().for_each(|lane| lane.asked |= lane.running);
        let resting: Vec<ShardId> =
            targets.filter(|target| self.lanes.get(target).is_none_or(|l| l.rests(now))).collect();
        if resting.is_empty() {
            return Ok(());
        }
        let drawn = self.move_horizon().await?;
        let names: Vec<&str> = resting.iter().map(|target| self.outbox.store.name(*target)).collect();
        let floors: Vec<i64> = resting.iter().map(|target| self.lane_floor(*target)).collect();
        if floors.iter().all(|floor| *floor >= drawn) {
            // No commit can be above them: what an idle home costs is this one question.
            return Ok(());
        }
        let at = self.outbox.store.at(self.home);
        let mut client = self.outbox.store.connect(self.home).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        transaction.batch_execute(IN_ORDER).await.map_err(&at)?;
        let rows = query_prepared(&transaction, DUE, &[&names, &floors]).await.map_err(&at)?;
        transaction.commit().await.map_err(&at)?;
        drop(client);
        for row in &rows {
            if let Some(target) = self.outbox.store.id(row.get(0)) {
                self.start_lane(target, epoch);
            }
        }
        Ok(())
    }

    fn lane_floor(&self, target: ShardId) -> i64 {
        self.lanes.get(&target).map_or(self.floor, |lane| lane.floor.max(self.floor))
    }

    fn start_lane(&mut self, target: ShardId, epoch: i64) {
        let floor = self.lane_floor(target);
        let lane = self.lanes.entry(target).or_default();
        (lane.running, lane.asked, lane.until) = (true, false, None);
        self.worked = true;
        let raise = lane.raised != Some(epoch);
        let run = LaneRun { home: self.home, target, epoch, floor, settled: self.settled, reset: self.resets, raise };
        let outbox = self.outbox.clone();
        self.runs.spawn(async move {
            let result = outbox.run_lane_on(run).await;
            (run, result)
        });
    }

    /// Notes how a run has ended; tells whether there may be more.
    fn lane_rests(&mut self, (run, result): (LaneRun, Result<Ran, Error>)) -> Due {
        let LaneRun { target, epoch, .. } = run;
        let is_current = self.epoch == Some(epoch) && self.resets == run.reset;
        let bounds = &self.outbox.settings.bounds;
        let probe_max = bounds.probe_max;
        let backoff = self.outbox.backoff(self.lanes.get(&target).map_or(0, |lane| lane.away) + 4);
        let lane = self.lanes.entry(target).or_default();
        lane.running = false;
        let now = Instant::now();
        if let Ok(ran) = &result
            && is_current
        {
            lane.floor = lane.floor.max(ran.floor);
        }
        // What it found was all at work on the client path: to look again at once would find the same.
        let is_over = matches!(&result, Ok(ran) if ran.rest == Rest::Idle && !ran.busy);
        let due = if is_over && !std::mem::take(&mut lane.asked) { Due::Marks } else { Due::Turn };
        match result.map(|ran| ran.rest) {
            Ok(Rest::Idle) => (lane.away, lane.raised, lane.until) = (0, Some(epoch), None),
            Ok(Rest::More) => {
                (lane.away, lane.raised, lane.until) = (0, Some(epoch), None);
                self.outbox.flights.wake[self.home.index()].notify_one();
            }
            Ok(Rest::Retry(wait)) => (lane.away, lane.raised, lane.until) = (0, Some(epoch), Some(now + wait)),
            Ok(Rest::Away) => {
                lane.away = lane.away.saturating_add(1);
                lane.until = Some(now + backoff.min(probe_max));
            }
            Ok(Rest::Fenced) => {
                self.lose_lease();
                self.renew_at = None;
            }
            Err(error) => {
                tracing::warn!(target = self.outbox.store.name(target), %error, "lane stopped");
                lane.until = Some(now + backoff);
            }
        }
        due
    }

    /// Opens the gates of the targets where this proxy, in an earlier run, has nothing left to redo from this home.
    async fn scan_own_redo(&mut self) -> Result<(), Error> {
        let client = self.outbox.store.connect(self.home).await?;
        let rows = client
            .query(
                "SELECT l.txid, x.target FROM shardloom.ledger l CROSS JOIN unnest(l.targets) x (target) \
                 LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target \
                 WHERE l.state IN ('OPEN', 'ATTENTION') AND l.mode <> 'eventual' AND l.proxy = $1 \
                 AND coalesce(t.state, 'PENDING') IN ('PENDING', 'PUBLISHED', 'RETRY')",
                &[&self.outbox.settings.proxy],
            )
            .await
            .map_err(self.outbox.store.at(self.home))?;
        let left = rows.iter().filter(|row| !self.outbox.flights.is_flying(row.get(0)));
        let waiting: Vec<String> = left.map(|row| row.get(1)).collect();
        for target in self.outbox.store.shards().filter(|target| *target != self.home) {
            if !waiting.iter().any(|name| name == self.outbox.store.name(target)) {
                self.outbox.flights.gates[target.index()].lift(Closed::Unscanned(self.home));
            }
        }
        self.scanned = waiting.is_empty();
        Ok(())
    }

    /// A home that stays away must not keep all other shards from being written: what it has to redo shows as drift.
    fn open_without_home(&mut self) {
        if self.scanned || self.started.elapsed() < self.outbox.settings.bounds.gate_home_wait {
            return;
        }
        tracing::warn!(home = self.name(), "home is away: its redo is not waited for");
        for target in self.outbox.store.shards().filter(|target| *target != self.home) {
            self.outbox.flights.gates[target.index()].lift(Closed::Unscanned(self.home));
        }
        self.scanned = true;
    }
}

/// Returns the pause after a scan that took so long.
fn pause_after(took: Duration, poll_max: Duration) -> Duration {
    (took * PAUSES_PER_SCAN).min(SCAN_PAUSE_MAX).max(poll_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_scan_up_to_a_bound_and_is_never_below_the_pace() {
        let (second, quarter) = (Duration::from_secs(1), Duration::from_secs(15));
        assert_eq!(pause_after(Duration::ZERO, second), second);
        assert_eq!(pause_after(Duration::from_millis(500), second), 5 * second);
        assert_eq!(pause_after(13 * second, second), SCAN_PAUSE_MAX);
        assert_eq!(pause_after(13 * second, quarter), quarter);
    }
}
