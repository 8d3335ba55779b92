//! LIMIT and OFFSET over shards: each sends the first offset + limit rows, the merge counts.

use super::context::Values;
use super::scatter::Draft;
use crate::sql::{Block, Count, LiteralKind, Slot, SlotSource, literal_value};
use crate::types::{Refusal, SqlState};

/// The values of LIMIT and OFFSET.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

/// Reads the values at hand.
pub(super) fn read(block: &Block, values: &Values<'_>) -> Result<Limits, Refusal> {
    let limit = block.limit.as_ref().map(|count| value(count, values)).transpose()?.flatten();
    let offset = block.offset.as_ref().map(|count| value(count, values)).transpose()?.flatten();
    Ok(Limits { limit, offset: offset.unwrap_or(0) })
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
fn value(count: &Count, values: &Values<'_>) -> Result<Option<u64>, Refusal> {
    let Count::Slot(slot) = count else { return Ok(None) };
    let number = match &slot.source {
        SlotSource::Null => return Ok(None),
        SlotSource::Literal { index, negative: false } => literal(*index, values),
        SlotSource::Literal { .. } => None,
        SlotSource::Parameter { index, .. } => match values.parameters.values.get(*index) {
            Some(None) => return Ok(None),
            Some(Some(bytes)) => parameter(*index, bytes, values),
            None => None,
        },
    };
    number.map(Some).ok_or_else(|| {
        Refusal::new(SqlState::INVALID_PARAMETER_VALUE, "LIMIT and OFFSET over several shards must be whole numbers")
            .with_hint("Give a number that is not negative.")
            .with_reason("limit_value")
    })
}

fn literal(index: usize, values: &Values<'_>) -> Option<u64> {
    let literal = values.literals.get(index)?;
    match literal.kind {
        LiteralKind::Number | LiteralKind::Text => literal_value(values.text, literal)?.parse().ok(),
        LiteralKind::Escape | LiteralKind::Unicode | LiteralKind::Bits | LiteralKind::Dollar => None,
    }
}

fn parameter(index: usize, bytes: &[u8], values: &Values<'_>) -> Option<u64> {
    if !values.parameters.is_binary(index) {
        return std::str::from_utf8(bytes).ok()?.trim().parse().ok();
    }
    let number = match *bytes {
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        _ => i64::from_be_bytes(bytes.try_into().ok()?),
    };
    u64::try_from(number).ok()
}
