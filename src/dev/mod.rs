//! Local PostgreSQL servers for `shardloom dev`, the tests and the benchmark.
//!
//! Finds or installs PostgreSQL, keeps one server per shard (init, start, adopt, restart, stop) and prepares the
//! roles and databases that the proxy expects. It starts no proxy: `main` joins [`DevCluster`] and `server`.
//! Read `dev_cluster.rs` first, then `cluster.rs`. All calls block; from async code use `spawn_blocking`.

mod account;
mod cluster;
mod dev_cluster;
mod error;
mod example;
mod install;
mod port;
mod postgres;
mod postmaster;
mod process;
mod provision;
mod scratch;
mod settings;
mod supervise;

pub use account::Account;
pub use cluster::{Cluster, ClusterOptions, Durability, Started};
pub use dev_cluster::{DevCluster, DevOptions};
pub use error::Error;
pub use example::{APP_PASSWORD, APP_USER, SERVICE_USER, SHOP_DATABASE, SHOP_LOAD, SHOP_SCHEMA};
pub use install::find_or_install;
pub use port::free_port;
pub use postgres::Postgres;
pub use provision::{Provision, create_database};
pub use settings::ServerOption;
pub use supervise::Supervised;
