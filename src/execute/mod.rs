//! Plan × shards → reply. The way of every statement once it is known what to do with it.
//!
//! `link` is one client's link to the shards; `direct`, `scatter`, `write`, `copy` and `everywhere` are the plans'
//! ways; `commit` ends transactions; `forward` and `collect` read servers. What a text means is `understand`'s.

mod call;
mod client;
mod collect;
mod commit;
mod consequences;
mod copy;
mod direct;
mod everywhere;
mod failure;
mod forward;
mod link;
mod lock_wait;
mod member;
mod own_writes;
mod position;
mod prepared;
mod run;
mod scatter;
mod settings;
mod statement_names;
mod transaction;
mod understand;
mod worker;
mod write;

pub use call::{Arguments, Call};
pub use client::{Client, ClientError, FLUSH_BYTES};
pub use consequences::{Consequence, Reading, Readings};
pub use copy::pass as pass_copy_data;
pub use failure::Failure;
pub use forward::{fill, next_frame, note_ready, pass_reply, pass_rows, rows_of_tag, swallow, whole_frame};
pub use link::{Identity, Link, Role, Targets};
pub use lock_wait::explained;
pub use position::Position;
pub use prepared::{Description, Prepared};
pub use settings::{Settings, plain_value, quoted_value};
pub use statement_names::{Named, StatementNames, is_server_name, server_name};
pub use transaction::{Block, Transaction};
pub use understand::{Meaning, Planned, Plans, Understood};
pub use worker::{Limits, Worker};
