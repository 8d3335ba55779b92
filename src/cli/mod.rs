//! The command line: reads arguments, calls the library or a running proxy, prints, returns the exit code.
//!
//! Exit codes: 0 done, 1 "no" or problems found, 2 wrong use or a configuration that is refused.

mod arguments;
mod bench;
mod check;
mod dev;
mod dev_options;
mod failure;
mod golden;
mod ids;
mod ledger;
mod live;
mod live_compare;
mod live_ids;
mod live_lookup;
mod live_rows;
mod output;
mod planning;
mod remote;
mod route;
mod run;
mod seed;
mod serve;
mod status;
mod tables;
mod version;

pub use run::run;
