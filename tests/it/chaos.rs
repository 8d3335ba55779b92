//! Nothing is lost: load from several clients while the proxy and the servers are killed again and again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use shardloom::dev::DevCluster;

use crate::chaos_bank::{self, RULES, SCHEMA, Told};
use crate::chaos_invariants::Inspector;
use crate::chaos_reference::{self, Known};
use crate::support::{Proxy, ProxyOptions, connect_as, own_servers};

/// Kills of the proxy; `SHARDLOOM_CHAOS_KILLS` asks for more.
const KILLS: usize = 50;
/// After so many kills of the proxy a server is killed too, in turn.
const KILLS_PER_SERVER: usize = 8;
/// Answers between two kills, so that each kill meets work in flight.
const ANSWERS_PER_KILL: usize = 25;
/// Longest wait for those answers: a shard may be on its way back.
const PROGRESS_BOUND: Duration = Duration::from_secs(40);
/// Clients that transfer.
const CLIENTS: i64 = 4;

/// Connects the service user to each server of the cluster.
pub async fn inspect(cluster: &DevCluster) -> Inspector {
    let mut shards = Vec::new();
    for shard in cluster.shards() {
        let (user, password) = shard.superuser();
        shards.push(connect_as(shard.port(), cluster.database(), user, password).await.expect("the service user"));
    }
    Inspector::new(shards)
}

fn kills() -> usize {
    std::env::var("SHARDLOOM_CHAOS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Goal: no accident of proxy or servers loses, doubles or halves a write. Method: transfers by eager, two_phase and
/// single statements and writes of reference tables, while the proxy is killed with SIGKILL after a few answers each
/// time and each server now and then; at the end the books and the copies are compared with what clients were told.
#[tokio::test]
async fn nothing_is_lost_while_everything_is_killed() {
    let mut cluster = own_servers(3, "chaos");
    let mut proxy = Proxy::start_on(&cluster, RULES, ProxyOptions::default()).await;
    let client = proxy.client().await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    chaos_bank::open_accounts(&client).await;
    let (told, known) = (Arc::new(Told::default()), Arc::new(Known::default()));
    let load = start_load(proxy.port(), cluster.database().to_owned(), told.clone(), known.clone());
    for kill in 1..=kills() {
        progress(&told, &proxy).await;
        if kill % KILLS_PER_SERVER == 0 {
            let index = kill / KILLS_PER_SERVER % 3;
            let shard = &mut cluster.shards_mut()[index];
            shard.kill().expect("the server's end");
            shard.restart().expect("the server's return");
            progress(&told, &proxy).await;
        }
        proxy.restart().await;
    }
    progress(&told, &proxy).await;
    told.stop.store(true, Ordering::Relaxed);
    load.join().expect("the load's end");
    told.nothing_wrong();
    let inspector = inspect(&cluster).await;
    inspector.settled().await;
    inspector.ledger_agrees().await;
    chaos_bank::books_balance(&inspector, &told).await;
    known.holds(&inspector).await;
    println!("{} kills, {} transfers acknowledged", kills(), told.acknowledged.lock().unwrap().len());
}

/// Starts the clients on a thread of their own: starting a server blocks the test's.
fn start_load(port: u16, database: String, told: Arc<Told>, known: Arc<Known>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut clients = tokio::task::JoinSet::new();
            for seed in 1..=CLIENTS {
                clients.spawn(chaos_bank::transfer_until_stopped(port, database.clone(), seed, told.clone()));
            }
            clients.spawn(chaos_reference::write_until_stopped(port, database, told.clone(), known));
            while let Some(ended) = clients.join_next().await {
                ended.expect("a client's end");
            }
        });
    })
}

/// Waits for some more answers.
async fn progress(told: &Told, proxy: &Proxy) {
    let (began, before) = (Instant::now(), told.answers.load(Ordering::Relaxed));
    while told.answers.load(Ordering::Relaxed) < before + ANSWERS_PER_KILL {
        assert!(began.elapsed() < PROGRESS_BOUND, "no progress: {:?}\n{}", told.wrong.lock().unwrap(), proxy.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
