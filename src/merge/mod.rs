//! Rows of many shards become the rows of one. No I/O: rows are pushed in, rows come out.
//!
//! Only what can be computed exactly as the server does is merged; everything else is refused before the first row.
//! [`Merger`] is the entry, [`MergeSpec`] what a plan asks for.

mod column;
mod decimal;
mod decimal_text;
mod emit;
mod float_text;
mod fold;
mod grouped;
mod key;
mod kind;
mod merger;
mod moment;
mod number;
mod ordered;
mod row;
mod spec;
mod sql;
#[cfg(test)]
mod tests;

pub use column::{Column, MergeContext, OutputColumn};
pub use merger::{Merger, Step};
pub use spec::{Combine, MergeSpec, Output, SortKey};
