//! A read over several shards: rows stream through the merge, the first error stops all.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::merge::{Column, MergeContext, Merger, Step};
use crate::plan::Scatter;
use crate::proxy::Snapshot;
use crate::sql;
use crate::types::{Refusal, SqlState};
use crate::wire::backend::{self, Field};
use crate::wire::frame::{self, HEADER_BYTES};

use super::call::{Arguments, Call};
use super::client::Client;
use super::failure::Failure;
use super::fan_out::{Stream, Task};
use super::link::{Link, Role};
use super::merges::merge_key;
use super::same_columns::check_alike;

/// What the merge needs.
struct Job<'a> {
    call: &'a Call,
    plan: &'a Scatter,
    context: MergeContext,
    snapshot: Arc<Snapshot>,
}

impl Link {
    /// Runs the statement on all shards of the plan and streams the merged rows.
    pub async fn scatter(&mut self, call: &Call, plan: &Scatter) -> Result<(), Failure> {
        if plan.reads_reference {
            for shard in plan.shards.iter() {
                self.wait_for_own_writes(shard).await?;
            }
        }
        self.wait_for_following(plan.shards).await?;
        let presented = self.with_one_present(call, plan).await?;
        let plan = presented.as_ref().unwrap_or(plan);
        if plan.locks && self.open_implicit() {
            let done = self.scatter_rows(call, plan).await;
            return self.end_implicit_read(done).await;
        }
        self.scatter_rows(call, plan).await
    }

    async fn scatter_rows(&mut self, call: &Call, plan: &Scatter) -> Result<(), Failure> {
        if let Some(first) = &plan.lock_first {
            return Box::pin(self.lock_first(call, plan, first)).await;
        }
        let context = self.merge_context(&call.text);
        if !plan.merge.compares() {
            return self.scatter_now(call, plan, context).await;
        }
        // Asked before, if it is not known: a read that is cut short fails its transaction and costs connections.
        let key = merge_key(self.snapshot.generation, &call.text);
        if self.schema_dirty || self.worker.merges.known(key) != Some(true) {
            let fields = self.columns(call, plan).await?;
            let merges = merger(plan, &fields, context);
            self.worker.merges.note(key, merges.is_ok());
            if let Err(refusal) = merges {
                return Box::pin(self.merge_on_home(call, plan, &fields, refusal)).await;
            }
        }
        self.scatter_now(call, plan, context).await
    }

    /// Tells whether the rows can be merged here, one after the other as they are asked for.
    pub async fn merges_here(&mut self, call: &Call, plan: &Scatter) -> Result<bool, Failure> {
        Ok(plan.lock_first.is_none() && self.compares_here(call, plan).await?)
    }

    /// Tells whether the rows can be compared here.
    pub(super) async fn compares_here(&mut self, call: &Call, plan: &Scatter) -> Result<bool, Failure> {
        let key = merge_key(self.snapshot.generation, &call.text);
        if !plan.merge.compares() || !self.schema_dirty && self.worker.merges.known(key) == Some(true) {
            return Ok(true);
        }
        let fields = self.columns(call, plan).await?;
        let merges = merger(plan, &fields, self.merge_context(&call.text)).is_ok();
        self.worker.merges.note(key, merges);
        Ok(merges)
    }

    async fn scatter_now(&mut self, call: &Call, plan: &Scatter, context: MergeContext) -> Result<(), Failure> {
        let job = Job { call, plan, context, snapshot: Arc::clone(&self.snapshot) };
        let sent = for_shards(call, plan)?;
        let task = Task { call: &sent, statement: &plan.statement, shards: plan.shards, role: role(plan) };
        let mut unmerged = None;
        let work =
            async |client: &mut Client, streams: &mut [Stream<'_>]| merge(client, streams, &job, &mut unmerged).await;
        match (self.fan_out(task, work).await, unmerged) {
            (Ok(rows), _) => {
                self.rows = rows;
                backend::write_command_complete(self.client.output(), &format!("SELECT {rows}"));
                Ok(())
            }
            (Err(Failure::Refused(refusal)), Some(fields)) if !self.transaction.is_open() => {
                Box::pin(self.merge_on_home(call, plan, &fields, refusal)).await
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Asks a shard for the columns that it will send.
    async fn columns(&mut self, call: &Call, plan: &Scatter) -> Result<Vec<Field>, Failure> {
        if self.transaction.is_open() {
            self.enlist_all(plan.shards, role(plan)).await?;
        }
        let shard = plan.shards.least().unwrap_or(self.snapshot.rules.home);
        let (sql, types) = (call.sql(&plan.statement), call.types(&plan.statement));
        let described = self.describe_on(shard, sql, &types, 0).await?;
        let given = call.arguments.as_ref().map_or(&[][..], |arguments| &arguments.result_formats);
        let formats = plan.merge.shard_formats(given)?;
        let mut fields = described_fields(&described)?;
        for (at, field) in fields.iter_mut().enumerate() {
            let one_for_all = if formats.len() == 1 { 0 } else { at };
            field.format = formats.get(one_for_all).copied().unwrap_or(0);
        }
        Ok(fields)
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
            equal_text_is_same: !self.snapshot.catalog.has_collations() && sql::collates_by_bytes(text),
            iso_dates: self.settings.get("datestyle").is_none_or(|style| style.to_ascii_lowercase().contains("iso")),
            group_rows_max: self.worker.limits().group_rows,
        }
    }
}

/// What the shards are to an open transaction.
fn role(plan: &Scatter) -> Role {
    if plan.locks { Role::Locker } else { Role::Reader }
}

/// Returns the columns that ParameterDescription and RowDescription, one after the other, speak of.
pub(super) fn described_fields(frames: &[u8]) -> Result<Vec<Field>, Refusal> {
    let parameters = frame::header(frames, frames.len())?.map_or(0, |header| header.length);
    let rows = frames.get(parameters + HEADER_BYTES..).ok_or_else(no_rows)?;
    Ok(backend::row_description(rows)?)
}

/// Returns the call as the shards get it: with a result format for each column that they send.
pub(super) fn for_shards<'a>(call: &'a Call, plan: &Scatter) -> Result<Cow<'a, Call>, Refusal> {
    Ok(match &call.arguments {
        Some(own) if own.result_formats.len() > 1 => {
            let result_formats = plan.merge.shard_formats(&own.result_formats)?;
            let arguments = Arguments { result_formats, ..Arguments::clone(own) };
            Cow::Owned(Call { arguments: Some(Rc::new(arguments)), ..call.clone() })
        }
        Some(_) | None => Cow::Borrowed(call),
    })
}

/// Makes the merge of what the shards send; refuses what cannot be compared here.
fn merger(plan: &Scatter, fields: &[Field], context: MergeContext) -> Result<Merger, Refusal> {
    let columns: Vec<Column> =
        fields.iter().map(|field| Column { type_oid: field.type_oid, format: field.format }).collect();
    let merge = plan.merge.clone().resolved(columns.len());
    Merger::new(&merge, &columns, plan.shards.len(), context)
}

/// Merges the rows; `unmerged` gets the columns if they cannot be compared here.
async fn merge(
    client: &mut Client,
    streams: &mut [Stream<'_>],
    job: &Job<'_>,
    unmerged: &mut Option<Vec<Field>>,
) -> Result<u64, Failure> {
    let mut fields = Vec::new();
    let mut first = None;
    for (stream, shard) in streams.iter_mut().zip(job.plan.shards.iter()) {
        let own = description(client, stream).await?;
        match first {
            None => first = Some(shard),
            Some(first) => check_alike(&job.snapshot.rules, (first, &fields), (shard, &own))?,
        }
        fields = own;
    }
    let mut merger = match merger(job.plan, &fields, job.context) {
        Ok(merger) => merger,
        Err(refusal) => {
            *unmerged = Some(fields);
            return Err(refusal.into());
        }
    };
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
pub(super) async fn description(client: &mut Client, stream: &mut Stream<'_>) -> Result<Vec<Field>, Failure> {
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
pub(super) async fn next_row(client: &mut Client, stream: &mut Stream<'_>) -> Result<Option<Bytes>, Failure> {
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
