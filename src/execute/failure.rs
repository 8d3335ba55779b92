//! Why a statement did not do what was asked, and who has been told already.

use bytes::Bytes;

use crate::backend::BackendError;
use crate::types::Refusal;
use crate::wire::backend::ErrorFields;

use super::client::ClientError;

/// A frame's type byte and length.
const FRAME_HEAD: usize = 5;

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

impl Failure {
    /// Tells whether a shard raised an error with this SQLSTATE.
    pub fn says(&self, state: &[u8]) -> bool {
        let Self::Shard { frame } = self else { return false };
        let fields = frame.get(FRAME_HEAD..).and_then(|body| ErrorFields::read(body).ok());
        fields.is_some_and(|fields| fields.get(b'C').is_some_and(|code| code.as_bytes() == state))
    }
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
