//! Dates and times as PostgreSQL keeps them: days or microseconds since 2000-01-01, infinities at the ends of an `i64`.
//!
//! Only forms are read that mean one thing under every `DateStyle` and `TimeZone`: ISO 8601 with a year of four digits,
//! and for `timestamptz` an offset. PostgreSQL takes many more; those are for the server.

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds of a second.
const SECOND_MICROS: i64 = 1_000_000;

/// Days from 1970-01-01 to 2000-01-01.
const DAYS_TO_2000: i64 = 10_957;

/// The greatest offset from UTC that PostgreSQL reads is below 16 hours.
const OFFSET_HOURS_MAX: i64 = 15;

/// Reads `2026-01-31`, `infinity` or `-infinity` as days since 2000-01-01.
pub fn date_days(text: &str) -> Option<i64> {
    infinity(text).or_else(|| day(text))
}

/// Reads `2026-01-31 08:15:00.25`, also with a `T` and with seconds, clock or fraction left out, as microseconds.
pub fn timestamp_micros(text: &str) -> Option<i64> {
    infinity(text).or_else(|| moment(text))
}

/// Reads a timestamp with an offset – `Z`, `+08`, `+0530`, `-03:30` – as microseconds in UTC.
pub fn timestamptz_micros(text: &str) -> Option<i64> {
    if let Some(infinity) = infinity(text) {
        return Some(infinity);
    }
    if let Some(moment_in_utc) = text.strip_suffix('Z') {
        return clocked(moment_in_utc);
    }
    // The date has hyphens of its own.
    let sign = text.get(10..)?.rfind(['+', '-'])? + 10;
    clocked(&text[..sign])?.checked_sub(offset_micros(&text[sign..])?)
}

/// Reads an offset from UTC such as `+08`, `+0530` or `-03:30` as microseconds.
pub fn offset_micros(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (number(digits)?, 0),
        4 => (number(digits.get(..2)?)?, number(digits.get(2..)?)?),
        5 if digits.as_bytes()[2] == b':' => (number(digits.get(..2)?)?, number(digits.get(3..)?)?),
        _ => return None,
    };
    let holds = hours <= OFFSET_HOURS_MAX && minutes < 60;
    holds.then_some(sign * (hours * 60 + minutes) * 60 * SECOND_MICROS)
}

/// Returns year and month (1–12) of a day since 2000-01-01.
pub fn year_and_month(day: i64) -> (i64, i64) {
    // Years begin in March here, so that the leap day is the last one; 400 of them have 146,097 days.
    let shifted = day.saturating_add(DAYS_TO_2000 + 719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month)
}

fn infinity(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(i64::MAX),
        "-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn moment(text: &str) -> Option<i64> {
    if text.len() == 10 { day(text)?.checked_mul(DAY_MICROS) } else { clocked(text) }
}

/// Reads a date with a clock.
fn clocked(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let clock = rest.strip_prefix([' ', 'T'])?;
    day(date)?.checked_mul(DAY_MICROS)?.checked_add(time(clock)?)
}

/// Reads `08:15`, `08:15:30` or `08:15:30.25`; not the leap second, and not 24:00.
fn time(text: &str) -> Option<i64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let mut part = || parts.next().map(|part| if part.len() == 2 { number(part) } else { None });
    let (hour, minute, second) = (part()??, part()??, part());
    let seconds = match second {
        Some(second) => second?,
        None if fraction.is_none() => 0,
        None => return None,
    };
    let micros = match fraction {
        Some(digits) if (1..=6).contains(&digits.len()) => number(digits)? * 10_i64.pow(6 - digits.len() as u32),
        Some(_) => return None,
        None => 0,
    };
    let holds = part().is_none() && hour < 24 && minute < 60 && seconds < 60;
    holds.then_some(((hour * 60 + minute) * 60 + seconds) * SECOND_MICROS + micros)
}

/// Reads `YYYY-MM-DD` of the years 1 to 9999 as days since 2000-01-01.
fn day(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(text.get(..4)?)?, number(text.get(5..7)?)?, number(text.get(8..)?)?);
    let holds = year > 0 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    holds.then(|| days_before(year, month) + day - 1)
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 2000-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468 - DAYS_TO_2000
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
    fn dates_are_on_the_calendar() {
        assert_eq!((date_days("2000-01-01"), date_days("1999-12-31")), (Some(0), Some(-1)));
        assert_eq!((date_days("2026-03-01"), date_days("0001-01-01")), (Some(9_556), Some(-730_119)));
        assert_eq!(date_days("9999-12-31"), Some(2_921_939));
        assert_eq!((date_days("infinity"), date_days("-infinity")), (Some(i64::MAX), Some(i64::MIN)));
        let wrong =
            ["", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "0000-01-01", "01/02/2026", "20260101"];
        for wrong in wrong.into_iter().chain(["2026-1-1", "2026-01-01 ", "2026-01-01 00:00", "today", "２026-01-1"]) {
            assert_eq!(date_days(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn timestamps_are_to_the_microsecond() {
        let good = [
            ("2000-01-01", 0),
            ("2000-01-01 00:00", 0),
            ("2000-01-01T00:00:01", 1_000_000),
            ("2000-01-01 00:00:00.5", 500_000),
            ("2000-01-01 00:00:00.000001", 1),
            ("1999-12-31 23:59:59.999999", -1),
            ("2000-01-02 01:02:03", DAY_MICROS + 3_723_000_000),
        ];
        for (text, micros) in good {
            assert_eq!(timestamp_micros(text), Some(micros), "{text}");
        }
        let wrong = ["2000-01-01 24:00", "2000-01-01 00:60", "2000-01-01 00:00:60", "2000-01-01 00:00:00.0000001"];
        let more =
            ["2000-01-01 0:00", "2000-01-01 00", "2000-01-01  00:00", "2000-01-01 00:00+01", "2000-01-01 00:00.5"];
        for wrong in wrong.into_iter().chain(more).chain(["2000-01-01 00:00:00Z", "2000-01-01 00:00:00:00", "now"]) {
            assert_eq!(timestamp_micros(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_with_a_zone_need_an_offset() {
        let good =
            ["2000-01-01 00:00Z", "2000-01-01 01:00+01", "1999-12-31 20:30:00-03:30", "2000-01-01T05:30:00+0530"];
        for text in good {
            assert_eq!(timestamptz_micros(text), Some(0), "{text}");
        }
        let wrong =
            ["2000-01-01 00:00:00", "2000-01-01", "2000-01-01 00:00 UTC", "2000-01-01 00:00+16", "2000-01-01+01"];
        for wrong in wrong.into_iter().chain(["2000-01-01 00:00+1", "2000-01-01 00:00+01:60", "2000-01-01 00:00+-1"]) {
            assert_eq!(timestamptz_micros(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn months_are_those_of_their_days() {
        for year in [1, 1900, 1999, 2000, 2024, 2026, 2100, 9999] {
            for month in 1..=12 {
                let first = days_before(year, month);
                let last = first + days_of(year, month) - 1;
                assert_eq!((year_and_month(first), year_and_month(last)), ((year, month), (year, month)));
            }
        }
    }
}
