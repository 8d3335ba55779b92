//! Why a statement did not do what was asked, and who has been told already.

use bytes::Bytes;

use crate::backend::BackendError;
use crate::types::Refusal;

use super::client::ClientError;

/// What stopped a statement.
#[derive(Debug)]
pub enum Failure {
    /// The client is gone or speaks nonsense; nobody is left to tell.
    Client(ClientError),
    /// The proxy refuses, in its own words.
    Refused(Refusal),
    /// A shard raised an error; its whole ErrorResponse frame, to be passed unchanged.
    Shard {
        /// The frame, type byte and length included.
        frame: Bytes,
    },
    /// The shard's error has been passed to the client already.
    Told,
    /// A server connection could not be had or broke.
    Server(BackendError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Server(error) => Self::Shard { frame: error.frame },
            other => Self::Server(other),
        }
    }
}
