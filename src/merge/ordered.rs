//! The k-way merge: the least head of all shards goes first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use bytes::Bytes;

use super::key::RowEncoder;
use super::merger::Next;
use super::row::Row;
use super::{Column, MergeContext, MergeSpec};
use crate::types::{Refusal, SqlState};

/// Merges rows by ORDER BY; equal rows come in the order of the shards.
#[derive(Debug)]
pub(super) struct Ordered {
    encoder: RowEncoder,
    queues: Vec<VecDeque<Bytes>>,
    heads: BinaryHeap<Reverse<Head>>,
    /// Shards without a head, and the key that their next row may not come before.
    headless: Vec<(usize, Vec<u8>)>,
}

/// A shard's first row, ordered by its key, then by shard.
#[derive(Debug)]
struct Head {
    key: Vec<u8>,
    shard: usize,
    row: Row,
}

impl Ordered {
    /// Makes the merge; `0A000` when the order's types cannot be compared.
    pub fn new(spec: &MergeSpec, columns: &[Column], shards: usize, context: &MergeContext) -> Result<Self, Refusal> {
        Ok(Self {
            encoder: RowEncoder::for_order(&spec.order, columns, context)?,
            queues: vec![VecDeque::new(); shards],
            heads: BinaryHeap::with_capacity(shards),
            headless: (0..shards).rev().map(|shard| (shard, Vec::new())).collect(),
        })
    }

    /// Takes a row of a known shard.
    pub fn push(&mut self, shard: usize, row: Bytes) {
        self.queues[shard].push_back(row);
    }

    /// Returns how many rows of a shard have not had their turn.
    pub fn waiting(&self, shard: usize) -> usize {
        self.queues[shard].len() + self.heads.iter().filter(|Reverse(head)| head.shard == shard).count()
    }

    /// Returns the least row once every unfinished shard has a head.
    pub fn next(&mut self, finished: &[bool], columns: usize) -> Result<Next, Refusal> {
        while let Some((shard, floor)) = self.headless.pop() {
            match self.queues[shard].pop_front() {
                Some(body) => self.add_head(shard, &floor, Row::parse(body, columns)?)?,
                None if finished[shard] => {}
                None => {
                    self.headless.push((shard, floor));
                    return Ok(Next::Need(shard));
                }
            }
        }
        Ok(match self.heads.pop() {
            Some(Reverse(head)) => {
                self.headless.push((head.shard, head.key));
                Next::Row(head.row)
            }
            None => Next::End,
        })
    }

    /// Checks that the shard keeps the order: if it does not, its collation or settings are not what we think.
    fn add_head(&mut self, shard: usize, floor: &[u8], row: Row) -> Result<(), Refusal> {
        let key = self.encoder.key(&row)?;
        if key.as_slice() < floor {
            let message = format!("shard {shard} sent its rows in another order than the merge expects");
            return Err(Refusal::new(SqlState::INTERNAL_ERROR, message)
                .with_hint("If text is sorted, add COLLATE \"C\" to the expressions of ORDER BY."));
        }
        self.heads.push(Reverse(Head { key, shard, row }));
        Ok(())
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key).then(self.shard.cmp(&other.shard))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}
