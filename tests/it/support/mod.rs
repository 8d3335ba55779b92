//! What every integration test needs: real servers, a database of its own, the real proxy, clients.
//!
//! Begin with `TestDatabase::new("name")`, then `Proxy::start(&database, RULES, ProxyOptions::default())`.

#![allow(dead_code, unused_imports, reason = "each helper is for the tests to come; a test binary has no public items")]

mod client;
mod cutter;
mod database;
mod pipeline;
mod proxy;
mod python;
mod raw;
mod same;
mod servers;

pub use client::{connect, connect_as};
pub use cutter::{Cutter, DECISION, Harm};
pub use database::TestDatabase;
pub use pipeline::Pipeline;
pub use proxy::{Proxy, ProxyOptions, Shards, shardloom};
pub use python::python;
pub use raw::{Column, Event, RawClient, Reply, event};
pub use same::Differential;
pub use servers::{SERVICE_PASSWORD, Servers, client_program, own_servers, server_major, servers};
