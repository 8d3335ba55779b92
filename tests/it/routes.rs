//! SHOW ROUTES: which way statements took, by their text without constants.

use serde_json::Value;

use crate::protocol::both;
use crate::support::{Pipeline, Proxy, ProxyOptions};

fn options() -> ProxyOptions {
    ProxyOptions { workers: 2, config: "pool: {size: 4}".to_owned(), ..ProxyOptions::default() }
}

/// Returns the rows of SHOW ROUTES as texts, with the columns by name.
fn routes(proxy: &Proxy) -> Vec<Value> {
    let reply = proxy.raw_to("shardloom").simple("SHOW ROUTES");
    assert_eq!(reply.error(), None);
    let columns = [
        "statement",
        "mode",
        "count",
        "shards",
        "rows",
        "total_ms",
        "mean_ms",
        "max_ms",
        "last_sqlstate",
        "last_reason",
    ];
    let row = |row: Vec<Option<String>>| {
        columns.iter().map(|name| (*name).to_owned()).zip(row.into_iter().map(Value::from)).collect()
    };
    reply.rows().into_iter().map(|cells| Value::Object(row(cells))).collect()
}

/// Returns one cell of the row of a statement on a way.
fn cell(rows: &[Value], statement: &str, mode: &str, column: &str) -> String {
    let found = rows.iter().find(|row| row["statement"] == statement && row["mode"] == mode);
    let found = found.unwrap_or_else(|| panic!("no {mode} {statement}: {rows:#?}"));
    found[column].as_str().unwrap_or("").to_owned()
}

#[tokio::test]
async fn every_way_is_counted_by_text_without_constants() {
    let (_database, proxy, _both) = both("routes_count", options()).await;
    let mut client = proxy.raw();
    assert_eq!(proxy.raw_to("shardloom").simple("RESET ROUTES").tags(), ["RESET"]);
    for id in 1..=5 {
        client.simple(&format!("SELECT name FROM customers WHERE customer_id = {id} -- secret"));
    }
    let direct = "SELECT name FROM customers WHERE customer_id = ?";
    let bound = "SELECT name FROM customers WHERE customer_id = $1";
    for _ in 0..3 {
        let replies = Pipeline::new().run(bound, &[Some("7")]).run(bound, &[Some("8")]).sync().send(&mut client, 1);
        assert_eq!(replies[0].error(), None);
    }
    client.simple("SELECT customer_id FROM customers WHERE balance > 25 ORDER BY 1");
    client.simple("SELECT customer_id FROM customers WHERE balance > 1000 ORDER BY 1");
    client.simple("SELECT count(*) + 1 FROM customers WHERE name <> 'secret'");
    client.simple(
        "INSERT INTO customers VALUES (101, 'secret', 1), (102, 'b', 1), (103, 'c', 1), (104, 'd', 1), (105, 'e', 1)",
    );
    client.simple("UPDATE customers SET name = 'secret'");
    client.simple("UPDATE customers SET name = 'secret' WHERE balance > 3");
    client.simple("/* shardloom: shard=s1 */ SELECT 'secret'");
    client.simple("ANALYZE customers");
    let rows = routes(&proxy);
    assert_eq!(
        (cell(&rows, direct, "direct", "count"), cell(&rows, direct, "direct", "shards")),
        ("5".into(), "5".into())
    );
    assert_eq!(cell(&rows, direct, "direct", "total_ms"), "");
    assert_eq!(cell(&rows, bound, "direct", "count"), "6");
    let scatter = "SELECT customer_id FROM customers WHERE balance > ? ORDER BY ?";
    let of = |column: &str| cell(&rows, scatter, "scatter", column);
    assert_eq!((of("count"), of("shards"), of("rows")), ("2".into(), "6".into(), "6".into()));
    let ms = |column: &str| of(column).parse::<f64>().expect("a time");
    assert!(ms("max_ms") > 0.0 && ms("total_ms") >= ms("max_ms") && ms("mean_ms") <= ms("max_ms"));
    let gather = "SELECT count(*) + ? FROM customers WHERE name <> ?";
    assert_eq!(
        (cell(&rows, gather, "gather", "count"), cell(&rows, gather, "gather", "rows")),
        ("1".into(), "1".into())
    );
    assert_eq!(cell(&rows, "INSERT INTO customers VALUES (?)", "multi_write", "rows"), "5");
    let update = "UPDATE customers SET name = ?";
    assert_eq!(cell(&rows, update, "refused", "last_reason"), "missing_sharding_key");
    assert_eq!(cell(&rows, update, "refused", "last_sqlstate"), "22023");
    assert_eq!(cell(&rows, "SELECT ?", "direct", "count"), "1");
    assert_eq!(cell(&rows, "ANALYZE customers", "everywhere", "shards"), "3");
    let text = format!("{rows:?}");
    assert!(!text.contains("secret"), "{text}");
    let log = proxy.log();
    assert!(log.contains("statement gathered on home") && log.contains("statement refused"), "{log}");
    assert!(!log.contains("secret"), "{log}");
    // Once per statement and minute.
    client.simple("UPDATE customers SET name = 'again'");
    let lines = |log: &str| log.matches("missing_sharding_key").count();
    assert_eq!((lines(&log), lines(&proxy.log())), (2, 2));
    proxy.raw_to("shardloom").simple("RESET ROUTES");
    assert!(!routes(&proxy).iter().any(|row| row["statement"] == direct));
    client.simple("SELECT name FROM customers WHERE customer_id = 9");
    assert_eq!(cell(&routes(&proxy), direct, "direct", "count"), "1");
}

#[tokio::test]
async fn http_lists_the_same() {
    let (_database, proxy, _both) = both("routes_http", options()).await;
    proxy.raw().simple("SELECT count(*) + 1 FROM customers");
    let (status, body) = proxy.http("/api/v1/routes").expect("an answer");
    let list: Value = serde_json::from_str(&body).expect("it is JSON");
    assert_eq!(status, 200);
    let gather = list.as_array().expect("a list").iter().find(|row| row["mode"] == "gather").expect("it was gathered");
    assert_eq!(gather["statement"], "SELECT count(*) + ? FROM customers");
    assert_eq!((gather["count"].as_u64(), gather["rows"].as_u64()), (Some(1), Some(1)));
    assert!(gather["total_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{gather}");
}
