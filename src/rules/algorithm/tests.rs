//! What rule files say of algorithms, and where keys go by them.

mod composite;
mod interval;
mod list;
mod lookup;
mod modulo;
mod range;

use crate::rules::{GroupId, RuleFile, RuleSet};
use crate::types::{Diagnostic, KeyValue, ShardId};

/// Three shards and twelve buckets, dealt out in turn.
const TOPOLOGY: &str = "kind: Topology
database: shop
buckets: 12
shards: {s0: {primary: \"h:1\"}, s1: {primary: \"h:2\"}, s2: {primary: \"h:3\"}}
placement: {s0: [0, 3, 6, 9], s1: [1, 4, 7, 10], s2: [2, 5, 8, 11]}
home: s0
";

fn parse(group: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    let file = |path: &str, text: String| RuleFile { path: path.to_owned(), text };
    let group = format!("kind: TableGroup\nname: g\ntables: {{t: {{key: k}}}}\n{group}");
    RuleSet::parse(&[file("topology.yaml", TOPOLOGY.to_owned()), file("g.yaml", group)])
}

fn rules(group: &str) -> RuleSet {
    parse(group).unwrap_or_else(|found| panic!("{group}: {found:?}"))
}

/// Returns the only finding about a group, without the file; the first line of `group` is line 4.
fn finding(group: &str) -> String {
    let found = parse(group).expect_err(group);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_string().replace("g.yaml:", "")
}

fn shard(rules: &RuleSet, value: KeyValue) -> Option<u16> {
    rules.shard_of(GroupId(0), &value).map(|ShardId(shard)| shard)
}
