//! Servers that cannot be had or break, and the end of a session.

use bytes::Buf;
use tracing::{debug, info};

use crate::backend::BackendError;
use crate::execute::{ClientError, Failure};
use crate::proxy::Pinned;
use crate::session::report;
use crate::types::{Refusal, TransactionStatus};
use crate::wire::{backend, frame};

use super::expect::Expect;
use super::flow::End;
use super::numbers::Numbers;
use super::state::{Relay, Skip};

impl Relay {
    /// Borrows a server for the message at the front; where none can be had, the message is refused.
    pub(super) async fn find_server(&mut self) -> Result<(), End> {
        match self.link.borrow(self.link.snapshot.rules.home).await {
            Ok(mut server) => {
                self.names.unnamed_is_sent = false;
                self.effects.server_tag = None;
                self.numbers = Numbers::default();
                if let Some(begin) = self.begun.take() {
                    server.out().extend_from_slice(&begin);
                    self.expected.push_back(Expect::Hidden);
                }
                self.server = Some(server);
                Ok(())
            }
            Err(Failure::Client(error)) => Err(End::Client(error)),
            Err(failure) => {
                let refusal = report::login_refusal(failure);
                if self.begun.is_some() {
                    // The client was told that its transaction is open: it must not go on without one.
                    return Err(self.end_with(&refusal).await);
                }
                self.refuse(&refusal);
                Ok(())
            }
        }
    }

    /// Refuses the message at the front of the client's buffer.
    fn refuse(&mut self, refusal: &Refusal) {
        self.link.worker.proxy.metrics.error(refusal.state.class());
        let status = self.status;
        let client = &mut self.link.client;
        let bound = client.message_bound();
        let Ok(Some(header)) = frame::header(client.input(), bound) else { return };
        client.input().advance(header.length);
        backend::write_error(client.output(), "ERROR", refusal);
        if matches!(header.kind, b'Q' | b'F') {
            backend::write_ready(client.output(), status);
        } else {
            self.skipping = Skip::Own;
        }
    }

    /// The server is gone. A statement outside of a transaction fails; a transaction, and what the session left on its
    /// server, are lost, and the client's connection with them, as it is without a proxy.
    pub(super) async fn server_lost(&mut self, error: BackendError) -> Result<(), End> {
        debug!(%error, "a server is gone");
        let pinned = self.link.pin != Pinned::No;
        self.server = None;
        self.link.cancel.clear();
        if self.dying {
            let _ = self.link.client.flush().await;
            return Err(End::Told);
        }
        let refusal = error.refusal();
        self.link.worker.proxy.metrics.error(refusal.state.class());
        if self.skip > 0 {
            // Part of a row has gone out: whatever followed would be read as the rest of it.
            return Err(End::Told);
        }
        if pinned || self.status != TransactionStatus::Idle {
            return Err(self.end_with(&refusal).await);
        }
        self.fail_expected(&refusal);
        Ok(())
    }

    /// Tells the error once per Query and once per pipeline of what is outstanding.
    fn fail_expected(&mut self, refusal: &Refusal) {
        let out = self.link.client.output();
        let mut told = false;
        // The last first: a name may have been closed and defined again.
        self.expected.iter().rev().for_each(|expect| self.names.take_back(expect));
        for expect in self.expected.drain(..) {
            match expect {
                Expect::Query { .. } => {
                    backend::write_error(out, "ERROR", refusal);
                    backend::write_ready(out, TransactionStatus::Idle);
                }
                Expect::Sync => {
                    if !std::mem::take(&mut told) {
                        backend::write_error(out, "ERROR", refusal);
                    }
                    backend::write_ready(out, TransactionStatus::Idle);
                }
                _ if !told => {
                    told = true;
                    backend::write_error(out, "ERROR", refusal);
                }
                _ => {}
            }
        }
        if self.unsynced {
            if !told {
                backend::write_error(out, "ERROR", refusal);
            }
            self.skipping = Skip::Own;
        }
        self.unsynced = false;
        self.since = None;
        self.copies = false;
        self.unit.end();
        self.names.portals.clear();
        (self.names.changed, self.names.resets, self.names.unsure) = (false, false, 0);
        self.effects = super::state::Effects { before: self.effects.before.take(), ..Default::default() };
        if let Some(before) = self.effects.before.take() {
            self.link.settings = before;
        }
    }

    pub(super) async fn end_with(&mut self, refusal: &Refusal) -> End {
        backend::write_error(self.link.client.output(), "FATAL", refusal);
        // Best effort: the connection is closed in any case.
        let _ = self.link.client.flush().await;
        End::Told
    }

    /// Says goodbye, and stops what the server still does for the client.
    pub(super) async fn part(&mut self, end: End) {
        match end {
            End::Left | End::Told | End::Client(ClientError::Gone) => {}
            End::Client(ClientError::Protocol(error)) => {
                info!(%error, "a client broke the protocol");
                self.end_with(&error.into()).await;
            }
            End::Farewell(refusal) => {
                self.end_with(&refusal).await;
            }
        }
        let traffic = self.link.client.take_traffic();
        self.link.worker.proxy.metrics.received(traffic.received);
        self.link.worker.proxy.metrics.sent(traffic.sent);
        if self.server.is_some() && !self.expected.is_empty() {
            self.link.stop_running().await;
        }
        if self.is_idle() && self.skip == 0 {
            let server = self.hand_in();
            self.link.pinned.extend(server);
        }
        // What is not kept is closed, which rolls back what is open.
        self.server = None;
        self.link.cancel.clear();
        self.link.retire().await;
    }
}
