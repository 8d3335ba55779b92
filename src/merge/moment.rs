//! Dates and times in the text format with `DateStyle` ISO, as the numbers that the binary format has.
//!
//! Days and microseconds count from 2000-01-01; infinities are the least and the greatest number.

/// 2000-01-01 counted from 1970-01-01.
const DAYS_TO_2000: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// Reads a `date` as days.
pub(super) fn date(text: &str) -> Option<i64> {
    if let Some(infinity) = infinity(text) {
        return Some(infinity);
    }
    let (text, before_christ) = era(text);
    day(text, before_christ)
}

/// Reads a `time` as microseconds since midnight; `24:00:00` is the greatest.
pub(super) fn time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hour > 24 || minute > 59 || second > 60 || fraction.len() > 6 {
        return None;
    }
    let micros = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<6}"))? };
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// Reads a `timestamp` as microseconds.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    if let Some(infinity) = infinity(text) {
        return Some(infinity);
    }
    let (text, before_christ) = era(text);
    let (date, clock) = text.split_once(' ')?;
    day(date, before_christ)?.checked_mul(DAY_MICROS)?.checked_add(time(clock)?)
}

/// Reads a `timestamptz` as microseconds in UTC, whatever offset it is written with.
pub(super) fn timestamp_with_zone(text: &str) -> Option<i64> {
    if let Some(infinity) = infinity(text) {
        return Some(infinity);
    }
    let (text, before_christ) = era(text);
    let (date, clock) = text.split_once(' ')?;
    let split = clock.find(['+', '-'])?;
    let micros = day(date, before_christ)?.checked_mul(DAY_MICROS)?.checked_add(time(&clock[..split])?)?;
    micros.checked_sub(offset(&clock[split..])?)
}

fn infinity(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(i64::MAX),
        "-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |rest| (rest, true))
}

/// Reads `+02`, `-03:30` or `+00:53:28` as microseconds.
fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut seconds = 0;
    let mut unit = 3_600;
    for part in text.get(1..)?.split(':') {
        if unit == 0 {
            return None;
        }
        seconds += number(part)? * unit;
        unit /= 60;
    }
    Some(sign * seconds * 1_000_000)
}

/// Reads `YYYY-MM-DD` (the year may have more digits) as days.
fn day(text: &str, before_christ: bool) -> Option<i64> {
    let mut parts = text.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // There is no year 0: 1 BC stands before 1 AD.
    Some(days_from_civil(if before_christ { 1 - year } else { year }, month, day) - DAYS_TO_2000)
}

/// Counts days from 1970-01-01 in the proleptic Gregorian calendar; years start in March, 400 of them have 146,097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads up to nine ASCII digits.
fn number(text: &str) -> Option<i64> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_2000() {
        assert_eq!(date("2000-01-01"), Some(0));
        assert_eq!(date("1999-12-31"), Some(-1));
        assert_eq!(date("12345-06-07").map(|day| day > 0), Some(true));
        assert_eq!(date("0001-01-01").unwrap() - date("0001-12-31 BC").unwrap(), 1);
        assert_eq!(date("0044-03-15 BC"), Some(-746_117));
        assert_eq!((date("infinity"), date("-infinity")), (Some(i64::MAX), Some(i64::MIN)));
        for wrong in ["", "2000-13-01", "01/02/2000", "2000-01", "2000-01-01-01", "-1-01-01"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_end_at_24() {
        assert_eq!(time("24:00:00"), Some(DAY_MICROS));
        assert_eq!(time("00:00:00.5"), Some(500_000));
        assert_eq!(time("25:00:00"), None);
        assert_eq!(time("00:00:00.1234567"), None);
    }

    #[test]
    fn zones_are_taken_off() {
        assert_eq!(timestamp("2000-01-01 01:00:00"), Some(3_600_000_000));
        assert_eq!(timestamp_with_zone("2000-01-01 01:00:00+01"), Some(0));
        assert_eq!(timestamp_with_zone("1999-12-31 20:30:00-03:30"), Some(0));
        assert_eq!(timestamp_with_zone("2000-01-01 00:19:32+00:19:32"), Some(0));
        assert_eq!(timestamp_with_zone("2000-01-01 00:00:00"), None);
    }
}
