//! A read over several shards: rows stream through the merge, the first error stops all.

use bytes::{Bytes, BytesMut};

use crate::merge::{Column, MergeContext, Merger, Step};
use crate::plan::Scatter;
use crate::sql;
use crate::types::{Refusal, SqlState};
use crate::wire::backend::{self, Field};
use crate::wire::frame::HEADER_BYTES;

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::fan_out::{Stream, Task};
use super::link::{Link, Role};

/// What the merge needs.
struct Job<'a> {
    call: &'a Call,
    plan: &'a Scatter,
    context: MergeContext,
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
            let done = self.scatter_rows(call, plan).await;
            return self.end_implicit_read(done).await;
        }
        self.scatter_rows(call, plan).await
    }

    async fn scatter_rows(&mut self, call: &Call, plan: &Scatter) -> Result<(), Failure> {
        let job = Job { call, plan, context: self.merge_context(&call.text) };
        let role = if plan.locks { Role::Locker } else { Role::Reader };
        let task = Task { call, statement: &plan.statement, shards: plan.shards, role };
        let rows = self.fan_out(task, async |client, streams| merge(client, streams, &job).await).await?;
        backend::write_command_complete(self.client.output(), &format!("SELECT {rows}"));
        Ok(())
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

    /// Returns what the merge must know of the session.
    pub(super) fn merge_context(&self, text: &str) -> MergeContext {
        MergeContext {
            text_is_bytewise: self.snapshot.catalog.sorts_text_by_bytes() && sql::collates_by_bytes(text),
            iso_dates: self.settings.get("datestyle").is_none_or(|style| style.to_ascii_lowercase().contains("iso")),
            group_rows_max: self.worker.limits().group_rows,
        }
    }
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
        match stream.next(client).await? {
            (b'T', frame) => {
                return backend::row_description(&frame[HEADER_BYTES..])
                    .map_err(|error| Failure::Refused(error.into()));
            }
            (b'Z', _) => return Err(no_rows().into()),
            _ => {}
        }
    }
}

/// Returns a shard's next DataRow body, `None` after its last.
async fn next_row(client: &mut Client, stream: &mut Stream<'_>) -> Result<Option<Bytes>, Failure> {
    while !stream.has_ended() {
        match stream.next(client).await? {
            (b'D', frame) => return Ok(Some(frame.slice(HEADER_BYTES..))),
            (b'Z', _) => return Err(no_rows().into()),
            _ => {}
        }
    }
    Ok(None)
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
