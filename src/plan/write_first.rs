//! WITH that writes rows of several shards: each query of it that writes runs first, by itself, and its rows stand as
//! constants in what is left. One is taken at a time: the text with its rows is planned again.
//!
//! All parts of a statement see the rows as they were before it. So it is only for statements of which no part could see
//! what another wrote, nor what that set off: cascades, triggers, checks that PostgreSQL leaves to the statement's end.

use std::collections::HashSet;

use super::carry::{Brought, Carry, CarryForm};
use super::catalog::{Catalog, Table, TableKind};
use super::context::{Context, Values};
use super::parsing;
use super::plan_types::Plan;
use super::with::{WithQuery, names, queries};
use crate::sql::{self, Facts, Scanner, StatementKind, TableName};
use crate::types::Refusal;

/// What a query of WITH writes.
struct Write {
    table: TableName,
    kind: StatementKind,
}

/// Plans what `refusal` would refuse; returns that if nothing can be run first.
pub(super) fn plan(context: &Context<'_>, values: &Values<'_>, refusal: Refusal) -> Result<Plan, Refusal> {
    let Some(step) = Step::of(values.text, context) else { return Err(refusal) };
    let facts = sql::read(values.text).ok();
    let checked_on = facts.and_then(|facts| match parsing::single(&facts, context.rules) {
        Ok(shard) => Some(shard.unwrap_or(context.rules.home)),
        Err(_) => None,
    });
    let brought = Brought {
        span: step.query.query.start - 1..step.query.query.end + 1,
        key: None,
        alias: None,
        table: None,
        listed: false,
        alone: false,
        written: step.writes,
    };
    Ok(Plan::Carry(Box::new(Carry {
        source: step.source,
        columns: Vec::new(),
        form: CarryForm::Query { brought, refusal },
        checked_on,
        checked: None,
        within: None,
        table: step.table.to_string(),
        together: true,
        numbers: Vec::new(),
    })))
}

/// Tells whether a part of the statement can be run first.
pub(super) fn is_possible(text: &str, context: &Context<'_>) -> bool {
    Step::of(text, context).is_some()
}

/// What is run first.
struct Step {
    query: WithQuery,
    /// The query by itself, behind those before it that it reads.
    source: String,
    writes: bool,
    table: TableName,
}

impl Step {
    fn of(text: &str, context: &Context<'_>) -> Option<Self> {
        let (found, main) = queries(text)?;
        let body = |query: &WithQuery| &text[query.query.clone()];
        let at = found.iter().position(|query| !only_reads(body(query)))?;
        if !found[..=at].iter().all(|query| compares_by_default(body(query), context.catalog)) {
            return None;
        }
        // What it reads must be the same for all that read it.
        let needed = needed(text, &found[..=at]);
        let first = needed.iter().copied().find(|query| gives_anew(body(&found[*query]))).unwrap_or(at);
        if let Some(table) = locked(body(&found[at])) {
            return Some(Self::read_first(text, found, at, first, table));
        }
        let write = written(body(&found[at]))?;
        let others = || found.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, query)| body(query));
        let parts = || others().chain([&text[main..]]);
        // Nobody can read a query that returns nothing.
        let returns = has_word(body(&found[at]), "returning");
        let is_read = |part: &str| names(part).any(|name| name == found[at].name);
        let seen = || {
            let changed = changed(&write, context.catalog);
            let near = near(&write, &changed, context.catalog);
            sets_off(&changed, parts(), context.catalog)
                || parts().any(|part| {
                    names(part).any(|name| near.contains(&name)) || is_set_off(part, &near, context.catalog)
                })
        };
        if first == at && (!returns && parts().any(is_read) || seen()) {
            return None;
        }
        Some(Self::read_first(text, found, at, first, write.table))
    }

    /// Takes the query `first`, which is `at` itself or one before that it reads.
    fn read_first(text: &str, mut found: Vec<WithQuery>, at: usize, first: usize, table: TableName) -> Self {
        let needed = needed(text, &found[..=first]);
        let before: Vec<&str> = needed.iter().map(|query| &text[found[*query].whole.clone()]).collect();
        let with = if before.is_empty() { String::new() } else { format!("WITH {} ", before.join(", ")) };
        let source = format!("{with}{}", text[found[first].query.clone()].trim_start());
        Self { source, writes: first == at, table, query: found.swap_remove(first) }
    }
}

/// Tells whether a query writes and locks nothing.
fn only_reads(query: &str) -> bool {
    sql::read(query).is_ok_and(|facts| facts.kind == StatementKind::Select && !facts.nested_write && !facts.locks)
}

/// Returns a table of which a query locks rows; nobody sees a lock.
fn locked(query: &str) -> Option<TableName> {
    let facts = sql::read(query).ok()?;
    let locks = facts.kind == StatementKind::Select && !facts.nested_write && facts.locks;
    facts.relations.into_iter().find_map(|relation| relation.table).filter(|_| locks)
}

/// Returns what a query writes; `None` where it does not write, or has a WITH of its own.
fn written(query: &str) -> Option<Write> {
    if let Ok(insert) = sql::insert::read(query) {
        let changes = insert.conflict.as_ref().is_some_and(|conflict| conflict.update.is_some());
        let kind = if changes { StatementKind::Update } else { StatementKind::Insert };
        return (!insert.with && !insert.with_writes).then_some(Write { table: insert.table, kind });
    }
    let facts = sql::read(query).ok()?;
    let writes = matches!(facts.kind, StatementKind::Update | StatementKind::Delete) && !facts.nested_write;
    let target = facts.relations.into_iter().find(|relation| relation.target)?;
    target.table.filter(|_| writes).map(|table| Write { table, kind: facts.kind })
}

/// Returns which of the queries before the last one it reads, by itself or through others, in their order.
fn needed(text: &str, found: &[WithQuery]) -> Vec<usize> {
    let last = found.len() - 1;
    let mut needed = HashSet::from([last]);
    for at in (0..last).rev() {
        let is_read = |by: &usize| names(&text[found[*by].query.clone()]).any(|name| name == found[at].name);
        if needed.iter().any(is_read) {
            needed.insert(at);
        }
    }
    let mut needed: Vec<usize> = needed.into_iter().filter(|at| *at != last).collect();
    needed.sort_unstable();
    needed
}

/// Tells whether a query may give something else the next time: it reads a table or calls a function.
fn gives_anew(query: &str) -> bool {
    let constant =
        |facts: Facts| facts.functions.is_empty() && facts.relations.iter().all(|relation| relation.table.is_none());
    !sql::read(query).is_ok_and(constant)
}

/// Returns the bare names of the tables whose rows the write may change: its own, those that inherit from it or it from them,
/// and what refers to any of them, unless rows are inserted, to which nothing refers yet.
fn changed(write: &Write, catalog: &Catalog) -> HashSet<String> {
    let mut changed = HashSet::from([write.table.name.clone()]);
    loop {
        let before = changed.len();
        for (name, table) in &catalog.tables {
            let refers = table.foreign_keys.iter().any(|foreign| changed.contains(&bare(&foreign.table)));
            let is_child = table.parents.iter().any(|parent| changed.contains(&bare(parent)));
            if is_child || refers && write.kind != StatementKind::Insert {
                changed.insert(bare(name));
            }
            if changed.contains(&bare(name)) {
                changed.extend(table.parents.iter().map(|parent| bare(parent)));
            }
        }
        if changed.len() == before {
            return changed;
        }
    }
}

/// Returns the bare names by which another part could see the write: of what it changes, what its table refers to, and views
/// and functions over any of them.
fn near(write: &Write, changed: &HashSet<String>, catalog: &Catalog) -> HashSet<String> {
    let mut near = changed.clone();
    // What it refers to may come with another part.
    if write.kind != StatementKind::Delete {
        let tables = catalog.tables.iter().filter(|(name, _)| changed.contains(&bare(name)));
        near.extend(tables.flat_map(|(_, table)| &table.foreign_keys).map(|foreign| bare(&foreign.table)));
    }
    loop {
        let before = near.len();
        for (name, table) in catalog.tables.iter().filter(|(_, table)| table.kind == TableKind::View) {
            if table.reads.iter().chain(&table.calls).any(|read| near.contains(&bare(read))) {
                near.insert(bare(name));
            }
        }
        for (name, routine) in &catalog.routines {
            if routine.names.iter().any(|named| near.contains(named)) {
                near.insert(bare(name));
            }
        }
        if near.len() == before {
            return near;
        }
    }
}

/// Tells whether triggers of what is changed could write what another part names.
fn sets_off<'a>(changed: &HashSet<String>, mut parts: impl Iterator<Item = &'a str>, catalog: &Catalog) -> bool {
    let mut known = catalog.tables.iter().filter(|(name, _)| changed.contains(&bare(name))).peekable();
    let triggers = known.peek().is_none() || known.any(|(_, table)| table.user_triggers);
    let tables: HashSet<String> = catalog.tables.keys().map(|name| bare(name)).collect();
    triggers && parts.any(|part| names(part).any(|name| tables.contains(&name)))
}

/// Tells whether what a part writes could look at the change unseen: by a trigger, or by a default.
fn is_set_off(part: &str, near: &HashSet<String>, catalog: &Catalog) -> bool {
    let mut tables = named_tables(part, catalog);
    !only_reads(part)
        && tables.any(|table| {
            let mut defaults = table.columns.iter().filter_map(|column| column.default.as_deref());
            table.user_triggers || defaults.any(|default| names(default).any(|name| near.contains(&name)))
        })
}

/// Tells whether texts of these tables and expressions compare as constants do, under the database's collation.
fn compares_by_default(part: &str, catalog: &Catalog) -> bool {
    let mut columns = named_tables(part, catalog).flat_map(|table| &table.columns);
    !has_word(part, "collate") && columns.all(|column| column.collation_is_default)
}

/// Returns the tables whose names stand in a text.
fn named_tables<'a>(part: &str, catalog: &'a Catalog) -> impl Iterator<Item = &'a Table> + use<'a> {
    let named: HashSet<String> = names(part).collect();
    catalog.tables.iter().filter(move |(name, _)| named.contains(&bare(name))).map(|(_, table)| table)
}

fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

fn has_word(text: &str, word: &str) -> bool {
    Scanner::new(text).any(|token| token.is_word(text, word))
}
