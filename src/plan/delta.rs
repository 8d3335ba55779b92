//! UPDATEs that shards other than home may run later: they add numbers to columns that nothing else depends on, of rows that
//! they name by key. What is added twice in another order is the same, and no shard can refuse it but for an overflow.

use std::collections::{BTreeMap, HashSet};

use super::catalog::{Table, TableKind};
use super::colocate::Keyed;
use super::context::{Context, Values};
use super::key::{column_fits, each_value};
use crate::rules::{AssumedCount, Distribution, OnDead, RuleMode};
use crate::sql::{Amount, Delta, Facts, LiteralKind, SlotSource, TableName, literal_value};
use crate::types::ShardId;

/// PostgreSQL's type oids (`pg_type.dat`) of what adds up in any order.
mod oid {
    pub(super) const SMALLINT: u32 = 21;
    pub(super) const INTEGER: u32 = 23;
    pub(super) const BIGINT: u32 = 20;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const WHOLE: [u32; 3] = [SMALLINT, INTEGER, BIGINT];
}

/// Tells whether the rules want it, and the table lets it: whatever the values are.
pub(super) fn is_postponable(facts: &Facts, target: &TableName, context: &Context<'_>) -> bool {
    let (Some(delta), Some(rule)) = (&facts.delta, context.rules.table(&target.rule_key())) else { return false };
    let Distribution::Sharded { group, key, more } = &rule.distribution else { return false };
    let group = context.rules.group(*group);
    let wanted = group.multi_shard.mode == RuleMode::Eventual
        && group.multi_shard.assumed_count == AssumedCount::Keys
        && group.multi_shard.on_dead != OnDead::Compensate;
    let Some(table) = context.catalog.table(&rule.name).filter(|_| wanted && more.is_empty() && rule.split.is_none())
    else {
        return false;
    };
    let key_fits =
        table.column(key).is_some_and(|column| column_fits(group.key_type, column) && column.type_oid < 16_384);
    key_fits
        && is_plain(table)
        && delta.columns.iter().all(|column| column != key && is_free(table, column))
        && names_rows(delta, table, key)
}

/// Tells whether a write of the table does what it says and no more.
fn is_plain(table: &Table) -> bool {
    table.kind == TableKind::Table
        && !table.user_triggers
        && !table.exclusion
        && !table.computed_indexes
        && table.parents.is_empty()
        && table.reads.is_empty()
        && !table.columns.iter().any(|column| column.generated)
}

/// Tells whether nothing but its type restricts a column.
fn is_free(table: &Table, name: &str) -> bool {
    let is_named = |columns: &[String]| columns.iter().any(|column| column == name);
    table.column(name).is_some_and(|column| {
        (oid::WHOLE.contains(&column.type_oid) || column.type_oid == oid::NUMERIC) && !column.identity
    }) && !table.unique.iter().any(|columns| is_named(columns))
        && !table.foreign_keys.iter().any(|foreign| is_named(&foreign.columns))
        && !table.checks.iter().any(|check| is_named(&check.columns))
}

/// Tells whether the conditions name single rows: by the sharding key, if it is unique by itself, or by the columns of a
/// unique index one value each.
fn names_rows(delta: &Delta, table: &Table, key: &String) -> bool {
    let named: Vec<&String> = delta.keys.iter().map(|bound| &bound.column).collect();
    let once = named.iter().collect::<HashSet<_>>().len() == named.len();
    let is_single = delta.keys.iter().all(|bound| bound.is_single());
    let names = |unique: &Vec<String>| {
        unique.iter().all(|column| named.contains(&column))
            && named.iter().all(|column| *column == key || unique.contains(*column))
    };
    once && named.contains(&key)
        && table
            .unique
            .iter()
            .any(|unique| names(unique) && (is_single || unique.as_slice() == std::slice::from_ref(key)))
}

/// Returns how many rows it names on each shard; `None` where that cannot be told, or the amounts may be no numbers.
pub(super) fn assumed(
    facts: &Facts,
    target: &Keyed,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Option<Vec<(ShardId, u64)>> {
    let delta = facts.delta.as_deref()?;
    let table = context.catalog.table(&target.table)?;
    let mut added = delta.columns.iter().zip(&delta.amounts);
    if !added.all(|(column, amount)| table.column(column).is_some_and(|column| fits(amount, column.type_oid, values))) {
        return None;
    }
    let named = delta.keys.iter().find(|bound| bound.column == target.key)?;
    let (mut keys, mut rows, mut told) = (HashSet::new(), BTreeMap::new(), true);
    let mut add = |value| match context.rules.shards_of_key(target.group, &value).only() {
        Some(shard) if keys.insert(value) => *rows.entry(shard).or_insert(0) += 1,
        Some(_) => {}
        None => told = false,
    };
    let all = named.slots.iter().all(|slot| each_value(slot, target.key_type, values, &mut add));
    (all && told).then(|| rows.into_iter().collect())
}

/// Tells whether a value adds up in a column of this type: NULL makes it NULL, a text is judged when a row is there, a
/// fraction is rounded with each row, and what is beyond the type fails on any row.
fn fits(amount: &Amount, column: u32, values: &Values<'_>) -> bool {
    if amount.is_numeric && column != oid::NUMERIC {
        return false;
    }
    match &amount.source {
        SlotSource::Literal { index, .. } => {
            let literal = values.literals.get(*index).filter(|literal| literal.kind == LiteralKind::Number);
            let Some(number) = literal.and_then(|literal| literal_value(values.text, literal)) else { return false };
            match column {
                oid::SMALLINT => number.parse::<i16>().is_ok(),
                oid::INTEGER => number.parse::<i32>().is_ok(),
                oid::BIGINT => number.parse::<i64>().is_ok(),
                _ => true,
            }
        }
        SlotSource::Parameter { index, .. } => {
            let given = values.parameters.values.get(*index).is_some_and(Option::is_some);
            let declared = values.parameters.type_of(*index);
            given && (declared == 0 || oid::WHOLE.contains(&declared) || declared == column)
        }
        SlotSource::Null => false,
    }
}
