//! Modules that talk to PostgreSQL by themselves, each against a real server.

use shardloom::dev::SERVICE_USER;

use crate::support::{SERVICE_PASSWORD, TestDatabase, servers};

#[path = "../parts/backend.rs"]
mod backend;
#[path = "../parts/catalog.rs"]
mod catalog;
#[path = "../parts/merge.rs"]
mod merge;
#[path = "../parts/outbox.rs"]
mod outbox;
#[path = "../parts/outbox_shop.rs"]
mod outbox_shop;
#[path = "../parts/partition_hash.rs"]
mod partition_hash;

#[tokio::test]
async fn hashes_agree_with_the_server() {
    let database = TestDatabase::new("hash");
    partition_hash::agrees_with_a_live_server(&database.plain().await).await;
}

#[tokio::test]
async fn merging_agrees_with_the_server() {
    let database = TestDatabase::new("merge");
    merge::merge_agrees_with_postgres(&database.plain().await).await;
}

#[tokio::test]
async fn the_catalog_is_read_as_it_was_created() {
    let database = TestDatabase::new("catalog");
    catalog::the_catalog_is_read_as_it_was_created(&database.plain().await).await;
}

/// Goal: server connections, pools and cancel against a real server, one after another.
#[tokio::test]
async fn connections_and_pools_hold() {
    tokio::task::LocalSet::new().run_until(connections_and_pools()).await;
}

async fn connections_and_pools() {
    let database = TestDatabase::new("backend");
    let port = servers().plain.port();
    let (host, user, password, name) = ("127.0.0.1", "app", "app", database.name.as_str());
    backend::login_reports_parameters(host, port, user, password, name).await;
    backend::refused_logins_are_told_apart(host, port, user, password, name).await;
    backend::statements_change_the_status(host, port, user, password, name).await;
    backend::terminated_session_says_why(host, port, user, password, name).await;
    backend::full_sockets_do_not_deadlock(host, port, user, password, name).await;
    backend::sessions_share_connections(host, port, user, password, name).await;
    backend::ended_connections_are_passed_over(host, port, user, password, name).await;
    backend::cancel_stops_the_statement(host, port, user, password, name).await;
}

/// Goal: ledger, relay, recovery and leases without a proxy around them, one test after another on the shared servers.
#[tokio::test]
async fn the_outbox_holds() {
    let ports = [0, 1, 2].map(|index: usize| servers().shards[index].port());
    let servers = outbox_shop::Servers {
        host: "127.0.0.1".to_owned(),
        ports,
        user: SERVICE_USER.to_owned(),
        password: SERVICE_PASSWORD.to_owned(),
    };
    outbox::all(&servers).await;
}
