//! The hunt for an id that is made twice: two proxies, kill -9, clocks that step, the lease table away.
//!
//! Batches are runs of one worker and tag; that none overlaps another says that no id came twice. `IDS_HUNT` says how many
//! ids are made, ten million without it; with it the lease table is away for a minute each time.

use std::time::{Duration, Instant};

use shardloom::proxy::layout_of;
use shardloom::rules::standard_layout;
use shardloom::snowflake::Layout;

use crate::support::{Proxy, ProxyOptions, TestDatabase};

const RULES: &str = "kind: Ids\ntags: {order: 1, item: 2, user: 3}\n";
const TAGS: [&str; 3] = ["order", "item", "user"];
/// Ids of one request.
const BATCH: usize = 10_000;
/// The longest that no request may succeed: leases of two seconds lapse and are taken over in it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause after a request that was refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// Ids without a gap between them: tag and worker, then the first and last position.
type Run = ((u16, u16), u64, u64);

struct Hunt {
    layout: Layout,
    runs: Vec<Run>,
    issued: usize,
    refused: usize,
    faults: usize,
}

impl Hunt {
    /// Asks for a batch of each tag.
    fn ask(&mut self, proxy: &Proxy) {
        for tag in TAGS {
            let Ok((status, body)) = proxy.http(&format!("/api/v1/ids/{tag}?n={BATCH}")) else { continue };
            if status != 200 {
                self.refused += 1;
                std::thread::sleep(REFUSED_PAUSE);
                continue;
            }
            let from = body.find('[').expect("a list") + 1;
            let list = &body[from..body.rfind(']').expect("a list")];
            let ids: Vec<i64> = list.split(',').map(|id| id.trim().parse().expect("an id")).collect();
            assert_eq!(ids.len(), BATCH);
            self.keep(&ids);
        }
    }

    /// Asks until a batch was made.
    fn ask_until_made(&mut self, proxy: &Proxy) {
        let (begun, before) = (Instant::now(), self.issued);
        while self.issued == before {
            assert!(begun.elapsed() < PATIENCE, "no id in {PATIENCE:?}\n{}", proxy.log());
            self.ask(proxy);
        }
    }

    fn keep(&mut self, ids: &[i64]) {
        let position = |id: i64| {
            let decoded = self.layout.decode(id).expect("an id of the layout");
            let time = (decoded.time_ms - self.layout.epoch_ms()) as u64;
            ((decoded.tag, decoded.worker), time << self.layout.sequence_bits() | decoded.sequence)
        };
        let (whose, first) = position(ids[0]);
        for (id, expected) in ids.iter().zip(first..) {
            assert_eq!(position(*id), (whose, expected), "a batch is one run");
        }
        self.issued += ids.len();
        self.runs.push((whose, first, first + ids.len() as u64 - 1));
    }

    fn duplicates(&mut self) -> usize {
        self.runs.sort_unstable();
        self.runs.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[1].1 <= pair[0].2).count()
    }
}

fn options(clock: &std::path::Path, config: &str) -> ProxyOptions {
    let environment = vec![("SHARDLOOM_CLOCK_OFFSET".to_owned(), clock.display().to_string())];
    ProxyOptions { environment, config: config.to_owned(), ..ProxyOptions::default() }
}

#[tokio::test]
async fn no_id_is_made_twice() {
    let asked = std::env::var("IDS_HUNT").ok().and_then(|text| text.parse().ok());
    let wanted = asked.unwrap_or(10_000_000);
    let away = Duration::from_secs(if asked.is_some() { 60 } else { 3 });
    let database = TestDatabase::new("id_hunt");
    let folder = std::env::temp_dir().join(format!("shardloom-clocks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let clocks = [folder.join("a"), folder.join("b")];
    let config = "ids: {lease: 2s, reserve: 500ms}";
    let mut first = Proxy::start(&database, RULES, options(&clocks[0], config)).await;
    let second = Proxy::start(&database, RULES, options(&clocks[1], config)).await;
    let layout = layout_of(standard_layout()).expect("the standard layout");
    let mut hunt = Hunt { layout, runs: Vec::new(), issued: 0, refused: 0, faults: 0 };
    let service = database.service(0).await;
    let set = |clock: usize, offset_ms: i64| std::fs::write(&clocks[clock], offset_ms.to_string()).expect("a file");
    let mut turn = 0;
    while hunt.issued < wanted || turn < 6 {
        match turn % 6 {
            0 => set(0, 0),
            // A restart with a clock that has gone back.
            1 => {
                first.kill9();
                set(0, -10_000);
                first.restart().await;
            }
            2 => set(1, 3_600_000),
            3 => service.batch_execute("ALTER TABLE shardloom.worker_lease RENAME TO away").await.expect("renamed"),
            4 => service.batch_execute("ALTER TABLE shardloom.away RENAME TO worker_lease").await.expect("renamed"),
            // An hour back: too far to borrow, so that another worker id is leased.
            _ => set(1, 0),
        }
        hunt.faults += usize::from(turn > 0);
        if turn % 6 == 3 {
            // Longer than the lease: both run dry and refuse.
            let begun = Instant::now();
            while begun.elapsed() < away {
                hunt.ask(&first);
                hunt.ask(&second);
            }
        } else {
            hunt.ask_until_made(&first);
            hunt.ask_until_made(&second);
        }
        turn += 1;
        while turn >= 6 && turn % 6 == 0 && hunt.issued < wanted && hunt.issued < wanted / 6 * (turn / 6) {
            hunt.ask(&first);
            hunt.ask(&second);
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    let (duplicates, Hunt { issued, refused, faults, .. }) = (hunt.duplicates(), &hunt);
    println!(
        "duplicate hunt: ids issued {issued}, requests refused {refused}, faults injected {faults}, duplicates {duplicates}"
    );
    assert_eq!(duplicates, 0);
    assert!(*refused > 0, "the lease table was away");
}

#[tokio::test]
async fn a_worker_id_given_twice_by_hand_is_held_once() {
    let database = TestDatabase::new("id_by_hand");
    let options = || ProxyOptions { config: "ids: {worker: 9, lease: 2s}".into(), ..ProxyOptions::default() };
    let mut first = Proxy::start(&database, RULES, options()).await;
    let second = Proxy::start(&database, RULES, options()).await;
    let ask = |proxy: &Proxy| proxy.http("/api/v1/ids/order").expect("an answer");
    assert_eq!(ask(&first).0, 200);
    let (status, body) = ask(&second);
    assert_eq!(status, 503, "{body}");
    assert!(second.log().contains("worker id 9 is leased to"), "{}", second.log());
    first.kill9();
    let begun = Instant::now();
    while ask(&second).0 != 200 {
        assert!(begun.elapsed() < PATIENCE, "{}", second.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_layout_that_was_used_is_frozen() {
    let database = TestDatabase::new("id_frozen");
    let changed =
        |bits: &str| format!("{RULES}layouts: {{standard: {{epoch: \"2026-01-01T00:00:00Z\", bits: {bits}}}}}\n");
    let proxy =
        Proxy::start(&database, &changed("{time: 41, tag: 6, worker: 7, sequence: 9}"), ProxyOptions::default()).await;
    assert_eq!(proxy.http("/api/v1/ids/order").expect("an answer").0, 200);
    drop(proxy);
    let proxy =
        Proxy::start(&database, &changed("{time: 41, tag: 6, worker: 6, sequence: 10}"), ProxyOptions::default()).await;
    let (_, body) = proxy.http("/api/v1/ids/order").expect("an answer");
    assert!(body.contains("was changed after it had been used") && body.contains("worker 7, sequence 9"), "{body}");
}
