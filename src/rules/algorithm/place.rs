//! From a key to its shard, by the algorithm of its group.

use super::{Algorithm, KeyBounds, Lookup, Span};
use crate::rules::{GroupId, Placement, RuleSet};
use crate::types::{BucketId, KeyType, KeyValue, ShardId, ShardSet};

impl RuleSet {
    /// Returns the shard of rows with this key, `None` where the group's algorithm has no place for it.
    ///
    /// `value` is of the type of the group's keys; the caller has converted it.
    pub fn shard_of(&self, group: GroupId, value: &KeyValue) -> Option<ShardId> {
        let group = self.group(group);
        match &group.algorithm {
            Algorithm::Hash => Some(self.placement.owner(self.bucket(group.key_type, value))),
            Algorithm::Mod(shards) => modulo(shards, &self.placement, value),
            Algorithm::List(list) => list.places.get(value).copied().or(list.default),
            Algorithm::Range(spans) => span_of(spans, value).map(|span| span.shard),
            Algorithm::Interval(interval) => interval.shard_of(group.key_type, value),
            Algorithm::Composite(more) => {
                is_whole(value, more).then(|| self.placement.owner(self.bucket(group.key_type, value)))
            }
            Algorithm::Lookup(lookup) => lookup.directory.bucket_of(value).map(|bucket| self.placement.owner(bucket)),
        }
    }

    /// Returns the shards that can have rows with this key: all of the group while its bucket has to be looked up.
    ///
    /// `value` is of the type of the group's keys; the caller has converted it.
    pub fn shards_of_key(&self, group: GroupId, value: &KeyValue) -> ShardSet {
        match (self.shard_of(group, value), &self.group(group).algorithm) {
            (Some(shard), _) => [shard].into_iter().collect(),
            (None, Algorithm::Lookup(_)) => self.shards_of_group(group),
            (None, _) => ShardSet::new(),
        }
    }

    /// Lists the groups whose keys are looked up.
    pub fn lookups(&self) -> impl Iterator<Item = (GroupId, &Lookup)> {
        self.groups.iter().enumerate().filter_map(|(index, group)| match &group.algorithm {
            Algorithm::Lookup(lookup) => Some((GroupId(index as u16), lookup)),
            Algorithm::Hash
            | Algorithm::Mod(_)
            | Algorithm::List(_)
            | Algorithm::Range(_)
            | Algorithm::Interval(_)
            | Algorithm::Composite(_) => None,
        })
    }

    /// Returns the bucket of rows with this key, `None` where the group's algorithm goes by none.
    pub fn bucket_of(&self, group: GroupId, value: &KeyValue) -> Option<BucketId> {
        let group = self.group(group);
        match (&group.algorithm, value) {
            (Algorithm::Hash, value) => Some(self.bucket(group.key_type, value)),
            (Algorithm::Composite(more), value) => is_whole(value, more).then(|| self.bucket(group.key_type, value)),
            (Algorithm::Mod(shards), KeyValue::Int(number)) if shards.is_empty() => {
                Some(BucketId(remainder(*number, self.placement.buckets() as usize) as u32))
            }
            (Algorithm::Lookup(lookup), value) => lookup.directory.bucket_of(value),
            (Algorithm::Mod(_) | Algorithm::List(_) | Algorithm::Range(_) | Algorithm::Interval(_), _) => None,
        }
    }

    /// Returns the shard of rows whose key is NULL, `None` where the group refuses them.
    pub fn shard_of_null(&self, group: GroupId) -> Option<ShardId> {
        match &self.group(group).algorithm {
            Algorithm::List(list) => list.null,
            Algorithm::Hash
            | Algorithm::Mod(_)
            | Algorithm::Range(_)
            | Algorithm::Interval(_)
            | Algorithm::Composite(_)
            | Algorithm::Lookup(_) => None,
        }
    }

    /// Tells whether comparisons by order say on which shards keys can be.
    ///
    /// Ranges of texts are those of their bytes, whereas `<` on a server goes by the column's collation.
    pub fn is_ordered(&self, group: GroupId) -> bool {
        let group = self.group(group);
        match &group.algorithm {
            Algorithm::Hash
            | Algorithm::Mod(_)
            | Algorithm::List(_)
            | Algorithm::Composite(_)
            | Algorithm::Lookup(_) => false,
            Algorithm::Interval(_) => true,
            Algorithm::Range(_) => !matches!(group.key_type, KeyType::Text | KeyType::Varchar),
        }
    }

    /// Returns the shards that can have keys within these bounds.
    pub fn shards_within(&self, group: GroupId, bounds: &KeyBounds) -> ShardSet {
        match &self.group(group).algorithm {
            Algorithm::Hash
            | Algorithm::Mod(_)
            | Algorithm::List(_)
            | Algorithm::Composite(_)
            | Algorithm::Lookup(_) => self.shards_of_group(group),
            Algorithm::Range(spans) => spans.iter().filter(|span| bounds.meets(span)).map(|span| span.shard).collect(),
            Algorithm::Interval(interval) => interval.within(self.group(group).key_type, bounds),
        }
    }

    /// Returns the shards that may have rows of a group.
    pub fn shards_of_group(&self, group: GroupId) -> ShardSet {
        match &self.group(group).algorithm {
            Algorithm::Hash | Algorithm::Composite(_) | Algorithm::Lookup(_) => self.placement.shards(),
            Algorithm::Mod(shards) if shards.is_empty() => self.placement.shards(),
            Algorithm::Mod(shards) => shards.iter().copied().collect(),
            Algorithm::List(list) => list.places.values().copied().chain(list.null).chain(list.default).collect(),
            Algorithm::Range(spans) => spans.iter().map(|span| span.shard).collect(),
            Algorithm::Interval(interval) => interval.shards.iter().copied().collect(),
        }
    }
}

/// Tells whether a composite key has a value for each of its columns.
fn is_whole(value: &KeyValue, more: &[KeyType]) -> bool {
    matches!(value, KeyValue::Parts(parts) if parts.len() == more.len() + 1)
}

/// The remainder as in mathematics: from 0 up, whatever the key's sign.
fn remainder(number: i64, count: usize) -> usize {
    number.rem_euclid(count as i64) as usize
}

/// The shard of the remainder, or without shards the owner of the bucket that it is.
fn modulo(shards: &[ShardId], placement: &Placement, value: &KeyValue) -> Option<ShardId> {
    let KeyValue::Int(number) = value else { return None };
    let of = |count: usize| remainder(*number, count);
    if shards.is_empty() {
        return Some(placement.owner(BucketId(of(placement.buckets() as usize) as u32)));
    }
    shards.get(of(shards.len())).copied()
}

/// Returns the span that holds the value, of spans in order.
fn span_of<'a>(spans: &'a [Span], value: &KeyValue) -> Option<&'a Span> {
    let begun = spans.partition_point(|span| span.from.as_ref().is_none_or(|from| from <= value));
    let span = &spans[begun.checked_sub(1)?];
    span.to.as_ref().is_none_or(|to| value < to).then_some(span)
}
