//! Why a layout is wrong, and why no id can be issued now.

use crate::types::{Refusal, SqlState};

/// The word of the refusal that ends when the clock has caught up with ids that ran ahead.
pub const AHEAD_OF_CLOCK: &str = "ids_ahead_of_clock";

/// Why a layout cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A positive `bigint` has 63 bits.
    #[error("the layout has {bits} bits, a positive bigint has room for 63")]
    TooManyBits {
        /// The sum of the four widths.
        bits: u32,
    },
    /// The time field is too narrow or too wide to be meant.
    #[error("time has {bits} bits, it needs between 1 and 48")]
    TimeBits {
        /// The width asked for.
        bits: u8,
    },
    /// Tag codes and worker ids are 16-bit numbers.
    #[error("{field} has {bits} bits, at most 16 are possible")]
    FieldBits {
        /// `tag` or `worker`.
        field: &'static str,
        /// The width asked for.
        bits: u8,
    },
    /// A negative epoch, or one so late that time would overflow.
    #[error("the epoch {epoch_ms} is not in the years 1970 to 2999, in milliseconds since 1970-01-01 UTC")]
    Epoch {
        /// The epoch asked for.
        epoch_ms: i64,
    },
}

/// Why no id was issued. Each message says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// No worker id is leased yet.
    #[error("no worker id is leased, so no id can be issued")]
    NoLease,
    /// The lease ran out, or the clock passed the reserved time.
    #[error("the lease of worker id {worker} lapsed")]
    LeaseLapsed {
        /// The worker id.
        worker: u16,
    },
    /// The logical clock would run too far ahead of the wall clock, or out of the time that is reserved.
    #[error("ids of tag {tag} are {ahead_ms} ms ahead of the clock, at most {max_ms} ms are allowed")]
    BorrowExceeded {
        /// The tag's code.
        tag: u16,
        /// How far ahead the ids would be.
        ahead_ms: i64,
        /// The bound: [`super::BORROW_MS_MAX`], or what is reserved if that is less.
        max_ms: i64,
    },
    /// The machine's clock shows a time before the layout's epoch.
    #[error("the clock shows {wall_ms} ms, which is before the layout's epoch {epoch_ms}")]
    ClockBeforeEpoch {
        /// The wall clock.
        wall_ms: i64,
        /// The layout's epoch.
        epoch_ms: i64,
    },
    /// The time field is full: the layout reached its end of life.
    #[error("the layout's time field ended on {end}")]
    TimeExhausted {
        /// The date of the end of life.
        end: String,
    },
    /// The tag's code does not fit into the tag field.
    #[error("tag code {tag} is not below {limit}, the layout's number of tags")]
    UnknownTag {
        /// The tag's code.
        tag: u16,
        /// The first code that does not fit.
        limit: u32,
    },
    /// The leased worker id does not fit into the worker field.
    #[error("worker id {worker} is not below {limit}, the layout's number of workers")]
    UnknownWorker {
        /// The worker id.
        worker: u16,
        /// The first worker id that does not fit.
        limit: u32,
    },
}

impl IdError {
    /// Returns what the client reads: `57P03` where waiting helps, `54000` and `22023` where it does not.
    pub fn refusal(&self) -> Refusal {
        let refusal = Refusal::new(self.state(), self.to_string()).with_hint(self.hint());
        match self {
            Self::BorrowExceeded { .. } => refusal.with_reason(AHEAD_OF_CLOCK),
            Self::NoLease
            | Self::LeaseLapsed { .. }
            | Self::ClockBeforeEpoch { .. }
            | Self::TimeExhausted { .. }
            | Self::UnknownTag { .. }
            | Self::UnknownWorker { .. } => refusal,
        }
    }

    fn state(&self) -> SqlState {
        match self {
            Self::NoLease | Self::LeaseLapsed { .. } | Self::ClockBeforeEpoch { .. } => SqlState::CANNOT_CONNECT_NOW,
            Self::BorrowExceeded { .. } => SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            Self::TimeExhausted { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::UnknownTag { .. } | Self::UnknownWorker { .. } => SqlState::INVALID_PARAMETER_VALUE,
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::NoLease | Self::LeaseLapsed { .. } => {
                "A worker id is leased on the home shard; the proxy's log says why none is: home is away, all are leased, or ids.worker is another's. Then try again."
            }
            Self::BorrowExceeded { .. } => {
                "The tag makes ids faster than its layout has them, or the clock stepped back (NTP): ask slower, or give a layout more sequence bits."
            }
            Self::ClockBeforeEpoch { .. } => {
                "Set the machine's clock (NTP), or the layout's epoch in the rules if that is what is wrong."
            }
            Self::TimeExhausted { .. } => "Declare a new layout with more time bits or a later epoch.",
            Self::UnknownTag { .. } => "Give the tag a smaller code, or the layout more tag bits.",
            Self::UnknownWorker { .. } => {
                "Free worker ids that are no longer used, set a lower ids.worker, or give the layout more worker bits."
            }
        }
    }
}
