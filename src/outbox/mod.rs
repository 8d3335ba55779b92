//! Multi-shard writes after the decision: home's ledger, the relay that brings the other shards along, recovery,
//! worker leases, and what operators see of it.
//!
//! The client path (`execute`) sends [`LEDGER_INSERT`] and the texts of [`inbox_insert`] on its own connections and tells
//! a [`Flight`] how it went. Everything else runs on one thread of its own, with the service role: [`Outbox::run`].
//! What is not here: deciding the mode (`plan`), running the client's statements (`execute`).

mod apply;
mod census;
mod classify;
mod compensate;
mod copied;
mod ddl;
mod error;
pub mod fault;
mod fingerprint;
mod flight;
mod gate;
mod handle;
mod images;
mod install;
mod item;
mod keys;
mod lane;
mod lease;
mod ledger;
mod literal;
mod look;
mod lookup;
mod lost;
mod marks;
mod metrics;
mod operate;
mod pace;
mod pause;
mod prepared;
mod recover;
mod redo;
mod referred;
mod registry;
mod relay;
mod report;
mod resync;
mod segment;
mod settings;
mod state;
mod status;
mod store;
mod tend;
mod triggers;
mod verify;
mod worker_lease;

pub use census::LaneLag;
pub use classify::FailureClass;
pub use compensate::CompensationRow;
pub use copied::{Copied, UpTo};
pub use ddl::{DdlRow, ShardRun, ShardRunState};
pub use error::Error;
pub use flight::{Drawn, Flight};
pub use gate::Gate;
pub use handle::{Outbox, Resolution};
pub use keys::{KEY_BYTES_MAX, KEY_CONSTRAINT, KeyUse, key_insert};
pub use ledger::{
    Environment, LEDGER_INSERT, LedgerEntry, LedgerTarget, RedoCommand, RedoParameter, inbox_insert, ledger_values,
};
pub use look::{AuditRow, DoubtRow};
pub use metrics::OutboxMetrics;
pub use pause::{LaneChange, PausedRow};
pub use registry::IdRegistry;
pub use report::{DeadLetterRow, LaneRow, LedgerDetail, LedgerFilter, LedgerRow, TargetRow};
pub use resync::{KEYS_MAX, Resynced};
pub use settings::{OutboxBounds, OutboxSettings, ShardEndpoint};
pub use state::{IllegalTransition, Input, TargetState, next};
pub use status::TxnStatus;
pub use triggers::ReferenceTable;
pub use verify::{CopyReport, RowDifference, VerifyReport};
pub use worker_lease::{LeasedWorker, WorkerLease};
