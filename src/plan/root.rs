//! The sharded table whose rows say which shard a result row comes from.
//!
//! It stands in the top query block, or in subqueries of FROM all of whose rows stay what they are if each shard makes them of
//! its own: nothing but rows with one sharding key is grouped there, numbered by a window, or made one by DISTINCT.

use super::catalog::{Catalog, Table};
use super::colocate::{Keyed, Located, key_column};
use crate::sql::{Block, Column, Facts, Item, Scope, Shape};
use crate::types::Refusal;

/// Finds the table; one that all others follow, if there is one.
pub(super) fn root(located: &Located, facts: &Facts) -> Result<usize, Refusal> {
    let at_top = |at: &usize| facts.relations[located.keyed[*at].relation].scope == 0;
    let mut fit: Vec<usize> = (0..located.keyed.len()).filter(|at| reaches_top(located, facts, *at)).collect();
    fit.sort_by_key(|at| !at_top(at));
    let leads = |at: &usize| located.keyed.iter().all(|other| other.follows.contains(&located.keyed[*at].relation));
    let found = fit.iter().copied().find(leads).or(fit.first().copied());
    found.ok_or_else(|| refuse(located.keyed.first()))
}

fn refuse(keyed: Option<&Keyed>) -> Refusal {
    let (table, key) = keyed.map_or(("", ""), |keyed| (keyed.table.as_str(), keyed.key.as_str()));
    Refusal::unsupported(
        format!("table \"{table}\" stands in a subquery or on the optional side of an outer join"),
        format!("Bind the sharding key \"{key}\" to one value there, so that one shard can answer."),
    )
    .with_reason("sharded_subquery")
}

/// Tells whether each row of the top query block is made of rows of one shard of this table.
fn reaches_top(located: &Located, facts: &Facts, at: usize) -> bool {
    let mut relation = located.keyed[at].relation;
    // A relation stands in a scope around the one that it reads.
    for _ in 0..=facts.scopes.len() {
        let found = &facts.relations[relation];
        if found.nullable {
            return false;
        }
        if found.scope == 0 {
            return true;
        }
        let scope = &facts.scopes[found.scope];
        if scope.whole || scope.ordered && shows_order(facts) || !is_held_by_key(located, facts, at, scope) {
            return false;
        }
        let Some(outer) = scope.read_as else { return false };
        relation = outer;
    }
    false
}

/// Tells whether the result may show the order of a subquery: PostgreSQL passes it on, though it does not have to.
fn shows_order(facts: &Facts) -> bool {
    facts.block.as_ref().is_none_or(|block| block.order.is_empty() && !is_aggregated(block))
}

/// Tells whether a block aggregates.
pub(super) fn is_aggregated(block: &Block) -> bool {
    let aggregate = |item: &Item| matches!(item.shape, Shape::Aggregate { .. } | Shape::OverAggregate);
    let ordered = block.order.iter().any(|key| aggregate(&key.item));
    !block.group.is_empty() || block.having || ordered || block.items.iter().any(aggregate)
}

/// Tells whether only rows with one sharding key of the table depend on each other in a scope, and so none of two shards.
pub(super) fn is_held_by_key(located: &Located, facts: &Facts, at: usize, scope: &Scope) -> bool {
    scope.together.iter().all(|columns| has_key(located, facts, at, columns))
}

/// Tells whether the sharding key of the table is among the columns, a composite one with all of its own.
fn has_key(located: &Located, facts: &Facts, at: usize, columns: &[Column]) -> bool {
    let parts = 0..=located.keyed[at].more.len();
    parts.into_iter().all(|part| columns.iter().any(|column| is_key(located, facts, at, (column, part))))
}

/// Tells whether a column is this part of the table's sharding key, or of that of a table whose key the table's must equal. That
/// the other's must equal the table's is not enough: it may only do so outside of where the column stands.
pub(super) fn is_key(located: &Located, facts: &Facts, at: usize, (column, part): (&Column, usize)) -> bool {
    let found = key_column(facts, located, column);
    found.is_some_and(|(other, of)| of == part && located.keyed[at].follows.contains(&located.keyed[other].relation))
}

/// Tells whether an aggregate in a subquery may be one of the query around it: none of the subquery's tables is known to have
/// its columns.
pub(super) fn aggregates_outside(facts: &Facts, catalog: &Catalog) -> bool {
    facts.unsure.iter().any(|aggregate| {
        let lacks = |table: &Table| aggregate.columns.iter().all(|column| table.column(column).is_none());
        let mut tables = aggregate.tables.iter().flatten().map(|table| catalog.table(&table.rule_key()));
        // Nobody knows what columns other things have than tables.
        aggregate.tables.is_none() || tables.all(|table| table.is_none_or(lacks))
    })
}
