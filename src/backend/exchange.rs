//! The SCRAM exchange with a server: by password, or by the keys that a client proved to the proxy.

use std::io;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::{BackendError, ServerTarget};
use crate::wire::scram::{ClientExchange, MECHANISM, nonce};

/// One exchange, from its first message to the server's proof.
pub(super) enum Exchange {
    /// With the password, and by which mechanism.
    Password(ScramSha256, &'static str),
    /// With keys, and the message that is to be sent.
    Keys(ClientExchange, Vec<u8>),
}

impl Exchange {
    /// Starts with what `target` has, the password by `mechanism`; keys bind no channel. Fails when it has neither.
    pub(super) fn new(
        target: &ServerTarget,
        mechanism: &'static str,
        binding: ChannelBinding,
    ) -> Result<Self, BackendError> {
        match (&target.password, &target.keys) {
            (Some(password), _) => {
                Ok(Self::Password(ScramSha256::new(password.expose().as_bytes(), binding), mechanism))
            }
            (None, Some(keys)) => {
                let exchange = ClientExchange::new(keys.clone(), nonce(&rand::random()));
                let first = exchange.first().into_bytes();
                Ok(Self::Keys(exchange, first))
            }
            (None, None) => Err(BackendError::login(target, "the server asks for a password and none is configured")),
        }
    }

    /// Returns the name of the mechanism.
    pub(super) fn mechanism(&self) -> &'static str {
        match self {
            Self::Password(_, mechanism) => mechanism,
            Self::Keys(..) => MECHANISM,
        }
    }

    /// Returns the message that is to be sent.
    pub(super) fn message(&self) -> &[u8] {
        match self {
            Self::Password(exchange, _) => exchange.message(),
            Self::Keys(_, message) => message,
        }
    }

    /// Takes the server's challenge.
    pub(super) fn update(&mut self, challenge: &[u8]) -> io::Result<()> {
        match self {
            Self::Password(exchange, _) => exchange.update(challenge),
            Self::Keys(exchange, message) => {
                *message = exchange.answer(challenge).map_err(io::Error::other)?.into_bytes();
                Ok(())
            }
        }
    }

    /// Takes the server's proof.
    pub(super) fn finish(&mut self, proof: &[u8]) -> io::Result<()> {
        match self {
            Self::Password(exchange, _) => exchange.finish(proof),
            Self::Keys(exchange, _) => exchange.finish(proof).map_err(io::Error::other),
        }
    }
}
