//! Values become bytes that compare (`memcmp`) as the server compares the values.
//!
//! Equal values have equal keys (`1.0` and `1.00`, `-0` and `0`), so a key serves to sort, to group and to find
//! duplicates. No key is a prefix of another, so keys can be joined and inverted.

use super::decimal::{Decimal, Number};
use super::kind::{Kind, Purpose};
use super::row::Row;
use super::{Column, MergeContext, SortKey, moment};
use crate::types::{Refusal, SqlState};

/// Stands before a value.
const VALUE: u8 = 1;
/// NULL before all values.
const NULL_FIRST: u8 = 0;
/// NULL after all values.
const NULL_LAST: u8 = 2;

/// Makes the key of one column's values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoder {
    kind: Kind,
    binary: bool,
}

impl Encoder {
    /// Makes the encoder of a column; `0A000` when its values cannot be compared.
    pub fn new(column: Column, purpose: Purpose, context: &MergeContext) -> Result<Self, Refusal> {
        Ok(Self { kind: Kind::comparable(column, purpose, context)?, binary: column.format == 1 })
    }

    /// Appends the key of `value`; `08P01` if the value is malformed.
    pub fn encode(&self, value: &[u8], key: &mut Vec<u8>) -> Result<(), Refusal> {
        let encoded = if self.binary { self.encode_binary(value, key) } else { self.encode_text(value, key) };
        encoded.ok_or_else(|| malformed(self.kind))
    }

    fn encode_binary(&self, value: &[u8], key: &mut Vec<u8>) -> Option<()> {
        match self.kind {
            Kind::Bool | Kind::Char => key.push(<[u8; 1]>::try_from(value).ok()?[0]),
            Kind::Int2 => put_integer(i16::from_be_bytes(value.try_into().ok()?).into(), key),
            Kind::Int4 | Kind::Date => put_integer(i32::from_be_bytes(value.try_into().ok()?).into(), key),
            Kind::Oid => put_integer(u32::from_be_bytes(value.try_into().ok()?).into(), key),
            Kind::Int8 | Kind::Time | Kind::Timestamp | Kind::TimestampZone => {
                put_integer(i64::from_be_bytes(value.try_into().ok()?), key);
            }
            Kind::Float4 => put_float(f32::from_be_bytes(value.try_into().ok()?).into(), key),
            Kind::Float8 => put_float(f64::from_be_bytes(value.try_into().ok()?), key),
            Kind::Numeric => put_decimal(&Decimal::from_binary(value)?, key),
            Kind::Text | Kind::Bytea => put_bytes(value, key),
            Kind::Bpchar => put_bytes(without_trailing_spaces(value), key),
            Kind::Uuid => key.extend_from_slice(&<[u8; 16]>::try_from(value).ok()?),
        }
        Some(())
    }

    fn encode_text(&self, value: &[u8], key: &mut Vec<u8>) -> Option<()> {
        let text = || std::str::from_utf8(value).ok();
        match self.kind {
            Kind::Bool => key.push(boolean(value, false)?.into()),
            Kind::Char => key.push(char_byte(value)?),
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid => put_integer(text()?.parse().ok()?, key),
            Kind::Float4 => put_float(text()?.parse::<f32>().ok()?.into(), key),
            Kind::Float8 => put_float(text()?.parse().ok()?, key),
            Kind::Numeric => put_decimal(&Decimal::from_text(value)?, key),
            Kind::Text => put_bytes(value, key),
            Kind::Bpchar => put_bytes(without_trailing_spaces(value), key),
            Kind::Bytea => put_bytes(&unhex(value.strip_prefix(b"\\x")?)?, key),
            Kind::Date => put_integer(moment::date(text()?)?, key),
            Kind::Time => put_integer(moment::time(text()?)?, key),
            Kind::Timestamp => put_integer(moment::timestamp(text()?)?, key),
            Kind::TimestampZone => put_integer(moment::timestamp_with_zone(text()?)?, key),
            Kind::Uuid => key.extend_from_slice(&<[u8; 36]>::try_from(value).ok()?),
        }
        Some(())
    }
}

/// Makes the keys of rows: several columns, each with its direction.
#[derive(Debug, Clone, Default)]
pub(super) struct RowEncoder(Vec<(Encoder, SortKey)>);

impl RowEncoder {
    /// Makes the encoder for ORDER BY.
    pub fn for_order(order: &[SortKey], columns: &[Column], context: &MergeContext) -> Result<Self, Refusal> {
        Self::new(order.iter().copied(), columns, Purpose::Order, context)
    }

    /// Makes the encoder for GROUP BY and DISTINCT over the columns with these positions.
    pub fn for_equality(
        positions: impl Iterator<Item = usize>,
        columns: &[Column],
        context: &MergeContext,
    ) -> Result<Self, Refusal> {
        let keys = positions.map(|column| SortKey { column, descending: false, nulls_first: false });
        Self::new(keys, columns, Purpose::Equality, context)
    }

    fn new(
        keys: impl Iterator<Item = SortKey>,
        columns: &[Column],
        purpose: Purpose,
        context: &MergeContext,
    ) -> Result<Self, Refusal> {
        let encoder = |key: SortKey| {
            let column = *columns.get(key.column).ok_or_else(|| missing(key.column))?;
            Ok((Encoder::new(column, purpose, context)?, key))
        };
        keys.map(encoder).collect::<Result<_, Refusal>>().map(Self)
    }

    /// Returns the row's key.
    pub fn key(&self, row: &Row) -> Result<Vec<u8>, Refusal> {
        let mut key = Vec::with_capacity(16 * self.0.len());
        for (encoder, sort) in &self.0 {
            let Some(value) = row.value(sort.column) else {
                key.push(if sort.nulls_first { NULL_FIRST } else { NULL_LAST });
                continue;
            };
            key.push(VALUE);
            let start = key.len();
            encoder.encode(value, &mut key)?;
            if sort.descending {
                key[start..].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        Ok(key)
    }
}

/// Reads a `bool` in either format.
pub(super) fn boolean(value: &[u8], binary: bool) -> Option<bool> {
    match (binary, value) {
        (false, b"t") | (true, [1]) => Some(true),
        (false, b"f") | (true, [0]) => Some(false),
        _ => None,
    }
}

/// Says that a plan names a column that the shards do not send.
pub(super) fn missing(column: usize) -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, format!("the merge names column {column}, which the shards do not send"))
}

fn malformed(kind: Kind) -> Refusal {
    if kind == Kind::Bytea {
        let message = "bytea values can be merged over several shards in hex format only";
        return Refusal::unsupported(message, "SET bytea_output = hex.");
    }
    Refusal::new(SqlState::PROTOCOL_VIOLATION, format!("a shard sent a {kind:?} value that cannot be read"))
        .with_hint("The merge reads bytea in hex and dates in ISO format: check bytea_output and datestyle.")
}

fn put_integer(value: i64, key: &mut Vec<u8>) {
    key.extend_from_slice(&(value as u64 ^ 1 << 63).to_be_bytes());
}

/// NaN is the greatest and equal to itself, and the zeros are equal, as in PostgreSQL.
fn put_float(value: f64, key: &mut Vec<u8>) {
    let value = if value.is_nan() {
        f64::NAN.abs()
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    let bits = value.to_bits();
    let ordered = if value.is_sign_negative() { !bits } else { bits ^ 1 << 63 };
    key.extend_from_slice(&ordered.to_be_bytes());
}

/// A class, then weight and digits of a number; those of a negative one inverted.
fn put_decimal(value: &Decimal, key: &mut Vec<u8>) {
    match value {
        Decimal::NegativeInfinity => key.push(0),
        Decimal::Finite(number) if number.digits.is_empty() => key.push(2),
        Decimal::Finite(number) if number.negative => {
            key.push(1);
            let start = key.len();
            put_magnitude(number, key);
            key[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
        Decimal::Finite(number) => {
            key.push(3);
            put_magnitude(number, key);
        }
        Decimal::Infinity => key.push(4),
        Decimal::NotANumber => key.push(5),
    }
}

fn put_magnitude(number: &Number, key: &mut Vec<u8>) {
    put_integer(number.weight.into(), key);
    for digit in &number.digits {
        key.extend_from_slice(&(digit + 1).to_be_bytes());
    }
    key.extend_from_slice(&[0, 0]);
}

/// Zero bytes are followed by 255, the end is two zeros.
fn put_bytes(value: &[u8], key: &mut Vec<u8>) {
    for &byte in value {
        key.push(byte);
        if byte == 0 {
            key.push(u8::MAX);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

fn without_trailing_spaces(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    &value[..end]
}

/// Reads a `"char"`: nothing is the zero byte; since PostgreSQL 16 high bytes are written `\ooo`.
fn char_byte(value: &[u8]) -> Option<u8> {
    match value {
        [] => Some(0),
        [byte] => Some(*byte),
        [b'\\', octal @ ..] => u8::from_str_radix(std::str::from_utf8(octal).ok()?, 8).ok(),
        _ => None,
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    pairs.collect()
}
