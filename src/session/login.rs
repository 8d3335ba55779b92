//! Start-up packet, authentication, database: who may come in, and as whom.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::backend::SecretLength;
use crate::config::User;
use crate::execute::{
    Client, ClientError, Failure, Identity, Keeping, Link, Lookups, Pieces, Settings, Targets, Transaction, Worker,
    check_setting, quoted_value,
};
use crate::proxy::{ClientHandle, Newcomer, Pinned, Snapshot, Stranger};
use crate::types::{Refusal, ShardId, SqlState, TransactionStatus};
use crate::wire::backend;
use crate::wire::frame::FrameError;
use crate::wire::startup::{self, Packet, Start};

use super::authenticate::{Denied, Proven, authenticate};
use super::conversation::Session;
use super::extended::Extended;
use super::report;

/// The first byte of a TLS handshake; no start-up packet begins so.
const TLS_HANDSHAKE: u8 = 0x16;
/// The name of the console's database.
const CONSOLE_DATABASE: &str = "shardloom";
/// How many SSLRequest and GSSENCRequest packets may come before the start-up packet: one each.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// How long the reason why a client is not let in may take to be sent.
const LAST_WORD_BOUND: Duration = Duration::from_secs(1);

/// Marks the generation of rules that name no table.
const UNSHARDED_GENERATION: u64 = 1 << 63;

/// How a client came in.
pub(super) enum Entrance {
    /// To a database.
    Session(Box<Session>),
    /// To the console.
    Console {
        /// What SHOW CLIENTS says of it.
        record: Box<ClientHandle>,
        /// Its socket.
        client: Box<Client>,
        /// The worker that serves it.
        worker: Rc<Worker>,
    },
}

/// A client that is who it says it is.
struct Known {
    proven: Proven,
    database: String,
    start: Start,
}

/// Lets a client in, or tells it why not. `None`: it has been told, or it only wanted to cancel.
pub(super) async fn enter(
    mut client: Client,
    worker: Rc<Worker>,
    stranger: Stranger,
) -> Result<Option<Entrance>, ClientError> {
    let bound = worker.proxy.live.load().limits.login_timeout;
    let knocked = tokio::select! {
        biased;
        knocked = knock(&mut client, &worker) => knocked,
        () = stranger.shown_out() => Err(make_way().into()),
        () = sleep(bound) => Err(too_late(bound).into()),
    };
    drop(stranger);
    match knocked {
        Ok(Some(known)) => admit(client, worker, known).await,
        Ok(None) => Ok(None),
        Err(Denied::Refused(refusal)) => refuse(client, refusal).await,
        Err(Denied::Lost(ClientError::Protocol(error))) => refuse(client, error.into()).await,
        Err(Denied::Lost(error)) => Err(error),
    }
}

/// Takes a client from its first byte to AuthenticationOk; `None`: it only wanted to cancel.
async fn knock(client: &mut Client, worker: &Worker) -> Result<Option<Known>, Denied> {
    let Some(start) = read_start(client, worker).await? else { return Ok(None) };
    if start.needs_negotiation() {
        let minor = start.minor.min(startup::NEWEST_MINOR);
        startup::write_negotiate_protocol_version(client.output(), minor, &start.unsupported_options);
    }
    let Some(name) = start.parameter("user").filter(|name| !name.is_empty()) else {
        return Err(Refusal::new(SqlState::INVALID_AUTHORIZATION, "no user name in the start-up packet").into());
    };
    if worker.proxy.acceptor.is_required() && client.secured().is_none() && !client.is_local() {
        let refusal = Refusal::new(SqlState::INVALID_AUTHORIZATION, "this proxy takes no connection without TLS")
            .with_hint("Connect with sslmode=require, or better verify-full.");
        return Err(refusal.into());
    }
    let database = start.parameter("database").filter(|name| !name.is_empty()).unwrap_or(name).to_owned();
    let proven = authenticate(client, worker, name, &database).await?;
    Ok(Some(Known { proven, database, start }))
}

/// Opens the session, or the console, of a client that is who it says it is.
async fn admit(mut client: Client, worker: Rc<Worker>, known: Known) -> Result<Option<Entrance>, ClientError> {
    let Known { proven, database, start } = known;
    client.set_message_bound(worker.proxy.config.limits.client_message);
    if start.parameter("replication").is_some_and(|value| !matches!(value, "false" | "off" | "no" | "0")) {
        let hint = "Connect to the shard itself for replication.";
        return refuse(client, Refusal::unsupported("replication connections are not available", hint)).await;
    }
    if database == CONSOLE_DATABASE {
        return enter_console(client, worker, &proven.user).await;
    }
    match open_session(client, worker, proven, database, &start).await {
        Ok(session) => Ok(Some(Entrance::Session(Box::new(session)))),
        Err((client, refusal)) => refuse(client, refusal).await,
    }
}

fn too_late(bound: Duration) -> Refusal {
    let hint = format!("The login took longer than {} ms (limits.login_timeout).", bound.as_millis());
    Refusal::new(SqlState::QUERY_CANCELED, "canceling authentication due to timeout").with_hint(hint)
}

fn no_server(bound: Duration) -> Refusal {
    let message = "no server connection became free for the login";
    Refusal::new(SqlState::CANNOT_CONNECT_NOW, message)
        .with_hint(format!("It waited for {} ms (limits.login_timeout).", bound.as_millis()))
}

fn make_way() -> Refusal {
    let message = "closed to make way for others: the login did not go on";
    Refusal::new(SqlState::TOO_MANY_CONNECTIONS, message)
        .with_hint("All places are taken (limits.max_clients, limits.max_unauthenticated).")
}

/// Reads up to the start-up packet; cancel requests are served here.
async fn read_start(client: &mut Client, worker: &Worker) -> Result<Option<Start>, ClientError> {
    let mut encryption_requests = 0;
    if worker.proxy.acceptor.is_offered() && client.first_byte().await? == Some(TLS_HANDSHAKE) {
        client.secure(&worker.proxy.acceptor, true).await?;
    }
    loop {
        let Some((packet, length)) = startup::read(client.input())? else {
            client.flush().await?;
            client.fill().await?;
            continue;
        };
        // What was read after an encryption request came before the answer: it is not to be trusted, nor expected.
        let excess = client.input().len() > length;
        bytes::Buf::advance(client.input(), length);
        match packet {
            Packet::Ssl | Packet::Gss => {
                encryption_requests += 1;
                if excess || encryption_requests > ENCRYPTION_REQUESTS_MAX {
                    return Err(ClientError::Protocol(FrameError::Malformed(
                        "data ahead of the answer to an encryption request",
                    )));
                }
                let secures = packet == Packet::Ssl && worker.proxy.acceptor.is_offered() && client.may_be_secured();
                client.output().extend_from_slice(if secures { b"S" } else { b"N" });
                if secures {
                    client.secure(&worker.proxy.acceptor, false).await?;
                }
            }
            Packet::Cancel { process, secret } => {
                worker.proxy.cancels.cancel(process, &secret).await;
                return Ok(None);
            }
            Packet::Start(start) => return Ok(Some(start)),
        }
    }
}

async fn refuse(mut client: Client, refusal: Refusal) -> Result<Option<Entrance>, ClientError> {
    backend::write_error(client.output(), "FATAL", &refusal);
    // A client that does not read is not waited for.
    let _ = timeout(LAST_WORD_BOUND, client.flush()).await;
    Ok(None)
}

async fn enter_console(mut client: Client, worker: Rc<Worker>, user: &User) -> Result<Option<Entrance>, ClientError> {
    if !user.console {
        let refusal = Refusal::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("user \"{}\" may not use the console database \"{CONSOLE_DATABASE}\"", user.name),
        )
        .with_hint("Set `console: true` for the user in shardloom.yaml.");
        return refuse(client, refusal).await;
    }
    for (name, value) in super::console::PARAMETERS {
        backend::write_parameter_status(client.output(), name, value);
    }
    backend::write_backend_key(client.output(), 0, &[0; 4]);
    backend::write_ready(client.output(), TransactionStatus::Idle);
    client.flush().await?;
    let now_ms = worker.proxy.now_ms();
    let (name, address) = (&user.name, client.address());
    let who = Newcomer { user: name, database: CONSOLE_DATABASE, address, process: 0 };
    let record = worker.proxy.clients.register_operator(who, &worker.proxy.live.load(), now_ms);
    Ok(Some(Entrance::Console { record: Box::new(record), client: Box::new(client), worker }))
}

async fn open_session(
    client: Client,
    worker: Rc<Worker>,
    Proven { user, keys }: Proven,
    database: String,
    start: &Start,
) -> Result<Session, (Client, Refusal)> {
    let snapshot = worker.proxy.rules.load();
    let passthrough = database != snapshot.rules.database;
    if passthrough && !worker.proxy.live.load().passthrough.serves(&database) {
        let refusal = Refusal::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{database}\" does not exist"))
            .with_hint(format!("This proxy serves \"{}\".", snapshot.rules.database));
        return Err((client, refusal));
    }
    let snapshot = if passthrough { std::sync::Arc::new(snapshot.unsharded(&database)) } else { snapshot };
    let settings = match start_settings(start, passthrough) {
        Ok(settings) => settings,
        Err(refusal) => return Err((client, refusal)),
    };
    let cancel = worker.proxy.cancels.register(SecretLength::of_minor(start.minor));
    let record = match register(&client, &worker, &user, &database, cancel.process()) {
        Ok(record) => record,
        Err(refusal) => return Err((client, refusal)),
    };
    let link = Link {
        cancel,
        targets: Targets::default(),
        client,
        transaction: Transaction::default(),
        settings,
        identity: Identity {
            user: user.name.clone(),
            shard_user: user.shard_user.clone(),
            shard_password: user.shard_password.clone(),
            shard_keys: keys,
            database,
            passthrough,
        },
        snapshot,
        unsettled: Vec::new(),
        following: Vec::new(),
        last_txid: None,
        pinned: Vec::new(),
        mode: record.mode(),
        pin: Pinned::No,
        keeping: Keeping::default(),
        settings_before: None,
        rows: 0,
        touches_settings: false,
        lookups: Lookups::default(),
        pieces: Pieces::default(),
        carrying: 0,
        read_your_writes: true,
        schema_dirty: false,
        worker,
    };
    greet(Session { link, extended: Extended::default(), record, moment: Instant::now() }).await
}

/// Puts the client on the list, unless its database is disabled or it is one too many.
fn register(
    client: &Client,
    worker: &Worker,
    user: &User,
    database: &str,
    process: i32,
) -> Result<ClientHandle, Refusal> {
    let clients = &worker.proxy.clients;
    if clients.is_disabled(database) {
        let message = format!("database \"{database}\" is disabled");
        return Err(Refusal::new(SqlState::CANNOT_CONNECT_NOW, message).with_hint("The operator ran DISABLE."));
    }
    let who = Newcomer { user: &user.name, database, address: client.address(), process };
    clients.register(who, &worker.proxy.live.load(), worker.proxy.now_ms())
}

/// Reads the start-up packet's settings: what a session would SET, and `options` with `-c name=value`.
fn start_settings(start: &Start, passthrough: bool) -> Result<Settings, Refusal> {
    let mut settings = Settings::default();
    for (name, value) in &start.parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => {
                for (name, value) in command_line_settings(value)? {
                    take_setting(&mut settings, &name, &value, passthrough)?;
                }
            }
            name => take_setting(&mut settings, name, value, passthrough)?,
        }
    }
    settings.keep_as_defaults();
    Ok(settings)
}

/// Takes one setting; the server judges its value when the first statement, or the greeting, needs a connection.
fn take_setting(settings: &mut Settings, name: &str, value: &str, passthrough: bool) -> Result<(), Refusal> {
    if !passthrough && name.eq_ignore_ascii_case("client_encoding") {
        return if is_passed_encoding(value) { Ok(()) } else { Err(foreign_encoding(value)) };
    }
    if !passthrough {
        check_setting(&name.to_ascii_lowercase(), &quoted_value(value))?;
    }
    settings.set_plain(name, value);
    Ok(())
}

fn is_passed_encoding(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii")
}

fn foreign_encoding(name: &str) -> Refusal {
    Refusal::unsupported(format!("client encoding \"{name}\" is not available"), "Use client_encoding = 'UTF8'.")
}

/// Reads `-c name=value` and `--name=value`, with backslash before a space that is part of a value.
fn command_line_settings(options: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut words = vec![String::new()];
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => words.last_mut().expect("never empty").extend(characters.next()),
            ' ' | '\t' | '\n' => words.push(String::new()),
            other => words.last_mut().expect("never empty").push(other),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => word.strip_prefix("--").map(|rest| rest.replacen('-', "_", usize::MAX)),
        };
        let pair =
            setting.as_deref().and_then(|setting| setting.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()));
        settings.push(pair.ok_or_else(|| {
            Refusal::new(SqlState::SYNTAX_ERROR, format!("invalid command-line argument for server process: {word}"))
                .with_hint("Only -c name=value and --name=value are available.")
        })?);
    }
    Ok(settings)
}

/// Says what a PostgreSQL says after authentication: settings in force, the cancel key, ReadyForQuery.
///
/// The wait for a server is bounded on its own: it is no fault of the client's.
async fn greet(mut session: Session) -> Result<Session, (Client, Refusal)> {
    let bound = session.link.worker.proxy.live.load().limits.login_timeout;
    let server = match timeout(bound, first_server(&mut session.link)).await {
        Ok(Ok(server)) => server,
        Ok(Err(failure)) => return Err((session.link.client, report::login_refusal(failure))),
        Err(_) => return Err((session.link.client, no_server(bound))),
    };
    let out = session.link.client.output();
    for (name, value) in server.parameters() {
        backend::write_parameter_status(out, name, value);
    }
    backend::write_backend_key(out, session.link.cancel.process(), session.link.cancel.secret());
    backend::write_ready(out, TransactionStatus::Idle);
    session.link.give_back(server);
    // Not before: a client that only logged in keeps no server.
    session.link.pin = session.link.base_pin();
    Ok(session)
}

/// Borrows a server with the session's settings applied: home, or whichever shard answers when home is away.
async fn first_server(link: &mut Link) -> Result<crate::backend::Server, Failure> {
    let home = link.snapshot.rules.home;
    let away = match link.borrow(home).await {
        Err(Failure::Server(error)) if !link.identity.passthrough => error,
        other => return other,
    };
    for index in 0..link.snapshot.rules.shards.len() {
        let shard = ShardId(index as u16);
        if shard != home
            && let Ok(server) = link.borrow(shard).await
        {
            return Ok(server);
        }
    }
    Err(Failure::Server(away))
}

impl Snapshot {
    /// Returns rules that name no table: every statement goes to home, into `database`.
    fn unsharded(&self, database: &str) -> Self {
        let mut rules = (*self.rules).clone();
        rules.database = database.to_owned();
        rules.tables.clear();
        rules.physical.clear();
        rules.unlisted = crate::rules::UnlistedTables::Home;
        let home = rules.shards[rules.home.index()].clone();
        rules.shards = vec![home];
        rules.home = ShardId(0);
        rules.placement = crate::rules::Placement::new(vec![ShardId(0)]);
        // Plans are remembered by generation: those of an unsharded database must never serve the sharded one.
        let generation = self.generation | UNSHARDED_GENERATION;
        Self { rules: std::sync::Arc::new(rules), catalog: std::sync::Arc::default(), generation, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_settings() {
        let found = command_line_settings(r"-c search_path=a,\ b --lock-timeout=5s -cx.y=1").unwrap();
        let expected = [("search_path", "a, b"), ("lock_timeout", "5s"), ("x.y", "1")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn other_options_are_refused() {
        assert_eq!(command_line_settings("-B 100").unwrap_err().state, SqlState::SYNTAX_ERROR);
    }

    #[test]
    fn only_encodings_that_pass_unchanged_are_accepted() {
        assert!(is_passed_encoding("UTF-8") && is_passed_encoding("unicode") && is_passed_encoding("SQL_ASCII"));
        assert!(!is_passed_encoding("LATIN1"));
    }
}
