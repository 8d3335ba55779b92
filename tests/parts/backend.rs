//! Connections, pools and cancel against a real PostgreSQL. Each function runs inside a `LocalSet`, and its user may
//! log in to `database` with `password` and create nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shardloom::backend::{BackendError, CancelRegistry, PoolSettings, Pools, SecretLength, Server, ServerTarget};
use shardloom::config::Secret;
use shardloom::types::{ShardId, SqlState, TransactionStatus};
use shardloom::wire::frontend::write_query;

const CONNECT: Duration = Duration::from_secs(10);

fn target(host: &str, port: u16, user: &str, password: &str, database: &str) -> Arc<ServerTarget> {
    Arc::new(ServerTarget {
        shard: ShardId(0),
        shard_name: "s0".into(),
        host: host.to_owned(),
        port,
        database: database.to_owned(),
        user: user.to_owned(),
        encoding: Some("UTF8"),
        tls: None,
        password: Some(Secret::new(password)),
        keys: None,
        oids: Arc::default(),
    })
}

async fn connect(target: &Arc<ServerTarget>) -> Server {
    Server::connect(target, CONNECT).await.expect("the test server accepts connections")
}

/// Runs a statement that returns one value.
async fn value(server: &mut Server, sql: &str) -> String {
    let reply = server.simple(sql).await.expect("the statement is right");
    String::from_utf8(reply.rows[0][0].clone().expect("the value is not NULL").to_vec()).expect("UTF-8")
}

/// The login reports parameters, the encoding and a key; a statement's values come back.
pub async fn login_reports_parameters(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let mut server = connect(&target(host, port, user, password, database)).await;
    let parameter = |name: &str| server.parameters().iter().find(|(known, _)| known == name).map(|(_, v)| v.clone());
    assert_eq!(parameter("client_encoding").as_deref(), Some("UTF8"));
    assert!(parameter("server_version").is_some());
    assert!(server.is_usable());
    assert_eq!(
        value(&mut server, "select current_user || ' ' || current_database()").await,
        format!("{user} {database}")
    );
    server.simple("set timezone to 'Asia/Tokyo'").await.unwrap();
    assert!(server.parameters().contains(&("TimeZone".to_owned(), "Asia/Tokyo".to_owned())));
}

/// A wrong password and a missing database pass on the server's own error; a closed port is unreachable.
pub async fn refused_logins_are_told_apart(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let state = |error: BackendError| error.server_error().map(|error| error.state);
    let error = Server::connect(&target(host, port, user, "wrong", database), CONNECT).await.unwrap_err();
    assert_eq!(state(error), Some(SqlState::INVALID_PASSWORD));
    let error = Server::connect(&target(host, port, user, password, "no such"), CONNECT).await.unwrap_err();
    assert_eq!(state(error), Some(SqlState::INVALID_CATALOG_NAME));
    let error = Server::connect(&target(host, 1, user, password, database), CONNECT).await.unwrap_err();
    assert_eq!(error.refusal().state, SqlState::CONNECTION_EXCEPTION_UNABLE);
}

/// Errors keep their frame and leave the connection as it was; transactions show in the status; COPY is refused.
pub async fn statements_change_the_status(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let mut server = connect(&target(host, port, user, password, database)).await;
    let error = server.simple("select 1/0").await.unwrap_err();
    let error = error.server_error().expect("the server's own error").clone();
    assert_eq!((error.state.code(), error.message.as_str(), error.frame[0]), ("22012", "division by zero", b'E'));
    assert!(server.is_usable());
    server.simple("begin").await.unwrap();
    assert_eq!(server.status(), TransactionStatus::Open);
    assert!(!server.is_usable());
    server.simple("nonsense").await.unwrap_err();
    assert_eq!(server.status(), TransactionStatus::Failed);
    assert_eq!(server.simple("rollback").await.unwrap().tag, "ROLLBACK");
    server.simple("create temp table t (a int)").await.unwrap();
    assert!(matches!(server.simple("copy t from stdin").await, Err(BackendError::Server(_))));
    assert!(server.is_usable());
}

/// A server that ends the session says why, and the connection is broken.
pub async fn terminated_session_says_why(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let mut server = connect(&target(host, port, user, password, database)).await;
    let error = server.simple("select pg_terminate_backend(pg_backend_pid())").await.unwrap_err();
    assert_eq!(error.refusal().state, SqlState::ADMIN_SHUTDOWN);
    assert!(!server.is_usable());
    assert!(matches!(server.simple("select 1").await, Err(BackendError::Closed { .. })));
}

/// Large requests and large replies at once do not wait for each other.
pub async fn full_sockets_do_not_deadlock(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let mut server = connect(&target(host, port, user, password, database)).await;
    let long = format!("select '{}'", "x".repeat(4 << 20));
    for _ in 0..4 {
        write_query(server.out(), "select generate_series(1, 100000)");
        write_query(server.out(), &long);
    }
    let (mut ready, mut rows) = (0, 0);
    let read_all = async {
        while ready < 8 {
            match server.frame().await.expect("the connection holds").0 {
                b'Z' => ready += 1,
                b'D' => rows += 1,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read_all).await.expect("no deadlock");
    assert_eq!(rows, 4 * 100_001);
    assert!(server.is_usable());
}

/// Thirty-two sessions make do with four connections.
pub async fn sessions_share_connections(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let pools = Pools::new(PoolSettings { size: 4, wait: Duration::from_secs(30), ..PoolSettings::default() });
    let target = target(host, port, user, password, database);
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (pools, target) = (pools.clone(), target.clone());
            tokio::task::spawn_local(async move {
                let mut server = pools.checkout(&target).await.expect("a connection becomes free");
                server.simple("select pg_sleep(0.005)").await.expect("sleeping is allowed");
                pools.checkin(server);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the session ends well");
    }
    let stats = &pools.stats()[0];
    assert_eq!((stats.opened_total, stats.idle, stats.active, stats.waiting), (4, 4, 0, 0));
}

/// Idle connections that the server ended are passed over by the next session.
pub async fn ended_connections_are_passed_over(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let pools = Pools::new(PoolSettings { size: 2, ..PoolSettings::default() });
    let target = target(host, port, user, password, database);
    let (mut first, mut second) = (pools.checkout(&target).await.unwrap(), pools.checkout(&target).await.unwrap());
    let pids =
        [value(&mut first, "select pg_backend_pid()").await, value(&mut second, "select pg_backend_pid()").await];
    pools.checkin(first);
    pools.checkin(second);
    let mut other = connect(&target).await;
    for pid in &pids {
        value(&mut other, &format!("select pg_terminate_backend({pid}, 5000)")).await;
    }
    let mut fresh = pools.checkout(&target).await.unwrap();
    assert!(!pids.contains(&value(&mut fresh, "select pg_backend_pid()").await));
}

/// A client's cancel request stops what its server runs, and that connection is not handed on.
pub async fn cancel_stops_the_statement(host: &str, port: u16, user: &str, password: &str, database: &str) {
    let pools = Pools::new(PoolSettings::default());
    let target = target(host, port, user, password, database);
    let registry = CancelRegistry::new();
    let handle = registry.register(SecretLength::Long);
    let mut server = pools.checkout(&target).await.unwrap();
    handle.set_active(&[server.cancel_key()]);
    let started = Instant::now();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(registry.cancel(handle.process(), handle.secret()).await, 1);
    };
    let (reply, ()) = tokio::join!(server.simple("select pg_sleep(30)"), cancel);
    assert_eq!(reply.unwrap_err().refusal().state, SqlState::QUERY_CANCELED);
    assert!(started.elapsed() < Duration::from_secs(20));
    handle.clear();
    pools.checkin(server);
    assert_eq!((pools.stats()[0].idle, pools.stats()[0].active), (0, 0));
}
