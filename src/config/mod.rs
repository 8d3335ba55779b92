//! `shardloom.yaml`: text in, one checked [`Config`] or all diagnostics out. Opens nothing by itself: environment and
//! secret files are read through functions that the caller hands in.
//!
//! `settings` declares sections of plain numbers, `limits`, `pool` and `relay` use it; `users`, `hba`, `auth` and `secret` are about
//! who may connect; `parse` puts the sections together. Every bound of the proxy has its name and default here.

mod auth;
mod hba;
mod ids;
mod limits;
mod listen;
mod network;
mod parse;
mod pool;
mod pooling;
mod relay;
mod secret;
mod settings;
mod tls;
mod users;

#[cfg(test)]
mod tests;

pub use auth::Auth;
pub use hba::{Approach, Hba, Method, Transport};
pub use ids::Ids;
pub use limits::Limits;
pub use listen::{Admin, Listen, LogFormat, Passthrough, Telemetry};
pub use parse::{Config, json_schema};
pub use pool::Pool;
pub use pooling::{Database, Overrides, PoolMode};
pub use relay::Relay;
pub use secret::{Secret, Sources};
pub use users::{Login, Service, User};
