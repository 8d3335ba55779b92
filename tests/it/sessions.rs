//! What belongs to a session stays with it: settings, temporary tables, locks; and what a client that leaves leaves.

use crate::protocol::both;
use crate::support::{Event, Pipeline, Proxy, ProxyOptions, RawClient, Reply};

/// One worker with one server connection per shard: two sessions cannot but share it.
fn one_connection() -> ProxyOptions {
    let config = "pool: {size: 1, reserve: 0, wait: 500ms}".to_owned();
    ProxyOptions { workers: 1, config, ..ProxyOptions::default() }
}

fn value(reply: &Reply) -> String {
    reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("no row: {reply:?}"))
}

#[tokio::test]
async fn settings_stay_with_their_session() {
    let (_database, proxy, _both) = both("settings", one_connection()).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    let default = value(&two.simple("SHOW work_mem"));
    let statements = [
        "SET work_mem = '7MB'",
        "BEGIN; SET work_mem = '8MB'; COMMIT",
        "BEGIN; SET work_mem = '9MB'; ROLLBACK",
        "SET work_mem = '10MB'; SELECT 1/0",
        "SET work_mem = '11MB'; SELECT 1",
        "BEGIN; SET work_mem = '12MB'; SAVEPOINT a; SET work_mem = '13MB'; ROLLBACK TO a; COMMIT",
        "BEGIN; SET LOCAL work_mem = '14MB'; COMMIT",
        "RESET work_mem",
        "SET work_mem = '15MB'",
        "RESET ALL",
        "SET work_mem = '16MB'",
        "DISCARD ALL",
    ];
    let expected = ["7MB", "8MB", "8MB", "8MB", "11MB", "12MB", "12MB", &default, "15MB", &default, "16MB", &default];
    for (sql, expected) in statements.into_iter().zip(expected) {
        one.simple(sql);
        assert_eq!(value(&two.simple("SHOW work_mem")), default, "after {sql}");
        assert_eq!(value(&one.simple("SHOW work_mem")), expected, "after {sql}");
    }
    one.simple("SELECT set_config('work_mem', '17MB', false)");
    assert_eq!(value(&two.simple("SHOW work_mem")), default);
    Pipeline::new().run("SELECT set_config('work_mem', '18MB', false)", &[]).sync().send(&mut one, 1);
    assert_eq!(value(&two.simple("SHOW work_mem")), default);
}

#[tokio::test]
async fn settings_are_the_same_on_every_shard() {
    let (_database, proxy, _both) = both("everywhere", one_connection()).await;
    let mut client = proxy.raw();
    client.simple("SET app.user TO 'o''brien'");
    let rows = client.simple("SELECT DISTINCT current_setting('app.user') FROM customers").rows();
    assert_eq!(rows, [[Some("o'brien".to_owned())]]);
    assert_eq!(client.simple("SET TimeZone = 'Asia/Tokyo'").tags(), ["SET"]);
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    assert_eq!(client.simple("SET search_path = app").error().unwrap().0, "0A000");
    assert_eq!(client.simple("SET work_mem = 'x'").error().unwrap().0, "22023");
    assert_eq!(client.simple("SET missing = 1").error().unwrap().0, "42704");
}

#[tokio::test]
async fn settings_of_the_start_hold_from_the_start() {
    let (database, proxy, _both) = both("start", one_connection()).await;
    let start = [
        ("user", "app"),
        ("database", &database.name),
        ("application_name", "teller"),
        ("options", r"-c TimeZone=Asia/Tokyo -c app.note=a\ b"),
    ];
    let mut client = RawClient::connect_with(proxy.port(), &start, "app");
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    assert_eq!(client.parameters["application_name"], "teller");
    assert_eq!(value(&client.simple("SHOW app.note")), "a b");
    client.simple("SET TimeZone = 'UTC'; SET application_name = 'other'");
    client.simple("RESET ALL");
    assert_eq!(value(&client.simple("SHOW TimeZone")), "Asia/Tokyo");
    assert_eq!(value(&client.simple("SHOW application_name")), "teller");
    assert_eq!(value(&proxy.raw().simple("SHOW application_name")), "shardloom");
}

/// Returns the rows of SHOW CLIENTS for the sharded database.
fn clients(proxy: &Proxy, database: &str) -> Vec<Vec<Option<String>>> {
    let mut console = RawClient::connect(proxy.port(), "shardloom", "app", "app");
    let rows = console.simple("SHOW CLIENTS").rows();
    assert!(rows.iter().any(|row| row[2].as_deref() == Some("shardloom")), "console clients are listed");
    rows.into_iter().filter(|row| row[2].as_deref() == Some(database)).collect()
}

/// Sends one statement in one of the two protocols.
type Way = dyn Fn(&mut RawClient, &str) -> Reply;

#[tokio::test]
async fn temporary_tables_and_session_locks_stay_with_their_session() {
    let (database, proxy, sessions) = both("pins", one_connection()).await;
    drop(sessions);
    let extended = |client: &mut RawClient, sql: &str| Pipeline::new().run(sql, &[]).sync().send(client, 1).remove(0);
    let simple = |client: &mut RawClient, sql: &str| client.simple(sql);
    let ways: [&Way; 2] = [&simple, &extended];
    for run in ways {
        for (sql, ask, reason) in [
            ("CREATE TEMP TABLE scratch (a int)", "SELECT count(*) FROM scratch", "temporary table"),
            (
                "SELECT pg_advisory_lock(5)",
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
                "advisory lock",
            ),
        ] {
            let mut one = proxy.raw();
            assert!(run(&mut one, sql).error().is_none(), "{sql}");
            run(&mut one, ask).rows()[0][0].as_ref().expect("it is still there");
            let listed = clients(&proxy, &database.name);
            assert!(listed.iter().any(|row| row[6].as_deref() == Some(reason)), "{listed:?}");
            assert!(listed.iter().all(|row| row[3].as_deref().is_some_and(|a| a.starts_with("127.0.0.1:"))));
            one.send(&Pipeline::new().message(b'X', b"").0);
            assert!(one.read_to_end().is_empty());
            drop(one);
            let mut two = proxy.raw();
            let left = run(&mut two, ask);
            match left.error() {
                Some((state, _)) => assert_eq!(state, "42P01"),
                None => assert_eq!(value(&left), "0"),
            }
        }
    }
}

#[tokio::test]
async fn a_full_pool_is_told_after_the_wait() {
    let (_database, proxy, _both) = both("full", one_connection()).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    one.simple("BEGIN; SELECT name FROM customers WHERE customer_id = 1");
    let reply = two.simple("SELECT name FROM customers WHERE customer_id = 1");
    assert_eq!((reply.error().unwrap().0.as_str(), reply.status), ("53300", 'I'));
    one.simple("COMMIT");
    assert_eq!(two.simple("SELECT name FROM customers WHERE customer_id = 1").rows().len(), 1);
}

#[tokio::test]
async fn notices_and_their_severity_pass() {
    let (_database, proxy, _both) = both("notices", one_connection()).await;
    let reply = proxy.raw().simple("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
    assert!(
        matches!(&reply.events[0], Event::Notice(fields) if fields[&'M'] == "careful" && fields[&'S'] == "WARNING")
    );
}
