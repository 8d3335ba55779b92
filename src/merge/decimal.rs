//! Exact decimal numbers, as PostgreSQL's `numeric`: base 10,000 digits, a display scale, NaN and the infinities.
//!
//! Only what folding needs: reading, writing, adding, dividing by a count.

/// The base of a digit, PostgreSQL's `NBASE`.
pub(super) const BASE: i64 = 10_000;
/// Decimal digits in a digit, PostgreSQL's `DEC_DIGITS`.
pub(super) const BASE_DIGITS: i32 = 4;
/// The significant digits that a quotient has at least, PostgreSQL's `NUMERIC_MIN_SIG_DIGITS`.
const QUOTIENT_DIGITS_MIN: i32 = 16;
/// The greatest display scale of a quotient, PostgreSQL's `NUMERIC_MAX_DISPLAY_SCALE`.
const QUOTIENT_SCALE_MAX: i32 = 1_000;

/// A `numeric` value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decimal {
    /// A number.
    Finite(Number),
    /// `Infinity`
    Infinity,
    /// `-Infinity`
    NegativeInfinity,
    /// `NaN`
    NotANumber,
}

/// A finite number: the sum of `digits[i] × 10000^(weight − i)`; no zero digits at either end, zero has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Number {
    pub negative: bool,
    pub weight: i32,
    pub digits: Vec<u16>,
    /// Decimal digits shown after the point.
    pub scale: u16,
}

impl Decimal {
    /// Adds as `numeric_add`: opposite infinities give NaN, the scale is the greater one.
    pub fn add(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::NotANumber, _) | (_, Self::NotANumber) => Self::NotANumber,
            (Self::Infinity, Self::NegativeInfinity) | (Self::NegativeInfinity, Self::Infinity) => Self::NotANumber,
            (Self::Infinity, _) | (_, Self::Infinity) => Self::Infinity,
            (Self::NegativeInfinity, _) | (_, Self::NegativeInfinity) => Self::NegativeInfinity,
            (Self::Finite(a), Self::Finite(b)) => Self::Finite(a.add(b)),
        }
    }

    /// Divides by a count of at least 1 as `numeric_div` does: the same scale, rounded half away from zero.
    pub fn divide_by_count(&self, count: u64) -> Self {
        match self {
            Self::Finite(number) => Self::Finite(number.divide_by_count(count)),
            Self::Infinity | Self::NegativeInfinity | Self::NotANumber => self.clone(),
        }
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::Finite(Number::from(value))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        let mut rest = value.unsigned_abs();
        let mut digits = Vec::new();
        while rest > 0 {
            digits.push((rest % BASE as u64) as u16);
            rest /= BASE as u64;
        }
        digits.reverse();
        Self::new(value < 0, digits.len() as i32 - 1, digits, 0)
    }
}

impl Number {
    /// Makes a number from digits that may have zeros at both ends.
    pub fn new(negative: bool, mut weight: i32, mut digits: Vec<u16>, scale: u16) -> Self {
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        digits.drain(..leading);
        weight -= leading as i32;
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            return Self { scale, ..Self::default() };
        }
        Self { negative, weight, digits, scale }
    }

    /// Returns the digit with `weight`, 0 outside.
    fn digit(&self, weight: i32) -> i64 {
        let index = i64::from(self.weight) - i64::from(weight);
        usize::try_from(index).ok().and_then(|index| self.digits.get(index)).map_or(0, |&digit| i64::from(digit))
    }

    fn lowest_weight(&self) -> i32 {
        self.weight - self.digits.len() as i32 + 1
    }

    fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        if self.digits.is_empty() {
            return Self { scale, ..other.clone() };
        }
        if other.digits.is_empty() {
            return Self { scale, ..self.clone() };
        }
        let top = self.weight.max(other.weight) + 1;
        let bottom = self.lowest_weight().min(other.lowest_weight());
        let sign = |number: &Self| if number.negative { -1 } else { 1 };
        let mut sums: Vec<i64> = (bottom..=top)
            .rev()
            .map(|weight| sign(self) * self.digit(weight) + sign(other) * other.digit(weight))
            .collect();
        // The digits below the first that is not zero cannot outweigh it, so it has the sum's sign.
        let negative = sums.iter().find(|&&sum| sum != 0).is_some_and(|&sum| sum < 0);
        let mut carry = 0;
        for sum in sums.iter_mut().rev() {
            let value = if negative { -*sum } else { *sum } + carry;
            *sum = value.rem_euclid(BASE);
            carry = value.div_euclid(BASE);
        }
        Self::new(negative, top, sums.into_iter().map(|digit| digit as u16).collect(), scale)
    }

    fn divide_by_count(&self, count: u64) -> Self {
        let scale = self.quotient_scale(&Self::from(i64::try_from(count).unwrap_or(i64::MAX)));
        // One digit past the scale decides the rounding.
        let bottom = -((scale + BASE_DIGITS) / BASE_DIGITS);
        let mut rest: u128 = 0;
        let mut digits = Vec::new();
        for weight in (bottom..=self.weight.max(0)).rev() {
            rest = rest * BASE as u128 + self.digit(weight) as u128;
            digits.push((rest / u128::from(count)) as u16);
            rest %= u128::from(count);
        }
        round(&mut digits, bottom, scale);
        Self::new(self.negative, bottom + digits.len() as i32 - 1, digits, scale as u16)
    }

    /// PostgreSQL's `select_div_scale`: at least 16 significant digits and the scales of both sides.
    fn quotient_scale(&self, divisor: &Self) -> i32 {
        let first = |number: &Self| number.digits.first().copied().unwrap_or(0);
        let weight = |number: &Self| if number.digits.is_empty() { 0 } else { number.weight };
        let mut quotient_weight = weight(self) - weight(divisor);
        if first(self) <= first(divisor) {
            quotient_weight -= 1;
        }
        (QUOTIENT_DIGITS_MIN - quotient_weight * BASE_DIGITS)
            .max(i32::from(self.scale))
            .max(i32::from(divisor.scale))
            .clamp(0, QUOTIENT_SCALE_MAX)
    }
}

/// Rounds half away from zero to `scale` decimals; the last of `digits` has weight `bottom`. May put a digit in front.
fn round(digits: &mut Vec<u16>, bottom: i32, scale: i32) {
    let dropped = -bottom * BASE_DIGITS - scale;
    let unit = 10i64.pow(dropped as u32);
    let mut carry = 0;
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        let mut value = i64::from(*digit) + carry;
        if index == 0 {
            value = (value + unit / 2) / unit * unit;
        }
        *digit = (value % BASE) as u16;
        carry = value / BASE;
    }
    if carry > 0 {
        digits.insert(0, carry as u16);
    }
}
