//! Stock pgbench, unmodified, through the proxy over three shards with the rules of `examples/pgbench`.

use std::process::{Command, Output, Stdio};

use shardloom::dev::{APP_PASSWORD, APP_USER};

use crate::support::{Proxy, ProxyOptions, TestDatabase, client_program};

const RULES: &str = include_str!("../../examples/pgbench/rules/pgbench.yaml");
/// The protocol modes that pgbench knows.
const MODES: [&str; 3] = ["simple", "extended", "prepared"];
/// Few of each, so that the whole takes seconds: what is asked here is whether it works, not how fast.
const CLIENTS: usize = 4;
const TRANSACTIONS: usize = 20;
/// The rows that `pgbench -i -s 1` makes.
const ACCOUNTS: i64 = 100_000;

/// Runs pgbench against the proxy; panics with what it said unless it ends well.
pub fn pgbench(proxy: &Proxy, database: &str, arguments: &[&str]) -> String {
    let (succeeded, said) = pgbench_at(proxy.port(), database, arguments);
    assert!(succeeded, "pgbench {arguments:?}: {said}\n{}", proxy.log());
    said
}

/// Runs pgbench against a port; tells whether it ended well, and what it said.
pub fn pgbench_at(port: u16, database: &str, arguments: &[&str]) -> (bool, String) {
    let output: Output = Command::new(client_program("pgbench"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", APP_USER])
        .args(arguments)
        .arg(database)
        .env("PGPASSWORD", APP_PASSWORD)
        .stdin(Stdio::null())
        .output()
        .expect("pgbench runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// Runs one of pgbench's own scripts in one mode; every transaction must go through.
fn run(proxy: &Proxy, database: &str, script: &str, mode: &str) {
    let (clients, transactions) = (CLIENTS.to_string(), TRANSACTIONS.to_string());
    let arguments = ["-n", "-b", script, "-M", mode, "-c", &clients, "-j", "2", "-t", &transactions];
    let said = pgbench(proxy, database, &arguments);
    let all = CLIENTS * TRANSACTIONS;
    assert!(said.contains(&format!("transactions actually processed: {all}/{all}\n")), "{script} {mode}: {said}");
    assert!(said.contains("number of failed transactions: 0 "), "{script} {mode}: {said}");
}

async fn number(client: &tokio_postgres::Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// Goal: pgbench's three scripts run in all protocol modes without a failure, rows are where their keys say, and the
/// money adds up: what was added to accounts, tellers and branches is what the history tells.
#[tokio::test]
async fn stock_scripts_run_in_every_mode_and_the_four_sums_are_equal() {
    let database = TestDatabase::new("pgbench");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    pgbench(&proxy, &database.name, &["-i", "-q", "-s", "1"]);
    let client = proxy.client().await;
    assert_eq!(number(&client, "SELECT count(*) FROM pgbench_accounts").await, ACCOUNTS);
    for index in 0..3 {
        let held = number(&database.shard(index).await, "SELECT count(*) FROM pgbench_accounts").await;
        assert!((1..ACCOUNTS).contains(&held), "shard {index} holds {held} accounts");
    }
    for mode in MODES {
        run(&proxy, &database.name, "tpcb-like", mode);
        assert_sums_equal(&client, mode).await;
        run(&proxy, &database.name, "select-only", mode);
    }
    let written = (MODES.len() * CLIENTS * TRANSACTIONS) as i64;
    assert_eq!(number(&client, "SELECT count(*) FROM pgbench_history").await, written);
    // The simple update touches neither tellers nor branches, so it comes after the sums.
    for mode in MODES {
        run(&proxy, &database.name, "simple-update", mode);
    }
    let sums = [
        number(&client, "SELECT sum(abalance) FROM pgbench_accounts").await,
        number(&client, "SELECT sum(delta) FROM pgbench_history").await,
    ];
    assert_eq!(sums[0], sums[1]);
    assert_eq!(number(&client, "SELECT count(*) FROM pgbench_history").await, 2 * written);
}

async fn assert_sums_equal(client: &tokio_postgres::Client, mode: &str) {
    let mut sums = Vec::new();
    for query in [
        "SELECT sum(abalance) FROM pgbench_accounts",
        "SELECT sum(tbalance) FROM pgbench_tellers",
        "SELECT sum(bbalance) FROM pgbench_branches",
        "SELECT sum(delta) FROM pgbench_history",
    ] {
        sums.push(number(client, query).await);
    }
    assert!(sums.iter().all(|sum| *sum == sums[0]), "after {mode}: {sums:?}");
}
