//! Where a failure becomes an error message for the client, once.

use tracing::debug;

use crate::execute::{Failure, Link};
use crate::types::{Refusal, SqlState};
use crate::wire::backend;
use crate::wire::backend::ErrorFields;

/// Tells the client what happened; the transaction, if any, is failed from here on.
pub fn report(link: &mut Link, failure: &Failure) {
    link.transaction.fail();
    let position = link.client.position.clone();
    count(link, failure);
    let out = link.client.output();
    match failure {
        Failure::Client(_) | Failure::Told => {}
        Failure::Refused(refusal) => backend::write_error(out, "ERROR", refusal),
        Failure::Server(error) => {
            debug!(%error, "a server failed a statement");
            backend::write_error(out, "ERROR", &error.refusal());
        }
        Failure::Shard { frame } => out.extend_from_slice(&position.mend(frame)),
    }
}

/// Counts an error by the class of its SQLSTATE; what a shard told the client itself has passed unread.
fn count(link: &Link, failure: &Failure) {
    let metrics = &link.worker.proxy.metrics;
    match failure {
        Failure::Client(_) | Failure::Told => {}
        Failure::Refused(refusal) => metrics.error(refusal.state.class()),
        Failure::Server(error) => metrics.error(error.refusal().state.class()),
        Failure::Shard { frame } => metrics.error(shard_refusal(frame).state.class()),
    }
}

/// Returns what a client is told whose login failed for a server's sake.
pub fn login_refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Refused(refusal) => refusal,
        Failure::Server(error) => error.refusal(),
        Failure::Shard { frame } => shard_refusal(&frame),
        Failure::Client(_) | Failure::Told => Refusal::new(SqlState::CONNECTION_FAILURE, "the login was interrupted"),
    }
}

fn shard_refusal(frame: &[u8]) -> Refusal {
    let fields = frame.get(5..).and_then(|body| ErrorFields::read(body).ok());
    let field = |code| fields.as_ref().and_then(|fields| fields.get(code)).map(str::to_owned);
    let state = field(b'C').map_or(SqlState::INTERNAL_ERROR, |code| SqlState::from_wire(code.as_bytes()));
    let mut refusal = Refusal::new(state, field(b'M').unwrap_or_else(|| "a shard refused the login".to_owned()));
    refusal.detail = field(b'D');
    refusal.hint = field(b'H');
    refusal
}
