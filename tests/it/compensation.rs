//! What a target refuses is taken back on the other shards, by what the rules declare: once, all of it, or not at all.

use std::time::{Duration, Instant};

use crate::chaos_invariants::Inspector;
use crate::ledger::{ok, refused};
use crate::support::{Proxy, ProxyOptions, RawClient, Shards, TestDatabase};

const RULES: &str = "kind: TableGroup
name: orders
key: {type: bigint}
tables:
  orders: {key: customer, undo: {insert: 'DELETE FROM orders WHERE customer = :customer AND id = :id'}}
  lines: {key: customer, undo: {insert: 'DELETE FROM lines WHERE customer = :customer AND id = :id'}}
multi_shard: {mode: eventual, on_dead: compensate}
---
kind: TableGroup
name: notes
key: {type: bigint}
tables:
  notes: {key: id, undo: {insert: \"UPDATE notes SET text = 'taken back from ' || :text WHERE id = :id\"}}
  plain: {key: id}
multi_shard: {mode: eventual}
";

const SCHEMA: [&str; 4] = [
    "CREATE TABLE orders (customer bigint, id int, note text, PRIMARY KEY (customer, id))",
    "CREATE TABLE lines (customer bigint, id int, amount int DEFAULT 1, PRIMARY KEY (customer, id), \
     FOREIGN KEY (customer, id) REFERENCES orders)",
    "CREATE TABLE notes (id bigint PRIMARY KEY, text text)",
    "CREATE TABLE plain (id bigint PRIMARY KEY, text text)",
];

/// Longest wait for the relay and its compensations.
const WAIT: Duration = Duration::from_secs(30);

struct Shop {
    _database: TestDatabase,
    proxy: Proxy,
    inspector: Inspector,
    /// A customer of each shard.
    keys: [i64; 3],
}

impl Shop {
    async fn open(label: &str) -> Self {
        let database = TestDatabase::new(label);
        let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
        Self::over(database, proxy).await
    }

    async fn over(database: TestDatabase, proxy: Proxy) -> Self {
        proxy.gates_open().await;
        let mut client = proxy.raw();
        for sql in SCHEMA {
            ok(&client.simple(sql));
        }
        let mut shards = Vec::new();
        for index in 0..3 {
            shards.push(database.service(index).await);
        }
        let inspector = Inspector::new(shards);
        let rows: Vec<String> = (1..=30).map(|id| format!("({id})")).collect();
        ok(&client.simple(&format!("INSERT INTO plain (id) VALUES {}", rows.join(", "))));
        inspector.settled().await;
        let mut keys = [0; 3];
        for (index, key) in keys.iter_mut().enumerate() {
            *key = inspector.shard(index).query_one("SELECT min(id) FROM plain", &[]).await.unwrap().get(0);
        }
        Self { _database: database, proxy, inspector, keys }
    }

    /// Inserts an order for a customer of each shard, that of s0 first; returns the transaction.
    fn order(&self, client: &mut RawClient, id: i32) -> String {
        let [a, b, c] = self.keys;
        ok(&client
            .simple(&format!("INSERT INTO orders VALUES ({a}, {id}, 'new'), ({b}, {id}, 'it''s'), ({c}, {id}, NULL)")));
        last_txn(client)
    }

    async fn status(&self, client: &mut RawClient, txid: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let reply = client.simple(&format!("SELECT shardloom.txn_status({txid})"));
            let found = reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_default();
            if found == wanted {
                return;
            }
            assert!(began.elapsed() < WAIT, "{txid} is {found}, wanted {wanted}: {}", self.proxy.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Nothing is open, dead or different from what was expected.
    async fn is_settled(&self) {
        self.inspector.settled().await;
        let open = "SELECT count(*) FROM shardloom.dead_letter WHERE resolved_at IS NULL";
        assert_eq!(self.inspector.sum(open).await, 0, "dead letters");
        assert_eq!(self.inspector.sum("SELECT count(*) FROM shardloom.ledger_target WHERE drift").await, 0, "drift");
    }
}

fn last_txn(client: &mut RawClient) -> String {
    client.simple("SHOW shardloom.last_txn").rows()[0][0].clone().expect("a transaction")
}

/// Goal: a row that one shard refuses takes those of the others with it, once, and people see what became of it.
#[tokio::test]
async fn what_one_shard_refuses_is_taken_back_on_the_others() {
    let shop = Shop::open("compensate").await;
    let mut client = shop.proxy.raw();
    let [a, b, _] = shop.keys;
    ok(&client.simple(&format!("INSERT INTO orders VALUES ({b}, 7, 'old')")));
    let txid = shop.order(&mut client, 7);
    shop.status(&mut client, &txid, "compensated").await;
    shop.is_settled().await;
    let left = client.simple("SELECT customer, id, note FROM orders").rows();
    assert_eq!(left, [[Some(b.to_string()), Some("7".into()), Some("old".into())]], "the old row alone");
    let console = shop.proxy.console().await;
    let shown = console.simple_query("SHOW COMPENSATIONS").await.expect("the console");
    let shown = format!("{shown:?}");
    assert!(shown.contains(&txid) && shown.contains("DONE") && shown.contains("relay"), "{shown}");
    // Nobody brings it back, or takes it back twice.
    assert_eq!(client.simple(&format!("SELECT shardloom.wait_for({txid})")).rows(), [[Some("f".to_owned())]]);
    let (code, said) = shop.proxy.verb(&["ledger", "retry", &txid, "--reason", "again"]);
    assert!(code == Some(0) && said.contains(": 0"), "{said}");
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", &txid, "--reason", "again"]);
    assert!(code == Some(1) && said.contains("compensated already"), "{said}");
    assert_eq!(client.simple("SELECT count(*) FROM orders").rows(), [[Some("1".to_owned())]]);
    // What is right stays.
    let txid = shop.order(&mut client, 8);
    shop.is_settled().await;
    shop.status(&mut client, &txid, "committed").await;
    assert_eq!(
        client.simple(&format!("SELECT note FROM orders WHERE customer = {a}")).rows(),
        [[Some("new".to_owned())]]
    );
    let (code, said) = shop.proxy.verb(&["ledger", "compensations"]);
    assert!(code == Some(0) && said.contains("on_dead: compensate"), "{said}");
    // Who waits for all of it is told.
    ok(&client.simple("SET shardloom.commit_wait = 'all 20s'"));
    ok(&client.simple(&format!("INSERT INTO orders VALUES ({b}, 9, 'old')")));
    let [a, b, c] = shop.keys;
    let reply = client.simple(&format!("INSERT INTO orders VALUES ({a}, 9, 'x'), ({b}, 9, 'x'), ({c}, 9, 'x')"));
    assert!(format!("{:?}", reply.events).contains("has been taken back"), "{reply:?}");
    let (_, metrics) = shop.proxy.http("/metrics").expect("metrics");
    assert!(metrics.contains("shardloom_outbox_compensated_total 2"), "{metrics}");
}

/// Goal: a target that is away when another refuses gets the transaction and its compensation, in this order; of two that
/// refuse, neither loses the row that was there.
#[tokio::test]
async fn targets_that_are_late_or_refuse_too_end_as_the_others() {
    let database = TestDatabase::new("compensate_away");
    let (shards, cutters) = Shards::behind_cutters(&database);
    let proxy = Proxy::start_over(shards, RULES, ProxyOptions::default()).await;
    let shop = Shop::over(database, proxy).await;
    let mut client = shop.proxy.raw();
    let [_, b, c] = shop.keys;
    ok(&client.simple(&format!("INSERT INTO orders VALUES ({b}, 7, 'old')")));
    let second = shop.proxy.raw();
    cutters[2].refuse(true);
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid()";
    shop.inspector.shard(2).query_one(ended, &[]).await.unwrap();
    drop(second);
    let txid = shop.order(&mut client, 7);
    shop.status(&mut client, &txid, "compensated").await;
    cutters[2].refuse(false);
    shop.is_settled().await;
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM orders").await, 1);
    assert_eq!(
        shop.inspector.sum(&format!("SELECT count(*) FROM orders WHERE customer = {b} AND note = 'old'")).await,
        1
    );
    // Both refuse.
    let mut client = shop.proxy.raw();
    ok(&client.simple(&format!("INSERT INTO orders VALUES ({c}, 7, 'old')")));
    let txid = shop.order(&mut client, 7);
    shop.status(&mut client, &txid, "compensated").await;
    shop.is_settled().await;
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM orders WHERE note = 'old'").await, 2);
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM orders").await, 2);
}

/// Goal: a compensation that fails undoes nothing, says so, and is done once it can be.
#[tokio::test]
async fn a_compensation_that_fails_undoes_nothing_until_it_can() {
    let shop = Shop::open("compensate_late").await;
    let mut client = shop.proxy.raw();
    let [a, b, _] = shop.keys;
    ok(&client.simple(&format!("INSERT INTO orders VALUES ({b}, 7, 'old')")));
    // On home, a line holds the order. The relay must not be faster than it.
    ok(&client.simple(&format!("BEGIN; SELECT * FROM orders WHERE customer = {b} AND id = 7 FOR UPDATE")));
    let mut other = shop.proxy.raw();
    let txid = shop.order(&mut other, 7);
    ok(&other.simple(&format!("INSERT INTO lines VALUES ({a}, 7)")));
    ok(&client.simple("COMMIT"));
    let began = Instant::now();
    let failed = loop {
        let (_, said) = shop.proxy.verb(&["ledger", "compensations", "--json"]);
        if said.contains("FAILED") {
            break said;
        }
        assert!(began.elapsed() < WAIT, "{said} {}", shop.proxy.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(failed.contains("23503") && failed.contains("lines"), "{failed}");
    assert_eq!(other.simple("SELECT count(*) FROM orders").rows(), [[Some("3".to_owned())]], "nothing is undone");
    shop.status(&mut other, &txid, "committed").await;
    let (_, letters) = shop.proxy.verb(&["dead-letters"]);
    assert!(letters.contains(&txid), "{letters}");
    ok(&other.simple(&format!("DELETE FROM lines WHERE customer = {a}")));
    shop.status(&mut other, &txid, "compensated").await;
    shop.is_settled().await;
    assert_eq!(other.simple("SELECT customer FROM orders").rows(), [[Some(b.to_string())]]);
}

/// Goal: a person takes back what is done, with a reason; what declares nothing is refused.
#[tokio::test]
async fn an_operator_takes_back_what_is_done() {
    let shop = Shop::open("compensate_by_hand").await;
    let mut client = shop.proxy.raw();
    let [a, b, c] = shop.keys;
    let rows = |table: &str| {
        format!(
            "INSERT INTO {table} (id, text) VALUES (100{a}, 'a'), (100{b}, 'b'), (100{c}, 'c'), (7000, 'd'), (7001, 'e'), (7002, 'f')"
        )
    };
    ok(&client.simple(&rows("notes")));
    let txid = last_txn(&mut client);
    shop.is_settled().await;
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", &txid, "--reason", ""]);
    assert!(code == Some(2) && said.contains("--reason"), "{said}");
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", &txid, "--reason", "sent twice"]);
    assert!(code == Some(0) && said.contains("is taken back by transaction"), "{said}");
    shop.is_settled().await;
    assert_eq!(
        client.simple("SELECT text FROM notes ORDER BY text").rows(),
        ["a", "b", "c", "d", "e", "f"].map(|text| [Some(format!("taken back from {text}"))])
    );
    shop.status(&mut client, &txid, "compensated").await;
    let (_, audit) = shop.proxy.verb(&["ledger", "audit"]);
    assert!(audit.contains("compensate") && audit.contains("sent twice"), "{audit}");
    let by = shop.inspector.sum("SELECT coalesce(sum(compensated_by), 0)::bigint FROM shardloom.compensation").await;
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", &by.to_string(), "--reason", "no"]);
    assert!(code == Some(1) && said.contains("nothing to take back"), "{said}");
    ok(&client.simple(&rows("plain")));
    let txid = last_txn(&mut client);
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", &txid, "--reason", "no"]);
    assert!(code == Some(1) && said.contains("declared no undo"), "{said}");
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", "12345", "--reason", "no"]);
    assert!(code == Some(1) && said.contains("no home knows"), "{said}");
}

/// Goal: what was applied long ago is taken back too, when the inboxes have forgotten it; a row that is gone is said so.
#[tokio::test]
async fn what_the_inboxes_have_forgotten_is_taken_back() {
    let shop = Shop::open("compensate_old").await;
    let mut client = shop.proxy.raw();
    let [a, b, c] = shop.keys;
    ok(&client.simple(&format!("INSERT INTO notes VALUES ({a}, 'a'), ({b}, 'b'), ({c}, 'c')")));
    let txid = last_txn(&mut client);
    shop.is_settled().await;
    for shard in 0..3 {
        shop.inspector.shard(shard).execute("DELETE FROM shardloom.inbox", &[]).await.unwrap();
    }
    ok(&client.simple(&format!("DELETE FROM notes WHERE id = {a}")));
    let (code, said) = shop.proxy.verb(&["ledger", "compensate", &txid, "--reason", "old"]);
    assert_eq!(code, Some(0), "{said}");
    shop.is_settled().await;
    let left = client.simple("SELECT text FROM notes ORDER BY text").rows();
    assert_eq!(left, ["b", "c"].map(|text| [Some(format!("taken back from {text}"))]));
    let (_, said) = shop.proxy.verb(&["ledger", "compensations"]);
    assert!(said.contains("0 rows were undone where 1 are expected"), "{said}");
}

/// Goal: where a row lacks what its undo names, nothing is left to the relay: the client sees the refusal.
#[tokio::test]
async fn what_could_not_be_taken_back_is_not_deferred() {
    let shop = Shop::open("compensate_eager").await;
    let mut client = shop.proxy.raw();
    let [a, b, c] = shop.keys;
    ok(&client.simple(&format!("INSERT INTO orders VALUES ({b}, 7, 'old')")));
    ok(&client.simple("ALTER TABLE orders ALTER id SET DEFAULT 7"));
    let insert = format!("INSERT INTO orders (customer, note) VALUES ({a}, 'x'), ({b}, 'x'), ({c}, 'x')");
    let told = client.simple(&format!("EXPLAIN (ROUTE) {insert}")).rows();
    assert!(format!("{told:?}").contains("eager"), "{told:?}");
    refused(&client.simple(&insert), "23505", "orders_pkey");
    assert_eq!(client.simple("SELECT count(*) FROM orders").rows(), [[Some("1".to_owned())]]);
}

/// Goal: whoever dies while something is taken back, it is taken back once.
#[tokio::test]
async fn a_compensation_survives_the_proxy() {
    let mut shop = Shop::open("compensate_kill").await;
    for (number, point) in
        ["before_undo_commit", "after_undo_commit", "before_apply_commit", "after_apply_commit"].into_iter().enumerate()
    {
        let id = 10 + number as i32;
        let [_, b, _] = shop.keys;
        ok(&shop.proxy.raw().simple(&format!("INSERT INTO orders VALUES ({b}, {id}, 'old')")));
        shop.proxy.set_environment(vec![("SHARDLOOM_FAULT".to_owned(), format!("{point}:abort"))]);
        shop.proxy.restart().await;
        shop.proxy.gates_open().await;
        let txid = shop.order(&mut shop.proxy.raw(), id);
        shop.proxy.ended().await;
        shop.proxy.set_environment(Vec::new());
        shop.proxy.restart().await;
        shop.proxy.gates_open().await;
        let mut client = shop.proxy.raw();
        shop.status(&mut client, &txid, "compensated").await;
        shop.is_settled().await;
        let left = client.simple(&format!("SELECT customer, note FROM orders WHERE id = {id}")).rows();
        assert_eq!(left, [[Some(b.to_string()), Some("old".to_owned())]], "{point}");
        let taken = "SELECT count(*) FROM shardloom.ledger WHERE kind = 'compensate'";
        assert_eq!(shop.inspector.sum(taken).await, number as i64 + 1, "{point}");
    }
}
