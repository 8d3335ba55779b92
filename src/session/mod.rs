//! One client's conversation, from the start-up packet to the end of its connection.
//!
//! `login` lets it in, `conversation` takes its messages, `simple` and `extended` turn them into calls, `control`
//! answers session and transaction statements, `report` is the only place where a failure becomes an error message.

mod account;
mod auth_query;
mod authenticate;
mod console;
mod console_extended;
mod control;
mod conversation;
mod cursors;
mod extended;
mod function_call;
mod ids;
mod keyed;
mod ledger_call;
mod login;
mod relay;
mod report;
mod savepoint;
mod set;
mod show;
mod simple;
mod sql_prepared;

pub use conversation::run;
