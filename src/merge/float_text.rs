//! Floating-point numbers in PostgreSQL's text format: the shortest digits that read back the same.

/// Writes a `float8`.
pub(super) fn float8(value: f64) -> String {
    let bits = value.to_bits();
    let interval = Interval::new(bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32, 52, -1_075);
    special(value).map_or_else(|| layout(&shortest(|digits| write(value, digits), &interval), 15), str::to_owned)
}

/// Writes a `float4`.
pub(super) fn float4(value: f32) -> String {
    let bits = value.to_bits();
    let interval = Interval::new(u64::from(bits & ((1 << 23) - 1)), (bits >> 23 & 0xff) as i32, 23, -150);
    special(value.into()).map_or_else(|| layout(&shortest(|digits| write(value, digits), &interval), 6), str::to_owned)
}

/// Writes `d.ddde±x`: the shortest form, or with so many digits after the point.
fn write(value: impl std::fmt::LowerExp, digits: Option<usize>) -> String {
    digits.map_or_else(|| format!("{value:e}"), |digits| format!("{value:.digits$e}"))
}

/// Returns the shortest digits strictly between the neighbours' midpoints. Rust takes a midpoint too when it reads
/// back as the value (ties go to even); PostgreSQL does not, so one digit more is asked for then.
fn shortest(write: impl Fn(Option<usize>) -> String, interval: &Interval) -> String {
    /// Seventeen significant digits tell any two doubles apart.
    const DIGITS_MAX: usize = 17;
    let any = write(None);
    let mut digits = any.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit).count();
    // Asked for a number of digits, Rust rounds halves to even as PostgreSQL does; in the shortest form it does not.
    let mut text = write(Some(digits - 1));
    while digits < DIGITS_MAX && interval.ends_at(&text) {
        text = write(Some(digits));
        digits += 1;
    }
    text
}

/// The numbers that read as one float lie between these two midpoints, in units of `2^exponent`.
struct Interval {
    ends: [u64; 2],
    exponent: i32,
}

impl Interval {
    /// Makes the interval from a float's fields; `lowest` is the exponent of the least fraction bit less one.
    fn new(fraction: u64, exponent: i32, fraction_bits: u32, lowest: i32) -> Self {
        let hidden = if exponent == 0 { 0 } else { 1 << fraction_bits };
        let mantissa = 4 * (fraction | hidden);
        // Below a power of two floats lie twice as dense.
        let below = if fraction == 0 && exponent > 1 { 1 } else { 2 };
        Self { ends: [mantissa.saturating_sub(below), mantissa + 2], exponent: exponent.max(1) + lowest - 2 }
    }

    /// Tells whether `d.ddde±x` is exactly one of the ends.
    fn ends_at(&self, text: &str) -> bool {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let (Ok(digits), Ok(exponent)) = (digits.parse::<u64>(), exponent.parse::<i32>()) else { return false };
        self.ends.iter().any(|&end| equal(digits, exponent - places, end, self.exponent))
    }
}

/// Tells whether `digits × 10^ten = end × 2^two`: by their odd parts and their powers of two.
fn equal(digits: u64, ten: i32, end: u64, two: i32) -> bool {
    // Zero has no midpoint of its own; it is never an end.
    if digits == 0 || end == 0 {
        return false;
    }
    let odd = |value: u64| u128::from(value >> value.trailing_zeros());
    let Some(five) = 5u128.checked_pow(ten.unsigned_abs()) else { return false };
    let (left, right) = if ten >= 0 { (five, 1) } else { (1, five) };
    let powers_agree = digits.trailing_zeros() as i32 + ten == end.trailing_zeros() as i32 + two;
    // A product that overflows is far beyond the other side, which has at most 64 bits.
    let (left, right) = (odd(digits).checked_mul(left), odd(end).checked_mul(right));
    powers_agree && left.is_some() && left == right
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// Turns `d.ddde±x` into PostgreSQL's form: plain from `0.0001` to below `10^plain_digits`, else `d.ddde±xx`.
fn layout(scientific: &str, plain_digits: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..plain_digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits:0<whole$}");
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

#[cfg(test)]
mod tests {
    use super::{float4, float8};

    #[test]
    fn floats_are_written_as_postgres_writes_them() {
        let doubles = [
            (1e23, "9.999999999999999e+22"),
            (5e-324, "5e-324"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in doubles {
            assert_eq!(float8(value), text);
        }
        for (value, text) in [(999_999.0, "999999"), (1e6, "1e+06"), (0.5, "0.5"), (-120.0, "-120")] {
            assert_eq!(float4(value), text);
        }
    }

    #[test]
    fn the_midpoint_between_two_floats_is_not_written() {
        assert_eq!(float4(-446_414_784i32 as f32), "-4.4641478e+08");
    }

    #[test]
    fn halves_are_rounded_to_even() {
        assert_eq!(float4(-3_989_281.0 / 8.0), "-498660.12");
    }
}
