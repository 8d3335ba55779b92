//! Reads that no merge can answer: the tables' rows come to one server, and PostgreSQL itself runs the statement there.
//!
//! `fetches` says what is copied, by names alone: more than needed is slow, never wrong. `uses` says which rows matter, as
//! far as every use of a table tells; `columns` finds whose column a name is, `shown` says it in words.

mod columns;
mod fetches;
mod plan;
mod shown;
mod uses;
mod words;

pub(super) use fetches::columns_read;
pub(super) use plan::{parsing, plan};
