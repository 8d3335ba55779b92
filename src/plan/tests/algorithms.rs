//! Golden routes of groups with other algorithms than hash.

mod composite;
mod interval;
mod list;
mod lookup;
mod modulo;
mod property;
mod range;

use super::*;
use crate::rules::RuleFile;

/// Three shards and twelve buckets, dealt out in turn.
const TOPOLOGY: &str = "kind: Topology
database: shop
buckets: 12
shards: {s0: {primary: \"h:1\"}, s1: {primary: \"h:2\"}, s2: {primary: \"h:3\"}}
placement: {s0: [0, 3, 6, 9], s1: [1, 4, 7, 10], s2: [2, 5, 8, 11]}
home: s0
";

pub(super) fn parsed(groups: &str) -> RuleSet {
    let file = |path: &str, text: &str| RuleFile { path: path.to_owned(), text: text.to_owned() };
    let rules = RuleSet::parse(&[file("topology.yaml", TOPOLOGY), file("groups.yaml", groups)]);
    rules.unwrap_or_else(|found| panic!("{found:?}"))
}

/// Checks lines of `statement => route`.
pub(super) fn routes(rules: &RuleSet, cases: &str) {
    for line in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expected) = line.split_once(" => ").expect("statement => route");
        assert_eq!(render(plan_of(text, Parameters::default(), rules), rules), expected, "{text}");
    }
}
