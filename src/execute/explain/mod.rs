//! EXPLAIN of statements over several shards: the shards' own plans under one tree.

mod over_shards;
mod render;
mod text;
mod tree;
mod value;

pub use over_shards::Explaining;
