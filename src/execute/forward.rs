//! One server's reply passes to the client: whole chunks, only type bytes are looked at.
//!
//! Rows are never decoded. What the session must know (the command tag, an error, ReadyForQuery) is noted on the way.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};

use crate::backend::{BackendError, Server, ServerTarget};
use crate::types::TransactionStatus;
use crate::wire::backend;
use crate::wire::frame::{self, FrameError};

use super::client::{Client, ClientError};
use super::failure::Failure;
use super::lock_wait;
use super::position::Position;

/// The largest frame that a server may send; PostgreSQL's own bound is 1 GiB.
pub(super) const SERVER_FRAME_MAX: usize = 1 << 30;

/// What became of a reply.
#[derive(Debug, Default)]
pub struct Reply {
    /// Whether an ErrorResponse was among it.
    pub failed: bool,
    /// Rows of the last command tag, 0 for a tag without a count.
    pub rows: u64,
    /// The last CommandComplete frame, if it was held back.
    pub held: Option<Bytes>,
    /// Whether the server waits for COPY data now.
    pub copy_in: bool,
}

/// Whether CommandComplete passes at once or waits for the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// It passes.
    Pass,
    /// It is kept in [`Reply::held`].
    Hold,
}

/// Which messages besides rows pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// All: the reply to a simple Query.
    Everything,
    /// The reply to an Execute: what answers Parse and Bind stays here, RowDescription or NoData too unless asked for.
    Execution {
        /// Whether the client asked to have the portal described.
        describe: bool,
    },
}

impl Passing {
    /// Returns what passes of a call's reply.
    pub fn of(call: &super::call::Call) -> Self {
        match call.arguments {
            None => Self::Everything,
            Some(_) => Self::Execution { describe: call.describe },
        }
    }

    fn passes(self, kind: u8) -> bool {
        match self {
            Self::Everything => true,
            Self::Execution { describe } => match kind {
                b'1' | b'2' | b'3' => false,
                b'T' | b'n' => describe,
                _ => true,
            },
        }
    }
}

/// Waits for bytes from the server, while noticing that the client leaves.
pub async fn fill(client: &mut Client, server: &mut Server) -> Result<(), Failure> {
    poll_fn(|context| {
        // What is still to be sent goes out meanwhile: two full sockets must not wait for each other.
        if let Poll::Ready(Err(error)) = server.poll_flush(context) {
            return Poll::Ready(Err(Failure::Server(error)));
        }
        if let Poll::Ready(done) = server.poll_fill(context) {
            return Poll::Ready(done.map(|_| ()).map_err(Failure::Server));
        }
        client.poll_gone(context).map(|()| Err(Failure::Client(ClientError::Gone)))
    })
    .await
}

/// Reads `count` replies up to ReadyForQuery that the client did not ask for; an error among them is returned.
pub async fn swallow(client: &mut Client, server: &mut Server, count: usize) -> Result<(), Failure> {
    let mut error = None;
    let mut ready = 0;
    while ready < count {
        let (kind, whole) = next_frame(client, server).await?;
        match kind {
            b'E' => error = error.or(Some(lock_wait::explained(server, whole))),
            b'N' | b'S' | b'A' => {
                note_parameter(server, &whole);
                client.output().extend_from_slice(&whole);
            }
            b'Z' => {
                note_ready(server, &whole)?;
                ready += 1;
            }
            _ => {}
        }
    }
    match error {
        Some(frame) => Err(Failure::Shard { frame }),
        None => Ok(()),
    }
}

/// Reads and drops the replies to everything that was sent, so that the next one is the next statement's.
pub async fn settle(client: &mut Client, server: &mut Server) -> Result<(), Failure> {
    while server.is_awaited() {
        let (kind, whole) = next_frame(client, server).await?;
        match kind {
            b'Z' => {
                note_ready(server, &whole)?;
            }
            b'G' => crate::wire::frontend::write_copy_fail(server.out(), "the statement before it failed"),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the next whole frame of a server, header included; an error that ends its session is told with the end.
pub async fn next_frame(client: &mut Client, server: &mut Server) -> Result<(u8, Bytes), Failure> {
    loop {
        if let Some(header) = header(server)?
            && server.input().len() >= header.length
        {
            let frame = server.input().split_to(header.length).freeze();
            if header.kind != b'E' || !server.note_farewell(&frame) {
                return Ok((header.kind, frame));
            }
        }
        fill(client, server).await?;
    }
}

/// Passes one reply, up to ReadyForQuery (not passed: the session says its own) or up to a request for COPY data.
pub async fn reply(client: &mut Client, server: &mut Server, passing: Passing, tag: Tag) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut skip = 0;
    let mut flushed = false;
    loop {
        let position = client.position.clone();
        if scan(client.output(), server, &mut skip, (passing, tag, position), &mut reply)? {
            return Ok(reply);
        }
        flushed |= client.flush_if_large().await?;
        fill(client, server).await.map_err(|failure| cut(client, failure, skip, flushed))?;
    }
}

/// Takes a failure in the middle of a reply of which `skip` bytes of a row are missing: nothing can be told behind half
/// a row. It is taken back while it has not left, as `flushed` says; else the client's connection ends.
#[cold]
pub fn cut(client: &mut Client, failure: Failure, skip: usize, flushed: bool) -> Failure {
    if skip == 0 {
        return failure;
    }
    if flushed {
        return Failure::Client(ClientError::Gone);
    }
    let output = client.output();
    let mut whole = 0;
    while let Ok(Some(header)) = frame::header(&output[whole..], SERVER_FRAME_MAX)
        && whole + header.length <= output.len()
    {
        whole += header.length;
    }
    output.truncate(whole);
    failure
}

/// Passes one reply as it is, all but ReadyForQuery.
pub async fn pass_reply(client: &mut Client, server: &mut Server) -> Result<Reply, Failure> {
    reply(client, server, Passing::Everything, Tag::Pass).await
}

/// What the scan of a chunk ended with.
enum Chunk {
    /// More bytes are needed.
    More,
    /// ReadyForQuery; it is the last frame of the run.
    Ready(TransactionStatus),
    /// The server waits for COPY data, or streams both ways.
    Copy,
}

/// Passes what is buffered; tells whether the reply is complete. `skip` are bytes of a row still to pass.
fn scan(
    output: &mut BytesMut,
    server: &mut Server,
    skip: &mut usize,
    (passing, tag, position): (Passing, Tag, Position),
    reply: &mut Reply,
) -> Result<bool, Failure> {
    let bounded = server.lock_bounded.then(|| server.target().clone());
    let mut run = Run { from: 0, at: 0, bounded, position, reported: Vec::new(), farewell: None };
    let chunk =
        run.over(server.input(), output, skip, (passing, tag), reply).map_err(|error| protocol(server, error))?;
    server.input().advance(run.at);
    run.reported.iter().for_each(|frame| note_parameter(server, frame));
    if let Some(frame) = run.farewell {
        server.note_farewell(&frame);
    }
    match chunk {
        Chunk::More => Ok(false),
        Chunk::Copy => Ok(true),
        Chunk::Ready(status) => {
            server.set_status(status);
            Ok(true)
        }
    }
}

/// A run of bytes that pass as they are: it is copied once, when something else comes or the chunk ends.
struct Run {
    from: usize,
    at: usize,
    /// The shard, where the proxy has bounded the lock waits.
    bounded: Option<Arc<ServerTarget>>,
    position: Position,
    /// ParameterStatus frames that passed.
    reported: Vec<Bytes>,
    /// The error with which the server ends its session.
    farewell: Option<Bytes>,
}

impl Run {
    fn over(
        &mut self,
        input: &[u8],
        output: &mut BytesMut,
        skip: &mut usize,
        (passing, tag): (Passing, Tag),
        reply: &mut Reply,
    ) -> Result<Chunk, FrameError> {
        let rest = (*skip).min(input.len());
        *skip -= rest;
        self.at = rest;
        while let Some(header) = frame::header(&input[self.at..], SERVER_FRAME_MAX)? {
            let available = input.len() - self.at;
            if matches!(header.kind, b'D' | b'd') {
                self.at += header.length.min(available);
                *skip = header.length.saturating_sub(available);
                continue;
            }
            if available < header.length {
                break;
            }
            let frame = &input[self.at..self.at + header.length];
            let kept = match header.kind {
                b'Z' => {
                    self.copy(input, output);
                    self.at += header.length;
                    return backend::ready_status(&frame[5..]).map(Chunk::Ready);
                }
                b'C' => {
                    reply.rows = backend::command_tag(&frame[5..]).map_or(0, rows_of_tag);
                    if tag == Tag::Hold {
                        reply.held = Some(Bytes::copy_from_slice(frame));
                    }
                    tag == Tag::Hold
                }
                b'E' if backend::farewell(&frame[5..]).is_some() => {
                    self.farewell = Some(Bytes::copy_from_slice(frame));
                    true
                }
                b'E' => {
                    reply.failed = true;
                    let told = self.bounded.as_ref().and_then(|target| lock_wait::told(&target.shard_name, frame));
                    let mended = told.or_else(|| self.mended(frame));
                    mended.is_some_and(|mended| {
                        self.copy(input, output);
                        output.extend_from_slice(&mended);
                        true
                    })
                }
                b'S' => {
                    self.reported.push(Bytes::copy_from_slice(frame));
                    false
                }
                kind => !passing.passes(kind),
            };
            if kept {
                self.copy(input, output);
                self.from = self.at + header.length;
            }
            self.at += header.length;
            if matches!(header.kind, b'G' | b'W') {
                self.copy(input, output);
                reply.copy_in = true;
                return Ok(Chunk::Copy);
            }
        }
        self.copy(input, output);
        Ok(Chunk::More)
    }

    /// Returns an error with its position in the client's own text, if that differs from the shard's.
    fn mended(&self, error: &[u8]) -> Option<Bytes> {
        (!matches!(self.position, Position::Same)).then(|| Bytes::copy_from_slice(&self.position.mend(error)))
    }

    fn copy(&mut self, input: &[u8], output: &mut BytesMut) {
        output.extend_from_slice(&input[self.from..self.at]);
        self.from = self.at;
    }
}

fn header(server: &mut Server) -> Result<Option<frame::Header>, Failure> {
    frame::header(server.input(), SERVER_FRAME_MAX).map_err(|error| protocol(server, error))
}

/// Passes the run of DataRow and CopyData frames at the front of the server's buffer; `skip` are bytes of a frame that
/// are still to come.
pub fn pass_rows(output: &mut BytesMut, server: &mut Server, skip: &mut usize) -> Result<(), Failure> {
    let input = server.input();
    let mut end = (*skip).min(input.len());
    *skip -= end;
    let mut broken = None;
    while *skip == 0 {
        let header = match frame::header(&input[end..], SERVER_FRAME_MAX) {
            Ok(Some(header)) if matches!(header.kind, b'D' | b'd') => header,
            Ok(_) => break,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        let available = input.len() - end;
        end += header.length.min(available);
        *skip = header.length.saturating_sub(available);
    }
    output.extend_from_slice(&input[..end]);
    input.advance(end);
    match broken {
        Some(error) => Err(protocol(server, error)),
        None => Ok(()),
    }
}

/// Returns the length of the frame at the front of the server's buffer if all of it is there.
pub fn whole_frame(server: &mut Server) -> Result<Option<usize>, Failure> {
    let length = header(server)?.map(|header| header.length);
    Ok(length.filter(|length| server.input().len() >= *length))
}

/// Notes what a server says of its parameters, from a whole frame; other frames say nothing of them.
pub fn note_parameter(server: &mut Server, frame: &[u8]) {
    if frame.first() == Some(&b'S')
        && let Ok((name, value)) = backend::parameter_status(frame.get(5..).unwrap_or_default())
    {
        server.set_parameter(name, value);
    }
}

/// Notes the server's own transaction status, from a whole ReadyForQuery frame.
pub fn note_ready(server: &mut Server, frame: &[u8]) -> Result<TransactionStatus, Failure> {
    let status = frame.get(5).copied().and_then(TransactionStatus::from_byte);
    let status = status.ok_or_else(|| protocol(server, "ReadyForQuery with an unknown status"))?;
    server.set_status(status);
    Ok(status)
}

fn protocol(server: &Server, cause: impl ToString) -> Failure {
    Failure::Server(BackendError::Protocol { shard: server.target().shard_name.clone(), cause: cause.to_string() })
}

/// Returns the row count of a command tag: the last word of `INSERT 0 5`, `UPDATE 5`, `SELECT 5`; 0 without one.
pub fn rows_of_tag(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::rows_of_tag;

    #[test]
    fn the_count_is_the_last_word_of_a_tag() {
        assert_eq!(rows_of_tag("INSERT 0 5"), 5);
        assert_eq!(rows_of_tag("UPDATE 12"), 12);
        assert_eq!(rows_of_tag("CREATE TABLE"), 0);
    }
}
