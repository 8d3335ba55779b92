//! The support itself: without these, a green test would say little.

use crate::support::{Differential, RawClient, TestDatabase, connect_as, python, servers};

#[tokio::test]
async fn each_server_has_the_tests_database_and_only_the_right_password_enters() {
    let database = TestDatabase::new("support");
    let mut ports: Vec<u16> = servers().all().map(|server| server.port()).collect();
    for index in 0..3 {
        let row =
            database.shard(index).await.query_one("SELECT current_database(), current_user::text", &[]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (database.name.as_str(), "app"));
    }
    database.plain().await.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    database.service(0).await.batch_execute("SET session_replication_role = replica").await.unwrap();
    assert!(connect_as(ports[0], &database.name, "app", "wrong").await.is_err());
    ports.dedup();
    assert_eq!(ports.len(), 4);
}

#[tokio::test]
async fn a_database_goes_with_its_test() {
    let database = TestDatabase::new("gone");
    let (name, port) = (database.name.clone(), servers().plain.port());
    drop(database);
    let error = connect_as(port, &name, "app", "app").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "3D000");
}

#[test]
fn the_raw_client_sees_every_message() {
    let database = TestDatabase::new("raw");
    let mut client = RawClient::connect(servers().plain.port(), &database.name, "app", "app");
    assert_eq!(client.parameters["client_encoding"], "UTF8");
    let reply = client.simple("BEGIN; SELECT 1 AS a, NULL, 'x'");
    assert_eq!((reply.tags(), reply.status), (vec!["BEGIN".to_owned(), "SELECT 1".to_owned()], 'T'));
    assert_eq!(reply.rows(), [[Some("1".to_owned()), None, Some("x".to_owned())]]);
    let reply = client.simple("SELECT 1/0");
    assert_eq!((reply.error().unwrap().0.as_str(), reply.status), ("22012", 'E'));
}

#[test]
fn equal_servers_compare_equal_whatever_the_order_of_rows() {
    let database = TestDatabase::new("equal");
    let (plain, shard) = (servers().plain.port(), servers().shards[0].port());
    let mut differential = Differential::between(plain, shard, &database.name);
    differential.same("CREATE TABLE t (a int PRIMARY KEY, b numeric(5, 2))");
    differential.plain.simple("INSERT INTO t VALUES (1, 1), (2, 2)");
    differential.other.simple("INSERT INTO t VALUES (2, 2), (1, 1)");
    assert_eq!(differential.same("SELECT * FROM t").rows().len(), 2);
    assert_eq!(differential.same_error("INSERT INTO t VALUES (1, 1)").0, "23505");
}

#[test]
#[should_panic(expected = "found (left) and expected differ")]
fn a_difference_is_found() {
    let database = TestDatabase::new("differ");
    let (plain, shard) = (servers().plain.port(), servers().shards[0].port());
    let mut differential = Differential::between(plain, shard, &database.name);
    differential.plain.simple("CREATE TABLE t (a int)");
    differential.other.simple("CREATE TABLE t (a bigint)");
    differential.same("SELECT * FROM t");
}

/// Goal: the Python driver's program is right by itself, and says the same on two plain servers.
#[test]
fn the_python_session_runs_on_plain_servers() {
    let database = TestDatabase::new("python");
    let ports = [servers().plain.port(), servers().shards[0].port()];
    let said = ports.map(|port| {
        let table = "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text, photo bytea, \
            joined timestamptz, balance numeric)";
        assert_eq!(RawClient::connect(port, &database.name, "app", "app").simple(table).tags(), ["CREATE TABLE"]);
        python("session.py", port, &database.name)
    });
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains(r#"["count", [70, "53.50"]]"#), "{}", said[0]);
}
