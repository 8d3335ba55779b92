//! The ids of a split COPY's rows: made where the column is left out, held against the rules where they want it.

use std::borrow::Cow;

use super::copy_rows::{Split, field_of, misread, no_place};
use super::failure::Failure;
use super::link::Link;
use crate::plan::{CopyPlan, IdValue, IdsWanted, given_id, key_from_binary, key_from_text};
use crate::proxy::until_there;
use crate::rules::IdSource;
use crate::types::{BucketId, KeyType, KeyValue, Refusal, SqlState};
use crate::wire::copy_binary::CopyBinaryError;
use crate::wire::{copy_binary, copy_csv, copy_text};

impl Link {
    /// Appends a generated id to a line whose COPY leaves the id column out.
    pub(super) async fn with_id<'a>(
        &self,
        split: &Split<'_>,
        key: Option<&KeyValue>,
        row: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Failure> {
        let Some(source) = split.plan.id_source else { return Ok(Cow::Borrowed(row)) };
        let id = self.row_id(split, source, key).await?;
        Ok(Cow::Owned(with_text(row, split.plan, &id.to_string())))
    }

    /// Makes the id of a row with this key.
    pub(super) async fn row_id(
        &self,
        split: &Split<'_>,
        source: IdSource,
        key: Option<&KeyValue>,
    ) -> Result<IdValue, Failure> {
        let rules = &self.snapshot.rules;
        let bucket = match source {
            IdSource::Snowflake { layout, .. } if layout.has_bucket => Some(self.bucket_of_row(split, key)?),
            IdSource::Snowflake { .. } | IdSource::Segment(_) | IdSource::Uuid { .. } => None,
        };
        let wanted = IdsWanted { source, bucket, count: 1 };
        let proxy = &self.worker.proxy;
        let made = until_there(proxy, Some(&self.cancel), || proxy.make_ids(wanted, &rules.ids)).await?;
        let none = || Refusal::new(SqlState::INTERNAL_ERROR, "the id generator returned no id");
        let id = made.into_iter().next().ok_or_else(none)?;
        Ok(match source {
            IdSource::Uuid { prefixed: true } => id.prefixed(&rules.shard(self.shard_of_row(split, key)?).name),
            IdSource::Uuid { prefixed: false } | IdSource::Snowflake { .. } | IdSource::Segment(_) => id,
        })
    }

    fn bucket_of_row(&self, split: &Split<'_>, key: Option<&KeyValue>) -> Result<BucketId, Refusal> {
        let bucket = key.and_then(|key| self.snapshot.rules.bucket_of(split.plan.group, key));
        bucket.ok_or_else(|| split.placed(no_place(split.plan, key, &self.snapshot.rules)))
    }

    /// Holds the id of a line against the rules.
    pub(super) fn check_line(&self, split: &Split<'_>, key: Option<&KeyValue>, line: &[u8]) -> Result<(), Failure> {
        let plan = split.plan;
        let Some((position, _)) = &plan.checked_id else { return Ok(()) };
        let field = field_of(plan, line, *position)?;
        let Some(text) = field else { return Ok(()) };
        let id = std::str::from_utf8(&text).ok().and_then(|text| key_from_text(KeyType::BigInt, text));
        self.check_id(split, key, id)
    }

    /// Holds the id of a row in binary format against the rules.
    pub(super) fn check_row(&self, split: &Split<'_>, key: Option<&KeyValue>, row: &[u8]) -> Result<(), Failure> {
        let Some((position, _)) = &split.plan.checked_id else { return Ok(()) };
        let field = copy_binary::field(row, *position).ok_or_else(|| misread(CopyBinaryError::End))?;
        let Some(bytes) = field else { return Ok(()) };
        self.check_id(split, key, key_from_binary(KeyType::BigInt, bytes))
    }

    fn check_id(&self, split: &Split<'_>, key: Option<&KeyValue>, id: Option<KeyValue>) -> Result<(), Failure> {
        let Some((position, rule)) = &split.plan.checked_id else { return Ok(()) };
        let Some(KeyValue::Int(id)) = id else {
            let message = format!("the id in \"{}\" is not of type bigint", rule.column);
            return Err(split
                .placed_at(*position, Refusal::new(SqlState::INVALID_TEXT_REPRESENTATION, message))
                .into());
        };
        let bucket = key.and_then(|key| self.snapshot.rules.bucket_of(split.plan.group, key));
        given_id::check(id, bucket, &split.plan.table, rule)
            .map_err(|refusal| split.placed_at(*position, refusal).into())
    }
}

/// Appends a value to a line.
pub(super) fn with_text(row: &[u8], plan: &CopyPlan, value: &str) -> Vec<u8> {
    let (content, end) = match plan.csv {
        Some(_) => copy_csv::content(row),
        None => (copy_text::content(row), &b"\n"[..]),
    };
    let mut line = content.to_vec();
    line.push(plan.delimiter);
    line.extend_from_slice(&written(value, plan));
    line.extend_from_slice(end);
    line
}

/// Returns a value as it stands in a line.
fn written(value: &str, plan: &CopyPlan) -> Vec<u8> {
    let escaped = |byte: u8| match byte {
        b'\n' => vec![b'\\', b'n'],
        b'\\' | b'\r' | b'\t' => vec![b'\\', byte],
        byte if byte == plan.delimiter => vec![b'\\', byte],
        byte => vec![byte],
    };
    match plan.csv {
        Some(quoting) => copy_csv::quoted(value, quoting),
        // It is the text as it stands that is NULL, before escapes are read.
        None if value == plan.null => match value.as_bytes() {
            [first, rest @ ..] => {
                format!("\\x{first:02x}").bytes().chain(rest.iter().copied().flat_map(escaped)).collect()
            }
            [] => Vec::new(),
        },
        None => value.bytes().flat_map(escaped).collect(),
    }
}

/// Returns the header line of the columns that servers are sent.
pub(super) fn header_of(plan: &CopyPlan) -> Vec<u8> {
    let names: Vec<Vec<u8>> = plan.columns.iter().map(|name| written(name, plan)).collect();
    let mut line = names.join(&plan.delimiter);
    line.push(b'\n');
    line
}

/// Appends the id to a row in binary format.
pub(super) fn with_id(row: &[u8], id: &IdValue) -> Vec<u8> {
    match id {
        IdValue::Bigint(id) => copy_binary::with_field(row, &id.to_be_bytes()),
        IdValue::Uuid(bytes) => copy_binary::with_field(row, bytes),
        IdValue::Text(text) => copy_binary::with_field(row, text.as_bytes()),
    }
}
