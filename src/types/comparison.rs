//! Comparisons by order.

/// How a key stands to a value that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Returns the comparison with both sides exchanged: `5 < k` is `k > 5`.
    pub fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// Returns the comparison that also holds for equal values: what `(k, …) < (5, …)` says of `k` and 5.
    pub fn or_equal(self) -> Self {
        match self {
            Self::Less | Self::LessOrEqual => Self::LessOrEqual,
            Self::Greater | Self::GreaterOrEqual => Self::GreaterOrEqual,
        }
    }
}
