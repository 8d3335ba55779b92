//! The integration tests: one binary, so that it is linked once.
//!
//! Each area is a file here or in `tests/parts/`; `support/` has the servers, databases, the proxy and the clients.

mod admin;
mod algorithms;
mod cancel_keys;
mod changed_columns;
mod chaos;
mod chaos_bank;
mod chaos_edges;
mod chaos_faults;
mod chaos_invariants;
mod chaos_lost;
mod chaos_reference;
mod cli;
mod copies;
mod dev_command;
mod differential;
mod door;
mod drivers;
mod encryption;
mod function_calls;
mod fuzz;
mod gather;
mod home_merge;
mod hostile;
mod ledger;
mod lent;
mod lost_servers;
mod newest;
mod parts;
mod pgbench;
mod pipelines;
mod pooling;
mod pooling_console;
mod pooling_limits;
mod pooling_restart;
mod portions;
mod prepared;
mod protocol;
mod sessions;
mod slow_clients;
mod sql_prepared;
mod state;
mod support;
mod support_holds;
mod tpch;
