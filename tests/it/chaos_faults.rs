//! The crash table: the proxy ends exactly between two steps of a multi-shard write, comes back, and nothing is lost.
//!
//! Each test is one row of "If we die here" in `docs/multi-shard-writes.md`, for the modes that it concerns.

use std::time::{Duration, Instant};

use crate::chaos_invariants::Inspector;
use crate::support::{Proxy, ProxyOptions, TestDatabase};

const RULES: &str = "kind: TableGroup
name: accounts
key: {type: bigint}
algorithm: hash
tables:
  accounts: {key: id}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: notes
key: {type: bigint}
algorithm: hash
tables:
  notes: {key: id}
multi_shard: {mode: eventual}
---
kind: ReferenceTables
tables: [regions]
";

const SCHEMA: &str = "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE notes (id bigint PRIMARY KEY, text text);
    CREATE TABLE regions (id bigint PRIMARY KEY, name text)";

/// Accounts, with 100 each: enough that each shard has some.
const ACCOUNTS: i64 = 30;

/// What became of the write at the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Never,
    Whole,
    Either,
}

/// How a write goes over several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Eager,
    TwoPhase,
    Eventual,
    Reference,
}

struct Crash {
    database: TestDatabase,
    proxy: Proxy,
    inspector: Inspector,
}

impl Crash {
    async fn prepare(label: &str) -> Self {
        let database = TestDatabase::new(label);
        let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
        let client = proxy.client().await;
        client.batch_execute(SCHEMA).await.expect("the schema");
        let rows: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, 100)")).collect();
        client.batch_execute(&format!("INSERT INTO accounts VALUES {}", rows.join(", "))).await.expect("the accounts");
        let mut shards = Vec::new();
        for index in 0..3 {
            shards.push(database.service(index).await);
        }
        let inspector = Inspector::new(shards);
        inspector.settled().await;
        Self { database, proxy, inspector }
    }

    /// Writes by `way` while the proxy is to end at `point`; then starts it again without, and compares.
    async fn at(&mut self, point: &str, way: Way, outcome: Outcome) {
        let before = self.written(way).await;
        self.proxy.set_environment(vec![("SHARDLOOM_FAULT".to_owned(), format!("{point}:abort"))]);
        self.proxy.restart().await;
        let client = self.proxy.client().await;
        let answered = write(&client, way, before).await;
        self.proxy.ended().await;
        self.proxy.set_environment(Vec::new());
        self.proxy.restart().await;
        self.inspector.settled().await;
        self.inspector.ledger_agrees().await;
        let written = self.written(way).await - before;
        let whole = all_of(way);
        let label = format!("{point} {way:?}: {written} of {whole}, answered {answered}");
        match outcome {
            Outcome::Never => assert_eq!(written, 0, "{label}"),
            Outcome::Whole => assert_eq!(written, whole, "{label}"),
            Outcome::Either => assert!(written == 0 || written == whole, "{label}"),
        }
        assert!(!answered || written == whole, "acknowledged and lost: {label}");
        assert_eq!(self.inspector.sum("SELECT sum(balance) FROM accounts").await, ACCOUNTS * 100, "{label}");
        self.inspector.copies_equal("regions").await;
    }

    /// Counts what the writes of this way have left so far.
    async fn written(&self, way: Way) -> i64 {
        match way {
            Way::Eager | Way::TwoPhase => self.inspector.sum("SELECT sum(abs(balance - 100)) FROM accounts").await,
            Way::Eventual => self.inspector.sum("SELECT count(*) FROM notes").await,
            Way::Reference => self.inspector.sum("SELECT count(*) FROM regions").await,
        }
    }
}

/// Half of the accounts give 1 to the other half; thirty rows over all shards; a row with two copies.
fn all_of(way: Way) -> i64 {
    match way {
        Way::Eager | Way::TwoPhase => ACCOUNTS,
        Way::Eventual => 30,
        Way::Reference => 3,
    }
}

/// Writes once, after `written` rows of this way; tells whether the client was told that it is done.
async fn write(client: &tokio_postgres::Client, way: Way, written: i64) -> bool {
    let move_money = "UPDATE accounts SET balance = balance + CASE WHEN (balance > 100) OR (balance = 100 AND id % 2 = 0) \
        THEN 1 ELSE -1 END";
    let move_money = move_money.to_owned();
    let sql = match way {
        Way::Eager => move_money,
        Way::TwoPhase => format!("BEGIN; SET LOCAL shardloom.multi_shard = 'two_phase'; {move_money}; COMMIT"),
        Way::Eventual => {
            let rows: Vec<String> = (written + 1..=written + 30).map(|id| format!("({id}, 'x')")).collect();
            format!("INSERT INTO notes (id, text) VALUES {}", rows.join(", "))
        }
        Way::Reference => "INSERT INTO regions SELECT coalesce(max(id), 0) + 1, 'r' FROM regions".to_owned(),
    };
    client.batch_execute(&sql).await.is_ok()
}

/// Goal: rows 1 to 3 and 5, where home decides and the targets follow at once.
#[tokio::test]
async fn an_eager_write_is_whole_or_never_wherever_the_proxy_ends() {
    let mut crash = Crash::prepare("fault_eager").await;
    crash.at("before_home_commit", Way::Eager, Outcome::Never).await;
    crash.at("home_commit_sent", Way::Eager, Outcome::Either).await;
    crash.at("after_home_commit", Way::Eager, Outcome::Whole).await;
    crash.at("after_target_commit", Way::Eager, Outcome::Whole).await;
}

/// Goal: row 6, prepared transactions are rolled back before home's COMMIT and committed after it.
#[tokio::test]
async fn a_prepared_write_is_whole_or_never_wherever_the_proxy_ends() {
    let mut crash = Crash::prepare("fault_prepared").await;
    crash.at("after_prepare", Way::TwoPhase, Outcome::Never).await;
    crash.at("home_commit_sent", Way::TwoPhase, Outcome::Either).await;
    crash.at("after_home_commit", Way::TwoPhase, Outcome::Whole).await;
    crash.at("after_target_commit", Way::TwoPhase, Outcome::Whole).await;
}

/// Goal: rows 1, 3 and 7 where the other shards follow by replay: what the relay did is neither lost nor done twice.
#[tokio::test]
async fn a_replayed_write_is_applied_once_wherever_the_proxy_ends() {
    let mut crash = Crash::prepare("fault_replay").await;
    for way in [Way::Eventual, Way::Reference] {
        crash.at("before_home_commit", way, Outcome::Never).await;
        crash.at("home_commit_sent", way, Outcome::Either).await;
        crash.at("after_home_commit", way, Outcome::Whole).await;
        crash.at("before_apply_commit", way, Outcome::Whole).await;
        crash.at("after_apply_commit", way, Outcome::Whole).await;
    }
}

/// Goal: row 9. A second proxy takes over from one that is stopped, which then wakes up: its fence holds.
#[tokio::test]
async fn a_proxy_that_slept_through_its_lease_changes_nothing() {
    let mut crash = Crash::prepare("fault_sleep").await;
    let second = Proxy::start(&crash.database, RULES, ProxyOptions::default()).await;
    let (first_client, second_client) = (crash.proxy.client().await, second.client().await);
    for round in 0..2 {
        signal(crash.proxy.pid(), "STOP");
        for _ in 0..10 {
            assert!(write(&second_client, Way::Reference, 0).await);
            assert!(write(&second_client, Way::Eager, 0).await);
        }
        // The lease of the one that sleeps ends after 3 s; only then the second delivers.
        crash.inspector.settled().await;
        signal(crash.proxy.pid(), "CONT");
        // It may find its shards silent at first; what it refuses has not happened.
        let awake = Instant::now();
        while !write(&first_client, Way::Reference, 0).await {
            assert!(awake.elapsed() < AWAKE_MAX, "round {round}");
        }
        assert!(write(&second_client, Way::Reference, 0).await, "round {round}");
        crash.inspector.settled().await;
        crash.inspector.ledger_agrees().await;
        crash.inspector.copies_equal("regions").await;
    }
    assert_eq!(crash.written(Way::Reference).await, 2 * 12 * 3);
    assert_eq!(crash.written(Way::Eager).await, 20 * ACCOUNTS);
    crash.proxy.kill9();
}

/// How soon a proxy that slept writes again.
const AWAKE_MAX: Duration = Duration::from_secs(30);

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill").success());
}
