//! Small closed sets that several floors match on.

/// What a statement does to the tables it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Changes nothing.
    Read,
    /// Changes rows, or takes row locks that must be held where they were taken.
    Write,
}

/// The transaction status that ReadyForQuery reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// `I`: no transaction.
    Idle,
    /// `T`: in a transaction block.
    Open,
    /// `E`: in a failed transaction block.
    Failed,
}

impl TransactionStatus {
    /// Returns ReadyForQuery's byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }

    /// Reads ReadyForQuery's byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::Open),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }
}

/// How a write over several shards commits, weakest first (`multi_shard.mode` in the rules).
///
/// The order is the strength: of several modes in one transaction the greatest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteMode {
    /// Home commits, the targets follow by replay.
    Eventual,
    /// Targets run in open transactions, home's commit decides, lost targets are redone.
    Eager,
    /// Targets prepare, home's commit decides.
    TwoPhase,
}

impl WriteMode {
    /// Returns the name used in rules, the ledger and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eventual => "eventual",
            Self::Eager => "eager",
            Self::TwoPhase => "two_phase",
        }
    }
}
