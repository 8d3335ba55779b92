//! The merge's surface: rows of shards in, steps out. Which mode runs is decided once, from the spec.

use std::collections::VecDeque;

use bytes::Bytes;

use super::emit::Emitter;
use super::grouped::Grouped;
use super::ordered::Ordered;
use super::row::Row;
use super::{Column, MergeContext, MergeSpec, OutputColumn};
use crate::types::{Refusal, SqlState};

/// What the merge wants or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing comes out before this shard sent a row or ended.
    Need(usize),
    /// A DataRow body for the client.
    Row(Bytes),
    /// The result is complete; what the shards still send is not wanted.
    Done,
}

/// Merges the rows of several shards.
///
/// The caller reads from a shard when [`Self::poll`] says `Need`; it may push more than one row at a time, and rows of
/// other shards, but should stop reading a shard that is not needed: pushed rows wait in memory.
#[derive(Debug)]
pub struct Merger {
    columns: usize,
    finished: Vec<bool>,
    mode: Mode,
    emitter: Emitter,
}

#[derive(Debug)]
enum Mode {
    /// As the rows arrive.
    Concat(VecDeque<Bytes>),
    /// By keys, every shard's rows being in order.
    Ordered(Ordered),
    /// Equal keys folded; nothing comes out before the last shard ended.
    Grouped(Grouped),
}

impl Merger {
    /// Makes the merge of `shards` shards that send `columns`; `0A000` for what cannot be merged exactly.
    pub fn new(spec: &MergeSpec, columns: &[Column], shards: usize, context: MergeContext) -> Result<Self, Refusal> {
        let mode = if spec.grouped {
            Mode::Grouped(Grouped::new(spec, columns, &context)?)
        } else if spec.order.is_empty() {
            Mode::Concat(VecDeque::new())
        } else {
            Mode::Ordered(Ordered::new(spec, columns, shards, &context)?)
        };
        let emitter = Emitter::new(spec, columns, &context)?;
        Ok(Self { columns: columns.len(), finished: vec![false; shards], mode, emitter })
    }

    /// Returns the columns of the rows that come out.
    pub fn output_columns(&self) -> Vec<OutputColumn> {
        self.emitter.output_columns()
    }

    /// Takes a DataRow body from a shard; fails with `08P01` for a malformed one, `22003` when a sum overflows and
    /// `54000` when there are too many groups. A failed merge is at its end.
    pub fn push(&mut self, shard: usize, row: Bytes) -> Result<(), Refusal> {
        if self.finished.get(shard).is_none_or(|&finished| finished) {
            return Err(Refusal::new(SqlState::INTERNAL_ERROR, format!("a row of shard {shard} came after its end")));
        }
        match &mut self.mode {
            Mode::Concat(rows) => rows.push_back(row),
            Mode::Ordered(ordered) => ordered.push(shard, row),
            Mode::Grouped(grouped) => grouped.add(Row::parse(row, self.columns)?)?,
        }
        Ok(())
    }

    /// Takes note that a shard has no more rows.
    pub fn finish_shard(&mut self, shard: usize) {
        if let Some(finished) = self.finished.get_mut(shard) {
            *finished = true;
        }
    }

    /// Returns how many rows of a shard were pushed and have not had their turn.
    pub fn waiting(&self, shard: usize) -> usize {
        match &self.mode {
            Mode::Ordered(ordered) => ordered.waiting(shard),
            // As they arrive, or all at once.
            Mode::Concat(_) | Mode::Grouped(_) => 0,
        }
    }

    /// Returns the next step; the same errors as [`Self::push`], and `XX000` for rows out of order.
    pub fn poll(&mut self) -> Result<Step, Refusal> {
        while !self.emitter.is_done() {
            let next = match &mut self.mode {
                Mode::Concat(rows) => match rows.pop_front() {
                    Some(body) => Next::Row(Row::parse(body, self.columns)?),
                    None => self.unfinished(),
                },
                Mode::Ordered(ordered) => ordered.next(&self.finished, self.columns)?,
                Mode::Grouped(grouped) => match self.finished.iter().position(|&finished| !finished) {
                    Some(shard) => Next::Need(shard),
                    None => {
                        let Some(group) = grouped.next_group()? else { return Ok(Step::Done) };
                        match self.emitter.emit_folded(grouped, &group)? {
                            Some(body) => return Ok(Step::Row(body)),
                            None => continue,
                        }
                    }
                },
            };
            match next {
                Next::Need(shard) => return Ok(Step::Need(shard)),
                Next::End => return Ok(Step::Done),
                Next::Row(row) => {
                    if let Some(body) = self.emitter.emit(row)? {
                        return Ok(Step::Row(body));
                    }
                }
            }
        }
        Ok(Step::Done)
    }

    fn unfinished(&self) -> Next {
        self.finished.iter().position(|&finished| !finished).map_or(Next::End, Next::Need)
    }
}

/// What a mode has next, before offset, limit and DISTINCT.
#[derive(Debug)]
pub(super) enum Next {
    Need(usize),
    Row(Row),
    End,
}
