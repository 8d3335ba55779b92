//! The four messages of a SCRAM exchange, seen from the server.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use super::verifier::{Key, hash, hmac};
use super::{ScramKeys, Verifier};
use crate::types::{Refusal, SqlState};

/// The longest client message that is read, bytes; a real one has about 100.
const MESSAGE_BOUND: usize = 4096;

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The message is not SCRAM, or not the one that is due.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client insists on something that is not offered.
    #[error("SCRAM feature not supported: {0}")]
    Unsupported(&'static str),
    /// The proof is wrong; the caller answers `28P01` and names the user.
    #[error("password authentication failed")]
    WrongPassword,
}

impl From<ScramError> for Refusal {
    fn from(error: ScramError) -> Self {
        let state = match error {
            ScramError::Malformed(_) => SqlState::PROTOCOL_VIOLATION,
            ScramError::Unsupported(_) => SqlState::FEATURE_NOT_SUPPORTED,
            ScramError::WrongPassword => SqlState::INVALID_PASSWORD,
        };
        Refusal::new(state, error.to_string())
    }
}

/// Writes 18 random bytes as a nonce of printable characters without a comma.
pub fn nonce(random: &[u8; 18]) -> String {
    BASE64_STANDARD.encode(random)
}

/// One exchange; [`ServerExchange::first`] and then [`ServerExchange::finish`] are called once each.
#[derive(Debug)]
pub struct ServerExchange {
    verifier: Verifier,
    nonce: String,
    binding: Binding,
    state: State,
    keys: Option<ScramKeys>,
}

/// What the client was offered of channel binding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Binding {
    /// Nothing: there is no TLS, or no hash of its certificate.
    #[default]
    None,
    /// SCRAM-SHA-256-PLUS too, but the client chose SCRAM-SHA-256.
    Declined,
    /// SCRAM-SHA-256-PLUS, and the client chose it: `tls-server-end-point` (RFC 5929).
    EndPoint(Vec<u8>),
}

/// The channel binding of SCRAM-SHA-256-PLUS, in a client's first message.
const END_POINT_FLAG: &str = "p=tls-server-end-point";

#[derive(Debug)]
enum State {
    Start,
    Challenged { gs2_header: String, client_first_bare: String, server_first: String, full_nonce: String },
    Done,
}

impl ServerExchange {
    /// Starts an exchange; `nonce` is the server's, fresh and random for each one (see [`nonce`]).
    pub fn new(verifier: Verifier, nonce: impl Into<String>) -> Self {
        Self { verifier, nonce: nonce.into(), binding: Binding::None, state: State::Start, keys: None }
    }

    /// Says what the client was offered and chose of channel binding.
    pub fn bind(mut self, binding: Binding) -> Self {
        self.binding = binding;
        self
    }

    /// Takes client-first and returns server-first, the data of AuthenticationSASLContinue.
    pub fn first(&mut self, client_first: &[u8]) -> Result<Vec<u8>, ScramError> {
        let State::Start = std::mem::replace(&mut self.state, State::Done) else {
            return Err(ScramError::Malformed("unexpected first message"));
        };
        let message = text(client_first)?;
        let (gs2_header, bare) = split_gs2_header(message, &self.binding)?;
        let client_nonce = client_nonce(bare)?;
        let full_nonce = format!("{client_nonce}{}", self.nonce);
        let salt = BASE64_STANDARD.encode(&self.verifier.salt);
        let server_first = format!("r={full_nonce},s={salt},i={}", self.verifier.iterations);
        self.state = State::Challenged {
            gs2_header: gs2_header.to_owned(),
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
            full_nonce,
        };
        Ok(server_first.into_bytes())
    }

    /// Takes client-final, checks the proof and returns server-final, the data of AuthenticationSASLFinal.
    pub fn finish(&mut self, client_final: &[u8]) -> Result<Vec<u8>, ScramError> {
        let State::Challenged { gs2_header, client_first_bare, server_first, full_nonce } =
            std::mem::replace(&mut self.state, State::Done)
        else {
            return Err(ScramError::Malformed("unexpected final message"));
        };
        let answer = ClientFinal::read(text(client_final)?)?;
        let mut bound = gs2_header.into_bytes();
        if let Binding::EndPoint(hash) = &self.binding {
            bound.extend_from_slice(hash);
        }
        if answer.binding != BASE64_STANDARD.encode(bound) {
            return Err(ScramError::Malformed("channel binding does not match"));
        }
        if answer.nonce != full_nonce {
            return Err(ScramError::Malformed("nonce does not match"));
        }
        let signed = [client_first_bare.as_bytes(), b",", server_first.as_bytes(), b",", answer.signed.as_bytes()];
        let client_key = self.proven_key(&answer.proof, &signed).ok_or(ScramError::WrongPassword)?;
        self.keys = Some(ScramKeys::new(client_key, self.verifier.server_key));
        let signature = BASE64_STANDARD.encode(hmac(&self.verifier.server_key, &signed));
        Ok(format!("v={signature}").into_bytes())
    }

    /// Returns the keys with which the client could log in where the same verifier is kept; `None` before it proved
    /// itself.
    pub fn keys(&self) -> Option<&ScramKeys> {
        self.keys.as_ref()
    }

    /// Returns the client's key if the proof is right.
    fn proven_key(&self, proof: &Key, signed: &[&[u8]]) -> Option<Key> {
        let mut client_key = hmac(&self.verifier.stored_key, signed);
        client_key.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
        same(&hash(&client_key), &self.verifier.stored_key).then_some(client_key)
    }
}

/// Compares in a time that does not depend on the contents.
pub(super) fn same(left: &Key, right: &Key) -> bool {
    left.ct_eq(right).into()
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_BOUND {
        return Err(ScramError::Malformed("message too long"));
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))
}

/// Splits `n,,`, `y,,` or `p=…,,` from client-first-bare; `y` is a client that could bind channels and saw no offer.
fn split_gs2_header<'a>(message: &'a str, binding: &Binding) -> Result<(&'a str, &'a str), ScramError> {
    let mut parts = message.splitn(3, ',');
    let (Some(flag), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(ScramError::Malformed("no GS2 header"));
    };
    match (flag, binding) {
        ("n", Binding::None | Binding::Declined) | ("y", Binding::None) | (END_POINT_FLAG, Binding::EndPoint(_)) => {}
        // Somebody between the two took the offer away.
        ("y", Binding::Declined) => return Err(ScramError::Malformed("the offer of channel binding was not seen")),
        ("n" | "y", Binding::EndPoint(_)) => {
            return Err(ScramError::Malformed("SCRAM-SHA-256-PLUS without channel binding"));
        }
        _ if flag.starts_with("p=") => return Err(ScramError::Unsupported("channel binding")),
        _ => return Err(ScramError::Malformed("unknown channel binding flag")),
    }
    if !identity.is_empty() {
        return Err(ScramError::Unsupported("authorization identity"));
    }
    Ok((&message[..message.len() - bare.len()], bare))
}

/// Returns the nonce of client-first-bare; the user name in it is ignored, as PostgreSQL does.
fn client_nonce(bare: &str) -> Result<&str, ScramError> {
    if bare.starts_with("m=") {
        return Err(ScramError::Unsupported("mandatory extension"));
    }
    let mut parts = bare.split(',');
    if !parts.next().is_some_and(|name| name.starts_with("n=")) {
        return Err(ScramError::Malformed("no user name"));
    }
    let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(ScramError::Malformed("no nonce"))?;
    match !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(nonce),
        false => Err(ScramError::Malformed("nonce is not printable")),
    }
}

/// client-final taken apart.
struct ClientFinal<'a> {
    /// Everything before the proof.
    signed: &'a str,
    binding: &'a str,
    nonce: &'a str,
    proof: Key,
}

impl<'a> ClientFinal<'a> {
    fn read(message: &'a str) -> Result<Self, ScramError> {
        let (signed, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed("no proof"))?;
        let mut parts = signed.split(',');
        let mut part = |prefix| parts.next().and_then(|part: &str| part.strip_prefix(prefix));
        let binding = part("c=").ok_or(ScramError::Malformed("no channel binding"))?;
        let nonce = part("r=").ok_or(ScramError::Malformed("no nonce"))?;
        let proof = BASE64_STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        Ok(Self { signed, binding, nonce, proof: proof.ok_or(ScramError::Malformed("proof is not a key"))? })
    }
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use proptest::prelude::*;

    use super::*;

    /// RFC 7677, section 3.
    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CLIENT_FINAL: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn exchange() -> ServerExchange {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        ServerExchange::new(Verifier::from_password("pencil", &salt, 4096), SERVER_NONCE)
    }

    #[test]
    fn example_of_the_standard_holds() {
        let mut exchange = exchange();
        let first = exchange.first(CLIENT_FIRST.as_bytes()).unwrap();
        let expected =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".to_owned();
        assert_eq!(String::from_utf8(first).unwrap(), expected);
        let last = exchange.finish(CLIENT_FINAL.as_bytes()).unwrap();
        assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(exchange.finish(CLIENT_FINAL.as_bytes()), Err(ScramError::Malformed("unexpected final message")));
    }

    fn converse(verifier: Verifier, password: &str) -> Result<(), ScramError> {
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let mut server = ServerExchange::new(verifier, nonce(&[7; 18]));
        client.update(&server.first(client.message())?).unwrap();
        client.finish(&server.finish(client.message())?).unwrap();
        Ok(())
    }

    #[test]
    fn right_password_passes_and_others_do_not() {
        let verifier = Verifier::from_password("secret", b"0123456789abcdef", 4096);
        assert_eq!(converse(verifier.clone(), "secret"), Ok(()));
        assert_eq!(converse(verifier, "Secret"), Err(ScramError::WrongPassword));
        assert_eq!(converse(Verifier::mock("nobody", b"key"), "secret"), Err(ScramError::WrongPassword));
    }

    #[test]
    fn channel_binding_and_foreign_nonces_are_refused() {
        let bound = exchange().first(b"p=tls-server-end-point,,n=,r=abc");
        assert_eq!(bound, Err(ScramError::Unsupported("channel binding")));
        let mut exchange = exchange();
        exchange.first(b"n,,n=,r=abc").unwrap();
        assert_eq!(exchange.finish(CLIENT_FINAL.as_bytes()), Err(ScramError::Malformed("nonce does not match")));
    }

    proptest! {
        #[test]
        fn hostile_messages_never_panic(first in "[nyp=,rcx é]{0,24}", last in "[cr=,pbiws+]{0,40}") {
            let _ = ServerExchange::new(Verifier::mock("a", b"k"), "n").first(first.as_bytes());
            let mut exchange = ServerExchange::new(Verifier::mock("a", b"k"), SERVER_NONCE);
            exchange.first(CLIENT_FIRST.as_bytes()).unwrap();
            prop_assert!(exchange.finish(last.as_bytes()).is_err());
        }
    }
}
