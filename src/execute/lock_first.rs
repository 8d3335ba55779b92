//! Row locks under a LIMIT, over several shards: no row stays locked that is not among the first ones.
//!
//! First each shard says which rows it has: with SKIP LOCKED by locking them, as only so it is known which are free; else
//! without locks. The merge tells how many of each are wanted; then each shard locks so many.

use bytes::Bytes;

use crate::merge::{Column, Merger, Step};
use crate::plan::{LockFirst, Scatter, Statement};
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend::{self, Field};
use crate::wire::frontend;

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::fan_out::{Stream, Task};
use super::forward;
use super::link::{Link, Role};
use super::lock_wait;
use super::scatter::{description, for_shards, next_row, visible, write_row};

/// How often the rows are looked for again when others took some of them in between.
const ATTEMPTS: usize = 8;
/// The most bytes of rows that are kept until it is known which are wanted.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// What is gone back to where more rows were locked than are wanted.
const SAVEPOINT: &str = "shardloom_first";

/// What the shards have, in their order.
struct Found {
    fields: Vec<Field>,
    /// DataRow bodies.
    rows: Vec<Vec<Bytes>>,
}

impl Link {
    /// Locks the rows and returns them; runs in the open transaction.
    pub(super) async fn lock_first(&mut self, call: &Call, plan: &Scatter, first: &LockFirst) -> Result<(), Failure> {
        if !self.compares_here(call, plan).await? {
            return Err(unordered().into());
        }
        self.enlist_all(plan.shards, Role::Locker).await?;
        let found = self.lock(call, plan, first).await?;
        let mut merger = self.merger_of(call, plan, &found)?;
        if call.describe {
            backend::write_row_description(self.client.output(), &visible(&merger, &found.fields));
        }
        let mut count = 0;
        for body in merged(&mut merger, &found.rows)? {
            write_row(self.client.output(), &body);
            count += 1;
            self.client.flush_if_large().await?;
        }
        self.rows = count;
        backend::write_command_complete(self.client.output(), &format!("SELECT {count}"));
        Ok(())
    }

    /// Locks the rows, one shard after the other; again where others changed them meanwhile.
    async fn lock(&mut self, call: &Call, plan: &Scatter, first: &LockFirst) -> Result<Found, Failure> {
        let (free, asked) = match &first.unlocked {
            Some(unlocked) => (false, unlocked),
            None => (true, &plan.statement),
        };
        self.tell_all(plan, &format!("SAVEPOINT {SAVEPOINT}")).await?;
        let mut attempt = 1;
        loop {
            let mut found = self.find(call, plan, asked).await?;
            let wanted = self.wanted(call, plan, &found)?;
            // Where a row is another one by the time that it is locked, others may be the first ones.
            let mut same = true;
            for (at, shard) in plan.shards.iter().enumerate() {
                if free && wanted[at] == found.rows[at].len() {
                    continue;
                }
                if free {
                    self.tell(shard, &format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await?;
                }
                let locked = self.lock_some(call, plan, shard, wanted[at]).await?;
                same &= locked == found.rows[at][..wanted[at]];
                found.rows[at] = locked;
            }
            if same || attempt == ATTEMPTS {
                self.tell_all(plan, &format!("RELEASE SAVEPOINT {SAVEPOINT}")).await?;
                return Ok(found);
            }
            self.tell_all(plan, &format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await?;
            attempt += 1;
        }
    }

    /// Asks all shards for their first rows.
    async fn find(&mut self, call: &Call, plan: &Scatter, statement: &Statement) -> Result<Found, Failure> {
        let sent = for_shards(call, plan)?;
        let task = Task { call: &sent, statement, shards: plan.shards, role: Role::Locker };
        let mut found = Found { fields: Vec::new(), rows: Vec::new() };
        self.fan_out(task, async |client: &mut Client, streams: &mut [Stream<'_>]| {
            let mut bytes = 0;
            for stream in streams.iter_mut() {
                found.fields = description(client, stream).await?;
                let mut rows = Vec::new();
                while let Some(row) = next_row(client, stream).await? {
                    bytes += row.len();
                    if bytes > BYTES_MAX {
                        return Err(too_many().into());
                    }
                    rows.push(row);
                }
                found.rows.push(rows);
            }
            Ok(0)
        })
        .await?;
        Ok(found)
    }

    /// Returns how many of each shard's rows are among the first ones.
    fn wanted(&self, call: &Call, plan: &Scatter, found: &Found) -> Result<Vec<usize>, Refusal> {
        let mut merger = self.merger_of(call, plan, found)?;
        let mut taken = vec![0; found.rows.len()];
        loop {
            match merger.poll()? {
                Step::Need(shard) => give(&mut merger, &found.rows, &mut taken, shard)?,
                Step::Row(_) => {}
                Step::Done => break,
            }
        }
        let waiting = |(shard, taken): (usize, usize)| taken - merger.waiting(shard);
        Ok(taken.into_iter().enumerate().map(waiting).collect())
    }

    fn merger_of(&self, call: &Call, plan: &Scatter, found: &Found) -> Result<Merger, Refusal> {
        let column = |field: &Field| Column { type_oid: field.type_oid, format: field.format };
        let columns: Vec<Column> = found.fields.iter().map(column).collect();
        let merge = plan.merge.clone().resolved(columns.len());
        Merger::new(&merge, &columns, plan.shards.len(), self.merge_context(&call.text))
    }

    /// Locks the first `count` rows of one shard.
    async fn lock_some(
        &mut self,
        call: &Call,
        plan: &Scatter,
        shard: ShardId,
        count: usize,
    ) -> Result<Vec<Bytes>, Failure> {
        let (Some(position), true) = (self.transaction.position(shard), count > 0) else { return Ok(Vec::new()) };
        let sent = for_shards(call, plan)?;
        let (client, server) = self.client_and_member(position);
        // A portal locks a row as it gives it.
        sent.write_bound(server.out(), &plan.statement, "");
        frontend::write_execute(server.out(), "", i32::try_from(count).unwrap_or(i32::MAX));
        frontend::write_sync(server.out());
        server.flush().await?;
        let (mut rows, mut error) = (Vec::new(), None);
        loop {
            let (kind, frame) = forward::next_frame(client, server).await?;
            match kind {
                b'D' => rows.push(frame.slice(crate::wire::frame::HEADER_BYTES..)),
                b'E' => error = error.or(Some(lock_wait::explained(server, frame))),
                b'N' | b'S' | b'A' => {
                    forward::note_parameter(server, &frame);
                    client.output().extend_from_slice(&frame);
                }
                b'Z' => {
                    forward::note_ready(server, &frame)?;
                    return error.map_or(Ok(rows), |frame| Err(Failure::Shard { frame }));
                }
                _ => {}
            }
        }
    }

    async fn tell_all(&mut self, plan: &Scatter, sql: &str) -> Result<(), Failure> {
        for shard in plan.shards.iter() {
            self.tell(shard, sql).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, shard: ShardId, sql: &str) -> Result<(), Failure> {
        match self.transaction.position(shard) {
            Some(position) => self.member_simple(position, sql).await,
            None => Ok(()),
        }
    }
}

/// Gives the merge the next row of a shard.
fn give(merger: &mut Merger, rows: &[Vec<Bytes>], given: &mut [usize], shard: usize) -> Result<(), Refusal> {
    match rows[shard].get(given[shard]) {
        Some(row) => {
            given[shard] += 1;
            merger.push(shard, row.clone())
        }
        None => {
            merger.finish_shard(shard);
            Ok(())
        }
    }
}

/// Returns the merged rows.
fn merged(merger: &mut Merger, rows: &[Vec<Bytes>]) -> Result<Vec<Bytes>, Refusal> {
    let (mut given, mut out) = (vec![0; rows.len()], Vec::new());
    loop {
        match merger.poll()? {
            Step::Need(shard) => give(merger, rows, &mut given, shard)?,
            Step::Row(body) => out.push(body),
            Step::Done => return Ok(out),
        }
    }
}

fn unordered() -> Refusal {
    Refusal::unsupported(
        "FOR UPDATE with LIMIT over several shards needs an order that the proxy can compare",
        "Order by numbers, times or ids, by text COLLATE \"C\", or bind the sharding key to one value.",
    )
    .with_reason("merge_lock")
}

fn too_many() -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the rows that FOR UPDATE with LIMIT chooses among exceed 64 MiB")
        .with_hint("Select fewer columns, or lower the LIMIT.")
}
