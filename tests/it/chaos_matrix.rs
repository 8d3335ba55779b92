//! The fault matrix: each step of a multi-shard write × each way of writing × who dies there. While several transactions
//! are in flight, the proxy stands still exactly at the step, the victim is killed, and everything is compared.
//!
//! `make faults` runs all of it; otherwise a share that a seed picks. `SHARDLOOM_FAULT_SEED` repeats a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use shardloom::dev::DevCluster;

use crate::chaos::inspect;
use crate::chaos_book::{self, Book, Places, RULES, Way};
use crate::chaos_invariants::Inspector;
use crate::support::{Proxy, ProxyOptions, own_servers};

/// Cells of a run that is not asked for all.
const SHARE: usize = 12;
/// Clients that write at the same time.
const CLIENTS: usize = 5;
/// Answers that must come before a fault and after its recovery.
const ANSWERS: usize = 4;
/// Longest wait for a step to be reached, or for answers: the longest is a prepared transaction of a dead proxy, which
/// is decided when it is 10 s old.
const STEP_BOUND: Duration = Duration::from_secs(45);

/// Longest wait until everything that a whole run has written is replayed.
const REPLAY_BOUND: Duration = Duration::from_secs(600);

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Proxy,
    Home,
    Target,
}

const VICTIMS: [Victim; 3] = [Victim::Proxy, Victim::Home, Victim::Target];

/// A step, the ways that pass it, and the step at which the proxy dies first so that recovery comes there.
struct Step {
    point: &'static str,
    ways: &'static [Way],
    after: Option<&'static str>,
}

const fn step(point: &'static str, ways: &'static [Way]) -> Step {
    Step { point, ways, after: None }
}

const fn recovery(after: &'static str, point: &'static str, ways: &'static [Way]) -> Step {
    Step { point, ways, after: Some(after) }
}

const ALL: &[Way] = &[Way::Eager, Way::TwoPhase, Way::Eventual, Way::Added, Way::Reference];
const AT_ONCE: &[Way] = &[Way::Eager, Way::TwoPhase];
const REPLAYED: &[Way] = &[Way::Eventual, Way::Added, Way::Reference];
const PREPARED: &[Way] = &[Way::TwoPhase];
const REDONE: &[Way] = &[Way::Eager];

/// Every row of the crash table.
const STEPS: [Step; 18] = [
    step("before_home_commit", ALL),
    step("home_commit_sent", ALL),
    step("after_home_commit", ALL),
    step("target_commit_sent", AT_ONCE),
    step("one_target_committed", AT_ONCE),
    step("after_target_commit", AT_ONCE),
    step("before_marks", AT_ONCE),
    step("before_prepare", PREPARED),
    step("one_prepared", PREPARED),
    step("after_prepare", PREPARED),
    step("before_apply_commit", REPLAYED),
    step("after_apply_commit", REPLAYED),
    recovery("after_home_commit", "before_apply_commit", REDONE),
    recovery("after_home_commit", "after_apply_commit", REDONE),
    recovery("after_home_commit", "before_prepared_ends", PREPARED),
    recovery("after_home_commit", "after_prepared_ends", PREPARED),
    recovery("after_prepare", "before_prepared_ends", PREPARED),
    recovery("after_prepare", "after_prepared_ends", PREPARED),
];

struct Cell {
    step: &'static Step,
    way: Way,
    victim: Victim,
}

struct Field {
    cluster: DevCluster,
    proxy: Proxy,
    inspector: Inspector,
    places: Places,
    book: Arc<Book>,
    folder: PathBuf,
}

/// Returns the number in an environment variable.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Returns the seed of this run, which is printed.
pub fn seed() -> u64 {
    let seed = number("SHARDLOOM_FAULT_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("SHARDLOOM_FAULT_SEED={seed}");
    seed
}

fn cells(random: &mut impl Rng) -> Vec<Cell> {
    let mut cells = Vec::new();
    for step in &STEPS {
        for way in step.ways {
            cells.extend(VICTIMS.map(|victim| Cell { step, way: *way, victim }));
        }
    }
    cells.shuffle(random);
    let all = std::env::var_os("SHARDLOOM_FAULTS").is_some();
    let only = std::env::var("SHARDLOOM_FAULT_POINT").ok();
    cells.retain(|cell| only.as_deref().is_none_or(|only| only == cell.step.point));
    cells.truncate(if all || only.is_some() { usize::MAX } else { SHARE });
    cells
}

/// Goal: wherever in a multi-shard write the proxy, home or a target dies, nothing is lost, doubled or torn.
#[tokio::test]
async fn no_step_loses_anything_whoever_dies_there() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut field = Field::prepare().await;
    let cells = cells(&mut random);
    let (mut points, mut ways) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for (number, cell) in cells.iter().enumerate() {
        let began = Instant::now();
        let target = random.random_range(1..3);
        field.run(cell, target).await;
        points.insert(cell.step.point);
        ways.insert(cell.way);
        println!(
            "{}/{}: {} {:?} {:?} (after {:?}): {} acknowledged so far, {:.1?}",
            number + 1,
            cells.len(),
            cell.step.point,
            cell.way,
            cell.victim,
            cell.step.after,
            field.book.acknowledged(),
            began.elapsed()
        );
    }
    field.replays_change_nothing().await;
    field.strangers_are_untouched().await;
    println!(
        "fault matrix: {} points x {} modes x {} victims, {} runs, {} writes acknowledged, {} in doubt, 0 violations",
        points.len(),
        ways.len(),
        VICTIMS.len(),
        cells.len(),
        field.book.acknowledged(),
        field.book.doubtful.load(Ordering::SeqCst)
    );
}

impl Field {
    async fn prepare() -> Self {
        let cluster = own_servers(3, "matrix");
        let folder = std::env::temp_dir().join(format!("shardloom-faults-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder of faults");
        let environment = vec![("SHARDLOOM_FAULT_FOLDER".to_owned(), folder.display().to_string())];
        let proxy = Proxy::start_on(&cluster, RULES, ProxyOptions { environment, ..ProxyOptions::default() }).await;
        let inspector = inspect(&cluster).await;
        proxy.gates_open().await;
        let places = chaos_book::prepare(&proxy.client().await, &inspector).await;
        for index in 0..inspector.shards() {
            let shard = inspector.shard(index);
            shard.batch_execute("CREATE TABLE public.strangers (id int); BEGIN; INSERT INTO public.strangers VALUES (1); PREPARE TRANSACTION 'stranger'").await.expect("a stranger");
        }
        Self { cluster, proxy, inspector, places, book: Arc::default(), folder }
    }

    /// One cell: load, the fault, recovery, comparison.
    async fn run(&mut self, cell: &Cell, target: usize) {
        let load = chaos_book::start(
            &[self.proxy.port()],
            self.cluster.database(),
            &[cell.way],
            &[0],
            CLIENTS,
            &self.book,
            &self.places,
        );
        self.progress().await;
        let file = |point: &str, ending: &str| self.folder.join(format!("{point}.{ending}"));
        let reached = file(cell.step.point, "reached");
        if let Some(after) = cell.step.after {
            std::fs::write(file(after, "abort"), "").expect("a fault");
            self.proxy.ended().await;
            std::fs::remove_file(file(after, "reached")).expect("it was reached");
            std::fs::write(file(cell.step.point, "pause"), "").expect("a fault");
            self.proxy.launch_again();
        } else {
            std::fs::write(file(cell.step.point, "pause"), "").expect("a fault");
        }
        self.wait_for(&reached, cell).await;
        match cell.victim {
            Victim::Proxy => {
                self.proxy.kill9();
                std::fs::remove_file(&reached).expect("it was reached");
                self.proxy.restart().await;
            }
            Victim::Home => self.kill(0, &reached),
            Victim::Target => self.kill(target, &reached),
        }
        self.inspector = inspect(&self.cluster).await;
        self.progress().await;
        self.book.told.stop.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || load.join()).await.expect("joined").expect("the load's end");
        self.inspector.settled().await;
        self.inspector.ledger_agrees().await;
        chaos_book::balances(&self.inspector, &self.book).await;
    }

    /// Kills a server while the proxy stands still, lets the proxy go on, then starts the server again.
    fn kill(&mut self, index: usize, reached: &Path) {
        let shard = &mut self.cluster.shards_mut()[index];
        shard.kill().expect("the server's end");
        std::fs::remove_file(reached).expect("it was reached");
        shard.restart().expect("the server's return");
    }

    async fn wait_for(&mut self, reached: &Path, cell: &Cell) {
        let began = Instant::now();
        while !reached.exists() {
            let place = format!("{} {:?}", cell.step.point, cell.way);
            assert!(began.elapsed() < STEP_BOUND, "{place} is never reached\n{}", self.proxy.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for some more answers.
    async fn progress(&self) {
        let (began, before) = (Instant::now(), self.book.answers());
        while self.book.answers() < before + ANSWERS {
            let wrong = &self.book.told.wrong;
            assert!(began.elapsed() < STEP_BOUND, "no progress: {:?}\n{}", wrong.lock().unwrap(), self.proxy.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets the relay deliver again all that it ever delivered: the inboxes know it.
    async fn replays_change_nothing(&mut self) {
        let before = chaos_book::everything(&self.inspector).await;
        self.proxy.kill9();
        for index in 0..self.inspector.shards() {
            let shard = self.inspector.shard(index);
            shard
                .batch_execute(
                    "DELETE FROM shardloom.ledger_target; \
                     UPDATE shardloom.ledger SET state = 'OPEN', finished_at = NULL WHERE state = 'DONE'",
                )
                .await
                .expect("a ledger that knows of no target");
        }
        self.proxy.restart().await;
        self.inspector.settled_within(REPLAY_BOUND).await;
        self.inspector.ledger_agrees().await;
        assert!(chaos_book::everything(&self.inspector).await == before, "a replay has changed something");
    }

    /// Prepared transactions of others are where they were.
    async fn strangers_are_untouched(&self) {
        assert_eq!(self.inspector.sum("SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'stranger'").await, 3);
        for index in 0..self.inspector.shards() {
            self.inspector.shard(index).batch_execute("ROLLBACK PREPARED 'stranger'").await.expect("its end");
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}
