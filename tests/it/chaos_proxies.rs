//! Three proxies over one set of shards, one of them with a clock that is an hour fast: one stands still in the middle
//! of a step for longer than its lease, or dies, and the others take over what it had begun.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use shardloom::dev::APP_USER;

use crate::chaos_book::{self, Book, Places, RULES, Way};
use crate::chaos_faults::signal;
use crate::chaos_invariants::Inspector;
use crate::chaos_matrix::seed;
use crate::support::{Proxy, ProxyOptions, TestDatabase};

/// The longer of lease and grace for what another proxy has begun is 10 s: a pause is longer than both.
const PAUSE: Duration = Duration::from_secs(13);
/// Clients over all proxies.
const CLIENTS: usize = 6;
/// Answers that must come before a fault and after its recovery.
const ANSWERS: usize = 12;
/// Longest wait for a step to be reached, for a new owner, or for answers.
const STEP_BOUND: Duration = Duration::from_secs(60);
/// Cells of a run that is not asked for all.
const SHARE: usize = 2;
/// So much is one clock ahead, in milliseconds.
const AHEAD: &str = "3600000";
/// What stands still is redone after a few of these.
const BOUNDS: &str = "limits: {commit_timeout: 1s}";
/// What a sleeping proxy's clients had begun, and not yet committed, is ended by the shards after this long: its rows are
/// locked until then, as they are behind any client that stands still.
const IDLE: &str = "5s";

/// Who stands still where: the owner of home's relay, or whoever comes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Owner,
    Any,
}

/// A step at which one proxy sleeps, and the way of writing that passes it.
const SLEEPS: [(&str, Way, Who); 8] = [
    ("before_apply_commit", Way::Reference, Who::Owner),
    ("before_apply_commit", Way::Eventual, Who::Owner),
    ("after_apply_commit", Way::Reference, Who::Owner),
    ("one_prepared", Way::TwoPhase, Who::Any),
    ("after_prepare", Way::TwoPhase, Who::Any),
    ("after_home_commit", Way::TwoPhase, Who::Any),
    ("before_home_commit", Way::Eager, Who::Any),
    ("after_home_commit", Way::Eager, Who::Any),
];

struct Field {
    database: TestDatabase,
    proxies: Vec<Proxy>,
    folders: Vec<PathBuf>,
    inspector: Inspector,
    places: Places,
    book: Arc<Book>,
}

/// Goal: a proxy that sleeps through its lease in the middle of a write changes nothing when it wakes, and what it had
/// begun is ended by the others meanwhile.
#[tokio::test]
async fn a_proxy_that_sleeps_in_the_middle_of_a_write_is_fenced_off() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut sleeps = SLEEPS;
    sleeps.shuffle(&mut random);
    let share = if std::env::var_os("SHARDLOOM_FAULTS").is_some() { sleeps.len() } else { SHARE };
    let mut field = Field::prepare("sleepers").await;
    for (point, way, who) in &sleeps[..share] {
        let began = Instant::now();
        println!("to sleep at {point} {way:?}");
        field.sleep(point, *way, *who).await;
        println!("slept at {point} {way:?}: {:.1?}, {} acknowledged", began.elapsed(), field.book.acknowledged());
    }
    println!("sleeping proxies: {share} steps, {} writes acknowledged, 0 violations", field.book.acknowledged());
}

/// Goal: the relays of all homes of a proxy that dies are taken over, in order, and nothing is lost.
#[tokio::test]
async fn the_homes_of_a_dead_proxy_are_taken_over() {
    let mut field = Field::prepare("heirs").await;
    let load = field.load(&[Way::Eager, Way::TwoPhase, Way::Eventual, Way::Added, Way::Reference]);
    for round in 0..2 {
        field.progress().await;
        let (owner, before) = field.lease(0).await;
        let victim = field.index_of(&owner);
        field.proxies[victim].kill9();
        let began = Instant::now();
        for home in 0..3 {
            let epoch = field.new_owner(home, victim).await;
            assert!(home > 0 || epoch > before, "the lease of s{home} went from epoch {before} to {epoch}");
        }
        println!("round {round}: all homes of proxy {victim} are taken over after {:.1?}", began.elapsed());
        field.progress().await;
        field.proxies[victim].restart().await;
    }
    field.progress().await;
    field.finish(load).await;
}

impl Field {
    async fn prepare(label: &str) -> Self {
        let database = TestDatabase::new(label);
        let mut shards = Vec::new();
        for index in 0..3 {
            let shard = database.service(index).await;
            let bound = format!(
                "ALTER ROLE {APP_USER} IN DATABASE {} SET idle_in_transaction_session_timeout = '{IDLE}'",
                database.name
            );
            shard.batch_execute(&bound).await.expect("the bound");
            shards.push(shard);
        }
        let inspector = Inspector::new(shards);
        let (mut proxies, mut folders): (Vec<Proxy>, Vec<PathBuf>) = (Vec::new(), Vec::new());
        let mut places = None;
        for index in 0..3 {
            let folder = std::env::temp_dir().join(format!("shardloom-{label}-{}-{index}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("the folder of faults");
            let mut environment = vec![("SHARDLOOM_FAULT_FOLDER".to_owned(), folder.display().to_string())];
            if index == 2 {
                let clock = folder.join("clock");
                std::fs::write(&clock, AHEAD).expect("a clock");
                environment.push(("SHARDLOOM_CLOCK_OFFSET".to_owned(), clock.display().to_string()));
            }
            let options = ProxyOptions { environment, config: BOUNDS.to_owned(), ..ProxyOptions::default() };
            let proxy = Proxy::start(&database, RULES, options).await;
            proxy.gates_open().await;
            if index == 0 {
                places = Some(chaos_book::prepare(&proxy.client().await, &inspector).await);
            }
            proxies.push(proxy);
            folders.push(folder);
        }
        let places = places.expect("the first proxy made the tables");
        Self { database, proxies, folders, inspector, places, book: Arc::default() }
    }

    fn load(&self, ways: &[Way]) -> std::thread::JoinHandle<()> {
        let ports: Vec<u16> = self.proxies.iter().map(Proxy::port).collect();
        chaos_book::start(&ports, &self.database.name, ways, &[0, 1, 2], CLIENTS, &self.book, &self.places)
    }

    /// One proxy stops at `point`, process and all, until others have ended what it had begun; then it wakes.
    async fn sleep(&mut self, point: &str, way: Way, who: Who) {
        let load = self.load(&[way]);
        self.progress().await;
        let chosen = match who {
            Who::Owner => self.index_of(&self.lease(0).await.0),
            Who::Any => 0,
        };
        let file = |ending: &str| self.folders[chosen].join(format!("{point}.{ending}"));
        std::fs::write(file("pause"), "").expect("a fault");
        let began = Instant::now();
        while !file("reached").exists() {
            assert!(began.elapsed() < STEP_BOUND, "{point} {way:?} is never reached\n{}", self.proxies[chosen].log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        signal(self.proxies[chosen].pid(), "STOP");
        let slept = Instant::now();
        let before = self.lease(0).await;
        if self.index_of(&before.0) == chosen {
            let epoch = self.new_owner(0, chosen).await;
            assert!(epoch > before.1, "a new owner has a higher epoch");
        }
        // The others write on meanwhile, for longer than lease and grace.
        while slept.elapsed() < PAUSE {
            self.progress().await;
        }
        std::fs::remove_file(file("reached")).expect("it was reached");
        signal(self.proxies[chosen].pid(), "CONT");
        self.progress().await;
        self.finish(load).await;
    }

    /// Ends the load and compares everything.
    async fn finish(&self, load: std::thread::JoinHandle<()>) {
        self.book.told.stop.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || load.join()).await.expect("joined").expect("the load's end");
        self.inspector.settled().await;
        self.inspector.ledger_agrees().await;
        chaos_book::balances(&self.inspector, &self.book).await;
    }

    /// Returns owner and epoch of a home's lease.
    async fn lease(&self, home: usize) -> (String, i64) {
        let sql = "SELECT owner, epoch FROM shardloom.lease WHERE name = 'relay'";
        let row = self.inspector.shard(home).query_one(sql, &[]).await.expect("the lease");
        (row.get(0), row.get(1))
    }

    /// Returns which proxy an owner's name means: it ends with port and epoch.
    fn index_of(&self, owner: &str) -> usize {
        let port = owner.rsplit_once('/').and_then(|(name, _)| name.rsplit_once(':')).map(|(_, port)| port.to_owned());
        let port: u16 = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {owner}"));
        self.proxies.iter().position(|proxy| proxy.port() == port).expect("one of ours")
    }

    /// Waits until another proxy than `gone` owns the relay of `home`; returns the lease's epoch.
    async fn new_owner(&self, home: usize, gone: usize) -> i64 {
        let began = Instant::now();
        loop {
            let (owner, epoch) = self.lease(home).await;
            if self.index_of(&owner) != gone {
                return epoch;
            }
            assert!(began.elapsed() < STEP_BOUND, "s{home} still belongs to {owner}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for some more answers.
    async fn progress(&self) {
        let (began, before) = (Instant::now(), self.book.answers());
        while self.book.answers() < before + ANSWERS {
            let wrong = &self.book.told.wrong;
            assert!(
                began.elapsed() < STEP_BOUND,
                "no progress: {:?}\n{}",
                wrong.lock().unwrap(),
                self.proxies[0].log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        for folder in &self.folders {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}
