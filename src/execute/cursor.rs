//! A read over several shards that stops after some rows and goes on later, in bounded memory.
//!
//! Every shard holds an open portal of the transaction and is asked for a portion of its rows when the merge needs one;
//! in between its server is at rest, so that other statements may run there. What only home can merge or answer is run to
//! its end, and its rows are kept here.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::merge::{Column, Merger, Step};
use crate::plan::{Plan, Scatter};
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend::{self, Field};
use crate::wire::frame::{self, HEADER_BYTES};
use crate::wire::frontend::{self, Target};

use super::call::Call;
use super::failure::Failure;
use super::forward;
use super::link::{Link, Role};
use super::position::Position;
use super::same_columns::check_alike;
use super::scatter::{for_shards, visible};

/// The most rows that one shard is asked for at once; fewer where the client wants fewer.
const PORTION_ROWS_MAX: usize = 1_000;

/// The most bytes of rows that one cursor keeps here.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An open read over several shards.
#[derive(Debug)]
pub struct Cursor {
    rows: Rows,
    /// The columns that the client gets.
    pub fields: Vec<Field>,
}

/// Where the rows are.
#[derive(Debug)]
enum Rows {
    /// On the shards.
    Merged(Box<Merged>),
    /// Here: the bodies of their DataRows.
    Kept(VecDeque<Bytes>),
}

/// Rows that are merged as they are asked for.
#[derive(Debug)]
struct Merged {
    /// The name of the portal on every shard.
    portal: String,
    merger: Merger,
    sources: Vec<Source>,
    started: bool,
}

/// One shard's share.
#[derive(Debug)]
struct Source {
    shard: ShardId,
    rows: VecDeque<Bytes>,
    ended: bool,
}

impl Link {
    /// Opens the read on all shards of the plan, in the open transaction; `number` is the session's next one.
    pub async fn open_cursor(&mut self, call: &Call, plan: &Scatter, number: u64) -> Result<Cursor, Failure> {
        if plan.reads_reference {
            for shard in plan.shards.iter() {
                self.wait_for_own_writes(shard).await?;
            }
        }
        self.wait_for_following(plan.shards).await?;
        let presented = self.with_one_present(call, plan).await?;
        let plan = presented.as_ref().unwrap_or(plan);
        let portal = format!("shardloom_cursor_{number}");
        let role = if plan.locks { Role::Locker } else { Role::Reader };
        for shard in plan.shards.iter() {
            let position = self.enlist(shard, role).await?;
            self.flush_member(position).await?;
        }
        for shard in plan.shards.iter() {
            let server = self.server_of(shard)?;
            for_shards(call, plan)?.write_bound(server.out(), &plan.statement, &portal);
            frontend::write_sync(server.out());
            server.flush().await?;
        }
        let mut fields: Option<(ShardId, Vec<Field>)> = None;
        let (mut failed, mut different) = (None, None);
        for shard in plan.shards.iter() {
            match self.portion(shard, &mut VecDeque::new()).await {
                Ok(Answer { fields: Some(own), .. }) => {
                    if let Some((first, fields)) = &fields {
                        let alike = check_alike(&self.snapshot.rules, (*first, fields), (shard, &own));
                        different = different.or(alike.err());
                    }
                    fields = fields.or(Some((shard, own)));
                }
                Ok(_) => {}
                Err(failure @ Failure::Shard { .. }) => failed = failed.or(Some(failure)),
                Err(failure) => return Err(failure),
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        if let Some(refusal) = different {
            return Err(refusal.into());
        }
        let fields = fields.map(|(_, fields)| fields).unwrap_or_default();
        let columns: Vec<Column> =
            fields.iter().map(|field| Column { type_oid: field.type_oid, format: field.format }).collect();
        let merge = plan.merge.clone().resolved(columns.len());
        let merger = Merger::new(&merge, &columns, plan.shards.len(), self.merge_context(&call.text))?;
        let source = |shard| Source { shard, rows: VecDeque::new(), ended: false };
        let fields = visible(&merger, &fields);
        let merged = Merged { portal, merger, sources: plan.shards.iter().map(source).collect(), started: false };
        Ok(Cursor { rows: Rows::Merged(Box::new(merged)), fields })
    }

    /// Runs a read to its end and keeps its rows; for what no shard can hold a portal of.
    pub async fn keep_cursor(&mut self, call: &Call, plan: &Plan) -> Result<Cursor, Failure> {
        self.client.position = Position::Unknown;
        let held = self.client.hold(KEPT_BYTES_MAX);
        let done = match plan {
            Plan::Gather(gather) => Box::pin(self.gather(call, gather)).await,
            Plan::Scatter(scatter) => Box::pin(self.scatter(call, scatter)).await,
            Plan::Direct(_)
            | Plan::MultiWrite(_)
            | Plan::Carry(_)
            | Plan::Copy(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => {
                Err(Refusal::new(SqlState::INTERNAL_ERROR, "a cursor over no read of several shards").into())
            }
        };
        let (mut reply, overflow) = self.client.release(held);
        let mut cursor = Cursor { rows: Rows::Kept(VecDeque::new()), fields: Vec::new() };
        while let Ok(Some(header)) = frame::header(&reply, KEPT_BYTES_MAX)
            && reply.len() >= header.length
        {
            let frame = reply.split_to(header.length);
            match (header.kind, &mut cursor.rows) {
                (b'D', Rows::Kept(rows)) => rows.push_back(frame.slice(HEADER_BYTES..)),
                (b'T', _) => cursor.fields = backend::row_description(&frame[HEADER_BYTES..]).map_err(Refusal::from)?,
                (b'C', _) => {}
                // An error is among what was held.
                (_, _) => self.client.output().extend_from_slice(&frame),
            }
        }
        done?;
        if overflow {
            return Err(too_many_rows().into());
        }
        Ok(cursor)
    }

    /// Returns the next row's DataRow body, `None` after the last; `wanted` is how many the client may still take.
    pub async fn cursor_row(&mut self, cursor: &mut Cursor, wanted: usize) -> Result<Option<Bytes>, Failure> {
        let merged = match &mut cursor.rows {
            Rows::Kept(rows) => return Ok(rows.pop_front()),
            Rows::Merged(merged) => merged,
        };
        loop {
            match merged.merger.poll()? {
                Step::Row(body) => return Ok(Some(body)),
                Step::Done => return Ok(None),
                Step::Need(index) => {
                    let source = &mut merged.sources[index];
                    match source.rows.pop_front() {
                        Some(row) => merged.merger.push(index, row)?,
                        None if source.ended => merged.merger.finish_shard(index),
                        None => self.more(merged, index, wanted).await?,
                    }
                }
            }
        }
    }

    /// Asks the shard for its next portion; at first all of them, at the same time.
    async fn more(&mut self, cursor: &mut Merged, index: usize, wanted: usize) -> Result<(), Failure> {
        let portion = wanted.clamp(1, PORTION_ROWS_MAX) as i32;
        let asked = if cursor.started { index..index + 1 } else { 0..cursor.sources.len() };
        cursor.started = true;
        for source in &cursor.sources[asked.clone()] {
            let server = self.server_of(source.shard)?;
            frontend::write_execute(server.out(), &cursor.portal, portion);
            frontend::write_sync(server.out());
            server.flush().await?;
        }
        let mut failed = None;
        for source in &mut cursor.sources[asked] {
            match self.portion(source.shard, &mut source.rows).await {
                Ok(answer) => source.ended = answer.ended,
                Err(failure @ Failure::Shard { .. }) => failed = failed.or(Some(failure)),
                Err(failure) => return Err(failure),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Closes the portals on the shards.
    pub async fn close_cursor(&mut self, cursor: &Cursor) -> Result<(), Failure> {
        let Rows::Merged(merged) = &cursor.rows else { return Ok(()) };
        for source in &merged.sources {
            let server = self.server_of(source.shard)?;
            frontend::write_close(server.out(), Target::Portal, &merged.portal);
            frontend::write_sync(server.out());
            server.flush().await?;
            self.portion(source.shard, &mut VecDeque::new()).await?;
        }
        Ok(())
    }

    fn server_of(&mut self, shard: ShardId) -> Result<&mut crate::backend::Server, Failure> {
        match self.transaction.position(shard) {
            Some(position) => Ok(&mut self.transaction.members[position].server),
            None => Err(gone().into()),
        }
    }

    /// Reads a shard's answer up to ReadyForQuery.
    async fn portion(&mut self, shard: ShardId, rows: &mut VecDeque<Bytes>) -> Result<Answer, Failure> {
        let position = self.transaction.position(shard).ok_or_else(gone)?;
        let (client, server) = self.client_and_member(position);
        let mut answer = Answer::default();
        let mut error = None;
        loop {
            let (kind, frame) = forward::next_frame(client, server).await?;
            match kind {
                b'D' => rows.push_back(frame.slice(5..)),
                b'T' => answer.fields = backend::row_description(&frame[5..]).ok(),
                b'C' => answer.ended = true,
                b'E' => error = error.or(Some(super::lock_wait::explained(server, frame))),
                b'N' | b'S' | b'A' => {
                    forward::note_parameter(server, &frame);
                    client.output().extend_from_slice(&frame);
                }
                b'Z' => {
                    forward::note_ready(server, &frame)?;
                    return error.map_or(Ok(answer), |frame| Err(Failure::Shard { frame }));
                }
                _ => {}
            }
        }
    }
}

/// What a shard said.
#[derive(Debug, Default)]
struct Answer {
    fields: Option<Vec<Field>>,
    ended: bool,
}

fn too_many_rows() -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a cursor over several shards keeps more than 64 MiB of rows")
        .with_hint("Read it without a cursor, or add the sharding key to the query.")
}

fn gone() -> Refusal {
    Refusal::new(SqlState::INVALID_CURSOR_NAME, "the cursor's transaction has ended")
}
