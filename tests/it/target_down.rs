//! What a write over several shards does while one of them is down: where it is safe, its rows follow.

use std::time::{Duration, Instant};

use crate::chaos_invariants::Inspector;
use crate::support::{Pipeline, Proxy, ProxyOptions, RawClient, Shards, TestDatabase};

/// Ids that nothing can collide with, ids that the client gives, and a table whose CHECK a shard may refuse.
const RULES: &str = "kind: Ids
tags: {order: 1, child: 2}
layouts:
  standard: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
---
kind: TableGroup
name: customers
key: {type: bigint}
tables:
  orders: {key: customer_id, id: {column: order_id, tag: order}}
  checked: {key: customer_id}
  given: {key: customer_id}
  children: {key: customer_id, id: {column: child_id, tag: child}}
---
kind: TableGroup
name: firm
key: {type: bigint}
tables: {firm: {key: customer_id}}
multi_shard: {when_target_down: error}
---
kind: TableGroup
name: strict
key: {type: bigint}
tables: {strict: {key: customer_id}}
multi_shard: {mode: eager}
";

const SCHEMA: [&str; 6] = [
    "CREATE TABLE orders (customer_id bigint, order_id bigint, id int, PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE given (customer_id bigint, id int, PRIMARY KEY (customer_id, id))",
    "CREATE TABLE checked (customer_id bigint PRIMARY KEY, id int CHECK (id > 0))",
    "CREATE TABLE children (customer_id bigint REFERENCES checked, child_id bigint, id int, \
     PRIMARY KEY (customer_id, child_id))",
    "CREATE TABLE firm (customer_id bigint PRIMARY KEY, id int)",
    "CREATE TABLE strict (customer_id bigint PRIMARY KEY, id int)",
];

/// What is said while a shard is away, or has not got everything yet.
const AWAY: [&str; 4] = ["08001", "08006", "55P03", "57P03"];

/// Longest wait for the rows of a shard that is back.
const WAIT: Duration = Duration::from_secs(60);

/// How long a server may take to restart after a crash.
const HOME_RESTARTS: Duration = Duration::from_secs(6);

/// What a statement answered: notices, the tag, or the SQLSTATE.
fn said(client: &mut RawClient, sql: &str) -> (Vec<String>, String) {
    Pipeline::new().query(sql).send_only(client);
    let (mut notices, mut end) = (Vec::new(), String::new());
    loop {
        let (kind, body) = client.message();
        let text = String::from_utf8_lossy(&body).into_owned();
        let field = |code| text.split('\0').find_map(|field| field.strip_prefix(code)).unwrap_or_default().to_owned();
        match kind {
            'N' => notices.push(format!("{}: {}", field('C'), field('D'))),
            'C' => end = text.trim_end_matches('\0').to_owned(),
            'E' => end = field('C'),
            'Z' => return (notices, end),
            _ => {}
        }
    }
}

/// What it answers when all shards are back and home has leased ids again.
fn said_at_last(client: &mut RawClient, sql: &str) -> (Vec<String>, String) {
    let began = Instant::now();
    loop {
        let (notices, end) = said(client, sql);
        if !AWAY.contains(&end.as_str()) || began.elapsed() > WAIT {
            return (notices, end);
        }
    }
}

/// Goal: what no shard could refuse later is taken while a shard is down, exactly once; everything else fails as before,
/// and nothing of it is left.
#[tokio::test]
async fn what_is_safe_to_defer_is_taken_and_the_rest_fails() {
    let database = TestDatabase::new("target_down");
    let (shards, cutters) = Shards::behind_cutters(&database);
    let proxy = Proxy::start_over(shards, RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let mut connections = Vec::new();
    for index in 0..3 {
        connections.push(database.service(index).await);
    }
    let inspector = Inspector::new(connections);
    let mut client = proxy.raw();
    for sql in SCHEMA {
        assert_eq!(said(&mut client, sql).1, "CREATE TABLE");
    }
    let rows = |table: &str, id: i32| {
        let rows: Vec<String> = (1..=12).map(|key| format!("({key}, {id})")).collect();
        format!("INSERT INTO {table} (customer_id, id) VALUES {}", rows.join(", "))
    };
    let twelve = "INSERT 0 12".to_owned();
    assert_eq!(said(&mut client, &rows("orders", 1)), (Vec::new(), twelve.clone()));

    for down in [1, 0] {
        let id = 10 * (down as i32 + 1);
        cutters[down].refuse(true);
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                     AND pid <> pg_backend_pid()";
        inspector.shard(down).query_one(ended, &[]).await.unwrap();
        for number in 0..3 {
            let (notices, end) = said(&mut client, &rows("orders", id + number));
            assert_eq!(end, twelve, "s{down} is down");
            assert!(notices.len() == 1 && notices[0].contains(&format!("\"s{down}\"")), "{notices:?}");
        }
        let txid = said(&mut client, "SHOW shardloom.last_txn").1;
        assert_eq!(txid, "SHOW");
        for sql in [
            rows("checked", 1),
            rows("given", 1),
            rows("children", 1),
            rows("firm", 1),
            rows("strict", 1),
            format!("{} RETURNING id", rows("orders", 99)),
            format!("{} ON CONFLICT DO NOTHING", rows("orders", 99)),
            format!("SET LOCAL shardloom.multi_shard = 'two_phase'; {}", rows("orders", 99)),
            format!("BEGIN; {}", rows("orders", 99)),
        ] {
            let (_, end) = said(&mut client, &sql);
            // The session's own rows that are still to come, or a redo, may be what stands in the way.
            assert!(AWAY.contains(&end.as_str()), "{end}: {sql}");
            said(&mut client, "ROLLBACK");
        }
        // Ids are made for as long as home needs to come back, though it leases what makes them.
        tokio::time::sleep(HOME_RESTARTS).await;
        assert_eq!(said(&mut client, &rows("orders", id + 3)).1, twelve, "s{down} is down for longer");
        let there = inspector.rows(&format!("SELECT count(*) FROM orders WHERE id = {id}")).await;
        assert!(there[down].ends_with("(0)"), "{there:?}");
        cutters[down].refuse(false);
        // The session that wrote them sees all rows or an error, never some of them.
        let count = format!("SELECT FROM orders WHERE id = {id}");
        assert_eq!(said_at_last(&mut client, &count), (Vec::new(), "SELECT 12".to_owned()));
        inspector.settled().await;
        assert_eq!(inspector.sum(&format!("SELECT count(*) FROM orders WHERE id = {id}")).await, 12);
        proxy.gates_open().await;
    }
    assert_eq!(inspector.sum("SELECT count(*) FROM orders").await, 12 * 9);
    for table in ["checked", "given", "firm", "strict"] {
        assert_eq!(inspector.sum(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        assert_eq!(said_at_last(&mut client, &rows(table, 1)), (Vec::new(), twelve.clone()), "all are back");
    }
    inspector.ledger_agrees().await;
}
