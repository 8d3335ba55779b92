//! What an INSERT does as far as committing it is concerned: mode, redo, and whether it may be deferred.

use crate::plan::catalog::{Catalog, Column, Table, TableKind};
use crate::plan::{Redo, WriteEffect, classify};
use crate::rules::{Distribution, MultiShardRule, RuleMode, RuleSet, TableRule, WhenTargetDown};
use crate::sql::insert::{Cell, CellValue, InsertFacts, Overriding, Source};
use crate::types::{Refusal, WriteMode};

use super::home_numbers::QueryNumbers;
use super::key::{KeyColumn, type_named};
use super::moment::Moments;
use super::parameters::Parameters;
use super::prepared::Moved;
use super::refuse;
use super::slots::Layout;

/// What the effect of one INSERT is judged from.
pub struct Judge<'a> {
    /// The text of this execution.
    pub(super) moved: Moved<'a>,
    /// What it says.
    pub facts: &'a InsertFacts,
    /// Its columns and ids.
    pub layout: &'a Layout,
    /// The table's name as the rules have it.
    pub table: &'a str,
    /// The table's rule.
    pub rule: Option<&'a TableRule>,
    /// The rules.
    pub rules: &'a RuleSet,
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The values.
    pub parameters: &'a Parameters<'a>,
    /// How a text of this shape can be redone.
    pub redo: &'a Redo,
}

/// Returns the mode that sharded tables take under a rule; `reject` is as strong as can be and is checked where a
/// second shard comes in.
fn strongest_of(rule: &MultiShardRule) -> WriteMode {
    match rule.mode {
        RuleMode::Auto | RuleMode::Eager => WriteMode::Eager,
        RuleMode::Eventual => WriteMode::Eventual,
        RuleMode::TwoPhase | RuleMode::Reject => WriteMode::TwoPhase,
    }
}

/// Returns the mode of a reference table's write.
pub fn reference_mode(rule: &MultiShardRule, table: &str) -> Result<WriteMode, Refusal> {
    match rule.mode {
        RuleMode::Auto | RuleMode::Eventual => Ok(WriteMode::Eventual),
        RuleMode::Eager => Ok(WriteMode::Eager),
        RuleMode::TwoPhase => Ok(WriteMode::TwoPhase),
        RuleMode::Reject => Err(Refusal::unsupported(
            format!("the rules reject writes to the reference table \"{table}\", which has a copy on every shard"),
            "Set multi_shard.mode of the reference tables to auto.",
        )),
    }
}

/// Returns the table name that effects and messages use.
pub fn target_table(rule: Option<&TableRule>, name: &str) -> String {
    rule.map_or_else(|| name.to_owned(), |rule| rule.name.clone())
}

impl Judge<'_> {
    /// Returns the effect of the statement.
    pub fn effect(&self) -> Result<WriteEffect, Refusal> {
        let redo = classify::redo_with(self.redo, self.moved.text, self.moved.literals);
        let mut effect = WriteEffect {
            tables: vec![target_table(self.rule, self.table)],
            reference: false,
            mode: WriteMode::Eager,
            redo,
            deferrable: false,
            assumed: Vec::new(),
        };
        match self.rule.map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group, key, more }) => {
                effect.mode = strongest_of(&self.rules.group(*group).multi_shard);
                if effect.mode == WriteMode::Eventual {
                    let redone = !matches!(effect.redo, Redo::Never(_));
                    effect.deferrable = redone && self.is_safe_to_defer(key, more);
                }
            }
            Some(Distribution::Reference { multi_shard, .. }) => {
                effect.reference = true;
                effect.mode = reference_mode(multi_shard, self.table)?;
            }
            Some(Distribution::Single { .. }) | None => {}
        }
        Ok(effect)
    }

    /// Tells whether the rules want the statement deferred where a shard is down, and no shard could refuse it later.
    pub fn defers_when_down(&self, effect: &WriteEffect) -> bool {
        let Some(Distribution::Sharded { group, key, more }) = self.rule.map(|rule| &rule.distribution) else {
            return false;
        };
        let rule = &self.rules.group(*group).multi_shard;
        let wanted = rule.mode == RuleMode::Auto && rule.when_target_down == WhenTargetDown::Defer;
        // The client did not ask for it, so not even a duplicate may be told too late.
        wanted && effect.redo == Redo::Exact && self.is_new() && self.is_safe_to_defer(key, more)
    }

    /// Whether no row can be there already, or want another one: each unique key has an id in it that the proxy makes, and
    /// there are no foreign keys; nor is anything computed that could fail.
    fn is_new(&self) -> bool {
        let id = self.rule.and_then(|rule| rule.id.as_ref()).filter(|_| self.layout.id_generated);
        let Some(table) = self.catalog.table(self.table) else { return false };
        table.unique.iter().all(|columns| id.is_some_and(|id| columns.contains(&id.column)))
            && table.foreign_keys.is_empty()
            && !table.columns.iter().any(|column| column.generated)
    }

    /// Returns how a text of this shape can be redone: it must say it all, and so must the defaults of columns left out,
    /// but for those that `moments` puts into the text.
    pub(super) fn redo_of_shape(&self, moments: &Moments) -> Redo {
        let redo = match classify::redo_of_shape(self.moved.text, self.catalog) {
            Redo::Exact if !moments.cells.is_empty() => Redo::AfterFreeze,
            redo => redo,
        };
        if matches!(redo, Redo::Never(_)) {
            return redo;
        }
        let Some(table) = self.catalog.table(self.table) else {
            return Redo::Never(format!("the column defaults of table \"{}\" are not known", self.table));
        };
        // DO UPDATE may say DEFAULT, too.
        let updated = self.facts.conflict.as_ref().and_then(|conflict| conflict.update.as_deref()).unwrap_or_default();
        let said = |name: &String| moments.columns.contains(name) && !updated.contains(name);
        let open = table.columns.iter().filter(|column| !said(&column.name));
        match open.into_iter().find_map(|column| self.inexact_default(column)) {
            Some(reason) => Redo::Never(reason),
            None => redo,
        }
    }

    /// Refuses rows of a sharded table in which a column is numbered by the shard: others number theirs alike.
    pub fn check_numbers(&self, numbers: &QueryNumbers) -> Result<(), Refusal> {
        let Some(Distribution::Sharded { .. }) = self.rule.map(|rule| &rule.distribution) else { return Ok(()) };
        let table = self.catalog.table(self.table);
        let mut columns = table.into_iter().flat_map(|table| &table.columns);
        match columns.find(|column| column.is_numbered() && !self.is_given(column, numbers)) {
            Some(column) => Err(refuse::numbered(self.table, &column.name)),
            None => Ok(()),
        }
    }

    /// Whether every row has a value of its own there, or a number of home's.
    fn is_given(&self, column: &Column, numbers: &QueryNumbers) -> bool {
        if column.identity && self.facts.overriding == Some(Overriding::User) {
            return false;
        }
        // How many columns a query fills may be known of its text alone.
        let is_query = matches!(self.facts.source, Source::Query(_)) && self.facts.columns.is_none();
        numbers.has(&column.name)
            || if is_query { numbers.given.contains(&column.name) } else { self.is_filled(&column.name) }
    }

    fn inexact_default(&self, column: &Column) -> Option<String> {
        if column.generated || self.is_filled(&column.name) {
            return None;
        }
        if column.identity {
            return Some(format!("identity column \"{}\" is numbered by the shard", column.name));
        }
        let reason = classify::inexact(column.default.as_deref()?, self.catalog)?;
        Some(format!("the default of column \"{}\": {reason}", column.name))
    }

    /// Whether every row gives the column a value of its own.
    fn is_filled(&self, name: &str) -> bool {
        let Some(columns) = &self.layout.columns else { return false };
        let Some(position) = columns.iter().position(|column| column == name) else { return false };
        let Source::Values(rows) = &self.facts.source else { return true };
        rows.iter().enumerate().all(|(number, row)| match row.cells.get(position) {
            Some(cell) if cell.value == CellValue::Default => self.layout.makes(number, position),
            Some(_) => true,
            None => self.layout.list.is_some(),
        })
    }

    /// The rule for "insert-safe" of the write design: what a target cannot refuse.
    fn is_safe_to_defer(&self, key: &String, more: &[String]) -> bool {
        let facts = self.facts;
        let plain = facts.conflict.is_none() && facts.returning.is_none() && !facts.with && !facts.subquery;
        let Some(table) = self.catalog.table(self.table) else { return false };
        plain
            && table.kind == TableKind::Table
            && !table.user_triggers
            && !table.exclusion
            && table.checks.is_empty()
            && table.unique.iter().all(|columns| self.cannot_collide(columns, key, more))
            && table.foreign_keys.iter().all(|foreign| self.is_near(&foreign.table))
            && self.values_fit(table)
    }

    fn cannot_collide(&self, columns: &[String], key: &String, more: &[String]) -> bool {
        let id = self.rule.and_then(|rule| rule.id.as_ref());
        let generated = self.layout.id_generated && id.is_some_and(|id| columns.contains(&id.column));
        generated || std::iter::once(key).chain(more).all(|key| columns.contains(key))
    }

    /// A table of the same group, or one with a copy on every shard.
    fn is_near(&self, name: &str) -> bool {
        let own = self.rule.map(|rule| &rule.distribution);
        match (self.rules.table(name).map(|rule| &rule.distribution), own) {
            (Some(Distribution::Reference { .. }), _) => true,
            (Some(Distribution::Sharded { group, .. }), Some(Distribution::Sharded { group: own, .. })) => group == own,
            _ => false,
        }
    }

    /// Whether the server cannot refuse any value: NOT NULL is met, and each value is of its column's type.
    fn values_fit(&self, table: &Table) -> bool {
        let (Source::Values(rows), Some(columns)) = (&self.facts.source, &self.layout.columns) else { return false };
        let left_out = |column: &&Column| !columns.contains(&column.name);
        let missing = |column: &Column| !column.nullable && column.default.is_none() && !column.generated;
        if table.columns.iter().filter(left_out).any(missing) {
            return false;
        }
        rows.iter().enumerate().all(|(number, row)| {
            columns.iter().zip(&row.cells).enumerate().all(|(position, (name, cell))| {
                self.layout.makes(number, position) || table.column(name).is_some_and(|column| self.fits(cell, column))
            })
        })
    }

    fn fits(&self, cell: &Cell, column: &Column) -> bool {
        if cell.value == CellValue::Null {
            return column.nullable;
        }
        let is_null = |index: &usize| self.parameters.values.get(*index).is_some_and(Option::is_none);
        if matches!(&cell.value, CellValue::Parameter(index) if is_null(index)) {
            return column.nullable;
        }
        let Some(key_type) = type_named(&column.type_name) else { return false };
        let target = KeyColumn { table: String::new(), name: String::new(), key_type, length: None };
        target.value(&self.moved.cell(cell), self.parameters).is_ok()
    }
}
