//! Reads that run on home over copies of other shards' rows: PostgreSQL itself is what merges.
//!
//! `desk` is where that happens, a connection of its own in a transaction that is rolled back; `run` the order of things,
//! `copies` brings the rows, `restrict` says which of them, `passing` how they go from server to server.

mod copies;
mod desk;
mod passing;
mod restrict;
mod run;

pub(super) use desk::{Desk, Reads};
pub(super) use passing::{execute, pass, too_many, turn};
pub(super) use restrict::source;
