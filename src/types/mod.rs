//! The words that every floor shares: names, shards, key values, SQLSTATEs, refusals, clocks.
//!
//! Nothing here does I/O except [`SystemClock`], which reads the clock for everybody else.

mod clock;
mod diagnostic;
mod key;
mod refusal;
mod shard;
mod sqlstate;
mod status;

pub use clock::{Clock, ManualClock, SystemClock};
pub use diagnostic::Diagnostic;
pub use key::{KeyType, KeyValue};
pub use refusal::Refusal;
pub use shard::{BucketId, ShardId, ShardSet};
pub use sqlstate::SqlState;
pub use status::{Access, TransactionStatus, WriteMode};
