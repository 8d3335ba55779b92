//! The rows of a split COPY FROM STDIN: whole ones are taken from the client's data and sent to the shard of their key.

use std::borrow::Cow;

use bytes::BytesMut;

use crate::plan::{CopyPlan, key_from_binary, key_from_text};
use crate::rules::RuleSet;
use crate::types::{KeyType, KeyValue, Refusal, ShardId, SqlState, stored};
use crate::wire::copy_binary::{self, CopyBinaryError, Next};
use crate::wire::{copy_text, frontend};

use super::copy::SHARD_BUFFER_BYTES;
use super::copy_ids::with_id;
use super::copy_physical::Waiting;
use super::failure::Failure;
use super::link::Link;

/// The shards that take part in a split COPY, and what is known of the data.
pub(super) struct Split<'a> {
    /// What is copied.
    pub plan: &'a CopyPlan,
    /// Position in the transaction's members and rows sent, by shard.
    pub parts: Vec<(ShardId, usize, u64)>,
    /// How many columns the client's rows have.
    pub columns: usize,
    /// Whether the header of binary data has come.
    pub begun: bool,
    /// Whether the mark that ends the data has come: `\.` or the trailer of binary data.
    pub ended: bool,
    /// Whether the client has ended the data.
    pub done: bool,
    /// Rows that wait for their physical tables, where the table is split.
    pub waiting: Waiting,
}

impl Link {
    /// Sends the whole rows at the front of `pending`; what is left is the beginning of one.
    pub(super) async fn route_rows(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        match split.plan.binary {
            true => self.route_binary(split, pending).await,
            false => self.route_lines(split, pending).await,
        }
    }

    /// Sends what is left when the client ends the data.
    pub(super) async fn route_rest(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        if split.plan.binary {
            return match (split.begun, pending.is_empty()) {
                (true, true) => Ok(()),
                (true, false) => Err(misread(CopyBinaryError::End).into()),
                (false, _) => Err(misread(CopyBinaryError::Signature).into()),
            };
        }
        if pending.is_empty() {
            return Ok(());
        }
        pending.extend_from_slice(b"\n");
        self.route_lines(split, pending).await
    }

    async fn route_lines(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        while !split.ended
            && let Some(length) = copy_text::next_row(pending)
        {
            let row = pending.split_to(length);
            if copy_text::is_end_of_data(&row) {
                split.ended = true;
                break;
            }
            let key = key_of_line(split.plan, &row).map_err(|refusal| split.placed(refusal))?;
            self.check_line(split, key.as_ref(), &row)?;
            let line = self.with_id(split, key.as_ref(), &row).await?;
            self.send_row(split, key.as_ref(), &line).await?;
        }
        if split.ended {
            // As PostgreSQL passes over what comes behind the mark.
            pending.clear();
        }
        Ok(())
    }

    async fn route_binary(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        if !split.begun {
            let Some(length) = copy_binary::header(pending).map_err(misread)? else { return Ok(()) };
            let _ = pending.split_to(length);
            split.begun = true;
        }
        while !split.ended {
            match copy_binary::next(pending, split.columns).map_err(|error| split.placed(misread(error)))? {
                Next::Unknown => return Ok(()),
                Next::Trailer => {
                    let _ = pending.split_to(copy_binary::TRAILER.len());
                    split.ended = true;
                }
                Next::Row(length) => {
                    let row = pending.split_to(length);
                    let key = key_of_row(split.plan, &row).map_err(|refusal| split.placed(refusal))?;
                    self.check_row(split, key.as_ref(), &row)?;
                    let row = match split.plan.id_source {
                        Some(source) => Cow::Owned(with_id(&row, &self.row_id(split, source, key.as_ref()).await?)),
                        None => Cow::Borrowed(&row[..]),
                    };
                    self.send_row(split, key.as_ref(), &row).await?;
                }
            }
        }
        match pending.is_empty() {
            true => Ok(()),
            false => Err(behind_the_end().into()),
        }
    }

    async fn send_row(&mut self, split: &mut Split<'_>, key: Option<&KeyValue>, row: &[u8]) -> Result<(), Failure> {
        let shard = self.shard_of_row(split, key)?;
        let part = split.parts.iter_mut().find(|(owner, ..)| *owner == shard);
        let (_, position, rows) = part.expect("the parts are all shards of the group");
        *rows += 1;
        if split.plan.split.is_some() {
            return self.keep_row(split, shard, row).await;
        }
        let server = &mut self.transaction.members[*position].server;
        frontend::write_copy_data(server.out(), row);
        if server.out().len() >= SHARD_BUFFER_BYTES {
            server.flush().await?;
        }
        Ok(())
    }

    pub(super) fn shard_of_row(&self, split: &Split<'_>, key: Option<&KeyValue>) -> Result<ShardId, Refusal> {
        let shard = match key {
            Some(key) => self.snapshot.rules.shard_of(split.plan.group, key),
            None => self.snapshot.rules.shard_of_null(split.plan.group),
        };
        shard.ok_or_else(|| split.placed(no_place(split.plan, key, &self.snapshot.rules)))
    }
}

impl Split<'_> {
    /// Says at which row something went wrong.
    pub(super) fn placed(&self, refusal: Refusal) -> Refusal {
        let number: u64 = self.parts.iter().map(|(_, _, rows)| rows).sum::<u64>() + 1;
        let (table, column) = (&self.plan.table, self.plan.key_position + 1);
        refusal.with_detail(format!("COPY {table}, line {number}, column {column}."))
    }
}

/// Returns the key of a line, `None` for NULL.
fn key_of_line(plan: &CopyPlan, line: &[u8]) -> Result<Option<KeyValue>, Refusal> {
    whole_key(plan, |position, key_type| {
        let field = copy_text::field(line, position, plan.delimiter, &plan.null)
            .map_err(|error| Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, error.to_string()))?;
        let Some(text) = field else { return Ok(None) };
        let key = std::str::from_utf8(&text).ok().and_then(|text| key_from_text(key_type, text));
        key.map(Some).ok_or_else(|| {
            let name = key_type.name();
            Refusal::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("the sharding key is not of type {name}"))
        })
    })
}

/// Returns the key of a row in binary format, `None` for NULL.
fn key_of_row(plan: &CopyPlan, row: &[u8]) -> Result<Option<KeyValue>, Refusal> {
    whole_key(plan, |position, key_type| {
        let field = copy_binary::field(row, position).ok_or_else(|| misread(CopyBinaryError::End))?;
        let Some(bytes) = field else { return Ok(None) };
        key_from_binary(key_type, bytes)
            .map(Some)
            .ok_or_else(|| Refusal::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format"))
    })
}

/// Returns the key as its columns keep it; a composite one is NULL if one of its columns is.
fn whole_key(
    plan: &CopyPlan,
    column: impl Fn(usize, KeyType) -> Result<Option<KeyValue>, Refusal>,
) -> Result<Option<KeyValue>, Refusal> {
    let first = column(plan.key_position, plan.key_type)?;
    let Some(first) = first.map(|key| stored(key, plan.key_type, plan.key_modifier)) else { return Ok(None) };
    if plan.more.is_empty() {
        return Ok(Some(first));
    }
    let mut parts = vec![first];
    for more in &plan.more {
        let Some(value) = column(more.position, more.key_type)? else { return Ok(None) };
        parts.push(stored(value, more.key_type, more.modifier));
    }
    Ok(Some(KeyValue::Parts(parts.into())))
}

fn null_key(plan: &CopyPlan) -> Refusal {
    Refusal::new(SqlState::NOT_NULL_VIOLATION, format!("NULL sharding key for table \"{}\"", plan.table))
}

pub(super) fn no_place(plan: &CopyPlan, key: Option<&KeyValue>, rules: &RuleSet) -> Refusal {
    match key {
        Some(_) => crate::plan::insert::no_place(&plan.table, &plan.key, &rules.group(plan.group).name),
        None => null_key(plan),
    }
}

pub(super) fn misread(error: CopyBinaryError) -> Refusal {
    Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, error.to_string())
}

fn behind_the_end() -> Refusal {
    Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, "received copy data after EOF marker")
}
