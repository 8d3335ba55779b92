//! What a session says of the way of its statements: SET shardloom.shard, sharding_key and multi_shard.

use crate::protocol::both;
use crate::support::{Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

const COUNT: &str = "SELECT count(*) FROM customers";

fn options() -> ProxyOptions {
    ProxyOptions { workers: 1, config: "pool: {size: 4}".to_owned(), ..ProxyOptions::default() }
}

async fn start(label: &str) -> (TestDatabase, Proxy, RawClient) {
    let (database, proxy, _both) = both(label, options()).await;
    let client = proxy.raw();
    (database, proxy, client)
}

fn value(client: &mut RawClient, sql: &str) -> String {
    let reply = client.simple(sql);
    reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("no row: {sql}: {reply:?}"))
}

fn state(client: &mut RawClient, sql: &str) -> String {
    client.simple(sql).error().unwrap_or_else(|| panic!("no error: {sql}")).0
}

/// Returns how many customers each shard has, asked by comments.
fn counts(client: &mut RawClient) -> Vec<(String, String)> {
    let of = |shard: &str| format!("/* shardloom: shard={shard} */ {COUNT}");
    ["s0", "s1", "s2"].map(|shard| (shard.to_owned(), value(client, &of(shard)))).to_vec()
}

/// Returns the shard of a customer, as its route says.
fn shard_of(client: &mut RawClient, id: u32) -> String {
    let line = value(client, &format!("EXPLAIN (ROUTE) SELECT FROM customers WHERE customer_id = {id}"));
    line.strip_prefix("Direct on ").expect("one shard").to_owned()
}

#[tokio::test]
async fn a_shard_that_is_set_gets_every_statement_until_reset() {
    let (_database, _proxy, mut client) = start("steering_shard").await;
    let parts = counts(&mut client);
    assert_eq!(value(&mut client, COUNT), "30");
    assert_eq!(value(&mut client, "SHOW shardloom.shard"), "");
    assert_eq!(client.simple("SET shardloom.shard = 's1'").tags(), ["SET"]);
    assert_eq!(
        (value(&mut client, COUNT), value(&mut client, "SHOW shardloom.shard")),
        (parts[1].1.clone(), "s1".into())
    );
    // A comment says more, and every way of running a statement is steered.
    assert_eq!(value(&mut client, &format!("/* shardloom: shard=s2 */ {COUNT}")), parts[2].1);
    let bound = Pipeline::new().run(COUNT, &[]).sync().send(&mut client, 1).remove(0);
    assert_eq!(bound.rows()[0][0].as_deref(), Some(parts[1].1.as_str()));
    client.simple(&format!("PREPARE counted AS {COUNT}"));
    assert_eq!(value(&mut client, "EXECUTE counted"), parts[1].1);
    assert_eq!(value(&mut client, &format!("EXPLAIN (ROUTE) {COUNT}")), "Direct on s1");
    let strings = client.simple(&format!("{COUNT}; {COUNT}"));
    assert!(strings.rows().iter().all(|row| row[0].as_deref() == Some(parts[1].1.as_str())), "{strings:?}");
    assert_eq!(state(&mut client, "SET shardloom.shard = 's9'"), "22023");
    assert_eq!(value(&mut client, "SHOW shardloom.shard"), "s1");
    assert_eq!(client.simple("RESET shardloom.shard").tags(), ["RESET"]);
    assert_eq!((value(&mut client, COUNT), value(&mut client, "EXECUTE counted")), ("30".into(), "30".into()));
    client.simple("SET shardloom.shard = 's1'; RESET ALL");
    assert_eq!(value(&mut client, COUNT), "30");
    client.simple("SET shardloom.shard = 's1'");
    client.simple("DISCARD ALL");
    assert_eq!(value(&mut client, COUNT), "30");
    assert_eq!(state(&mut client, "RESET shardloom.nonsense"), "42704");
}

#[tokio::test]
async fn what_is_set_locally_ends_with_the_transaction_and_what_is_rolled_back_was_never_set() {
    let (_database, _proxy, mut client) = start("steering_local").await;
    let parts = counts(&mut client);
    client.simple("BEGIN; SET LOCAL shardloom.shard = 's2'");
    assert_eq!(value(&mut client, COUNT), parts[2].1);
    client.simple("SAVEPOINT a; SET LOCAL shardloom.shard = 's0'");
    assert_eq!(value(&mut client, COUNT), parts[0].1);
    client.simple("ROLLBACK TO a");
    assert_eq!(value(&mut client, COUNT), parts[2].1);
    client.simple("COMMIT");
    assert_eq!(value(&mut client, COUNT), "30");
    client.simple("BEGIN; SET shardloom.shard = 's1'; ROLLBACK");
    assert_eq!(value(&mut client, "SHOW shardloom.shard"), "");
    client.simple("BEGIN; SET shardloom.shard = 's1'; SET LOCAL shardloom.shard TO DEFAULT");
    assert_eq!(value(&mut client, COUNT), "30");
    client.simple("COMMIT");
    assert_eq!(value(&mut client, COUNT), parts[1].1);
    // Outside of a block SET LOCAL warns and does nothing.
    client.simple("RESET shardloom.shard");
    assert_eq!(client.simple("SET LOCAL shardloom.shard = 's1'").tags(), ["SET"]);
    assert_eq!(value(&mut client, COUNT), "30");
}

/// Rows for every shard.
fn insert(from: u32) -> String {
    let rows: Vec<String> = (from..from + 12).map(|id| format!("({id}, 'new', 0)")).collect();
    format!("INSERT INTO customers VALUES {}", rows.join(", "))
}

#[tokio::test]
async fn a_key_that_is_set_binds_what_nothing_else_binds() {
    let (_database, proxy, mut client) = start("steering_key").await;
    let parts = counts(&mut client);
    let home = shard_of(&mut client, 7);
    let own = parts.iter().find(|(shard, _)| *shard == home).expect("it has a shard").1.clone();
    let elsewhere = (1..30).find(|id| shard_of(&mut client, *id) != home).expect("keys are spread");
    // One prepared statement follows what is set when it runs.
    let prepared = "SELECT count(*) FROM customers WHERE balance > $1";
    Pipeline::new().parse("held", prepared).sync().send(&mut client, 1);
    let held = |client: &mut RawClient| {
        let reply = Pipeline::new().bind("", "held", &[Some("0")]).execute("", 0).sync().send(client, 1).remove(0);
        reply.rows()[0][0].clone().expect("a count")
    };
    assert_eq!(held(&mut client), "30");
    assert_eq!(client.simple("SET shardloom.sharding_key = '7'").tags(), ["SET"]);
    assert_eq!((value(&mut client, COUNT), held(&mut client)), (own.clone(), own.clone()));
    let route = value(&mut client, &format!("/* shardloom: sharding_key={elsewhere} */ EXPLAIN (ROUTE) {COUNT}"));
    assert!(!route.contains(&home), "{route}");
    assert_eq!(value(&mut client, "SELECT name FROM customers WHERE customer_id = 7"), "name 7");
    assert_eq!(state(&mut client, &format!("SELECT name FROM customers WHERE customer_id = {elsewhere}")), "22023");
    assert_eq!(state(&mut client, &insert(500)), "22023");
    assert_eq!(state(&mut client, "TRUNCATE customers"), "0A000");
    // A write without the key, which is refused otherwise, changes the one shard's rows.
    assert_eq!(client.simple("UPDATE customers SET balance = -1").tags(), [format!("UPDATE {own}")]);
    client.simple("RESET shardloom.sharding_key");
    assert_eq!(value(&mut client, "SELECT count(*) FROM customers WHERE balance = -1"), own);
    assert_eq!(state(&mut client, "UPDATE customers SET balance = -1"), "22023");
    assert_eq!(held(&mut client), (30 - own.parse::<u32>().expect("a count")).to_string());
    client.simple("SET shardloom.sharding_key = 'seven'");
    assert_eq!(state(&mut client, COUNT), "22P02");
    assert_eq!(state(&mut client, "SET shardloom.sharding_key = '7 */ x'"), "22023");
    // Others hear nothing of it.
    assert_eq!(value(&mut proxy.raw(), COUNT), "30");
}

/// Returns how a transaction was committed, as the ledger of its home says.
async fn mode(database: &TestDatabase, txid: &str) -> String {
    for shard in 0..3 {
        let client = database.service(shard).await;
        let sql = format!("SELECT mode FROM shardloom.ledger WHERE txid = {txid}");
        if let Some(row) = client.query_opt(sql.as_str(), &[]).await.expect("the ledger") {
            return row.get(0);
        }
    }
    panic!("no ledger has {txid}");
}

#[tokio::test]
async fn two_phase_can_be_asked_for_by_a_session() {
    let (database, _proxy, mut client) = start("steering_mode").await;
    assert_eq!(value(&mut client, "SHOW shardloom.multi_shard"), "auto");
    client.simple("SET shardloom.multi_shard = 'two_phase'");
    assert_eq!(value(&mut client, "SHOW shardloom.multi_shard"), "two_phase");
    assert_eq!(client.simple(&insert(1000)).error(), None);
    let txid = value(&mut client, "SHOW shardloom.last_txn");
    assert_eq!(mode(&database, &txid).await, "two_phase");
    assert_eq!(state(&mut client, "SET shardloom.multi_shard = 'nonsense'"), "22023");
    client.simple("RESET shardloom.multi_shard");
    assert_eq!(client.simple(&insert(2000)).error(), None);
    let next = value(&mut client, "SHOW shardloom.last_txn");
    assert_ne!(next, txid);
    assert_ne!(mode(&database, &next).await, "two_phase");
}
