//! One server's reply passes to the client: whole chunks, only type bytes are looked at.
//!
//! Rows are never decoded. What the session must know (the command tag, an error, ReadyForQuery) is noted on the way.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};

use crate::backend::{BackendError, Server};
use crate::types::TransactionStatus;
use crate::wire::{backend, frame};

use super::client::{Client, ClientError};
use super::failure::Failure;
use super::position::Position;

/// The largest frame that a server may send; PostgreSQL's own bound is 1 GiB.
const SERVER_FRAME_MAX: usize = 1 << 30;

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
    /// What ReadyForQuery said.
    pub status: Option<TransactionStatus>,
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
            b'E' => error = error.or(Some(whole)),
            b'N' | b'S' | b'A' => client.output().extend_from_slice(&whole),
            b'Z' => {
                note_ready(server, whole[5])?;
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

/// Returns the next whole frame of a server, header included.
pub async fn next_frame(client: &mut Client, server: &mut Server) -> Result<(u8, Bytes), Failure> {
    loop {
        if let Some(header) = header(server)?
            && server.input().len() >= header.length
        {
            return Ok((header.kind, server.input().split_to(header.length).freeze()));
        }
        fill(client, server).await?;
    }
}

/// Passes one reply, up to ReadyForQuery (not passed: the session says its own) or up to a request for COPY data.
pub async fn reply(client: &mut Client, server: &mut Server, passing: Passing, tag: Tag) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut skip = 0;
    loop {
        let position = client.position;
        if scan(client.output(), server, &mut skip, (passing, tag, position), &mut reply)? {
            return Ok(reply);
        }
        client.flush_if_large().await?;
        fill(client, server).await?;
    }
}

/// Passes what is buffered; tells whether the reply is complete. `skip` are bytes of a row still to pass.
fn scan(
    output: &mut BytesMut,
    server: &mut Server,
    skip: &mut usize,
    (passing, tag, position): (Passing, Tag, Position),
    reply: &mut Reply,
) -> Result<bool, Failure> {
    loop {
        let passed = pass_rows(output, server, skip)?;
        if !passed {
            return Ok(false);
        }
        let Some(header) = header(server)? else { return Ok(false) };
        if server.input().len() < header.length {
            return Ok(false);
        }
        let frame = server.input().split_to(header.length).freeze();
        match header.kind {
            b'Z' => {
                reply.status = Some(note_ready(server, frame[5])?);
                return Ok(true);
            }
            b'C' => {
                reply.rows = backend::command_tag(&frame[5..]).map_or(0, rows_of_tag);
                match tag {
                    Tag::Pass => output.extend_from_slice(&frame),
                    Tag::Hold => reply.held = Some(frame),
                }
            }
            b'E' => {
                reply.failed = true;
                output.extend_from_slice(&position.mend(&frame));
            }
            b'G' | b'W' => {
                output.extend_from_slice(&frame);
                reply.copy_in = true;
                return Ok(true);
            }
            kind if passing.passes(kind) => output.extend_from_slice(&frame),
            _ => {}
        }
    }
}

/// Copies the run of DataRow and CopyData frames at the front; false when more bytes are needed to go on.
fn pass_rows(output: &mut BytesMut, server: &mut Server, skip: &mut usize) -> Result<bool, Failure> {
    let input = server.input();
    let mut end = (*skip).min(input.len());
    *skip -= end;
    let mut more = *skip == 0;
    while more && end < input.len() {
        let Some(header) = frame::header(&input[end..], SERVER_FRAME_MAX).unwrap_or_default() else { break };
        if !matches!(header.kind, b'D' | b'd') {
            break;
        }
        let available = input.len() - end;
        end += header.length.min(available);
        *skip = header.length.saturating_sub(available);
        more = *skip == 0;
    }
    output.extend_from_slice(&input[..end]);
    input.advance(end);
    Ok(more)
}

fn header(server: &mut Server) -> Result<Option<frame::Header>, Failure> {
    frame::header(server.input(), SERVER_FRAME_MAX).map_err(|error| protocol(server, error))
}

/// Notes the server's own transaction status.
pub fn note_ready(server: &mut Server, byte: u8) -> Result<TransactionStatus, Failure> {
    let status =
        TransactionStatus::from_byte(byte).ok_or_else(|| protocol(server, "ReadyForQuery with an unknown status"))?;
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
