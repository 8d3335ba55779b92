//! Why a server could not be used, and what a client is told about it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::ServerTarget;
use crate::types::{Refusal, SqlState};
use crate::wire::FrameError;
use crate::wire::backend::ErrorFields;

/// An ErrorResponse of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The shard's name.
    pub shard: Arc<str>,
    /// The SQLSTATE.
    pub state: SqlState,
    /// The message.
    pub message: String,
    /// All fields in the order sent; values that are not UTF-8 have replacement characters.
    pub fields: Vec<(u8, String)>,
    /// The whole frame as it came, to be passed on unchanged.
    pub frame: Bytes,
}

impl ServerError {
    /// Reads the body of an ErrorResponse.
    pub fn read(shard: &Arc<str>, body: &[u8]) -> Result<Self, FrameError> {
        let read = ErrorFields::read(body)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields: Vec<_> = read.iter().map(|(code, value)| (code, text(value))).collect();
        let mut frame = BytesMut::with_capacity(body.len() + 5);
        frame.put_u8(b'E');
        frame.put_u32(body.len() as u32 + 4);
        frame.put_slice(body);
        Ok(Self {
            shard: shard.clone(),
            state: SqlState::from_wire(read.get(b'C').unwrap_or_default().as_bytes()),
            message: fields.iter().find(|(code, _)| *code == b'M').map(|(_, text)| text.clone()).unwrap_or_default(),
            fields,
            frame: frame.freeze(),
        })
    }

    /// Returns the field `code`, as `b'D'` for the detail.
    pub fn field(&self, code: u8) -> Option<&str> {
        self.fields.iter().find(|(given, _)| *given == code).map(|(_, value)| value.as_str())
    }
}

/// Why a server could not be used; every variant names its shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// No connection could be made, or the server is not accepting any now.
    #[error("shard \"{shard}\" at {address} is unreachable: {cause}")]
    Unreachable {
        /// The shard's name.
        shard: Arc<str>,
        /// Where it should be.
        address: String,
        /// What the system or the server said.
        cause: String,
    },
    /// The connection ended.
    #[error("connection to shard \"{shard}\" at {address} was lost: {cause}")]
    Closed {
        /// The shard's name.
        shard: Arc<str>,
        /// Where it is.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// Making the connection took too long.
    #[error("shard \"{shard}\" at {address} did not answer within {} ms", after.as_millis())]
    Timeout {
        /// The shard's name.
        shard: Arc<str>,
        /// Where it should be.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// No connection of the pool became free in time, or too many wait already.
    #[error(
        "no connection of pool \"{user}\" on \"{database}\" at shard \"{shard}\" became free within {} ms \
         ({open} open, {waiting} waiting)",
        after.as_millis()
    )]
    PoolTimeout {
        /// The shard's name.
        shard: Arc<str>,
        /// The database on the shard.
        database: Arc<str>,
        /// The role on the shard.
        user: Arc<str>,
        /// How many connections the pool has.
        open: usize,
        /// How many wait in this worker, without the one who is told.
        waiting: usize,
        /// How long was waited.
        after: Duration,
    },
    /// The server wants an authentication that cannot be given.
    #[error("cannot log in to shard \"{shard}\" as \"{user}\": {cause}")]
    Login {
        /// The shard's name.
        shard: Arc<str>,
        /// The user.
        user: String,
        /// What is missing.
        cause: String,
    },
    /// The server answered with an error; it passes unchanged.
    #[error("{} ({})", .0.message, .0.state)]
    Server(Box<ServerError>),
    /// The server sent what it should not; its connection is closed.
    #[error("protocol error on the connection to shard \"{shard}\": {cause}")]
    Protocol {
        /// The shard's name.
        shard: Arc<str>,
        /// What was wrong.
        cause: String,
    },
}

impl BackendError {
    /// Makes the error for a connection that could not be made.
    pub(super) fn unreachable(target: &ServerTarget, cause: impl ToString) -> Self {
        let (address, cause) = (target.address(), cause.to_string());
        Self::Unreachable { shard: target.shard_name.clone(), address, cause }
    }

    /// Makes the error for a connection that ended.
    pub(super) fn closed(target: &ServerTarget, cause: impl ToString) -> Self {
        let (address, cause) = (target.address(), cause.to_string());
        Self::Closed { shard: target.shard_name.clone(), address, cause }
    }

    /// Makes the error for bytes that are not the protocol.
    pub(super) fn protocol(target: &ServerTarget, cause: impl ToString) -> Self {
        Self::Protocol { shard: target.shard_name.clone(), cause: cause.to_string() }
    }

    /// Makes the error for a login that cannot be done.
    pub(super) fn login(target: &ServerTarget, cause: impl ToString) -> Self {
        let (user, cause) = (target.user.clone(), cause.to_string());
        Self::Login { shard: target.shard_name.clone(), user, cause }
    }

    /// Returns the shard's name.
    pub fn shard(&self) -> &Arc<str> {
        match self {
            Self::Unreachable { shard, .. }
            | Self::Closed { shard, .. }
            | Self::Timeout { shard, .. }
            | Self::PoolTimeout { shard, .. }
            | Self::Login { shard, .. }
            | Self::Protocol { shard, .. } => shard,
            Self::Server(error) => &error.shard,
        }
    }

    /// Returns the server's own error, which goes to the client as its frame.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            Self::Unreachable { .. }
            | Self::Closed { .. }
            | Self::Timeout { .. }
            | Self::PoolTimeout { .. }
            | Self::Login { .. }
            | Self::Protocol { .. } => None,
        }
    }

    /// Returns what a client is told; for [`BackendError::Server`] prefer the frame, which has all fields.
    pub fn refusal(&self) -> Refusal {
        let say = |state| Refusal::new(state, self.to_string());
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => say(SqlState::CONNECTION_EXCEPTION_UNABLE)
                .with_hint("The statement was not sent to the shard; it can be tried again."),
            Self::Closed { .. } => say(SqlState::CONNECTION_FAILURE),
            Self::PoolTimeout { .. } => say(SqlState::TOO_MANY_CONNECTIONS)
                .with_hint("Raise pool.size or the limit that holds it (SHOW POOLS, SHOW DATABASES), or look for transactions that stay open (SHOW CLIENTS)."),
            Self::Login { .. } => say(SqlState::INVALID_AUTHORIZATION),
            Self::Server(error) => Refusal {
                state: error.state,
                message: error.message.clone(),
                detail: error.field(b'D').map(str::to_owned),
                hint: error.field(b'H').map(str::to_owned),
                reason: "",
            },
            Self::Protocol { .. } => say(SqlState::CONNECTION_FAILURE),
        }
    }
}
