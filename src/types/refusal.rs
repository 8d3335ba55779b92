//! What the proxy says when it does not do a thing: SQLSTATE, message, detail, hint.

use std::fmt;

use super::SqlState;

/// A statement refused by the proxy itself, in the words that the client will read.
///
/// `message` says what happened and to which table or shard; `hint` says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE, PostgreSQL's own codes.
    pub state: SqlState,
    /// One line, lower case, no full stop.
    pub message: String,
    /// More facts, full sentences.
    pub detail: Option<String>,
    /// What to do about it, full sentences.
    pub hint: Option<String>,
    /// A stable word for the cause (`missing_sharding_key`), for golden tests and counters; empty without one.
    pub reason: &'static str,
}

impl Refusal {
    /// Makes a refusal without detail and hint.
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), detail: None, hint: None, reason: "" }
    }

    /// Makes a `0A000` refusal: not available over shards, and what to do instead.
    pub fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(hint)
    }

    /// Adds the hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the stable word for the cause.
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// Adds the detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.state)
    }
}

impl std::error::Error for Refusal {}
