//! Connections to the shards' servers: start-up, buffered frames, pools per worker, forwarding of cancel requests.
//!
//! A [`Server`] is borrowed from [`Pools`] for a transaction and read and written in place; rows are not decoded here.
//! TLS towards servers is not spoken yet. Only the [`CancelRegistry`] is shared between workers.

mod cancel;
mod error;
mod grant;
mod pool;
mod pools;
mod server;
mod simple;
mod socket;
mod startup;
mod statements;
mod target;
#[cfg(test)]
mod tests;

pub use cancel::{CancelHandle, CancelKey, CancelRegistry};
pub use error::{BackendError, ServerError};
pub use pool::{PoolSettings, PoolStats};
pub use pools::Pools;
pub use server::Server;
pub use simple::SimpleReply;
pub use statements::{SettingsTag, StatementCache};
pub use target::ServerTarget;
