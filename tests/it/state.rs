//! Session state: what outlives a transaction stays with its session, on whichever server, and reaches nobody else.
//!
//! `sharded` is about a database with rules, `unsharded` about one that passes through, compared with PostgreSQL itself.

use crate::support::{Proxy, ProxyOptions, RawClient, Reply};

mod sharded;
mod unsharded;

/// One worker with so many server connections per shard.
fn connections(count: usize, more: &str) -> ProxyOptions {
    let config = format!("pool: {{size: {count}, reserve: 0, wait: 20s}}\n{more}");
    ProxyOptions { workers: 1, config, ..ProxyOptions::default() }
}

fn value(reply: &Reply) -> String {
    reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("no row: {reply:?}"))
}

/// Returns what SHOW CLIENTS says pins the only client of a database; empty if nothing does.
fn pinned(proxy: &Proxy, database: &str) -> String {
    let mut console = RawClient::connect(proxy.port(), "shardloom", "app", "app");
    let rows = console.simple("SHOW CLIENTS").rows();
    let pins: Vec<String> = rows
        .into_iter()
        .filter(|row| row[2].as_deref() == Some(database))
        .map(|row| row[6].clone().unwrap_or_default())
        .collect();
    pins.into_iter().max().unwrap_or_default()
}
