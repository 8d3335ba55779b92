//! Reads: one shard answers where that is right, else several whose rows merge, else a refusal.

use super::colocate::Located;
use super::context::{Context, Values};
use super::plan_types::{Direct, Partial, Plan, Scatter, Statement, WriteEffect};
use super::root::{aggregates_outside, root};
use super::scatter;
use super::{functions, hidden, nested};
use crate::rules::OnMissingKey;
use crate::sql::{Facts, Scanner, Shape, identifier};
use crate::types::{Refusal, ShardId, ShardSet, SqlState};

/// Refuses functions whose state lives on home where the statement runs on another shard.
pub(super) fn check_home(facts: &Facts, shard: ShardId, context: &Context<'_>) -> Result<(), Refusal> {
    let homely = |name: &&String| hidden::is_of_home(name, context.catalog);
    match facts.functions.iter().find(homely) {
        Some(name) if shard != context.rules.home => Err(only_home(name, context)),
        Some(_) | None => Ok(()),
    }
}

/// The refusal of a function whose state lives on home.
pub(super) fn only_home(name: &str, context: &Context<'_>) -> Refusal {
    Refusal::unsupported(
        format!("{name}() works on {} only", context.rules.shard(context.rules.home).name),
        "Call it in a statement of its own.",
    )
    .with_reason("home_function")
}

/// Refuses what no values can make right.
pub(super) fn check(facts: &Facts, located: &Located, context: &Context<'_>) -> Result<(), Refusal> {
    if writes_inside(facts, located) { nested::check(facts, context) } else { Ok(()) }
}

/// Tells whether a part of the statement writes, beside tables that are not all on one shard.
pub(super) fn writes_inside(facts: &Facts, located: &Located) -> bool {
    facts.nested_write && !(located.keyed.is_empty() && located.references.is_empty())
}

/// Returns the plan if one shard is enough, `None` if several are needed.
pub(super) fn direct(
    located: &Located,
    facts: &Facts,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<Option<Plan>, Refusal> {
    let Some(needed) = needed_shards(located, context, values)? else { return Ok(None) };
    if needed.len() > 1 {
        return match located.fixed.first() {
            Some((table, shard)) if !located.keyed.is_empty() => Err(apart(located, table, *shard, context)),
            Some(_) | None => Ok(None),
        };
    }
    let shard = needed.only().unwrap_or_else(|| located.spare(context.rules));
    check_home(facts, shard, context)?;
    let free = needed.is_empty() && located.fixed.is_empty() && located.keyed.is_empty();
    let writes = facts.locks || facts.nested_write || !calls_nothing_else(facts, located);
    let effect = effect(facts, located, context);
    Ok(Some(Plan::Direct(Direct {
        shard,
        statement: Statement::Original,
        effect,
        anywhere: free && !writes,
        reads_reference: !located.references.is_empty(),
    })))
}

/// Tells whether all functions are harmless on any shard: known, and not hidden by one of the user's that acts.
fn calls_nothing_else(facts: &Facts, located: &Located) -> bool {
    functions::are_known(&facts.functions) && located.called.acts.is_none()
}

/// What a read holds or writes: row locks, what functions do.
fn effect(facts: &Facts, located: &Located, context: &Context<'_>) -> Option<WriteEffect> {
    let writes = located.called.writes.then(|| super::modify::hinted_effect(context.rules));
    let holds = facts.locks || facts.nested_write;
    writes.or_else(|| holds.then(|| super::modify::lock_effect(located, context.rules)))
}

/// Returns the shards whose rows matter; `None` if some sharded table is not bound.
fn needed_shards(located: &Located, context: &Context<'_>, values: &Values<'_>) -> Result<Option<ShardSet>, Refusal> {
    let mut needed = ShardSet::new();
    for (table, shard) in &located.fixed {
        needed.insert(*shard);
        if needed.len() > 1 {
            return Err(two_places(located, table, context));
        }
    }
    for keyed in &located.keyed {
        match keyed.shards(context.rules, values) {
            Some(shards) => needed = needed.union(&shards),
            None => return Ok(None),
        }
    }
    Ok(Some(needed))
}

fn two_places(located: &Located, table: &str, context: &Context<'_>) -> Refusal {
    let (first, shard) = located.fixed.first().map_or(("", ShardId(0)), |(table, shard)| (table.as_str(), *shard));
    Refusal::unsupported(
        format!("tables \"{first}\" (on {}) and \"{table}\" live on different shards", context.rules.shard(shard).name),
        "Make one of them a reference table, or read them one after the other.",
    )
    .with_reason("different_shards")
}

fn apart(located: &Located, table: &str, shard: ShardId, context: &Context<'_>) -> Refusal {
    let sharded = located.keyed.first().map_or("", |keyed| keyed.table.as_str());
    Refusal::unsupported(
        format!(
            "table \"{table}\" lives on {} and the rows of \"{sharded}\" on other shards",
            context.rules.shard(shard).name
        ),
        "Make it a reference table, or read the two one after the other.",
    )
    .with_reason("different_shards")
}

/// Tells whether an average may be of `real` values: a shard's sum of them has lost digits that PostgreSQL's average keeps.
fn averages_reals(facts: &Facts, context: &Context<'_>, text: &str) -> bool {
    const FLOAT4_OID: u32 = 700;
    let tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let tables = tables.filter_map(|table| context.catalog.table(&table.rule_key()));
    let columns = tables.flat_map(|table| &table.columns).filter(|column| column.type_oid == FLOAT4_OID);
    let reals: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let names_one = |part: &str| {
        Scanner::new(part).filter_map(|token| identifier(part, token)).any(|name| reals.contains(&name.as_str()))
    };
    let items = facts.block.iter().flat_map(|block| &block.items);
    !reals.is_empty()
        && items.into_iter().any(|item| match &item.shape {
            Shape::Aggregate { name, arguments, .. } => name == "avg" && names_one(&text[arguments.clone()]),
            Shape::Column(_) | Shape::Expression | Shape::OverAggregate | Shape::Star | Shape::Position(_) => false,
        })
}

/// Plans a read over several shards.
pub(super) fn scatter(
    located: &Located,
    facts: &Facts,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<Plan, Refusal> {
    if let Some((table, shard)) = located.fixed.first() {
        return Err(apart(located, table, *shard, context));
    }
    let root = root(located, facts)?;
    if let Some(other) = located.keyed.iter().find(|keyed| !keyed.follows.contains(&located.keyed[root].relation)) {
        return Err(not_colocated(located, root, &other.table));
    }
    let keyed = &located.keyed[root];
    let bound = keyed.shards(context.rules, values);
    if bound.is_none() && context.rules.group(keyed.group).missing_key.read == OnMissingKey::Reject {
        return Err(missing_key(&keyed.table, &keyed.key_names(), "read"));
    }
    let mut shards = bound.unwrap_or_else(|| context.rules.shards_of_group(keyed.group));
    if shards.is_empty() {
        shards.insert(located.spare(context.rules));
    }
    let unknown = functions::unknown(facts, located, root).or_else(|| functions::own(facts, context.catalog));
    if let Some(name) = unknown.or(located.called.acts.as_deref()) {
        return Err(Refusal::unsupported(
            format!("function {name}() is not known to be the same on every shard of table \"{}\"", keyed.table),
            format!("Bind the sharding key \"{}\" to one value.", keyed.key_names()),
        )
        .with_reason("unknown_function"));
    }
    if shards.len() > 1 && aggregates_outside(facts, context.catalog) {
        return Err(scatter::refuse(keyed, "an aggregate of the outer query in a subquery", "sharded_subquery"));
    }
    if shards.len() > 1 && averages_reals(facts, context, values.text) {
        return Err(scatter::refuse(keyed, "the average of real values", "merge_aggregate"));
    }
    let (statement, merge) = match shards.len() {
        1 => return Ok(one(shards, located, facts, context)),
        _ => scatter::merge(facts, located, root, values)?,
    };
    let lock_first = scatter::lock_first(facts, keyed, &statement, values)?;
    Ok(Plan::Scatter(Scatter {
        shards,
        lock_first,
        statement,
        merge,
        reads_reference: !located.references.is_empty(),
        locks: facts.locks,
    }))
}

/// Returns how home can finish what each shard makes of its own rows; `None` where it needs the rows themselves.
pub(super) fn partial(located: &Located, facts: &Facts, context: &Context<'_>, values: &Values<'_>) -> Option<Partial> {
    if functions::own(facts, context.catalog).is_some() {
        return None;
    }
    let keyed = &located.keyed[root(located, facts).ok()?];
    let shards = keyed.shards(context.rules, values).unwrap_or_else(|| context.rules.shards_of_group(keyed.group));
    super::partial::plan(facts, shards, !located.references.is_empty(), values)
}

/// All rows that matter are on one shard after all.
fn one(shards: ShardSet, located: &Located, facts: &Facts, context: &Context<'_>) -> Plan {
    Plan::Direct(Direct {
        shard: shards.only().unwrap_or_else(|| located.spare(context.rules)),
        statement: Statement::Original,
        effect: effect(facts, located, context),
        anywhere: false,
        reads_reference: !located.references.is_empty(),
    })
}

fn not_colocated(located: &Located, root: usize, other: &str) -> Refusal {
    let keyed = &located.keyed[root];
    Refusal::unsupported(
        format!("tables \"{}\" and \"{other}\" are not joined by their sharding keys", keyed.table),
        "Join them by equality of their sharding keys, or bind both keys to one value.",
    )
    .with_reason("not_colocated")
}

/// The refusal of a statement that must have a key; `what` it does, `read` or `write`, as the rules say it.
pub(super) fn missing_key(table: &str, key: &str, what: &str) -> Refusal {
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("missing sharding key \"{key}\" of table \"{table}\""))
        .with_hint(format!(
            "Add a condition on \"{key}\" under AND, or let the rules of its table group say missing_key: {{{what}: scatter}}."
        ))
        .with_reason("missing_sharding_key")
}
