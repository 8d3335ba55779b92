//! From a key's value to PostgreSQL's partition hash and its bucket.

use super::jenkins::{hash_bytes, hash_word};
use crate::rules::RuleSet;
use crate::types::{BucketId, KeyType, KeyValue};

/// PostgreSQL's `HASH_PARTITION_SEED`, the same in every version and cluster.
const SEED: u64 = 0x7A5B_2236_7996_DCFD;

/// What `hash_combine64` adds to a column's hash.
const COMBINE: u64 = 0x49a0_f4dd_15e5_a8e3;

/// Returns the hash that PostgreSQL's partition pruning takes modulo the number of partitions, for one column or several.
pub fn partition_hash(value: &KeyValue) -> u64 {
    match value {
        KeyValue::Parts(parts) => parts.iter().fold(0, |hash, part| combined(hash, column_hash(part))),
        KeyValue::Int(_) | KeyValue::Text(_) | KeyValue::Uuid(_) => combined(0, column_hash(value)),
    }
}

/// PostgreSQL's `hash_combine64`.
fn combined(before: u64, hash: u64) -> u64 {
    before ^ hash.wrapping_add(COMBINE).wrapping_add(before << 54).wrapping_add(before >> 7)
}

/// Returns what `hashint8extended`, `hashtextextended` or `uuid_hash_extended` says with the partition seed.
pub(super) fn column_hash(value: &KeyValue) -> u64 {
    match value {
        KeyValue::Int(number) => hash_word(fold(*number), SEED),
        KeyValue::Text(text) => hash_bytes(text.as_bytes(), SEED),
        KeyValue::Uuid(bytes) => hash_bytes(bytes, SEED),
        KeyValue::Parts(_) => partition_hash(value),
    }
}

/// Folds 64 bits to 32 so that equal numbers of different integer types hash alike, as `hashint8` does.
fn fold(number: i64) -> u32 {
    let (low, high) = (number as u32, (number >> 32) as u32);
    if number >= 0 { low ^ high } else { low ^ !high }
}

/// Tells whether a value can come from a column of this type.
fn fits(key_type: KeyType, value: &KeyValue) -> bool {
    match value {
        KeyValue::Int(_) => key_type.is_integer(),
        KeyValue::Text(_) => matches!(key_type, KeyType::Text | KeyType::Varchar),
        KeyValue::Uuid(_) => key_type == KeyType::Uuid,
        KeyValue::Parts(parts) => parts.first().is_some_and(|first| fits(key_type, first)),
    }
}

impl RuleSet {
    /// Returns the bucket of a key of a group with `algorithm: hash` or `composite`: the remainder for which `satisfies_hash_partition` holds with modulus `buckets`.
    ///
    /// `value` is of the type `key_type` of the first column; the caller has converted it.
    pub fn bucket(&self, key_type: KeyType, value: &KeyValue) -> BucketId {
        debug_assert!(fits(key_type, value), "a {} key arrived as {value:?}", key_type.name());
        let remainder = partition_hash(value) % u64::from(self.placement.buckets());
        BucketId(remainder as u32)
    }
}
