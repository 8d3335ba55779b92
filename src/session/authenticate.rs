//! Authentication: the method that `hba` chooses for a client, and the exchange of messages that it takes.
//!
//! An unknown user goes through the same motions as one with a SCRAM verifier and fails in the same words.

use rand::RngExt;
use tracing::warn;

use crate::config::{Approach, Login, Method, Transport, User};
use crate::execute::{Client, ClientError, Worker};
use crate::proxy::Candidate;
use crate::types::{Refusal, SqlState};
use crate::wire::backend;
use crate::wire::md5::{self, Md5Password};
use crate::wire::scram::{self, Binding, ScramKeys, ServerExchange};

use super::{account, auth_query};

/// Why a client does not come in.
pub(super) enum Denied {
    /// It is told.
    Refused(Refusal),
    /// It left, or does not speak the protocol.
    Lost(ClientError),
}

/// A client that is who it says it is.
pub(super) struct Proven {
    /// The user.
    pub user: User,
    /// What logs in on shards that have the user's verifier, where there is no password for them.
    pub keys: Option<ScramKeys>,
}

/// What came of the exchange of messages.
enum Outcome {
    /// The client did not prove who it is.
    Failed,
    /// It did, or nothing was asked.
    Passed,
    /// It did, by SCRAM, with these keys.
    PassedWith(ScramKeys),
}

impl Outcome {
    fn of(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

impl From<ClientError> for Denied {
    fn from(error: ClientError) -> Self {
        Self::Lost(error)
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Who the operating system or a certificate says a client is.
#[derive(Debug, Clone, Copy, Default)]
struct Vouched<'a> {
    /// The account of the process at the other end of a UNIX socket.
    account: Option<&'a str>,
    /// The common name in a client certificate that was verified.
    certificate: Option<&'a str>,
}

/// Finds out whether a client is the user it says it is, by the method that `hba` has for it; AuthenticationOk is
/// written and not sent yet.
pub(super) async fn authenticate(
    client: &mut Client,
    worker: &Worker,
    name: &str,
    database: &str,
) -> Result<Proven, Denied> {
    let address = client.address().map(|address| address.ip().to_canonical());
    let approach = Approach { transport: transport(client), address, database, user: name };
    let method = choose(worker, &approach)?;
    let candidate = auth_query::candidate(worker, name).await?;
    let method = for_login(method, &candidate);
    let account = if method == Method::Peer { client.peer().and_then(account::of) } else { None };
    let certificate = client.secured().and_then(|secured| secured.common_name.clone());
    let vouched = Vouched { account: account.as_deref(), certificate: certificate.as_deref() };
    let outcome = prove(client, method, name, &candidate, vouched).await?;
    let proven = match (candidate.user, outcome) {
        (Some(user), Outcome::Passed) => Some(Proven { user, keys: None }),
        (Some(user), Outcome::PassedWith(keys)) => {
            let keys = (user.shard_password.is_none() && user.shard_user == user.name).then_some(keys);
            Some(Proven { user, keys })
        }
        (Some(_), Outcome::Failed) | (None, _) => None,
    };
    match proven {
        Some(proven) => {
            backend::write_auth_ok(client.output());
            Ok(proven)
        }
        None => {
            // What was remembered may be out of date; the next attempt asks again.
            worker.proxy.logins.forget(name);
            warn!(user = name, ?method, "authentication failed");
            Err(failed(method, name).into())
        }
    }
}

fn transport(client: &Client) -> Transport {
    match client.secured() {
        _ if client.is_local() => Transport::Local,
        Some(_) => Transport::Tls,
        None => Transport::Plain,
    }
}

/// Whose login is a certificate has no password that could be asked for.
fn for_login(method: Method, candidate: &Candidate) -> Method {
    let certified = candidate.user.as_ref().is_some_and(|user| matches!(user.login, Login::Certificate));
    match method {
        Method::Scram | Method::Md5 if certified => Method::Cert,
        Method::Scram | Method::Md5 | Method::Cert | Method::Trust | Method::Peer | Method::Reject => method,
    }
}

/// Returns the method for a client; fails with `28000` when no line of `hba` lets it try.
fn choose(worker: &Worker, approach: &Approach<'_>) -> Result<Method, Refusal> {
    let live = worker.proxy.live.load();
    match live.hba.method(approach) {
        Some(Method::Reject) => Err(turned_back("an entry of \"hba\" rejects", approach)),
        Some(method) => Ok(method),
        None => Err(turned_back("no entry of \"hba\" is for", approach)),
    }
}

/// Has the client prove that it is `name`; does not say yet whether there is such a user.
async fn prove(
    client: &mut Client,
    method: Method,
    name: &str,
    candidate: &Candidate,
    vouched: Vouched<'_>,
) -> Result<Outcome, ClientError> {
    match method {
        Method::Md5 => match md5_password(candidate) {
            Some(password) => prove_md5(client, &password).await,
            // As PostgreSQL: who has a verifier, or is nobody, is asked by SCRAM.
            None => prove_scram(client, candidate).await,
        },
        Method::Scram => prove_scram(client, candidate).await,
        Method::Trust => Ok(Outcome::Passed),
        Method::Peer => Ok(Outcome::of(vouched.account == Some(name))),
        Method::Cert => Ok(Outcome::of(vouched.certificate == Some(name))),
        Method::Reject => Ok(Outcome::Failed),
    }
}

async fn prove_scram(client: &mut Client, candidate: &Candidate) -> Result<Outcome, ClientError> {
    let end_point = client.secured().and_then(|secured| secured.end_point.clone());
    let offered: &[&str] =
        if end_point.is_some() { &[scram::MECHANISM_PLUS, scram::MECHANISM] } else { &[scram::MECHANISM] };
    backend::write_auth_sasl(client.output(), offered);
    let (kind, body) = client.frame().await?;
    let Ok(initial) = backend::SaslInitial::read(&body) else { return Ok(Outcome::Failed) };
    if kind != b'p' || !offered.contains(&initial.mechanism) {
        return Ok(Outcome::Failed);
    }
    let binding = match end_point {
        Some(hash) if initial.mechanism == scram::MECHANISM_PLUS => Binding::EndPoint(hash),
        Some(_) => Binding::Declined,
        None => Binding::None,
    };
    let verifier = candidate.verifier.clone();
    let mut exchange = ServerExchange::new(verifier, scram::nonce(&rand::random())).bind(binding);
    let Ok(challenge) = exchange.first(initial.response.unwrap_or_default()) else { return Ok(Outcome::Failed) };
    backend::write_auth_sasl_continue(client.output(), &challenge);
    let (kind, body) = client.frame().await?;
    match exchange.finish(&body) {
        // A proof is never shown to somebody who is nobody.
        Ok(proof) if kind == b'p' && candidate.user.is_some() => {
            backend::write_auth_sasl_final(client.output(), &proof);
            Ok(exchange.keys().cloned().map_or(Outcome::Passed, Outcome::PassedWith))
        }
        Ok(_) | Err(_) => Ok(Outcome::Failed),
    }
}

async fn prove_md5(client: &mut Client, password: &Md5Password) -> Result<Outcome, ClientError> {
    let mut salt = [0; md5::SALT_BYTES];
    rand::rng().fill(&mut salt);
    backend::write_auth_md5(client.output(), salt);
    let (kind, body) = client.frame().await?;
    let answer = backend::password(&body);
    Ok(Outcome::of(kind == b'p' && answer.is_ok_and(|answer| password.accepts(salt, answer))))
}

/// Returns what an md5 answer is held against; `None` where only a SCRAM verifier is known.
fn md5_password(candidate: &Candidate) -> Option<Md5Password> {
    let user = candidate.user.as_ref()?;
    match &user.login {
        Login::Password(password) => Some(Md5Password::of(&user.name, password.expose())),
        Login::Md5(hash) => Some(Md5Password::stored(hash.expose())),
        Login::Scram(_) | Login::Certificate => None,
    }
}

/// PostgreSQL's words for each method.
fn failed(method: Method, name: &str) -> Refusal {
    match method {
        Method::Scram | Method::Md5 => {
            Refusal::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{name}\""))
        }
        Method::Trust => Refusal::new(SqlState::INVALID_AUTHORIZATION, format!("role \"{name}\" does not exist")),
        Method::Peer => denied("peer", name),
        Method::Cert => denied("certificate", name),
        Method::Reject => denied("reject", name),
    }
}

fn denied(what: &str, name: &str) -> Refusal {
    let message = format!("{what} authentication failed for user \"{name}\"");
    Refusal::new(SqlState::INVALID_AUTHORIZATION, message)
}

fn turned_back(why: &str, approach: &Approach<'_>) -> Refusal {
    let host = match (approach.transport, approach.address) {
        (Transport::Local, _) => "[local]".to_owned(),
        (Transport::Plain | Transport::Tls, Some(address)) => address.to_string(),
        (Transport::Plain | Transport::Tls, None) => "???".to_owned(),
    };
    let encryption = match approach.transport {
        Transport::Tls => "SSL encryption",
        Transport::Plain | Transport::Local => "no encryption",
    };
    let (user, database) = (approach.user, approach.database);
    let message = format!("{why} host \"{host}\", user \"{user}\", database \"{database}\", {encryption}");
    Refusal::new(SqlState::INVALID_AUTHORIZATION, message)
}
