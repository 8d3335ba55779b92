//! One column of one group: values come in, what remains of them goes out.

use super::decimal::Decimal;
use super::key::{Encoder, boolean, missing};
use super::kind::{Kind, Purpose};
use super::number::{Number, NumberFormat};
use super::{Column, Combine, MergeContext};
use crate::types::{Refusal, SqlState};

/// How a column folds, decided once per statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fold {
    /// The first value stays.
    Keep,
    /// Numbers add up.
    Sum(NumberFormat),
    /// The least or greatest value stays.
    Extreme(Encoder, Extreme),
    /// Booleans are joined.
    Logic { binary: bool, and: bool },
}

/// Which end of the order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

/// What the values so far came to. `None` inside: all were NULL.
#[derive(Debug, Clone)]
pub(super) enum Folded {
    Kept(Option<Vec<u8>>),
    Sum(Option<Number>),
    /// The key that compares, and the value as it came.
    Extreme(Option<(Vec<u8>, Vec<u8>)>),
    Logic(Option<bool>),
}

impl Fold {
    /// Decides how `column` folds; `0A000` when the merge cannot do it for the type.
    pub fn new(combine: Combine, position: usize, columns: &[Column], context: &MergeContext) -> Result<Self, Refusal> {
        let column = *columns.get(position).ok_or_else(|| missing(position))?;
        let extreme = |end| Ok(Self::Extreme(Encoder::new(column, Purpose::Order, context)?, end));
        match combine {
            Combine::GroupKey => Ok(Self::Keep),
            Combine::Sum => Ok(Self::Sum(NumberFormat::of(column)?)),
            Combine::Min => extreme(Extreme::Least),
            Combine::Max => extreme(Extreme::Greatest),
            Combine::And | Combine::Or => match Kind::of(column.type_oid) {
                Some(Kind::Bool) => Ok(Self::Logic { binary: column.format == 1, and: combine == Combine::And }),
                Some(_) | None => {
                    Err(Refusal::new(SqlState::INTERNAL_ERROR, "bool_and and bool_or fold booleans only"))
                }
            },
        }
    }

    /// Returns the state before the first value.
    pub fn start(&self) -> Folded {
        match self {
            Self::Keep => Folded::Kept(None),
            Self::Sum(_) => Folded::Sum(None),
            Self::Extreme(..) => Folded::Extreme(None),
            Self::Logic { .. } => Folded::Logic(None),
        }
    }

    /// Folds one value in; NULLs are skipped.
    pub fn add(&self, state: &mut Folded, value: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(value) = value else { return Ok(()) };
        match (self, state) {
            (Self::Keep, Folded::Kept(kept)) => {
                kept.get_or_insert_with(|| value.to_vec());
            }
            (Self::Sum(format), Folded::Sum(sum)) => {
                let value = format.read(value)?;
                *sum = Some(match sum.take() {
                    Some(sum) => sum.add(&value)?,
                    None => value,
                });
            }
            (Self::Extreme(encoder, end), Folded::Extreme(best)) => replace_worse(*encoder, *end, best, value)?,
            (Self::Logic { binary, and }, Folded::Logic(joined)) => {
                let value = boolean(value, *binary)
                    .ok_or_else(|| Refusal::new(SqlState::PROTOCOL_VIOLATION, "a shard sent a malformed boolean"))?;
                *joined = Some(joined.map_or(value, |joined| if *and { joined && value } else { joined || value }));
            }
            (Self::Keep | Self::Sum(_) | Self::Extreme(..) | Self::Logic { .. }, _) => {
                unreachable!("`start` made the state that fits the fold")
            }
        }
        Ok(())
    }

    /// Writes what the values came to, in the column's format.
    pub fn finish(&self, state: &Folded) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(match (self, state) {
            (Self::Sum(format), Folded::Sum(Some(sum))) => Some(format.write(sum)?),
            (Self::Logic { binary: true, .. }, Folded::Logic(Some(value))) => Some(vec![u8::from(*value)]),
            (_, Folded::Logic(Some(value))) => Some(if *value { b"t".to_vec() } else { b"f".to_vec() }),
            (_, Folded::Kept(value)) => value.clone(),
            (_, Folded::Extreme(best)) => best.as_ref().map(|(_, value)| value.clone()),
            (_, Folded::Sum(_) | Folded::Logic(None)) => None,
        })
    }
}

fn replace_worse(
    encoder: Encoder,
    end: Extreme,
    best: &mut Option<(Vec<u8>, Vec<u8>)>,
    value: &[u8],
) -> Result<(), Refusal> {
    let mut key = Vec::with_capacity(16);
    encoder.encode(value, &mut key)?;
    let better = best.as_ref().is_none_or(|(best, _)| match end {
        Extreme::Least => key < *best,
        Extreme::Greatest => key > *best,
    });
    if better {
        *best = Some((key, value.to_vec()));
    }
    Ok(())
}

/// Divides a sum by a count as `avg` does; `None` (NULL) without values.
pub(super) fn average(sum: &Folded, count: &Folded) -> Result<Option<Number>, Refusal> {
    let (Folded::Sum(sum), Folded::Sum(count)) = (sum, count) else {
        return Err(Refusal::new(SqlState::INTERNAL_ERROR, "an average needs a folded sum and a folded count"));
    };
    let (Some(sum), Some(Number::Integer(count))) = (sum, count) else { return Ok(None) };
    let Some(count) = u64::try_from(*count).ok().filter(|&count| count > 0) else { return Ok(None) };
    Ok(Some(match sum {
        Number::Small(value) => Number::Exact(Decimal::from(i64::from(*value)).divide_by_count(count)),
        Number::Integer(value) => Number::Exact(Decimal::from(*value).divide_by_count(count)),
        Number::Exact(value) => Number::Exact(value.divide_by_count(count)),
        Number::Single(value) => Number::Double(f64::from(*value) / count as f64),
        Number::Double(value) => Number::Double(*value / count as f64),
    }))
}
