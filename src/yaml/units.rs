//! Time spans and sizes as people write them.

use std::time::Duration;

/// Units of time and their milliseconds, smallest first.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size and their bytes, smallest first.
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads a whole number and one of `ms`, `s`, `min`, `h`, `d`; `None` for anything else, also when the unit is missing.
pub fn duration(text: &str) -> Option<Duration> {
    scaled(text, &TIMES).map(Duration::from_millis)
}

/// Reads a whole number and one of `B`, `KiB`, `MiB`, `GiB`; a bare number is bytes.
pub fn size(text: &str) -> Option<u64> {
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if bare { text.parse().ok() } else { scaled(text, &SIZES) }
}

/// Writes a time span in the largest unit that loses nothing above a millisecond.
pub fn duration_text(span: Duration) -> String {
    unscaled(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// Writes a size in the largest unit that loses nothing.
pub fn size_text(bytes: u64) -> String {
    unscaled(bytes, &SIZES)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn unscaled(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |factor: u64| amount == 0 || amount.is_multiple_of(factor);
    let largest = units.iter().rev().find(|(_, factor)| fits(*factor) && (amount > 0 || *factor == units[0].1));
    match largest {
        Some((name, factor)) => format!("{}{name}", amount / factor),
        None => amount.to_string(),
    }
}
