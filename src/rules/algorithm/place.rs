//! From a key to its shard, by the algorithm of its group.

use super::Algorithm;
use crate::rules::{GroupId, Placement, RuleSet};
use crate::types::{BucketId, KeyValue, ShardId, ShardSet};

impl RuleSet {
    /// Returns the shard of rows with this key, `None` where the group's algorithm has no place for it.
    ///
    /// `value` is of the type of the group's keys; the caller has converted it.
    pub fn shard_of(&self, group: GroupId, value: &KeyValue) -> Option<ShardId> {
        let group = self.group(group);
        match &group.algorithm {
            Algorithm::Hash => Some(self.placement.owner(self.bucket(group.key_type, value))),
            Algorithm::Mod(shards) => modulo(shards, &self.placement, value),
        }
    }

    /// Returns the shards that may have rows of a group.
    pub fn shards_of_group(&self, group: GroupId) -> ShardSet {
        match &self.group(group).algorithm {
            Algorithm::Hash => self.placement.shards(),
            Algorithm::Mod(shards) if shards.is_empty() => self.placement.shards(),
            Algorithm::Mod(shards) => shards.iter().copied().collect(),
        }
    }
}

/// The remainder as in mathematics: from 0 up, whatever the key's sign.
fn modulo(shards: &[ShardId], placement: &Placement, value: &KeyValue) -> Option<ShardId> {
    let KeyValue::Int(number) = value else { return None };
    let of = |count: usize| number.rem_euclid(count as i64) as usize;
    if shards.is_empty() {
        return Some(placement.owner(BucketId(of(placement.buckets() as usize) as u32)));
    }
    shards.get(of(shards.len())).copied()
}
