//! COPY TO STDOUT of a sharded table: the shards' rows one shard after another, as one COPY.
//!
//! All shards begin at once, so that their snapshots are close together; those whose turn has not come wait on their
//! full sockets. What frames a COPY (header line, signature, trailer) is said once. A query whose rows have to be merged
//! is read as it would be by itself.

use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};

use crate::plan::{CopyOut, MergedCopy, Plan};
use crate::sql::CopyFormat;
use crate::types::{Refusal, SqlState};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{backend, copy_binary, frontend};

use super::call::{Arguments, Call};
use super::client::Client;
use super::copying::Copying;
use super::failure::Failure;
use super::fan_out::{Stream, Task};
use super::forward;
use super::link::{Link, Role};

impl Link {
    /// Runs `COPY table TO STDOUT` on all shards of the plan.
    pub async fn copy_out(&mut self, call: &Call, plan: &CopyOut) -> Result<(), Failure> {
        if let Some(merged) = &plan.merged {
            return self.copy_merged(call, merged).await;
        }
        self.wait_for_following(plan.shards).await?;
        let presented = self.at_the_present(call, &plan.statement).await?;
        let statement = presented.as_ref().map_or(&plan.statement, |(statement, _)| statement);
        let task = Task { call, statement, shards: plan.shards, role: Role::Reader };
        let rows = self.fan_out(task, async |client, streams| pass(client, streams, call, plan).await).await?;
        backend::write_command_complete(self.client.output(), &format!("COPY {rows}"));
        Ok(())
    }

    /// Reads what has to be merged, and writes it as a COPY.
    async fn copy_merged(&mut self, call: &Call, merged: &MergedCopy) -> Result<(), Failure> {
        let result_formats = vec![i16::from(merged.layout.format())];
        let arguments = Some(Rc::new(Arguments { result_formats, ..Arguments::default() }));
        let query = Call { text: merged.text.as_str().into(), arguments, describe: true, literals: None };
        let described = call.describe && call.arguments.is_some();
        self.client.begin_copy(Box::new(Copying::new(merged.layout.clone(), described)));
        let done = match &merged.plan {
            Plan::Scatter(scatter) => self.scatter(&query, scatter).await,
            Plan::Gather(gather) => self.gather(&query, gather).await,
            Plan::Direct(_)
            | Plan::MultiWrite(_)
            | Plan::Carry(_)
            | Plan::Copy(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => Err(no_copy().into()),
        };
        let copied = self.client.end_copy();
        done.and(copied)
    }
}

async fn pass(client: &mut Client, streams: &mut [Stream<'_>], call: &Call, plan: &CopyOut) -> Result<u64, Failure> {
    let mut begun: Option<Bytes> = None;
    for stream in streams.iter_mut() {
        let frame = beginning(client, stream).await?;
        match &begun {
            Some(first) if *first != frame => return Err(unlike().into()),
            Some(_) => {}
            None => begun = Some(frame),
        }
    }
    if call.describe && call.arguments.is_some() {
        backend::write_no_data(client.output());
    }
    client.output().extend_from_slice(&begun.unwrap_or_default());
    let mut rows = 0;
    // Drivers expect the header of binary data in one message with the first row, as PostgreSQL sends it.
    let mut head: &[u8] = if plan.format == CopyFormat::Binary { &copy_binary::HEADER } else { &[] };
    for (index, stream) in streams.iter_mut().enumerate() {
        rows += rows_of(client, stream, plan, index == 0, &mut head).await?;
    }
    if plan.format == CopyFormat::Binary {
        write_data(client.output(), head, &copy_binary::TRAILER);
    }
    frontend::write_copy_done(client.output());
    Ok(rows)
}

/// Reads up to a shard's CopyOutResponse.
async fn beginning(client: &mut Client, stream: &mut Stream<'_>) -> Result<Bytes, Failure> {
    loop {
        match stream.next(client).await? {
            (b'H', frame) => return Ok(frame),
            (b'Z', _) => return Err(no_copy().into()),
            _ => {}
        }
    }
}

/// Passes a shard's rows up to its command tag; returns how many the tag says. `first`: with what comes ahead of them.
/// `head` goes ahead of the first of them.
async fn rows_of(
    client: &mut Client,
    stream: &mut Stream<'_>,
    plan: &CopyOut,
    first: bool,
    head: &mut &[u8],
) -> Result<u64, Failure> {
    let mut heads = usize::from(plan.header || plan.format == CopyFormat::Binary);
    loop {
        let (kind, mut frame) = stream.next(client).await?;
        match kind {
            b'd' => {
                frame.advance(HEADER_BYTES);
                let is_head = std::mem::take(&mut heads) > 0;
                let data = match plan.format {
                    CopyFormat::Binary => without_frame(frame, is_head),
                    CopyFormat::Text | CopyFormat::Csv if is_head && !first => continue,
                    CopyFormat::Text | CopyFormat::Csv => frame,
                };
                if !data.is_empty() {
                    write_data(client.output(), std::mem::take(head), &data);
                    client.flush_if_large().await?;
                }
            }
            b'C' => return Ok(backend::command_tag(&frame[HEADER_BYTES..]).map_or(0, forward::rows_of_tag)),
            b'Z' => return Err(no_copy().into()),
            _ => {}
        }
    }
}

/// Takes the trailer from binary data, and the header, which stands ahead of the first row.
fn without_frame(mut data: Bytes, is_head: bool) -> Bytes {
    let header = if is_head { copy_binary::HEADER.len().min(data.len()) } else { 0 };
    if data[header..] == copy_binary::TRAILER {
        data.truncate(header);
    }
    data.advance(header);
    data
}

fn write_data(out: &mut BytesMut, head: &[u8], data: &[u8]) {
    out.extend_from_slice(b"d");
    out.extend_from_slice(&((head.len() + data.len()) as u32 + 4).to_be_bytes());
    out.extend_from_slice(head);
    out.extend_from_slice(data);
}

fn unlike() -> Refusal {
    Refusal::unsupported(
        "COPY TO of a table that has other columns on another shard",
        "Bring the table to the same columns on all shards, or name the columns.",
    )
}

fn no_copy() -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, "a shard answered a COPY TO without data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_and_trailer_are_said_once() {
        let row = Bytes::from_static(&[0, 1, 0, 0, 0, 1, b'x']);
        let head = |rest: &[u8]| Bytes::from([&copy_binary::HEADER[..], rest].concat());
        assert_eq!(without_frame(head(&row), true), row);
        assert_eq!(without_frame(head(&copy_binary::TRAILER), true), Bytes::new());
        assert_eq!(without_frame(row.clone(), false), row);
        assert_eq!(without_frame(Bytes::from_static(&copy_binary::TRAILER), false), Bytes::new());
        assert_eq!(without_frame(Bytes::from_static(&[1]), true), Bytes::new(), "shorter than any header");
        let mut out = BytesMut::new();
        write_data(&mut out, &copy_binary::HEADER, &row);
        assert_eq!(out[1..5], 30u32.to_be_bytes(), "one message");
    }
}
