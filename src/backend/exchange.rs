//! The SCRAM exchange with a server: by password, or by the keys that a client proved to the proxy.

use std::io;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::{BackendError, ServerTarget};
use crate::wire::scram::{ClientExchange, nonce};

/// One exchange, from its first message to the server's proof.
pub(super) enum Exchange {
    /// With the password.
    Password(ScramSha256),
    /// With keys, and the message that is to be sent.
    Keys(ClientExchange, Vec<u8>),
}

impl Exchange {
    /// Tells whether it can be bound to the channel: keys alone are not, as the client's own proof was about another one.
    pub(super) fn can_bind(target: &ServerTarget) -> bool {
        target.password.is_some()
    }

    /// Starts with what `target` has; fails when it has neither. `binding` is for a password alone.
    pub(super) fn new(target: &ServerTarget, binding: ChannelBinding) -> Result<Self, BackendError> {
        match (&target.password, &target.keys) {
            (Some(password), _) => Ok(Self::Password(ScramSha256::new(password.expose().as_bytes(), binding))),
            (None, Some(keys)) => {
                let exchange = ClientExchange::new(keys.clone(), nonce(&rand::random()));
                let first = exchange.first().into_bytes();
                Ok(Self::Keys(exchange, first))
            }
            (None, None) => Err(BackendError::login(target, "the server asks for a password and none is configured")),
        }
    }

    /// Returns the message that is to be sent.
    pub(super) fn message(&self) -> &[u8] {
        match self {
            Self::Password(exchange) => exchange.message(),
            Self::Keys(_, message) => message,
        }
    }

    /// Takes the server's challenge.
    pub(super) fn update(&mut self, challenge: &[u8]) -> io::Result<()> {
        match self {
            Self::Password(exchange) => exchange.update(challenge),
            Self::Keys(exchange, message) => {
                *message = exchange.answer(challenge).map_err(io::Error::other)?.into_bytes();
                Ok(())
            }
        }
    }

    /// Takes the server's proof.
    pub(super) fn finish(&mut self, proof: &[u8]) -> io::Result<()> {
        match self {
            Self::Password(exchange) => exchange.finish(proof),
            Self::Keys(exchange, _) => exchange.finish(proof).map_err(io::Error::other),
        }
    }
}
