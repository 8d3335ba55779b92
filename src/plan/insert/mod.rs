//! INSERT: ids are injected, rows are split by key, each shard gets its own text spliced from the client's.
//!
//! [`PreparedInsert::new`] decides what the text alone tells; [`PreparedInsert::plan`] adds the values at hand.

mod called;
mod carry;
mod checks;
mod effect;
#[cfg(test)]
pub(in crate::plan) mod fixture;
mod given;
mod home_numbers;
mod inside;
mod key;
mod make;
mod moment;
mod parameters;
mod placing;
mod prepared;
mod refuse;
mod render;
mod select;
mod sets;
mod slots;
mod source;
mod split;
#[cfg(test)]
mod tests;
mod undo;

pub(in crate::plan) use called::drawn_spans;
pub(in crate::plan) use effect::{reference_mode, target_table};
pub use home_numbers::HomeNumber;
pub(in crate::plan) use home_numbers::{left_out, numbered_columns, with_home_numbers};
pub(in crate::plan) use inside::with_ids;
pub use key::{KeyColumn, type_named};
pub use make::{IdValue, IdsWanted, MakeIds};
pub(in crate::plan) use moment::appended_moments;
pub use moment::with_moments;
pub use parameters::Parameters;
pub(in crate::plan) use prepared::unlisted;
pub use prepared::{Describe, PreparedInsert};
pub use refuse::{COMPUTED_SHARDING_KEY, MISSING_SHARDING_KEY, UNMAPPED_SHARDING_KEY, no_place, reason, unclear_time};
pub(in crate::plan) use refuse::{missing_key, numbered, unnamed_columns};
pub(in crate::plan) use sets::{calls_set, rows_of_functions};
pub(in crate::plan) use slots::quoted;
