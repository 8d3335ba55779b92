//! Rule files: text in, one checked [`RuleSet`] or all diagnostics out. Pure: reading files is the caller's work.

mod ruleset;

pub use ruleset::{
    GoldenExpectation, GoldenTest, GroupId, IdLayout, IdRule, IdRules, MissingKey, MultiShardRule, OnDead, OnMissingKey,
    Placement, RuleMode, RuleSet, Shard, TableGroup, TableRule, UnlistedTables, WhenTargetDown, Distribution,
};
