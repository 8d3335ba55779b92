//! Keys of cancel requests: as long as the client's protocol has them, and right only as a whole.

use std::time::{Duration, Instant};

use shardloom::dev::{APP_PASSWORD, APP_USER};
use tokio_postgres::Client;

use crate::protocol::RULES;
use crate::support::{Proxy, ProxyOptions, RawClient, TestDatabase};

/// Protocol versions as asked for, and the bytes of the secret that each is given.
const VERSIONS: [(u32, usize); 4] = [(0x0003_0000, 4), (0x0003_0001, 4), (0x0003_0002, 32), (0x0003_0009, 32)];
/// BackendKeyData begins with the process number.
const PROCESS_BYTES: usize = 4;
/// How long a statement may take to begin.
const BEGIN_BOUND: Duration = Duration::from_secs(20);

/// Logs in with a version of the protocol.
fn connect(port: u16, database: &str, version: u32) -> RawClient {
    let body = format!("user\0{APP_USER}\0database\0{database}\0\0");
    let length = 8 + u32::try_from(body.len()).expect("a short name");
    let mut client = RawClient::dial(port);
    client.send(&[&length.to_be_bytes(), &version.to_be_bytes(), body.as_bytes()].concat());
    client.log_in(APP_PASSWORD);
    client
}

/// Waits until one connection of the test's runs `sql`; returns since when.
async fn running_since(home: &Client, sql: &str) -> String {
    let deadline = Instant::now() + BEGIN_BOUND;
    let query = "SELECT query_start::text FROM pg_stat_activity WHERE state = 'active' AND query = $1";
    loop {
        if let Some(row) = home.query_opt(query, &[&sql]).await.expect("the activity") {
            return row.get(0);
        }
        assert!(Instant::now() < deadline, "{sql} does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns keys that are not `key`, but look much like it.
fn wrong_keys(key: &[u8]) -> Vec<Vec<u8>> {
    let (process, secret) = key.split_at(PROCESS_BYTES);
    let with = |secret: &[u8]| [process, secret].concat();
    let mut wrong: Vec<Vec<u8>> = [0, 3, 4, 32, 256, 257].map(|length| with(&vec![0; length])).into();
    wrong.push(with(&secret[..3]));
    wrong.push(with(&[secret, &[0]].concat()));
    wrong.push(with(&secret.repeat(256 / secret.len())));
    let mut last = secret.to_vec();
    *last.last_mut().expect("a secret") ^= 1;
    wrong.push(with(&last));
    if secret.len() > 4 {
        wrong.push(with(&secret[..4]));
        wrong.push(with(&secret[..secret.len() - 1]));
    }
    wrong
}

/// Goal: each version's key stops its own statement; one that is too short, too long or wrong in its last bit does not.
#[tokio::test]
async fn a_key_is_as_long_as_its_protocol_says_and_counts_as_a_whole() {
    let (sharded, unsharded) = (TestDatabase::new("keys"), TestDatabase::new("keys"));
    let options = ProxyOptions { config: "passthrough: any".to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&sharded, RULES, options).await;
    for database in [&sharded, &unsharded] {
        let home = database.service(0).await;
        for (version, bytes) in VERSIONS {
            let what = format!("{version:x} to {}", database.name);
            let mut client = connect(proxy.port(), &database.name, version);
            let key = client.key.clone();
            assert_eq!(key.len() - PROCESS_BYTES, bytes, "{what}");
            let sql = format!("SELECT pg_sleep(60) /* {what} */");
            let statement = sql.clone();
            let sleeping = tokio::task::spawn_blocking(move || client.simple(&statement));
            let since = running_since(&home, &sql).await;
            for wrong in wrong_keys(&key) {
                assert_ne!(wrong, key);
                RawClient::send_cancel(proxy.port(), &wrong);
            }
            assert_eq!(running_since(&home, &sql).await, since, "{what}: a wrong key counts for nothing");
            RawClient::cancel_key(proxy.port(), &key);
            let (state, _) = sleeping.await.expect("a reply").error().expect("it was cancelled");
            assert_eq!(state, "57014", "{what}");
        }
    }
    let console = connect(proxy.port(), "shardloom", 0x0003_0002);
    assert_eq!(console.key, [0; 8], "the console has nothing to cancel");
}

/// Goal: a statement that waits in the proxy for a server, which does not work for it yet, is cancelled as well.
#[tokio::test]
async fn a_statement_that_waits_for_a_server_is_cancelled() {
    let database = TestDatabase::new("keys_wait");
    let options = ProxyOptions {
        workers: 1,
        config: "pool: {size: 1, reserve: 0, wait: 60s}".to_owned(),
        ..ProxyOptions::default()
    };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let (mut holder, mut client) = (proxy.raw(), proxy.raw());
    assert_eq!(holder.simple("BEGIN; SELECT 1").error(), None);
    let key = client.key.clone();
    let waiting = tokio::task::spawn_blocking(move || {
        let reply = client.simple("SELECT 2");
        (client, reply)
    });
    while !waiting.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        RawClient::cancel_key(proxy.port(), &key);
    }
    let (mut client, reply) = waiting.await.expect("a reply");
    assert_eq!(reply.error().expect("it was cancelled").0, "57014");
    assert_eq!(holder.simple("COMMIT").error(), None);
    assert_eq!(client.simple("SELECT 2").error(), None, "the session goes on");
}
