//! `users` and `service`: who may connect, and as whom the shards see them.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pooling::{Overrides, USER_POOL};
use super::secret::{self, Secret, Sources};
use crate::yaml::{Field, Findings, Node, Record, Shape, Value};

/// Bytes of SHA-256, and of the two keys in a verifier.
const KEY_BYTES: usize = 32;

/// The fewest rounds that RFC 7677 allows a verifier.
const ITERATIONS_MIN: u32 = 4096;

/// A user of the proxy.
#[derive(Debug, Clone)]
pub struct User {
    /// The name that clients log in with.
    pub name: String,
    /// How the proxy knows them.
    pub login: Login,
    /// The role on the shards; the same name by default.
    pub shard_user: String,
    /// That role's password; the plaintext `password` by default, none beside a verifier.
    pub shard_password: Option<Secret>,
    /// Whether the user may use the admin console; not by default.
    pub console: bool,
    /// What its pools have of their own.
    pub pool: Overrides,
}

/// How a user proves who they are.
#[derive(Debug, Clone)]
pub enum Login {
    /// A SCRAM-SHA-256 verifier as PostgreSQL stores it; its form was checked.
    Scram(Secret),
    /// A password in plain text.
    Password(Secret),
    /// A TLS certificate, verified, whose common name is the user's.
    Certificate,
    /// An md5 hash as old PostgreSQL stores it; good for the method md5 alone.
    Md5(Secret),
}

/// The role that owns the `shardloom` schema on every shard.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub user: String,
    /// Its password; none when the servers ask for none.
    pub password: Option<Secret>,
}

pub(super) const USER: Record = Record {
    what: "a user",
    fields: &[
        Field::required("name", Shape::Name, "The name that clients log in with."),
        Field::optional("scram", Shape::Text, "A SCRAM-SHA-256 verifier, or env:NAME or file:PATH of one."),
        Field::optional("password", Shape::Text, "The password, or env:NAME or file:PATH of it."),
        Field::optional("certificate", Shape::Boolean, "Whether a TLS certificate of that name is the login."),
        Field::optional(
            "md5",
            Shape::Text,
            "An md5 hash as in pg_authid, or env:NAME or file:PATH of one; for hba's md5.",
        ),
        Field::optional("shard_user", Shape::Name, "The role on the shards; the same name by default."),
        Field::optional("shard_password", Shape::Text, "That role's password; the plain password by default."),
        Field::optional("console", Shape::Boolean, "Whether the admin console is open to the user; default false."),
        USER_POOL[0],
        USER_POOL[1],
        USER_POOL[2],
        USER_POOL[3],
    ],
};

pub(super) const SERVICE: Record = Record {
    what: "service",
    fields: &[
        Field::required("user", Shape::Name, "The role that owns the shardloom schema on every shard."),
        Field::optional("password", Shape::Text, "Its password, or env:NAME or file:PATH of it."),
    ],
};

/// Reads the list of users whose shape was checked; there is at least one and none twice.
pub(super) fn read_users(list: &Node, sources: Sources<'_>, findings: &mut Findings) -> Vec<User> {
    if matches!(&list.value, Value::List(items) if items.is_empty()) {
        findings.report(&list.place, "there must be a user, or nobody could connect");
    }
    let mut names = HashSet::new();
    for name in list.items().iter().filter_map(|user| user.get("name")) {
        if !names.insert(name.text()) {
            findings.report(&name.place, format!("two users are named {}", name.found()));
        }
    }
    list.items().iter().filter_map(|user| read_user(user, sources, findings)).collect()
}

fn read_user(node: &Node, sources: Sources<'_>, findings: &mut Findings) -> Option<User> {
    let login = read_login(node, sources, findings);
    let shard_password = node.get("shard_password").and_then(|node| secret::read(node, sources, findings));
    let name = node.get("name")?.text()?.to_owned();
    let login = login?;
    let own = match &login {
        Login::Password(password) => Some(password.clone()),
        Login::Scram(_) | Login::Md5(_) | Login::Certificate => None,
    };
    Some(User {
        shard_user: node.get("shard_user").and_then(Node::text).unwrap_or(&name).to_owned(),
        shard_password: shard_password.or(own),
        console: node.get("console").and_then(Node::boolean).unwrap_or(false),
        pool: Overrides::of_user(node),
        name,
        login,
    })
}

fn read_login(node: &Node, sources: Sources<'_>, findings: &mut Findings) -> Option<Login> {
    let certificate = node.get("certificate").and_then(Node::boolean).unwrap_or(false);
    match (node.get("scram"), node.get("password"), node.get("md5")) {
        (None, None, None) if certificate => Some(Login::Certificate),
        (Some(scram), None, None) if !certificate => {
            let verifier = secret::read(scram, sources, findings)?;
            if let Err(fault) = check_verifier(verifier.expose()) {
                findings.report(&scram.place, format!("not a SCRAM-SHA-256 verifier as in pg_authid: {fault}"));
            }
            Some(Login::Scram(verifier))
        }
        (None, Some(password), None) if !certificate => secret::read(password, sources, findings).map(Login::Password),
        (None, None, Some(md5)) if !certificate => {
            let hash = secret::read(md5, sources, findings)?;
            if !is_md5(hash.expose()) {
                findings.report(&md5.place, "not an md5 hash as in pg_authid: \"md5\" and 32 hexadecimal digits");
            }
            Some(Login::Md5(hash))
        }
        _ => {
            if matches!(node.value, Value::Map(_)) {
                let message =
                    "a user has one of \"scram\", \"password\", \"certificate\" and, for old clients, \"md5\"";
                findings.report(&node.place, message);
            }
            None
        }
    }
}

impl User {
    /// Makes the user for what a table of passwords has: a SCRAM verifier, an md5 hash, or a password in plain text.
    ///
    /// It has the same name on the shards and nothing of its own. `None` for a verifier that cannot be read.
    pub fn from_stored(name: &str, stored: &str) -> Option<Self> {
        let secret = Secret::new(stored);
        let login = match stored {
            _ if stored.starts_with("SCRAM-SHA-256$") => {
                check_verifier(stored).ok()?;
                Login::Scram(secret)
            }
            _ if is_md5(stored) => Login::Md5(secret),
            _ => Login::Password(secret),
        };
        let shard_password = match &login {
            Login::Password(password) => Some(password.clone()),
            Login::Scram(_) | Login::Md5(_) | Login::Certificate => None,
        };
        let (name, shard_user) = (name.to_owned(), name.to_owned());
        Some(Self { name, login, shard_user, shard_password, console: false, pool: Overrides::default() })
    }
}

fn is_md5(text: &str) -> bool {
    text.strip_prefix("md5").is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads `service` whose shape was checked.
pub(super) fn read_service(node: &Node, sources: Sources<'_>, findings: &mut Findings) -> Option<Service> {
    let password = node.get("password").and_then(|node| secret::read(node, sources, findings));
    Some(Service { user: node.get("user")?.text()?.to_owned(), password })
}

/// Tells what a text lacks to be `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, without showing it.
fn check_verifier(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or("it does not begin with SCRAM-SHA-256$")?;
    let (head, keys) = rest.split_once('$').ok_or("the keys are missing")?;
    let (iterations, salt) = head.split_once(':').ok_or("the salt is missing")?;
    if !iterations.parse::<u32>().is_ok_and(|rounds| rounds >= ITERATIONS_MIN) {
        return Err("the iterations are fewer than 4096 or no number");
    }
    if !STANDARD.decode(salt).is_ok_and(|salt| !salt.is_empty()) {
        return Err("the salt is not base64");
    }
    let (stored, server) = keys.split_once(':').ok_or("the server key is missing")?;
    let whole = |key: &str| STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_BYTES);
    if whole(stored) && whole(server) { Ok(()) } else { Err("the keys are not 32 bytes in base64") }
}
