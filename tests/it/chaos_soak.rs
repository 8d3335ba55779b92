//! The soak: three proxies over three shards, writes of every kind, and faults at random for as long as asked.
//!
//! `make soak` runs it; `SHARDLOOM_SOAK_MINUTES` says how long, `SHARDLOOM_FAULT_SEED` repeats the order of the faults,
//! and `SHARDLOOM_BIN` names another program, such as a released one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use shardloom::dev::DevCluster;

use crate::chaos::inspect;
use crate::chaos_book::{self, Book, Places, RULES, Way};
use crate::chaos_faults::signal;
use crate::chaos_invariants::Inspector;
use crate::chaos_matrix::{number, seed};
use crate::support::{Cutter, Harm, Proxy, ProxyOptions, Shards, own_servers};

/// How long without being told otherwise.
const MINUTES: u64 = 30;
/// Clients over all proxies.
const CLIENTS: usize = 6;
/// How long faults go on before everything is compared.
const ROUND: Duration = Duration::from_secs(45);
/// Answers between two faults, so that each meets work in flight.
const ANSWERS: usize = 10;
/// Longest wait for those: a shard may be on its way back, a silent connection is given up after some bounds.
const PROGRESS_BOUND: Duration = Duration::from_secs(120);
/// Longest wait until everything has ended, after silent connections and on a busy machine.
const SETTLE_BOUND: Duration = Duration::from_secs(240);
/// Bounds of the proxies: silence is given up quickly, so that much of it fits in.
const BOUNDS: &str = "limits: {commit_timeout: 4s, query_timeout: 15s, tcp_user_timeout: 5s}
relay: {apply_timeout: 8s}";

/// What is sent when a connection is harmed.
const TEXTS: [&str; 8] = [
    "INSERT INTO shardloom.ledger",
    "INSERT INTO shardloom.inbox",
    "COMMIT\0",
    "PREPARE TRANSACTION",
    "COMMIT PREPARED",
    "SET CONSTRAINTS",
    "UPDATE shardloom.lane",
    "UPDATE accounts",
];

struct Field {
    cluster: DevCluster,
    cutters: Vec<Cutter>,
    proxies: Vec<Proxy>,
    inspector: Inspector,
    places: Places,
    book: Arc<Book>,
    done: BTreeMap<&'static str, usize>,
}

/// Goal: hours of accidents change nothing that clients were told.
#[tokio::test]
#[ignore = "make soak runs it, for half an hour unless SHARDLOOM_SOAK_MINUTES says otherwise"]
async fn hours_of_accidents_lose_nothing() {
    let mut random = StdRng::seed_from_u64(seed());
    let length = Duration::from_secs(60 * number("SHARDLOOM_SOAK_MINUTES").unwrap_or(MINUTES));
    let began = Instant::now();
    let mut field = Field::prepare().await;
    while began.elapsed() < length {
        let ports: Vec<u16> = field.proxies.iter().map(Proxy::port).collect();
        let ways = [Way::Eager, Way::TwoPhase, Way::Eventual, Way::Added, Way::Reference];
        let (database, book) = (field.cluster.database().to_owned(), field.book.clone());
        let load = chaos_book::start(&ports, &database, &ways, &[0, 1, 2], CLIENTS, &book, &field.places);
        let round = Instant::now();
        while round.elapsed() < ROUND {
            field.progress().await;
            field.accident(&mut random).await;
        }
        field.progress().await;
        book.told.stop.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || load.join()).await.expect("joined").expect("the load's end");
        field.compare().await;
        println!("{:.0?}: {} acknowledged, {:?}", began.elapsed(), field.book.acknowledged(), field.done);
    }
    println!(
        "soak: {:.0?}, {} faults {:?}, {} writes acknowledged, {} in doubt, 0 violations",
        began.elapsed(),
        field.done.values().sum::<usize>(),
        field.done,
        field.book.acknowledged(),
        field.book.doubtful.load(Ordering::SeqCst)
    );
}

impl Field {
    async fn prepare() -> Self {
        let cluster = own_servers(3, "soak");
        let cutters: Vec<Cutter> = cluster.shards().iter().map(|shard| Cutter::before(shard.port())).collect();
        let mut topology = cluster.topology_yaml();
        for (shard, cutter) in cluster.shards().iter().zip(&cutters) {
            topology = topology.replace(&format!(":{}", shard.port()), &format!(":{}", cutter.port()));
        }
        let shards = Shards {
            database: cluster.database().to_owned(),
            topology,
            service_password: cluster.service_password().to_owned(),
        };
        let mut proxies = Vec::new();
        for _ in 0..3 {
            let options = ProxyOptions { config: BOUNDS.to_owned(), ..ProxyOptions::default() };
            proxies.push(Proxy::start_over(shards.clone(), RULES, options).await);
        }
        let inspector = inspect(&cluster).await;
        proxies[0].gates_open().await;
        let places = chaos_book::prepare(&proxies[0].client().await, &inspector).await;
        // The others read their catalogs at a start.
        for proxy in &mut proxies[1..] {
            proxy.restart().await;
        }
        Self { cluster, cutters, proxies, inspector, places, book: Arc::default(), done: BTreeMap::new() }
    }

    /// Waits for some more answers.
    async fn progress(&self) {
        let (began, before) = (Instant::now(), self.book.answers());
        while self.book.answers() < before + ANSWERS {
            let wrong = &self.book.told.wrong;
            let logs = || self.proxies.iter().map(|proxy| tail(&proxy.log())).collect::<Vec<_>>().join("\n----\n");
            assert!(began.elapsed() < PROGRESS_BOUND, "no progress: {:?}\n{}", wrong.lock().unwrap(), logs());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Everything must hold once nothing happens any more.
    async fn compare(&mut self) {
        for cutter in &self.cutters {
            cutter.disarm();
            cutter.refuse(false);
        }
        self.inspector = inspect(&self.cluster).await;
        self.inspector.settled_within(SETTLE_BOUND).await;
        self.inspector.ledger_agrees().await;
        chaos_book::balances(&self.inspector, &self.book).await;
    }

    async fn accident(&mut self, random: &mut StdRng) {
        let (proxy, shard) = (random.random_range(0..self.proxies.len()), random.random_range(0..3));
        let name = match random.random_range(0..20) {
            0..3 => {
                self.proxies[proxy].restart().await;
                "proxy killed"
            }
            3..5 => {
                let server = &mut self.cluster.shards_mut()[shard];
                server.kill().expect("the server's end");
                server.restart().expect("the server's return");
                "server killed"
            }
            5 => {
                let server = &mut self.cluster.shards_mut()[shard];
                server.kill().expect("the server's end");
                self.proxies[proxy].kill9();
                server.restart().expect("the server's return");
                self.proxies[proxy].restart().await;
                "proxy and server killed"
            }
            6..8 => {
                signal(self.proxies[proxy].pid(), "STOP");
                tokio::time::sleep(Duration::from_millis(random.random_range(100..7_000))).await;
                signal(self.proxies[proxy].pid(), "CONT");
                "proxy stood still"
            }
            8..10 => {
                self.cutters[shard].refuse(true);
                tokio::time::sleep(Duration::from_millis(random.random_range(100..3_000))).await;
                self.cutters[shard].refuse(false);
                "connections refused"
            }
            _ => {
                let text = TEXTS[random.random_range(0..TEXTS.len())];
                let (harm, name) = match random.random_range(0..6) {
                    0 => (Harm::CutAfter(random.random_range(0..40)), "connection cut"),
                    1 => (Harm::Reset, "connection reset"),
                    2 => (Harm::CutBefore, "request lost"),
                    3 => (Harm::Silence, "answer never came"),
                    4 => (Harm::SilenceBefore, "request never came"),
                    _ => (Harm::Slow(Duration::from_millis(200)), "connection slow"),
                };
                self.cutters[shard].arm_with(text, harm);
                name
            }
        };
        *self.done.entry(name).or_default() += 1;
    }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
