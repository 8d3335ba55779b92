//! The database `shardloom`: a few SHOW commands and RELOAD, answered from the shared handles.

mod answer;
mod command;
mod reply;

pub use answer::answer;
pub use command::{Command, Topic};
pub use reply::{ConsoleReply, table};
