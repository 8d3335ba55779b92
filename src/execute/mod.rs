//! Plan × shards → reply. The way of every statement once it is known what to do with it.
//!
//! `link` is one client's link to the shards; `direct`, `scatter`, `write`, `copy`, `copy_out` and `everywhere` are the plans'
//! ways; `commit` ends transactions; `forward` and `collect` read servers. What a text means is `understand`'s.

mod call;
mod carry;
mod carry_values;
mod client;
mod collect;
mod commit;
mod commit_wait;
mod consequences;
mod copy;
mod copy_ids;
mod copy_out;
mod copy_physical;
mod copy_rows;
mod cursor;
mod date_style;
mod decision;
mod direct;
mod everywhere;
mod explain;
mod failure;
mod fan_out;
mod forward;
mod function_call;
mod gather;
mod harmless;
mod home_merge;
mod id_wait;
mod idempotent;
mod link;
mod lock_wait;
mod meanings;
mod member;
mod merges;
mod own_writes;
mod partial;
mod pinned;
mod pins;
mod position;
mod prepared;
mod readable;
mod remade;
mod renamed;
mod routes;
mod run;
mod same_columns;
mod scatter;
mod set_config;
mod settings;
mod shard_by_shard;
mod statement_names;
mod steering;
mod stream;
mod transaction;
mod understand;
mod worker;
mod write;

pub use call::{Arguments, Call};
pub use client::{Client, ClientError, FLUSH_BYTES, Secured};
pub use commit_wait::{CommitWait, WAIT_MAX};
pub use consequences::{Consequence, Reading, Readings, is_treacherous};
pub use copy::pass as pass_copy_data;
pub use cursor::Cursor;
pub use explain::Explaining;
pub use failure::Failure;
pub use forward::{
    cut, fill, next_frame, note_parameter, note_ready, pass_reply, pass_rows, rows_of_tag, swallow, whole_frame,
};
pub use id_wait::is_awaited;
pub use link::{Identity, Link, Role, Targets};
pub use lock_wait::explained;
pub use pinned::Keeping;
pub use pins::unpins;
pub use position::Position;
pub use prepared::{Description, Prepared};
pub use readable::check_setting;
pub use scatter::write_row;
pub use settings::{Settings, plain_value, quoted_value};
pub use statement_names::{Named, StatementNames, is_server_name, server_name};
pub use steering::{Steer, Steering};
pub use stream::Stream;
pub use transaction::{Block, Transaction};
pub use understand::{Meaning, Planned, Plans, Understood};
pub use worker::{Limits, Worker};
