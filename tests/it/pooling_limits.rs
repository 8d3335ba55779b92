//! Limits of connections and of time, and their change by RELOAD.

use crate::pooling::{proxy_with, show, value};
use crate::support::{Event, RawClient, TestDatabase};

/// Reads what an idle client is told at its end; panics unless the connection is closed after it.
fn farewell(mut client: RawClient) -> String {
    let bytes = client.read_to_end();
    assert_eq!(bytes.first(), Some(&b'E'), "{}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Goal: a role's connections count over all its databases; a pool in want gets the place of another's idle connection,
/// and a client that waits too long reads which pool it waited for.
#[tokio::test]
async fn a_users_connections_count_over_databases_and_idle_ones_make_way() {
    let (_database, proxy) =
        proxy_with("user", 2, "pool: {size: 5, reserve: 0, wait: 1s, max_user_connections: 2}").await;
    let (one, two) = (TestDatabase::new("user_one"), TestDatabase::new("user_two"));
    let mut holders = [proxy.raw_to(&one.name), proxy.raw_to(&one.name)];
    for holder in &mut holders {
        assert_eq!(holder.simple("BEGIN; SELECT 1").error(), None);
    }
    let start = [("user", "app"), ("database", two.name.as_str())];
    let (state, message) = RawClient::try_connect(proxy.port(), &start, "app").unwrap_err();
    assert_eq!(state, "53300", "{message}");
    for word in ["\"app\"", two.name.as_str(), "\"s0\"", "waiting"] {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(holders[0].simple("COMMIT").error(), None);
    let mut client = proxy.raw_to(&two.name);
    assert_eq!(client.simple("BEGIN; SELECT 1").error(), None);
    // The other way round: what is idle now makes way again.
    assert_eq!(client.simple("COMMIT").error(), None);
    assert_eq!(holders[0].simple("BEGIN; SELECT 1").error(), None);
    let mine = show(&proxy, "SERVERS").into_iter().filter(|row| row[1] == "app").count();
    assert!(mine <= 2, "{mine}");
}

/// Goal: the bounds per database and per shard hold, each at its last place.
#[tokio::test]
async fn a_databases_and_a_shards_connections_are_bounded() {
    let name = TestDatabase::new("bounded");
    let config = format!(
        "pool: {{size: 5, reserve: 0, wait: 300ms, max_shard_connections: 3}}\n\
         databases: [{{name: {}, max_db_connections: 2}}]",
        name.name
    );
    let (_database, proxy) = proxy_with("shard", 1, &config).await;
    let mut clients: Vec<RawClient> = (0..3).map(|_| proxy.raw_to(&name.name)).collect();
    assert_eq!(clients[0].simple("BEGIN; SELECT 1").error(), None);
    assert_eq!(clients[1].simple("BEGIN; SELECT 1").error(), None);
    assert_eq!(clients[2].simple("SELECT 1").error().expect("the database's bound").0, "53300");
    let mut other = proxy.raw_to("postgres");
    assert_eq!(other.simple("BEGIN; SELECT 1").error(), None);
    let start = [("user", "app"), ("database", "template1")];
    assert_eq!(RawClient::try_connect(proxy.port(), &start, "app").unwrap_err().0, "53300");
    assert_eq!(other.simple("COMMIT").error(), None);
    assert!(RawClient::try_connect(proxy.port(), &start, "app").is_ok());
}

/// Goal: one client beyond its user's or database's bound is refused in PostgreSQL's words, and RELOAD moves the bound.
#[tokio::test]
async fn clients_per_user_and_database_are_bounded_and_reload_moves_the_bound() {
    let config = |most: usize| format!("passthrough: any\nlimits: {{max_db_client_connections: {most}}}\n");
    let (_database, mut proxy) = proxy_with("clients", 1, "limits: {max_db_client_connections: 1}").await;
    let start = [("user", "app"), ("database", "postgres")];
    let first = proxy.raw_to("postgres");
    let refused = RawClient::try_connect(proxy.port(), &start, "app").unwrap_err();
    assert_eq!(refused, ("53300".to_owned(), "too many connections for database \"postgres\"".to_owned()));
    proxy.reconfigure(&config(2));
    let second = RawClient::try_connect(proxy.port(), &start, "app").expect("the bound was raised");
    assert!(RawClient::try_connect(proxy.port(), &start, "app").is_err());
    drop((first, second));
    crate::pooling::until(&proxy, "CLIENTS", |rows| rows.iter().all(|row| row[2] != "postgres")).await;
    proxy.reconfigure("passthrough: any\nlimits: {max_user_client_connections: 2}\n");
    // Clients of the console do not count, and the one that waited for the proxy's start has left.
    let mut console = proxy.raw_to("shardloom");
    assert_eq!(console.simple("SHOW VERSION").rows().len(), 1);
    crate::pooling::until(&proxy, "CLIENTS", |rows| rows.iter().all(|row| row[2] == "shardloom")).await;
    let _first = proxy.raw_to("postgres");
    let _second = proxy.raw_to("template1");
    let (state, message) = RawClient::try_connect(proxy.port(), &start, "app").expect_err("the user's bound");
    assert_eq!((state.as_str(), message.as_str()), ("53300", "too many connections for role \"app\""));
}

/// Goal: a larger pool.size is in force after RELOAD for those who wait already; a bad file changes nothing.
#[tokio::test]
async fn a_larger_pool_lets_those_in_who_wait() {
    let (_database, mut proxy) = proxy_with("larger", 1, "pool: {size: 1, reserve: 0, wait: 30s}").await;
    let (mut holder, mut waiter) = (proxy.raw_to("postgres"), proxy.raw_to("postgres"));
    assert_eq!(holder.simple("BEGIN; SELECT 1").error(), None);
    let waiting = std::thread::spawn(move || waiter.simple("SELECT 1").error());
    proxy.reconfigure("passthrough: any\npool: {size: 2, reserve: 0, wait: 30s}\n");
    assert_eq!(waiting.join().expect("the waiter"), None);
    assert_eq!(holder.simple("COMMIT").error(), None);
    let settings = show(&proxy, "CONFIG");
    assert!(settings.iter().any(|row| row[0] == "pool.size" && row[1] == "2"));
}

/// Goal: each limit of time ends its clients and no others, with PostgreSQL's SQLSTATEs; what they had open is rolled
/// back. Method: RELOAD puts one limit after the other in force.
#[tokio::test]
async fn limits_of_time_end_their_clients_and_no_others() {
    let (_database, mut proxy) = proxy_with("time", 2, "").await;
    let database = TestDatabase::new("time_other");
    let client = |proxy: &crate::support::Proxy| proxy.raw_to(&database.name);
    let limit = |name: &str| format!("passthrough: any\nlimits: {{{name}: 1s}}\n");

    proxy.reconfigure(&limit("idle_transaction_timeout"));
    let (mut open, mut idle) = (client(&proxy), client(&proxy));
    assert_eq!(open.simple("BEGIN; CREATE TABLE of_an_idle_transaction ()").error(), None);
    assert!(farewell(open).contains("C25P03\0"));
    assert_eq!(value(&idle.simple("SELECT count(*) FROM pg_class WHERE relname = 'of_an_idle_transaction'")), "0");

    proxy.reconfigure(&limit("client_idle_timeout"));
    let mut open = client(&proxy);
    assert_eq!(open.simple("BEGIN; SELECT 1").error(), None);
    assert!(farewell(idle).contains("C57P05\0"));
    assert_eq!(open.simple("COMMIT").error(), None);

    proxy.reconfigure(&limit("query_timeout"));
    let mut long = client(&proxy);
    let mut short = client(&proxy);
    let reply = long.simple("SELECT pg_sleep(60)");
    assert!(reply.events.iter().any(|event| matches!(event, Event::Error(_))), "{reply:?}");
    assert!(farewell(long).contains("C57014\0"));
    assert_eq!(short.simple("SELECT 1").error(), None);

    proxy.reconfigure(&limit("transaction_timeout"));
    let mut open = client(&proxy);
    assert_eq!(open.simple("BEGIN; SELECT 1").error(), None);
    assert!(farewell(open).contains("C25P04\0"));
    assert_eq!(short.simple("SELECT 1").error(), None);
}

/// Goal: a client that leaves while it waits for a connection leaves the queue at once, and runs nothing.
#[tokio::test]
async fn a_client_that_leaves_while_it_waits_runs_nothing() {
    let (_database, proxy) = proxy_with("leaves", 1, "pool: {size: 1, reserve: 0, wait: 60s}").await;
    let other = TestDatabase::new("leaves_other");
    let (mut holder, mut gone) = (proxy.raw_to(&other.name), proxy.raw_to(&other.name));
    assert_eq!(holder.simple("BEGIN; SELECT 1").error(), None);
    let statement = b"CREATE TABLE of_a_vanished_one ()\0";
    let length = (statement.len() as u32 + 4).to_be_bytes();
    gone.send(&[&b"Q"[..], &length, statement].concat());
    crate::pooling::until(&proxy, "POOLS", |pools| pools.iter().any(|row| row[2] == other.name && row[6] == "1")).await;
    drop(gone);
    crate::pooling::until(&proxy, "POOLS", |pools| pools.iter().all(|row| row[6] == "0")).await;
    assert_eq!(holder.simple("COMMIT").error(), None);
    assert_eq!(value(&holder.simple("SELECT count(*) FROM pg_class WHERE relname = 'of_a_vanished_one'")), "0");
}
