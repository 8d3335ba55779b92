//! Lost answers and shards that are away: the outcome is told truthfully, and what was decided arrives.

use crate::chaos_invariants::Inspector;
use crate::support::{Cutter, DECISION, Proxy, ProxyOptions, RawClient, Reply, Shards, TestDatabase};

const RULES: &str = "kind: TableGroup
name: accounts
key: {type: bigint}
algorithm: hash
tables:
  accounts: {key: id}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [regions]
";

const SCHEMA: &str = "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE regions (id bigint PRIMARY KEY, name text)";

pub(crate) struct Relayed {
    pub cutters: Vec<Cutter>,
    pub proxy: Proxy,
    pub inspector: Inspector,
    /// An account of each shard.
    ids: Vec<i64>,
    _database: TestDatabase,
}

impl Relayed {
    /// The three shards, each behind a relay.
    pub async fn open(label: &str) -> Self {
        let database = TestDatabase::new(label);
        let (shards, cutters) = Shards::behind_cutters(&database);
        let proxy = Proxy::start_over(shards, RULES, ProxyOptions::default()).await;
        let client = proxy.client().await;
        client.batch_execute(SCHEMA).await.expect("the schema");
        let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 100)")).collect();
        client.batch_execute(&format!("INSERT INTO accounts VALUES {}", rows.join(", "))).await.expect("the accounts");
        let mut clients = Vec::new();
        let mut ids = Vec::new();
        for index in 0..3 {
            let shard = database.service(index).await;
            ids.push(shard.query_one("SELECT min(id) FROM accounts", &[]).await.unwrap().get(0));
            clients.push(shard);
        }
        let inspector = Inspector::new(clients);
        inspector.settled().await;
        Self { cutters, proxy, inspector, ids, _database: database }
    }

    /// Moves 1 from the account on shard `from` to that on `to`, home being `from`.
    pub fn transfer(&self, client: &mut RawClient, from: usize, to: usize, way: &str) -> Option<(String, String)> {
        let add = |index: usize, amount: i64| {
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {}", self.ids[index])
        };
        client.simple(&format!("BEGIN; {way}{}; {}", add(from, -1), add(to, 1)));
        client.simple("COMMIT").error()
    }

    /// The same in an open block, with the whole reply to COMMIT.
    pub fn transfer_reply(&self, client: &mut RawClient, from: usize, to: usize) -> Reply {
        let add = |index: usize, amount: i64| {
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {}", self.ids[index])
        };
        client.simple(&format!("{}; {}", add(from, -1), add(to, 1)));
        client.simple("COMMIT")
    }

    pub async fn balances(&self) -> Vec<i64> {
        let mut balances = Vec::new();
        for (index, id) in self.ids.iter().enumerate() {
            let sql = "SELECT balance FROM accounts WHERE id = $1";
            balances.push(self.inspector.shard(index).query_one(sql, &[id]).await.unwrap().get(0));
        }
        balances
    }
}

const WAYS: [&str; 2] = ["", "SET LOCAL shardloom.multi_shard = 'two_phase'; "];

/// Goal: row 2. Home commits, its answer is lost: the client hears of the commit all the same, and it is whole.
#[tokio::test]
async fn a_lost_answer_of_home_is_asked_for_again() {
    let relayed = Relayed::open("lost_home").await;
    for (round, way) in WAYS.into_iter().enumerate() {
        let mut client = relayed.proxy.raw();
        relayed.cutters[0].arm(DECISION);
        assert_eq!(relayed.transfer(&mut client, 0, 1, way), None, "{way}");
        assert_eq!(relayed.cutters[0].cuts(), round + 1);
        relayed.inspector.settled().await;
        relayed.inspector.ledger_agrees().await;
        assert_eq!(relayed.balances().await, [99 - round as i64, 101 + round as i64, 100], "{way}");
    }
}

/// Goal: row 5. A target commits, its answer is lost: the relay finds the inbox row, nothing is done twice.
#[tokio::test]
async fn a_lost_answer_of_a_target_is_found_in_its_inbox() {
    let relayed = Relayed::open("lost_target").await;
    for (round, (way, text)) in WAYS.into_iter().zip(["COMMIT\0", "COMMIT PREPARED"]).enumerate() {
        let mut client = relayed.proxy.raw();
        relayed.cutters[1].arm(text);
        assert_eq!(relayed.transfer(&mut client, 0, 1, way), None, "{way}");
        relayed.inspector.settled().await;
        relayed.inspector.ledger_agrees().await;
        assert_eq!(relayed.balances().await, [99 - round as i64, 101 + round as i64, 100], "{way}");
    }
}

/// Goal: home goes away with the answer: 08007 with the transaction's id; once it is back, the commit is completed.
#[tokio::test]
async fn an_outcome_that_nobody_knows_is_said_to_be_unknown() {
    let relayed = Relayed::open("lost_unknown").await;
    let mut client = relayed.proxy.raw();
    relayed.cutters[0].arm(DECISION);
    relayed.cutters[0].refuse(true);
    // The relay's own connections would still reach home.
    relayed.inspector.shard(0).batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shardloom outbox' AND datname = current_database()").await.unwrap();
    let (state, message) = relayed.transfer(&mut client, 0, 1, "").expect("an error");
    assert!(state == "08007" && message.contains("outcome is unknown"), "{state} {message}");
    relayed.cutters[0].refuse(false);
    relayed.inspector.settled().await;
    relayed.inspector.ledger_agrees().await;
    assert_eq!(relayed.balances().await, [99, 101, 100]);
}

/// Goal: with a target away an eager transaction fails before anything commits and names the shard; a reference write is
/// accepted and arrives when the target is back.
#[tokio::test]
async fn a_target_that_is_away_stops_eager_and_delays_eventual_writes() {
    let relayed = Relayed::open("lost_away").await;
    relayed.cutters[1].refuse(true);
    relayed.inspector.shard(1).batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await.unwrap();
    let mut client = relayed.proxy.raw();
    let reply =
        client.simple(&format!("UPDATE accounts SET balance = 0 WHERE id IN ({}, {})", relayed.ids[0], relayed.ids[1]));
    let (state, message) = reply.error().expect("an error");
    assert!(state.starts_with("08") && message.contains("\"s1\""), "{state} {message}");
    assert_eq!(client.simple("INSERT INTO regions VALUES (1, 'north')").error(), None);
    assert_eq!(relayed.balances().await, [100, 100, 100]);
    relayed.cutters[1].refuse(false);
    relayed.inspector.settled().await;
    relayed.inspector.copies_equal("regions").await;
    relayed.inspector.ledger_agrees().await;
}
