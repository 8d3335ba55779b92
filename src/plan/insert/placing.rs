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
    /// As [`KeyColumn::value`], and 23514 for a key without a place.
    pub(super) fn of_cell(
        &self,
        cell: &Cell,
        rules: &RuleSet,
        parameters: &Parameters<'_>,
    ) -> Result<ShardId, Refusal> {
        self.of_value(&self.key.value(cell, parameters)?, rules)
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
