//! Pool modes, fairness and connections that end by themselves, over databases of home that are not sharded.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::pgbench::pgbench;
use crate::protocol::RULES;
use crate::support::{Pipeline, Proxy, ProxyOptions, RawClient, Reply, TestDatabase, connect_as, servers};

/// How long anything here may take to come about; the usual is far less.
pub const BOUND: Duration = Duration::from_secs(30);

/// Starts a proxy that serves databases of home as they are.
pub async fn proxy_with(label: &str, workers: u16, config: &str) -> (TestDatabase, Proxy) {
    let database = TestDatabase::new(label);
    let config = format!("passthrough: any\n{config}");
    let proxy = Proxy::start(&database, RULES, ProxyOptions { workers, config, ..ProxyOptions::default() }).await;
    (database, proxy)
}

pub fn value(reply: &Reply) -> String {
    reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("no row: {reply:?}"))
}

/// Returns the console's rows of a SHOW.
pub fn show(proxy: &Proxy, topic: &str) -> Vec<Vec<String>> {
    let text = |cell: Option<String>| cell.unwrap_or_default();
    let rows = proxy.raw_to("shardloom").simple(&format!("SHOW {topic}")).rows();
    rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}

/// Waits until the console's rows are as wanted.
pub async fn until(proxy: &Proxy, topic: &str, holds: impl Fn(&[Vec<String>]) -> bool) -> Vec<Vec<String>> {
    let deadline = Instant::now() + BOUND;
    loop {
        let rows = show(proxy, topic);
        if holds(&rows) {
            return rows;
        }
        assert!(Instant::now() < deadline, "SHOW {topic} stays at {rows:?}\n{}", proxy.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Goal: in session mode everything stays with the client from its first statement to its end, and nothing of it is
/// seen by the next client, who gets the same server connection.
#[tokio::test]
async fn session_mode_keeps_the_server_and_hands_it_on_clean() {
    let (_database, proxy) = proxy_with("session", 1, "pool: {mode: session, size: 1, reserve: 0, wait: 20s}").await;
    let mut one = proxy.raw_to("postgres");
    let pid = value(&one.simple("SELECT pg_backend_pid()"));
    for sql in ["CREATE TEMP TABLE scratch (a int)", "SET work_mem = '7MB'", "SELECT pg_advisory_lock(77)"] {
        assert_eq!(one.simple(sql).error(), None, "{sql}");
    }
    assert_eq!(value(&one.simple("SELECT pg_backend_pid()")), pid);
    assert_eq!(value(&one.simple("SELECT count(*) FROM scratch")), "0");
    let clients = show(&proxy, "CLIENTS");
    let listed = clients.iter().find(|row| row[2] == "postgres").expect("the client is listed");
    assert_eq!((listed[6].is_empty(), listed[9].as_str()), (false, "session"), "{listed:?}");
    let servers = show(&proxy, "SERVERS");
    assert!(
        servers.iter().any(|row| row[2] == "postgres" && row[3] == "active" && row[7] == listed[10]),
        "{servers:?}"
    );
    drop(one);

    let mut two = proxy.raw_to("postgres");
    assert_eq!(value(&two.simple("SELECT pg_backend_pid()")), pid, "the connection was cleaned, not closed");
    assert_eq!(two.simple("SELECT * FROM scratch").error().expect("it is gone").0, "42P01");
    assert_ne!(value(&two.simple("SHOW work_mem")), "7MB");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77";
    assert_eq!(value(&two.simple(locks)), "0");
}

/// Goal: a client in session mode that only logged in keeps nobody waiting, and one that leaves in a transaction leaves
/// nothing committed.
#[tokio::test]
async fn session_mode_begins_with_the_first_statement() {
    let (_database, proxy) = proxy_with("first", 1, "pool: {mode: session, size: 1, reserve: 0, wait: 20s}").await;
    let database = TestDatabase::new("first_other");
    let silent = proxy.raw_to(&database.name);
    let mut busy = proxy.raw_to(&database.name);
    assert_eq!(busy.simple("BEGIN; CREATE TABLE left_behind_by_a_session ()").error(), None);
    drop(busy);
    let mut next = proxy.raw_to(&database.name);
    assert_eq!(value(&next.simple("SELECT count(*) FROM pg_class WHERE relname = 'left_behind_by_a_session'")), "0");
    drop(silent);
}

/// Goal: session mode over shards keeps one connection per shard, from its first use.
#[tokio::test]
async fn session_mode_over_shards_keeps_one_connection_each() {
    // The third connection is for the client that waited for the proxy's start: it may still be leaving.
    let config = "pool: {size: 3, reserve: 0, wait: 20s}\ndatabases: [{name: NAME, pool_mode: session}]";
    let database = TestDatabase::new("over");
    let config = config.replace("NAME", &database.name);
    let proxy = Proxy::start(&database, RULES, ProxyOptions { workers: 1, config, ..ProxyOptions::default() }).await;
    let mut client = proxy.raw();
    let pids = |client: &mut RawClient| {
        ["s0", "s1", "s2"]
            .map(|shard| value(&client.simple(&format!("/* shardloom: shard={shard} */ SELECT pg_backend_pid()"))))
    };
    let first = pids(&mut client);
    let mut other = proxy.raw();
    assert!(pids(&mut other).iter().all(|pid| !first.contains(pid)));
    assert_eq!(pids(&mut client), first);
}

/// Goal: statement mode refuses blocks in PgBouncer's words and serves everything that commits by itself; a user's or
/// database's mode wins over it.
#[tokio::test]
async fn statement_mode_refuses_blocks_only() {
    let config = "pool: {mode: statement, size: 2}\ndatabases: [{name: template1, pool_mode: transaction}]";
    let (_database, proxy) = proxy_with("statement", 1, config).await;
    let mut client = proxy.raw_to("postgres");
    let message = "transaction blocks not allowed in statement pooling mode".to_owned();
    let reply = client.simple("BEGIN");
    assert_eq!((reply.error(), reply.status), (Some(("0A000".to_owned(), message.clone())), 'I'));
    // Where the server has opened it already, the client goes, and the block with it.
    for sql in ["START TRANSACTION READ ONLY", "SELECT 1; BEGIN; SELECT 2"] {
        let mut bold = proxy.raw_to("postgres");
        Pipeline::new().query(sql).send_only(&mut bold);
        let last = std::iter::from_fn(|| bold.try_message()).last().expect(sql);
        assert_eq!(last.0, 'E', "{sql}");
        assert!(String::from_utf8_lossy(&last.1).contains(&message), "{sql}");
    }
    assert_eq!(client.simple("SELECT 1; SELECT 2").rows().len(), 2);
    let mut other = proxy.raw_to("template1");
    assert_eq!(other.simple("BEGIN").status, 'T');
    assert_eq!(other.simple("COMMIT").tags(), ["COMMIT"]);
}

/// Goal: who waits is served in the order of coming. Method: one connection is held; each waiter comes when the one
/// before it is seen in the queue; their rows tell the order in which they ran.
#[tokio::test]
async fn waiters_are_served_in_the_order_of_coming() {
    const WAITERS: usize = 4;
    let (_database, proxy) = proxy_with("order", 1, "pool: {size: 1, reserve: 0, wait: 60s}").await;
    let other = TestDatabase::new("order_other");
    let table = "CREATE TABLE came (at serial, who int)";
    let mut holder = proxy.raw_to(&other.name);
    assert_eq!(holder.simple(table).error(), None);
    let waiters: Vec<RawClient> = (0..WAITERS).map(|_| proxy.raw_to(&other.name)).collect();
    assert_eq!(holder.simple("BEGIN; SELECT 1").error(), None);
    let mut threads = Vec::new();
    for (who, mut waiter) in waiters.into_iter().enumerate() {
        threads
            .push(std::thread::spawn(move || waiter.simple(&format!("INSERT INTO came (who) VALUES ({who})")).error()));
        let queued = (who + 1).to_string();
        until(&proxy, "POOLS", |pools| pools.iter().any(|pool| pool[2] == other.name && pool[6] == queued)).await;
    }
    assert_eq!(holder.simple("COMMIT").error(), None);
    for thread in threads {
        assert_eq!(thread.join().expect("a waiter"), None);
    }
    let order: Vec<String> = holder
        .simple("SELECT who FROM came ORDER BY at")
        .rows()
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    assert_eq!(order, ["0", "1", "2", "3"]);
}

/// Goal: 200 clients over 5 connections, on more workers than connections, all finish; never are there more connections
/// than the pool's size, over all workers.
#[tokio::test]
async fn two_hundred_clients_share_five_connections_of_eight_workers() {
    let config = "pool: {size: 5, reserve: 0, wait: 60s}\nlimits: {login_timeout: 2min}";
    let (_database, proxy) = proxy_with("many", 8, config).await;
    let other = TestDatabase::new("many_other");
    let script = std::env::temp_dir().join(format!("shardloom-{}.sql", other.name));
    std::fs::write(&script, "SELECT 1;\n").expect("the script");
    let file = script.display().to_string();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let arguments = ["-n", "-f", &file, "-c", "200", "-j", "2", "-t", "10"];
            let said = pgbench(&proxy, &other.name, &arguments);
            done.store(true, Ordering::Release);
            assert!(said.contains("transactions actually processed: 2000/2000"), "{said}");
        });
        let deadline = Instant::now() + BOUND * 4;
        let mut console = proxy.raw_to("shardloom");
        while !done.load(Ordering::Acquire) {
            let open =
                console.simple("SHOW SERVERS").rows().iter().filter(|row| row[2].as_ref() == Some(&other.name)).count();
            assert!(open <= 5, "{open} connections");
            assert!(Instant::now() < deadline, "{:?}\n{}", show(&proxy, "POOLS"), proxy.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    std::fs::remove_file(script).ok();
}

/// Goal: the death of an idle connection is noticed while nobody uses it, and the next client sees no error.
#[tokio::test]
async fn an_idle_connection_that_its_server_closed_is_replaced() {
    let (_database, proxy) = proxy_with("dies", 1, "pool: {size: 3}").await;
    let mut client = proxy.raw_to("postgres");
    let pid = value(&client.simple("SELECT pg_backend_pid()"));
    let (user, password) = servers().shards[0].superuser();
    let service = connect_as(servers().shards[0].port(), "postgres", user, password).await.expect("the service user");
    service.batch_execute(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    until(&proxy, "SERVERS", |servers| servers.iter().all(|row| row[8] != pid)).await;
    let reply = client.simple("SELECT pg_backend_pid()");
    assert_eq!(reply.error(), None);
    assert_ne!(value(&reply), pid);
}

/// Goal: a pool that is used keeps `min` connections ready, and `idle` closes the rest.
#[tokio::test]
async fn the_least_number_of_connections_is_kept_ready() {
    let (_database, proxy) = proxy_with("least", 1, "pool: {size: 4, min: 2, idle: 100ms}").await;
    let mut clients: Vec<RawClient> = (0..4).map(|_| proxy.raw_to("postgres")).collect();
    for client in &mut clients {
        assert_eq!(client.simple("BEGIN; SELECT 1").error(), None);
    }
    let open = |rows: &[Vec<String>]| rows.iter().filter(|row| row[2] == "postgres").count();
    assert_eq!(open(&show(&proxy, "SERVERS")), 4);
    for client in &mut clients {
        assert_eq!(client.simple("COMMIT").error(), None);
    }
    until(&proxy, "SERVERS", |rows| open(rows) == 2).await;
}
