//! Shards and whether they answer.

use serde::Serialize;

use crate::proxy::Proxy;
use crate::types::{BucketId, ShardId};

/// One shard.
#[derive(Debug, Serialize)]
pub struct ShardView {
    /// The rule file's name.
    pub name: String,
    /// `host:port`
    pub address: String,
    /// The database there.
    pub database: String,
    /// `up`, `down` or `unknown`.
    pub state: &'static str,
    /// Milliseconds since the UNIX epoch at which that state began.
    pub since_ms: Option<i64>,
    /// Why it is down.
    pub error: Option<String>,
    /// Whether it is home.
    pub home: bool,
    /// How many buckets it owns.
    pub buckets: usize,
    /// What of the rules' tables is otherwise here than on the first shard that has them; empty when nothing is.
    pub differs: Vec<String>,
}

fn differs(proxy: &Proxy, shard: ShardId) -> Vec<String> {
    let found = proxy.schemas.list();
    found.iter().filter(|difference| difference.shard == shard).map(ToString::to_string).collect()
}

/// Returns the shards in the order of the topology.
pub fn shards(proxy: &Proxy) -> Vec<ShardView> {
    let rules = &proxy.rules.load().rules;
    let mut buckets = vec![0; rules.shards.len()];
    for bucket in 0..rules.placement.buckets() {
        buckets[rules.placement.owner(BucketId(bucket)).index()] += 1;
    }
    let views = rules.shards.iter().zip(buckets).enumerate().map(|(index, (shard, buckets))| {
        let (state, since_ms) = proxy.health.state(&shard.name);
        ShardView {
            name: shard.name.clone(),
            address: format!("{}:{}", shard.host, shard.port),
            database: shard.database.clone(),
            state: state.word(),
            since_ms,
            error: state.error().map(str::to_owned),
            home: ShardId(index as u16) == rules.home,
            buckets,
            differs: differs(proxy, ShardId(index as u16)),
        }
    });
    views.collect()
}
