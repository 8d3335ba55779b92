//! MERGE over split tables: which slots of its target it may write, and its text for one of them.

use std::borrow::Cow;

use super::physical::{Splits, split_tables, unlike};
use super::places::places;
use super::uses::slots;
use crate::plan::colocate::slot_uses;
use crate::plan::context::{Context, Values};
use crate::rules::Split;
use crate::sql::{self, MergeFacts, TableName};
use crate::types::Refusal;

impl Splits {
    /// Finds the split tables of a MERGE; `None` if there are none.
    ///
    /// # Errors
    /// Refuses what cannot be said of physical tables.
    pub(in crate::plan) fn of_merge(
        text: &str,
        merge: &MergeFacts,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Refusal> {
        if context.rules.physical.is_empty() {
            return Ok(None);
        }
        let facts = &merge.facts;
        let tables = split_tables(facts.relations.iter().filter_map(|relation| relation.table.as_ref()), context.rules);
        if tables.is_empty() {
            return Ok(None);
        }
        let written = facts.relations.iter().find(|relation| relation.target);
        let key = written.and_then(|relation| relation.table.as_ref()).map(TableName::rule_key);
        let merged = key.filter(|key| tables.iter().any(|table| table.key == **key)).map(Cow::into_owned);
        let uses = slot_uses(facts, context);
        let splits = Self { tables, uses, locks: facts.locks, target: None, merged };
        let again = sql::merge(&splits.parsed(text)?).map_err(|_| unlike())?;
        if again.facts.relations == splits.expected(facts) { Ok(Some(splits)) } else { Err(unlike()) }
    }

    /// Returns how the table is split that a MERGE writes.
    pub(in crate::plan) fn merged(&self) -> Option<&Split> {
        Some(&self.named(self.merged.as_deref()?)?.split)
    }

    /// Tells whether a MERGE also reads the split table that it writes.
    pub(in crate::plan) fn is_merged_read(&self) -> bool {
        self.uses.iter().filter(|slot_use| Some(&slot_use.table) == self.merged.as_ref()).count() > 1
    }

    /// Returns the slots of that table that can have rows which matter, ascending, at least one.
    pub(in crate::plan) fn merged_slots(&self, values: &Values<'_>) -> Option<Vec<usize>> {
        Some(slots(self.named(self.merged.as_deref()?)?, &self.uses, values))
    }

    /// Returns the text of a MERGE into one slot; tables that it reads keep their logical names.
    ///
    /// # Errors
    /// 54000 if it gets too long.
    pub(in crate::plan) fn merged_into(&self, text: &str, slot: usize) -> Result<String, Refusal> {
        let mut places = places(text, &self.tables)?;
        places.retain(|place| place.target);
        self.text(text, &places, |_| vec![slot])
    }
}
