//! The `hash` algorithm: PostgreSQL's own hash of one partition column, and the way from a key to its bucket.
//!
//! [`RuleSet::bucket`](super::RuleSet::bucket) gives the remainder for which `satisfies_hash_partition` says yes, so
//! that a shard's table may itself be partitioned by hash and any server can check where a row belongs. Pure, no
//! allocation. It does not convert values: a key arrives as a [`KeyValue`](crate::types::KeyValue).

mod jenkins;
mod partition;

#[cfg(test)]
mod tests;

pub use partition::partition_hash;
