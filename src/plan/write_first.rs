//! WITH that writes rows of several shards: each query of it that writes runs first, by itself, and its rows stand as
//! constants in what is left. One is taken at a time: the text with its rows is planned again.
//!
//! All parts of a statement see the rows as they were before it. So it is only for statements of which no part could see
//! what another wrote, nor what that set off: cascades, triggers, checks that PostgreSQL leaves to the statement's end.

use std::collections::HashSet;

use super::carry::{Brought, Carry, CarryForm};
use super::catalog::{Catalog, TableKind};
use super::context::{Context, Values};
use super::parsing;
use super::plan_types::Plan;
use super::with::{WithQuery, queries};
use crate::sql::{self, Scanner, StatementKind, TableName, identifier};
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
        if let Some(table) = locked(body(&found[at])) {
            return Some(Self::read_first(text, found, at, at, table));
        }
        let write = written(body(&found[at]))?;
        let others = || found.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, query)| body(query));
        let parts = || others().chain([&text[main..]]);
        let near = near(&write, context.catalog);
        let is_near = |part: &str| names(part).any(|name| near.contains(&name));
        // Nobody can read a query that returns nothing.
        let returns = has_word(body(&found[at]), "returning");
        let is_read = |part: &str| names(part).any(|name| name == found[at].name);
        if parts().any(is_near) || !returns && parts().any(is_read) || sets_off(&write, parts(), context) {
            return None;
        }
        // What it reads must be the same for all that read it.
        let needed = needed(text, &found[..=at]);
        let first = needed.iter().copied().find(|query| reads_tables(body(&found[*query]))).unwrap_or(at);
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
        return (!insert.with && !insert.with_writes)
            .then_some(Write { table: insert.table, kind: StatementKind::Insert });
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

/// Tells whether a query reads a table: what it gives may be another thing the next time.
fn reads_tables(query: &str) -> bool {
    sql::read(query).map_or(true, |facts| facts.relations.iter().any(|relation| relation.table.is_some()))
}

/// Returns the bare names by which another part could see the write, or what it sets off: of the table, its parents and
/// children, tables that refer to it or that it refers to, and views and functions over any of them.
fn near(write: &Write, catalog: &Catalog) -> HashSet<String> {
    let key = write.table.rule_key();
    let mut near = HashSet::from([write.table.name.clone()]);
    let own = catalog.table(&key);
    near.extend(own.iter().flat_map(|table| &table.parents).map(|parent| bare(parent)));
    for (name, table) in &catalog.tables {
        let refers = table.foreign_keys.iter().any(|foreign| bare(&foreign.table) == write.table.name);
        // Deleting or changing cascades, or is refused at the end only; what is inserted nobody refers to yet.
        if refers && write.kind != StatementKind::Insert
            || table.parents.iter().any(|parent| bare(parent) == write.table.name)
        {
            near.insert(bare(name));
        }
    }
    // What it refers to may come with another part.
    if write.kind != StatementKind::Delete {
        near.extend(own.iter().flat_map(|table| &table.foreign_keys).map(|foreign| bare(&foreign.table)));
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

/// Tells whether the table's own triggers could write what another part names.
fn sets_off<'a>(write: &Write, mut parts: impl Iterator<Item = &'a str>, context: &Context<'_>) -> bool {
    let triggers = context.catalog.table(&write.table.rule_key()).is_none_or(|table| table.user_triggers);
    let tables: HashSet<String> = context.catalog.tables.keys().map(|name| bare(name)).collect();
    triggers && parts.any(|part| names(part).any(|name| tables.contains(&name)))
}

fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// Returns all names in a text, whatever they mean there.
fn names(text: &str) -> impl Iterator<Item = String> {
    Scanner::new(text).filter_map(move |token| identifier(text, token))
}

fn has_word(text: &str, word: &str) -> bool {
    Scanner::new(text).any(|token| token.is_word(text, word))
}
