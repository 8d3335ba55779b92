//! INSERT into split tables: each row's slot, and the physical table's name in each part.

use std::sync::Arc;

use crate::plan::catalog::Catalog;
use crate::plan::split::Splits;
use crate::plan::{ParameterSource, Statement};
use crate::rules::{RuleSet, Split, TableRule};
use crate::sql::insert::{Conflict, ConflictTarget, InsertFacts, Row};
use crate::types::{Refusal, type_modifier};

use super::key::{KeyColumn, check_type};
use super::make::IdValue;
use super::parameters::Parameters;
use super::prepared::{Moved, is_made};
use super::refuse;
use super::slots::Layout;

/// What an INSERT has to do with split tables.
#[derive(Debug, Clone)]
pub(super) struct SplitInsert {
    splits: Splits,
    /// The column by which the target is split, if it is.
    pub(super) column: Option<SlotColumn>,
}

/// The column by which rows find their physical table.
#[derive(Debug, Clone)]
pub(super) struct SlotColumn {
    split: Arc<Split>,
    key: KeyColumn,
    /// Its position among the columns of the layout.
    pub(super) position: usize,
}

impl SplitInsert {
    /// Judges what the text alone tells; `None` if no table is split.
    pub(super) fn read(
        text: &str,
        facts: &InsertFacts,
        layout: &Layout,
        rules: &RuleSet,
        catalog: &Catalog,
    ) -> Result<Option<Self>, Refusal> {
        let Some(splits) = Splits::of_insert(text, facts, rules)? else { return Ok(None) };
        let name = facts.table.rule_key();
        let rule = rules.table(&name);
        let Some((rule, split)) = rule.and_then(|rule| Some((rule, rule.split.as_ref()?))) else {
            return Ok(Some(Self { splits, column: None }));
        };
        let table = catalog.table(&name);
        let key = KeyColumn {
            table: rule.name.clone(),
            name: split.by.clone(),
            key_type: split.by_type,
            length: table.and_then(|table| type_modifier(&table.column(&split.by)?.type_name)),
        };
        check_type(&key, table)?;
        let columns = layout.columns.as_ref().ok_or_else(|| refuse::unnamed_columns(&key.table))?;
        let position = match columns.iter().position(|column| *column == key.name) {
            Some(position) => position,
            // Its rows find their table when ids are made for them.
            None if is_made(facts, Some(rule), &key.name) => usize::MAX,
            None => return Err(reworded(refuse::missing_key(&key.table, &key.name))),
        };
        if let Some(conflict) = &facts.conflict {
            check_conflict(
                conflict,
                rule,
                &split.by,
                catalog.table(&name).map(|table| table.unique.as_slice()),
                layout.id_generated,
            )?;
        }
        let column = SlotColumn { split: Arc::clone(split), key, position };
        Ok(Some(Self { splits, column: Some(column) }))
    }

    /// Returns the statement with the target's physical table of that slot.
    pub(super) fn physical(
        &self,
        statement: Statement,
        slot: usize,
        text: &str,
        parameters: usize,
    ) -> Result<Statement, Refusal> {
        let (sql, parameters) = match statement {
            Statement::Original => {
                (self.splits.inserted(text, slot)?, (0..parameters).map(ParameterSource::Client).collect())
            }
            Statement::Rewritten { sql, parameters } => (self.splits.inserted(&sql, slot)?, parameters),
        };
        Ok(Statement::Rewritten { sql, parameters })
    }

    /// Returns what servers can parse in the place of `text`.
    pub(super) fn parsed(&self, text: &str) -> Result<String, Refusal> {
        self.splits.parsed(text)
    }
}

impl SlotColumn {
    /// Returns the slot of a row; `id` is what the proxy makes for the column, if it does.
    pub(super) fn slot(
        &self,
        row: &Row,
        id: Option<&IdValue>,
        (parameters, moved): (&Parameters<'_>, Moved<'_>),
    ) -> Result<usize, Refusal> {
        let value = match (id, row.cells.get(self.position)) {
            (Some(id), _) => self.key.generated(id),
            (None, Some(cell)) => self.key.value(&moved.cell(cell), parameters),
            (None, None) => Err(refuse::missing_key(&self.key.table, &self.key.name)),
        };
        Ok(self.split.slot(&value.map_err(reworded)?))
    }
}

/// Why a query's rows cannot be inserted by the server that reads them.
pub(super) fn insert_select(name: &str) -> Refusal {
    Refusal::unsupported(
        format!("this INSERT … SELECT into table \"{name}\", which is split into physical tables"),
        "Read the rows first and insert them as values.",
    )
    .with_reason("split_insert_select")
}

/// A conflict must be found in the physical table that the row goes to.
fn check_conflict(
    conflict: &Conflict,
    rule: &TableRule,
    by: &str,
    unique: Option<&[Vec<String>]>,
    id_generated: bool,
) -> Result<(), Refusal> {
    // An id that the client gives may be that of a row in another physical table.
    let id = rule.id.as_ref().filter(|_| id_generated).map(|id| id.column.as_str());
    let local = |columns: &[String]| columns.iter().any(|column| column == by || Some(column.as_str()) == id);
    let found_here = match &conflict.target {
        ConflictTarget::Columns(columns) => local(columns),
        // Each physical table has a constraint of its own, with a name of its own.
        ConflictTarget::Constraint(_) => false,
        ConflictTarget::Any => unique.is_some_and(|unique| unique.iter().all(|columns| local(columns))),
    };
    if !found_here {
        return Err(Refusal::unsupported(
            format!("ON CONFLICT on table \"{}\" would be checked in one of its physical tables only", rule.name),
            format!("Name the columns of a unique key that contains \"{by}\", by which it is split."),
        ));
    }
    if conflict.update.as_ref().is_some_and(|columns| columns.iter().any(|column| column == by)) {
        return Err(Refusal::unsupported(
            format!("ON CONFLICT DO UPDATE sets \"{by}\", by which table \"{}\" is split", rule.name),
            "Delete the row and insert it with the new value.",
        ));
    }
    Ok(())
}

/// Says the same of the column by which a table is split.
fn reworded(mut refusal: Refusal) -> Refusal {
    refusal.message = refusal.message.replace("the sharding key", "the split column");
    refusal.hint = refusal.hint.map(|hint| hint.replace("on which shard", "in which physical table"));
    refusal
}
