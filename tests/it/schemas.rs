//! Tables that are not the same on all shards: named, shown, and no wrong answers by them.

use std::time::{Duration, Instant};

use crate::protocol::both;
use crate::support::{Proxy, ProxyOptions, RawClient};

/// How long the proxy may take to notice.
const WAIT: Duration = Duration::from_secs(60);

fn options() -> ProxyOptions {
    ProxyOptions { workers: 1, config: "pool: {size: 4}".to_owned(), ..ProxyOptions::default() }
}

/// Runs DDL on one shard past the rules.
fn on(client: &mut RawClient, shard: &str, sql: &str) {
    let reply = client.simple(&format!("/* shardloom: shard={shard} */ DO $$BEGIN {sql}; END$$"));
    assert_eq!(reply.error(), None, "{sql}");
}

/// Returns what SHOW SHARDS says of a shard's tables, once that is empty or not as wanted.
fn differs(proxy: &Proxy, shard: &str, wanted: bool) -> String {
    let began = Instant::now();
    loop {
        // It asks for the catalogs, and with them for a look at all shards.
        proxy.raw_to("shardloom").simple("RELOAD");
        proxy.raw().simple("CREATE TABLE IF NOT EXISTS looked ()");
        let rows = proxy.raw_to("shardloom").simple("SHOW SHARDS").rows();
        let row = rows.iter().find(|row| row[0].as_deref() == Some(shard)).expect("the shard");
        let found = row.last().cloned().flatten().unwrap_or_default();
        if (found.contains("table")) == wanted {
            return found;
        }
        assert!(began.elapsed() < WAIT, "{shard}: {found:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn refused(client: &mut RawClient, sql: &str) -> String {
    let (state, message) = client.simple(sql).error().unwrap_or_else(|| panic!("it is answered: {sql}"));
    assert_eq!(state, "0A000", "{sql}: {message}");
    message
}

#[tokio::test]
async fn answers_with_other_columns_are_refused_before_anybody_looked() {
    let (_database, proxy, _both) = both("schemas_answers", options()).await;
    let mut client = proxy.raw();
    on(
        &mut client,
        "s2",
        "ALTER TABLE customers RENAME name TO balance_; ALTER TABLE customers RENAME balance TO name; ALTER TABLE customers RENAME balance_ TO balance",
    );
    let message = refused(&mut client, "SELECT * FROM customers");
    assert!(message.contains("s2") && message.contains("\"balance\""), "{message}");
    refused(&mut client, "SELECT * FROM customers ORDER BY customer_id");
    client.simple("BEGIN");
    refused(&mut client, "DECLARE c CURSOR FOR SELECT * FROM customers");
    client.simple("ROLLBACK");
    // One shard's rows are that shard's.
    let whole = client.simple("/* shardloom: shard=s0 */ SELECT * FROM customers");
    assert_eq!((whole.error(), whole.rows().is_empty()), (None, false));
}

#[tokio::test]
async fn differences_are_found_named_and_gone_when_mended() {
    let (_database, proxy, _both) = both("schemas_named", options()).await;
    let mut client = proxy.raw();
    assert_eq!(differs(&proxy, "s1", false).replace("[]", ""), "");
    // By one statement: the proxy looks after each.
    on(&mut client, "s1", "ALTER TABLE customers ADD COLUMN extra int; CREATE INDEX only_here ON orders (status)");
    let found = differs(&proxy, "s1", true);
    assert!(found.contains("column \"extra\" is not on s0"), "{found}");
    assert!(found.contains("index \"only_here\" is not on s0"), "{found}");
    let (_, metrics) = proxy.http("/metrics").expect("an answer");
    assert!(metrics.contains("shardloom_schema_differences{shard=\"s1\"} 2"), "{metrics}");
    let (_, status) = proxy.http("/api/v1/status").expect("an answer");
    assert!(status.contains("tables differ in 2 places"), "{status}");
    for sql in [
        "SELECT name FROM customers",
        "SELECT count(*) + 1 FROM customers",
        "INSERT INTO customers VALUES (201, 'a', 1), (202, 'b', 1), (203, 'c', 1), (204, 'd', 1), (205, 'e', 1), (206, 'f', 1)",
    ] {
        let message = refused(&mut client, sql);
        assert!(message.contains("\"s1\"") && message.contains("\"extra\""), "{message}");
    }
    // What is right all the same: one shard, other tables, tables that differ in an index.
    for sql in
        ["SELECT name FROM customers WHERE customer_id = 1", "SELECT count(*) FROM orders", "SELECT * FROM regions"]
    {
        assert_eq!(client.simple(sql).error(), None, "{sql}");
    }
    // Mended, it is answered at once.
    on(&mut client, "s1", "ALTER TABLE customers DROP COLUMN extra");
    assert_eq!(client.simple("SELECT name FROM customers").rows().len(), 30);
    on(&mut client, "s1", "DROP INDEX only_here");
    assert_eq!(differs(&proxy, "s1", false).replace("[]", ""), "");
}
