//! COPY FROM STDIN: passed through to one shard, or split by key over several.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::backend::Server;
use crate::plan::CopyPlan;
use crate::types::{Refusal, SqlState};
use crate::wire::{FrameError, backend, copy_binary, copy_csv, frontend};

use super::call::Call;
use super::client::{Client, ClientError};
use super::collect::{self, Collected};
use super::copy_ids::header_of;
use super::copy_physical::Waiting;
use super::copy_rows::Split;
use super::failure::Failure;
use super::home_numbers::RowNumbers;
use super::link::{Link, Role};
use super::write::total_tag;

/// COPY data waits per shard up to this much before it is sent; 64 KiB is where larger writes stop paying.
pub(super) const SHARD_BUFFER_BYTES: usize = 64 * 1024;
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
        let mut split = Split {
            plan,
            parts: Vec::new(),
            columns: 0,
            begun: false,
            ended: false,
            done: false,
            csv: plan.csv.map(copy_csv::Rows::new),
            header: None,
            marked: true,
            waiting: Waiting::default(),
            numbers: VecDeque::new(),
            moments: RowNumbers::new(),
        };
        let shards = self.snapshot.rules.shards_of_group(plan.group);
        for shard in shards.iter() {
            self.wait_for_referred(&call.text, shard, &plan.effect).await?;
            split.parts.push((shard, self.enlist(shard, Role::Part).await?, 0));
        }
        split.moments = self.moments(plan).await?;
        for (_, position, _) in &split.parts {
            call.write(self.transaction.members[*position].server.out(), &plan.statement);
        }
        split.marked = split.parts.iter().any(|(_, position, _)| self.takes_mark(*position));
        split.columns = self.start_copies(&split, call.arguments.is_some()).await?;
        let probed = match plan.split {
            // The first physical tables have been asked only whether they are there.
            Some(_) => Some(self.end_copies(&split, call, None).await?),
            None => None,
        };
        if let Some(frame) = probed.iter().flatten().find_map(|reply| reply.error.clone()) {
            return Err(Failure::Shard { frame });
        }
        self.describe(call, None);
        backend::write_copy_in_response(self.client.output(), u8::from(plan.binary), split.columns);
        if call.arguments.is_some() {
            self.client.note_copy_data();
        }
        let mut fed = self.feed(&mut split).await;
        let mut copied = None;
        if let (Some(_), Ok(None)) = (&probed, &fed) {
            match self.send_all_waiting(&mut split).await {
                Ok(rows) => copied = Some(rows),
                Err(failure) => fed = Err(failure),
            }
        }
        let reason = match &fed {
            Ok(None) => None,
            Ok(Some(reason)) => Some(reason.clone()),
            Err(Failure::Refused(refusal)) => Some(refusal.message.clone()),
            Err(_) => Some("the client is gone".to_owned()),
        };
        if matches!(fed, Err(Failure::Client(_))) {
            return Err(fed.err().unwrap_or(Failure::Client(ClientError::Gone)));
        }
        if fed.is_err() && !split.done {
            while let DataPart::Data(_) = next_part(&mut self.client).await? {}
        }
        let replies = match probed {
            Some(probed) => match &fed {
                Ok(Some(reason)) => return Err(failed_by_client(reason).into()),
                Ok(None) | Err(_) => probed,
            },
            None => self.end_copies(&split, call, reason.as_deref()).await?,
        };
        fed?;
        if let Some(frame) = replies.iter().find_map(|reply| reply.error.clone()) {
            return Err(Failure::Shard { frame });
        }
        for (_, position, lines) in &split.parts {
            if *lines > 0 {
                self.note_write(*position, &plan.effect);
                self.note_rejects(&plan.effect);
                self.transaction.members[*position].never_redo = true;
            }
        }
        if !plan.numbers.is_empty() {
            self.forget_sequences().await?;
        }
        let copied = copied.unwrap_or_else(|| replies.iter().map(Collected::affected).sum());
        Ok(total_tag(&replies[0].tag, copied))
    }

    /// Tells whether the server takes `\.` for the end of csv data, as those before PostgreSQL 18 do.
    fn takes_mark(&self, position: usize) -> bool {
        let parameters = self.transaction.members[position].server.parameters();
        let version = parameters.iter().find(|(name, _)| name == "server_version").map(|(_, version)| version.as_str());
        let major =
            version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
        major.is_none_or(|major| major < 18)
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
        let appended = split.plan.numbers.len() + split.plan.moments.len();
        let own = appended + usize::from(split.plan.id_source.is_some());
        let Some(frame) = error else {
            if split.plan.binary {
                for (_, position, _) in &split.parts {
                    let server = &mut self.transaction.members[*position].server;
                    frontend::write_copy_data(server.out(), &copy_binary::HEADER);
                }
            }
            if split.plan.header && split.plan.split.is_some() {
                // What is asked with no rows must have the right header nevertheless.
                let header = header_of(split.plan);
                for (_, position, _) in &split.parts {
                    frontend::write_copy_data(self.transaction.members[*position].server.out(), &header);
                }
            }
            return Ok(columns.saturating_sub(own));
        };
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

    /// Routes rows until the client ends the data; `Some(reason)` if it ended it with a failure.
    async fn feed(&mut self, split: &mut Split<'_>) -> Result<Option<String>, Failure> {
        let mut pending = BytesMut::new();
        loop {
            match next_part(&mut self.client).await? {
                DataPart::Data(data) => {
                    pending.extend_from_slice(&data);
                    // Clients send a message for each row; what concerns many rows wants them together.
                    while pending.len() < SHARD_BUFFER_BYTES
                        && let Some(more) = self.client.buffered_copy_data()?
                    {
                        pending.extend_from_slice(&more);
                    }
                    self.route_rows(split, &mut pending).await?;
                    if pending.len() > LINE_BYTES_MAX {
                        return Err(line_too_long().into());
                    }
                }
                DataPart::Done => {
                    split.done = true;
                    self.route_rest(split, &mut pending).await?;
                    return Ok(None);
                }
                DataPart::Fail(reason) => return Ok(Some(reason)),
            }
        }
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
                None => {
                    if split.plan.binary {
                        frontend::write_copy_data(server.out(), &copy_binary::TRAILER);
                    }
                    frontend::write_copy_done(server.out());
                }
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

/// What a server says when the client ends its data so.
fn failed_by_client(reason: &str) -> Refusal {
    Refusal::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {reason}"))
}

fn line_too_long() -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a line of COPY data exceeds 64 MiB")
        .with_hint("Lines of a split COPY must be whole before their sharding key can be read.")
}
