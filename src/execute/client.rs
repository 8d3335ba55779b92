//! The client's socket: whole frames in, one write buffer out.
//!
//! Knows nothing of statements. Writes are collected and go out when the session parks on a read, at the end of a
//! reply, or past [`FLUSH_BYTES`].

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::tls::Acceptor;
use crate::wire::frame::{self, FrameError};

use super::copying::Copying;
use super::failure::Failure;
use super::position::Position;
use super::stream::Stream;

/// Replies are written to the socket once this much is waiting; 64 KiB is where larger writes stop paying.
pub const FLUSH_BYTES: usize = 64 * 1024;
/// What one read may bring in; also what an active client's input buffer holds on to.
const READ_BYTES: usize = 16 * 1024;
/// While a server works, the client is only watched for leaving: pipelined input beyond this stays in the kernel.
const AHEAD_BYTES: usize = 64 * 1024;

/// Buffers that one worker keeps for the next clients that speak: as many as clients are usually at work at once.
const SPARE_MAX: usize = 64;

thread_local! {
    /// Empty buffers of one read's size; clients that wait hold none, thousands of idle ones would cost 16 KiB each.
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// One client's connection after the start-up.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    secured: Option<Secured>,
    /// Whether TLS may still hold bytes that were written.
    unflushed: bool,
    input: BytesMut,
    output: BytesMut,
    message_bound: usize,
    /// While replies are held in memory: how many bytes at most.
    held_max: Option<usize>,
    overflow: bool,
    /// While a query's answer becomes the data of a COPY.
    copying: Option<Box<Copying>>,
    /// Where the statement at work stands in the client's text.
    pub position: Position,
    /// Whether COPY data was read since this was last asked.
    copied: bool,
    traffic: Traffic,
}

/// What is known of a client's TLS.
#[derive(Debug, Clone, Default)]
pub struct Secured {
    /// What SCRAM's channel binding is about; `None` where the proxy's certificate allows none.
    pub end_point: Option<Vec<u8>>,
    /// The common name in the client's verified certificate.
    pub common_name: Option<String>,
}

/// Bytes that came and went since they were last asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// From the client.
    pub received: u64,
    /// To the client.
    pub sent: u64,
}

/// What was waiting for the client before replies were held.
#[derive(Debug)]
pub struct Held {
    before: BytesMut,
    /// The bound of who held replies before, if somebody did.
    held_max: Option<usize>,
}

/// Why a client can no longer be talked to.
#[derive(Debug)]
pub enum ClientError {
    /// The client closed the connection or it broke.
    Gone,
    /// The client sent something that is not the protocol.
    Protocol(FrameError),
}

impl From<io::Error> for ClientError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error)
    }
}

impl Client {
    /// Takes over an accepted connection; `message_bound` is the largest frame in bytes that is read.
    pub fn new(stream: Stream, message_bound: usize) -> Self {
        Self {
            stream,
            secured: None,
            unflushed: false,
            input: BytesMut::new(),
            output: BytesMut::new(),
            message_bound,
            held_max: None,
            overflow: false,
            copying: None,
            position: Position::Same,
            copied: false,
            traffic: Traffic::default(),
        }
    }

    /// Notes that COPY data is read in the extended protocol.
    pub fn note_copy_data(&mut self) {
        self.copied = true;
    }

    /// Tells whether COPY data was read in the extended protocol since the last call.
    pub fn took_copy_data(&mut self) -> bool {
        std::mem::take(&mut self.copied)
    }

    /// Returns where the client connects from; `None` for a UNIX socket, or if the connection is broken.
    pub fn address(&self) -> Option<SocketAddr> {
        self.stream.address()
    }

    /// Tells whether the client came through a UNIX socket.
    pub fn is_local(&self) -> bool {
        matches!(self.stream, Stream::Unix(_))
    }

    /// Returns the user id of the process at the other end of a UNIX socket.
    pub fn peer(&self) -> Option<u32> {
        match &self.stream {
            Stream::Unix(stream) => stream.peer_cred().ok().map(|peer| peer.uid()),
            Stream::Tcp(_) | Stream::Tls(_) | Stream::Gone => None,
        }
    }

    /// Tells whether TLS can begin on the connection.
    pub fn may_be_secured(&self) -> bool {
        matches!(self.stream, Stream::Tcp(_))
    }

    /// Returns what is known of the client's TLS; `None` without.
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// Looks at the first byte that comes, and leaves it there; `None` where TLS cannot begin.
    pub async fn first_byte(&self) -> Result<Option<u8>, ClientError> {
        let Stream::Tcp(stream) = &self.stream else { return Ok(None) };
        let mut byte = [0];
        match stream.peek(&mut byte).await? {
            0 => Err(ClientError::Gone),
            _ => Ok(Some(byte[0])),
        }
    }

    /// Takes the client's TLS handshake; `direct`: without a request before. What was waiting to be sent goes out first.
    pub async fn secure(&mut self, acceptor: &Acceptor, direct: bool) -> Result<(), ClientError> {
        self.flush().await?;
        let Stream::Tcp(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(ClientError::Gone);
        };
        let accepted = acceptor
            .accept(stream, direct)
            .await
            .inspect_err(|error| tracing::info!(%error, "a TLS handshake failed"))?;
        self.secured = Some(Secured { end_point: accepted.end_point, common_name: accepted.common_name });
        self.stream = Stream::Tls(Box::new(accepted.stream));
        Ok(())
    }

    /// Sets the largest frame in bytes, small before authentication.
    pub fn set_message_bound(&mut self, bound: usize) {
        self.message_bound = bound;
    }

    /// Returns the buffer that replies are appended to.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Keeps replies in memory from here on, up to `bound` bytes; [`Client::release`] hands them out.
    pub fn hold(&mut self, bound: usize) -> Held {
        let held_max = self.held_max.replace(bound);
        self.overflow = false;
        Held { before: std::mem::take(&mut self.output), held_max }
    }

    /// Ends [`Client::hold`]; returns the replies since and whether some were dropped for the bound.
    pub fn release(&mut self, held: Held) -> (Bytes, bool) {
        self.held_max = held.held_max;
        let replies = std::mem::replace(&mut self.output, held.before);
        (replies.freeze(), std::mem::take(&mut self.overflow))
    }

    /// Has the answer to a query that comes next become the data of a COPY.
    pub fn begin_copy(&mut self, mut copying: Box<Copying>) {
        copying.keep_ahead(std::mem::take(&mut self.output));
        self.copying = Some(copying);
    }

    /// Ends [`Client::begin_copy`].
    ///
    /// # Errors
    /// What a server would have refused; nothing of the answer was passed then.
    pub fn end_copy(&mut self) -> Result<(), Failure> {
        let Some(mut copying) = self.copying.take() else { return Ok(()) };
        copying.turn(&mut self.output).map_err(ClientError::Protocol)?;
        copying.end().map_err(Failure::Refused)
    }

    /// Returns the bytes read and not consumed yet.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Returns the next whole frame if it is buffered already: its type byte and its body.
    pub fn buffered_frame(&mut self) -> Result<Option<(u8, Bytes)>, ClientError> {
        let Some(header) = frame::header(&self.input, self.message_bound)? else {
            return Ok(None);
        };
        if self.input.len() < header.length {
            return Ok(None);
        }
        let mut whole = self.input.split_to(header.length);
        whole.advance(5);
        Ok(Some((header.kind, whole.freeze())))
    }

    /// Returns the data of the next frame if it is there and CopyData.
    pub(super) fn buffered_copy_data(&mut self) -> Result<Option<Bytes>, ClientError> {
        match self.input.first() {
            Some(b'd') => Ok(self.buffered_frame()?.map(|(_, data)| data)),
            _ => Ok(None),
        }
    }

    /// Returns the next frame, flushing what is waiting before it parks. Cancel-safe.
    pub async fn frame(&mut self) -> Result<(u8, Bytes), ClientError> {
        loop {
            if let Some(frame) = self.buffered_frame()? {
                return Ok(frame);
            }
            self.flush().await?;
            self.fill().await?;
        }
    }

    /// Reads at least one byte; the end of the stream is [`ClientError::Gone`]. Cancel-safe.
    pub async fn fill(&mut self) -> Result<(), ClientError> {
        self.input.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(ClientError::Gone),
            read => {
                self.traffic.received += read as u64;
                Ok(())
            }
        }
    }

    /// Writes everything that is waiting.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        if let Some(bound) = self.held_max {
            if self.output.len() > bound {
                self.overflow = true;
                self.output.clear();
            }
            return Ok(());
        }
        if let Some(copying) = &mut self.copying {
            copying.turn(&mut self.output)?;
        }
        if !self.output.is_empty() {
            self.traffic.sent += self.output.len() as u64;
            self.write_out().await?;
        }
        Ok(())
    }

    /// Writes piece by piece; what was written is gone from the buffer even if the future is dropped in between.
    async fn write_out(&mut self) -> Result<(), ClientError> {
        while !self.output.is_empty() {
            // A plain write: a vectored one of one piece costs more in the kernel.
            match self.stream.write(&self.output).await? {
                0 => return Err(ClientError::Gone),
                written => self.output.advance(written),
            }
        }
        if self.stream.buffers() {
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Reads once, into a buffer that is there only while there is something in it; ready with a whole read done.
    ///
    /// The end of the stream is [`ClientError::Gone`].
    #[inline]
    pub fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        if self.input.capacity() == 0 {
            ready!(self.stream.poll_read_ready(context))?;
            self.input = spare();
        }
        self.input.reserve(READ_BYTES);
        let Poll::Ready(read) = pin!(self.stream.read_buf(&mut self.input)).poll(context) else {
            if self.stream.buffers() && self.input.is_empty() {
                put_away(std::mem::take(&mut self.input));
            }
            return Poll::Pending;
        };
        match read? {
            0 => Poll::Ready(Err(ClientError::Gone)),
            read => {
                self.traffic.received += read as u64;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Writes what is waiting as far as the socket takes it; ready when all is written.
    #[inline]
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        while !self.output.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.output))? {
                0 => return Poll::Ready(Err(ClientError::Gone)),
                written => {
                    self.traffic.sent += written as u64;
                    self.output.advance(written);
                    self.unflushed = self.stream.buffers();
                }
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Lets go of empty buffers, for a client that has nothing to say for now.
    pub fn rest(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > 0 {
                put_away(std::mem::take(buffer));
            }
        }
    }

    /// Returns the buffer that replies are appended to, with room for a short reply.
    #[inline]
    pub fn roomy_output(&mut self) -> &mut BytesMut {
        if self.output.capacity() == 0 {
            self.output = spare();
        }
        &mut self.output
    }

    /// Returns the largest frame in bytes that is read.
    pub fn message_bound(&self) -> usize {
        self.message_bound
    }

    /// Returns the bytes that came and went since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    /// Flushes once [`FLUSH_BYTES`] are waiting, so that a large reply does not gather in memory; tells whether it did.
    pub async fn flush_if_large(&mut self) -> Result<bool, ClientError> {
        let is_large = self.output.len() >= FLUSH_BYTES;
        if is_large {
            self.flush().await?;
        }
        Ok(is_large)
    }

    /// Becomes ready when the client is gone; input that arrives meanwhile is kept, up to a bound.
    pub fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.input.len() < AHEAD_BYTES {
            if let Err(error) = ready!(self.stream.poll_read_ready(context)) {
                tracing::debug!(%error, "a client's connection broke");
                return Poll::Ready(());
            }
            self.input.reserve(READ_BYTES);
            match ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(read) => self.traffic.received += read as u64,
            }
        }
        Poll::Pending
    }
}

/// Returns an empty buffer; one that was used before if there is one.
fn spare() -> BytesMut {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(READ_BYTES))
}

/// Keeps an empty buffer for the next client, unless a large message made it large.
fn put_away(mut buffer: BytesMut) {
    // Takes back the room of what was consumed.
    if !buffer.try_reclaim(READ_BYTES) || buffer.capacity() > 2 * READ_BYTES {
        return;
    }
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    });
}
