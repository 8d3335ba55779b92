//! Groups with other algorithms than hash: every row lives where its rule says, and what a client sees is what one
//! PostgreSQL would show.

mod composite;
mod key_types;
mod list;
mod lookup;
mod modulo;
mod range;
mod times;

use crate::support::{Differential, Pipeline, Proxy, ProxyOptions, Reply, TestDatabase};

/// A proxy over three shards with these rules, and the same tables on one PostgreSQL.
pub struct Sharded {
    pub both: Differential,
    pub proxy: Proxy,
    _database: TestDatabase,
}

impl Sharded {
    pub async fn start(label: &str, rules: &str, schema: &[&str]) -> Self {
        let database = TestDatabase::new(label);
        let options = ProxyOptions { workers: 1, ..ProxyOptions::default() };
        let proxy = Proxy::start(&database, rules, options).await;
        proxy.gates_open().await;
        let mut both = Differential::through(&proxy, &database);
        schema.iter().for_each(|sql| drop(both.same(sql)));
        Self { both, proxy, _database: database }
    }

    /// Returns what one shard has of the rows that a query on it gives, one text per row.
    pub fn on_shard(&mut self, shard: &str, sql: &str) -> Vec<String> {
        let reply = self.both.other.simple(&format!("/* shardloom: shard={shard} */ {sql}"));
        lines(&reply)
    }

    /// Returns the shards that a statement goes to, as `EXPLAIN (ROUTE)` says.
    pub fn route(&mut self, sql: &str) -> String {
        let reply = self.both.other.simple(&format!("EXPLAIN (ROUTE) {sql}"));
        lines(&reply).first().cloned().unwrap_or_else(|| panic!("{sql}: {reply:?}"))
    }

    /// Asserts that the proxy refuses a statement with this SQLSTATE.
    pub fn refused(&mut self, sql: &str, state: &str) {
        let reply = self.both.other.simple(sql);
        let (found, message) = reply.error().unwrap_or_else(|| panic!("not refused: {sql}"));
        assert_eq!(found, state, "{sql}: {message}");
    }
}

pub fn lines(reply: &Reply) -> Vec<String> {
    let text = |row: Vec<Option<String>>| {
        row.into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned())).collect::<Vec<_>>().join(",")
    };
    assert!(reply.error().is_none(), "{reply:?}");
    reply.rows().into_iter().map(text).collect()
}

/// Sends COPY … FROM STDIN with these rows in text format to both; returns the SQLSTATE or the tag of each.
pub fn copy_in(both: &mut Differential, sql: &str, data: &str) -> [String; 2] {
    let copy = Pipeline::new().query(sql).message(b'd', data.as_bytes()).message(b'c', &[]);
    [&mut both.plain, &mut both.other].map(|client| {
        copy.send_only(client);
        let reply = client.reply();
        reply.error().map_or_else(|| reply.tags().join(";"), |(state, _)| state)
    })
}
