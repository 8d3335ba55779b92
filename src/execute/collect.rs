//! One shard's whole reply, kept until the statement's other shards have answered too.

use bytes::Bytes;

use crate::backend::Server;
use crate::types::{Refusal, SqlState};
use crate::wire::backend;

use super::client::Client;
use super::failure::Failure;
use super::forward;
use super::lock_wait;
use super::transaction::Member;

/// The most bytes of RETURNING rows that a write over several shards may hold until it commits.
pub const RETURNING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a shard answered.
#[derive(Debug, Default)]
pub struct Collected {
    /// The RowDescription frame, if it sent one.
    pub description: Option<Bytes>,
    /// DataRow frames in order.
    pub rows: Vec<Bytes>,
    /// The command tag.
    pub tag: String,
    /// The ErrorResponse frame, if it failed.
    pub error: Option<Bytes>,
    /// Why its deferred constraints do not hold, if they were checked along with it.
    pub check_failure: Option<Failure>,
    /// The CopyInResponse frame, if it waits for COPY data.
    pub copy_in: Option<Bytes>,
    /// NoticeResponse frames.
    pub notices: Vec<Bytes>,
}

impl Collected {
    /// Returns the row count of the tag.
    pub fn affected(&self) -> u64 {
        forward::rows_of_tag(&self.tag)
    }
}

/// Reads a member's reply up to ReadyForQuery, or up to its request for COPY data.
pub async fn collect(client: &mut Client, member: &mut Member) -> Result<Collected, Failure> {
    let preamble = std::mem::take(&mut member.preamble);
    let opened = if preamble > 0 { forward::swallow(client, &mut member.server, preamble).await } else { Ok(()) };
    let collected = from_server(client, &mut member.server).await?;
    opened.map(|()| collected)
}

/// Reads a server's reply up to ReadyForQuery, or up to its request for COPY data.
pub(super) async fn from_server(client: &mut Client, server: &mut Server) -> Result<Collected, Failure> {
    let mut collected = Collected::default();
    let mut bytes = 0;
    loop {
        let (kind, frame) = forward::next_frame(client, server).await?;
        match kind {
            b'T' => collected.description = Some(frame),
            b'D' => {
                bytes += frame.len();
                if bytes <= RETURNING_BYTES_MAX {
                    collected.rows.push(frame);
                }
            }
            b'C' => collected.tag = backend::command_tag(&frame[5..]).unwrap_or_default().to_owned(),
            b'E' => collected.error = collected.error.or(Some(lock_wait::explained(server, frame))),
            b'N' => collected.notices.push(frame),
            b'S' | b'A' => {
                forward::note_parameter(server, &frame);
                client.output().extend_from_slice(&frame);
            }
            b'G' => {
                collected.copy_in = Some(frame);
                return Ok(collected);
            }
            b'Z' => {
                forward::note_ready(server, &frame)?;
                return if bytes <= RETURNING_BYTES_MAX { Ok(collected) } else { Err(too_many_rows().into()) };
            }
            _ => {}
        }
    }
}

pub(super) fn too_many_rows() -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the RETURNING rows of a write over several shards exceed 64 MiB")
        .with_hint("Write fewer rows in one statement, or leave out RETURNING.")
}
