//! A statement's text → [`Facts`], by way of the parser crate.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, FromTable, ObjectName, ObjectNamePart, Statement, TableFactor, TableWithJoins,
    UpdateTableFromKind, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserOptions};

use super::block;
use super::facts::{Facts, RelationIndex, StatementKind};
use super::filter::Filters;
use super::name::TableName;
use super::plainer::plainer;
use super::reserved;
use super::scan::{Scanner, TokenKind};
use super::scope::Reader;

/// How deep a text may nest to be read on the stack at hand: the parser's recursion limit there.
const NESTING_AT_HAND: usize = 50;

/// How deep a text may nest to be read at all.
const NESTING_MAX: usize = 400;

/// What must be left of the stack where the parser goes deeper, in bytes; else it goes on in a stack of its own. It
/// asks once in several frames, and those of parenthesized tables need more than the 128 KiB that it would keep
/// free (unoptimized build).
const STACK_LEFT: usize = 512 * 1024;

/// The most operators (AND, OR, UNION, `+` …) that a text may have to be read on the stack at hand: a chain of them is a
/// tree as deep as it is long, which is walked and freed by recursion. Measured with an unoptimized build on a stack of
/// 2 MiB, with room to spare.
const OPERATORS_AT_HAND: usize = 400;

/// The most operators of a text that is read at all. PostgreSQL's own bound for chains of operators is of that size.
const OPERATORS_MAX: usize = 10_000;

/// The stack of a text with more operators than [`OPERATORS_AT_HAND`], in bytes: what 2 MiB hold, that many times.
const DEEP_STACK: usize = (OPERATORS_MAX / OPERATORS_AT_HAND) * 2 * 1024 * 1024;

/// Why a text has no facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// The parser crate does not read it; PostgreSQL may.
    Syntax(String),
    /// It has a chain of operators, or nests, beyond what is read.
    TooDeep,
    /// It is read, but no statement that has facts.
    Statement,
}

/// Reads one statement.
///
/// # Errors
/// [`Unreadable`] where not all relations and conditions could be told for sure.
pub fn read(text: &str) -> Result<Facts, Unreadable> {
    match (operators(text), nesting(text)) {
        (..=OPERATORS_AT_HAND, ..NESTING_AT_HAND) => read_here(text, NESTING_AT_HAND),
        // The tree is made, walked and freed there.
        (..=OPERATORS_MAX, ..=NESTING_MAX) => stacker::grow(DEEP_STACK, || read_here(text, 2 * NESTING_MAX)),
        _ => Err(Unreadable::TooDeep),
    }
}

fn read_here(text: &str, nesting: usize) -> Result<Facts, Unreadable> {
    let statement = parse(text, nesting)?;
    let mut reader = Reader::new(text);
    match &statement {
        Statement::Query(query) => {
            reader.facts.kind = StatementKind::Select;
            reader.top_query(query);
            reader.facts.block = block::read(text, query, &reader);
        }
        Statement::Update(update) => {
            reader.facts.kind = StatementKind::Update;
            let from = match &update.from {
                Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
                None => &[],
            };
            reader.modify(&[&update.table], from, update.selection.as_ref(), 0);
            // The table is what is read first.
            assignments(&mut reader, &update.assignments, 0, 0);
            reader.facts.delta = reader.delta(update).map(Box::new);
            reader.facts.returning = update.returning.is_some();
            reader.items(update.returning.as_deref().unwrap_or(&[]), 0);
        }
        Statement::Delete(delete) => {
            reader.facts.kind = StatementKind::Delete;
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
            let targets: Vec<&TableWithJoins> = tables.iter().collect();
            reader.modify(&targets, delete.using.as_deref().unwrap_or(&[]), delete.selection.as_ref(), 0);
            reader.facts.returning = delete.returning.is_some();
            reader.items(delete.returning.as_deref().unwrap_or(&[]), 0);
        }
        Statement::Insert(_) => {
            reader.facts.kind = StatementKind::Insert;
            reader.loose(&statement);
            return Ok(reader.facts);
        }
        Statement::Merge(_) => {
            reader.facts.kind = StatementKind::Merge;
            reader.loose(&statement);
            return Ok(reader.facts);
        }
        _ => return Err(Unreadable::Statement),
    }
    if !reader.is_complete(&statement) {
        return Err(Unreadable::Statement);
    }
    reader.connect_stars();
    reader.bind_listed();
    Ok(reader.facts)
}

/// Parses a text that is shallow enough to be read on the stack at hand.
pub(super) fn statement(text: &str) -> Result<Statement, Unreadable> {
    if !is_shallow(text) || nesting(text) >= NESTING_AT_HAND {
        return Err(Unreadable::TooDeep);
    }
    parse(text, NESTING_AT_HAND)
}

/// Finds the conditions on single relations of a SELECT; `None` for other statements.
pub(super) fn filters(text: &str) -> Option<Filters> {
    // What goes deeper has more than anybody would want to send ahead.
    if !is_shallow(text) || nesting(text) >= NESTING_AT_HAND {
        return None;
    }
    let Ok(Statement::Query(query)) = parse(text, NESTING_AT_HAND) else { return None };
    let mut reader = Reader::new(text);
    reader.filters = Some(Filters::default());
    reader.top_query(&query);
    Some(Filters { parents: reader.parents, ..reader.filters? })
}

/// Tells whether the text cannot make a tree deeper than the stack at hand allows.
pub(super) fn is_shallow(text: &str) -> bool {
    operators(text) <= OPERATORS_AT_HAND
}

/// Returns how deep parentheses, brackets and CASE nest.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for token in Scanner::new(text) {
        match token.text(text) {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ if token.is_word(text, "case") => depth += 1,
            _ if token.is_word(text, "end") => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Returns how long a chain of operators the text may have, which is how deep a tree it may be: words that chain are
/// counted all together, operators up to the next comma, AND or OR, where a chain of them ends.
fn operators(text: &str) -> usize {
    const CHAINS: [&str; 10] = ["and", "or", "not", "union", "intersect", "except", "join", "is", "like", "collate"];
    let (mut words, mut operators, mut longest) = (0usize, 0usize, 0usize);
    for token in Scanner::new(text) {
        let word = CHAINS.iter().any(|word| token.is_word(text, word));
        let chains = matches!(token.kind, TokenKind::Operator | TokenKind::Cast) || token.is_mark(text, "[");
        words += usize::from(word);
        operators = if word || token.is_mark(text, ",") { 0 } else { operators + usize::from(chains) };
        longest = longest.max(operators);
    }
    words.max(longest)
}

/// Returns a parser for PostgreSQL's SQL that keeps within the stack.
pub(super) fn parser() -> Parser<'static> {
    parser_to(NESTING_AT_HAND)
}

/// Returns one that goes this deep.
fn parser_to(nesting: usize) -> Parser<'static> {
    recursive::set_minimum_stack_size(STACK_LEFT);
    let options = ParserOptions::new().with_unescape(false);
    Parser::new(&PostgreSqlDialect {}).with_recursion_limit(nesting).with_options(options)
}

fn parse(text: &str, nesting: usize) -> Result<Statement, Unreadable> {
    let plain = plainer(text);
    let syntax = |error: &dyn std::fmt::Display| Unreadable::Syntax(error.to_string());
    let tokens = reserved::tokens(plain.as_deref().unwrap_or(text)).map_err(|error| syntax(&error))?;
    match parser_to(nesting).with_tokens_with_locations(tokens).parse_statements() {
        Ok(mut statements) if statements.len() == 1 => {
            statements.pop().filter(|statement| !reserved::is_misread(statement)).ok_or(Unreadable::Statement)
        }
        Ok(_) => Err(Unreadable::Statement),
        Err(error) => Err(syntax(&error)),
    }
}

/// Notes which columns SET gives a value.
pub(super) fn assignments(reader: &mut Reader<'_>, assignments: &[Assignment], target: RelationIndex, scope: usize) {
    for assignment in assignments {
        reader.expression(&assignment.value, scope);
        match &assignment.target {
            AssignmentTarget::ColumnName(name) if keeps(reader, target, name, &assignment.value) => {}
            AssignmentTarget::ColumnName(name) => {
                let slot = reader.slot(&assignment.value);
                reader.facts.assignments.extend(column_name(name).map(|name| (name, slot)));
            }
            AssignmentTarget::Tuple(names) => {
                reader.facts.assignments.extend(names.iter().filter_map(column_name).map(|name| (name, None)));
            }
        }
    }
}

/// Tells whether a column of `target` is set to what it is: `SET a = a`, `SET a = t.a`.
fn keeps(reader: &Reader<'_>, target: RelationIndex, column: &ObjectName, value: &Expr) -> bool {
    let Some(column) = table_name(column).filter(|name| name.schema.is_none()) else { return false };
    match value {
        Expr::Identifier(own) => fold(own) == column.name,
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, own] => {
                let target = reader.facts.relations.get(target);
                fold(own) == column.name && target.is_some_and(|target| target.alias == fold(table))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Returns a column's name in a list of columns.
pub(super) fn column_name(name: &ObjectName) -> Option<String> {
    table_name(name).map(|name| name.schema.unwrap_or(name.name))
}

/// Folds a name as PostgreSQL does.
pub(super) fn fold(ident: &sqlparser::ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.replace("\"\"", "\""),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// Returns the table's name; `None` for names with more than a database, a schema and a table.
pub(super) fn table_name(name: &ObjectName) -> Option<TableName> {
    let mut parts = Vec::with_capacity(2);
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(fold(ident)),
            ObjectNamePart::Function(_) => return None,
        }
    }
    let name = parts.pop()?;
    Some(TableName { schema: parts.pop(), name })
}

/// Returns a function's name: PostgreSQL's own by their bare names, others with the schema if it was said.
pub(super) fn function_name(name: &ObjectName) -> Option<String> {
    let name = table_name(name)?;
    match name.schema.as_deref() {
        None | Some("pg_catalog") => Some(name.name),
        Some(schema) => Some(format!("{schema}.{}", name.name)),
    }
}

/// Collects every table factor with a name, as a check on the reader's own walk.
struct Counter(usize);

impl Visitor for Counter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if !matches!(factor, TableFactor::NestedJoin { .. }) {
            self.0 += 1;
        }
        ControlFlow::Continue(())
    }
}

/// Returns how many relations a syntax tree has in all its FROM lists.
pub(super) fn count_factors(node: &impl Visit) -> usize {
    let mut counter = Counter(0);
    let _ = node.visit(&mut counter);
    counter.0
}
