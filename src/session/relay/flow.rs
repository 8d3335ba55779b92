//! The bytes' way: reads when something comes, writes before it waits, in both directions at the same time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::watch;

use crate::backend::BackendError;
use crate::execute::{ClientError, FLUSH_BYTES};
use crate::proxy::{ClientState, DrainPhase, Pinned};
use crate::types::TransactionStatus;

use super::client_side::Taken;
use super::state::Relay;
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
    /// The process moves towards its end.
    Bell,
}

/// Why a session ends.
pub(super) enum End {
    /// The client said goodbye.
    Left,
    /// The client is gone, or speaks nonsense.
    Client(ClientError),
    /// The process ends.
    Drain,
    /// The server's connection ended in the middle of something, and the client knows.
    Told,
}

/// Serves a session of an unsharded database to its end.
pub(in crate::session) async fn serve(session: Session) {
    let mut relay = Relay::new(session.link, session.record);
    let drain = relay.link.worker.proxy.drain.subscribe();
    let end = relay.run(drain).await;
    relay.part(end).await;
}

impl Relay {
    async fn run(&mut self, drain: watch::Receiver<DrainPhase>) -> End {
        let mut bell = Bell::new(drain);
        loop {
            if bell.has_rung() && self.must_end() {
                return End::Drain;
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
                if bell.poll(context).is_ready() {
                    return Poll::Ready(Event::Bell);
                }
                self.poll(context)
            })
            .await;
            let done = match event {
                Event::Client | Event::Bell => Ok(()),
                Event::Server => self.pass().await,
                Event::Lost(error) => self.server_lost(error).await,
                Event::Gone(error) => return End::Client(error),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Tells whether the process's end is this session's: at once, or as soon as nothing is under way.
    fn must_end(&self) -> bool {
        match self.link.worker.proxy.drain.phase() {
            DrainPhase::Serving => false,
            DrainPhase::Draining => self.is_idle(),
            DrainPhase::Stopping => true,
        }
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
        self.record.set_state(state, self.link.worker.proxy.now_ms());
    }

    /// Gives the server back when nothing of this session is left on it.
    fn release_if_idle(&mut self) {
        if self.link.pin != Pinned::No || !self.is_idle() || self.skip > 0 {
            return;
        }
        let Some(mut server) = self.server.take() else { return };
        server.all_answered();
        if let Some(tag) = self.effects.server_tag.take() {
            server.settings.fingerprint = tag;
        }
        self.names.unnamed_is_sent = false;
        self.link.give_back(server);
    }

    async fn pass(&mut self) -> Result<(), End> {
        match self.take_from_server() {
            Ok(()) => {
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
            if let Poll::Ready(Err(error)) = server.poll_flush(context) {
                return Poll::Ready(Event::Lost(error));
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
        if self.has_room()
            && let Poll::Ready(read) = self.link.client.poll_fill(context)
        {
            return Poll::Ready(read.map_or_else(Event::Gone, |()| Event::Client));
        }
        Poll::Pending
    }
}

/// Wakes a session when the process moves towards its end; costs a waiting session one look at a counter.
struct Bell {
    receiver: watch::Receiver<DrainPhase>,
    ring: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Bell {
    fn new(receiver: watch::Receiver<DrainPhase>) -> Self {
        Self { receiver, ring: None }
    }

    /// Tells whether the process is on its way out.
    fn has_rung(&self) -> bool {
        self.receiver.has_changed().unwrap_or(true)
    }

    /// Ready once for each step of the process; asked for one, the waker stays registered.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(ring) = &mut self.ring {
            if !self.receiver.has_changed().unwrap_or(true) {
                return Poll::Pending;
            }
            if ring.as_mut().poll(context).is_ready() {
                self.ring = None;
                return Poll::Ready(());
            }
            return Poll::Pending;
        }
        let mut receiver = self.receiver.clone();
        let ring = self.ring.insert(Box::pin(async move {
            if receiver.has_changed().unwrap_or(true) {
                receiver.mark_unchanged();
            }
            // The sender lives as long as the proxy.
            let _ = receiver.changed().await;
        }));
        ring.as_mut().poll(context)
    }
}
