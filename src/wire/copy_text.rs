//! COPY's text format: row borders and single fields; whole rows are passed on, never rebuilt.
//!
//! Rows end with a newline, with or without a carriage return before it. Files whose rows end with a bare carriage
//! return are not split here. CSV and binary have other borders.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

/// Why a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyTextError {
    /// The row is shorter.
    #[error("missing data for column {}: the row has {found}", position + 1)]
    NoSuchField {
        /// The field asked for, 0-based.
        position: usize,
        /// How many fields the row has.
        found: usize,
    },
}

/// Returns the bytes, newline included, of the first complete row in `buffer`; `None` while none is complete.
///
/// A newline after a backslash is data. The caller bounds the buffer.
pub fn next_row(buffer: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', buffer).find(|end| !is_escaped(buffer, *end)).map(|end| end + 1)
}

/// Tells whether an odd number of backslashes stands before `at`.
fn is_escaped(buffer: &[u8], at: usize) -> bool {
    buffer[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Returns the row without its line end.
pub fn content(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    match row.strip_suffix(b"\r") {
        Some(shorter) if !is_escaped(row, shorter.len()) => shorter,
        Some(_) | None => row,
    }
}

/// Tells whether the row is the end-of-data marker `\.`; what follows it is not data.
pub fn is_end_of_data(row: &[u8]) -> bool {
    content(row) == b"\\."
}

/// Returns field `position` (0-based) of `row`, unescaped; `None` is NULL, a field that is spelt exactly `null`.
pub fn field<'a>(
    row: &'a [u8],
    position: usize,
    delimiter: u8,
    null: &str,
) -> Result<Option<Cow<'a, [u8]>>, CopyTextError> {
    let mut rest = content(row);
    for index in 0..position {
        let end = field_end(rest, delimiter);
        if end == rest.len() {
            return Err(CopyTextError::NoSuchField { position, found: index + 1 });
        }
        rest = &rest[end + 1..];
    }
    let raw = &rest[..field_end(rest, delimiter)];
    if raw == null.as_bytes() {
        return Ok(None);
    }
    Ok(Some(match memchr(b'\\', raw) {
        None => Cow::Borrowed(raw),
        Some(first) => Cow::Owned(unescape(raw, first)),
    }))
}

/// Returns where the field at the front of `rest` ends: at a delimiter, or at the end.
fn field_end(rest: &[u8], delimiter: u8) -> usize {
    let mut from = 0;
    while let Some(found) = rest.get(from..).and_then(|tail| memchr2(delimiter, b'\\', tail)) {
        let at = from + found;
        if rest[at] == delimiter {
            return at;
        }
        from = at + 2;
    }
    rest.len()
}

fn unescape(raw: &[u8], first: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    out.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
        } else if let Some((&escape, tail)) = rest.split_first() {
            let (value, used) = read_escape(escape, tail);
            out.push(value);
            rest = &tail[used..];
        }
    }
    out
}

/// Returns the byte that `\escape` stands for, and how many bytes of `tail` belong to it.
fn read_escape(escape: u8, tail: &[u8]) -> (u8, usize) {
    match escape {
        b'b' => (0x08, 0),
        b'f' => (0x0c, 0),
        b'n' => (b'\n', 0),
        b'r' => (b'\r', 0),
        b't' => (b'\t', 0),
        b'v' => (0x0b, 0),
        b'0'..=b'7' => read_digits(escape - b'0', tail, 8),
        b'x' => match read_digits(0, tail, 16) {
            (_, 0) => (b'x', 0),
            read => read,
        },
        other => (other, 0),
    }
}

/// Reads at most two more digits after `value`; octal overflow wraps as in PostgreSQL.
fn read_digits(value: u8, tail: &[u8], base: u32) -> (u8, usize) {
    let digits = tail.iter().take(2).map_while(|byte| char::from(*byte).to_digit(base));
    digits.fold((value, 0), |(value, used), digit| (value.wrapping_mul(base as u8).wrapping_add(digit as u8), used + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(row: &str, position: usize) -> Option<String> {
        let value = field(row.as_bytes(), position, b'\t', "\\N").unwrap();
        value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn rows_end_at_unescaped_newlines() {
        assert_eq!(next_row(b"1\ta"), None);
        assert_eq!(next_row(b"1\ta\n2"), Some(4));
        assert_eq!(next_row(b"1\ta\\\nb\n2\n"), Some(7));
        assert_eq!(next_row(b"1\\\\\n2\n"), Some(4));
        assert_eq!(next_row(b"\n"), Some(1));
    }

    #[test]
    fn fields_are_unescaped() {
        let row = "1\ta\\tb\t\\N\t\\x41\\101\\q\\\\N\t\\\tz\t\r\n";
        assert_eq!(text(row, 0).as_deref(), Some("1"));
        assert_eq!(text(row, 1).as_deref(), Some("a\tb"));
        assert_eq!(text(row, 2), None);
        assert_eq!(text(row, 3).as_deref(), Some("AAq\\N"));
        assert_eq!(text(row, 4).as_deref(), Some("\tz"));
        assert_eq!(text(row, 5).as_deref(), Some(""));
        assert_eq!(field(row.as_bytes(), 6, b'\t', "\\N"), Err(CopyTextError::NoSuchField { position: 6, found: 6 }));
    }

    #[test]
    fn odd_escapes_read_as_postgresql_reads_them() {
        assert_eq!(text("\\xg\n", 0).as_deref(), Some("xg"));
        assert_eq!(text("\\x4\n", 0).as_deref(), Some("\u{4}"));
        assert_eq!(text("\\1012\n", 0).as_deref(), Some("A2"));
        assert_eq!(text("a\\", 0).as_deref(), Some("a"));
        assert_eq!(text("\\\r\n", 0).as_deref(), Some("\r"));
    }

    #[test]
    fn null_is_the_given_spelling_only() {
        assert_eq!(field(b"\n", 0, b',', ""), Ok(None));
        assert_eq!(field(b"\\N\n", 0, b',', ""), Ok(Some(Cow::Owned(b"N".to_vec()))));
    }

    #[test]
    fn end_of_data_is_a_row_of_its_own() {
        assert!(is_end_of_data(b"\\.\n") && is_end_of_data(b"\\.\r\n") && is_end_of_data(b"\\."));
        assert!(!is_end_of_data(b"1\\.\n") && !is_end_of_data(b".\n"));
    }

    proptest! {
        #[test]
        fn rows_split_the_buffer_and_fields_never_panic(bytes in "[\\\\nNx01\t\r\n.]{0,40}", position in 0usize..4) {
            let mut rest = bytes.as_bytes();
            while let Some(length) = next_row(rest) {
                prop_assert!(length > 0 && rest[length - 1] == b'\n');
                let _ = field(&rest[..length], position, b'\t', "\\N");
                rest = &rest[length..];
            }
            let _ = field(rest, position, b'\t', "\\N");
        }
    }
}
