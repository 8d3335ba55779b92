//! Snowflake ids: positive `bigint`s with the time on top, made without locks and without I/O.
//!
//! The clock is handed in; the lease of a worker id is kept elsewhere and arrives here as a [`WorkerPermit`].

mod error;
mod generator;
mod layout;
mod permit;
#[cfg(test)]
mod tests;

pub use error::{IdError, LayoutError};
pub use generator::{BORROW_MS_MAX, Generator};
pub use layout::{Decoded, Layout};
pub use permit::WorkerPermit;
