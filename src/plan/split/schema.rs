//! DDL and maintenance of split tables: on each of the physical tables.
//!
//! What takes a list of tables gets all of them in one statement; everything else becomes a statement per physical table,
//! in one transaction. What can be done to none of them alone is refused.

use std::ops::Range;

use super::object::{lists, object_edits};
use super::places::Named;
use crate::plan::context::Context;
use crate::plan::plan_types::{MultiWrite, Part, Plan, ReturningOrder, Statement, WriteEffect};
use crate::sql::{DdlObject, DdlVerb, Scanner, TableName, Token, Utility, identifier, splice};
use crate::types::{Refusal, ShardSet};

/// Puts physical tables into the plan of a utility statement.
///
/// # Errors
/// Refuses what cannot be done to each of them.
pub(in crate::plan) fn plan(text: &str, utility: &Utility, plan: Plan, context: &Context<'_>) -> Result<Plan, Refusal> {
    if context.rules.physical.is_empty() {
        return Ok(plan);
    }
    let tables = split_tables(utility, context);
    if tables.is_empty() {
        return match mentioned(text, utility, context) {
            Some(name) => Err(unavailable(&name)),
            None => Ok(plan),
        };
    }
    let Plan::Everywhere { shards, effect, .. } = plan else { return Err(unavailable(&tables[0].key)) };
    let tokens: Vec<Token> = Scanner::new(text).collect();
    if lists(utility) {
        let sql = listed(text, &tokens, utility, &tables);
        let statement = Statement::Rewritten { sql, parameters: Vec::new() };
        return Ok(Plan::Everywhere { shards, statement, effect });
    }
    let Some(effect) = effect else { return Err(concurrently(&tables[0].key)) };
    each(text, &tokens, utility, &tables, (shards, effect))
}

/// Returns the split tables that a statement concerns; an index stands for its table.
fn split_tables(utility: &Utility, context: &Context<'_>) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut add = |key: String| {
        let split = context.rules.table(&key).and_then(|rule| rule.split.clone());
        if let Some(split) = split.filter(|_| found.iter().all(|known| known.key != key)) {
            found.push(Named { key, split });
        }
    };
    for table in concerned(utility) {
        match of_index(utility, table, context) {
            Some(owner) => add(owner),
            None => add(table.rule_key().into_owned()),
        }
    }
    found
}

fn concerned(utility: &Utility) -> &[TableName] {
    match utility {
        Utility::Truncate { tables }
        | Utility::Vacuum { tables }
        | Utility::Analyze { tables }
        | Utility::Lock { tables, .. } => tables,
        Utility::Ddl(ddl) => &ddl.tables,
        Utility::Copy(_) | Utility::Do | Utility::Call | Utility::Server => &[],
    }
}

/// Returns the split table that an index of this logical name belongs to.
fn of_index(utility: &Utility, index: &TableName, context: &Context<'_>) -> Option<String> {
    let Utility::Ddl(ddl) = utility else { return None };
    if ddl.object != DdlObject::Index || ddl.verb == DdlVerb::Create {
        return None;
    }
    let mut tables = context.rules.tables.iter().filter(|(_, rule)| rule.split.is_some());
    let has = |key: &str| context.catalog.table(key).is_some_and(|table| table.indexes.contains(&index.name));
    tables.find(|(key, _)| has(key)).map(|(key, _)| key.clone())
}

/// Returns a split table whose name stands in a statement that is not about tables by their names alone.
fn mentioned(text: &str, utility: &Utility, context: &Context<'_>) -> Option<String> {
    let plain = |object: DdlObject| matches!(object, DdlObject::Table | DdlObject::Index | DdlObject::Schema);
    if matches!(utility, Utility::Ddl(ddl) if plain(ddl.object) && ddl.query.is_none()) {
        return None;
    }
    let split = |name: &String| {
        let mut tables = context.rules.tables.iter().filter(|(_, rule)| rule.split.is_some());
        tables.any(|(key, _)| key.rsplit('.').next() == Some(name))
    };
    Scanner::new(text).filter_map(|token| identifier(text, token)).find(split)
}

/// Puts all physical tables in the place of each split one, each with the columns that stand behind it.
fn listed(text: &str, tokens: &[Token], utility: &Utility, tables: &[Named]) -> String {
    let is_grant = matches!(utility, Utility::Ddl(ddl) if matches!(ddl.verb, DdlVerb::Grant | DdlVerb::Revoke));
    let begins = if is_grant { tokens.iter().position(|token| token.is_word(text, "on")).unwrap_or(0) } else { 0 };
    let mut edits = Vec::new();
    let mut at = begins + 1;
    while at < tokens.len() {
        if is_grant && ["to", "from"].iter().any(|word| tokens[at].is_word(text, word)) {
            break;
        }
        let Some((table, name)) = table_at(text, tokens, at, tables) else {
            at += 1;
            continue;
        };
        let columns = parenthesized(text, tokens, name.next);
        let end = columns.as_ref().map_or(name.span.end, |columns| columns.end);
        let columns = columns.map(|columns| format!(" {}", &text[columns])).unwrap_or_default();
        let schema = &text[name.schema.clone()];
        let each = table.split.names.iter().map(|physical| format!("{schema}{}{columns}", super::quoted(physical)));
        edits.push((name.span.start..end, each.collect::<Vec<_>>().join(", ")));
        at = tokens.iter().position(|token| token.start >= end).unwrap_or(tokens.len());
    }
    splice(text, &edits)
}

/// Where a table's name stands.
pub(super) struct Found {
    /// The name, with its schema.
    pub(super) span: Range<usize>,
    /// The schema with its dot.
    pub(super) schema: Range<usize>,
    /// The token behind it.
    pub(super) next: usize,
}

/// Returns the split table whose name begins at a token.
pub(super) fn table_at<'t>(text: &str, tokens: &[Token], at: usize, tables: &'t [Named]) -> Option<(&'t Named, Found)> {
    let dot = |at: usize| tokens.get(at).is_some_and(|token| token.is_mark(text, "."));
    if at > 0 && dot(at - 1) {
        return None;
    }
    let first = identifier(text, *tokens.get(at)?)?;
    let second = tokens.get(at + 2).filter(|_| dot(at + 1)).and_then(|token| identifier(text, *token));
    let known = |table: &TableName| tables.iter().find(|known| known.key == table.rule_key());
    let qualified = second.and_then(|name| known(&TableName { schema: Some(first.clone()), name }));
    let (known, last) = match qualified {
        Some(known) => (known, at + 2),
        None => (known(&TableName::bare(first))?, at),
    };
    let span = tokens[at].start..tokens[last].end;
    Some((known, Found { schema: span.start..tokens[last].start, span, next: last + 1 }))
}

/// Returns the bytes of the parentheses that begin at a token.
fn parenthesized(text: &str, tokens: &[Token], at: usize) -> Option<Range<usize>> {
    let open = tokens.get(at).filter(|token| token.is_mark(text, "("))?;
    let close = tokens[at..].iter().find(|token| token.is_mark(text, ")"))?;
    Some(open.start..close.end)
}

/// One statement for each physical table of each shard.
fn each(
    text: &str,
    tokens: &[Token],
    utility: &Utility,
    tables: &[Named],
    (shards, mut effect): (ShardSet, WriteEffect),
) -> Result<Plan, Refusal> {
    let Utility::Ddl(ddl) = utility else { return Err(unavailable(&tables[0].key)) };
    let main = &tables[0];
    let edits = object_edits(text, tokens, ddl, tables)?;
    let mut statements = Vec::with_capacity(main.split.names.len());
    for slot in 0..main.split.names.len() {
        let edits = edits.iter().map(|edit| edit.of_slot(text, slot)).collect::<Result<Vec<_>, Refusal>>()?;
        statements.push(Statement::Rewritten { sql: splice(text, &edits), parameters: Vec::new() });
    }
    // Rules that reject writes over several shards do not mean a change of the tables themselves.
    effect.tables = main.split.names.clone();
    let part = |shard| statements.iter().map(move |statement| (shard, statement.clone()));
    let parts = shards.iter().flat_map(part);
    let parts = parts.map(|(shard, statement)| Part::new(shard, statement)).collect();
    Ok(Plan::MultiWrite(MultiWrite {
        parts,
        effect,
        returning: ReturningOrder::None,
        reads_reference: false,
        defers_when_down: false,
        in_turn: false,
    }))
}

pub(super) fn unavailable(table: &str) -> Refusal {
    Refusal::unsupported(
        format!("this statement is not available for table \"{table}\", which is split into physical tables"),
        "Run it for each physical table of each shard: /* shardloom: shard=NAME */.",
    )
    .with_reason("split_ddl")
}

fn concurrently(table: &str) -> Refusal {
    Refusal::unsupported(
        format!("CONCURRENTLY is not available for table \"{table}\", which is split into physical tables"),
        "Leave the word out, or run it for each physical table of each shard: /* shardloom: shard=NAME */.",
    )
    .with_reason("split_ddl")
}
