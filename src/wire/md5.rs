//! The md5 password of old clients: what a server keeps, and the answer to its salt.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// The answer's prefix, and the stored hash's.
const PREFIX: &str = "md5";
/// Bytes of the salt in AuthenticationMD5Password.
pub const SALT_BYTES: usize = 4;

/// A stored hash: `md5` and 32 hexadecimal digits over password and user name.
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Password(String);

impl Md5Password {
    /// Takes what `pg_authid` has; its form was checked.
    pub fn stored(text: &str) -> Self {
        Self(text.strip_prefix(PREFIX).unwrap_or(text).to_ascii_lowercase())
    }

    /// Makes the hash of a password.
    pub fn of(user: &str, password: &str) -> Self {
        Self(hex(&[password.as_bytes(), user.as_bytes()]))
    }

    /// Returns what a client that knows the password answers to `salt`.
    pub fn answer(&self, salt: [u8; SALT_BYTES]) -> String {
        format!("{PREFIX}{}", hex(&[self.0.as_bytes(), &salt]))
    }

    /// Tells whether `answer` is the right one to `salt`, in a time that does not depend on its contents.
    pub fn accepts(&self, salt: [u8; SALT_BYTES], answer: &[u8]) -> bool {
        self.answer(salt).as_bytes().ct_eq(answer).into()
    }
}

impl std::fmt::Debug for Md5Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Md5Password(…)")
    }
}

fn hex(parts: &[&[u8]]) -> String {
    let mut digest = Md5::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_library_answers_the_same() {
        let salt = [1, 2, 3, 250];
        let theirs = postgres_protocol::authentication::md5_hash(b"app", b"secret", salt);
        let ours = Md5Password::of("app", "secret");
        assert_eq!(ours.answer(salt), theirs);
        assert!(ours.accepts(salt, theirs.as_bytes()));
        assert!(!ours.accepts([0; 4], theirs.as_bytes()) && !ours.accepts(salt, &theirs.as_bytes()[..34]));
        assert!(!ours.accepts(salt, b"") && !Md5Password::of("app", "other").accepts(salt, theirs.as_bytes()));
    }

    #[test]
    fn a_stored_hash_is_the_hash_of_the_password() {
        // md5('pencil' || 'user'), as PostgreSQL stores it.
        let made = Md5Password::of("user", "pencil");
        assert_eq!(Md5Password::stored(&format!("md5{}", made.0.to_uppercase())), made);
        assert_eq!(format!("{made:?}"), "Md5Password(…)");
    }
}
