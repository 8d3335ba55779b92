//! COPY FROM STDIN: passed through to one shard, or split by key over several.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::backend::Server;
use crate::plan::CopyPlan;
use crate::types::{KeyType, KeyValue, Refusal, ShardId, SqlState};
use crate::wire::{FrameError, backend, copy_text, frontend};

use super::call::Call;
use super::client::{Client, ClientError};
use super::collect::{self, Collected};
use super::failure::Failure;
use super::link::{Link, Role};
use super::write::total_tag;

/// COPY data waits per shard up to this much before it is sent; 64 KiB is where larger writes stop paying.
const SHARD_BUFFER_BYTES: usize = 64 * 1024;
/// The longest line that a split COPY accepts; a line must be whole before its key can be read.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Passes COPY data from the client to one server until the client ends it.
///
/// In the extended protocol a Sync that came ahead of the data is ignored, as PostgreSQL does, and the server gets its
/// own after the end.
pub async fn pass(client: &mut Client, server: &mut Server, extended: bool) -> Result<(), Failure> {
    if extended {
        client.note_copy_data();
        server.ignore_sync();
    }
    loop {
        match next_part(client).await? {
            DataPart::Data(data) => {
                frontend::write_copy_data(server.out(), &data);
                if server.out().len() >= SHARD_BUFFER_BYTES {
                    server.flush().await?;
                }
            }
            DataPart::Done => {
                frontend::write_copy_done(server.out());
                break;
            }
            DataPart::Fail(reason) => {
                frontend::write_copy_fail(server.out(), &reason);
                break;
            }
        }
    }
    if extended {
        frontend::write_sync(server.out());
    }
    Ok(server.flush().await?)
}

/// One message of the client during COPY.
enum DataPart {
    Data(Bytes),
    Done,
    Fail(String),
}

async fn next_part(client: &mut Client) -> Result<DataPart, Failure> {
    loop {
        let (kind, body) = client.frame().await?;
        match kind {
            b'd' => return Ok(DataPart::Data(body)),
            b'c' => return Ok(DataPart::Done),
            b'f' => {
                let reason = body.strip_suffix(b"\0").unwrap_or(&body);
                return Ok(DataPart::Fail(String::from_utf8_lossy(reason).into_owned()));
            }
            b'H' | b'S' => {}
            other => {
                // PostgreSQL does not look for the end of such a message, and ends the connection.
                let message = format!("unexpected message type 0x{other:02X} during COPY from stdin");
                let refusal = Refusal::new(SqlState::PROTOCOL_VIOLATION, message);
                backend::write_error(client.output(), "ERROR", &refusal);
                return Err(ClientError::Protocol(FrameError::Desynchronized).into());
            }
        }
    }
}

/// The shards that take part in a split COPY.
struct Split<'a> {
    plan: &'a CopyPlan,
    /// Position in the transaction's members and lines sent, by shard.
    parts: Vec<(ShardId, usize, u64)>,
}

impl Link {
    /// Runs `COPY table FROM STDIN` over all shards of the table's group.
    pub async fn copy(&mut self, call: &Call, plan: &CopyPlan) -> Result<(), Failure> {
        let implicit = self.open_implicit();
        match self.copy_split(call, plan).await {
            Ok(tag) => {
                if implicit {
                    self.commit().await?;
                }
                backend::write_command_complete(self.client.output(), &tag);
                Ok(())
            }
            Err(failure) => {
                if implicit {
                    self.rollback().await;
                }
                Err(failure)
            }
        }
    }

    async fn copy_split(&mut self, call: &Call, plan: &CopyPlan) -> Result<String, Failure> {
        let mut split = Split { plan, parts: Vec::new() };
        let shards = self.snapshot.rules.placement.shards();
        for shard in shards.iter() {
            split.parts.push((shard, self.enlist(shard, Role::Part).await?, 0));
        }
        for (_, position, _) in &split.parts {
            call.write(self.transaction.members[*position].server.out(), &plan.statement);
        }
        let columns = self.start_copies(&split, call.arguments.is_some()).await?;
        self.describe(call, None);
        backend::write_copy_in_response(self.client.output(), 0, columns);
        if call.arguments.is_some() {
            self.client.note_copy_data();
        }
        let fed = self.feed(&mut split).await;
        let reason = match &fed {
            Ok(None) => None,
            Ok(Some(reason)) => Some(reason.clone()),
            Err(Failure::Refused(refusal)) => Some(refusal.message.clone()),
            Err(_) => Some("the client is gone".to_owned()),
        };
        if matches!(fed, Err(Failure::Client(_))) {
            return Err(fed.err().unwrap_or(Failure::Client(ClientError::Gone)));
        }
        if fed.is_err() {
            while let DataPart::Data(_) = next_part(&mut self.client).await? {}
        }
        let replies = self.end_copies(&split, call, reason.as_deref()).await?;
        fed?;
        if let Some(frame) = replies.iter().find_map(|reply| reply.error.clone()) {
            return Err(Failure::Shard { frame });
        }
        for (_, position, lines) in &split.parts {
            if *lines > 0 {
                self.note_write(*position, &plan.effect);
                self.note_rejects(&plan.effect);
                self.transaction.never_redo.get_or_insert_with(|| "COPY over several shards".to_owned());
            }
        }
        Ok(total_tag(&replies[0].tag, replies.iter().map(Collected::affected).sum()))
    }

    /// Waits until every shard asks for data; returns how many columns they expect.
    async fn start_copies(&mut self, split: &Split<'_>, extended: bool) -> Result<usize, Failure> {
        for (_, position, _) in &split.parts {
            self.transaction.members[*position].server.flush().await?;
        }
        let mut error = None;
        let mut asking = Vec::new();
        let mut columns = 0;
        for (_, position, _) in &split.parts {
            let reply = collect::collect(&mut self.client, &mut self.transaction.members[*position]).await?;
            if let Some(frame) = &reply.copy_in {
                columns = frame.get(6..8).map_or(0, |count| usize::from(u16::from_be_bytes([count[0], count[1]])));
                asking.push(*position);
            }
            error = error.or(reply.error);
        }
        let own = usize::from(split.plan.id_tag.is_some());
        let Some(frame) = error else { return Ok(columns.saturating_sub(own)) };
        for position in asking {
            let member = &mut self.transaction.members[position];
            frontend::write_copy_fail(member.server.out(), "COPY failed on another shard");
            if extended {
                member.server.ignore_sync();
                frontend::write_sync(member.server.out());
            }
            member.server.flush().await?;
            collect::collect(&mut self.client, member).await?;
        }
        Err(Failure::Shard { frame })
    }

    /// Routes lines until the client ends the data; `Some(reason)` if it ended it with a failure.
    async fn feed(&mut self, split: &mut Split<'_>) -> Result<Option<String>, Failure> {
        let mut pending = BytesMut::new();
        loop {
            match next_part(&mut self.client).await? {
                DataPart::Data(data) => {
                    pending.extend_from_slice(&data);
                    self.route_lines(split, &mut pending).await?;
                    if pending.len() > LINE_BYTES_MAX {
                        return Err(line_too_long().into());
                    }
                }
                DataPart::Done => {
                    if !pending.is_empty() {
                        pending.extend_from_slice(b"\n");
                        self.route_lines(split, &mut pending).await?;
                    }
                    return Ok(None);
                }
                DataPart::Fail(reason) => return Ok(Some(reason)),
            }
        }
    }

    async fn route_lines(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        while let Some(length) = copy_text::next_row(pending) {
            let row = pending.split_to(length);
            if copy_text::is_end_of_data(&row) {
                continue;
            }
            let total: u64 = split.parts.iter().map(|(_, _, lines)| lines).sum();
            let line = self.with_id(split.plan, &row)?;
            let shard = self.shard_of_line(split.plan, &line, total + 1)?;
            let part = split.parts.iter_mut().find(|(owner, ..)| *owner == shard);
            let (_, position, lines) = part.expect("the parts are all shards of the placement");
            *lines += 1;
            let server = &mut self.transaction.members[*position].server;
            frontend::write_copy_data(server.out(), &line);
            if server.out().len() >= SHARD_BUFFER_BYTES {
                server.flush().await?;
            }
        }
        Ok(())
    }

    /// Appends a generated id to a line whose COPY leaves the id column out.
    fn with_id<'a>(&self, plan: &CopyPlan, row: &'a [u8]) -> Result<Cow<'a, [u8]>, Failure> {
        let Some(tag) = plan.id_tag else { return Ok(Cow::Borrowed(row)) };
        let id = self.worker.proxy.next_id(tag)?;
        let mut line = copy_text::content(row).to_vec();
        line.push(plan.delimiter);
        line.extend_from_slice(id.to_string().as_bytes());
        line.push(b'\n');
        Ok(Cow::Owned(line))
    }

    fn shard_of_line(&self, plan: &CopyPlan, line: &[u8], number: u64) -> Result<ShardId, Failure> {
        let place = |refusal: Refusal| {
            refusal.with_detail(format!("COPY {}, line {number}, column {}.", plan.table, plan.key_position + 1))
        };
        let field = copy_text::field(line, plan.key_position, plan.delimiter, &plan.null)
            .map_err(|error| place(Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, error.to_string())))?;
        let text = field.ok_or_else(|| {
            place(Refusal::new(SqlState::NOT_NULL_VIOLATION, format!("NULL sharding key for table \"{}\"", plan.table)))
        })?;
        let key = std::str::from_utf8(&text).ok().and_then(|text| read_key(plan.key_type, text)).ok_or_else(|| {
            let name = plan.key_type.name();
            place(Refusal::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("the sharding key is not of type {name}"),
            ))
        })?;
        Ok(self.snapshot.rules.shard_of(plan.key_type, &key))
    }

    /// Ends the data on every shard and reads their answers.
    async fn end_copies(
        &mut self,
        split: &Split<'_>,
        call: &Call,
        fail: Option<&str>,
    ) -> Result<Vec<Collected>, Failure> {
        for (_, position, _) in &split.parts {
            let server = &mut self.transaction.members[*position].server;
            match fail {
                Some(reason) => frontend::write_copy_fail(server.out(), reason),
                None => frontend::write_copy_done(server.out()),
            }
            if call.arguments.is_some() {
                server.ignore_sync();
                frontend::write_sync(server.out());
            }
            server.flush().await?;
        }
        let mut replies = Vec::with_capacity(split.parts.len());
        for (_, position, _) in &split.parts {
            let member = &mut self.transaction.members[*position];
            replies.push(collect::collect(&mut self.client, member).await);
        }
        replies.into_iter().collect()
    }
}

/// Reads a key as the column's type reads it.
fn read_key(key_type: KeyType, text: &str) -> Option<KeyValue> {
    crate::plan::key_from_text(key_type, text)
}

fn line_too_long() -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a line of COPY data exceeds 64 MiB")
        .with_hint("Lines of a split COPY must be whole before their sharding key can be read.")
}
