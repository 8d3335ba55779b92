//! Numbers that are summed, in the types and formats that aggregates have.

use super::decimal::Decimal;
use super::kind::{FLOAT8_OID, Kind, NUMERIC_OID};
use super::{Column, float_text};
use crate::types::{Refusal, SqlState};

/// A value of a summed column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    /// `integer`
    Small(i32),
    /// `bigint`
    Integer(i64),
    /// `numeric`
    Exact(Decimal),
    /// `real`
    Single(f32),
    /// `double precision`
    Double(f64),
}

/// The type and format of a summed column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberFormat {
    kind: NumberKind,
    binary: bool,
}

/// The types that sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberKind {
    Small,
    Integer,
    Exact,
    Single,
    Double,
}

impl NumberFormat {
    /// Reads a column's type; `0A000` when the merge does not sum it (interval, money …).
    pub fn of(column: Column) -> Result<Self, Refusal> {
        let kind = match Kind::of(column.type_oid) {
            Some(Kind::Int4) => NumberKind::Small,
            Some(Kind::Int8) => NumberKind::Integer,
            Some(Kind::Numeric) => NumberKind::Exact,
            Some(Kind::Float4) => NumberKind::Single,
            Some(Kind::Float8) => NumberKind::Double,
            Some(_) | None => {
                return Err(Refusal::unsupported(
                    format!("sums of the type with oid {} cannot be added up over several shards", column.type_oid),
                    "Cast the summed expression to numeric or double precision.",
                ));
            }
        };
        Ok(Self { kind, binary: column.format == 1 })
    }

    /// Returns the format of an average over this column, and its type's oid: `numeric`, or `float8` for `float8`.
    ///
    /// `avg(real)` adds in double precision, a sum of `real` has lost those digits: `0A000`.
    pub fn average(self) -> Result<(Self, u32), Refusal> {
        match self.kind {
            NumberKind::Small | NumberKind::Integer | NumberKind::Exact => {
                Ok((Self { kind: NumberKind::Exact, ..self }, NUMERIC_OID))
            }
            NumberKind::Double => Ok((self, FLOAT8_OID)),
            NumberKind::Single => Err(Refusal::unsupported(
                "the average of real values cannot be computed over several shards",
                "Cast the averaged expression to double precision.",
            )),
        }
    }

    /// Tells whether the column is a `bigint`, as counts are.
    pub fn is_bigint(self) -> bool {
        self.kind == NumberKind::Integer
    }

    /// Reads a value; `08P01` if it is malformed.
    pub fn read(self, value: &[u8]) -> Result<Number, Refusal> {
        let number = if self.binary { self.read_binary(value) } else { self.read_text(value) };
        number.ok_or_else(|| Refusal::new(SqlState::PROTOCOL_VIOLATION, "a shard sent a number that cannot be read"))
    }

    fn read_binary(self, value: &[u8]) -> Option<Number> {
        Some(match self.kind {
            NumberKind::Small => Number::Small(i32::from_be_bytes(value.try_into().ok()?)),
            NumberKind::Integer => Number::Integer(i64::from_be_bytes(value.try_into().ok()?)),
            NumberKind::Exact => Number::Exact(Decimal::from_binary(value)?),
            NumberKind::Single => Number::Single(f32::from_be_bytes(value.try_into().ok()?)),
            NumberKind::Double => Number::Double(f64::from_be_bytes(value.try_into().ok()?)),
        })
    }

    fn read_text(self, value: &[u8]) -> Option<Number> {
        let text = std::str::from_utf8(value).ok()?;
        Some(match self.kind {
            NumberKind::Small => Number::Small(text.parse().ok()?),
            NumberKind::Integer => Number::Integer(text.parse().ok()?),
            NumberKind::Exact => Number::Exact(Decimal::from_text(value)?),
            NumberKind::Single => Number::Single(text.parse().ok()?),
            NumberKind::Double => Number::Double(text.parse().ok()?),
        })
    }

    /// Writes a number in this format; `22003` if a numeric has grown too large.
    pub fn write(self, number: &Number) -> Result<Vec<u8>, Refusal> {
        let too_large = || out_of_range("value overflows numeric format");
        if matches!(number, Number::Exact(Decimal::Finite(value)) if value.weight > i32::from(i16::MAX)) {
            return Err(too_large());
        }
        Ok(match (number, self.binary) {
            (Number::Small(value), true) => value.to_be_bytes().to_vec(),
            (Number::Small(value), false) => value.to_string().into_bytes(),
            (Number::Integer(value), true) => value.to_be_bytes().to_vec(),
            (Number::Integer(value), false) => value.to_string().into_bytes(),
            (Number::Exact(value), true) => value.to_binary().ok_or_else(too_large)?,
            (Number::Exact(value), false) => value.to_text(),
            (Number::Single(value), true) => value.to_be_bytes().to_vec(),
            (Number::Single(value), false) => float_text::float4(*value).into_bytes(),
            (Number::Double(value), true) => value.to_be_bytes().to_vec(),
            (Number::Double(value), false) => float_text::float8(*value).into_bytes(),
        })
    }
}

impl Number {
    /// Adds a number of the same type; `22003` on overflow, in PostgreSQL's words.
    pub fn add(&self, other: &Self) -> Result<Self, Refusal> {
        match (self, other) {
            (Self::Small(a), Self::Small(b)) => {
                a.checked_add(*b).map(Self::Small).ok_or_else(|| out_of_range("integer out of range"))
            }
            (Self::Integer(a), Self::Integer(b)) => {
                a.checked_add(*b).map(Self::Integer).ok_or_else(|| out_of_range("bigint out of range"))
            }
            (Self::Exact(a), Self::Exact(b)) => Ok(Self::Exact(a.add(b))),
            (Self::Single(a), Self::Single(b)) => {
                float_sum(f64::from(*a), f64::from(*b), f64::from(a + b)).map(|_| Self::Single(a + b))
            }
            (Self::Double(a), Self::Double(b)) => float_sum(*a, *b, a + b).map(Self::Double),
            (Self::Small(_) | Self::Integer(_) | Self::Exact(_) | Self::Single(_) | Self::Double(_), _) => {
                unreachable!("one column has one type")
            }
        }
    }
}

fn float_sum(a: f64, b: f64, sum: f64) -> Result<f64, Refusal> {
    if sum.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(out_of_range("value out of range: overflow"));
    }
    Ok(sum)
}

fn out_of_range(message: &str) -> Refusal {
    Refusal::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}
