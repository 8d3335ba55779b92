//! Why the outbox could not do something.

use crate::outbox::classify::FailureClass;
use crate::types::{Refusal, SqlState};

/// Causes, ordered by blame.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator asked for what the life cycle does not allow.
    #[error("{0}")]
    Illegal(#[from] super::state::IllegalTransition),
    /// Something named does not exist.
    #[error("{0}")]
    Unknown(String),
    /// A worker id that was wished for is taken.
    #[error("worker id {worker} is leased to \"{holder}\"")]
    WorkerTaken {
        /// The id.
        worker: u16,
        /// Who holds it.
        holder: String,
    },
    /// All worker ids of the layout are leased.
    #[error("all {0} worker ids are leased")]
    NoWorker(u32),
    /// A reference table cannot be captured.
    #[error("{0}")]
    Uncapturable(String),
    /// A lookup table is missing, or its answers could change.
    #[error("{0}")]
    Lookup(String),
    /// The relay of this process was fenced off by another one.
    #[error("the lane from \"{home}\" was taken over by another proxy")]
    Fenced {
        /// The home shard.
        home: String,
    },
    /// The tables on the two shards differ.
    #[error("{0}")]
    SchemaDrift(String),
    /// The target changed another number of rows than expected, in a batch: it must be taken apart.
    #[error("a batch affected {affected} rows where {expected} were expected")]
    BatchDrift {
        /// Expected rows.
        expected: i64,
        /// Affected rows.
        affected: i64,
    },
    /// Rows refer to what a reference table has no more.
    #[error(
        "shard \"{shard}\": a row of {table} refers to ({key}), which {relation} has no more on its home (constraint \"{constraint}\")"
    )]
    Referred {
        /// The shard's name.
        shard: String,
        /// The reference table.
        relation: String,
        /// The foreign key.
        constraint: String,
        /// The table that refers.
        table: String,
        /// What it refers to.
        key: String,
    },
    /// A recorded command that the relay refuses to run.
    #[error("{0}")]
    BadRecord(String),
    /// The transaction's own first try still holds its inbox row, or another relay's batch the lane: it is waited for.
    #[error("shard \"{shard}\": an earlier try still holds {what}")]
    Held {
        /// The shard's name.
        shard: String,
        /// What it holds.
        what: &'static str,
    },
    /// A shard answered with an error, or did not answer.
    #[error("shard \"{shard}\": {}", describe(.source))]
    Shard {
        /// The shard's name.
        shard: String,
        /// What the driver says.
        source: tokio_postgres::Error,
    },
    /// A shard cannot be reached.
    #[error("shard \"{shard}\" cannot be reached: {reason}")]
    Unreachable {
        /// The shard's name.
        shard: String,
        /// What the pool says.
        reason: String,
    },
}

fn describe(source: &tokio_postgres::Error) -> String {
    match source.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => source.to_string(),
    }
}

impl Error {
    /// Returns the SQLSTATE that a server sent, if one did.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Shard { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            Self::Illegal(_)
            | Self::Unknown(_)
            | Self::WorkerTaken { .. }
            | Self::NoWorker(_)
            | Self::Uncapturable(_)
            | Self::Lookup(_)
            | Self::Fenced { .. }
            | Self::SchemaDrift(_)
            | Self::BatchDrift { .. }
            | Self::BadRecord(_)
            | Self::Unreachable { .. } => None,
            Self::Held { .. } => Some("55P03"),
            Self::Referred { .. } => Some("23503"),
        }
    }

    /// Returns what is to be done about it.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Shard { source, .. } if source.is_closed() => FailureClass::Unreachable,
            Self::Shard { source, .. } => match source.code() {
                Some(code) => FailureClass::of(Some(code.code())),
                None if crate::outbox::store::is_io(source) => FailureClass::Unreachable,
                // The driver itself could not send or read it: no retry will change that.
                None => FailureClass::Refused,
            },
            Self::Unreachable { .. } => FailureClass::Unreachable,
            // As long as it lasts: a proxy that stands still may hold it for hours, and then be right.
            Self::Held { .. } => FailureClass::Resources,
            Self::Fenced { .. } => FailureClass::Fenced,
            Self::Referred { .. } => FailureClass::ForeignKey,
            Self::SchemaDrift(_) | Self::Uncapturable(_) | Self::Lookup(_) => FailureClass::SchemaDrift,
            Self::BatchDrift { .. } => FailureClass::Transient,
            Self::Illegal(_) | Self::Unknown(_) | Self::WorkerTaken { .. } | Self::NoWorker(_) | Self::BadRecord(_) => {
                FailureClass::Refused
            }
        }
    }

    /// Returns it in the words and SQLSTATE that a client reads.
    pub fn refusal(&self) -> Refusal {
        let state = match self {
            Self::Illegal(_) | Self::Unknown(_) | Self::BadRecord(_) => SqlState::INVALID_PARAMETER_VALUE,
            Self::WorkerTaken { .. } | Self::NoWorker(_) => SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            Self::Uncapturable(_) | Self::SchemaDrift(_) => SqlState::FEATURE_NOT_SUPPORTED,
            Self::Lookup(_) => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::Fenced { .. } | Self::BatchDrift { .. } => SqlState::SERIALIZATION_FAILURE,
            Self::Shard { .. } => {
                self.sqlstate().map_or(SqlState::CONNECTION_FAILURE, |s| SqlState::from_wire(s.as_bytes()))
            }
            Self::Unreachable { .. } => SqlState::CONNECTION_EXCEPTION_UNABLE,
            Self::Held { .. } => SqlState::from_wire(b"55P03"),
            Self::Referred { .. } => SqlState::FOREIGN_KEY_VIOLATION,
        };
        Refusal::new(state, self.to_string())
    }
}
