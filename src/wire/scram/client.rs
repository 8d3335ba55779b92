//! The client's side of an exchange, for one that has the keys of a verifier and not its password.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::exchange::{ScramError, same};
use super::verifier::{Key, hash, hmac};

/// No channel binding, no authorization identity.
const GS2_HEADER: &str = "n,,";
/// The longest server message that is read, bytes; a real one has about 100.
const MESSAGE_BOUND: usize = 4096;

/// What a proof is made with, and what the other side's proof is held against: as good as a password wherever the same
/// verifier is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    client: Key,
    server: Key,
}

/// One exchange: [`ClientExchange::first`], [`ClientExchange::answer`] and [`ClientExchange::finish`], once each.
#[derive(Debug)]
pub struct ClientExchange {
    keys: ScramKeys,
    nonce: String,
    /// The text that both sides sign, once it is known.
    signed: Option<String>,
}

impl ScramKeys {
    pub(super) fn new(client: Key, server: Key) -> Self {
        Self { client, server }
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(…)")
    }
}

impl ClientExchange {
    /// Starts an exchange; `nonce` is fresh and random for each one.
    pub fn new(keys: ScramKeys, nonce: impl Into<String>) -> Self {
        Self { keys, nonce: nonce.into(), signed: None }
    }

    /// Returns client-first; the user is named by the start-up packet alone.
    pub fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first_bare())
    }

    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Takes server-first and returns client-final with the proof. Salt and rounds do not matter to whoever has the keys.
    pub fn answer(&mut self, server_first: &[u8]) -> Result<String, ScramError> {
        let text = text(server_first)?;
        let nonce = text.split(',').next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.ok_or(ScramError::Malformed("no nonce"))?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Malformed("nonce does not match"));
        }
        let without_proof = format!("c={},r={nonce}", BASE64_STANDARD.encode(GS2_HEADER));
        let signed = format!("{},{text},{without_proof}", self.first_bare());
        let mut proof = hmac(&hash(&self.keys.client), &[signed.as_bytes()]);
        proof.iter_mut().zip(self.keys.client).for_each(|(byte, key)| *byte ^= key);
        self.signed = Some(signed);
        Ok(format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)))
    }

    /// Takes server-final and checks that the server knows the verifier.
    pub fn finish(&mut self, server_final: &[u8]) -> Result<(), ScramError> {
        let signed = self.signed.take().ok_or(ScramError::Malformed("unexpected final message"))?;
        let proof = text(server_final)?.strip_prefix("v=").and_then(|proof| BASE64_STANDARD.decode(proof).ok());
        let proof: Key =
            proof.and_then(|proof| proof.try_into().ok()).ok_or(ScramError::Malformed("proof is not a key"))?;
        let right = hmac(&self.keys.server, &[signed.as_bytes()]);
        if same(&proof, &right) { Ok(()) } else { Err(ScramError::WrongPassword) }
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_BOUND {
        return Err(ScramError::Malformed("message is too long"));
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("message is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    use super::super::{ServerExchange, Verifier};
    use super::*;

    fn keys(verifier: &Verifier, password: &str) -> Option<ScramKeys> {
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let mut server = ServerExchange::new(verifier.clone(), "server");
        client.update(&server.first(client.message()).unwrap()).unwrap();
        let _ = server.finish(client.message());
        server.keys().cloned()
    }

    fn log_in(keys: &ScramKeys, verifier: Verifier) -> Result<(), ScramError> {
        let mut client = ClientExchange::new(keys.clone(), "client");
        let mut server = ServerExchange::new(verifier, "server");
        let challenge = server.first(client.first().as_bytes())?;
        let answer = client.answer(&challenge)?;
        client.finish(&server.finish(answer.as_bytes())?)
    }

    #[test]
    fn a_proven_client_can_be_stood_in_for_where_the_verifier_is_the_same() {
        let verifier = Verifier::from_password("secret", b"0123456789abcdef", 4096);
        assert_eq!(keys(&verifier, "wrong"), None);
        let keys = keys(&verifier, "secret").unwrap();
        assert_eq!(log_in(&keys, verifier), Ok(()));
        let salted_otherwise = Verifier::from_password("secret", b"fedcba9876543210", 4096);
        assert_eq!(log_in(&keys, salted_otherwise), Err(ScramError::WrongPassword));
        assert_eq!(format!("{keys:?}"), "ScramKeys(…)");
    }

    #[test]
    fn a_server_that_does_not_know_the_verifier_is_found_out() {
        let keys = ScramKeys::new([1; 32], [2; 32]);
        let mut client = ClientExchange::new(keys.clone(), "client");
        for challenge in [&b""[..], b"r=client,s=AAAA,i=1", b"r=other1234,s=AAAA,i=1", b"\xff"] {
            assert!(client.answer(challenge).is_err());
        }
        client.answer(b"r=client1,s=AAAA,i=4096").unwrap();
        let forged = format!("v={}", BASE64_STANDARD.encode([7; 32]));
        assert_eq!(client.finish(forged.as_bytes()), Err(ScramError::WrongPassword));
        assert_eq!(client.finish(forged.as_bytes()), Err(ScramError::Malformed("unexpected final message")));
        client.answer(b"r=client1,s=AAAA,i=4096").unwrap();
        assert!(client.finish(b"e=other-error").is_err());
    }
}
