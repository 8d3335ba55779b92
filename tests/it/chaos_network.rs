//! Connections that are cut, reset, slow, or silent without an end, exactly at a step of a write over several shards:
//! what clients were told is true, and neither a client nor a lane waits for ever.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio_postgres::Client;

use crate::chaos_invariants::Inspector;
use crate::chaos_matrix::seed;
use crate::support::{Cutter, DECISION, Harm, Proxy, ProxyOptions, Shards, TestDatabase};

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
    CREATE TABLE notes (id bigint PRIMARY KEY, batch bigint NOT NULL);
    CREATE TABLE regions (id bigint PRIMARY KEY)";

/// Bounds of this test's proxy; the longest answer takes a few of them.
const BOUNDS: &str = "limits: {commit_timeout: 1s, query_timeout: 8s, connect_timeout: 1s, tcp_user_timeout: 3s}
relay: {apply_timeout: 1s}";

/// Longest that a client may wait for its answer: a statement, home's COMMIT and the question what became of it.
const ANSWER_BOUND: Duration = Duration::from_secs(20);
/// Cells of a run that is not asked for all.
const SHARE: usize = 14;
/// How much later each piece of a slow answer comes.
const LATER: Duration = Duration::from_millis(300);

/// How a write goes over several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Eager,
    TwoPhase,
    Eventual,
    Reference,
}

/// What is sent to which shard when the harm is done: 0 is home, 1 the target.
const PLACES: [(Way, usize, &str); 14] = [
    (Way::Eager, 0, "UPDATE accounts"),
    (Way::Eager, 0, DECISION),
    (Way::Eager, 1, "INSERT INTO shardloom.inbox"),
    (Way::Eager, 1, "SET CONSTRAINTS"),
    (Way::Eager, 1, "COMMIT\0"),
    (Way::TwoPhase, 0, DECISION),
    (Way::TwoPhase, 1, "INSERT INTO shardloom.inbox"),
    (Way::TwoPhase, 1, "PREPARE TRANSACTION"),
    (Way::TwoPhase, 1, "COMMIT PREPARED"),
    (Way::Eventual, 0, DECISION),
    (Way::Eventual, 1, "INSERT INTO shardloom.inbox"),
    (Way::Reference, 0, DECISION),
    (Way::Reference, 1, "UPDATE shardloom.lane"),
    (Way::Reference, 1, "COMMIT\0"),
];

fn harms() -> [Harm; 6] {
    [Harm::CutAfter(0), Harm::Reset, Harm::CutBefore, Harm::Silence, Harm::SilenceBefore, Harm::Slow(LATER)]
}

struct Field {
    cutters: Vec<Cutter>,
    proxy: Proxy,
    inspector: Inspector,
    /// Accounts of each shard.
    ids: Vec<i64>,
    _database: TestDatabase,
}

/// Goal: whatever happens to a connection at whatever step, the answer is true and comes in time.
#[tokio::test]
async fn no_connection_fault_loses_anything_or_waits_for_ever() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut cells: Vec<_> = PLACES.iter().flat_map(|place| harms().map(|harm| (*place, harm))).collect();
    cells.shuffle(&mut random);
    if std::env::var_os("SHARDLOOM_FAULTS").is_none() {
        cells.truncate(SHARE);
    }
    let field = Field::prepare().await;
    let mut told = 0;
    for (number, ((way, shard, text), harm)) in cells.iter().enumerate() {
        let began = Instant::now();
        told += usize::from(field.run(number as i64 + 1, *way, *shard, text, harm).await);
        println!("{}/{}: {way:?} s{shard} {text:?} {harm:?}: {:.1?}", number + 1, cells.len(), began.elapsed());
    }
    println!(
        "network faults: {} places x {} harms, {} runs, {told} acknowledged, 0 violations",
        PLACES.len(),
        6,
        cells.len()
    );
}

impl Field {
    async fn prepare() -> Self {
        let database = TestDatabase::new("network");
        let (shards, cutters) = Shards::behind_cutters(&database);
        let options = ProxyOptions { config: BOUNDS.to_owned(), ..ProxyOptions::default() };
        let proxy = Proxy::start_over(shards, RULES, options).await;
        proxy.gates_open().await;
        let client = proxy.client().await;
        client.batch_execute(SCHEMA).await.expect("the schema");
        let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 1000)")).collect();
        client.batch_execute(&format!("INSERT INTO accounts VALUES {}", rows.join(", "))).await.expect("the accounts");
        let (mut clients, mut ids) = (Vec::new(), Vec::new());
        for index in 0..3 {
            let shard = database.service(index).await;
            ids.push(shard.query_one("SELECT min(id) FROM accounts", &[]).await.expect("an account").get(0));
            clients.push(shard);
        }
        let inspector = Inspector::new(clients);
        inspector.settled().await;
        Self { cutters, proxy, inspector, ids, _database: database }
    }

    /// One write under one harm; tells whether the client was told that it is done.
    async fn run(&self, number: i64, way: Way, shard: usize, text: &str, harm: &Harm) -> bool {
        let place = format!("{number}: {way:?} s{shard} {text:?} {harm:?}");
        self.proxy.gates_open().await;
        let client = self.client(&place).await;
        let before = self.written(way).await;
        self.cutters[shard].arm_with(text, harm.clone());
        let answer = tokio::time::timeout(ANSWER_BOUND, self.write(&client, number, way)).await;
        let acknowledged = answer.unwrap_or_else(|_| panic!("{place}: no answer\n{}", self.proxy.log())).is_ok();
        self.wait_for_harm(shard).await;
        self.inspector.settled().await;
        self.cutters[shard].disarm();
        self.inspector.ledger_agrees().await;
        let written = self.written(way).await - before;
        let whole = match way {
            Way::Eager | Way::TwoPhase => 2,
            Way::Eventual => 12,
            Way::Reference => 3,
        };
        assert!(written == 0 || written == whole, "{place}: {written} of {whole}");
        assert!(!acknowledged || written == whole, "{place}: acknowledged and lost");
        assert_eq!(self.inspector.sum("SELECT sum(balance) FROM accounts").await, 30_000, "{place}");
        self.inspector.copies_equal("regions").await;
        acknowledged
    }

    async fn client(&self, place: &str) -> Client {
        tokio::time::timeout(ANSWER_BOUND, self.proxy.client()).await.unwrap_or_else(|_| panic!("{place}: no login"))
    }

    async fn write(&self, client: &Client, number: i64, way: Way) -> Result<(), tokio_postgres::Error> {
        let add = |index: usize, amount: i64| {
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {}", self.ids[index])
        };
        let transfer = format!("{}; {}", add(0, -1), add(1, 1));
        match way {
            Way::Eager => client.batch_execute(&format!("BEGIN; {transfer}; COMMIT")).await,
            Way::TwoPhase => {
                let mode = "SET LOCAL shardloom.multi_shard = 'two_phase'";
                client.batch_execute(&format!("BEGIN; {mode}; {transfer}; COMMIT")).await
            }
            Way::Eventual => {
                let rows: Vec<String> = (0..12).map(|row| format!("({}, {number})", number * 100 + row)).collect();
                client.batch_execute(&format!("INSERT INTO notes (id, batch) VALUES {}", rows.join(", "))).await
            }
            Way::Reference => client.batch_execute(&format!("INSERT INTO regions VALUES ({number})")).await,
        }
    }

    /// Waits until the harm was done; a step that this write did not pass, since home was another shard, is taken back.
    async fn wait_for_harm(&self, shard: usize) {
        let began = Instant::now();
        while self.cutters[shard].is_armed() && began.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.cutters[shard].disarm();
    }

    async fn written(&self, way: Way) -> i64 {
        let sql = match way {
            Way::Eager | Way::TwoPhase => "SELECT sum(abs(balance - 1000)) FROM accounts",
            Way::Eventual => "SELECT count(*) FROM notes",
            Way::Reference => "SELECT count(*) FROM regions",
        };
        self.inspector.sum(sql).await
    }
}
