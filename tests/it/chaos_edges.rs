//! Full disks, servers that prepare nothing, two proxies at once, a port that is taken.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use shardloom::dev::{APP_PASSWORD, DevCluster, DevOptions};

use crate::chaos::inspect;
use crate::chaos_bank::{self, RULES, SCHEMA, Told};
use crate::chaos_invariants::Inspector;
use crate::support::{Proxy, ProxyOptions, SERVICE_PASSWORD, TestDatabase};

/// Transfers and writes of two proxies together.
const ANSWERS: usize = 300;
/// Longest wait for them.
const WAIT: Duration = Duration::from_secs(60);

/// Goal: two proxies write over the same shards at the same time; the relay's lease has one owner, no id comes twice.
#[tokio::test]
async fn two_proxies_write_at_the_same_time() {
    let database = TestDatabase::new("two_proxies");
    let first = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    first.client().await.batch_execute(SCHEMA).await.expect("the schema");
    chaos_bank::open_accounts(&first.client().await).await;
    let mut second = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let told = Arc::new(Told::default());
    let mut load = tokio::task::JoinSet::new();
    for (seed, port) in [(1, first.port()), (2, second.port()), (3, first.port()), (4, second.port())] {
        load.spawn(chaos_bank::transfer_until_stopped(port, database.name.clone(), seed, told.clone()));
    }
    let began = Instant::now();
    let mut killed = false;
    while told.answers.load(Ordering::Relaxed) < ANSWERS {
        assert!(began.elapsed() < WAIT, "{} answers: {:?}", told.answers.load(Ordering::Relaxed), told.wrong);
        if !killed && told.answers.load(Ordering::Relaxed) > ANSWERS / 2 {
            killed = true;
            second.restart().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    told.stop.store(true, Ordering::Relaxed);
    while load.join_next().await.is_some() {}
    told.nothing_wrong();
    let inspector = inspector(&database).await;
    inspector.settled().await;
    inspector.ledger_agrees().await;
    chaos_bank::books_balance(&inspector, &told).await;
}

/// Goal: what a proxy without the relay's lease has written on shards and in a reference table, the owner delivers at
/// once, and not only when it is old enough to be taken for given up.
#[tokio::test]
async fn mixed_writes_of_the_other_proxy_hold_nobody_up() {
    let database = TestDatabase::new("mixed_proxies");
    let rules = "kind: TableGroup
name: accounts
key: {type: bigint}
tables: {accounts: {key: id}}
---
kind: ReferenceTables
tables: [rates]
";
    let first = Proxy::start(&database, rules, ProxyOptions::default()).await;
    let client = first.client().await;
    client.batch_execute("CREATE TABLE accounts (id bigint PRIMARY KEY, n bigint NOT NULL)").await.unwrap();
    client.batch_execute("CREATE TABLE rates (id bigint PRIMARY KEY, n bigint NOT NULL)").await.unwrap();
    let rows: Vec<String> = (1..=12).map(|id| format!("({id}, 0)")).collect();
    client.batch_execute(&format!("INSERT INTO accounts VALUES {}", rows.join(", "))).await.unwrap();
    client.batch_execute("INSERT INTO rates VALUES (1, 0)").await.unwrap();
    let second = Proxy::start(&database, rules, ProxyOptions::default()).await;
    for proxy in [&first, &second] {
        let client = proxy.client().await;
        for round in 0..8 {
            let change = |id: i32| format!("UPDATE accounts SET n = n + 1 WHERE id = {id}");
            let mixed = format!(
                "BEGIN; UPDATE rates SET n = n + 1; {}; {}; {}; COMMIT",
                change(1 + round),
                change(2 + round),
                change(4 + round)
            );
            client.batch_execute(&mixed).await.unwrap();
            let row = client.query_one("SHOW shardloom.last_txn", &[]).await.unwrap();
            let wait = format!("SELECT shardloom.wait_for({}, '4s')", row.get::<_, String>(0));
            let arrived = client.simple_query(&wait).await.unwrap();
            let said = arrived.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            assert_eq!(said, Some("t"), "round {round}");
        }
    }
    let inspector = inspector(&database).await;
    inspector.settled().await;
    inspector.copies_equal("rates").await;
    inspector.ledger_agrees().await;
    assert_eq!(inspector.sum("SELECT sum(n) FROM accounts").await, 2 * 8 * 3);
    assert_eq!(inspector.sum("SELECT n FROM rates").await, 3 * 16);
}

async fn inspector(database: &TestDatabase) -> Inspector {
    let mut shards = Vec::new();
    for index in 0..3 {
        shards.push(database.service(index).await);
    }
    Inspector::new(shards)
}

/// Raises what PostgreSQL raises on a full disk, for every row of a table.
const FULL: &str = "CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$; \
    CREATE TRIGGER full_disk BEFORE INSERT ON";

/// Goal: a full disk of home is the client's error and nothing is written anywhere; a full disk of a copy is waited for
/// without using up attempts.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let database = TestDatabase::new("full_disk");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let client = proxy.client().await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    chaos_bank::open_accounts(&client).await;
    let inspector = inspector(&database).await;
    inspector.settled().await;
    for index in 0..3 {
        inspector
            .shard(index)
            .batch_execute(&format!("{FULL} shardloom.ledger FOR EACH ROW EXECUTE FUNCTION public.full_disk()"))
            .await
            .unwrap();
    }
    for way in ["", "SET LOCAL shardloom.multi_shard = 'two_phase';"] {
        let error =
            client.batch_execute(&format!("BEGIN; {way} UPDATE accounts SET balance = 0; COMMIT")).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("53100"), "{error:?}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    let error = client.batch_execute("INSERT INTO regions VALUES (1, 1)").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("53100"), "{error:?}");
    for index in 0..3 {
        inspector.shard(index).batch_execute("DROP FUNCTION public.full_disk() CASCADE").await.unwrap();
    }
    chaos_bank::books_balance(&inspector, &Told::default()).await;
    assert_eq!(inspector.sum("SELECT count(*) FROM regions").await, 0);

    inspector
        .shard(1)
        .batch_execute(&format!("{FULL} shardloom.inbox FOR EACH ROW EXECUTE FUNCTION public.full_disk()"))
        .await
        .unwrap();
    client.batch_execute("INSERT INTO regions VALUES (1, 1)").await.expect("home has room");
    let began = Instant::now();
    let waiting = "SELECT count(*) FROM shardloom.ledger_target WHERE state = 'RETRY' AND last_sqlstate = '53100' AND attempts = 0";
    while inspector.sum(waiting).await == 0 {
        assert!(began.elapsed() < WAIT, "{:?}", inspector.rows("SELECT * FROM shardloom.ledger_target").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    inspector.shard(1).batch_execute("DROP FUNCTION public.full_disk() CASCADE").await.unwrap();
    inspector.settled().await;
    inspector.copies_equal("regions").await;
    inspector.ledger_agrees().await;
}

/// Goal: where the servers prepare nothing, what needs two_phase is refused with the hint, and leaves nothing behind.
#[tokio::test]
async fn without_prepared_transactions_two_phase_is_refused_with_a_hint() {
    let setting = "max_prepared_transactions=0".parse().expect("a setting");
    let options =
        DevOptions { shards: 2, data: None, database: "unprepared".to_owned(), server_options: vec![setting] };
    let cluster =
        std::thread::spawn(move || DevCluster::up(&options, &mut |_| {}).expect("the servers")).join().unwrap();
    for shard in cluster.shards() {
        let client = crate::support::connect(shard.port(), cluster.database()).await;
        client.batch_execute(SCHEMA).await.expect("the schema");
    }
    let proxy = Proxy::start_on(&cluster, RULES, ProxyOptions::default()).await;
    let client = proxy.client().await;
    chaos_bank::open_accounts(&client).await;
    let inspector = inspect(&cluster).await;
    inspector.settled().await;
    let way = "SET LOCAL shardloom.multi_shard = 'two_phase'";
    for sql in ["TRUNCATE wallets".to_owned(), format!("BEGIN; {way}; UPDATE accounts SET balance = 0; COMMIT")] {
        let error = client.batch_execute(&sql).await.unwrap_err();
        let error = error.as_db_error().expect("an error of the database");
        assert_eq!(error.code().code(), "55000", "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("max_prepared_transactions")), "{error:?}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    inspector.settled().await;
    inspector.ledger_agrees().await;
    for table in ["accounts", "wallets"] {
        let sum = inspector.sum(&format!("SELECT sum(balance) FROM {table}")).await;
        assert_eq!(sum, chaos_bank::ACCOUNTS * 1_000, "{table}");
    }
}

/// Goal: a second proxy on the same port says so and ends with 2; the first one does not notice.
#[tokio::test]
async fn a_port_in_use_ends_the_second_proxy_with_2() {
    let database = TestDatabase::new("port_in_use");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let configuration = proxy.rules_folder().parent().expect("its folder").join("shardloom.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_shardloom"))
        .args(["serve", "--config"])
        .arg(configuration)
        .env("APP_PASSWORD", APP_PASSWORD)
        .env("SERVICE_PASSWORD", SERVICE_PASSWORD)
        .stdin(Stdio::null())
        .output()
        .expect("shardloom runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&proxy.port().to_string()) && said.contains("another process"), "{said}");
    proxy.client().await.batch_execute("SELECT 1").await.expect("the first proxy still answers");
}
