//! LIMIT and OFFSET over shards: each sends the first offset + limit rows, the merge counts.

use std::num::IntErrorKind;

use super::context::Values;
use super::scatter::Draft;
use crate::sql::{Block, Count, LiteralKind, Slot, SlotSource, literal_value};
use crate::types::{Refusal, SqlState};

/// SQLSTATE `invalid_row_count_in_limit_clause`.
const NEGATIVE_LIMIT: SqlState = SqlState::from_code("2201W");
/// SQLSTATE `invalid_row_count_in_result_offset_clause`.
const NEGATIVE_OFFSET: SqlState = SqlState::from_code("2201X");

/// The values of LIMIT and OFFSET.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

/// Which of the two a value is for: PostgreSQL has an SQLSTATE for each.
#[derive(Debug, Clone, Copy)]
enum Clause {
    Limit,
    Offset,
}

/// Reads the values at hand.
pub(super) fn read(block: &Block, values: &Values<'_>) -> Result<Limits, Refusal> {
    let read = |count: &Option<Count>, clause| match count {
        Some(count) => value(count, clause, values),
        None => Ok(None),
    };
    let limit = read(&block.limit, Clause::Limit)?;
    Ok(Limits { limit, offset: read(&block.offset, Clause::Offset)?.unwrap_or(0) })
}

/// Has each shard send offset + limit rows.
pub(super) fn push(block: &Block, limits: Limits, draft: &mut Draft) {
    let constant = matches!(&block.limit, Some(Count::Slot(slot)) if !is_parameter(slot));
    if limits.offset == 0 && constant && block.limit_spans.len() == 1 {
        return;
    }
    let Some((first, rest)) = block.limit_spans.split_first() else { return };
    // A sum that no bigint holds is no bound at all.
    let whole = |pushed: &u64| i64::try_from(*pushed).is_ok();
    let pushed = limits.limit.and_then(|limit| limit.checked_add(limits.offset)).filter(whole);
    draft.edits.push((first.clone(), pushed.map(|pushed| format!("LIMIT {pushed}")).unwrap_or_default()));
    draft.edits.extend(rest.iter().map(|span| (span.clone(), String::new())));
}

/// Has each shard send all of its rows: groups are not complete before the merge.
pub(super) fn withhold(block: &Block, draft: &mut Draft) {
    draft.edits.extend(block.limit_spans.iter().map(|span| (span.clone(), String::new())));
}

fn is_parameter(slot: &Slot) -> bool {
    matches!(slot.source, SlotSource::Parameter { .. })
}

/// Returns the count, `None` for ALL and NULL.
fn value(count: &Count, clause: Clause, values: &Values<'_>) -> Result<Option<u64>, Refusal> {
    let Count::Slot(slot) = count else { return Ok(None) };
    let number = match &slot.source {
        SlotSource::Null => return Ok(None),
        SlotSource::Literal { index, negative } => {
            let number = literal(*index, values)?;
            if *negative { number.checked_neg().ok_or_else(out_of_range)? } else { number }
        }
        SlotSource::Parameter { index, .. } => match values.parameters.values.get(*index) {
            Some(None) => return Ok(None),
            Some(Some(bytes)) => parameter(*index, bytes, values)?,
            None => return Err(unreadable()),
        },
    };
    u64::try_from(number).map(Some).map_err(|_| match clause {
        Clause::Limit => wrong(NEGATIVE_LIMIT, "LIMIT must not be negative"),
        Clause::Offset => wrong(NEGATIVE_OFFSET, "OFFSET must not be negative"),
    })
}

fn literal(index: usize, values: &Values<'_>) -> Result<i64, Refusal> {
    let literal = values.literals.get(index).ok_or_else(unreadable)?;
    let text = literal_value(values.text, literal).ok_or_else(unreadable)?;
    match literal.kind {
        LiteralKind::Number => number(&text),
        LiteralKind::Text => bigint(&text),
        LiteralKind::Escape | LiteralKind::Unicode | LiteralKind::Bits | LiteralKind::Dollar => Err(unreadable()),
    }
}

/// Reads a number as it stands in a text; PostgreSQL rounds what has a fraction, half away from zero.
fn number(text: &str) -> Result<i64, Refusal> {
    if let Ok(whole) = text.parse() {
        return Ok(whole);
    }
    let rounded = text.parse::<f64>().map_err(|_| unreadable())?.round();
    // Beyond this a double has not every whole number.
    if rounded.abs() < (1_u64 << 53) as f64 { Ok(rounded as i64) } else { Err(out_of_range()) }
}

/// Reads a bigint from its text form.
fn bigint(text: &str) -> Result<i64, Refusal> {
    let written = text.trim_ascii();
    written.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            let message = format!("value \"{text}\" is out of range for type bigint");
            wrong(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
        }
        _ => {
            let message = format!("invalid input syntax for type bigint: \"{text}\"");
            wrong(SqlState::INVALID_TEXT_REPRESENTATION, message)
        }
    })
}

fn parameter(index: usize, bytes: &[u8], values: &Values<'_>) -> Result<i64, Refusal> {
    if !values.parameters.is_binary(index) {
        return bigint(std::str::from_utf8(bytes).map_err(|_| unreadable())?);
    }
    Ok(match *bytes {
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        _ => i64::from_be_bytes(bytes.try_into().map_err(|_| unreadable())?),
    })
}

fn out_of_range() -> Refusal {
    wrong(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
}

fn unreadable() -> Refusal {
    wrong(SqlState::INVALID_PARAMETER_VALUE, "LIMIT and OFFSET over several shards must be whole numbers")
}

fn wrong(state: SqlState, message: impl Into<String>) -> Refusal {
    Refusal::new(state, message).with_hint("Give a number that is not negative.").with_reason("limit_value")
}
