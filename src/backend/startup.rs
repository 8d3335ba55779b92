//! The start of a connection: parameters, authentication, until the server is ready.

use bytes::Bytes;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};

use super::exchange::Exchange;
use super::{BackendError, Server, ServerError};
use crate::types::SqlState;
use crate::wire::backend::{Authentication, backend_key};
use crate::wire::frontend::{write_password, write_sasl_initial, write_sasl_response, write_startup};

/// The longest frame before the server is ready; libpq's own bound for such messages is 30,000.
const STARTUP_FRAME_BOUND: usize = 30_000;
/// The most frames before the server is ready: some 15 parameters, the login, and notices.
const STARTUP_FRAMES_MAX: usize = 200;
/// What `pg_stat_activity` shows until a session says otherwise.
const APPLICATION_NAME: &str = "shardloom";

/// Logs in on a fresh connection and reads up to ReadyForQuery; the caller bounds the time.
pub(super) async fn log_in(server: &mut Server) -> Result<(), BackendError> {
    let target = server.target().clone();
    let mut parameters: Vec<(&str, &str)> =
        vec![("user", &target.user), ("database", &target.database), ("application_name", APPLICATION_NAME)];
    parameters.extend(target.encoding.map(|encoding| ("client_encoding", encoding)));
    write_startup(server.out(), &parameters);
    let mut scram = None;
    for _ in 0..STARTUP_FRAMES_MAX {
        let (kind, body) = server.frame_within(STARTUP_FRAME_BOUND).await.map_err(|error| early(server, error))?;
        match kind {
            b'R' => authenticate(server, &mut scram, &body)?,
            b'K' => {
                let (process, secret) = backend_key(&body).map_err(|error| server.violated(error))?;
                server.set_cancel_key(process, secret);
            }
            b'Z' => return Ok(()),
            b'E' => return Err(refused(server, &body)),
            b'S' | b'N' | b'v' => {}
            other => return Err(server.violated(format!("unexpected message {:?} at start-up", char::from(other)))),
        }
    }
    Err(server.violated("too many messages at start-up"))
}

/// A connection that ends before it was ready never was: the server is away.
fn early(server: &Server, error: BackendError) -> BackendError {
    match error {
        BackendError::Closed { cause, .. } => BackendError::unreachable(server.target(), cause),
        other => other,
    }
}

/// Reads the error that ended the start-up; a server that comes or goes counts as unreachable.
fn refused(server: &mut Server, body: &Bytes) -> BackendError {
    match ServerError::read(&server.target().shard_name, body) {
        Ok(error) if [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN].contains(&error.state) => {
            BackendError::unreachable(server.target(), error.message)
        }
        Ok(error) => BackendError::Server(Box::new(error)),
        Err(error) => server.violated(error),
    }
}

/// Answers one authentication request; `scram` lives from the first SASL message to the last.
fn authenticate(server: &mut Server, scram: &mut Option<Exchange>, body: &[u8]) -> Result<(), BackendError> {
    let request = Authentication::read(body).map_err(|error| server.violated(error))?;
    match request {
        Authentication::Ok if scram.is_some() => {
            Err(server.violated("the server did not prove that it knows the password"))
        }
        Authentication::Ok => Ok(()),
        Authentication::Cleartext => {
            let password = password(server)?;
            write_password(server.out(), &password);
            Ok(())
        }
        Authentication::Md5(salt) => {
            let password = password(server)?;
            let answer = md5_hash(server.target().user.as_bytes(), password.as_bytes(), salt);
            write_password(server.out(), &answer);
            Ok(())
        }
        Authentication::Sasl(_) if request.offers(SCRAM_SHA_256) || request.offers(SCRAM_SHA_256_PLUS) => {
            let offers_plus = request.offers(SCRAM_SHA_256_PLUS);
            let (mechanism, binding) = match server.end_point() {
                Some(Some(hash)) if offers_plus && Exchange::can_bind(server.target()) => {
                    (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash.to_vec()))
                }
                // Said under TLS, so that a server that did offer it knows that somebody took the offer away.
                Some(Some(_)) if !offers_plus => (SCRAM_SHA_256, ChannelBinding::unrequested()),
                Some(_) | None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            };
            let exchange = Exchange::new(server.target(), binding)?;
            write_sasl_initial(server.out(), mechanism, exchange.message());
            *scram = Some(exchange);
            Ok(())
        }
        Authentication::SaslContinue(data) => {
            let exchange = scram.as_mut().ok_or_else(|| server.violated("SASL out of order"))?;
            exchange.update(data).map_err(|error| server.violated(error))?;
            write_sasl_response(server.out(), exchange.message());
            Ok(())
        }
        Authentication::SaslFinal(data) => {
            let mut exchange = scram.take().ok_or_else(|| server.violated("SASL out of order"))?;
            exchange.finish(data).map_err(|error| server.violated(error))
        }
        Authentication::Sasl(_) => Err(BackendError::login(server.target(), "no SASL mechanism in common")),
        Authentication::Unsupported(code) => {
            Err(BackendError::login(server.target(), format!("authentication method {code} is not supported")))
        }
    }
}

fn password(server: &Server) -> Result<String, BackendError> {
    match &server.target().password {
        Some(secret) => Ok(secret.expose().to_owned()),
        None => Err(BackendError::login(server.target(), "the server asks for a password and none is configured")),
    }
}
