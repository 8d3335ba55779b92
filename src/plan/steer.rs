//! A sharding key said beside the statement: where it lacks a condition on its key, it is routed as though it had one.

use super::colocate::Keyed;
use super::context::{Context, Values};
use super::insert::MakeIds;
use super::key::key_from_text;
use super::plan_types::Plan;
use super::prepare::{Body, Prepared};
use super::route_json::shards;
use crate::rules::{Distribution, GroupId, RuleSet};
use crate::types::{Refusal, ShardId, ShardSet, SqlState};

/// A statement and the key that was said beside it.
#[derive(Debug, Clone)]
pub(super) struct Steered {
    pub(super) inner: Prepared,
    key: String,
}

impl Steered {
    /// Binds the sharded tables that no condition binds.
    pub(super) fn new(mut inner: Prepared, key: &str) -> Self {
        if let Some(keyed) = inner.keyed_mut() {
            keyed.iter_mut().for_each(|keyed| keyed.steered = Some(key.to_owned()));
        }
        Self { inner, key: key.to_owned() }
    }

    /// Plans the statement, and refuses what would leave the shard of the key.
    pub(super) fn plan(
        &self,
        context: &Context<'_>,
        values: &Values<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Plan, Refusal> {
        let mut allowed = ShardSet::new();
        for group in self.inner.groups(context.rules) {
            allowed.insert(shard_of(&self.key, group, context.rules)?);
        }
        let plan = self.inner.plan(context, values, ids)?;
        let within = allowed.is_empty() || shards(&plan).iter().all(|shard| allowed.contains(shard));
        match &plan {
            // Its steps are planned by themselves, without the comment.
            Plan::Carry(_) | Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => Err(not_steered()),
            Plan::Direct(_) | Plan::Scatter(_) | Plan::Gather(_) | Plan::MultiWrite(_) if within => Ok(plan),
            Plan::Direct(_) | Plan::Scatter(_) | Plan::Gather(_) | Plan::MultiWrite(_) => {
                Err(bound_elsewhere(&self.key, shards(&plan), context.rules))
            }
        }
    }
}

impl Prepared {
    fn keyed_mut(&mut self) -> Option<&mut Vec<Keyed>> {
        match &mut self.body {
            Body::Read(located, _) => Some(&mut located.keyed),
            Body::Modify(modify) => Some(modify.keyed_mut()),
            // The text with the views replaced has the comment, too.
            Body::Fixed(_)
            | Body::Merge(_)
            | Body::Insert(_)
            | Body::Explain(_)
            | Body::Expanded(_)
            | Body::Steered(_) => None,
        }
    }

    /// Lists the groups of the sharded tables.
    fn groups(&self, rules: &RuleSet) -> Vec<GroupId> {
        let of = |keyed: &[Keyed]| keyed.iter().map(|keyed| keyed.group).collect();
        match &self.body {
            Body::Read(located, _) => of(&located.keyed),
            Body::Modify(modify) => of(modify.keyed()),
            Body::Merge(merging) => of(merging.keyed()),
            Body::Insert(insert) => match rules.table(insert.table()).map(|rule| &rule.distribution) {
                Some(Distribution::Sharded { group, .. }) => vec![*group],
                Some(Distribution::Reference { .. } | Distribution::Single { .. }) | None => Vec::new(),
            },
            Body::Fixed(_) | Body::Explain(_) | Body::Expanded(_) | Body::Steered(_) => Vec::new(),
        }
    }
}

/// Returns where a key lives that was said as text.
pub(super) fn shard_of(key: &str, group: GroupId, rules: &RuleSet) -> Result<ShardId, Refusal> {
    let known = rules.group(group);
    let wrong = |why: &str, state| {
        Refusal::new(state, format!("the sharding key \"{key}\" {why} of table group \"{}\"", known.name))
            .with_hint("Say another one in the comment or by SET shardloom.sharding_key, or RESET it.")
            .with_reason("wrong_sharding_key")
    };
    if !known.more_types().is_empty() {
        return Err(wrong("is one value, which is not the whole key", SqlState::INVALID_TEXT_REPRESENTATION));
    }
    let value = key_from_text(known.key_type, key)
        .ok_or_else(|| wrong("is no value of the key's type", SqlState::INVALID_TEXT_REPRESENTATION))?;
    rules.shard_of(group, &value).ok_or_else(|| wrong("has no place in the shards", SqlState::CHECK_VIOLATION))
}

fn bound_elsewhere(key: &str, shards: ShardSet, rules: &RuleSet) -> Refusal {
    let names: Vec<_> = shards.iter().map(|shard| rules.shard(shard).name.as_str()).collect();
    let message = format!("the statement goes to {}, where the sharding key \"{key}\" does not live", names.join(", "));
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .with_hint("Say the same key in both, or RESET shardloom.sharding_key.")
        .with_reason("bound_elsewhere")
}

fn not_steered() -> Refusal {
    Refusal::unsupported(
        "a sharding key said beside the statement has no meaning for COPY, utility statements over several shards and INSERTs that bring rows from elsewhere",
        "RESET shardloom.sharding_key, or leave the comment out.",
    )
    .with_reason("not_steered")
}
