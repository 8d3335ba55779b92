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
    /// The key's column.
    pub(super) key: KeyColumn,
}

impl Placing {
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
            None => rules.shard_of_null(self.group).ok_or_else(|| refuse::null_key(&self.key.table, &self.key.name)),
        }
    }

    /// Returns the shard of a row with this key.
    ///
    /// # Errors
    /// 23514 for a key without a place.
    pub(super) fn of_value(&self, value: &KeyValue, rules: &RuleSet) -> Result<ShardId, Refusal> {
        let shard = rules.shard_of(self.group, value);
        shard.ok_or_else(|| refuse::no_place(&self.key.table, &self.key.name, &rules.group(self.group).name))
    }
}
