//! Texts with a form of their own: addresses, bucket ranges, times.

use crate::types::moment;
use crate::yaml::Format;

/// `host:port`, `[v6]:port` or `/directory:port`.
pub const ADDRESS: Format = Format {
    expected: "an address such as 127.0.0.1:5432, [::1]:5432 or /run/postgresql:5432",
    pattern: "^(\\[[0-9a-fA-F:.]+\\]|[^:\\[\\]]+):[0-9]{1,5}$",
    bare_number: false,
    holds: |text| address(text).is_some(),
};

/// `0-2047` or `17`.
pub const BUCKETS: Format = Format {
    expected: "buckets such as \"0-2047\" or \"17\"",
    pattern: "^[0-9]+(-[0-9]+)?$",
    bare_number: true,
    holds: |text| bucket_range(text).is_some(),
};

/// A reason code or a SQLSTATE.
pub const ERROR_WORD: Format = Format {
    expected: "a reason such as missing_sharding_key or a SQLSTATE",
    pattern: "^[A-Za-z0-9_]+$",
    bare_number: true,
    holds: |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
};

/// A time in UTC.
pub const EPOCH: Format = Format {
    expected: "a time in UTC since 1970 such as \"2026-01-01T00:00:00Z\"",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{3})?Z$",
    bare_number: false,
    holds: |text| epoch_ms(text).is_some(),
};

/// A day of the calendar.
pub const DAY: Format = Format {
    expected: "a day such as \"2026-01-31\"",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    bare_number: false,
    holds: |text| day(text).is_some(),
};

/// An offset from UTC.
pub const UTC_OFFSET: Format = Format {
    expected: "an offset from UTC such as \"+00:00\" or \"-03:30\"",
    pattern: "^[+-][0-9]{2}:[0-9]{2}$",
    bare_number: false,
    holds: |text| utc_offset(text).is_some(),
};

/// Reads a day as days since 2000-01-01.
fn day(text: &str) -> Option<i64> {
    moment::date_days(text).filter(|_| text.starts_with(|first: char| first.is_ascii_digit()))
}

/// Reads `+08:00` as microseconds.
pub fn utc_offset(text: &str) -> Option<i64> {
    moment::offset_micros(text).filter(|_| text.len() == 6)
}

/// Splits an address into host (without brackets) and port.
pub fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|port| digits && *port > 0)?;
    let bare = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok().then_some(inner)?,
        None => (!host.is_empty() && !host.contains([':', '[', ']', ' ', '@'])).then_some(host)?,
    };
    Some((bare.to_owned(), port))
}

/// Reads a range of buckets, both ends included, or a single one.
pub fn bucket_range(text: &str) -> Option<(u32, u32)> {
    let number =
        |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first.trim())?, number(last.trim())?),
        None => (number(text)?, number(text)?),
    };
    (first <= last).then_some((first, last))
}

/// Reads `2026-01-01T00:00:00Z`, milliseconds allowed, as milliseconds since the UNIX epoch; only UTC, so that no
/// machine's time zone has a say.
pub fn epoch_ms(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "000"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let [milliseconds] = numbers(fraction, '.', [3])?;
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milliseconds)
}

/// Reads decimal parts of exact widths.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to the first of the month.
fn days_before(year: i64, month: i64) -> i64 {
    let years = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum::<i64>();
    years + (1..month).map(|month| days_of(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_split_into_host_and_port() {
        assert_eq!(address("127.0.0.1:5501"), Some(("127.0.0.1".to_owned(), 5501)));
        assert_eq!(address("[::1]:5432"), Some(("::1".to_owned(), 5432)));
        assert_eq!(address("/run/postgresql:5432"), Some(("/run/postgresql".to_owned(), 5432)));
        for wrong in ["pg0", "pg0:", ":5432", "pg0:0", "pg0:65536", "::1:5432", "pg0:+1", "[x]:1", "u@h:1"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bucket_ranges_include_both_ends() {
        assert_eq!(bucket_range("0-2047"), Some((0, 2047)));
        assert_eq!(bucket_range("17"), Some((17, 17)));
        for wrong in ["", "-", "1-", "-1", "3-2", "a-b", "1-2-3", "+1"] {
            assert_eq!(bucket_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn epochs_are_utc_and_on_the_calendar() {
        assert_eq!(epoch_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(epoch_ms("2026-01-01T00:00:00Z"), Some(1_767_225_600_000));
        assert_eq!(epoch_ms("2024-02-29T23:59:59.999Z"), Some(1_709_251_199_999));
        let wrong = ["2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00+08:00", "2025-02-29T00:00:00Z"];
        for wrong in wrong.into_iter().chain(["2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "1969-12-31T23:59:59Z"]) {
            assert_eq!(epoch_ms(wrong), None, "{wrong}");
        }
    }
}
