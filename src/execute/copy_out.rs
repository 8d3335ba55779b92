//! COPY TO STDOUT of a sharded table: the shards' rows one shard after another, as one COPY.
//!
//! All shards begin at once, so that their snapshots are close together; those whose turn has not come wait on their
//! full sockets. What frames a COPY (header line, signature, trailer) is said once.

use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};

use crate::backend::Server;
use crate::plan::{CopyOut, Statement};
use crate::sql::CopyFormat;
use crate::types::{Refusal, SqlState};
use crate::wire::{backend, copy_binary, frontend};

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::forward;
use super::link::{Link, Role};
use super::worker::Worker;

/// One shard's share.
struct Source<'a> {
    server: &'a mut Server,
    /// Whether its ReadyForQuery has come.
    ready: bool,
}

/// What is to be done, and by whom.
struct Job<'a> {
    call: &'a Call,
    plan: &'a CopyOut,
    worker: Rc<Worker>,
    /// This session's own cancel key: when one shard fails, the others are stopped by it.
    cancel: (i32, Vec<u8>),
}

impl Link {
    /// Runs `COPY table TO STDOUT` on all shards of the plan.
    pub async fn copy_out(&mut self, call: &Call, plan: &CopyOut) -> Result<(), Failure> {
        let cancel = (self.cancel.process(), self.cancel.secret().to_vec());
        let job = Job { call, plan, worker: Rc::clone(&self.worker), cancel };
        if self.transaction.is_open() {
            for shard in plan.shards.iter() {
                let position = self.enlist(shard, Role::Reader).await?;
                self.flush_member(position).await?;
            }
            let members = self.transaction.members.iter_mut().map(|member| &mut member.server);
            let servers = members.filter(|server| plan.shards.contains(server.shard())).collect();
            return run(&mut self.client, servers, &job).await;
        }
        let mut servers = Vec::with_capacity(plan.shards.len());
        for shard in plan.shards.iter() {
            servers.push(self.borrow(shard).await?);
        }
        let keys: Vec<_> = servers.iter().map(|server| server.cancel_key()).collect();
        self.cancel.set_active(&keys);
        let done = run(&mut self.client, servers.iter_mut().collect(), &job).await;
        if servers.iter().any(|server| !server.is_in_step()) {
            self.stop_running().await;
        }
        for server in servers {
            self.give_back(server);
        }
        done
    }
}

/// Sends the statement everywhere, passes the rows, and leaves every server at rest.
async fn run(client: &mut Client, servers: Vec<&mut Server>, job: &Job<'_>) -> Result<(), Failure> {
    let mut sources: Vec<Source<'_>> = servers.into_iter().map(|server| Source { server, ready: false }).collect();
    for source in &mut sources {
        job.call.write(source.server.out(), &Statement::Original);
        source.server.flush().await?;
    }
    let passed = pass(client, &mut sources, job).await;
    if matches!(passed, Err(Failure::Client(_) | Failure::Server(_))) {
        return passed.map(|_| ());
    }
    if passed.is_err() && sources.iter().any(|source| !source.ready) {
        job.worker.proxy.cancels.cancel(job.cancel.0, &job.cancel.1).await;
    }
    for source in &mut sources {
        while !source.ready {
            let (kind, frame) = forward::next_frame(client, source.server).await?;
            if kind == b'Z' {
                source.ready = true;
                forward::note_ready(source.server, &frame)?;
            }
        }
    }
    let rows = passed?;
    backend::write_command_complete(client.output(), &format!("COPY {rows}"));
    Ok(())
}

async fn pass(client: &mut Client, sources: &mut [Source<'_>], job: &Job<'_>) -> Result<u64, Failure> {
    let mut begun: Option<Bytes> = None;
    for source in sources.iter_mut() {
        let frame = beginning(client, source).await?;
        match &begun {
            Some(first) if *first != frame => return Err(unlike().into()),
            Some(_) => {}
            None => begun = Some(frame),
        }
    }
    if job.call.describe && job.call.arguments.is_some() {
        backend::write_no_data(client.output());
    }
    client.output().extend_from_slice(&begun.unwrap_or_default());
    let mut rows = 0;
    for (index, source) in sources.iter_mut().enumerate() {
        rows += rows_of(client, source, job.plan, index == 0).await?;
    }
    if job.plan.format == CopyFormat::Binary {
        write_data(client.output(), &copy_binary::TRAILER);
    }
    frontend::write_copy_done(client.output());
    Ok(rows)
}

/// Reads up to a shard's CopyOutResponse.
async fn beginning(client: &mut Client, source: &mut Source<'_>) -> Result<Bytes, Failure> {
    loop {
        let (kind, frame) = forward::next_frame(client, source.server).await?;
        match kind {
            b'H' => return Ok(frame),
            _ => aside(client, source, kind, frame)?,
        }
    }
}

/// Passes a shard's rows up to its command tag; returns how many the tag says. `first`: with what comes ahead of them.
async fn rows_of(client: &mut Client, source: &mut Source<'_>, plan: &CopyOut, first: bool) -> Result<u64, Failure> {
    let mut heads = usize::from(plan.header || plan.format == CopyFormat::Binary);
    loop {
        let (kind, mut frame) = forward::next_frame(client, source.server).await?;
        match kind {
            b'd' => {
                frame.advance(5);
                let is_head = std::mem::take(&mut heads) > 0;
                let data = match plan.format {
                    CopyFormat::Binary => without_frame(frame, is_head, first),
                    CopyFormat::Text | CopyFormat::Csv if is_head && !first => continue,
                    CopyFormat::Text | CopyFormat::Csv => frame,
                };
                if !data.is_empty() {
                    write_data(client.output(), &data);
                    client.flush_if_large().await?;
                }
            }
            b'C' => return Ok(backend::command_tag(&frame[5..]).map_or(0, forward::rows_of_tag)),
            b'c' => {}
            _ => aside(client, source, kind, frame)?,
        }
    }
}

/// Takes the trailer from binary data, and the header, which stands ahead of the first row, except of the `first` shard.
fn without_frame(mut data: Bytes, is_head: bool, first: bool) -> Bytes {
    let header = if is_head { copy_binary::HEADER.len().min(data.len()) } else { 0 };
    if data[header..] == copy_binary::TRAILER {
        data.truncate(header);
    }
    if !first {
        data.advance(header);
    }
    data
}

/// Handles what is no part of the COPY.
fn aside(client: &mut Client, source: &mut Source<'_>, kind: u8, frame: Bytes) -> Result<(), Failure> {
    match kind {
        b'E' => return Err(Failure::Shard { frame }),
        b'N' | b'S' | b'A' => {
            forward::note_parameter(source.server, &frame);
            client.output().extend_from_slice(&frame);
        }
        b'Z' => {
            source.ready = true;
            forward::note_ready(source.server, &frame)?;
            return Err(no_copy().into());
        }
        _ => {}
    }
    Ok(())
}

fn write_data(out: &mut BytesMut, data: &[u8]) {
    out.extend_from_slice(b"d");
    out.extend_from_slice(&(data.len() as u32 + 4).to_be_bytes());
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
        assert_eq!(without_frame(head(&row), true, true), head(&row));
        assert_eq!(without_frame(head(&row), true, false), row);
        assert_eq!(without_frame(head(&copy_binary::TRAILER), true, true), head(&[]));
        assert_eq!(without_frame(head(&copy_binary::TRAILER), true, false), Bytes::new());
        assert_eq!(without_frame(row.clone(), false, false), row);
        assert_eq!(without_frame(Bytes::from_static(&copy_binary::TRAILER), false, false), Bytes::new());
        assert_eq!(without_frame(Bytes::from_static(&[1]), true, false), Bytes::new(), "shorter than any header");
    }
}
