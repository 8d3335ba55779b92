//! Where generated ids go: cells that say DEFAULT or `shardloom.next_id('tag')`, or a column added to every row.

use std::ops::Range;

use postgres_protocol::escape::escape_identifier;

use crate::plan::catalog::Table;
use crate::rules::{Distribution, IdRule, IdSource, RuleSet, TableRule};
use crate::sql::insert::{Cell, CellValue, InsertFacts, Row, Source};
use crate::sql::next_id::{self, Tag};
use crate::types::{Refusal, SqlState};

use super::called::{Called, called};
use super::refuse;

/// One id to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The row that it belongs to.
    pub row: usize,
    /// The column's position among the columns as they are after injection.
    pub column: usize,
    /// Where it comes from.
    pub source: IdSource,
    /// The bytes that the id replaces; empty for an insertion.
    pub span: Range<usize>,
    /// What stands around the id.
    pub around: (&'static str, &'static str),
}

/// The columns and ids of an INSERT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// The columns in order, an injected one last; `None` if they are not known and need not be.
    pub columns: Option<Vec<String>>,
    /// The change of the column list.
    pub list: Option<(Range<usize>, String)>,
    /// The ids by row and column, which is the order of the text.
    pub slots: Vec<Slot>,
    /// Whether the rule's id column is made by the proxy in every row.
    pub id_generated: bool,
    /// The columns of a query that are calls.
    pub called: Vec<Called>,
}

impl Layout {
    /// Tells whether the proxy makes the value of that column in that row.
    pub fn makes(&self, row: usize, column: usize) -> bool {
        self.slot(row, column).is_some()
    }

    /// Returns the slot of that column in that row.
    pub fn slot(&self, row: usize, column: usize) -> Option<usize> {
        self.slots.binary_search_by_key(&(row, column), |slot| (slot.row, slot.column)).ok()
    }

    /// Tells whether ids are made for calls inside of expressions.
    pub fn nests_calls(&self) -> bool {
        self.slots.iter().any(|slot| slot.column == NESTED)
    }
}

/// Lays out an INSERT of rows or of DEFAULT VALUES; a query gets its columns only.
pub fn layout(
    text: &str,
    facts: &InsertFacts,
    rule: Option<&TableRule>,
    name: &str,
    table: Option<&Table>,
    rules: &RuleSet,
) -> Result<Layout, Refusal> {
    let id = rule.and_then(|rule| rule.id.as_ref());
    match &facts.source {
        Source::Values(rows) => {
            let mut layout = of_rows(facts, rows, id, name, table, rules)?;
            nested_slots(text, rows, rules, &mut layout.slots)?;
            layout.slots.sort_by_key(|slot| (slot.row, slot.column));
            Ok(layout)
        }
        Source::DefaultValues(span) => Ok(of_defaults(span, id)),
        Source::Query(query) => {
            let sharded = rule.is_some_and(|rule| matches!(rule.distribution, Distribution::Sharded { .. }));
            let called = called(text, &query.span, rules, sharded)?;
            Ok(Layout { columns: listed(facts, table, usize::MAX), called, ..Layout::default() })
        }
    }
}

/// Returns the columns that the values fill: the list, or the table's first `count` columns.
fn listed(facts: &InsertFacts, table: Option<&Table>, count: usize) -> Option<Vec<String>> {
    match &facts.columns {
        Some(list) => Some(list.names.clone()),
        None => table.map(|table| table.columns.iter().take(count).map(|column| column.name.clone()).collect()),
    }
}

fn of_defaults(span: &Range<usize>, id: Option<&IdRule>) -> Layout {
    let Some(id) = id else { return Layout { columns: Some(Vec::new()), ..Layout::default() } };
    let slot = Slot { row: 0, column: 0, source: id.source, span: span.end..span.end, around: ("VALUES (", ")") };
    Layout {
        columns: Some(vec![id.column.clone()]),
        list: Some((span.clone(), format!("({}) ", quoted(&id.column)))),
        slots: vec![slot],
        id_generated: true,
        called: Vec::new(),
    }
}

fn of_rows(
    facts: &InsertFacts,
    rows: &[Row],
    id: Option<&IdRule>,
    name: &str,
    table: Option<&Table>,
    rules: &RuleSet,
) -> Result<Layout, Refusal> {
    let count = rows.first().map_or(0, |row| row.cells.len());
    check_lengths(facts, rows, count, table)?;
    let mut columns = listed(facts, table, count);
    let mut slots = Vec::new();
    let own = id.and_then(|id| Some((columns.as_ref()?.iter().position(|column| *column == id.column)?, id)));
    for (number, row) in rows.iter().enumerate() {
        call_slots(number, row, own, rules, &mut slots)?;
    }
    let Some(id) = id else { return Ok(Layout { columns, slots, ..Layout::default() }) };
    let Some(names) = &mut columns else { return Err(refuse::unnamed_columns(name)) };
    let mut list = None;
    match names.iter().position(|column| *column == id.column) {
        Some(column) => default_slots(rows, column, id, &mut slots),
        None => {
            appended_slots(rows, names.len(), id, &mut slots);
            list = Some(list_with(facts, names, &[&id.column]));
            names.push(id.column.clone());
        }
    }
    let position = names.iter().position(|column| *column == id.column);
    let id_generated = slots.iter().filter(|slot| Some(slot.column) == position).count() == rows.len();
    Ok(Layout { columns, list, slots, id_generated, called: Vec::new() })
}

fn check_lengths(facts: &InsertFacts, rows: &[Row], count: usize, table: Option<&Table>) -> Result<(), Refusal> {
    let wrong = |message: &str| Err(Refusal::new(SqlState::SYNTAX_ERROR, message));
    if rows.iter().any(|row| row.cells.len() != count) {
        return wrong("VALUES lists must all be the same length");
    }
    let room = match (&facts.columns, table) {
        (Some(list), _) if count < list.names.len() => return wrong("INSERT has more target columns than expressions"),
        (Some(list), _) => list.names.len(),
        (None, Some(table)) => table.columns.len(),
        (None, None) => usize::MAX,
    };
    if count > room { wrong("INSERT has more expressions than target columns") } else { Ok(()) }
}

/// A call in the id column itself with the column's own tag makes what the column would get without it.
fn call_slots(
    number: usize,
    row: &Row,
    own: Option<(usize, &IdRule)>,
    rules: &RuleSet,
    slots: &mut Vec<Slot>,
) -> Result<(), Refusal> {
    for (column, cell) in row.cells.iter().enumerate() {
        if let (CellValue::NextId(tag), []) = (&cell.value, cell.casts.as_slice()) {
            let of_column = own.filter(|(place, id)| *place == column && id.tag == *tag).map(|(_, id)| id.source);
            let source = of_column.or_else(|| rules.ids.of_tag(tag)).ok_or_else(|| unknown_tag(tag, rules))?;
            slots.push(Slot { row: number, column, source, span: cell.span.clone(), around: ("", "") });
        }
    }
    Ok(())
}

fn is_whole_call(cell: &Cell) -> bool {
    matches!(cell.value, CellValue::NextId(_)) && cell.casts.is_empty()
}

/// The column of an id inside an expression: it is no column's value as it stands.
const NESTED: usize = usize::MAX;

/// Calls of `shardloom.next_id` inside expressions get their id as a second argument.
fn nested_slots(text: &str, rows: &[Row], rules: &RuleSet, slots: &mut Vec<Slot>) -> Result<(), Refusal> {
    for call in next_id::calls(text)? {
        let row = rows.partition_point(|row| row.span.end <= call.argument_end);
        let Some(cells) = rows.get(row).map(|row| &row.cells) else { continue };
        let holds = |cell: &&Cell| cell.span.contains(&call.argument_end);
        if cells.iter().find(holds).is_some_and(is_whole_call) {
            continue;
        }
        let Tag::Literal(tag) = &call.tag else {
            let message = "shardloom.next_id with a parameter as its tag in an INSERT";
            return Err(Refusal::unsupported(message, "Write the tag as a constant."));
        };
        let source = rules.ids.of_tag(tag).ok_or_else(|| unknown_tag(tag, rules))?;
        let span = call.argument_end..call.argument_end;
        slots.push(Slot { row, column: NESTED, source, span, around: (", ", "") });
    }
    Ok(())
}

pub(super) fn unknown_tag(tag: &str, rules: &RuleSet) -> Refusal {
    let known: Vec<&str> = rules.ids.tag_names().collect();
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("no id tag \"{tag}\" in the rules"))
        .with_hint(format!("The tags are: {}.", known.join(", ")))
}

fn default_slots(rows: &[Row], column: usize, id: &IdRule, slots: &mut Vec<Slot>) {
    for (row, cells) in rows.iter().enumerate() {
        let Some(cell) = cells.cells.get(column) else { continue };
        if cell.value == CellValue::Default {
            slots.push(Slot { row, column, source: id.source, span: cell.span.clone(), around: ("", "") });
        }
    }
}

fn appended_slots(rows: &[Row], column: usize, id: &IdRule, slots: &mut Vec<Slot>) {
    let before = if column == 0 { "" } else { ", " };
    for (row, cells) in rows.iter().enumerate() {
        let at = cells.cells.last().map_or(cells.span.end - 1, |cell| cell.span.end);
        slots.push(Slot { row, column, source: id.source, span: at..at, around: (before, "") });
    }
}

/// The column list with more columns at its end, in place of the old one or where it would stand.
pub(super) fn list_with(facts: &InsertFacts, names: &[String], added: &[&str]) -> (Range<usize>, String) {
    match &facts.columns {
        Some(list) if !list.names.is_empty() => {
            let at = list.names_end;
            (at..at, added.iter().map(|name| format!(", {}", quoted(name))).collect())
        }
        Some(_) | None => {
            let all: Vec<String> = names.iter().map(String::as_str).chain(added.iter().copied()).map(quoted).collect();
            (facts.columns_at..facts.columns_at, format!(" ({})", all.join(", ")))
        }
    }
}

/// Returns the identifier as SQL, quoted unless it is a plain lower-case word that no keyword list could hold.
pub fn quoted(name: &str) -> String {
    let plain = name.contains('_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.starts_with("current_")
        && name != "session_user";
    if plain { name.to_owned() } else { escape_identifier(name) }
}
