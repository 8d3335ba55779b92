//! MERGE into a table that is split into physical ones: a statement for each slot that its rows may be in.
//!
//! Slots are numbered; `None` stands for a table that is not split.

use super::Merging;
use crate::plan::colocate::Keyed;
use crate::plan::context::{Context, Values};
use crate::plan::plan_types::{ParameterSource, Part, Plan, Statement};
use crate::types::{KeyValue, Refusal};

impl Merging {
    /// Refuses what no values make right for a split target.
    pub(super) fn check_split(&self) -> Result<(), Refusal> {
        let Some(split) = self.splits.as_ref().and_then(|splits| splits.merged()) else { return Ok(()) };
        let by_key = |target: &Keyed| target.more.is_empty() && target.key == split.by;
        if !self.merge.inserts.is_empty() && !self.target().is_some_and(by_key) {
            return Err(self.split_refused(&format!(
                "may insert rows, and is split into physical tables by \"{}\", which is not its sharding key",
                split.by
            )));
        }
        if self.merge.facts.assignments.iter().any(|(column, _)| *column == split.by) {
            return Err(
                self.split_refused(&format!("sets \"{}\", by which it is split into physical tables", split.by))
            );
        }
        Ok(())
    }

    fn split_refused(&self, what: &str) -> Refusal {
        self.refused(what, "Use INSERT … ON CONFLICT, or UPDATE and INSERT.").with_reason("split_merge")
    }

    pub(super) fn is_target_split(&self) -> bool {
        self.splits.as_ref().is_some_and(|splits| splits.merged().is_some())
    }

    /// Returns the slots of the target that can have rows which matter, at least one.
    pub(super) fn slots(&self, values: &Values<'_>) -> Vec<Option<usize>> {
        match self.splits.as_ref().and_then(|splits| splits.merged_slots(values)) {
            Some(slots) => slots.into_iter().map(Some).collect(),
            None => vec![None],
        }
    }

    /// Returns the slot of the target's rows with this key.
    pub(super) fn slot_of(&self, key: &KeyValue) -> Option<usize> {
        Some(self.splits.as_ref()?.merged()?.slot(key))
    }

    /// Returns the statement for one slot, of a text that only a part of its source may stand in.
    pub(super) fn in_slot(&self, text: &str, slot: Option<usize>, values: &Values<'_>) -> Result<Statement, Refusal> {
        let sql = match (&self.splits, slot) {
            (Some(splits), Some(slot)) => splits.merged_into(text, slot)?,
            _ if text == values.text => return Ok(Statement::Original),
            _ => text.to_owned(),
        };
        let parameters = (0..values.parameters.values.len()).map(ParameterSource::Client).collect();
        Ok(Statement::Rewritten { sql, parameters })
    }

    /// Makes a write of its parts; those of one shard follow each other, and must not read what another wrote.
    pub(super) fn parts(
        &self,
        target: &Keyed,
        parts: Vec<Part>,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<Plan, Refusal> {
        let reads_target = self.splits.as_ref().is_some_and(|splits| splits.is_merged_read());
        if reads_target && parts.len() > 1 {
            return Err(self.refused(
                "also reads it, and several of its physical tables are written",
                "Bind the sharding key to one value, or read the rows first.",
            ));
        }
        self.modify.parts(target, parts, context, values)
    }
}
