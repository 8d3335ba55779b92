//! Statement × rules × parameters → [`Plan`]. Pure: no socket, file, clock or environment.
//!
//! `prepare` reads a statement once; `Prepared::plan` is asked at every execution with the values at hand.

mod alias;
mod apart;
mod array;
mod carry;
pub mod catalog;
pub mod classify;
mod colocate;
mod composite;
mod context;
pub mod copy;
mod copy_query;
mod create_as;
mod delta;
mod describe;
mod each_its_own;
mod explain;
mod filled;
mod from_item;
mod functions;
mod gather;
pub mod given_id;
mod grouped;
mod hidden;
pub mod insert;
mod key;
mod limit;
mod mention;
mod merging;
mod modify;
mod moving;
mod nested;
mod output_name;
mod parsing;
mod partial;
mod partial_words;
mod plan_types;
mod prepare;
mod read;
mod root;
mod route_json;
mod scatter;
mod split;
mod steer;
mod system_columns;
#[cfg(test)]
mod tests;
mod utility;
mod view;
mod with;
mod write_first;

pub use carry::{Brought, BroughtTable, CARRIED, Carried, Carry, CarryForm, KeyOperator, renumbered};
pub use catalog::{Catalog, Referring};
pub use context::{Context, Values};
pub use describe::{describe, tables_named, why_not_direct};
pub use filled::{Moments, moments};
pub use hidden::{makes_temporary, reads_tables_of_rules};
pub use insert::{IdValue, IdsWanted, MakeIds, Parameters, with_moments};
pub use key::{binary_fits, key_from_binary, key_from_text};
pub use plan_types::{
    CopyKey, CopyOut, CopyPlan, CopySplit, Direct, Equal, Fetch, Freeze, FreezeKind, Gather, LockFirst, MergedCopy,
    MultiWrite, ParameterSource, Part, Partial, Plan, Redo, ReturningOrder, Scatter, Statement, Use, WriteEffect,
};
pub use prepare::{PrepareError, Prepared, prepare};
pub use route_json::{merge_steps, route_json, shard_names};
