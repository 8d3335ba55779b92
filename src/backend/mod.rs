//! Connections to the shards' servers: start-up, buffered frames, pools per worker, forwarding of cancel requests.
//!
//! A [`Server`] is borrowed from [`Pools`] for a transaction and read and written in place; rows are not decoded here.
//! TLS towards servers is not spoken yet. Shared between workers are the [`CancelRegistry`], the
//! [`Allowance`] that says how many connections there may be, and the [`Roster`] that lists them.

mod allowance;
mod ask;
mod bell;
mod cancel;
mod error;
mod exchange;
mod grant;
mod oids;
mod orders;
mod pool;
mod pool_settings;
mod pools;
mod roster;
mod server;
mod simple;
mod socket;
mod startup;
mod statements;
mod target;
#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use ask::Ask;
pub use cancel::{CancelHandle, CancelKey, CancelRegistry, CancelRequests, SecretLength};
pub use error::{BackendError, ServerError};
pub use oids::{Numbers, ShardOids};
pub use orders::Orders;
pub use pool_settings::{PoolSettings, PoolStats};
pub use pools::{Policy, PoolRef, Pools};
pub use roster::{Roster, ServerInfo};
pub use server::{Connection, Server};
pub use simple::SimpleReply;
pub use statements::{Borrowers, SettingsTag, StatementCache};
pub use target::ServerTarget;
