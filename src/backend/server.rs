//! One connection to one server: two buffers, a status, and what a session left behind.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

use super::grant::Slot;
use super::oids::Renumbering;
use super::roster::Enrolled;
use super::socket::{Quiet, Socket};
use super::{BackendError, Borrowers, CancelKey, ServerTarget, SettingsTag, StatementCache, startup};
use crate::types::{ShardId, TransactionStatus};
use crate::wire::backend::{farewell, parameter_status, ready_status};
use crate::wire::frame::{HEADER_BYTES, Header, LARGE_BOUND, header};

/// Room for one read: of 16 to 64 KiB the smallest, since a pool has many connections.
const READ_BYTES: usize = 16 * 1024;
/// The largest buffer that an idle connection keeps.
const IDLE_BUFFER_BYTES: usize = 4 * READ_BYTES;
/// Terminate, whole.
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// Whether the connection's state is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// What was sent and what came match.
    Known,
    /// Never to be used again.
    Broken,
}

/// A connection to a server; dropping it closes it and frees its place in the pool.
///
/// A pointer, because it is handed on several times per transaction.
#[derive(Debug)]
pub struct Server(Box<Connection>);

/// What a [`Server`] is.
pub struct Connection {
    target: Arc<ServerTarget>,
    socket: Socket,
    input: BytesMut,
    output: BytesMut,
    /// Whether TLS may still hold bytes that were written.
    unflushed: bool,
    status: TransactionStatus,
    condition: Condition,
    /// What the server said as it ended the session.
    farewell: Option<Box<str>>,
    /// ReadyForQuery messages that must still come for what was sent.
    due: u32,
    /// How much of `output` has been looked at for messages that are answered by ReadyForQuery; `None` during login.
    counted: Option<usize>,
    /// Whether every reply was read and nothing was sent since.
    rested: bool,
    /// Makes numbers of types and tables home's, where the shard has others.
    renumbering: Option<Box<Renumbering>>,
    parameters: Vec<(String, String)>,
    cancel_key: CancelKey,
    opened: Instant,
    /// The settings that the session layer applied.
    pub settings: SettingsTag,
    /// The statements that the session layer prepared.
    pub statements: StatementCache,
    /// Who had it.
    pub borrowers: Borrowers,
    /// Whether the proxy bounded the lock waits of the open transaction.
    pub lock_bounded: bool,
    pub(super) slot: Option<Slot>,
    pub(super) enrolled: Option<Enrolled>,
}

impl Deref for Server {
    type Target = Connection;

    #[inline]
    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Server {
    #[inline]
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Server {
    /// Connects and logs in within `timeout`; the connection belongs to no pool.
    ///
    /// Fails as unreachable also when the server is starting up or shutting down.
    pub async fn connect(target: &Arc<ServerTarget>, timeout: Duration) -> Result<Self, BackendError> {
        match tokio::time::timeout(timeout, Self::establish(target)).await {
            Ok(established) => established,
            Err(_) => Err(BackendError::Timeout {
                shard: target.shard_name.clone(),
                address: target.address(),
                after: timeout,
            }),
        }
    }

    async fn establish(target: &Arc<ServerTarget>) -> Result<Self, BackendError> {
        let socket = Socket::connect(target).await.map_err(|cause| BackendError::unreachable(target, cause))?;
        let mut server = Self(Box::new(Connection {
            target: target.clone(),
            socket,
            input: BytesMut::new(),
            output: BytesMut::new(),
            unflushed: false,
            status: TransactionStatus::Idle,
            condition: Condition::Known,
            farewell: None,
            due: 0,
            counted: None,
            rested: true,
            renumbering: None,
            parameters: Vec::new(),
            cancel_key: CancelKey::new(target.clone(), 0, &[]),
            opened: Instant::now(),
            settings: SettingsTag::default(),
            statements: StatementCache::default(),
            borrowers: Borrowers::default(),
            lock_bounded: false,
            slot: None,
            enrolled: None,
        }));
        startup::log_in(&mut server).await?;
        server.counted = Some(0);
        Ok(server)
    }
}

impl Connection {
    /// Returns the shard.
    pub fn shard(&self) -> ShardId {
        self.target.shard
    }

    /// Returns where the connection goes.
    pub fn target(&self) -> &Arc<ServerTarget> {
        &self.target
    }

    /// Returns the server's parameters (`server_version`, `TimeZone` and the like) as last reported.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Notes a ParameterStatus that the session read from [`Connection::input`].
    pub fn set_parameter(&mut self, name: &str, value: &str) {
        match self.parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.parameters.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Returns the key that cancels what runs on this connection; cloning it is one counter.
    pub fn cancel_key(&self) -> CancelKey {
        self.cancel_key.clone()
    }

    /// Says that the session's traces are gone: `reset` was run.
    pub fn forget_session(&mut self, reset: &str) {
        if reset.trim().trim_end_matches(';').eq_ignore_ascii_case("DISCARD ALL") {
            self.settings = SettingsTag::default();
            self.statements.clear();
            self.borrowers = Borrowers::default();
        } else {
            self.settings.fingerprint = SettingsTag::UNKNOWN;
        }
    }

    /// Says for `SHOW SERVERS` which client has the connection, by the process number of its key; 0 is nobody.
    pub fn lend(&mut self, client: i32) {
        if client != 0 {
            self.borrowers.lend(client);
        }
        if let Some(enrolled) = &self.enrolled {
            enrolled.lend(client);
        }
    }

    /// Returns a NotificationResponse with the sender's number as its client knows it (BackendKeyData), where this is
    /// `client`, whose connection this is. Where clients keep their connections (`keep`), that of others is known too.
    pub fn named_sender(&self, frame: &[u8], client: i32, keep: bool) -> Option<Vec<u8>> {
        const NUMBER: std::ops::Range<usize> = HEADER_BYTES..HEADER_BYTES + 4;
        let process = i32::from_be_bytes(frame.get(NUMBER)?.try_into().ok()?);
        let sender = match &self.enrolled {
            _ if process == self.process() => client,
            Some(enrolled) if keep => enrolled.client_of(process)?,
            Some(_) | None => return None,
        };
        let mut named = frame.to_vec();
        named[NUMBER].copy_from_slice(&sender.to_be_bytes());
        Some(named)
    }

    /// Returns what SCRAM's channel binding is about, as [`Socket::end_point`] does.
    pub(super) fn end_point(&self) -> Option<Option<&[u8]>> {
        self.socket.end_point()
    }

    /// Lets the system give the connection up when the server's host is silent for longer than `most`.
    pub(super) fn bound_silence(&self, most: Duration) {
        if let Err(error) = self.socket.bound_silence(most) {
            tracing::debug!(server = self.target.address(), %error, "keepalives are the system's");
        }
    }

    /// Returns the process number of the server's backend.
    pub(super) fn process(&self) -> i32 {
        self.cancel_key.process()
    }

    pub(super) fn set_cancel_key(&mut self, process: i32, secret: &[u8]) {
        self.cancel_key = CancelKey::new(self.target.clone(), process, secret);
    }

    /// Returns when the connection was made.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Returns the buffer of bytes to be sent.
    #[inline]
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Returns the bytes received and not consumed yet.
    #[inline]
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Returns the status that the last ReadyForQuery reported.
    #[inline]
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Notes a ReadyForQuery that the session read from [`Connection::input`].
    #[inline]
    pub fn set_status(&mut self, status: TransactionStatus) {
        self.status = status;
        match self.due.checked_sub(1) {
            Some(due) => (self.due, self.rested) = (due, due == 0),
            None if self.counted.is_some() => self.mark_broken(),
            None => {}
        }
    }

    /// Notes a ReadyForQuery for a session that keeps its own account of what is due.
    #[inline]
    pub fn note_status(&mut self, status: TransactionStatus) {
        self.status = status;
    }

    /// Says that the session has read every reply to what it sent.
    #[inline]
    pub fn all_answered(&mut self) {
        self.due = 0;
        self.rested = true;
    }

    /// Says that the server ignores a Sync that was sent, because it came ahead of COPY data.
    pub fn ignore_sync(&mut self) {
        self.due = self.due.saturating_sub(1);
    }

    /// Tells whether replies to what was sent are still to come.
    pub fn is_awaited(&self) -> bool {
        self.due > 0
    }

    /// Says that the connection's state is not known; it will be closed.
    pub fn mark_broken(&mut self) {
        self.condition = Condition::Broken;
    }

    /// Counts the messages in the buffer that the server answers with ReadyForQuery: Query, Sync and FunctionCall.
    fn count_due(&mut self) {
        let Some(mut at) = self.counted else { return };
        // All replies to what is sent together have the same numbers.
        if at < self.output.len() && std::mem::take(&mut self.rested) {
            self.target.oids.renew(&mut self.renumbering, &mut self.input);
        }
        while let Ok(Some(found)) = header(&self.output[at.min(self.output.len())..], LARGE_BOUND) {
            if matches!(found.kind, b'Q' | b'S' | b'F') {
                self.due += 1;
            }
            if let (b'P', Some(renumbering)) = (found.kind, &self.renumbering)
                && let Some(frame) = self.output.get_mut(at..at + found.length)
            {
                renumbering.parse(frame);
            }
            at += found.length;
        }
        self.counted = Some(at);
    }

    /// Tells whether every reply so far was read to its end: an error that ended the session was not.
    pub fn is_in_step(&self) -> bool {
        self.condition == Condition::Known && self.due == 0
    }

    /// Tells whether the next session may have the connection: known state, idle, nothing buffered, never cancelled.
    ///
    /// A connection that a cancel request was sent to is not reused: the request could hit its next user.
    pub fn is_usable(&self) -> bool {
        self.is_at_rest() && !self.cancel_key.was_used()
    }

    /// Tells whether the session that has the connection may use it again: known state, idle, nothing buffered.
    pub fn is_at_rest(&self) -> bool {
        self.is_in_step() && self.status == TransactionStatus::Idle && self.input.is_empty() && self.output.is_empty()
    }

    /// Lets go of buffers that a large frame made large; both are empty when a connection goes idle.
    pub(super) fn shrink_buffers(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > IDLE_BUFFER_BYTES {
                *buffer = BytesMut::new();
            }
        }
    }

    /// Tells whether an idle connection is still open and silent, without a system call in the common case.
    pub(super) fn is_quiet(&self) -> bool {
        self.socket.quiet() == Quiet::Yes
    }

    /// Sends what is in [`Connection::out`]; cancel-safe, as sent bytes leave the buffer at once.
    pub async fn flush(&mut self) -> Result<(), BackendError> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends what is in [`Connection::out`] as far as the socket takes it; ready when all is sent.
    #[inline]
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BackendError>> {
        self.count_due();
        while !self.output.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, &self.output)) {
                Ok(0) => return Poll::Ready(Err(self.lost("the socket takes no more bytes"))),
                Ok(sent) => {
                    self.output.advance(sent);
                    self.counted = self.counted.map(|counted| counted.saturating_sub(sent));
                }
                Err(error) => return Poll::Ready(Err(self.lost(error))),
            }
            self.unflushed = self.socket.end_point().is_some();
        }
        if self.unflushed {
            match ready!(Pin::new(&mut self.socket).poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(error) => return Poll::Ready(Err(self.lost(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads at least one byte into [`Connection::input`] and returns how many; cancel-safe.
    ///
    /// Unsent bytes are sent meanwhile, so that two full sockets cannot wait for each other.
    pub async fn fill(&mut self) -> Result<usize, BackendError> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            self.poll_fill(cx)
        })
        .await
    }

    /// Reads into [`Connection::input`] once; ready with the bytes read, at least one. The end is an error.
    #[inline]
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, BackendError>> {
        self.input.reserve(READ_BYTES);
        let read = pin!(self.socket.read_buf(&mut self.input));
        match ready!(read.poll(cx)) {
            Ok(0) => Poll::Ready(Err(self.lost("the server closed it"))),
            Ok(count) => {
                if let Some(renumbering) = &mut self.renumbering {
                    renumbering.received(&mut self.input, count);
                }
                Poll::Ready(Ok(count))
            }
            Err(error) => Poll::Ready(Err(self.lost(error))),
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.condition == Condition::Broken
    }

    #[cold]
    pub(super) fn lost(&mut self, cause: impl ToString) -> BackendError {
        self.mark_broken();
        match &self.farewell {
            Some(said) => BackendError::closed(&self.target, said),
            None => BackendError::closed(&self.target, cause),
        }
    }

    /// Keeps what the server says as it ends the session, from a whole ErrorResponse frame: the end, which comes next, is
    /// told with it, in one error. Tells whether the frame is that.
    #[cold]
    pub fn note_farewell(&mut self, frame: &[u8]) -> bool {
        let said = frame.get(HEADER_BYTES..).and_then(farewell);
        let is_one = said.is_some();
        self.farewell = said.map(Into::into).or(self.farewell.take());
        is_one
    }

    /// Marks the connection broken and returns the error for bytes that are not the protocol.
    #[cold]
    pub(super) fn violated(&mut self, cause: impl ToString) -> BackendError {
        self.mark_broken();
        BackendError::protocol(&self.target, cause)
    }

    /// Returns the next frame's type and body, for slow paths; sends unsent bytes first, and is cancel-safe.
    ///
    /// Notes ReadyForQuery in the status and ParameterStatus in the parameters; both are returned too.
    pub async fn frame(&mut self) -> Result<(u8, Bytes), BackendError> {
        self.frame_within(LARGE_BOUND).await
    }

    /// As [`Connection::frame`]; fails when the frame is longer than `bound` bytes.
    pub(super) async fn frame_within(&mut self, bound: usize) -> Result<(u8, Bytes), BackendError> {
        loop {
            match header(&self.input, bound) {
                Ok(Some(found)) if found.length <= self.input.len() => return self.take_frame(found),
                Ok(_) => self.fill().await?,
                Err(error) => return Err(self.violated(error)),
            };
        }
    }

    fn take_frame(&mut self, found: Header) -> Result<(u8, Bytes), BackendError> {
        let body = self.input.split_to(found.length).freeze().slice(HEADER_BYTES..);
        match found.kind {
            b'Z' => {
                let status = ready_status(&body).map_err(|error| self.violated(error))?;
                self.set_status(status);
            }
            b'S' => {
                let (name, value) = parameter_status(&body).map_err(|error| self.violated(error))?;
                self.set_parameter(name, value);
            }
            _ => {}
        }
        Ok((found.kind, body))
    }
}

/// Shows no buffer: they hold passwords and rows.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("shard", &self.target.shard_name)
            .field("status", &self.status)
            .field("condition", &self.condition)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.output.is_empty() {
            self.socket.last_word(TERMINATE);
        }
    }
}
