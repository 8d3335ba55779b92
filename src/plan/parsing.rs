//! Which server is asked to parse a statement before its values are known.

use crate::rules::{Distribution, RuleSet};
use crate::sql::{Facts, TableName};
use crate::types::{Refusal, ShardId};

use super::context::Context;
use super::prepare::{Body, Prepared};
use super::{Gather, Plan, gather};

impl Prepared {
    /// Returns the shard that must be asked, `None` where any shard knows the tables.
    ///
    /// # Errors
    /// Refuses tables of which no shard knows all.
    pub fn parsing_shard(&self, rules: &RuleSet) -> Result<Option<ShardId>, Refusal> {
        Ok(match &self.body {
            Body::Explain(_) => None,
            Body::Steered(steered) => steered.inner.parsing_shard(rules)?,
            Body::Expanded(expanded) => expanded.parsing_shard(rules)?,
            Body::Fixed(plan) => match &**plan {
                Plan::Direct(direct) => Some(direct.shard),
                Plan::Carry(carry) => carry.checked_on,
                Plan::Scatter(_)
                | Plan::Gather(_)
                | Plan::MultiWrite(_)
                | Plan::Copy(_)
                | Plan::CopyOut(_)
                | Plan::Everywhere { .. } => None,
            },
            Body::Read(_, facts) => single(facts, rules)?,
            Body::Modify(modify) => single(modify.facts(), rules)?,
            Body::Merge(merging) => single(merging.facts(), rules)?,
            Body::Insert(insert) => insert.parsing_shard(rules)?,
        })
    }

    /// Returns over which copies home can parse a read of tables of which no shard knows all; `None` if that would not be the
    /// same. `text` is the statement.
    pub fn parsed_over_copies(&self, text: &str, context: &Context<'_>) -> Option<Gather> {
        match &self.body {
            Body::Read(_, facts) => gather::parsing(text, facts, context),
            _ => None,
        }
    }
}

/// Returns where the tables live that are not on every shard.
pub(super) fn single(facts: &Facts, rules: &RuleSet) -> Result<Option<ShardId>, Refusal> {
    let mut found: Option<(&TableName, ShardId)> = None;
    for table in facts.relations.iter().filter_map(|relation| relation.table.as_ref()) {
        let shard = match rules.table(&table.rule_key()).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { .. } | Distribution::Reference { .. }) => continue,
            _ if table.is_catalog() => continue,
            Some(Distribution::Single { shard }) => *shard,
            None => rules.home,
        };
        match found {
            Some((first, other)) if other != shard => return Err(apart(first, table)),
            Some(_) | None => found = Some((table, shard)),
        }
    }
    Ok(found.map(|(_, shard)| shard))
}

pub(super) fn apart(first: &TableName, second: &TableName) -> Refusal {
    Refusal::unsupported(
        format!("no shard can prepare a statement over \"{first}\" and \"{second}\", which live on different shards"),
        "Send it by the simple protocol, or make one of them a reference table.",
    )
    .with_reason("different_shards")
}
