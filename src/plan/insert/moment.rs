//! Columns that are left to a default which names the present time. Each shard would take its own: rows that go to
//! several get the default's expression in the text, where it means one moment for all, and can be frozen.

use std::ops::Range;

use crate::plan::catalog::{Catalog, Column, Table};
use crate::plan::{Redo, classify};
use crate::sql::insert::{CellValue, InsertFacts, Source};

use super::slots::{Layout, list_with};

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
        let mut moments = Self::default();
        let mut added: Vec<&str> = Vec::new();
        for (column, default) in table.columns.iter().filter_map(|column| Some((column, of_column(column, catalog)?))) {
            let place = names.iter().position(|name| *name == column.name);
            for (row, cells) in rows.iter().enumerate() {
                let cell = match place {
                    Some(position) => cells.cells.get(position).filter(|cell| cell.value == CellValue::Default),
                    None => cells.cells.last(),
                };
                let Some(cell) = cell else { continue };
                let (span, text) = match place {
                    Some(_) => (cell.span.clone(), default.to_owned()),
                    None => (cell.span.end..cell.span.end, format!(", {default}")),
                };
                moments.cells.push(MomentCell { row, span, text });
            }
            if place.is_none() {
                added.push(&column.name);
            }
            moments.columns.push(column.name.clone());
        }
        if !added.is_empty() {
            // An id's column that is put in stands last.
            let own = names.len() - usize::from(layout.list.is_some());
            let all: Vec<&str> = names[own..].iter().map(String::as_str).chain(added).collect();
            moments.list = Some(list_with(facts, &names[..own], &all));
        }
        moments
    }
}

/// Returns a column's default if it names the present time, and nothing else that cannot be done again.
pub(super) fn of_column<'a>(column: &'a Column, catalog: &Catalog) -> Option<&'a str> {
    let default = column.default.as_deref().filter(|_| !column.generated)?;
    (classify::redo(default, catalog) == Redo::AfterFreeze).then_some(default)
}
