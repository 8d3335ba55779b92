//! The words that every floor shares: names, shards, key values, SQLSTATEs, refusals, clocks.
//!
//! Nothing here does I/O except [`SystemClock`], which reads the clock for everybody else.

mod clock;
mod comparison;
mod diagnostic;
mod key;
pub mod moment;
mod refusal;
mod shard;
mod sqlstate;
mod status;
mod stored;

pub use clock::{Clock, ManualClock, SystemClock};
pub use comparison::Comparison;
pub use diagnostic::Diagnostic;
pub use key::{KeyType, KeyValue};
pub use refusal::Refusal;
pub use shard::{BucketId, ShardId, ShardSet};
pub use sqlstate::SqlState;
pub use status::{Access, TransactionStatus, WriteMode};
pub use stored::{USER_TYPES, stored, type_modifier};
