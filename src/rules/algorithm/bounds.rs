//! What comparisons leave of the keys: everything from one bound to another.

use super::kinds::Span;
use crate::types::{Comparison, KeyValue};

/// Bounds of a key, each with whether the key may equal it. They hold for every row that matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyBounds {
    low: Option<KeyValue>,
    high: Option<(KeyValue, bool)>,
}

impl KeyBounds {
    /// Takes one more comparison into account.
    pub fn restrict(&mut self, comparison: Comparison, value: KeyValue) {
        match comparison {
            Comparison::Less => self.restrict_high(value, false),
            Comparison::LessOrEqual => self.restrict_high(value, true),
            Comparison::Greater => self.restrict_low(above(value)),
            Comparison::GreaterOrEqual => self.restrict_low(value),
        }
    }

    fn restrict_low(&mut self, value: KeyValue) {
        if self.low.as_ref().is_none_or(|low| *low < value) {
            self.low = Some(value);
        }
    }

    fn restrict_high(&mut self, value: KeyValue, included: bool) {
        let tighter = |(high, equal): &(KeyValue, bool)| value < *high || (value == *high && *equal && !included);
        if self.high.as_ref().is_none_or(tighter) {
            self.high = Some((value, included));
        }
    }

    /// Returns the least key, if there is a bound.
    pub(super) fn low(&self) -> Option<&KeyValue> {
        self.low.as_ref()
    }

    /// Returns a key that no other exceeds, if there is a bound: the greatest, where keys are whole numbers.
    pub(super) fn high(&self) -> Option<KeyValue> {
        match self.high.clone()? {
            (KeyValue::Int(number), false) => Some(KeyValue::Int(number.saturating_sub(1))),
            (value, _) => Some(value),
        }
    }

    /// Tells whether a key can lie within these bounds and the span.
    pub(super) fn meets(&self, span: &Span) -> bool {
        !self.is_empty()
            && below(&self.low, &span.to)
            && match (&span.from, &self.high) {
                (Some(from), Some((high, included))) => from < high || (from == high && *included),
                (None, _) | (_, None) => true,
            }
    }

    /// Tells whether no key lies within these bounds.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Some(low), Some((high, included))) => low > high || (low == high && !*included),
            (None, _) | (_, None) => false,
        }
    }
}

fn below(low: &Option<KeyValue>, end: &Option<KeyValue>) -> bool {
    match (low, end) {
        (Some(low), Some(end)) => low < end,
        (None, _) | (_, None) => true,
    }
}

/// The least key above, where keys are whole numbers; elsewhere the key itself, which leaves one key too many.
fn above(value: KeyValue) -> KeyValue {
    match value {
        KeyValue::Int(number) => KeyValue::Int(number.saturating_add(1)),
        KeyValue::Text(_) | KeyValue::Uuid(_) | KeyValue::Parts(_) => value,
    }
}
