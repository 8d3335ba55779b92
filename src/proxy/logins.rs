//! Who may log in: one SCRAM verifier per user, made once at the start.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rand::RngExt;

use crate::config::{Login, User};
use crate::wire::scram::Verifier;

/// PostgreSQL's own default for `scram_iterations`.
const ITERATIONS: u32 = 4_096;
/// PostgreSQL's salt length.
const SALT_BYTES: usize = 16;

/// The users of the configuration, ready for authentication.
pub struct Logins {
    users: ArcSwap<HashMap<String, (User, Verifier)>>,
    /// Makes the answers for users that do not exist look like those for users that do.
    mock_secret: [u8; 32],
}

impl Logins {
    /// Derives a verifier for each user; passwords cost some milliseconds each. Names the user whose stored verifier
    /// cannot be read.
    pub fn new(users: &[User]) -> Result<Self, String> {
        Ok(Self { users: ArcSwap::from_pointee(derive(users)?), mock_secret: random() })
    }

    /// Puts other users in force for logins to come; fails as [`Logins::new`] does, and changes nothing then.
    pub fn replace(&self, users: &[User]) -> Result<(), String> {
        self.users.store(Arc::new(derive(users)?));
        Ok(())
    }

    /// Returns a user, if it exists, and the verifier to go through the motions with in either case.
    pub fn find(&self, name: &str) -> (Option<User>, Verifier) {
        match self.users.load().get(name) {
            Some((user, verifier)) => (Some(user.clone()), verifier.clone()),
            None => (None, Verifier::mock(name, &self.mock_secret)),
        }
    }
}

fn derive(users: &[User]) -> Result<HashMap<String, (User, Verifier)>, String> {
    let mut known = HashMap::with_capacity(users.len());
    for user in users {
        let verifier = match &user.login {
            Login::Scram(stored) => Verifier::parse(stored.expose())
                .ok_or_else(|| format!("the SCRAM verifier of user \"{}\" is malformed", user.name))?,
            Login::Password(password) => {
                Verifier::from_password(password.expose(), &random::<SALT_BYTES>(), ITERATIONS)
            }
            // Never asked for; should it ever be, no password fits.
            Login::Certificate => Verifier::mock(&user.name, &random::<32>()),
        };
        known.insert(user.name.clone(), (user.clone(), verifier));
    }
    Ok(known)
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").field("users", &self.users.load().len()).finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill(&mut bytes);
    bytes
}
