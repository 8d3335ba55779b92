//! The conversation after the login: messages in, replies out, until the client leaves.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tracing::{debug, info};

use crate::execute::{Client, ClientError, Failure, Link, Stream, Worker};
use crate::proxy::{ClientFate, ClientHandle, ClientState, DrainPhase, EndSignal, Stranger};
use crate::types::{Refusal, SqlState, TransactionStatus};
use crate::wire::frame::FrameError;
use crate::wire::{backend, frontend};

use super::extended::Extended;
use super::login::{self, Entrance};
use super::{console, relay, report};

/// One client, logged in.
pub(super) struct Session {
    /// Its socket, transaction and settings.
    pub link: Link,
    /// Its prepared statements, portals and the pipeline at hand.
    pub extended: Extended,
    /// What SHOW CLIENTS says of it.
    pub record: ClientHandle,
    /// When it last began or ended some work: the clock is read there only.
    pub moment: Instant,
}

/// Serves one accepted connection to its end. Never fails: what goes wrong is told to the client or logged.
///
/// Each part is in the heap: a task has the size of its largest part for as long as it lives, and most clients are idle.
pub async fn run(stream: Stream, worker: Rc<Worker>, stranger: Stranger) {
    let client = Client::new(stream, worker.proxy.config.limits.pre_auth_message);
    match Box::pin(login::enter(client, worker, stranger)).await {
        Ok(Some(Entrance::Session(session))) if session.link.identity.passthrough => {
            Box::pin(relay::serve(session)).await;
        }
        Ok(Some(Entrance::Session(session))) => Box::pin(serve(session)).await,
        Ok(Some(Entrance::Console { record, client, worker })) => {
            Box::pin(console::serve(*client, worker, *record)).await;
        }
        Ok(None) => {}
        Err(error) => debug!(?error, "a client left during its login"),
    }
}

async fn serve(mut session: Box<Session>) {
    let signal = session.record.end_signal();
    if session.link.worker.proxy.drain.phase() != DrainPhase::Serving {
        // It may have begun before the client was on the list of those that are woken.
        signal.wake();
    }
    loop {
        if signal.is_raised()
            && let Some(goodbye) = session.goodbye(&signal)
        {
            session.say_goodbye(&goodbye).await;
            break;
        }
        let message = tokio::select! {
            biased;
            message = session.next_message() => message,
            () = signal.woken() => continue,
        };
        let handled = match message {
            Ok((b'X', _)) => break,
            // In the heap only while there is work, for the same reason.
            Ok((kind, body)) => match session.gathers(kind, &body) {
                Ok(true) => Ok(()),
                Ok(false) => Box::pin(session.handle(kind, body)).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = handled {
            session.part(error).await;
            session.link.stop_running().await;
            break;
        }
    }
    session.count_traffic();
    session.link.abandon();
    session.link.retire().await;
}

impl Session {
    async fn next_message(&mut self) -> Result<(u8, Bytes), ClientError> {
        if let Some(frame) = self.link.client.buffered_frame()? {
            return Ok(frame);
        }
        self.count_traffic();
        self.note_state();
        if self.link.pinned.is_empty() {
            return self.link.client.frame().await;
        }
        self.link.frame_while_keeping().await
    }

    fn count_traffic(&mut self) {
        let traffic = self.link.client.take_traffic();
        let metrics = &self.link.worker.proxy.metrics;
        metrics.received(traffic.received);
        metrics.sent(traffic.sent);
    }

    fn note_state(&self) {
        let state = match self.link.transaction.status() {
            TransactionStatus::Idle => ClientState::Idle,
            TransactionStatus::Open | TransactionStatus::Failed => ClientState::IdleInTransaction,
        };
        self.record.set_state(state, self.link.worker.wall_ms(self.moment));
    }

    /// Begins to work for the client.
    pub(super) fn begin_work(&mut self) {
        self.moment = Instant::now();
        self.record.set_state(ClientState::Active, self.link.worker.wall_ms(self.moment));
    }

    /// Ends what [`Session::begin_work`] began: a Query message, or a run of the extended protocol.
    pub(super) fn end_work(&mut self) {
        let begun = std::mem::replace(&mut self.moment, Instant::now());
        self.link.worker.proxy.metrics.latency(self.moment.duration_since(begun));
    }

    /// Takes a message that needs no work yet, as most of the extended protocol's; tells whether it was one.
    fn gathers(&mut self, kind: u8, body: &Bytes) -> Result<bool, ClientError> {
        // They may have changed while the client was silent.
        if !self.link.transaction.is_open() && self.extended.is_between_pipelines() {
            self.take_rules();
        }
        match kind {
            b'P' | b'B' | b'D' | b'E' | b'C' => Ok(!self.gather_step(kind, body)?),
            _ => Ok(false),
        }
    }

    async fn handle(&mut self, kind: u8, body: Bytes) -> Result<(), ClientError> {
        match kind {
            b'Q' => self.query(&body).await,
            // The last of them was gathered before.
            b'P' | b'B' | b'D' | b'E' | b'C' => self.run_gathered().await,
            b'H' => self.flush_pipeline().await,
            b'S' => self.sync().await,
            b'F' => Box::pin(self.function_call(&body)).await,
            // What is left of a COPY that failed; PostgreSQL ignores it too.
            b'd' | b'c' | b'f' => Ok(()),
            _ => Err(ClientError::Protocol(FrameError::UnknownType(kind))),
        }
    }

    async fn query(&mut self, body: &Bytes) -> Result<(), ClientError> {
        self.begin_work();
        if !self.finish_pipeline().await? {
            return Ok(());
        }
        self.extended.forget_unnamed();
        match frontend::query_text(body) {
            Ok(text) => self.simple(text).await?,
            Err(error) if error.is_in_body() => report::report(&mut self.link, &Failure::Refused(error.into())),
            Err(error) => return Err(error.into()),
        }
        self.end_implicit().await?;
        self.settle_keeping().await?;
        self.end_work();
        self.ready();
        Ok(())
    }

    /// Ahead of ReadyForQuery: a failed transaction lets go of what it holds, and between transactions it is looked what of
    /// the session is still on the servers that it keeps.
    pub(super) async fn settle_keeping(&mut self) -> Result<(), ClientError> {
        if self.link.transaction.is_failed() {
            Box::pin(self.link.let_go()).await;
        }
        if self.link.has_doubts() && !self.link.transaction.is_open() {
            self.link.settle_keeping().await?;
        }
        Ok(())
    }

    /// Says ReadyForQuery; the next message takes the rules of its transaction.
    pub(super) fn ready(&mut self) {
        let link = &mut self.link;
        self.record.set_pinned(link.pin);
        backend::write_ready(link.client.output(), link.transaction.status());
        if !link.transaction.is_open() {
            link.worker.proxy.metrics.transaction();
            self.extended.forget_portals();
        }
    }

    /// Takes the rules and tables as they are now, which is right only between transactions and pipelines.
    fn take_rules(&mut self) {
        let link = &mut self.link;
        let rules = &link.worker.proxy.rules;
        if !link.identity.passthrough && rules.generation() != link.snapshot.generation {
            link.snapshot = rules.load();
        }
    }

    /// Tells a failure, unless nobody is left to tell.
    pub(super) fn tell(&mut self, failure: Failure) -> Result<(), ClientError> {
        match failure {
            Failure::Client(error) => Err(error),
            failure => {
                report::report(&mut self.link, &failure);
                Ok(())
            }
        }
    }

    async fn part(&mut self, error: ClientError) {
        match error {
            ClientError::Gone => debug!("a client is gone"),
            ClientError::Protocol(error) => {
                info!(%error, "a client broke the protocol");
                backend::write_error(self.link.client.output(), "FATAL", &error.into());
                // Best effort: the connection is closed in any case.
                let _ = self.link.client.flush().await;
            }
        }
    }

    /// Returns why the session has to end now, if it has to: with a transaction open it may finish before a drain.
    fn goodbye(&self, signal: &EndSignal) -> Option<Refusal> {
        if let Some(cause) = signal.cause() {
            return Some(cause.refusal());
        }
        let open = self.link.transaction.is_open();
        let status = if open { TransactionStatus::Open } else { TransactionStatus::Idle };
        match self.link.worker.proxy.drain.phase().fate(status) {
            ClientFate::Close => Some(Refusal::new(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down")),
            ClientFate::Stay => None,
        }
    }

    async fn say_goodbye(&mut self, refusal: &Refusal) {
        backend::write_error(self.link.client.output(), "FATAL", refusal);
        // Best effort: the connection is closed in any case.
        let _ = self.link.client.flush().await;
    }
}
