//! A week of proxies that come, go, die and hang, in virtual time: no id is made twice.
//!
//! The lease table is a model of what `outbox::worker_lease` has home do; the generators are the real ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{BORROW_MS_MAX, Generator, Layout, WorkerPermit};
use crate::types::{Clock, ManualClock};

const EPOCH_MS: i64 = 1_767_225_600_000;
const START_MS: i64 = EPOCH_MS + 86_400_000;
const LEASE_MS: i64 = 60_000;
const RESERVE_MS: i64 = 3_000;
/// A turn of the simulation.
const TURN_MS: i64 = 1_000;
const PROXIES: usize = 4;
/// Few enough that proxies take over from each other all the time.
const WORKERS: u16 = 8;
const WEEK_TURNS: i64 = 7 * 86_400;

/// A row of `shardloom.worker_lease`; times are the database's.
#[derive(Default, Clone, Copy)]
struct Row {
    holder: u64,
    epoch: i64,
    expires_at: i64,
    reserved_until: i64,
}

/// The database, whose clock nobody touches.
#[derive(Default)]
struct Home {
    now_ms: i64,
    away: bool,
    rows: HashMap<u16, Row>,
}

impl Home {
    fn take(&mut self, holder: u64, wall_ms: i64) -> Option<(u16, Row, i64)> {
        let free = |row: Option<&Row>| row.is_none_or(|row| row.expires_at < self.now_ms);
        let is_ahead =
            |worker: &u16| self.rows.get(worker).is_some_and(|row| row.reserved_until > wall_ms + BORROW_MS_MAX);
        let worker = (0..WORKERS).filter(|worker| free(self.rows.get(worker))).min_by_key(is_ahead)?;
        let old = self.rows.get(&worker).copied();
        let before = old.unwrap_or_default();
        let reserved_until = match old {
            Some(old) => (old.reserved_until + RESERVE_MS).max(wall_ms + RESERVE_MS),
            None => wall_ms + RESERVE_MS,
        };
        let row = Row { holder, epoch: before.epoch + 1, expires_at: self.now_ms + LEASE_MS, reserved_until };
        self.rows.insert(worker, row);
        Some((worker, row, if row.epoch == 1 { 0 } else { reserved_until - RESERVE_MS }))
    }

    fn keep(&mut self, worker: u16, holder: u64, epoch: i64, until: i64) -> Option<i64> {
        let now_ms = self.now_ms;
        let row = self.rows.get_mut(&worker)?;
        if row.holder != holder || row.epoch != epoch || row.expires_at <= now_ms {
            return None;
        }
        row.expires_at = now_ms + LEASE_MS;
        row.reserved_until = row.reserved_until.max(until);
        Some(row.reserved_until)
    }
}

impl Home {
    fn give_back(&mut self, worker: u16, holder: u64, epoch: i64) {
        let now_ms = self.now_ms;
        if let Some(row) = self.rows.get_mut(&worker).filter(|row| (row.holder, row.epoch) == (holder, epoch)) {
            row.expires_at = now_ms;
        }
    }
}

struct Proxy {
    clock: Arc<ManualClock>,
    generator: Generator,
    holder: u64,
    permit: Option<Arc<WorkerPermit>>,
    /// Turns in which it does nothing but issue: its renewals do not get through.
    cut_off: i64,
}

impl Proxy {
    fn start(holder: u64, wall_ms: i64) -> Self {
        let clock = Arc::new(ManualClock::at(wall_ms));
        let layout = Layout::new(EPOCH_MS, 41, 6, 7, 9).unwrap();
        let generator = Generator::new(layout, clock.clone());
        Self { clock, generator, holder, permit: None, cut_off: 0 }
    }

    fn turn(&mut self, home: &mut Home) {
        self.clock.advance(Duration::from_millis(TURN_MS as u64));
        self.cut_off -= 1;
        if home.away || self.cut_off > 0 {
            return;
        }
        let (wall_ms, began) = (self.clock.wall_ms(), self.clock.monotonic());
        let until = began + Duration::from_millis(LEASE_MS as u64);
        if let Some(permit) = self.permit.take_if(|permit| {
            let most = wall_ms + BORROW_MS_MAX + RESERVE_MS;
            permit.floor_ms() <= most && permit.reserved_until_ms() > most
        }) {
            permit.revoke();
            self.generator.clear_permit();
            home.give_back(permit.worker(), self.holder, permit.epoch());
            return;
        }
        if let Some(permit) = &self.permit {
            let wanted = wall_ms.max(permit.floor_ms()) + RESERVE_MS;
            match home.keep(permit.worker(), self.holder, permit.epoch(), wanted) {
                Some(reserved) => return permit.extend(reserved, until),
                None => permit.revoke(),
            }
            self.generator.clear_permit();
            self.permit = None;
        }
        if let Some((worker, row, floor_ms)) = home.take(self.holder, wall_ms) {
            let permit = Arc::new(WorkerPermit::new(worker, row.epoch, floor_ms, row.reserved_until, until));
            self.generator.set_permit(Arc::clone(&permit)).unwrap();
            self.permit = Some(permit);
        }
    }
}

#[test]
fn a_week_of_lease_churn_repeats_no_id() {
    let mut random = StdRng::seed_from_u64(20_261_121);
    let mut home = Home { now_ms: START_MS, ..Home::default() };
    let mut holders = 0..;
    let mut proxies: Vec<Proxy> = (&mut holders).take(PROXIES).map(|holder| Proxy::start(holder, START_MS)).collect();
    let layout = proxies[0].generator.layout();
    // Ids of one worker ascend over all of its holders: then none is there twice.
    let mut last: HashMap<u16, i64> = HashMap::new();
    let (mut issued, mut faults, mut refused) = (0_u64, 0_u64, 0_u64);
    for _ in 0..WEEK_TURNS {
        home.now_ms += TURN_MS;
        if random.random_ratio(1, 2_000) {
            home.away = !home.away;
            faults += 1;
        }
        for proxy in &mut proxies {
            if random.random_ratio(1, 500) {
                faults += 1;
                let now_ms = proxy.clock.wall_ms();
                match random.random_range(0..10) {
                    // kill -9, and a start with a clock that is off.
                    0 | 1 => {
                        *proxy =
                            Proxy::start(holders.next().unwrap(), home.now_ms + random.random_range(-10_000..10_000))
                    }
                    2 | 3 => proxy.clock.step_to(now_ms - 10_000),
                    4 => proxy.clock.step_to(now_ms + 3_600_000),
                    // NTP puts it right.
                    5 | 6 => proxy.clock.step_to(home.now_ms),
                    _ => proxy.cut_off = random.random_range(1..150),
                }
            }
            proxy.turn(&mut home);
            for _ in 0..2 {
                let Ok(id) = proxy.generator.next(1) else {
                    refused += 1;
                    continue;
                };
                issued += 1;
                let worker = layout.decode(id).unwrap().worker;
                let before = last.insert(worker, id).unwrap_or(-1);
                assert!(before < id, "worker {worker}: {id} after {before}, {faults} faults");
            }
        }
    }
    println!("lease churn, a week: ids issued {issued}, refused {refused}, faults injected {faults}, duplicates 0");
    assert!(issued > 1_000_000 && faults > 1_000 && refused > 0, "{issued} {faults} {refused}");
}
