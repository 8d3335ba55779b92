//! The process: listeners, worker threads, the control thread, reload and shutdown.
//!
//! [`start`] builds the one `Proxy` and its threads; [`serve`] is that in the foreground. Read `running.rs` first.

mod build;
mod catalog;
mod catalog_news;
mod certificates;
mod config_source;
mod control;
mod conversation;
mod id_metrics;
mod link;
mod listen;
mod local_socket;
mod logging;
mod numbers;
mod options;
mod outbox;
mod outbox_metrics;
mod permit;
mod pool_care;
mod pool_policy;
mod probe;
mod reload;
mod rule_files;
mod rules_text;
mod running;
mod schema_watch;
mod segments;
mod serve;
mod shutdown;
mod takeover;
#[cfg(debug_assertions)]
mod test_clock;
mod time_limits;
mod turn_away;
mod watch;
mod worker;

pub use catalog::load as load_catalog;
pub use link::{ServiceRole, ShardLink};
pub use listen::ListenError;
pub use logging::start as start_logging;
pub use options::Options;
pub use rule_files::RuleSource;
pub use rules_text::load as load_rules;
pub use running::{Running, StartError, start};
pub use schema_watch::schema_row;
pub use serve::{forward, serve};
pub use shutdown::EndSignals;
pub use takeover::TakeoverError;
