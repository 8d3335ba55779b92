//! Constants → sharding key values, read as PostgreSQL would coerce them to the key column's type.

use std::borrow::Cow;

use super::catalog::Column;
use super::context::Values;
use crate::sql::{LiteralKind, Slot, SlotCast, SlotSource, literal_value};
use crate::types::moment::{self, DAY_MICROS};
use crate::types::{KeyType, KeyValue, Refusal};

/// What a constant says about the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoded {
    /// The key.
    Value(KeyValue),
    /// No row has it (NULL, out of range, `1.5` for an integer), or any server raises PostgreSQL's own error.
    Nothing,
    /// It cannot be told; the condition is no binding.
    Unknown,
}

/// PostgreSQL's type oids (`pg_type.dat`).
mod oid {
    pub(super) const INTEGERS: [u32; 3] = [20, 21, 23];
    pub(super) const TEXTS: [u32; 2] = [25, 1043];
    pub(super) const UUID: u32 = 2950;
    pub(super) const UNKNOWN: [u32; 2] = [0, 705];
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const ARRAYS: [u32; 6] = [1016, 1005, 1007, 1009, 1015, 2951];
    pub(super) const TIME_ARRAYS: [(u32, u32); 3] = [(1182, DATE), (1115, TIMESTAMP), (1185, TIMESTAMPTZ)];
}

/// Reads a column's text, as COPY brings it; `None` when it is not of the key's type.
pub fn key_from_text(key: KeyType, value: &str) -> Option<KeyValue> {
    match text(Cow::Borrowed(value), key) {
        Decoded::Value(value) => Some(value),
        Decoded::Nothing | Decoded::Unknown => None,
    }
}

/// Reads a column's value in binary format, as COPY brings it; `None` when it is not of the key's type.
pub fn key_from_binary(key: KeyType, value: &[u8]) -> Option<KeyValue> {
    match binary(value, key) {
        Decoded::Value(value) => Some(value),
        Decoded::Nothing | Decoded::Unknown => None,
    }
}

/// PostgreSQL's `FirstNormalObjectId`: types from here on are users' own.
const FIRST_OWN_OID: u32 = 16_384;

/// Tells whether a column of this type has the values and the binary format that are read for the key.
pub fn binary_fits(key: KeyType, type_oid: u32) -> bool {
    match key {
        KeyType::SmallInt | KeyType::Int | KeyType::BigInt => oid::INTEGERS.contains(&type_oid),
        KeyType::Text | KeyType::Varchar => oid::TEXTS.contains(&type_oid),
        KeyType::Uuid => type_oid == oid::UUID,
        KeyType::Date => type_oid == oid::DATE,
        KeyType::Timestamp => type_oid == oid::TIMESTAMP,
        KeyType::TimestampTz => type_oid == oid::TIMESTAMPTZ,
    }
}

/// Tells whether a column has the values that are read for the key, and compares them as the rules do. Of types of users' own
/// `citext` alone is known: that does not.
pub(super) fn column_fits(key: KeyType, column: &Column) -> bool {
    let is_own = column.type_oid >= FIRST_OWN_OID && !column.type_name.ends_with("citext");
    column.equal_by_bytes && (binary_fits(key, column.type_oid) || !key.is_time() && is_own)
}

/// The refusal of a write by a key whose column does not fit.
pub(super) fn misfit(table: &str, column: &Column, key: KeyType) -> Refusal {
    let name = &column.name;
    if binary_fits(key, column.type_oid) && !column.equal_by_bytes {
        return Refusal::unsupported(
            format!(
                "the sharding key \"{name}\" of table \"{table}\" has a collation that calls different texts equal"
            ),
            "Give the column a deterministic collation.",
        );
    }
    Refusal::unsupported(
        format!(
            "the sharding key \"{name}\" of table \"{table}\" is of type {}, the rules say {}",
            column.type_name,
            key.name()
        ),
        "Give the column or the rules the other's type.",
    )
}

/// Reads `slot` and hands each of its values to `take`; the result is the worst of them.
/// Returns `false` when a value cannot be told.
pub(super) fn each_value(slot: &Slot, key: KeyType, values: &Values<'_>, take: &mut impl FnMut(KeyValue)) -> bool {
    if slot.any {
        return cast_fits(slot.cast, key) && super::array::each_element(slot, key, values, take);
    }
    match decode(slot, key, values) {
        Decoded::Value(value) => take(value),
        Decoded::Nothing => {}
        Decoded::Unknown => return false,
    }
    true
}

/// Reads one constant.
pub(super) fn decode(slot: &Slot, key: KeyType, values: &Values<'_>) -> Decoded {
    match (slot.cast, key) {
        // A date beside a timestamp is its midnight.
        (Some(SlotCast::Date), KeyType::Timestamp) => match decode_as(slot, KeyType::Date, values) {
            Decoded::Value(KeyValue::Int(days)) => Decoded::Value(KeyValue::Int(days.saturating_mul(DAY_MICROS))),
            other => other,
        },
        (cast, key) if cast_fits(cast, key) => decode_as(slot, key, values),
        (Some(_) | None, _) => Decoded::Unknown,
    }
}

/// Reads one constant that is of the key's type.
fn decode_as(slot: &Slot, key: KeyType, values: &Values<'_>) -> Decoded {
    match &slot.source {
        SlotSource::Null => Decoded::Nothing,
        SlotSource::Literal { index, negative } => {
            let Some(literal) = values.literals.get(*index) else { return Decoded::Unknown };
            let Some(value) = literal_value(values.text, literal) else { return Decoded::Unknown };
            match literal.kind {
                LiteralKind::Number => number(&value, *negative, slot.cast, key),
                LiteralKind::Text | LiteralKind::Escape | LiteralKind::Unicode | LiteralKind::Dollar => {
                    text(value, key)
                }
                LiteralKind::Bits => Decoded::Unknown,
            }
        }
        SlotSource::Parameter { index, shared } => parameter(*index, *shared, key, values),
    }
}

fn cast_fits(cast: Option<SlotCast>, key: KeyType) -> bool {
    match (cast, key) {
        (None, _) => true,
        (Some(SlotCast::Integer), KeyType::SmallInt | KeyType::Int | KeyType::BigInt) => true,
        (Some(SlotCast::Text), KeyType::Text | KeyType::Varchar) => true,
        (Some(SlotCast::Uuid), KeyType::Uuid) => true,
        (Some(SlotCast::Date), KeyType::Date) => true,
        (Some(SlotCast::Timestamp), KeyType::Timestamp) => true,
        (Some(SlotCast::TimestampTz), KeyType::TimestampTz) => true,
        (Some(_), _) => false,
    }
}

/// A number without quotes: an integer key compares with it exactly; other keys have no such operator.
fn number(written: &str, negative: bool, cast: Option<SlotCast>, key: KeyType) -> Decoded {
    if !key.is_integer() {
        return if cast.is_none() { Decoded::Nothing } else { Decoded::Unknown };
    }
    match whole(written) {
        Some(Some(value)) => in_range(if negative { -value } else { value }, key),
        Some(None) if cast.is_none() => Decoded::Nothing,
        Some(None) | None => Decoded::Unknown,
    }
}

/// Reads a decimal number: `Some(None)` if it has a fraction, `None` if it is too long to be told.
fn whole(written: &str) -> Option<Option<i128>> {
    let clean: Cow<'_, str> =
        if written.contains('_') { Cow::Owned(written.replace('_', "")) } else { Cow::Borrowed(written) };
    if clean.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than any key has: no row.
        return Some(clean.parse::<i128>().ok());
    }
    if let Some((base, digits)) = based(&clean) {
        return i128::from_str_radix(digits, base).ok().map(Some);
    }
    let (mantissa, exponent) = match clean.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (&*clean, 0),
    };
    let (units, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [units, fraction].concat();
    if digits.len() > 30 || !(-60..=30).contains(&exponent) {
        return None;
    }
    let mut value: i128 = digits.parse().ok()?;
    let shift = exponent - fraction.len() as i32;
    for _ in 0..shift.max(0) {
        value = value.checked_mul(10)?;
    }
    for _ in 0..(-shift).max(0) {
        if value % 10 != 0 {
            return Some(None);
        }
        value /= 10;
    }
    Some(Some(value))
}

fn based(written: &str) -> Option<(u32, &str)> {
    let (prefix, digits) = written.split_at_checked(2)?;
    match prefix {
        "0x" | "0X" => Some((16, digits)),
        "0o" | "0O" => Some((8, digits)),
        "0b" | "0B" => Some((2, digits)),
        _ => None,
    }
}

fn in_range(value: i128, key: KeyType) -> Decoded {
    let (low, high) = match key {
        KeyType::SmallInt => (i128::from(i16::MIN), i128::from(i16::MAX)),
        KeyType::Int => (i128::from(i32::MIN), i128::from(i32::MAX)),
        KeyType::BigInt => (i128::from(i64::MIN), i128::from(i64::MAX)),
        KeyType::Text
        | KeyType::Varchar
        | KeyType::Uuid
        | KeyType::Date
        | KeyType::Timestamp
        | KeyType::TimestampTz => return Decoded::Nothing,
    };
    match (low..=high).contains(&value) {
        true => Decoded::Value(KeyValue::Int(value as i64)),
        false => Decoded::Nothing,
    }
}

/// A string, coerced to the key's type; what the type's input function refuses, any server refuses.
pub(super) fn text(value: Cow<'_, str>, key: KeyType) -> Decoded {
    match key {
        KeyType::Text | KeyType::Varchar => Decoded::Value(KeyValue::Text(value.into_owned())),
        KeyType::Uuid => uuid(&value).map_or(Decoded::Nothing, |bytes| Decoded::Value(KeyValue::Uuid(bytes))),
        // Forms that depend on the session's settings are for the server.
        KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz => {
            time(&value, key).map_or(Decoded::Unknown, |value| Decoded::Value(KeyValue::Int(value)))
        }
        KeyType::SmallInt | KeyType::Int | KeyType::BigInt => {
            let trimmed = value.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
            let (negative, digits) = match trimmed.as_bytes().first() {
                Some(b'-') => (true, &trimmed[1..]),
                Some(b'+') => (false, &trimmed[1..]),
                Some(_) | None => (false, trimmed),
            };
            // No integer, but beside numbers with a fraction, as in `key IN ('5.0', 2.5)`, it may be numeric.
            if digits.contains('.') {
                return Decoded::Unknown;
            }
            if !digits.as_bytes().first().is_some_and(u8::is_ascii_digit) {
                return Decoded::Nothing;
            }
            match whole(digits) {
                Some(Some(value)) => in_range(if negative { -value } else { value }, key),
                Some(None) | None => Decoded::Nothing,
            }
        }
    }
}

/// Reads a date or time in a form that means the same in every session.
pub(super) fn time(value: &str, key: KeyType) -> Option<i64> {
    match key {
        KeyType::Date => moment::date_days(value),
        KeyType::Timestamp => moment::timestamp_micros(value),
        KeyType::TimestampTz => moment::timestamptz_micros(value),
        KeyType::SmallInt | KeyType::Int | KeyType::BigInt | KeyType::Text | KeyType::Varchar | KeyType::Uuid => None,
    }
}

/// Days on the wire are 32 bits wide, and so are their infinities.
pub(super) fn binary_days(days: i32) -> i64 {
    match days {
        i32::MAX => i64::MAX,
        i32::MIN => i64::MIN,
        days => days.into(),
    }
}

/// Reads the forms that `uuid_in` takes: braces around, hyphens after any group of four digits.
fn uuid(value: &str) -> Option<[u8; 16]> {
    let body = match value.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => value,
    };
    let mut bytes = [0u8; 16];
    let mut rest = body.as_bytes();
    for (index, byte) in bytes.iter_mut().enumerate() {
        let pair = rest.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))?;
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        rest = &rest[2..];
        if index % 2 == 1 && index < 15 && rest.first() == Some(&b'-') {
            rest = &rest[1..];
        }
    }
    rest.is_empty().then_some(bytes)
}

fn parameter(index: usize, shared: bool, key: KeyType, values: &Values<'_>) -> Decoded {
    let Some(value) = values.parameters.values.get(index) else { return Decoded::Unknown };
    let Some(bytes) = value else { return Decoded::Nothing };
    let declared = values.parameters.type_of(index);
    if !binary_fits(key, declared) && (shared || !oid::UNKNOWN.contains(&declared)) {
        return Decoded::Unknown;
    }
    if values.parameters.is_binary(index) {
        return binary(bytes, key);
    }
    std::str::from_utf8(bytes).map_or(Decoded::Unknown, |value| text(Cow::Borrowed(value), key))
}

/// Reads a value in binary format; integers by their length, since drivers send any of the integer types.
pub(super) fn binary(bytes: &[u8], key: KeyType) -> Decoded {
    match key {
        KeyType::SmallInt | KeyType::Int | KeyType::BigInt => match *bytes {
            [a, b] => in_range(i128::from(i16::from_be_bytes([a, b])), key),
            [a, b, c, d] => in_range(i128::from(i32::from_be_bytes([a, b, c, d])), key),
            [a, b, c, d, e, f, g, h] => in_range(i128::from(i64::from_be_bytes([a, b, c, d, e, f, g, h])), key),
            _ => Decoded::Unknown,
        },
        KeyType::Text | KeyType::Varchar => match std::str::from_utf8(bytes) {
            Ok(value) => Decoded::Value(KeyValue::Text(value.to_owned())),
            Err(_) => Decoded::Unknown,
        },
        KeyType::Uuid => <[u8; 16]>::try_from(bytes).map_or(Decoded::Unknown, |b| Decoded::Value(KeyValue::Uuid(b))),
        KeyType::Date => <[u8; 4]>::try_from(bytes)
            .map_or(Decoded::Unknown, |bytes| Decoded::Value(KeyValue::Int(binary_days(i32::from_be_bytes(bytes))))),
        KeyType::Timestamp | KeyType::TimestampTz => <[u8; 8]>::try_from(bytes)
            .map_or(Decoded::Unknown, |bytes| Decoded::Value(KeyValue::Int(i64::from_be_bytes(bytes)))),
    }
}

/// Tells whether an array parameter's declared type can be told from the key.
pub(super) fn is_array_type(declared: u32, key: KeyType) -> bool {
    let times = oid::TIME_ARRAYS.iter().any(|(array, element)| *array == declared && binary_fits(key, *element));
    oid::UNKNOWN.contains(&declared) || times || (!key.is_time() && oid::ARRAYS.contains(&declared))
}

/// Tells whether the elements of an array in binary format are of the key's type; other types are told by their length.
pub(super) fn is_element_type(element: u32, key: KeyType) -> bool {
    !key.is_time() || binary_fits(key, element)
}
