//! The algorithms and their parameters, as rule files declare them.

use crate::types::ShardId;

/// How a group's keys find their shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// PostgreSQL's own partition hash modulo the buckets is a bucket.
    Hash,
    /// An integer key modulo the number of these shards is a place in their list; if there are none, the key modulo the
    /// buckets is a bucket. Remainders are never negative: -1 modulo 16 is 15.
    Mod(Vec<ShardId>),
}
