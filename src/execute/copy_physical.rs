//! COPY FROM STDIN into a split table: rows wait for their physical table in bounded memory, and go there by a COPY of
//! their own, since a server takes the data of one at a time.

use std::collections::HashMap;

use bytes::BytesMut;

use crate::plan::{CopySplit, key_from_binary, key_from_text};
use crate::types::{KeyValue, Refusal, ShardId, SqlState, stored};
use crate::wire::{copy_binary, frontend};

use super::collect::{self, Collected};
use super::copy::SHARD_BUFFER_BYTES;
use super::copy_rows::{Split, field_of};
use super::failure::Failure;
use super::link::Link;

/// The most bytes of rows that wait for their physical tables, over all shards: enough for some hundred rows of each of
/// a thousand tables, little beside what a worker may hold for one client otherwise.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Rows that wait for their physical tables.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    buffers: HashMap<(ShardId, usize), BytesMut>,
    bytes: usize,
    /// How many rows the servers have taken.
    copied: u64,
}

impl Link {
    /// Keeps a row until its physical table's turn comes; the fullest go when there are too many.
    pub(super) async fn keep_row(&mut self, split: &mut Split<'_>, shard: ShardId, row: &[u8]) -> Result<(), Failure> {
        let Some(physical) = &split.plan.split else { return Ok(()) };
        let slot = slot_of_row(split, physical, row).map_err(|refusal| split.placed(refusal))?;
        let buffer = split.waiting.buffers.entry((shard, slot)).or_default();
        frontend::write_copy_data(buffer, row);
        split.waiting.bytes += row.len();
        if split.waiting.bytes > WAITING_BYTES_MAX {
            let fullest = split.waiting.buffers.iter().max_by_key(|(_, buffer)| buffer.len()).map(|(place, _)| *place);
            if let Some(place) = fullest {
                self.send_waiting(split, place).await?;
            }
        }
        Ok(())
    }

    /// Sends all rows that wait; returns how many rows the servers have taken in all.
    pub(super) async fn send_all_waiting(&mut self, split: &mut Split<'_>) -> Result<u64, Failure> {
        let mut places: Vec<(ShardId, usize)> = split.waiting.buffers.keys().copied().collect();
        places.sort_unstable_by_key(|(shard, slot)| (*slot, shard.index()));
        for place in places {
            self.send_waiting(split, place).await?;
        }
        Ok(split.waiting.copied)
    }

    /// Copies what waits for one physical table, from the beginning to the end of a COPY.
    async fn send_waiting(&mut self, split: &mut Split<'_>, place: (ShardId, usize)) -> Result<(), Failure> {
        let (Some(mut rows), Some(physical)) = (split.waiting.buffers.remove(&place), &split.plan.split) else {
            return Ok(());
        };
        split.waiting.bytes = split.waiting.buffers.values().map(BytesMut::len).sum();
        let position = self.transaction.position(place.0).ok_or_else(gone)?;
        let statement = physical.statements.get(place.1).ok_or_else(gone)?;
        frontend::write_query(self.transaction.members[position].server.out(), statement);
        self.answered(position).await?;
        let binary = split.plan.binary;
        if binary {
            frontend::write_copy_data(self.transaction.members[position].server.out(), &copy_binary::HEADER);
        }
        if let Some(header) = &split.header {
            frontend::write_copy_data(self.transaction.members[position].server.out(), header);
        }
        while !rows.is_empty() {
            let server = &mut self.transaction.members[position].server;
            server.out().extend_from_slice(&rows.split_to(rows.len().min(SHARD_BUFFER_BYTES)));
            server.flush().await?;
        }
        let server = &mut self.transaction.members[position].server;
        if binary {
            frontend::write_copy_data(server.out(), &copy_binary::TRAILER);
        }
        frontend::write_copy_done(server.out());
        split.waiting.copied += self.answered(position).await?.affected();
        Ok(())
    }

    /// Sends what is written and reads the answer; an error is returned as one.
    async fn answered(&mut self, position: usize) -> Result<Collected, Failure> {
        self.transaction.members[position].server.flush().await?;
        let reply = collect::collect(&mut self.client, &mut self.transaction.members[position]).await?;
        match reply.error {
            Some(frame) => Err(Failure::Shard { frame }),
            None => Ok(reply),
        }
    }
}

/// Returns the slot of a row, which has the id that the proxy made, if it did.
fn slot_of_row(split: &Split<'_>, physical: &CopySplit, row: &[u8]) -> Result<usize, Refusal> {
    let by_type = physical.split.by_type;
    let value: Option<KeyValue> = match split.plan.binary {
        true => copy_binary::field(row, physical.position)
            .flatten()
            .map(|bytes| key_from_binary(by_type, bytes).ok_or_else(|| untyped(physical)))
            .transpose()?,
        false => field_of(split.plan, row, physical.position)?
            .map(|text| {
                let text = std::str::from_utf8(&text).ok();
                text.and_then(|text| key_from_text(by_type, text)).ok_or_else(|| untyped(physical))
            })
            .transpose()?,
    };
    match value {
        Some(value) => Ok(physical.split.slot(&stored(value, by_type, physical.modifier))),
        None => Err(Refusal::new(
            SqlState::NOT_NULL_VIOLATION,
            format!("NULL split column \"{}\" for table \"{}\"", physical.split.by, split.plan.table),
        )
        .with_hint("Give it a value: it says in which physical table the row lives.")),
    }
}

fn untyped(physical: &CopySplit) -> Refusal {
    let name = physical.split.by_type.name();
    Refusal::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("the split column is not of type {name}"))
}

fn gone() -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, "a shard of a split COPY has left the transaction")
}
