//! What an operator sees, gathered from the shared handles: one shape for the console, HTTP and the command line.
//!
//! Field names are the contract of `--json`. Secrets never enter these types.

mod clients;
mod config;
mod databases;
mod ddl;
mod ids;
mod ledger;
mod memory;
mod pools;
mod ready;
mod routes;
mod rules;
mod servers;
mod shards;
mod stats;
mod status;
mod tables;
mod version;

pub use clients::{CLIENT_COLUMNS, ClientView, clients};
pub use config::{SettingView, config};
pub use databases::{DATABASE_COLUMNS, DatabaseView, ListView, USER_COLUMNS, UserView, databases, lists, users};
pub use ddl::{DDL_COLUMNS, ddl, forget_ddl};
pub use ids::{ID_COLUMNS, IdTagView, ids};
pub use ledger::{
    COMPENSATION_COLUMNS, ChangeView, CompensatedView, DEAD_LETTER_COLUMNS, LANE_CHANGE_COLUMNS, LANE_COLUMNS,
    LEDGER_COLUMNS, LedgerChange, LedgerVerb, PAUSED_COLUMNS, change, compensate, compensations, dead_letters, lanes,
    ledger, ledger_entry, pause, paused,
};
pub use memory::{MemoryView, memory};
pub use pools::{POOL_COLUMNS, PoolView, pools};
pub use ready::{ReadyView, ready};
pub use routes::{ROUTE_COLUMNS, RouteView, routes};
pub use rules::{RulesView, rules};
pub use servers::{SERVER_COLUMNS, ServerView, servers};
pub use shards::{ShardView, shards};
pub use stats::{StatView, stats};
pub use status::{StatusView, status};
pub use tables::{AUDIT_COLUMNS, DOUBT_COLUMNS, ResyncWanted, audit, in_doubt, resync, verify};
pub use version::{VersionView, version};
