//! A long outage: one target is away while thousands of writes pile up for it, until the backlog's limit; then it comes
//! back with a row that it refuses.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::Client;

use crate::chaos_invariants::Inspector;
use crate::support::{Proxy, ProxyOptions, SERVICE_PASSWORD, Shards, TestDatabase, connect_as, servers, shardloom};
use shardloom::dev::SERVICE_USER;

const RULES: &str = "kind: ReferenceTables
tables: [regions]
";

/// Writes that pile up.
const PILE: usize = 12_000;
/// Writes in one message to the proxy.
const PER_MESSAGE: usize = 50;
/// The row that the target refuses when it is back.
const POISON: i64 = 777;
/// Longest wait for the live copy, and for the other when it is back.
const WAIT: Duration = Duration::from_secs(240);

/// Goal: an outage costs no write and no attempts, the other copy is not held up – not even by an idle writer in another
/// database of home's server –, the limit refuses with 53400, and on return everything arrives but what is refused there.
#[tokio::test]
async fn a_long_outage_ends_with_everything_in_place() {
    let database = TestDatabase::new("outage");
    let (shards, cutters) = Shards::behind_cutters(&database);
    let options = ProxyOptions { config: format!("relay: {{backlog: {PILE}}}"), ..ProxyOptions::default() };
    let proxy = Proxy::start_over(shards, RULES, options).await;
    proxy.gates_open().await;
    let client = proxy.client().await;
    client.batch_execute("CREATE TABLE regions (id bigint PRIMARY KEY, version bigint NOT NULL)").await.unwrap();
    client.batch_execute("INSERT INTO regions VALUES (0, 0)").await.unwrap();
    let mut connections = Vec::new();
    for index in 0..3 {
        connections.push(database.service(index).await);
    }
    let inspector = Inspector::new(connections);
    inspector.settled().await;

    let elsewhere = connect_as(servers().shards[0].port(), "postgres", SERVICE_USER, SERVICE_PASSWORD).await.unwrap();
    elsewhere.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    cutters[1].refuse(true);
    inspector.shard(1).batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await.unwrap();
    inspector.shard(1).batch_execute(&format!("ALTER TABLE regions ADD CHECK (id <> {POISON})")).await.unwrap();

    let began = Instant::now();
    let written = pile_up(&client).await;
    println!("{written} writes in {:.1?} while s1 is away", began.elapsed());
    assert!(written >= PILE, "refused after {written} of {PILE}");
    until(&inspector, 2, "SELECT count(*) FROM regions", written as i64 + 1).await;
    let lanes = proxy.http("/api/v1/lanes").unwrap().1;
    assert!(lanes.contains("\"pending\":"), "{lanes}");
    let spent = "SELECT coalesce(max(attempts), 0) FROM shardloom.ledger_target";
    assert_eq!(inspector.sum(spent).await, 0, "an outage uses up no attempts");

    let began = Instant::now();
    cutters[1].refuse(false);
    until(&inspector, 1, "SELECT count(*) FROM regions", written as i64).await;
    println!("{written} writes drained in {:.1?}", began.elapsed());
    until(&inspector, 0, "SELECT count(*) FROM shardloom.ledger_target WHERE state = 'DEAD'", 1).await;
    elsewhere.batch_execute("ROLLBACK").await.unwrap();
    a_poisoned_row_parks_its_key(&client, &inspector).await;

    inspector.shard(1).batch_execute("ALTER TABLE regions DROP CONSTRAINT regions_id_check").await.unwrap();
    let dead = "SELECT txid FROM shardloom.ledger_target WHERE state = 'DEAD'";
    let txid: i64 = inspector.shard(0).query_one(dead, &[]).await.unwrap().get(0);
    let port = proxy.admin_port().to_string();
    let arguments =
        ["ledger", "retry", &txid.to_string(), "--reason", "the check is gone", "--json", "--admin-port", &port];
    let output = shardloom(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text} {output:?}");
    inspector.settled().await;
    inspector.copies_equal("regions").await;
    inspector.ledger_agrees().await;
}

/// Writes one row per transaction until the backlog's limit; returns how many were taken.
async fn pile_up(client: &Client) -> usize {
    let mut written = 0;
    let began = Instant::now();
    loop {
        let message: Vec<String> = (1..=PER_MESSAGE)
            .map(|row| format!("BEGIN; INSERT INTO regions VALUES ({}, 0); COMMIT", written + row))
            .collect();
        match client.batch_execute(&message.join("; ")).await {
            Ok(()) => written += PER_MESSAGE,
            Err(error) => {
                assert_eq!(error.code().map(|code| code.code()), Some("53400"), "{error:?}");
                client.batch_execute("ROLLBACK").await.unwrap();
                let count = client.query_one("SELECT count(*) FROM regions", &[]).await.unwrap();
                return count.get::<_, i64>(0) as usize - 1;
            }
        }
        assert!(began.elapsed() < WAIT, "{written} writes and no limit");
    }
}

/// A later write of the refused row waits behind it; others pass.
async fn a_poisoned_row_parks_its_key(client: &Client, inspector: &Inspector) {
    client.batch_execute(&format!("UPDATE regions SET version = 1 WHERE id = {POISON}")).await.unwrap();
    client.batch_execute(&format!("UPDATE regions SET version = 1 WHERE id = {}", POISON + 1)).await.unwrap();
    until(inspector, 1, &format!("SELECT version FROM regions WHERE id = {}", POISON + 1), 1).await;
    until(inspector, 0, "SELECT count(*) FROM shardloom.ledger_target WHERE state = 'PARKED'", 1).await;
}

async fn until(inspector: &Inspector, shard: usize, sql: &str, wanted: i64) {
    let began = Instant::now();
    loop {
        let row = inspector.shard(shard).query_one(&format!("SELECT ({sql})::bigint"), &[]).await.expect(sql);
        let found: Option<i64> = row.get(0);
        if found == Some(wanted) {
            return;
        }
        assert!(began.elapsed() < WAIT, "{sql} on s{shard}: {found:?}, wanted {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
