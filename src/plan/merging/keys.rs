//! Where the sharding keys of rows come from that a MERGE inserts.

use postgres_protocol::escape::escape_literal;

use super::Merging;
use crate::plan::catalog::Column;
use crate::plan::colocate::{Keyed, handed_key};
use crate::plan::context::Context;
use crate::sql::{self, MergeCell, MergeInsert, Slot};
use crate::types::{KeyType, KeyValue};

/// Where a sharding key comes from that is inserted.
#[derive(Debug, Clone)]
pub(super) enum InsertedKey {
    /// A column of constants of the source, by its index.
    Rows(usize),
    /// One constant.
    Constant(Slot),
    /// The sharding key of a table that the source reads, by its index among the sharded ones.
    Handed(usize),
    /// It cannot be told.
    Unknown,
}

impl Merging {
    /// Tells where an inserted row's key comes from.
    pub(super) fn key_of(&self, insert: &MergeInsert, context: &Context<'_>) -> InsertedKey {
        let Some(target) = self.target().filter(|target| target.more.is_empty()) else { return InsertedKey::Unknown };
        match self.cell(insert, &target.key, context) {
            Some(MergeCell::Constant(slot)) => InsertedKey::Constant(slot.clone()),
            Some(MergeCell::Column(name)) => self.column(name, target, context),
            Some(MergeCell::Default | MergeCell::Computed) | None => InsertedKey::Unknown,
        }
    }

    /// A column of the source.
    fn column(&self, name: &str, target: &Keyed, context: &Context<'_>) -> InsertedKey {
        if let Some(index) = self.merge.constants.iter().position(|constant| constant.name == name) {
            return InsertedKey::Rows(index);
        }
        let located = self.modify.located();
        let column = sql::Column { relation: Some(self.merge.source), scope: 0, name: name.to_owned() };
        let Some(found) = handed_key(&self.merge.facts, located, &column) else { return InsertedKey::Unknown };
        let keyed = &located.keyed[found];
        let Some(own) = self.key_column(target, context) else { return InsertedKey::Unknown };
        let same = || self.key_column(keyed, context).is_some_and(|other| other.type_name == own.type_name);
        // A NULL of a rollup must be the server's error.
        match keyed.group == target.group && (target.key_type.is_integer() || same()) && !own.nullable {
            true => InsertedKey::Handed(found),
            false => InsertedKey::Unknown,
        }
    }

    fn key_column<'a>(&self, keyed: &Keyed, context: &Context<'a>) -> Option<&'a Column> {
        let table = self.merge.facts.relations[keyed.relation].table.as_ref()?;
        context.catalog.table(&table.rule_key())?.column(&keyed.key)
    }

    /// Returns what is inserted into a column.
    pub(super) fn cell<'a>(
        &self,
        insert: &'a MergeInsert,
        column: &str,
        context: &Context<'_>,
    ) -> Option<&'a MergeCell> {
        let position = self.position(insert, column, context)?;
        insert.cells.get(position).filter(|cell| **cell != MergeCell::Default)
    }

    /// Returns the place of a column among those that are inserted.
    pub(super) fn position(&self, insert: &MergeInsert, column: &str, context: &Context<'_>) -> Option<usize> {
        if !insert.columns.is_empty() {
            return insert.columns.iter().position(|name| name == column);
        }
        let table = context.catalog.table(&self.modify.target().rule_key())?;
        table.columns.iter().position(|known| known.name == column)
    }
}

/// Returns a key as a constant that a column of constants compares with as it is; `None` for times, which depend on
/// the session.
pub(super) fn literal(value: KeyValue, key_type: KeyType) -> Option<String> {
    match value {
        KeyValue::Int(_) if key_type.is_time() => None,
        KeyValue::Int(value) => Some(value.to_string()),
        KeyValue::Parts(_) => None,
        KeyValue::Text(text) => Some(escape_literal(&text)),
        KeyValue::Uuid(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("'{hex}'::uuid"))
        }
    }
}
