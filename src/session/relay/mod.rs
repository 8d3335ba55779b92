//! Sessions of an unsharded database: every message passes, as it is, to one server.
//!
//! The server is the only judge of statements, and its ReadyForQuery the only truth about transactions. Texts are read
//! for what they leave with the session (`effects`), and named statements go under names that all clients of the worker
//! share; both directions flow at the same time. `flow` moves bytes, `client_side` and `server_side` look at messages,
//! `numbers` is for sequences, `statements` and `renaming` give names to prepared statements, `unit` keeps a pipeline for another try, `expect` is the
//! account of what the server still owes, `trouble` is for servers that cannot be had or break.

mod client_side;
mod effects;
mod expect;
mod flow;
mod numbers;
mod renaming;
mod server_side;
mod state;
mod statements;
mod trouble;
mod unit;

pub(super) use flow::serve;
