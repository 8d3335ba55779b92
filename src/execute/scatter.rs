//! A read over several shards: rows stream through the merge, the first error stops all.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::backend::Server;
use crate::merge::{Column, MergeContext, Merger, Step};
use crate::plan::Scatter;
use crate::sql;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend::{self, Field};

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::forward;
use super::link::{Link, Role};
use super::worker::Worker;

/// What is to be done, and by whom.
struct Job<'a> {
    call: &'a Call,
    plan: &'a Scatter,
    context: MergeContext,
    worker: Rc<Worker>,
    /// The process number of this session's own cancel key: when one shard fails, the others are stopped by it.
    cancel: i32,
}

/// One shard's stream of rows.
struct Stream<'a> {
    server: &'a mut Server,
    /// Whether its last row has come.
    ended: bool,
    /// Whether its ReadyForQuery has come.
    ready: bool,
}

impl Link {
    /// Runs the statement on all shards of the plan and streams the merged rows.
    pub async fn scatter(&mut self, call: &Call, plan: &Scatter) -> Result<(), Failure> {
        if plan.reads_reference {
            for shard in plan.shards.iter() {
                self.wait_for_own_writes(shard).await?;
            }
        }
        if plan.locks && self.open_implicit() {
            let done = self.scatter_in_transaction(call, plan).await;
            return self.end_implicit_read(done).await;
        }
        if self.transaction.is_open() {
            return self.scatter_in_transaction(call, plan).await;
        }
        let mut servers = Vec::with_capacity(plan.shards.len());
        for shard in plan.shards.iter() {
            servers.push(self.borrow(shard).await?);
        }
        let keys: Vec<_> = servers.iter().map(|server| server.cancel_key()).collect();
        self.cancel.set_active(&keys);
        let job = self.job(call, plan);
        let done = run(&mut self.client, servers.iter_mut().collect(), &job).await;
        if servers.iter().any(|server| !server.is_in_step()) {
            self.stop_running().await;
        }
        for server in servers {
            self.give_back(server);
        }
        done
    }

    async fn scatter_in_transaction(&mut self, call: &Call, plan: &Scatter) -> Result<(), Failure> {
        let mut positions = Vec::with_capacity(plan.shards.len());
        for shard in plan.shards.iter() {
            positions.push(self.enlist(shard, if plan.locks { Role::Locker } else { Role::Reader }).await?);
        }
        for position in &positions {
            self.flush_member(*position).await?;
        }
        let job = self.job(call, plan);
        let order: Vec<ShardId> = plan.shards.iter().collect();
        let mut members: Vec<_> = self
            .transaction
            .members
            .iter_mut()
            .map(|member| &mut member.server)
            .filter(|server| plan.shards.contains(server.shard()))
            .collect();
        members.sort_by_key(|server| order.iter().position(|shard| *shard == server.shard()));
        run(&mut self.client, members, &job).await
    }

    /// Ends the transaction that locking reads over several shards need, with which their locks go.
    async fn end_implicit_read(&mut self, done: Result<(), Failure>) -> Result<(), Failure> {
        match done {
            Ok(()) => self.commit().await,
            Err(failure) => {
                self.rollback().await;
                Err(failure)
            }
        }
    }

    fn job<'a>(&self, call: &'a Call, plan: &'a Scatter) -> Job<'a> {
        let cancel = self.cancel.process();
        Job { call, plan, context: self.merge_context(&call.text), worker: Rc::clone(&self.worker), cancel }
    }

    /// Returns what the merge must know of the session.
    pub(super) fn merge_context(&self, text: &str) -> MergeContext {
        MergeContext {
            text_is_bytewise: self.snapshot.catalog.sorts_text_by_bytes() && sql::collates_by_bytes(text),
            iso_dates: self.settings.get("datestyle").is_none_or(|style| style.to_ascii_lowercase().contains("iso")),
            group_rows_max: self.worker.limits().group_rows,
        }
    }
}

/// Sends the statement everywhere, merges, and leaves every server at rest.
async fn run(client: &mut Client, servers: Vec<&mut Server>, job: &Job<'_>) -> Result<(), Failure> {
    let mut streams: Vec<Stream<'_>> =
        servers.into_iter().map(|server| Stream { server, ended: false, ready: false }).collect();
    for stream in &mut streams {
        job.call.write(stream.server.out(), &job.plan.statement);
        stream.server.flush().await?;
    }
    let merged = merge(client, &mut streams, job).await;
    if matches!(merged, Err(Failure::Client(_) | Failure::Server(_))) {
        return merged.map(|_| ());
    }
    if merged.is_err() && streams.iter().any(|stream| !stream.ended && !stream.ready) {
        job.worker.proxy.cancels.cancel_process(job.cancel).await;
    }
    drain(client, &mut streams).await?;
    let rows = merged?;
    backend::write_command_complete(client.output(), &format!("SELECT {rows}"));
    Ok(())
}

async fn merge(client: &mut Client, streams: &mut [Stream<'_>], job: &Job<'_>) -> Result<u64, Failure> {
    let mut fields = Vec::new();
    for stream in streams.iter_mut() {
        fields = description(client, stream).await?;
    }
    let columns: Vec<Column> =
        fields.iter().map(|field| Column { type_oid: field.type_oid, format: field.format }).collect();
    let merge = job.plan.merge.clone().resolved(columns.len());
    let mut merger = Merger::new(&merge, &columns, streams.len(), job.context)?;
    if job.call.describe {
        backend::write_row_description(client.output(), &visible(&merger, &fields));
    }
    let mut rows = 0;
    loop {
        match merger.poll()? {
            Step::Row(body) => {
                write_row(client.output(), &body);
                rows += 1;
                client.flush_if_large().await?;
            }
            Step::Need(shard) => match next_row(client, &mut streams[shard]).await? {
                Some(body) => merger.push(shard, body)?,
                None => merger.finish_shard(shard),
            },
            Step::Done => return Ok(rows),
        }
    }
}

/// Reads up to a shard's RowDescription.
async fn description(client: &mut Client, stream: &mut Stream<'_>) -> Result<Vec<Field>, Failure> {
    loop {
        let (kind, frame) = forward::next_frame(client, stream.server).await?;
        match kind {
            b'T' => return backend::row_description(&frame[5..]).map_err(|error| Failure::Refused(error.into())),
            b'E' => return Err(Failure::Shard { frame }),
            b'N' | b'S' | b'A' => {
                forward::note_parameter(stream.server, &frame);
                client.output().extend_from_slice(&frame);
            }
            b'Z' => {
                stream.ready = true;
                forward::note_ready(stream.server, &frame)?;
                return Err(no_rows().into());
            }
            _ => {}
        }
    }
}

/// Returns a shard's next DataRow body, `None` after its last.
async fn next_row(client: &mut Client, stream: &mut Stream<'_>) -> Result<Option<Bytes>, Failure> {
    if stream.ended {
        return Ok(None);
    }
    loop {
        let (kind, frame) = forward::next_frame(client, stream.server).await?;
        match kind {
            b'D' => return Ok(Some(frame.slice(5..))),
            b'C' => {
                stream.ended = true;
                return Ok(None);
            }
            b'E' => return Err(Failure::Shard { frame }),
            b'N' | b'S' | b'A' => {
                forward::note_parameter(stream.server, &frame);
                client.output().extend_from_slice(&frame);
            }
            _ => {}
        }
    }
}

/// Brings every server to rest: what it still sends is read and dropped.
async fn drain(client: &mut Client, streams: &mut [Stream<'_>]) -> Result<(), Failure> {
    for stream in streams {
        while !stream.ready {
            let (kind, frame) = forward::next_frame(client, stream.server).await?;
            if kind == b'Z' {
                stream.ready = true;
                forward::note_ready(stream.server, &frame)?;
            }
        }
    }
    Ok(())
}

/// Returns the columns that the client gets of what the shards send.
pub(super) fn visible(merger: &Merger, fields: &[Field]) -> Vec<Field> {
    merger
        .output_columns()
        .iter()
        .map(|output| {
            let mut field = fields[output.source].clone();
            if field.type_oid != output.type_oid {
                field.type_oid = output.type_oid;
                field.type_size = -1;
                field.type_modifier = -1;
            }
            field
        })
        .collect()
}

/// Appends a row.
pub fn write_row(out: &mut BytesMut, body: &[u8]) {
    out.extend_from_slice(b"D");
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
}

fn no_rows() -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, "a shard answered a read over several shards without a row description")
}
