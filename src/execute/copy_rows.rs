//! The rows of a split COPY FROM STDIN: whole ones are taken from the client's data and sent to the shard of their key.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::BytesMut;

use crate::plan::insert::unclear_time;
use crate::plan::{CopyPlan, key_from_binary, key_from_text};
use crate::rules::RuleSet;
use crate::types::{KeyType, KeyValue, Refusal, ShardId, SqlState, stored};
use crate::wire::copy_binary::{self, CopyBinaryError, Next};
use crate::wire::copy_csv::{self, CopyCsvError};
use crate::wire::copy_text::{self, CopyTextError};
use crate::wire::frontend;

use super::copy::SHARD_BUFFER_BYTES;
use super::copy_ids::{with_id, with_text};
use super::copy_physical::Waiting;
use super::failure::Failure;
use super::home_numbers::RowNumbers;
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
    /// Where the rows of csv data end.
    pub csv: Option<copy_csv::Rows>,
    /// The header line, when it has come.
    pub header: Option<Vec<u8>>,
    /// Whether the servers take `\.` for the end of csv data.
    pub marked: bool,
    /// Rows that wait for their physical tables, where the table is split.
    pub waiting: Waiting,
    /// Home's numbers for the rows that come next.
    pub numbers: VecDeque<RowNumbers>,
    /// The values of the plan's moments.
    pub moments: RowNumbers,
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
        if split.csv.is_some() {
            self.route_lines(split, pending).await?;
        }
        if split.plan.header && split.header.is_none() {
            // Whatever it is: the servers pass over it, or say what is wrong.
            self.send_header(split, pending);
            return Ok(());
        }
        if !pending.is_empty() {
            let end = split.missing_end(pending)?;
            pending.extend_from_slice(end);
        }
        self.route_lines(split, pending).await
    }

    async fn route_lines(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        self.look_ahead(split, pending).await?;
        self.number_ahead(split, pending).await?;
        while !split.ended
            && let Some(length) = split.next_line(pending)?
        {
            let row = pending.split_to(length);
            if split.plan.header && split.header.is_none() {
                self.send_header(split, &row);
                continue;
            }
            if split.is_end_of_data(&row) {
                split.ended = true;
                break;
            }
            split.check_width(&row)?;
            let row = split.numbered_line(&row)?;
            let made = match split.plan.key_is_made {
                true => Some(self.with_id(split, None, &row).await?),
                false => None,
            };
            let keyed = made.as_deref().unwrap_or(&row);
            let key = key_of_line(split.plan, keyed).map_err(|refusal| split.placed(refusal))?;
            self.look_up_row(split.plan.group, key.as_ref()).await?;
            self.check_line(split, key.as_ref(), &row)?;
            let line = match made {
                Some(line) => line,
                None => self.with_id(split, key.as_ref(), &row).await?,
            };
            self.send_row(split, key.as_ref(), &line).await?;
        }
        if split.ended {
            // As PostgreSQL passes over what comes behind the mark.
            pending.clear();
        }
        Ok(())
    }

    /// Sends the header to every shard, which passes over it or compares it with its own columns.
    fn send_header(&mut self, split: &mut Split<'_>, row: &[u8]) {
        let appended = split.plan.columns.iter().skip(split.columns);
        let header = appended.fold(row.to_vec(), |header, name| with_text(&header, split.plan, name));
        if split.plan.split.is_none() {
            for (_, position, _) in &split.parts {
                frontend::write_copy_data(self.transaction.members[*position].server.out(), &header);
            }
        }
        split.header = Some(header);
    }

    async fn route_binary(&mut self, split: &mut Split<'_>, pending: &mut BytesMut) -> Result<(), Failure> {
        if !split.begun {
            let Some(length) = copy_binary::header(pending).map_err(misread)? else { return Ok(()) };
            let _ = pending.split_to(length);
            split.begun = true;
        }
        self.look_ahead(split, pending).await?;
        self.number_ahead(split, pending).await?;
        while !split.ended {
            match copy_binary::next(pending, split.columns).map_err(|error| split.placed(misread(error)))? {
                Next::Unknown => return Ok(()),
                Next::Trailer => {
                    let _ = pending.split_to(copy_binary::TRAILER.len());
                    split.ended = true;
                }
                Next::Row(length) => {
                    let row = pending.split_to(length);
                    let row = split.numbered_row(&row)?;
                    let made = match split.plan.id_source.filter(|_| split.plan.key_is_made) {
                        Some(source) => Some(with_id(&row, &self.row_id(split, source, None).await?)),
                        None => None,
                    };
                    let keyed = made.as_deref().unwrap_or(&row);
                    let key = key_of_row(split.plan, keyed).map_err(|refusal| split.placed(refusal))?;
                    self.look_up_row(split.plan.group, key.as_ref()).await?;
                    self.check_row(split, key.as_ref(), &row)?;
                    let row = match (made, split.plan.id_source) {
                        (Some(row), _) => Cow::Owned(row),
                        (None, Some(source)) => {
                            Cow::Owned(with_id(&row, &self.row_id(split, source, key.as_ref()).await?))
                        }
                        (None, None) => Cow::Borrowed(&row[..]),
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
    /// Returns the length of the line at the front; `None` while it is not complete.
    fn next_line(&mut self, pending: &[u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.csv {
            Some(rows) => rows.next(pending, self.done).map_err(misread_csv).map_err(|refusal| self.placed(refusal)),
            None => Ok(copy_text::next_row(pending)),
        }
    }

    /// Returns the end of the last line, which has none.
    fn missing_end(&self, pending: &[u8]) -> Result<&'static [u8], Refusal> {
        match &self.csv {
            // PostgreSQL takes it for data, and with an end it would be the mark.
            Some(_) if self.marked && pending == b"\\." => Err(self.placed(misread_csv(CopyCsvError::Mark))),
            Some(rows) => rows.missing_end().map_err(|error| self.placed(misread_csv(error))),
            None => Ok(b"\n"),
        }
    }

    /// Refuses a line that is too short where values are appended: they would be taken for the columns that it lacks.
    fn check_width(&self, line: &[u8]) -> Result<(), Refusal> {
        let Some(last) = self.columns.checked_sub(1).filter(|_| self.plan.columns.len() > self.columns) else {
            return Ok(());
        };
        let field = match self.plan.csv {
            Some(quoting) => copy_csv::field(line, last, self.plan.delimiter, quoting).map(|_| ()),
            None => copy_text::field(line, last, self.plan.delimiter, &self.plan.null).map(|_| ()),
        };
        field.map_err(|error| {
            let CopyTextError::NoSuchField { found, .. } = error;
            let message = format!("missing data for column \"{}\"", self.plan.columns[found]);
            self.placed_at(found, Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, message))
        })
    }

    pub(super) fn is_end_of_data(&self, row: &[u8]) -> bool {
        match &self.csv {
            Some(_) => self.marked && copy_csv::content(row).0 == b"\\.",
            None => copy_text::is_end_of_data(row),
        }
    }

    /// Says at which row something went wrong with the sharding key.
    pub(super) fn placed(&self, refusal: Refusal) -> Refusal {
        self.placed_at(self.plan.key_position, refusal)
    }

    /// Says at which row something went wrong, in the column at this 0-based place.
    pub(super) fn placed_at(&self, position: usize, refusal: Refusal) -> Refusal {
        let rows: u64 = self.parts.iter().map(|(_, _, rows)| rows).sum();
        let number = rows + 1 + u64::from(self.header.is_some());
        let (table, column) = (&self.plan.table, position + 1);
        refusal.with_detail(format!("COPY {table}, line {number}, column {column}."))
    }
}

/// Returns a field of a line, `None` for NULL.
pub(super) fn field_of<'a>(plan: &CopyPlan, line: &'a [u8], position: usize) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    let misread = |error: CopyTextError| Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, error.to_string());
    let Some(quoting) = plan.csv else {
        return copy_text::field(line, position, plan.delimiter, &plan.null).map_err(misread);
    };
    let field = copy_csv::field(line, position, plan.delimiter, quoting).map_err(misread)?;
    // As PostgreSQL: FORCE_NOT_NULL is about values that are NULL, FORCE_NULL about those that are not.
    let null = match (*field.value == *plan.null.as_bytes(), field.quoted) {
        (false, _) => false,
        (true, false) => !plan.force_not_null.contains(&position),
        (true, true) => plan.force_null.contains(&position),
    };
    Ok((!null).then_some(field.value))
}

fn misread_csv(error: CopyCsvError) -> Refusal {
    Refusal::new(SqlState::BAD_COPY_FILE_FORMAT, error.to_string())
}

/// Returns the key of a line, `None` for NULL.
pub(super) fn key_of_line(plan: &CopyPlan, line: &[u8]) -> Result<Option<KeyValue>, Refusal> {
    whole_key(plan, |position, key_type| {
        let Some(text) = field_of(plan, line, position)? else { return Ok(None) };
        let key = std::str::from_utf8(&text).ok().and_then(|text| key_from_text(key_type, text));
        key.map(Some).ok_or_else(|| {
            let name = key_type.name();
            if key_type.is_time() {
                return unclear_time(name, &String::from_utf8_lossy(&text));
            }
            Refusal::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("the sharding key is not of type {name}"))
        })
    })
}

/// Returns the key of a row in binary format, `None` for NULL.
pub(super) fn key_of_row(plan: &CopyPlan, row: &[u8]) -> Result<Option<KeyValue>, Refusal> {
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
