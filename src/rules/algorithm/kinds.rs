//! The algorithms and their parameters, as rule files declare them.

use std::collections::BTreeMap;

use super::{Interval, Lookup};
use crate::types::{KeyType, KeyValue, ShardId};

/// How a group's keys find their shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// PostgreSQL's own partition hash modulo the buckets is a bucket.
    Hash,
    /// An integer key modulo the number of these shards is a place in their list; if there are none, the key modulo the
    /// buckets is a bucket. Remainders are never negative: -1 modulo 16 is 15.
    Mod(Vec<ShardId>),
    /// Each value says where it lives.
    List(List),
    /// Each range of values says where it lives; in order, without overlaps.
    Range(Vec<Span>),
    /// Each interval of time has the next shard of a list.
    Interval(Interval),
    /// As `Hash`, by several columns: PostgreSQL's partition hash over all of them. The types of the columns behind the
    /// first, at least one.
    Composite(Vec<KeyType>),
    /// A table on home has the bucket of each key.
    Lookup(Lookup),
}

/// Values and their shards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// The shard of each value that is listed.
    pub places: BTreeMap<KeyValue, ShardId>,
    /// The shard of rows without a key; `None` if they are refused.
    pub null: Option<ShardId>,
    /// The shard of values that are not listed; `None` if they are refused.
    pub default: Option<ShardId>,
}

/// A range of keys: integers and uuids in their order, texts in that of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The least key; `None` for no bound.
    pub from: Option<KeyValue>,
    /// The first key beyond; `None` for no bound.
    pub to: Option<KeyValue>,
    /// Where the keys live.
    pub shard: ShardId,
}
