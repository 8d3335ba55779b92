//! Generated ids: snowflakes (positive `bigint`s with the time on top, made without locks), dense ids of segments, uuids.
//!
//! No I/O: the clock is handed in; the lease of a worker id is kept elsewhere and arrives here as a [`WorkerPermit`],
//! ranges of dense ids are fetched elsewhere and put in.

#[cfg(test)]
mod churn;
mod error;
mod generator;
mod layout;
mod permit;
mod segment;
#[cfg(test)]
mod tests;
mod uuid_v7;

pub use error::{AHEAD_OF_CLOCK, IdError, LayoutError};
pub use generator::{BORROW_MS_MAX, Generator};
pub use layout::{Decoded, Layout, date_time};
pub use permit::WorkerPermit;
pub use segment::{Segment, SegmentError};
pub use uuid_v7::UuidMaker;
