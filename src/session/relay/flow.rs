//! The bytes' way: reads when something comes, writes before it waits, in both directions at the same time.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::backend::BackendError;
use crate::execute::{ClientError, FLUSH_BYTES};
use crate::proxy::{ClientState, DrainPhase, EndSignal, Pinned};
use crate::types::{Refusal, SqlState, TransactionStatus};

use super::client_side::Taken;
use super::state::Relay;
use crate::session::control::no_blocks;
use crate::session::conversation::Session;

/// What ended a wait.
enum Event {
    /// Bytes of the client.
    Client,
    /// Bytes of the server.
    Server,
    /// The server is gone.
    Lost(BackendError),
    /// The client is gone.
    Gone(ClientError),
    /// Somebody outside wants the session to look whether it has to end.
    Woken,
}

/// Why a session ends.
pub(super) enum End {
    /// The client said goodbye.
    Left,
    /// The client is gone, or speaks nonsense.
    Client(ClientError),
    /// The process ends, or somebody outside ended the session: this is what the client is told.
    Farewell(Refusal),
    /// The server's connection ended in the middle of something, and the client knows.
    Told,
}

/// Serves a session of an unsharded database to its end.
pub(in crate::session) async fn serve(session: Box<Session>) {
    let mut relay = relay_of(session);
    let signal = relay.record.end_signal();
    if relay.link.worker.proxy.drain.phase() != DrainPhase::Serving {
        // It may have begun before the client was on the list of those that are woken.
        signal.wake();
    }
    let end = relay.run(&signal).await;
    relay.part(end).await;
}

/// Takes the session apart, outside of the future that lives as long as the client.
fn relay_of(session: Box<Session>) -> Relay {
    let Session { link, record, .. } = *session;
    Relay::new(link, record)
}

impl Relay {
    async fn run(&mut self, signal: &EndSignal) -> End {
        let mut left = None;
        loop {
            if signal.is_raised()
                && let Some(refusal) = self.farewell(signal)
            {
                return End::Farewell(refusal);
            }
            match self.take_from_client() {
                Ok(Taken::All) => {}
                Ok(Taken::NeedsServer) => match self.find_server().await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                Ok(Taken::Left) => return End::Left,
                Err(error) => return End::Client(error),
            }
            self.rest();
            let event = poll_fn(|context| {
                if signal.poll_first_wake(context, &mut left).is_ready() {
                    return Poll::Ready(Event::Woken);
                }
                self.poll(context)
            })
            .await;
            let done = match event {
                Event::Client | Event::Woken => Ok(()),
                Event::Server => self.pass().await,
                Event::Lost(error) => self.server_lost(error).await,
                Event::Gone(error) => return End::Client(error),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Returns what the client is told if the session has to end now: for a cause of its own between two replies, for
    /// the process's end at once, or as soon as nothing is under way.
    fn farewell(&self, signal: &EndSignal) -> Option<Refusal> {
        if let Some(cause) = signal.cause().filter(|_| self.expected.is_empty()) {
            return Some(cause.refusal());
        }
        let ends = match self.link.worker.proxy.drain.phase() {
            DrainPhase::Serving | DrainPhase::Leaving => false,
            DrainPhase::Draining => self.is_idle(),
            DrainPhase::Stopping => true,
        };
        ends.then(|| Refusal::new(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down"))
    }

    /// Before a wait: says what the session does, counts its traffic, and lets go of buffers.
    fn rest(&mut self) {
        if !self.expected.is_empty() || self.unsynced {
            return;
        }
        let traffic = self.link.client.take_traffic();
        let metrics = &self.link.worker.proxy.metrics;
        metrics.received(traffic.received);
        metrics.sent(traffic.sent);
        let state = match self.status {
            TransactionStatus::Idle => ClientState::Idle,
            TransactionStatus::Open | TransactionStatus::Failed => ClientState::IdleInTransaction,
        };
        let now = self.ended.take().unwrap_or_else(Instant::now);
        self.record.set_state(state, self.link.worker.wall_ms(now));
    }

    /// Gives the server back when nothing of this session is left on it.
    fn release_if_idle(&mut self) {
        if self.link.pin != Pinned::No || !self.is_idle() || self.skip > 0 {
            return;
        }
        let Some(server) = self.hand_in() else { return };
        self.names.unnamed_is_sent = false;
        self.link.give_back(server);
    }

    /// Asks the server what of the session is still there, so that it is kept no longer than that.
    async fn ask_what_is_left(&mut self) -> Result<(), End> {
        self.doubts = false;
        let Some(server) = self.hand_in() else { return Ok(()) };
        self.link.pinned.push(server);
        if self.link.settle_keeping().await.is_err() {
            return Err(End::Told);
        }
        self.record.set_pinned(self.link.pin);
        self.server = self.link.pinned.pop();
        self.names.unnamed_is_sent &= self.server.is_some();
        Ok(())
    }

    async fn pass(&mut self) -> Result<(), End> {
        match self.take_from_server() {
            Ok(()) if self.opened_block => Err(self.end_with(&no_blocks()).await),
            Ok(()) => {
                if self.doubts && self.is_idle() && self.skip == 0 {
                    self.ask_what_is_left().await?;
                }
                self.release_if_idle();
                Ok(())
            }
            Err(error) => self.server_lost(error).await,
        }
    }

    /// Reads what is there, writing first only where much is waiting; ready with whatever was read or broke.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if self.link.client.output().len() >= FLUSH_BYTES
            && let Poll::Ready(Err(error)) = self.link.client.poll_flush(context)
        {
            return Poll::Ready(Event::Gone(error));
        }
        if let Some(server) = &mut self.server {
            let was_full = server.out().len() >= FLUSH_BYTES;
            if let Poll::Ready(Err(error)) = server.poll_flush(context) {
                return Poll::Ready(Event::Lost(error));
            }
            // Whole messages may be left behind the one that filled it, and the client may have nothing to add.
            if was_full && server.out().len() < FLUSH_BYTES {
                return Poll::Ready(Event::Client);
            }
            // A client that does not read keeps its server waiting, not the proxy's memory growing.
            if self.link.client.output().len() < FLUSH_BYTES
                && let Poll::Ready(read) = server.poll_fill(context)
            {
                return Poll::Ready(read.map_or_else(Event::Lost, |_| Event::Server));
            }
        }
        if let Poll::Ready(Err(error)) = self.link.client.poll_flush(context) {
            return Poll::Ready(Event::Gone(error));
        }
        if self.expected.is_empty() {
            self.link.client.rest();
        }
        if !self.waits
            && self.has_room()
            && let Poll::Ready(read) = self.link.client.poll_fill(context)
        {
            return Poll::Ready(read.map_or_else(Event::Gone, |()| Event::Client));
        }
        Poll::Pending
    }
}
