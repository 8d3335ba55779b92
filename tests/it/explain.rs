//! EXPLAIN of statements over several shards: the shards' plans under one tree, and what ANALYZE does.

use serde_json::Value;

use crate::protocol::both;
use crate::support::{Event, Pipeline, ProxyOptions, RawClient, Reply};

const SCATTER: &str = "SELECT customer_id, name FROM customers WHERE balance > 3 ORDER BY name DESC LIMIT 10";
const GATHER: &str = "SELECT count(*) + 1 FROM customers";

fn options() -> ProxyOptions {
    ProxyOptions { workers: 1, config: "pool: {size: 4}".to_owned(), ..ProxyOptions::default() }
}

fn lines(reply: &Reply) -> Vec<String> {
    assert_eq!((reply.error(), reply.tags()), (None, vec!["EXPLAIN".to_owned()]));
    reply.rows().into_iter().filter_map(|row| row[0].clone()).collect()
}

fn json(client: &mut RawClient, options: &str, sql: &str) -> Value {
    let lines = lines(&client.simple(&format!("EXPLAIN ({options}) {sql}")));
    assert_eq!(lines.len(), 1);
    serde_json::from_str(&lines[0]).expect("it is JSON")
}

fn nodes<'a>(plan: &'a Value, kind: &str) -> Vec<&'a Value> {
    let plans = plan[0]["Plan"]["Plans"].as_array().expect("there are plans");
    plans.iter().filter(|node| node["Node Type"] == kind).collect()
}

fn value(client: &mut RawClient, sql: &str) -> String {
    let reply = client.simple(sql);
    reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("no row: {reply:?}"))
}

#[tokio::test]
async fn the_plans_of_all_shards_hang_under_one_tree() {
    let (_database, proxy, _both) = both("explain_scatter", options()).await;
    let mut client = proxy.raw();
    let text = lines(&client.simple(&format!("EXPLAIN (COSTS OFF) {SCATTER}")));
    assert_eq!(text[0], "Shardloom Scatter  (shards: 3, merge: order by column 2 descending, at most 10 rows)");
    for shard in ["s0", "s1", "s2"] {
        let at = text.iter().position(|line| *line == format!("  ->  Shard {shard} (customers)")).expect("it is asked");
        assert_eq!(text[at + 1], "        ->  Limit", "{text:?}");
        assert!(text[at + 2].starts_with("              ->  Sort"), "{text:?}");
    }
    let plan = json(&mut client, "FORMAT json, VERBOSE", SCATTER);
    assert_eq!(plan[0]["Plan"]["Node Type"], "Shardloom Scatter");
    let shards = nodes(&plan, "Shard");
    assert_eq!(shards.iter().map(|node| node["Shard"].as_str().unwrap()).collect::<Vec<_>>(), ["s0", "s1", "s2"]);
    assert!(shards.iter().all(|node| node["Plans"][0]["Node Type"] == "Limit"), "{plan}");
    let sum: f64 = shards.iter().map(|node| node["Plans"][0]["Total Cost"].as_f64().unwrap()).sum();
    assert!((plan[0]["Plan"]["Total Cost"].as_f64().unwrap() - sum).abs() < 0.01, "{plan}");
    let analyzed = json(&mut client, "ANALYZE, BUFFERS, FORMAT json", SCATTER);
    let rows: f64 = nodes(&analyzed, "Shard").iter().map(|node| node["Actual Rows"].as_f64().unwrap()).sum();
    assert!(rows >= 10.0 && analyzed[0]["Execution Time"].is_number(), "{analyzed}");
}

#[tokio::test]
async fn every_format_is_answered_and_a_wrong_one_is_the_servers_error() {
    let (_database, proxy, _both) = both("explain_formats", options()).await;
    let mut client = proxy.raw();
    let yaml = lines(&client.simple(&format!("EXPLAIN (FORMAT yaml) {SCATTER}"))).remove(0);
    assert!(yaml.starts_with("- Plan: \n    Node Type: \"Shardloom Scatter\"\n"), "{yaml}");
    let xml = lines(&client.simple(&format!("EXPLAIN (FORMAT 'XML', COSTS OFF) {SCATTER}"))).remove(0);
    assert!(xml.contains("<Node-Type>Shardloom Scatter</Node-Type>") && xml.ends_with("</explain>"), "{xml}");
    assert_eq!(xml.matches("<Node-Type>Shard</Node-Type>").count(), 3, "{xml}");
    let wrong = client.simple(&format!("EXPLAIN (FORMAT nonsense) {SCATTER}"));
    assert_eq!(wrong.error().expect("no such format").0, "22023");
    assert_eq!(client.simple(&format!("EXPLAIN (NONSENSE) {SCATTER}")).error().expect("no such option").0, "42601");
    assert_eq!(client.simple("EXPLAIN SELECT missing FROM customers").error().expect("no such column").0, "42703");
    // The route as `shardloom route --json` says it, and why the statement is not direct.
    let route = json(&mut client, "ROUTE, FORMAT json", SCATTER);
    assert_eq!((&route["kind"], route["shards"].as_array().map(Vec::len)), (&"scatter".into(), Some(3)));
    assert_eq!(route["not_direct"], "the conditions on customers.customer_id leave 3 of 3 shards");
}

#[tokio::test]
async fn values_bound_by_the_protocol_reach_every_shard() {
    let (_database, proxy, _both) = both("explain_bound", options()).await;
    let mut client = proxy.raw();
    let sql = "EXPLAIN (ANALYZE, FORMAT json) SELECT count(*) FROM customers WHERE balance > $1::numeric";
    let reply = Pipeline::new().run(sql, &[Some("28")]).sync().send(&mut client, 1).remove(0);
    let plan: Value = serde_json::from_str(&lines(&reply)[0]).expect("it is JSON");
    assert_eq!(nodes(&plan, "Shard").len(), 3, "{plan}");
    let described = reply.events.iter().find_map(|event| match event {
        Event::Columns(columns) => Some((columns[0].name.clone(), columns[0].type_oid)),
        _ => None,
    });
    assert_eq!(described, Some(("QUERY PLAN".to_owned(), 114)));
    assert_eq!(client.simple("PREPARE some AS SELECT name FROM customers WHERE balance > $1").error(), None);
    assert!(lines(&client.simple("EXPLAIN EXECUTE some(5)"))[0].starts_with("Shardloom Scatter"));
}

#[tokio::test]
async fn a_gather_names_its_fetches_and_runs_on_home_when_analyzed() {
    let (_database, proxy, _both) = both("explain_gather", options()).await;
    let mut client = proxy.raw();
    let plan = json(&mut client, "FORMAT json", GATHER);
    assert_eq!(plan[0]["Plan"]["Node Type"], "Shardloom Gather");
    assert!(plan[0]["Plan"]["Because"].as_str().is_some_and(|why| !why.is_empty()), "{plan}");
    assert_eq!(nodes(&plan, "Fetch").len(), 3, "{plan}");
    assert!(nodes(&plan, "Home")[0]["Note"].as_str().unwrap().contains("ANALYZE"), "{plan}");
    assert!(nodes(&plan, "Home")[0].get("Plans").is_none(), "{plan}");
    let plan = json(&mut client, "ANALYZE, FORMAT json", GATHER);
    assert_eq!(nodes(&plan, "Home")[0]["Plans"][0]["Node Type"], "Aggregate", "{plan}");
    assert_eq!(nodes(&plan, "Home")[0]["Plans"][0]["Plans"][0]["Actual Rows"].as_f64(), Some(30.0), "{plan}");
    // In a transaction it sees what that wrote.
    client.simple("BEGIN; DELETE FROM customers WHERE customer_id = 1");
    let plan = json(&mut client, "ANALYZE, FORMAT json", GATHER);
    assert_eq!(nodes(&plan, "Home")[0]["Plans"][0]["Plans"][0]["Actual Rows"].as_f64(), Some(29.0), "{plan}");
    assert_eq!(client.simple("ROLLBACK").tags(), ["ROLLBACK"]);
    assert_eq!(value(&mut client, GATHER), "31");
}

/// Goal: EXPLAIN writes nothing; with ANALYZE it writes as the statement does, all or nothing.
#[tokio::test]
async fn analyze_of_a_write_over_shards_commits_as_the_write_would() {
    let (_database, proxy, _both) = both("explain_write", options()).await;
    let mut client = proxy.raw();
    let update =
        "UPDATE customers SET balance = 0 WHERE customer_id IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)";
    let zeros = "SELECT count(*) FROM customers WHERE balance = 0";
    assert!(lines(&client.simple(&format!("EXPLAIN {update}")))[0].starts_with("Shardloom Multi Write  (shards: 3"));
    assert_eq!(value(&mut client, zeros), "0");
    client.simple("BEGIN");
    let plan = json(&mut client, "ANALYZE, FORMAT json", update);
    assert_eq!(nodes(&plan, "Shard").len(), 3, "{plan}");
    assert_eq!(value(&mut client, zeros), "16");
    assert_eq!(client.simple("ROLLBACK").tags(), ["ROLLBACK"]);
    assert_eq!(value(&mut client, zeros), "0");
    assert!(lines(&client.simple(&format!("EXPLAIN ANALYZE {update}"))).len() > 3);
    assert_eq!(value(&mut proxy.raw(), zeros), "16");
    // One shard's error leaves nothing on the others.
    let fails = "UPDATE customers SET balance = 1 / (customer_id - 8) WHERE customer_id IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)";
    assert_eq!(client.simple(&format!("EXPLAIN ANALYZE {fails}")).error().expect("by zero").0, "22012");
    assert_eq!(value(&mut client, zeros), "16");
    let insert = "INSERT INTO customers VALUES (101, 'a', 1), (102, 'b', 2), (103, 'c', 3), (104, 'd', 4)";
    assert_eq!(client.simple(&format!("EXPLAIN {insert}")).error(), None);
    assert_eq!(value(&mut client, "SELECT count(*) FROM customers"), "30");
    assert_eq!(client.simple(&format!("EXPLAIN ANALYZE {insert}")).error(), None);
    assert_eq!(value(&mut client, "SELECT count(*) FROM customers"), "34");
}

#[tokio::test]
async fn one_shards_explain_passes_unchanged() {
    let (_database, _proxy, mut both) = both("explain_direct", options()).await;
    let explain = "EXPLAIN (COSTS OFF) SELECT * FROM customers WHERE customer_id = 5";
    both.same(explain);
    both.same("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT 1");
    // Ids that the rules make are in what is explained, and in what ANALYZE writes.
    let add = "EXPLAIN (ANALYZE, COSTS OFF) INSERT INTO orders (customer_id, status) VALUES (5, 'made')";
    assert_eq!(both.other.simple(add).error(), None);
    assert_eq!(value(&mut both.other, "SELECT count(*) FROM orders WHERE customer_id = 5 AND order_id > 1000"), "1");
    assert_eq!(both.other.simple("EXPLAIN CREATE INDEX i ON customers (name)").error().expect("no plan").0, "42601");
}
