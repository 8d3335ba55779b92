//! Shardloom, a PostgreSQL sharding proxy: applications connect as if to one PostgreSQL.
//!
//! The modules are listed in floors, lowest first: a module uses only modules that stand on a lower floor.
//! `tests/floors.rs` reads this list and names every path that climbs. ARCHITECTURE.md has the tour.

// floor 0
pub mod metrics;
pub mod types;

// floor 1
pub mod tls;
pub mod yaml;

// floor 2
pub mod config;
pub mod rules;
pub mod snowflake;
pub mod sql;
pub mod wire;

// floor 3
pub mod backend;
pub mod merge;

// floor 4
pub mod outbox;
pub mod plan;

// floor 5
pub mod proxy;

// floor 6
pub mod admin;
pub mod execute;

// floor 7
pub mod session;

// floor 8
pub mod dev;
pub mod server;
