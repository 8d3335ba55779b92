//! Columns that are left to a default which names the present time. Each shard would take its own: rows that go to
//! several get the default's expression in the text, where it means one moment for all, and can be frozen.

use std::ops::Range;

use crate::plan::catalog::{Catalog, Column, Table};
use crate::plan::{Redo, classify};
use crate::sql::insert::{self, CellValue, InsertFacts, Row, Source};
use crate::sql::splice;
use crate::types::Refusal;

use super::home_numbers::{HomeNumber, INT4, INT8, TYPES};
use super::refuse;
use super::slots::{Layout, list_with};

const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;

/// What is put into the text of a part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Moments {
    /// The change of the column list, with the id's column in it.
    pub(super) list: Option<(Range<usize>, String)>,
    /// The expressions, by row.
    pub(super) cells: Vec<MomentCell>,
    /// The columns that have one in each row that gives them no value of its own.
    pub(super) columns: Vec<String>,
}

/// One expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MomentCell {
    pub(super) row: usize,
    /// The bytes that it replaces; empty for an insertion.
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

impl Moments {
    /// Finds what an INSERT of rows leaves to such defaults; nothing where the columns are not known.
    pub(super) fn of(facts: &InsertFacts, layout: &Layout, table: Option<&Table>, catalog: &Catalog) -> Self {
        let (Source::Values(rows), Some(names), Some(table)) = (&facts.source, &layout.columns, table) else {
            return Self::default();
        };
        // One row goes to one shard, with the text as it is.
        if rows.len() < 2 {
            return Self::default();
        }
        // An id's column that is put in stands last.
        let own = names.len() - usize::from(layout.list.is_some());
        Self::of_rows(facts, rows, (names, own), &left(table, catalog))
    }

    /// Puts the defaults of `left` into the rows; of `names` the first `own` are the client's.
    fn of_rows(facts: &InsertFacts, rows: &[Row], (names, own): (&[String], usize), left: &[(&str, &str)]) -> Self {
        let mut moments = Self::default();
        let mut added: Vec<&str> = Vec::new();
        for (column, default) in left {
            let place = names.iter().position(|name| name == column);
            for (row, cells) in rows.iter().enumerate() {
                let cell = match place {
                    Some(position) => cells.cells.get(position).filter(|cell| cell.value == CellValue::Default),
                    None => cells.cells.last(),
                };
                let Some(cell) = cell else { continue };
                let (span, text) = match place {
                    Some(_) => (cell.span.clone(), (*default).to_owned()),
                    None => (cell.span.end..cell.span.end, format!(", {default}")),
                };
                moments.cells.push(MomentCell { row, span, text });
            }
            if place.is_none() {
                added.push(column);
            }
            moments.columns.push((*column).to_owned());
        }
        if !added.is_empty() {
            let all: Vec<&str> = names[own..].iter().map(String::as_str).chain(added).collect();
            moments.list = Some(list_with(facts, &names[..own], &all));
        }
        moments
    }
}

/// Puts the defaults that name the present time into an INSERT that a shard is sent; `None` where it leaves none to them.
///
/// # Errors
/// `0A000` if its rows are those of a query.
pub fn with_moments(text: &str, target: &str, catalog: &Catalog) -> Result<Option<String>, Refusal> {
    let Some(table) = catalog.table(target) else { return Ok(None) };
    let left = left(table, catalog);
    if left.is_empty() {
        return Ok(None);
    }
    let Ok(facts) = insert::read(text) else { return Ok(None) };
    let width = match &facts.source {
        Source::Values(rows) => rows.first().map_or(0, |row| row.cells.len()),
        Source::DefaultValues(_) => 0,
        Source::Query(query) => query.simple.as_ref().map_or(0, |simple| simple.items.len()),
    };
    let names = match &facts.columns {
        Some(list) => list.names.clone(),
        None => table.columns.iter().take(width).map(|column| column.name.clone()).collect(),
    };
    let edits: Vec<(Range<usize>, String)> = match &facts.source {
        Source::Values(rows) => {
            let moments = Moments::of_rows(&facts, rows, (&names, names.len()), &left);
            moments.list.into_iter().chain(moments.cells.into_iter().map(|cell| (cell.span, cell.text))).collect()
        }
        Source::DefaultValues(span) => {
            let (columns, defaults): (Vec<&str>, Vec<&str>) = left.iter().copied().unzip();
            vec![list_with(&facts, &[], &columns), (span.clone(), format!("VALUES ({})", defaults.join(", ")))]
        }
        Source::Query(_) => match left.iter().find(|(column, _)| !names.iter().any(|name| name == column)) {
            Some((column, _)) => return Err(refuse::time_of_query(target, column)),
            None => Vec::new(),
        },
    };
    Ok((!edits.is_empty()).then(|| splice(text, &edits)))
}

/// Returns what a COPY into several shards appends for the columns that it leaves to such defaults: `draw` is the value in the
/// COPY's format, in which the present is still to be said. Types whose values are not written here are each shard's own.
pub(in crate::plan) fn appended_moments(
    table: &Table,
    given: &[String],
    binary: bool,
    catalog: &Catalog,
) -> Vec<HomeNumber> {
    let left = table.columns.iter().filter(|column| !given.contains(&column.name));
    let appended = |column: &Column| {
        let default = of_column(column, catalog)?;
        let (type_oid, draw) = value_of(column.type_oid, default, binary)?;
        let moment = HomeNumber { column: column.name.clone(), type_oid, draw, overrides: false };
        (!binary || moment.has_binary()).then_some(moment)
    };
    left.filter_map(appended).collect()
}

/// Returns the expression for a value as a row has it, and of what type its binary form is.
fn value_of(type_oid: u32, default: &str, binary: bool) -> Option<(u32, String)> {
    let (name, zero, form) = match type_oid {
        DATE => ("date", "date '2000-01-01'", "YYYY-MM-DD"),
        TIMESTAMP => ("timestamp", "timestamp '2000-01-01 00:00:00'", "YYYY-MM-DD HH24:MI:SS.US"),
        TIMESTAMPTZ => ("timestamptz", "timestamptz '2000-01-01 00:00:00+00'", "YYYY-MM-DD HH24:MI:SS.US"),
        _ => {
            let (_, name) = TYPES.iter().find(|(oid, _)| *oid == type_oid)?;
            return Some((type_oid, format!("(({default})::pg_catalog.{name})::pg_catalog.text")));
        }
    };
    let value = format!("({default})::pg_catalog.{name}");
    Some(match (binary, type_oid) {
        (true, DATE) => (INT4, format!("{value} - {zero}")),
        (true, _) => (INT8, format!("(EXTRACT(epoch FROM {value} - {zero}) * 1000000)::pg_catalog.int8")),
        (false, TIMESTAMPTZ) => {
            (type_oid, format!("pg_catalog.to_char({value} AT TIME ZONE 'UTC', '{form}') || '+00'"))
        }
        (false, _) => (type_oid, format!("pg_catalog.to_char({value}, '{form}')")),
    })
}

/// Returns the columns whose defaults name the present time, with these.
fn left<'a>(table: &'a Table, catalog: &Catalog) -> Vec<(&'a str, &'a str)> {
    let columns = table.columns.iter();
    columns.filter_map(|column| Some((column.name.as_str(), of_column(column, catalog)?))).collect()
}

/// Returns a column's default if it names the present time, and nothing else that cannot be done again.
pub(super) fn of_column<'a>(column: &'a Column, catalog: &Catalog) -> Option<&'a str> {
    let default = column.default.as_deref().filter(|_| !column.generated)?;
    (classify::redo(default, catalog) == Redo::AfterFreeze).then_some(default)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::types::SqlState;

    fn put(text: &str) -> Result<Option<String>, Refusal> {
        let mut catalog = fixture::catalog();
        let carts = catalog.tables.get_mut("carts").expect("it is in the fixture");
        let at = |default: &str, name: &str| Column {
            name: name.into(),
            type_oid: 1184,
            type_name: "timestamp with time zone".into(),
            default: Some(default.into()),
            ..carts.columns[0].clone()
        };
        let (made, seen) = (at("now()", "made_at"), at("CURRENT_DATE", "seen"));
        carts.columns.extend([made, seen]);
        with_moments(text, "carts", &catalog)
    }

    #[test]
    fn defaults_that_name_the_present_are_said() {
        let said = |text: &str| put(text).expect("it is not refused").expect("something is left to a default");
        assert_eq!(
            said("INSERT INTO carts (user_id, made_at) VALUES (1, DEFAULT), (2, $1) RETURNING seen"),
            "INSERT INTO carts (user_id, made_at, \"seen\") VALUES (1, now(), CURRENT_DATE), (2, $1, CURRENT_DATE) RETURNING seen"
        );
        assert_eq!(
            said("INSERT INTO carts DEFAULT VALUES"),
            "INSERT INTO carts (made_at, \"seen\") VALUES (now(), CURRENT_DATE)"
        );
        assert_eq!(put("INSERT INTO carts (user_id, made_at, seen) VALUES (1, $1, $2)"), Ok(None));
        assert_eq!(put("INSERT INTO carts (user_id, made_at, seen) SELECT 1, $1, $2"), Ok(None));
        assert_eq!(put("UPDATE carts SET user_id = 1"), Ok(None));
        assert_eq!(put("INSERT INTO carts (user_id) SELECT 1").unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED);
    }
}
