//! Strict YAML with places: text → tree of [`Node`]s, and a declared [`Shape`] that the tree must have.
//!
//! One shape serves three ends: it checks a file (every mistake is reported, not only the first), it is published as a
//! JSON Schema, and it documents the keys. Anchors, aliases, tags, duplicate keys and merge keys are refused; words that
//! other YAML readers take for booleans must be quoted where a name is wanted. Nothing here knows what the keys mean, and
//! nothing opens a file. `config` and `rules` read their files through it.

mod check;
mod findings;
mod json_schema;
mod node;
mod read;
mod shape;
mod units;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::assert_published;

pub use check::check;
pub use findings::{Findings, nearest};
pub use json_schema::json_schema;
pub use node::{Entry, Node, Place, Value};
pub use read::{TEXT_BYTES_MAX, read};
pub use shape::{Field, Format, Need, Record, Shape};
pub use units::{duration, duration_text, size, size_text};
