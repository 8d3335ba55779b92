//! Rule files: text in, one checked [`RuleSet`] or all diagnostics out. Pure: reading files is the caller's work.
//!
//! `shapes` declares the keys, `parse` reads the documents, `topology`, `ids` and `tables` turn them into the types of
//! `ruleset`, `algorithm` finds the shard of a key, `hash`
//! its bucket.

mod algorithm;
mod fingerprint;
mod formats;
mod golden;
mod hash;
mod id_column;
mod ids;
mod names;
mod parse;
mod ruleset;
mod schema;
mod settings;
mod shapes;
mod split;
mod tables;
mod topology;
mod undo;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Directory, Interval, KeyBounds, List, Lookup, Span, Unit};
pub use hash::partition_hash;
pub use ids::{STANDARD, gene_layout, js53_layout, standard_layout};
pub use parse::{Parsed, RuleFile};
pub use ruleset::{
    AssumedCount, Distribution, GoldenExpectation, GoldenTest, GroupId, IdLayout, IdRule, IdRules, IdSource,
    MissingKey, MultiShardRule, OnDead, OnKeyUpdate, OnMissingKey, Placement, RuleMode, RuleSet, SegmentRule, Shard,
    TableGroup, TableRule, Undo, UnlistedTables, WhenTargetDown,
};
pub use schema::json_schema;
pub use shapes::BUCKETS_MAX;
pub use split::{SPLIT_MAX, Split, SplitAlgorithm};
pub use topology::Topology;
