//! `check --live --rows`: what is not on the shard of its sharding key is found, and nothing else.

use crate::support::{Proxy, ProxyOptions, TestDatabase};

const RULES: &str = "
kind: TableGroup
name: shop
key: {type: bigint}
tables:
  customers: {key: customer_id}
  orders: {key: customer_id, id: {column: order_id, layout: gene, tag: order, route: true}}
  items: {key: customer_id, split: {into: 4, pattern: 'items_{0}', by: item_id, type: bigint, algorithm: mod}}
---
kind: TableGroup
name: places
key: {type: text}
algorithm: list
list: {placement: {s1: [north, null]}, default: s2}
tables: {places: {key: side}}
---
kind: TableGroup
name: days
key: {type: date}
algorithm: interval
interval: {unit: day, origin: 2026-01-01, shards: [s0, s1, s2]}
tables: {days: {key: day}}
---
kind: TableGroup
name: sites
key: {type: [int, text]}
algorithm: composite
tables: {visits: {key: [site, page]}}
---
kind: Ids
tags: {order: 1}
";

const SCHEMA: &str = "
    CREATE TABLE customers (customer_id bigint PRIMARY KEY);
    CREATE TABLE orders (order_id bigint, customer_id bigint);
    CREATE TABLE items (item_id bigint, customer_id bigint);
    CREATE TABLE places (side text);
    CREATE TABLE days (day date);
    CREATE TABLE visits (site int, page text)";

#[tokio::test]
async fn rows_that_no_statement_looks_for_are_found() {
    let database = TestDatabase::new("check_rows");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let mut client = proxy.raw();
    let mut run = |sql: &str| assert_eq!(client.simple(sql).error(), None, "{sql}");
    SCHEMA.split(';').for_each(&mut run);
    for key in 1..=20 {
        run(&format!("INSERT INTO customers VALUES ({key})"));
        run(&format!("INSERT INTO orders (customer_id) VALUES ({key}), ({key})"));
        run(&format!("INSERT INTO items VALUES ({}, {key}), (-{key}, {key})", key * 3));
        run(&format!("INSERT INTO visits VALUES ({key}, 'p{key}'), ({key}, '')"));
        run(&format!("INSERT INTO days VALUES (date '2026-01-01' + {key})"));
    }
    run("INSERT INTO places VALUES ('north'), ('south'), (NULL)");
    let (code, fine) = proxy.check(&["--live", "--rows"]);
    assert_eq!(code, Some(0), "{fine}");
    assert!(fine.contains("table \"customers\": ") && fine.contains("table \"items_3\": "), "{fine}");

    for shard in ["s0", "s1", "s2"] {
        let mut on = |sql: &str| run(&format!("/* shardloom: shard={shard} */ {sql}"));
        on("INSERT INTO customers VALUES (7) ON CONFLICT DO NOTHING");
        on("INSERT INTO days VALUES ('2026-03-01')");
        on("INSERT INTO visits VALUES (5, 'five')");
        on("UPDATE orders SET order_id = order_id + (1::bigint << 11) WHERE customer_id = 3");
    }
    run("/* shardloom: shard=s0 */ INSERT INTO places VALUES ('north')");
    run("/* shardloom: shard=s2 */ INSERT INTO places VALUES (NULL)");
    run("/* shardloom: shard=s1 */ UPDATE items_1 SET item_id = item_id + 1");
    let (code, found) = proxy.check(&["--live", "--rows"]);
    assert_eq!(code, Some(1), "{found}");
    let findings: Vec<&str> = found.lines().filter(|line| !line.starts_with("notice")).collect();
    let count = |table: &str, what: &str| {
        let table = format!("table \"{table}\"");
        findings.iter().filter(|line| line.contains(&table) && line.contains(what)).count()
    };
    assert_eq!(count("customers", "1 of ") + count("customers", "customer_id 7 belongs to shard "), 4, "{found}");
    assert_eq!(count("days", "day 2026-03-01 belongs to shard "), 2, "{found}");
    assert_eq!(count("visits", "site, page 5, five belongs to shard "), 2, "{found}");
    assert_eq!(count("places", "side north belongs to shard s1") + count("places", "side is NULL"), 2, "{found}");
    assert_eq!(count("orders", " carries bucket "), 1, "{found}");
    assert_eq!(count("items_1", " belongs to table items_2"), 1, "{found}");
    assert_eq!(findings.len(), 10, "{found}");
    let (_, without) = proxy.check(&["--live"]);
    assert!(!without.contains("belongs"), "{without}");
}
