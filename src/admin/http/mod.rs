//! HTTP for people, scripts and probes. Every answer is JSON, but for the metrics; errors are
//! `{sqlstate, message, hint}`.
//!
//! It reads the views and posts requests; it changes nothing by itself. Read `router.rs` first.

mod error;
mod exposition;
mod guard;
mod handlers;
mod ledger;
mod router;
mod tables;

pub use guard::{Asked, Denied, Guard};
pub use router::router;
