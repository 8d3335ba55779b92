//! INSERTs in two steps: rows of a query that come from elsewhere than they go to, and cells that are computed first.

use std::ops::Range;

use crate::plan::carry::{Carried, Carry, CarryForm, has_query};
use crate::plan::catalog::Catalog;
use crate::plan::{Parameters, Plan, hidden};
use crate::rules::{RuleSet, TableRule};
use crate::sql::Scanner;
use crate::sql::insert::{CellValue, Row, Source};
use crate::types::{Refusal, ShardId};

use super::called::without;
use super::effect::target_table;
use super::home_numbers::HomeNumber;
use super::key::KeyColumn;
use super::prepared::{Moved, PreparedInsert, Target};
use super::refuse;

/// The most columns of a table.
const COLUMNS_MAX: usize = 1600;

impl PreparedInsert {
    /// Plans an INSERT of a query whose rows are brought first; `refusal` says why they have to be.
    pub(super) fn carry_query(&self, rules: &RuleSet, catalog: &Catalog, refusal: Refusal) -> Result<Plan, Refusal> {
        let Source::Query(query) = &self.facts.source else { return Err(refusal) };
        let text = self.itself().text;
        let tail = text[query.span.end..].trim_end().trim_end_matches(';');
        if self.facts.with_writes || has_query(tail) {
            return Err(refusal);
        }
        let given = Some(&self.numbers.given).filter(|_| !self.numbers.numbers.is_empty());
        let mut columns: Vec<Carried> = match (given.or(self.layout.columns.as_ref()), &self.target) {
            (Some(names), _) => names.iter().map(|name| self.carried(rules, catalog, name)).collect(),
            // A temporary table, say: the server knows its columns, and no key is among them.
            (None, Target::Home(_)) => vec![Carried::default(); COLUMNS_MAX],
            (None, Target::Sharded { .. }) => return Err(refuse::unnamed_columns(&self.name)),
        };
        let start = if self.facts.with { insert_at(text) } else { 0 };
        let read = without(&self.layout.called, text, &query.span);
        let source = match self.facts.with {
            // The query may have a WITH clause of its own.
            true => format!("{} ({read}\n)", &text[..start]),
            false => read,
        };
        for called in &self.layout.called {
            // More columns than the table has are PostgreSQL's error.
            if let Some(column) = columns.get_mut(called.place) {
                match called.draws {
                    true => column.drawn = true,
                    false => column.call = Some(called.text(text).to_owned()),
                }
            }
        }
        let head = match self.numbers.numbers.is_empty() {
            true => text[start..query.span.start].to_owned(),
            false => self.numbers.head(text, &self.facts, start, query.span.start),
        };
        let form = CarryForm::Rows { head, tail: tail.to_owned() };
        self.carry(rules, text, (source, columns, form))
    }

    /// Plans an INSERT of rows whose keys or subqueries are computed first; `refusal` says why they have to be.
    pub(super) fn carry_cells(
        &self,
        rules: &RuleSet,
        catalog: &Catalog,
        (parameters, moved): (&Parameters<'_>, Moved<'_>),
        refusal: Refusal,
    ) -> Result<Plan, Refusal> {
        let Source::Values(rows) = &self.facts.source else { return Err(refusal) };
        let alone = !self.facts.with && !self.layout.nests_calls();
        let Some(names) = self.layout.columns.as_ref().filter(|_| alone) else {
            return Err(refusal);
        };
        let (mut items, mut spans, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            for (position, span) in self.computed(row, (parameters, moved), catalog) {
                let Some(name) = names.get(position) else { return Err(refusal) };
                let column = self.carried(rules, catalog, name);
                let text = &moved.text[span.clone()];
                items.push(match self.key_columns().find(|(key, _)| key.name == *name) {
                    Some((key, _)) => format!("({text})::{}", key.key_type.name()),
                    None => format!("({text})"),
                });
                spans.push(span);
                columns.push(column);
            }
        }
        if items.is_empty() {
            return Err(refusal);
        }
        if items.len() > COLUMNS_MAX {
            return Err(refuse::too_many_cells(items.len(), COLUMNS_MAX));
        }
        // A column each, with a name of its own: the source may be merged or gathered.
        let items: Vec<String> = items.iter().enumerate().map(|(at, item)| format!("{item} AS c{at}")).collect();
        let source = format!("SELECT {}", items.join(", "));
        self.carry(rules, moved.text, (source, columns, CarryForm::Cells(spans)))
    }

    /// Returns the columns of the sharding key with their positions; none for a table that is not sharded.
    fn key_columns(&self) -> impl Iterator<Item = (&KeyColumn, usize)> {
        let sharded = match &self.target {
            Target::Sharded { placing, position } => Some(placing.columns(*position)),
            Target::Home(_) => None,
        };
        sharded.into_iter().flatten()
    }

    /// Returns the cells of a row that have to be known first, by the position of their columns.
    fn computed(
        &self,
        row: &Row,
        (parameters, moved): (&Parameters<'_>, Moved<'_>),
        catalog: &Catalog,
    ) -> Vec<(usize, Range<usize>)> {
        let unknown = |position: usize, cell| {
            self.key_columns().any(|(key, at)| {
                let value = || key.value_or_null(&moved.cell(cell), parameters);
                at == position && value().is_err_and(|refusal| refuse::is_computed(&refusal))
            })
        };
        let cells = row.cells.iter().enumerate();
        cells
            .filter(|(position, cell)| {
                let text = &self.itself().text[cell.span.clone()];
                let first = has_query(text) || self.draws && hidden::home_call(text, catalog).is_some();
                cell.value == CellValue::Expression && first || unknown(*position, *cell)
            })
            .map(|(position, cell)| (position, moved.shift.span(&cell.span)))
            .collect()
    }

    fn carried(&self, rules: &RuleSet, catalog: &Catalog, name: &str) -> Carried {
        let column = catalog.table(&self.name).and_then(|table| table.column(name));
        let key = self.key_columns().any(|(key, _)| key.name == name);
        debug_assert!(!key || rules.table(&self.name).is_some(), "only tables of the rules have keys");
        Carried { type_oid: column.map_or(0, |column| column.type_oid), key, ..Carried::default() }
    }

    fn carry(
        &self,
        rules: &RuleSet,
        text: &str,
        (source, columns, form): (String, Vec<Carried>, CarryForm),
    ) -> Result<Plan, Refusal> {
        let table = target_table(rules.table(&self.name), &self.name);
        let (checked_on, checked) = (self.checked_on(rules), self.parsed_text(text)?);
        Ok(Plan::Carry(Box::new(Carry {
            source,
            columns,
            form,
            checked_on: Some(checked_on),
            checked,
            within: None,
            table,
            together: false,
            numbers: self.drawn(text).collect(),
        })))
    }

    /// Returns what home's sequences number: columns that are left out, then those of the query that are drawn.
    fn drawn(&self, text: &str) -> impl Iterator<Item = HomeNumber> {
        let calls = self.layout.called.iter().filter(|call| call.draws);
        self.numbers.numbers.iter().cloned().chain(calls.map(|call| HomeNumber::of_call(call.text(text))))
    }

    /// Returns a shard that has the table and, where one can, what the query reads.
    fn checked_on(&self, rules: &RuleSet) -> ShardId {
        let shards = match &self.target {
            Target::Home(shard) => return *shard,
            Target::Sharded { placing, .. } => rules.shards_of_group(placing.group),
        };
        let there = self.parsing_shard(rules).ok().flatten().unwrap_or(rules.home);
        if shards.contains(there) { there } else { shards.iter().next().unwrap_or(there) }
    }

    /// Tells whether the rows of its query have to be read first: ids are made for them, or held against the rules.
    pub(super) fn reads_first(&self, rule: Option<&TableRule>) -> bool {
        let Source::Query(query) = &self.facts.source else { return false };
        if !self.layout.called.is_empty() {
            return true;
        }
        let Some(id) = rule.and_then(|rule| rule.id.as_ref()) else { return false };
        if id.is_checked() {
            return true;
        }
        let width = query.simple.as_ref().map(|simple| simple.items.len());
        !match (&self.layout.columns, &self.facts.columns, width) {
            (Some(columns), Some(_), _) => columns.contains(&id.column),
            (Some(columns), None, Some(width)) => columns.iter().take(width).any(|column| *column == id.column),
            (Some(_) | None, _, _) => false,
        }
    }
}

/// Returns where INSERT stands behind a WITH clause.
fn insert_at(text: &str) -> usize {
    let mut depth = 0_i32;
    let found = Scanner::new(text).find(|token| {
        depth += i32::from(token.is_mark(text, "(")) - i32::from(token.is_mark(text, ")"));
        depth == 0 && token.is_word(text, "insert")
    });
    found.map_or(0, |token| token.start)
}
