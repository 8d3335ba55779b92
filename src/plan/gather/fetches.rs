//! What is copied: of every table that the statement reads the columns whose names stand in the text.

use std::collections::{BTreeSet, HashSet};

use super::super::catalog::{Column, Table};
use super::super::colocate::Located;
use super::super::context::{Context, Values};
use super::super::plan_types::Fetch;
use super::super::read;
use super::plan::says_more_than_copies;
use super::words::{Samples, Words};
use crate::rules::{Distribution, OnMissingKey};
use crate::sql::{Facts, TableName};
use crate::types::{Refusal, ShardSet};

/// Lists the tables whose rows home has not, or not all of; `None` if a table's name may mean another one.
pub(super) fn fetches(facts: &Facts, words: &Words<'_>, context: &Context<'_>) -> Option<Vec<Fetch>> {
    let mut fetches = Vec::new();
    let named = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let keys: BTreeSet<_> = named.map(TableName::rule_key).collect();
    for (key, rule) in keys.iter().filter_map(|key| Some((key.as_ref(), context.rules.table(key)?))) {
        let name = key.rsplit('.').next().unwrap_or(key);
        let shards = match &rule.distribution {
            Distribution::Sharded { group, .. } => context.rules.shards_of_group(*group),
            Distribution::Reference { .. } => [context.rules.home].into_iter().collect(),
            Distribution::Single { shard } => [*shard].into_iter().collect(),
        };
        if name != key {
            // A copy has no schema, and a bare name may mean a table of another one.
            return None;
        }
        let columns = context.catalog.table(key).map(|table| needed(table, name, facts, words)).unwrap_or_default();
        let in_place =
            shards.only() == Some(context.rules.home) && !matches!(rule.distribution, Distribution::Sharded { .. });
        let physical = rule.split.as_ref().map(|split| split.names.clone()).unwrap_or_default();
        fetches.push(Fetch { table: name.to_owned(), columns, shards, physical, in_place, uses: Vec::new() });
    }
    fetches.extend(unlisted(facts, words, context));
    let schemas = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let strange = |name: &str, schema: Option<&str>| {
        schema.is_some_and(|schema| schema != "public")
            && fetches.iter().any(|fetch| fetch.table == name && !fetch.in_place)
    };
    if schemas.into_iter().any(|table| strange(&table.name, table.schema.as_deref())) {
        return None;
    }
    Some(fetches)
}

/// Lists the tables that no rule names: home has them, but a transaction's own writes to them only that sees.
fn unlisted(facts: &Facts, words: &Words<'_>, context: &Context<'_>) -> Vec<Fetch> {
    let mut fetches: Vec<Fetch> = Vec::new();
    for table in facts.relations.iter().filter_map(|relation| relation.table.as_ref()) {
        let key = table.rule_key();
        let seen = fetches.iter().any(|fetch| fetch.table == key);
        if seen || table.is_catalog() || context.rules.table(&key).is_some() {
            continue;
        }
        // One of another schema stays without columns: it cannot be copied.
        let known = context.catalog.table(&key).filter(|_| *key == table.name);
        let columns = known.map(|known| needed(known, &table.name, facts, words)).unwrap_or_default();
        let shards = [context.rules.home].into_iter().collect();
        fetches.push(Fetch {
            table: key.into_owned(),
            columns,
            shards,
            physical: Vec::new(),
            in_place: true,
            uses: Vec::new(),
        });
    }
    fetches
}

/// Leaves out the shards that hold no row that matters, where every use of the table binds its key.
pub(super) fn narrow(
    fetch: &mut Fetch,
    facts: &Facts,
    located: &Located,
    words: &Words<'_>,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<(), Refusal> {
    let named = |index: usize| facts.relations[index].table.as_ref().is_some_and(|table| table.name == fetch.table);
    let uses: Vec<_> = located.keyed.iter().filter(|keyed| named(keyed.relation)).collect();
    let Some(first) = uses.first() else { return Ok(()) };
    let bound: Vec<Option<ShardSet>> = uses.iter().map(|keyed| keyed.shards(context.rules, values)).collect();
    if bound.iter().any(Option::is_none) && context.rules.group(first.group).missing_key.read == OnMissingKey::Reject {
        return Err(read::missing_key(&first.table, &first.key, "read"));
    }
    let all_seen = words.count(&fetch.table) == (0..facts.relations.len()).filter(|index| named(*index)).count();
    if all_seen && bound.iter().all(Option::is_some) {
        fetch.shards = bound.into_iter().flatten().fold(ShardSet::new(), |all, shards| all.union(&shards));
    }
    Ok(())
}

/// Returns the columns of a table that a statement of any kind may read; `None` where rows that stand in the table's place
/// would not do: for a row as a whole, system columns, names of types.
pub(in crate::plan) fn columns_read<'c>(
    text: &str,
    facts: &Facts,
    name: &TableName,
    table: &'c Table,
) -> Option<Vec<&'c Column>> {
    let words = Words::of(text);
    let of_tables = words.has("only") || words.samples != Samples::None;
    if of_tables || says_more_than_copies(&words) || is_read_whole(&name.name, facts, &words) {
        return None;
    }
    needed(table, &name.name, facts, &words).iter().map(|column| table.column(column)).collect()
}

/// Returns the columns that the statement may read, in the table's order; at least one, to count rows by.
fn needed(table: &Table, name: &str, facts: &Facts, words: &Words<'_>) -> Vec<String> {
    let by_position = words.star
        || ["natural", "table"].iter().any(|word| words.has(word))
        || facts.relations.iter().any(|relation| relation.renamed);
    let all = by_position || is_read_whole(name, facts, words);
    let wanted = |column: &&Column| all || words.has(&column.name);
    let mut columns: Vec<String> = table.columns.iter().filter(wanted).map(|column| column.name.clone()).collect();
    if columns.is_empty() {
        columns.extend(table.columns.first().map(|column| column.name.clone()));
    }
    columns
}

/// Tells whether the table's name, or one that the statement gives it, may stand for a whole row.
fn is_read_whole(name: &str, facts: &Facts, words: &Words<'_>) -> bool {
    let own = facts.relations.iter().filter(|relation| relation.table.as_ref().is_some_and(|table| table.name == name));
    let names: HashSet<&str> = own.map(|relation| relation.alias.as_str()).chain([name]).collect();
    names.iter().any(|name| {
        let defined = facts.relations.iter().map(|relation| {
            let table = relation.table.as_ref().is_some_and(|table| table.name == **name);
            usize::from(table) + usize::from(!table && relation.alias == **name)
        });
        words.alone(name) > defined.sum()
    })
}
