//! What a server keeps instead of a password.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::MECHANISM;

/// Bytes of a SHA-256 hash.
const KEY_BYTES: usize = 32;
/// PostgreSQL's `SCRAM_SHA_256_DEFAULT_ITERATIONS`; mock verifiers show it.
const DEFAULT_ITERATIONS: u32 = 4096;
/// PostgreSQL's `SCRAM_DEFAULT_SALT_LEN`, bytes.
const SALT_BYTES: usize = 16;

pub(super) type Key = [u8; KEY_BYTES];

/// A SCRAM-SHA-256 verifier as PostgreSQL stores it in `pg_authid.rolpassword`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, keys) = text.strip_prefix(MECHANISM)?.strip_prefix('$')?.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations = iterations.parse().ok().filter(|count| *count > 0)?;
        let salt = BASE64_STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        Some(Self { iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }

    /// Derives a verifier from a password; `iterations` below 1 count as 1.
    ///
    /// The password's bytes are used as they are: ASCII and already normalised passwords agree with PostgreSQL, which
    /// applies SASLprep; for any other, give the stored verifier itself.
    pub fn from_password(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password.as_bytes(), salt, iterations);
        Self {
            iterations: iterations.max(1),
            salt: salt.to_vec(),
            stored_key: hash(&hmac(&salted, &[b"Client Key"])),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Makes a verifier that no password satisfies, for a user who does not exist.
    ///
    /// The same `user` and `secret` give the same salt each time, as a real user's would be; `secret` is drawn once per
    /// process.
    pub fn mock(user: &str, secret: &[u8]) -> Self {
        let salt = hmac(secret, &[b"salt", user.as_bytes()]);
        Self {
            iterations: DEFAULT_ITERATIONS,
            salt: salt[..SALT_BYTES].to_vec(),
            stored_key: hmac(secret, &[b"stored", user.as_bytes()]),
            server_key: hmac(secret, &[b"server", user.as_bytes()]),
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let (salt, stored_key, server_key) = (encode(&self.salt), encode(&self.stored_key), encode(&self.server_key));
        write!(f, "{MECHANISM}${}:{salt}${stored_key}:{server_key}", self.iterations)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

fn key(text: &str) -> Option<Key> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

/// `Hi` of RFC 5802: PBKDF2 with one block.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = keyed(password);
    let mut block = finish(keyed.clone(), &[salt, &[0, 0, 0, 1]]);
    let mut result = block;
    for _ in 1..iterations {
        block = finish(keyed.clone(), &[&block]);
        result.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    result
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn finish(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> Key {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    finish(keyed(key), parts)
}

pub(super) fn hash(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677's example: user `user`, password `pencil`.
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    #[test]
    fn verifier_round_trips() {
        let salt = BASE64_STANDARD.decode(SALT).unwrap();
        let made = Verifier::from_password("pencil", &salt, 4096);
        let text = made.to_string();
        assert!(text.starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"));
        assert_eq!(Verifier::parse(&text), Some(made));
    }

    #[test]
    fn verifiers_of_another_library_agree() {
        let text = postgres_protocol::password::scram_sha_256(b"secret");
        let theirs = Verifier::parse(&text).unwrap();
        assert_eq!(Verifier::from_password("secret", &theirs.salt, 4096), theirs);
    }

    #[test]
    fn anything_else_is_no_verifier() {
        for text in ["", "md5abc", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA", "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA"] {
            assert_eq!(Verifier::parse(text), None, "{text}");
        }
    }

    #[test]
    fn mock_is_steady_per_user_and_hides_its_keys() {
        assert_eq!(Verifier::mock("a", b"s"), Verifier::mock("a", b"s"));
        assert_ne!(Verifier::mock("a", b"s").salt, Verifier::mock("b", b"s").salt);
        assert_eq!(format!("{:?}", Verifier::mock("a", b"s")), "Verifier { iterations: 4096, .. }");
    }
}
