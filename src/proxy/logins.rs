//! Who may log in: one SCRAM verifier per user, made once at the start; and for a while what was said about others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use rand::RngExt;

use crate::config::{Login, User};
use crate::wire::scram::Verifier;

/// PostgreSQL's own default for `scram_iterations`.
const ITERATIONS: u32 = 4_096;
/// PostgreSQL's salt length.
const SALT_BYTES: usize = 16;
/// Users, real or not, whose stored secrets are remembered; those asked for least make way.
const REMEMBERED_MAX: usize = 10_000;

/// The users of the configuration, ready for authentication.
pub struct Logins {
    users: ArcSwap<HashMap<String, Candidate>>,
    /// What `auth.query` said, and until when that holds.
    remembered: Cache<String, (Duration, Candidate)>,
    /// Makes the answers for users that do not exist look like those for users that do.
    mock_secret: [u8; 32],
}

/// Somebody who wants to log in.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The user; `None` if there is no such user.
    pub user: Option<User>,
    /// The verifier to go through the motions with in either case.
    pub verifier: Verifier,
}

impl Logins {
    /// Derives a verifier for each user; passwords cost some milliseconds each. Names the user whose stored verifier
    /// cannot be read.
    pub fn new(users: &[User]) -> Result<Self, String> {
        let mock_secret = random();
        let users = ArcSwap::from_pointee(derive_all(users, &mock_secret)?);
        Ok(Self { users, remembered: Cache::new(REMEMBERED_MAX), mock_secret })
    }

    /// Puts other users in force for logins to come, and forgets what was remembered; fails as [`Logins::new`] does, and
    /// changes nothing then.
    pub fn replace(&self, users: &[User]) -> Result<(), String> {
        self.users.store(Arc::new(derive_all(users, &self.mock_secret)?));
        self.remembered.clear();
        Ok(())
    }

    /// Returns the candidate of that name among the users of the configuration.
    pub fn find(&self, name: &str) -> Candidate {
        self.users.load().get(name).cloned().unwrap_or_else(|| self.nobody(name))
    }

    /// Returns what is remembered of a user beyond the configuration; `now` is monotonic time.
    pub fn remembered(&self, name: &str, now: Duration) -> Option<Candidate> {
        self.remembered.get(name).filter(|(until, _)| now < *until).map(|(_, candidate)| candidate)
    }

    /// Remembers until `until` what a table of passwords has for `name`, `None` for nothing, and returns the candidate.
    pub fn remember(&self, name: &str, stored: Option<&str>, until: Duration) -> Candidate {
        let user = stored.and_then(|stored| User::from_stored(name, stored));
        let known = user.and_then(|user| derive(&user, &self.mock_secret).ok());
        let candidate = known.unwrap_or_else(|| self.nobody(name));
        self.remembered.insert(name.to_owned(), (until, candidate.clone()));
        candidate
    }

    /// Forgets what is remembered of `name`: its password may have changed since.
    pub fn forget(&self, name: &str) {
        self.remembered.remove(name);
    }

    fn nobody(&self, name: &str) -> Candidate {
        Candidate { user: None, verifier: Verifier::mock(name, &self.mock_secret) }
    }
}

fn derive_all(users: &[User], mock_secret: &[u8]) -> Result<HashMap<String, Candidate>, String> {
    users.iter().map(|user| Ok((user.name.clone(), derive(user, mock_secret)?))).collect()
}

fn derive(user: &User, mock_secret: &[u8]) -> Result<Candidate, String> {
    let verifier = match &user.login {
        Login::Scram(stored) => Verifier::parse(stored.expose())
            .ok_or_else(|| format!("the SCRAM verifier of user \"{}\" is malformed", user.name))?,
        Login::Password(password) => Verifier::from_password(password.expose(), &random::<SALT_BYTES>(), ITERATIONS),
        // No password satisfies them: a hash is good for the method md5 alone, a certificate is no password.
        Login::Md5(_) | Login::Certificate => Verifier::mock(&user.name, mock_secret),
    };
    Ok(Candidate { user: Some(user.clone()), verifier })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_of_a_user_holds_until_its_time_or_a_reload() {
        let logins = Logins::new(&[]).unwrap();
        let known = |seconds| logins.remembered("kim", Duration::from_secs(seconds)).map(|found| found.user.is_some());
        assert_eq!(known(0), None);
        assert!(logins.remember("kim", Some("secret"), Duration::from_secs(5)).user.is_some());
        assert_eq!((known(4), known(5)), (Some(true), None));
        assert!(logins.remember("kim", None, Duration::from_secs(9)).user.is_none());
        assert_eq!(known(8), Some(false));
        logins.forget("kim");
        assert_eq!(known(8), None);
        logins.remember("kim", Some("secret"), Duration::from_secs(5));
        logins.replace(&[]).unwrap();
        assert_eq!(known(0), None);
    }

    #[test]
    fn a_broken_verifier_is_nobody() {
        let logins = Logins::new(&[]).unwrap();
        assert!(logins.remember("kim", Some("SCRAM-SHA-256$oops"), Duration::from_secs(5)).user.is_none());
    }
}
