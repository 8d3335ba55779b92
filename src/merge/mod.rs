//! Rows of many shards become the rows of one. No I/O: rows are pushed in, rows come out.

mod spec;

pub use spec::{Combine, MergeSpec, Output, SortKey};
