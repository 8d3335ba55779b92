//! Multi-shard writes after the decision: home's ledger, the relay that brings the other shards along, recovery,
//! worker leases, and what operators see of it.
//!
//! The client path (`execute`) sends the texts of [`ledger_insert`] and [`inbox_insert`] on its own connections and tells
//! a [`Flight`] how it went. Everything else runs on one thread of its own, with the service role: [`Outbox::run`].
//! What is not here: deciding the mode (`plan`), running the client's statements (`execute`).

mod apply;
mod census;
mod classify;
mod ddl;
mod error;
pub mod fault;
mod flight;
mod gate;
mod handle;
mod images;
mod install;
mod item;
mod lane;
mod lease;
mod ledger;
mod literal;
mod marks;
mod metrics;
mod operate;
mod recover;
mod redo;
mod relay;
mod report;
mod segment;
mod settings;
mod state;
mod store;
mod tend;
mod triggers;
mod worker_lease;

pub use census::LaneLag;
pub use classify::FailureClass;
pub use ddl::{DdlRow, ShardRun, ShardRunState};
pub use error::Error;
pub use flight::Flight;
pub use gate::Gate;
pub use handle::{Outbox, Resolution};
pub use ledger::{Environment, LedgerEntry, LedgerTarget, RedoCommand, RedoParameter, inbox_insert, ledger_insert};
pub use metrics::OutboxMetrics;
pub use report::{DeadLetterRow, LaneRow, LedgerDetail, LedgerFilter, LedgerRow, TargetRow};
pub use settings::{OutboxBounds, OutboxSettings, ShardEndpoint};
pub use state::{IllegalTransition, Input, TargetState, next};
pub use triggers::ReferenceTable;
pub use worker_lease::{LeasedWorker, WorkerLease};
