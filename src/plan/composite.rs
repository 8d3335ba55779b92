//! Keys of several columns: a row's shard is told by the values of all of them, never by some.

use std::collections::BTreeSet;

use super::colocate::Keyed;
use super::context::Values;
use super::key::{Decoded, decode, each_value};
use super::modify::is_cut;
use crate::rules::RuleSet;
use crate::sql::{Binding, Slot};
use crate::types::{KeyType, KeyValue, ShardSet};

/// The most combinations of values whose shards are told; with more of them all shards of the group are asked, of which
/// so many rows would leave none out.
const COMBINATIONS_MAX: usize = 4_096;

/// A column of a composite key behind the first, and what binds it.
#[derive(Debug, Clone)]
pub(super) struct KeyPart {
    pub(super) key: String,
    pub(super) key_type: KeyType,
    /// The conditions, each of which restricts the column.
    pub(super) bindings: Vec<Binding>,
}

impl Keyed {
    /// Returns the key's columns in their order, each with its type and conditions; one where the key is not composite.
    fn columns(&self) -> impl Iterator<Item = (&str, KeyType, &[Binding])> {
        let first = (self.key.as_str(), self.key_type, self.bindings.as_slice());
        let more = self.more.iter().map(|part| (part.key.as_str(), part.key_type, part.bindings.as_slice()));
        std::iter::once(first).chain(more)
    }

    /// Returns the names of the key's columns, for the quotes of a message around them.
    pub(super) fn key_names(&self) -> String {
        self.columns().map(|(name, ..)| name).collect::<Vec<_>>().join("\", \"")
    }

    /// Tells whether the column is the key, or one of its columns.
    pub(super) fn has_key(&self, column: &str) -> bool {
        self.columns().any(|(name, ..)| name == column)
    }

    /// Returns the shards of a composite key's values; `None` if some column is not bound.
    pub(super) fn composite_shards(&self, rules: &RuleSet, values: &Values<'_>) -> Option<ShardSet> {
        let mut rows: Vec<Vec<KeyValue>> = vec![Vec::new()];
        for (_, key_type, bindings) in self.columns() {
            let column = fewest(bindings, key_type, values)?;
            if rows.len().saturating_mul(column.len()) > COMBINATIONS_MAX {
                return Some(rules.shards_of_group(self.group));
            }
            rows = rows.iter().flat_map(|row| column.iter().map(|value| extended(row, value))).collect();
        }
        let shard = |row: Vec<KeyValue>| rules.shard_of(self.group, &KeyValue::Parts(row.into()));
        Some(rows.into_iter().filter_map(shard).collect())
    }

    /// Tells whether `SET column = slot` leaves a composite key's column as its conditions say it is.
    pub(super) fn keeps(&self, column: &str, slot: Option<&Slot>, values: &Values<'_>) -> bool {
        let Some((_, key_type, bindings)) = self.columns().find(|(name, ..)| *name == column) else { return true };
        let new = slot.map(|slot| decode(slot, key_type, values));
        let before = fewest(bindings, key_type, values);
        match (new, before.as_deref()) {
            // The column may keep less of it than stands here.
            (Some(Decoded::Value(new)), Some([before])) => new == *before && !is_cut(&new, key_type),
            (Some(Decoded::Value(_) | Decoded::Nothing | Decoded::Unknown) | None, _) => false,
        }
    }
}

/// Returns the values of the binding that has fewest of them; `None` if none of the bindings can be told.
fn fewest(bindings: &[Binding], key_type: KeyType, values: &Values<'_>) -> Option<Vec<KeyValue>> {
    let told = bindings.iter().filter_map(|binding| {
        let mut found = BTreeSet::new();
        let mut add = |value| _ = found.insert(value);
        binding.slots.iter().all(|slot| each_value(slot, key_type, values, &mut add)).then_some(found)
    });
    told.min_by_key(BTreeSet::len).map(|values| values.into_iter().collect())
}

fn extended(row: &[KeyValue], value: &KeyValue) -> Vec<KeyValue> {
    let mut row = row.to_vec();
    row.push(value.clone());
    row
}
