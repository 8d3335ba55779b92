//! `algorithm: interval`: days, weeks, months or years of time, dealt out to shards in turn.

use super::KeyBounds;
use crate::types::moment::{DAY_MICROS, year_and_month};
use crate::types::{KeyType, KeyValue, ShardId, ShardSet};

/// Intervals of a group and their shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The unit that is counted.
    pub unit: Unit,
    /// How many units one interval has, at least 1.
    pub every: i64,
    /// The first day of the first interval, in days since 2000-01-01.
    pub origin: i64,
    /// What is added to a `timestamptz` before its day is told, in microseconds.
    pub offset: i64,
    /// The shards of the intervals, the first one's first, and again from there; at least one.
    pub shards: Vec<ShardId>,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 24 hours.
    Day,
    /// Seven days from the origin.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

impl Unit {
    /// Returns how many whole units lie between the beginning of a calendar and a day.
    fn count(self, day: i64) -> i64 {
        match self {
            Self::Day => day,
            Self::Week => day.div_euclid(7),
            Self::Month => {
                let (year, month) = year_and_month(day);
                year * 12 + month - 1
            }
            Self::Year => year_and_month(day).0,
        }
    }
}

impl Interval {
    /// Returns the shard of a key of this type; `None` for the infinities.
    pub(super) fn shard_of(&self, key_type: KeyType, value: &KeyValue) -> Option<ShardId> {
        self.shards.get(self.number(key_type, value)?.rem_euclid(self.shards.len() as i64) as usize).copied()
    }

    /// Returns the shards of keys within these bounds.
    pub(super) fn within(&self, key_type: KeyType, bounds: &KeyBounds) -> ShardSet {
        if bounds.is_empty() {
            return ShardSet::new();
        }
        let number = |value: Option<&KeyValue>| self.number(key_type, value?);
        let (Some(first), Some(last)) = (number(bounds.low()), number(bounds.high().as_ref())) else {
            return self.shards.iter().copied().collect();
        };
        let count = self.shards.len() as i64;
        let touched = last.saturating_sub(first).saturating_add(1).clamp(0, count);
        (first..first + touched).map(|number| self.shards[number.rem_euclid(count) as usize]).collect()
    }

    /// Returns the number of the interval that holds a key, from 0 at the origin.
    fn number(&self, key_type: KeyType, value: &KeyValue) -> Option<i64> {
        let KeyValue::Int(value) = *value else { return None };
        if value == i64::MAX || value == i64::MIN {
            return None;
        }
        let day = match key_type {
            KeyType::Date => value,
            KeyType::Timestamp => value.div_euclid(DAY_MICROS),
            KeyType::TimestampTz => value.saturating_add(self.offset).div_euclid(DAY_MICROS),
            KeyType::SmallInt | KeyType::Int | KeyType::BigInt | KeyType::Text | KeyType::Varchar | KeyType::Uuid => {
                return None;
            }
        };
        let units = match self.unit {
            // Their calendar begins at the origin.
            Unit::Day | Unit::Week => self.unit.count(day.saturating_sub(self.origin)),
            Unit::Month | Unit::Year => self.unit.count(day) - self.unit.count(self.origin),
        };
        Some(units.div_euclid(self.every))
    }
}
