//! The database `shardloom`: SHOW and PgBouncer's verbs, answered from the shared handles.

mod answer;
mod command;
mod reply;
mod topic;
mod verbs;

pub use answer::{answer, describe};
pub use command::Command;
pub use reply::{ConsoleReply, table};
pub use topic::Topic;
