//! Which server is asked to parse a statement before its values are known.

use crate::rules::{Distribution, RuleSet};
use crate::sql::Facts;
use crate::types::ShardId;

use super::Plan;
use super::prepare::{Body, Prepared};

impl Prepared {
    /// Returns the shard that must be asked, `None` where any shard knows the tables.
    pub fn parsing_shard(&self, rules: &RuleSet) -> Option<ShardId> {
        match &self.body {
            Body::Explain(_) => None,
            Body::Fixed(plan) => match &**plan {
                Plan::Direct(direct) => Some(direct.shard),
                Plan::Scatter(_)
                | Plan::Gather(_)
                | Plan::MultiWrite(_)
                | Plan::Copy(_)
                | Plan::CopyOut(_)
                | Plan::Everywhere { .. } => None,
            },
            Body::Read(_, facts) => single(facts, rules),
            Body::Modify(modify) => single(modify.facts(), rules),
            Body::Insert(insert) => insert.parsing_shard(),
        }
    }
}

/// Returns where the tables live that are not on every shard.
fn single(facts: &Facts, rules: &RuleSet) -> Option<ShardId> {
    let mut tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    tables.find_map(|table| match rules.table(&table.rule_key()).map(|rule| &rule.distribution) {
        Some(Distribution::Sharded { .. } | Distribution::Reference { .. }) => None,
        Some(Distribution::Single { shard }) => Some(*shard),
        None => Some(rules.home),
    })
}
