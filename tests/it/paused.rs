//! Replay to a shard stands still at an operator's word, over restarts, and nothing is lost or done twice meanwhile.

use std::time::{Duration, Instant};

use crate::ledger::ok;
use crate::support::{Proxy, ProxyOptions, TestDatabase};

const RULES: &str = "kind: ReferenceTables
tables: [rates]
---
kind: TableGroup
name: notes
key: {type: bigint}
tables:
  notes: {key: id}
multi_shard: {mode: eventual}
";

/// Longest wait for the relay.
const WAIT: Duration = Duration::from_secs(30);

/// Longer than the relay takes for what it may do.
const STILL: Duration = Duration::from_secs(2);

const SUM: &str = "SELECT coalesce(sum(rate), 0)::bigint FROM rates";

struct Rates {
    database: TestDatabase,
    proxy: Proxy,
}

impl Rates {
    async fn sum(&self, shard: usize) -> i64 {
        self.database.service(shard).await.query_one(SUM, &[]).await.expect("a sum").get(0)
    }

    async fn reaches(&self, shard: usize, wanted: i64) {
        let began = Instant::now();
        while self.sum(shard).await != wanted {
            assert!(began.elapsed() < WAIT, "s{shard} does not get {wanted}: {}", self.proxy.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stays(&self, shard: usize, wanted: i64) {
        let began = Instant::now();
        while began.elapsed() < STILL {
            assert_eq!(self.sum(shard).await, wanted, "s{shard} stands still");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn lane_state(&self) -> String {
        let rows = self.proxy.console().await.simple_query("SHOW LANES").await.expect("the console");
        let lane = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row)
                if row.get("home") == Some("s0") && row.get("target") == Some("s1") =>
            {
                row.get("state").map(str::to_owned)
            }
            _ => None,
        });
        lane.expect("the lane")
    }
}

/// Goal: while a shard is paused it gets nothing replayed and the others do; afterwards it gets all of it, in order.
#[tokio::test]
async fn a_paused_shard_gets_what_is_due_when_it_is_resumed() {
    let database = TestDatabase::new("paused");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let mut client = proxy.raw();
    ok(&client.simple("CREATE TABLE rates (id int PRIMARY KEY, rate int NOT NULL)"));
    ok(&client.simple("CREATE TABLE notes (id bigint PRIMARY KEY, text text)"));
    let mut rates = Rates { database, proxy };
    ok(&client.simple("INSERT INTO rates VALUES (1, 1)"));
    rates.reaches(1, 1).await;

    let (code, said) = rates.proxy.verb(&["targets", "pause", "s1", "--reason", "a new disk"]);
    assert!(code == Some(0) && said.matches("paused").count() == 2, "s0 and s2 replay to it: {said}");
    let (code, said) = rates.proxy.verb(&["targets", "pause", "s1", "--reason", "again"]);
    assert!(code == Some(0) && said.matches("unchanged").count() == 2, "{said}");
    ok(&client.simple("UPDATE rates SET rate = rate * 10"));
    ok(&client.simple("UPDATE rates SET rate = rate + 5"));
    rates.reaches(2, 15).await;
    rates.stays(1, 1).await;
    // Rows that an eventual INSERT spreads over all shards wait, too; what goes to the shard itself does not.
    let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 'spread')")).collect();
    ok(&client.simple(&format!("INSERT INTO notes VALUES {}", rows.join(", "))));
    assert_eq!(rates.lane_state().await, "paused");
    let (_, said) = rates.proxy.verb(&["status"]);
    assert!(said.contains("s0 to s1 is paused") && said.contains("targets resume s1"), "{said}");
    let (_, said) = rates.proxy.verb(&["targets", "ls"]);
    assert!(said.contains("a new disk") && !said.contains("again"), "{said}");

    rates.proxy.kill9();
    rates.proxy.restart().await;
    rates.stays(1, 1).await;
    assert_eq!(rates.lane_state().await, "paused");

    let (code, said) = rates.proxy.verb(&["targets", "resume", "s1", "--reason", "the disk is in"]);
    assert!(code == Some(0) && said.matches("resumed").count() == 2, "{said}");
    rates.reaches(1, 15).await;
    let began = Instant::now();
    while rates.lane_state().await != "ok" {
        assert!(began.elapsed() < WAIT, "the lane gets empty");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut client = rates.proxy.raw();
    assert_eq!(client.simple("SELECT count(*) FROM notes").rows(), [[Some("30".to_owned())]]);
    let (_, said) = rates.proxy.verb(&["targets", "ls"]);
    assert!(said.contains("nothing stands still"), "{said}");
    let (_, said) = rates.proxy.verb(&["ledger", "audit"]);
    assert_eq!((said.matches("a new disk").count(), said.matches("the disk is in").count()), (2, 2), "{said}");
}

/// Goal: what is typed wrong changes nothing, and says what to do.
#[tokio::test]
async fn pausing_needs_a_shard_and_a_reason() {
    let database = TestDatabase::new("paused_wrong");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let rates = Rates { database, proxy };
    let (code, said) = rates.proxy.verb(&["targets", "pause", "s9", "--reason", "x"]);
    assert!(code == Some(1) && said.contains("no shard \"s9\""), "{said}");
    let (code, said) = rates.proxy.verb(&["targets", "pause", "s1", "--reason", " "]);
    assert!(code == Some(2) && said.contains("--reason must say why"), "{said}");
    let (code, said) = rates.proxy.verb(&["targets", "pause", "s1"]);
    assert!(code == Some(2) && said.contains("--reason"), "{said}");
    let (code, said) = rates.proxy.verb(&["targets", "ls", "--json"]);
    assert!(code == Some(0) && said.trim() == "[]", "{said}");
}
