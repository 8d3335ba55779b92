//! From a row's key to its shard: what the group's algorithm has no place for is refused.

use crate::rules::{GroupId, RuleSet};
use crate::sql::insert::Cell;
use crate::types::{KeyValue, Refusal, ShardId};

use super::key::KeyColumn;
use super::parameters::Parameters;
use super::refuse;

/// A sharding key that rows are inserted with.
#[derive(Debug, Clone)]
pub(super) struct Placing {
    /// The table's group, whose algorithm has the shards.
    pub(super) group: GroupId,
    /// The key's column, of a composite one the first.
    pub(super) key: KeyColumn,
    /// The further columns of a composite key, each with its position among the columns of the layout.
    pub(super) more: Vec<(KeyColumn, usize)>,
}

impl Placing {
    /// Returns the names of the key's columns, for the quotes of a message around them.
    pub(super) fn names(&self) -> String {
        let more = self.more.iter().map(|(column, _)| &column.name);
        std::iter::once(&self.key.name).chain(more).map(String::as_str).collect::<Vec<_>>().join("\", \"")
    }

    /// Returns the key's columns with their positions, of which the first is given.
    pub(super) fn columns(&self, position: usize) -> impl Iterator<Item = (&KeyColumn, usize)> {
        std::iter::once((&self.key, position)).chain(self.more.iter().map(|(column, position)| (column, *position)))
    }

    /// Returns the shard of a row with this cell in the key's column.
    ///
    /// # Errors
    /// As [`KeyColumn::value`] – NULL may have a place – and 23514 for a key without one.
    pub(super) fn of_cell(
        &self,
        cell: &Cell,
        rules: &RuleSet,
        parameters: &Parameters<'_>,
    ) -> Result<ShardId, Refusal> {
        self.of(self.key.value_or_null(cell, parameters)?.as_ref(), rules)
    }

    /// Returns the shard of a row with this key, `None` standing for NULL.
    ///
    /// # Errors
    /// 23502 and 23514 for a key without a place.
    pub(super) fn of(&self, key: Option<&KeyValue>, rules: &RuleSet) -> Result<ShardId, Refusal> {
        match key {
            Some(value) => self.of_value(value, rules),
            None => rules.shard_of_null(self.group).ok_or_else(|| refuse::null_key(&self.key.table, &self.names())),
        }
    }

    /// Returns the shard of a row with this key.
    ///
    /// # Errors
    /// 23514 for a key without a place.
    pub(super) fn of_value(&self, value: &KeyValue, rules: &RuleSet) -> Result<ShardId, Refusal> {
        let shard = rules.shard_of(self.group, value);
        shard.ok_or_else(|| refuse::no_place(&self.key.table, &self.names(), &rules.group(self.group).name))
    }
}
