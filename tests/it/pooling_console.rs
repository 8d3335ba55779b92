//! The console's verbs, and the console for drivers.

use crate::pooling::{proxy_with, show, until, value};
use crate::support::{RawClient, TestDatabase};

/// Goal: PAUSE waits for the transaction that is open, holds statements back without failing them, and RESUME lets them
/// go on; other databases are not touched.
#[tokio::test]
async fn pause_waits_for_transactions_and_holds_statements_until_resume() {
    let (_database, proxy) = proxy_with("pause", 2, "pool: {size: 3, wait: 500ms}").await;
    let other = TestDatabase::new("pause_other");
    let (mut open, mut held) = (proxy.raw_to(&other.name), proxy.raw_to(&other.name));
    let mut elsewhere = proxy.raw_to("postgres");
    assert_eq!(open.simple("BEGIN; SELECT 1").error(), None);
    let (mut console, name) = (proxy.raw_to("shardloom"), other.name.clone());
    let pausing = std::thread::spawn(move || console.simple(&format!("PAUSE {name}")));
    until(&proxy, "DATABASES", |rows| rows.iter().any(|row| row[0] == other.name && row[10] == "true")).await;
    assert!(!pausing.is_finished());
    assert_eq!(open.simple("COMMIT").error(), None);
    assert_eq!(pausing.join().expect("PAUSE").tags(), ["PAUSE"]);
    assert!(show(&proxy, "SERVERS").iter().all(|row| row[2] != other.name));
    assert_eq!(proxy.raw_to("shardloom").simple(&format!("PAUSE {}", other.name)).error().unwrap().0, "55000");

    let holding = std::thread::spawn(move || held.simple("SELECT 1").error());
    until(&proxy, "POOLS", |pools| pools.iter().any(|row| row[2] == other.name && row[6] == "1")).await;
    assert_eq!(elsewhere.simple("SELECT 1").error(), None);
    // Longer than pool.wait: a pause counts as no wait.
    until(&proxy, "POOLS", |pools| pools.iter().any(|row| row[2] == other.name && row[8].parse::<u64>().unwrap() >= 1))
        .await;
    assert!(!holding.is_finished());
    assert_eq!(proxy.raw_to("shardloom").simple(&format!("RESUME {}", other.name)).tags(), ["RESUME"]);
    assert_eq!(holding.join().expect("the held one"), None);
    assert_eq!(proxy.raw_to("shardloom").simple("RESUME").error().unwrap().0, "55000");
}

/// Goal: a transaction that has begun gets the shards that it still needs, so that PAUSE can come to its end.
#[tokio::test]
async fn pause_lets_a_transaction_reach_its_other_shards() {
    let (database, proxy) = proxy_with("pause_shards", 1, "pool: {size: 3, wait: 5s}").await;
    let mut open = proxy.raw_to(&database.name);
    assert_eq!(open.simple("CREATE TABLE customers (customer_id bigint PRIMARY KEY, n int)").error(), None);
    let rows: Vec<String> = (1..=12).map(|id| format!("({id}, 0)")).collect();
    assert_eq!(open.simple(&format!("INSERT INTO customers VALUES {}", rows.join(", "))).error(), None);
    assert_eq!(open.simple("BEGIN; UPDATE customers SET n = 1 WHERE customer_id = 1").error(), None);
    let mut console = proxy.raw_to("shardloom");
    let pausing = std::thread::spawn(move || console.simple("PAUSE"));
    until(&proxy, "DATABASES", |rows| rows.iter().any(|row| row[0] == database.name && row[10] == "true")).await;
    for id in 2..=12 {
        let updated = open.simple(&format!("UPDATE customers SET n = 1 WHERE customer_id = {id}"));
        assert_eq!(updated.tags(), ["UPDATE 1"], "{updated:?}");
    }
    assert_eq!(value(&open.simple("SELECT sum(n) FROM customers")), "12");
    assert!(!pausing.is_finished());
    assert_eq!(open.simple("COMMIT").error(), None);
    assert_eq!(pausing.join().expect("PAUSE").tags(), ["PAUSE"]);
    assert_eq!(proxy.raw_to("shardloom").simple("RESUME").tags(), ["RESUME"]);
    assert_eq!(value(&open.simple("SELECT sum(n) FROM customers")), "12");
}

/// Goal: RECONNECT makes new connections without disturbing a transaction; WAIT_CLOSE waits for the last old one.
#[tokio::test]
async fn reconnect_replaces_connections_and_wait_close_waits_for_them() {
    let (_database, proxy) = proxy_with("reconnect", 1, "pool: {size: 3}").await;
    let (mut idle, mut open) = (proxy.raw_to("postgres"), proxy.raw_to("postgres"));
    assert_eq!(open.simple("BEGIN").error(), None);
    let pid_of_open = value(&open.simple("SELECT pg_backend_pid()"));
    let pid = value(&idle.simple("SELECT pg_backend_pid()"));
    let mut console = proxy.raw_to("shardloom");
    assert_eq!(console.simple("RECONNECT postgres").tags(), ["RECONNECT"]);
    let waiting = std::thread::spawn(move || console.simple("WAIT_CLOSE postgres").tags());
    until(&proxy, "SERVERS", |rows| rows.iter().all(|row| row[8] != pid)).await;
    assert_ne!(value(&idle.simple("SELECT pg_backend_pid()")), pid);
    assert_eq!(value(&open.simple("SELECT pg_backend_pid()")), pid_of_open);
    assert!(!waiting.is_finished());
    assert_eq!(open.simple("COMMIT").error(), None);
    assert_eq!(waiting.join().expect("WAIT_CLOSE"), ["WAIT_CLOSE"]);
    assert_ne!(value(&open.simple("SELECT pg_backend_pid()")), pid_of_open);
}

fn id_of(proxy: &crate::support::Proxy, database: &str) -> String {
    let clients = show(proxy, "CLIENTS");
    clients.iter().find(|row| row[2] == database).unwrap_or_else(|| panic!("{clients:?}"))[0].clone()
}

/// Goal: KILL_CLIENT ends one client, idle or at work; KILL ends those of a database and pauses it.
#[tokio::test]
async fn kill_ends_clients_with_what_they_have_open() {
    let (_database, proxy) = proxy_with("kill", 2, "pool: {size: 3}").await;
    let (one, two) = (TestDatabase::new("kill_one"), TestDatabase::new("kill_two"));
    let mut console = proxy.raw_to("shardloom");
    let mut idle = proxy.raw_to(&one.name);
    let killed = console.simple(&format!("KILL_CLIENT {}", id_of(&proxy, &one.name)));
    assert_eq!(killed.tags(), ["KILL_CLIENT"]);
    assert!(String::from_utf8_lossy(&idle.read_to_end()).contains("C57P01\0"));
    assert_eq!(console.simple("KILL_CLIENT 999999").error().unwrap().0, "42704");

    let mut busy = proxy.raw_to(&one.name);
    let working = std::thread::spawn(move || {
        busy.send(b"Q\0\0\0\x18SELECT pg_sleep(60)\0");
        String::from_utf8_lossy(&busy.read_to_end()).into_owned()
    });
    until(&proxy, "CLIENTS", |rows| rows.iter().any(|row| row[2] == one.name && row[4] == "active")).await;
    console.simple(&format!("KILL_CLIENT {}", id_of(&proxy, &one.name)));
    let heard = working.join().expect("the busy one");
    assert!(heard.contains("C57014\0") && heard.contains("C57P01\0"), "{heard}");

    let (mut open, mut spared) = (proxy.raw_to(&two.name), proxy.raw_to(&one.name));
    assert_eq!(open.simple("BEGIN; CREATE TABLE of_a_killed_one ()").error(), None);
    assert_eq!(console.simple(&format!("KILL {}", two.name)).tags(), ["KILL"]);
    assert!(String::from_utf8_lossy(&open.read_to_end()).contains("C57P01\0"));
    assert_eq!(spared.simple("SELECT 1").error(), None);
    assert_eq!(console.simple(&format!("RESUME {}", two.name)).tags(), ["RESUME"]);
    let left = "SELECT count(*) FROM pg_class WHERE relname = 'of_a_killed_one'";
    assert_eq!(value(&proxy.raw_to(&two.name).simple(left)), "0");
}

/// Goal: DISABLE refuses new clients and leaves those that are there; ENABLE ends it; bad words get a hint.
#[tokio::test]
async fn disable_refuses_new_clients_and_bad_words_get_a_hint() {
    let (_database, proxy) = proxy_with("disable", 1, "").await;
    let (mut console, mut inside) = (proxy.raw_to("shardloom"), proxy.raw_to("postgres"));
    assert_eq!(console.simple("DISABLE postgres").tags(), ["DISABLE"]);
    let start = [("user", "app"), ("database", "postgres")];
    let (_, message) = RawClient::try_connect(proxy.port(), &start, "app").unwrap_err();
    assert_eq!(message, "database \"postgres\" is disabled");
    assert_eq!(inside.simple("SELECT 1").error(), None);
    assert_eq!(console.simple("ENABLE postgres").tags(), ["ENABLE"]);
    assert!(RawClient::try_connect(proxy.port(), &start, "app").is_ok());
    for (sql, state) in [("SHOW POOL", "42601"), ("PAUSE a b", "42601"), ("SUSPEND", "0A000"), ("SET x = 1", "0A000")] {
        assert_eq!(console.simple(sql).error().expect(sql).0, state, "{sql}");
    }
}

/// Goal: a driver that prepares everything reads the console like any database.
#[tokio::test]
async fn the_console_answers_the_extended_protocol() {
    let (_database, proxy) = proxy_with("extended", 1, "").await;
    let console = proxy.console().await;
    let rows = console.query("SHOW USERS", &[]).await.unwrap();
    assert_eq!((rows[0].get::<_, &str>("name"), rows[0].get::<_, &str>("console")), ("app", "true"));
    let statement = console.prepare("SHOW LISTS").await.unwrap();
    assert_eq!(statement.columns().iter().map(|column| column.name()).collect::<Vec<_>>(), ["list", "items"]);
    assert!(console.query(&statement, &[]).await.unwrap().iter().any(|row| row.get::<_, &str>(0) == "used_clients"));
    console.execute("RELOAD", &[]).await.unwrap();
    let error = console.query("SHOW NOTHING", &[]).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("42601"));
    assert!(!console.query("SHOW MEM", &[]).await.unwrap().is_empty(), "the console recovers at Sync");
    for topic in ["POOLS", "CLIENTS", "SERVERS", "DATABASES", "CONFIG", "STATS", "VERSION", "HELP"] {
        console.query(&format!("SHOW {topic}"), &[]).await.unwrap_or_else(|error| panic!("{topic}: {error:?}"));
    }
}

/// Goal: SHUTDOWN WAIT_FOR_CLIENTS takes no new client, leaves those that are there alone and ends after the last.
#[tokio::test]
async fn shutdown_waits_for_clients_or_servers_or_nobody() {
    let (_database, mut proxy) = proxy_with("shutdown", 2, "").await;
    let mut client = proxy.raw_to("postgres");
    assert_eq!(proxy.raw_to("shardloom").simple("SHUTDOWN WAIT_FOR_CLIENTS").tags(), ["SHUTDOWN"]);
    let deadline = std::time::Instant::now() + crate::pooling::BOUND;
    while std::net::TcpStream::connect(("127.0.0.1", proxy.port())).is_ok() {
        assert!(std::time::Instant::now() < deadline, "it still listens");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(client.simple("SELECT 1").error(), None);
    assert_eq!(client.simple("BEGIN; SELECT 1; COMMIT").error(), None);
    drop(client);
    proxy.ended().await;

    proxy.restart().await;
    let (mut open, mut idle) = (proxy.raw_to("postgres"), proxy.raw_to("postgres"));
    assert_eq!(open.simple("BEGIN; SELECT 1").error(), None);
    assert_eq!(proxy.raw_to("shardloom").simple("SHUTDOWN WAIT_FOR_SERVERS").tags(), ["SHUTDOWN"]);
    assert!(String::from_utf8_lossy(&idle.read_to_end()).contains("C57P01\0"));
    assert_eq!(open.simple("COMMIT").tags(), ["COMMIT"]);
    proxy.ended().await;

    proxy.restart().await;
    let mut open = proxy.raw_to("postgres");
    assert_eq!(open.simple("BEGIN; SELECT 1").error(), None);
    assert_eq!(proxy.raw_to("shardloom").simple("SHUTDOWN").tags(), ["SHUTDOWN"]);
    assert!(String::from_utf8_lossy(&open.read_to_end()).contains("C57P01\0"));
    proxy.ended().await;
}
