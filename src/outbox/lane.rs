//! One lane, home → target: what is due, in commit order, group by group. Decides what becomes of failures.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::apply::{Applied, Delivery};
use super::classify::FailureClass;
use super::error::Error;
use super::handle::Outbox;
use super::item::{self, BARRIER, Item};
use super::marks::Verdict;
use super::resync::RESYNC;
use super::state::{Input, TargetState, next};
use crate::rules::OnDead;
use crate::types::ShardId;

/// How often a blocked event is probed.
const BLOCKED_PROBE: Duration = Duration::from_secs(30);

/// Pause until what waits for the client path of a transaction before it is looked at again.
const PASSED_PAUSE: Duration = Duration::from_millis(20);

/// Statements that a target may take without answering one before it counts as away: fence, inbox and the change.
const STATEMENTS_PER_RUN: u32 = 3;

/// How often a lane that is busy goes on by itself, before it is looked at what else is due.
const RUNS_IN_A_ROW: usize = 16;

/// One run of a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneRun {
    pub home: ShardId,
    pub target: ShardId,
    pub epoch: i64,
    /// Everything at or below is finished.
    pub floor: i64,
    /// No number at or below can appear any more.
    pub settled: i64,
    /// How often home's numbers had gone back when it began.
    pub reset: u64,
    /// Whether this epoch has not yet raised the target's fence.
    pub raise: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing more is due.
    Idle,
    /// There may be more at once.
    More,
    /// The first event due has failed and is tried again after so long.
    Retry(Duration),
    /// The target is away.
    Away,
    /// Another relay owns the lane.
    Fenced,
}

/// What a run has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ran {
    pub rest: Rest,
    /// Everything at or below is finished on the lane; the floor that it had, where the run cannot tell.
    pub floor: i64,
    /// Whether it had something to deliver, so that more is likely to have come meanwhile.
    pub busy: bool,
}

impl Ran {
    /// Returns the pause after which the lane may go on at once, without anybody looking whether it has something; `None`
    /// where it has to be looked at.
    pub fn goes_on_after(&self, pace: Duration) -> Option<Duration> {
        match self.rest {
            Rest::More => Some(Duration::ZERO),
            Rest::Idle if self.busy => Some(pace),
            Rest::Retry(PASSED_PAUSE) if self.busy => Some(pace),
            Rest::Idle | Rest::Retry(_) | Rest::Away | Rest::Fenced => None,
        }
    }
}

/// Keys behind a dead event, and those of the batch's own events as far as they are known: asking for each event by itself
/// made a lane with one dead letter slow.
struct Parked {
    keys: BTreeSet<String>,
    of: HashMap<i64, BTreeSet<String>>,
    /// Whether there is a dead or parked event, with keys or without.
    stuck: bool,
}

impl Parked {
    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// What stops a run before its end.
enum Stop {
    Rest(Rest),
    Home(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Home(error)
    }
}

impl Outbox {
    /// Delivers a batch of a lane, and goes on as long as it is busy.
    ///
    /// # Errors
    /// As those of one batch.
    pub(super) async fn run_lane_on(&self, mut run: LaneRun) -> Result<Ran, Error> {
        let mut ran = self.run_in_time(run).await?;
        for _ in 1..RUNS_IN_A_ROW {
            let bounds = &self.settings.bounds;
            let Some(pause) = ran.goes_on_after(bounds.lane_pace) else { break };
            if !pause.is_zero() {
                self.flights.pace.sleep(bounds.poll_min, pause).await;
            }
            if self.is_paused(run.home, run.target).await? {
                break;
            }
            run = LaneRun { floor: ran.floor, raise: false, ..run };
            ran = self.run_in_time(run).await?;
        }
        Ok(ran)
    }

    /// Delivers one batch in the time that it may take.
    async fn run_in_time(&self, run: LaneRun) -> Result<Ran, Error> {
        let most = self.settings.bounds.apply_timeout * STATEMENTS_PER_RUN;
        let began = Instant::now();
        let done = tokio::time::timeout(most, Box::pin(self.run_lane(run))).await;
        let target = self.store.name(run.target);
        tracing::debug!(target, took = ?began.elapsed(), "a lane has run");
        done.unwrap_or_else(|_| {
            tracing::warn!(target, "target did not answer within {most:?}");
            self.store.forget(run.target);
            Ok(Ran { rest: Rest::Away, floor: run.floor, busy: false })
        })
    }

    /// Delivers one batch of a lane.
    ///
    /// # Errors
    /// What home answered; the target's failures become [`Rest`] and verdicts.
    async fn run_lane(&self, run: LaneRun) -> Result<Ran, Error> {
        let stays = |rest| Ran { rest, floor: run.floor, busy: false };
        if run.raise
            && let Err(error) = self.raise_fence(run.home, run.target, run.epoch).await
        {
            return Ok(stays(self.rest_of(&error)));
        }
        // Ahead of the batch: what an operator lets go on in between is in it, or still counts as stuck.
        let stuck = item::parked_keys(self, &run).await?;
        let mut parked = Parked { stuck: stuck.is_some(), keys: stuck.unwrap_or_default(), of: HashMap::new() };
        let (batch, full) = item::fetch(self, &run).await?;
        let last = batch.last().filter(|_| full).map_or(i64::MAX, |last| last.commit_seq);
        let mut items = Vec::new();
        let (mut wait, mut passed_by, mut passed_images) = (None, false, false);
        let mut left_from = None;
        for item in batch {
            if self.flights.is_flying(item.txid) || item.is_left_to_others(&self.settings.proxy) {
                (passed_by, passed_images) = (true, passed_images || item.images);
                left_from.get_or_insert(item.commit_seq);
                continue;
            }
            // A barrier compares what everything before it has left. Row images must not overtake each other: home has
            // given up the locks of their rows. Commands may, as the client path has those on the target.
            if passed_by && item.kind == BARRIER || passed_images && item.images {
                wait = Some(PASSED_PAUSE);
                left_from.get_or_insert(item.commit_seq);
                break;
            }
            if let Some(left) = item.wait {
                wait = Some(left);
                left_from.get_or_insert(item.commit_seq);
                break;
            }
            items.push(item);
        }
        if (full && items.is_empty() || passed_images) && wait.is_none() {
            // They are at work elsewhere.
            wait = Some(PASSED_PAUSE);
        }
        if !parked.is_empty() {
            parked.of = item::keys_of(self, run.home, &items).await?;
        }
        let busy = !items.is_empty();
        if let Err(stop) = self.deliver(&run, items, &mut parked).await {
            return match stop {
                Stop::Rest(rest) => Ok(stays(rest)),
                Stop::Home(error) => Err(error),
            };
        }
        let rest = wait.map_or(if full { Rest::More } else { Rest::Idle }, Rest::Retry);
        // Of what is stuck an operator may let something go on at any time.
        let reached = if parked.stuck { run.floor } else { left_from.map_or(last, |first| first - 1) };
        Ok(Ran { rest, floor: reached.min(run.settled).max(run.floor), busy })
    }

    async fn deliver(&self, run: &LaneRun, items: Vec<Item>, parked: &mut Parked) -> Result<(), Stop> {
        let mut group: Vec<Item> = Vec::new();
        for item in items {
            if !parked.is_empty() && self.park(run, &item, parked).await? {
                continue;
            }
            if group.last().is_some_and(|last| !last.goes_with(&item)) {
                self.deliver_group(run, std::mem::take(&mut group), parked).await?;
                if !parked.is_empty() && self.park(run, &item, parked).await? {
                    continue;
                }
            }
            group.push(item);
        }
        self.deliver_group(run, group, parked).await
    }

    /// Parks `item` if an earlier event of one of its keys is dead.
    async fn park(&self, run: &LaneRun, item: &Item, parked: &mut Parked) -> Result<bool, Error> {
        let keys = match parked.of.remove(&item.txid) {
            Some(keys) => keys,
            None => item::keys(self, run.home, item).await?,
        };
        if !item::overlap(&keys, &parked.keys) {
            parked.of.insert(item.txid, keys);
            return Ok(false);
        }
        let mut verdict = Verdict::new(item.txid, run.target, next(item.state, Input::KeyParked)?);
        verdict.keys = keys.iter().cloned().collect();
        parked.keys.extend(keys);
        parked.stuck = true;
        self.write_verdicts(run.home, &[verdict]).await?;
        Ok(true)
    }

    /// Applies a group; one that fails is halved until the event that fails stands alone.
    async fn deliver_group(&self, run: &LaneRun, items: Vec<Item>, parked: &mut Parked) -> Result<(), Stop> {
        let mut waiting = vec![items];
        while let Some(mut group) = waiting.pop() {
            if group.is_empty() {
                continue;
            }
            if !parked.is_empty() {
                let mut free = Vec::new();
                for item in group {
                    if !self.park(run, &item, parked).await? {
                        free.push(item);
                    }
                }
                group = free;
                if group.is_empty() {
                    continue;
                }
            }
            match self.apply(run, &group, Delivery::Exact).await {
                Ok(applied) => self.write_verdicts(run.home, &verdicts(run, &applied)).await?,
                Err(error) if error.class() == FailureClass::Unreachable || error.class() == FailureClass::Fenced => {
                    return Err(Stop::Rest(self.rest_of(&error)));
                }
                Err(_) if group.len() > 1 => {
                    let second = group.split_off(group.len() / 2);
                    waiting.push(second);
                    waiting.push(group);
                }
                Err(error) => self.fail(run, &group[0], &error, parked).await?,
            }
        }
        Ok(())
    }

    /// Writes what becomes of one event that failed alone.
    async fn fail(&self, run: &LaneRun, item: &Item, error: &Error, parked: &mut Parked) -> Result<(), Stop> {
        let on_dead = self.on_dead(run.home, item).await?;
        let input = Input::Failed { class: error.class(), on_dead, attempts_max: self.settings.bounds.attempts_max };
        let state = next(item.state, input).map_err(Error::from)?;
        let mut verdict = Verdict::new(item.txid, run.target, state);
        verdict.sqlstate = error.sqlstate().map(str::to_owned);
        verdict.error = Some(error.to_string());
        tracing::warn!(txid = item.txid, target = self.store.name(run.target), state = state.name(), %error, "event not applied");
        if state == TargetState::Dead {
            return self.bury(run, item, verdict, on_dead, parked).await;
        }
        let wait = match state {
            TargetState::Blocked => Some(BLOCKED_PROBE),
            TargetState::Retry { attempts } => Some(self.backoff(attempts)),
            TargetState::Pending
            | TargetState::Published
            | TargetState::Applied
            | TargetState::Parked
            | TargetState::Dead
            | TargetState::Skipped
            | TargetState::Resynced
            | TargetState::Compensated => None,
        };
        verdict.retry_ms = wait.map(|wait| wait.as_millis() as i64);
        self.write_verdicts(run.home, &[verdict]).await?;
        wait.map_or(Ok(()), |wait| Err(Stop::Rest(Rest::Retry(wait))))
    }

    /// Makes an event a dead letter, unless home's rows could be copied again.
    async fn bury(
        &self,
        run: &LaneRun,
        item: &Item,
        mut verdict: Verdict,
        on_dead: OnDead,
        parked: &mut Parked,
    ) -> Result<(), Stop> {
        // A step of a resync is what home has already.
        if on_dead == OnDead::Resync && item.images && item.kind != RESYNC {
            match self.apply(run, std::slice::from_ref(item), Delivery::Resync).await {
                Ok(_) => {
                    verdict.state = TargetState::Resynced;
                    return Ok(self.write_verdicts(run.home, &[verdict]).await?);
                }
                Err(error) if error.class() == FailureClass::Unreachable || error.class() == FailureClass::Fenced => {
                    return Err(Stop::Rest(self.rest_of(&error)));
                }
                Err(error) => verdict.error = Some(format!("{}; resync: {error}", verdict.error.unwrap_or_default())),
            }
        }
        let mut keys = item::keys(self, run.home, item).await?;
        if on_dead == OnDead::StopLane {
            keys.insert(item::EVERY_KEY.to_owned());
        }
        verdict.keys = keys.iter().cloned().collect();
        parked.keys.extend(keys);
        parked.stuck = true;
        self.write_dead_letter(run.home, &verdict).await?;
        Ok(self.write_verdicts(run.home, &[verdict]).await?)
    }

    /// Returns what the rules do with `item` if it dies.
    async fn on_dead(&self, home: ShardId, item: &Item) -> Result<OnDead, Error> {
        if !item.commands.is_empty() || !item.images {
            return Ok(item.on_dead);
        }
        let relations = item::relations(self, home, item).await?;
        let wanted = self.wanted().references.unwrap_or_default();
        let policy = wanted.iter().find(|reference| {
            let qualified = if reference.table.contains('.') {
                reference.table.clone()
            } else {
                format!("public.{}", reference.table)
            };
            relations.iter().any(|relation| relation.replace('"', "") == qualified)
        });
        Ok(policy.map_or(OnDead::Resync, |reference| reference.on_dead))
    }

    fn rest_of(&self, error: &Error) -> Rest {
        if error.class() == FailureClass::Fenced {
            super::metrics::OutboxMetrics::add(&self.metrics().fence_refusals, 1);
            tracing::warn!(%error, "relay fenced off");
            return Rest::Fenced;
        }
        tracing::debug!(%error, "target is away");
        Rest::Away
    }

    /// Returns a wait that doubles with the attempts, up to `backoff_max`, half of it random.
    pub(super) fn backoff(&self, attempts: i32) -> Duration {
        let bounds = &self.settings.bounds;
        let doubled = bounds.backoff_min.saturating_mul(1 << attempts.clamp(0, 16));
        let wait = doubled.min(bounds.backoff_max);
        wait / 2 + wait.mul_f64(rand::random::<f64>() / 2.0)
    }
}

fn verdicts(run: &LaneRun, applied: &[Applied]) -> Vec<Verdict> {
    applied.iter().map(|done| Verdict::applied(done.txid, run.target, done.expected, done.affected)).collect()
}
