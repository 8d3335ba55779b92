//! COPY's csv format: row borders and single fields, as PostgreSQL's reader finds them; rows are passed on as they are.
//!
//! A newline between quotes is data. All rows must end alike, as PostgreSQL asks: each server sees only some of them, and
//! could not tell.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use super::copy_text::CopyTextError;

/// The characters that have a meaning beside the delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoting {
    /// `QUOTE`
    pub quote: u8,
    /// `ESCAPE`, the quote itself unless it is said.
    pub escape: u8,
}

/// Why data are no csv, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyCsvError {
    /// A carriage return where rows end otherwise.
    #[error("unquoted carriage return found in data")]
    CarriageReturn,
    /// A newline where rows end otherwise.
    #[error("unquoted newline found in data")]
    Newline,
    /// The data, or a row, end between quotes.
    #[error("unterminated CSV quoted field")]
    Unterminated,
    /// The last line is `\.` and has no end, so that it is a value to some servers and the end of the data to others.
    #[error("end-of-copy marker without an end of its line")]
    Mark,
}

/// How the rows end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineEnd {
    /// None has ended.
    #[default]
    Unknown,
    /// `\n`
    Newline,
    /// `\r`
    CarriageReturn,
    /// `\r\n`
    Both,
}

/// Finds the rows of data that come in pieces.
#[derive(Debug, Clone)]
pub struct Rows {
    quoting: Quoting,
    end: LineEnd,
    at: usize,
    inside: bool,
    escaped: bool,
}

impl Rows {
    /// Begins before the first row.
    pub fn new(quoting: Quoting) -> Self {
        Self { quoting, end: LineEnd::Unknown, at: 0, inside: false, escaped: false }
    }

    /// Returns the length of the row at the front, its end included; `None` while it is not complete. `data` begins
    /// where it began at the last call, unless that returned a row: then behind it. `last` says that no more will come.
    ///
    /// # Errors
    /// The row ends otherwise than those before it.
    pub fn next(&mut self, data: &[u8], last: bool) -> Result<Option<usize>, CopyCsvError> {
        while let Some(found) = self.search(data.get(self.at..).unwrap_or_default()) {
            self.escaped &= found == 0;
            let at = self.at + found;
            let byte = data[at];
            if byte == b'\r' && !self.inside {
                match self.carriage_return(data.get(at + 1), last)? {
                    Some(length) => return Ok(Some(self.row(at + length))),
                    None => {
                        self.at = at;
                        return Ok(None);
                    }
                }
            }
            if byte == b'\n' && !self.inside {
                if matches!(self.end, LineEnd::CarriageReturn | LineEnd::Both) {
                    return Err(CopyCsvError::Newline);
                }
                self.end = LineEnd::Newline;
                return Ok(Some(self.row(at + 1)));
            }
            self.toggle(byte);
            self.at = at + 1;
        }
        self.escaped &= self.at == data.len();
        self.at = data.len();
        Ok(None)
    }

    /// Returns what ends a row that has come without an end.
    ///
    /// # Errors
    /// It ends between quotes.
    pub fn missing_end(&self) -> Result<&'static [u8], CopyCsvError> {
        match (self.inside, self.end) {
            (true, _) => Err(CopyCsvError::Unterminated),
            (false, LineEnd::Unknown | LineEnd::Newline) => Ok(b"\n"),
            (false, LineEnd::CarriageReturn) => Ok(b"\r"),
            (false, LineEnd::Both) => Ok(b"\r\n"),
        }
    }

    /// Finds the next byte that may have a meaning.
    fn search(&self, rest: &[u8]) -> Option<usize> {
        let Quoting { quote, escape } = self.quoting;
        match (self.inside, quote == escape) {
            (false, _) => memchr3(quote, b'\r', b'\n', rest),
            (true, true) => memchr(quote, rest),
            (true, false) => memchr2(quote, escape, rest),
        }
    }

    /// Takes note of a quote or an escape. An escape counts between quotes only, right before a quote, and not behind
    /// another one.
    fn toggle(&mut self, byte: u8) {
        let Quoting { quote, escape } = self.quoting;
        let escapes = byte == escape && quote != escape;
        if self.inside && escapes {
            self.escaped = !self.escaped;
        }
        if byte == quote && !self.escaped {
            self.inside = !self.inside;
        }
        if !escapes {
            self.escaped = false;
        }
    }

    /// Returns how long the end is that begins with a carriage return; `None` while that is open.
    fn carriage_return(&mut self, next: Option<&u8>, last: bool) -> Result<Option<usize>, CopyCsvError> {
        match (self.end, next) {
            (LineEnd::Newline, _) => Err(CopyCsvError::CarriageReturn),
            (LineEnd::CarriageReturn, _) => Ok(Some(1)),
            (LineEnd::Unknown | LineEnd::Both, Some(b'\n')) => {
                self.end = LineEnd::Both;
                Ok(Some(2))
            }
            (LineEnd::Unknown | LineEnd::Both, None) if !last => Ok(None),
            (LineEnd::Both, Some(_) | None) => Err(CopyCsvError::CarriageReturn),
            (LineEnd::Unknown, Some(_) | None) => {
                self.end = LineEnd::CarriageReturn;
                Ok(Some(1))
            }
        }
    }

    fn row(&mut self, length: usize) -> usize {
        (self.at, self.escaped) = (0, false);
        length
    }
}

/// Returns a whole row without its end, and its end.
pub fn content(row: &[u8]) -> (&[u8], &[u8]) {
    let end = match row {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n' | b'\r'] => 1,
        _ => 0,
    };
    row.split_at(row.len() - end)
}

/// A field as it stands in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its value, without quotes.
    pub value: Cow<'a, [u8]>,
    /// Whether some of it is quoted: then it is no NULL by itself.
    pub quoted: bool,
}

/// Returns field `position` (0-based) of a whole row.
///
/// # Errors
/// The row has no such field.
pub fn field(row: &[u8], position: usize, delimiter: u8, quoting: Quoting) -> Result<Field<'_>, CopyTextError> {
    let mut rest = content(row).0;
    for index in 0..position {
        let (length, _) = length_of(rest, delimiter, quoting);
        rest = rest.get(length + 1..).ok_or(CopyTextError::NoSuchField { position, found: index + 1 })?;
    }
    let (length, quoted) = length_of(rest, delimiter, quoting);
    let raw = &rest[..length];
    let value = if quoted { Cow::Owned(unquoted(raw, quoting)) } else { Cow::Borrowed(raw) };
    Ok(Field { value, quoted })
}

/// Returns how long the field at the front is as it is written, and whether some of it is quoted.
fn length_of(rest: &[u8], delimiter: u8, quoting: Quoting) -> (usize, bool) {
    let (mut at, mut quoted) = (0, false);
    while let Some(found) = memchr2(delimiter, quoting.quote, &rest[at..]) {
        at += found;
        if rest[at] == delimiter {
            return (at, quoted);
        }
        quoted = true;
        at = inside(rest, at + 1, quoting, |_| {});
    }
    (rest.len(), quoted)
}

/// Walks over what stands between quotes, from behind the first; returns where the last one ends.
fn inside(text: &[u8], mut at: usize, quoting: Quoting, mut take: impl FnMut(u8)) -> usize {
    let Quoting { quote, escape } = quoting;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == escape
            && let Some(&next) = text.get(at)
            && (next == escape || next == quote)
        {
            take(next);
            at += 1;
        } else if byte == quote {
            return at;
        } else {
            take(byte);
        }
    }
    at
}

fn unquoted(raw: &[u8], quoting: Quoting) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        if byte == quoting.quote {
            at = inside(raw, at, quoting, |byte| out.push(byte));
        } else {
            out.push(byte);
        }
    }
    out
}

/// Returns a value between quotes.
pub fn quoted(value: &str, quoting: Quoting) -> Vec<u8> {
    let mut out = vec![quoting.quote];
    for byte in value.bytes() {
        if byte == quoting.quote || byte == quoting.escape {
            out.push(quoting.escape);
        }
        out.push(byte);
    }
    out.push(quoting.quote);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Quoting = Quoting { quote: b'"', escape: b'"' };
    const ESCAPED: Quoting = Quoting { quote: b'\'', escape: b'\\' };

    /// Splits data that come in pieces of `size` bytes.
    fn rows(data: &str, quoting: Quoting, size: usize) -> Result<Vec<String>, CopyCsvError> {
        let (mut rows, mut pending, mut found) = (Rows::new(quoting), Vec::new(), Vec::new());
        let mut pieces = data.as_bytes().chunks(size.max(1)).peekable();
        while let Some(piece) = pieces.next() {
            pending.extend_from_slice(piece);
            while let Some(length) = rows.next(&pending, pieces.peek().is_none())? {
                found.push(String::from_utf8(pending.drain(..length).collect()).unwrap());
            }
        }
        if !pending.is_empty() {
            pending.extend_from_slice(rows.missing_end()?);
            found.push(String::from_utf8(pending).unwrap());
        }
        Ok(found)
    }

    fn fields(row: &str, quoting: Quoting) -> Vec<(String, bool)> {
        let read = |position| field(row.as_bytes(), position, b',', quoting).ok();
        let text = |field: Field<'_>| (String::from_utf8_lossy(&field.value).into_owned(), field.quoted);
        (0..).map_while(read).map(text).collect()
    }

    #[test]
    fn newlines_between_quotes_are_data() {
        for size in 1..12 {
            assert_eq!(rows("1,\"a\nb\"\n2,c\n", PLAIN, size).unwrap(), ["1,\"a\nb\"\n", "2,c\n"], "{size}");
            assert_eq!(rows("1,\"a\"\"\n\"\n2", PLAIN, size).unwrap(), ["1,\"a\"\"\n\"\n", "2\n"], "{size}");
            assert_eq!(rows("'\\'\n'\n'\\\\'\n", ESCAPED, size).unwrap(), ["'\\'\n'\n", "'\\\\'\n"], "{size}");
            assert_eq!(rows("\\'\n'\n2\n", ESCAPED, size).unwrap(), ["\\'\n'\n", "2\n"], "{size}");
        }
    }

    #[test]
    fn all_rows_end_alike() {
        for size in 1..9 {
            assert_eq!(rows("1\r\n2\r\n", PLAIN, size).unwrap(), ["1\r\n", "2\r\n"], "{size}");
            assert_eq!(rows("1\r2\r", PLAIN, size).unwrap(), ["1\r", "2\r"], "{size}");
            assert_eq!(rows("1\r2", PLAIN, size).unwrap(), ["1\r", "2\r"], "{size}");
            assert_eq!(rows("1\r\n2", PLAIN, size).unwrap(), ["1\r\n", "2\r\n"], "{size}");
            assert_eq!(rows("1\n2\r\n", PLAIN, size), Err(CopyCsvError::CarriageReturn), "{size}");
            assert_eq!(rows("1\r\n2\r3", PLAIN, size), Err(CopyCsvError::CarriageReturn), "{size}");
            assert_eq!(rows("1\r\n2\n", PLAIN, size), Err(CopyCsvError::Newline), "{size}");
            assert_eq!(rows("1\n\"2\n", PLAIN, size), Err(CopyCsvError::Unterminated), "{size}");
        }
    }

    #[test]
    fn fields_are_read_without_their_quotes() {
        let field = |value: &str, quoted| (value.to_owned(), quoted);
        assert_eq!(
            fields("1,,\"\",a\"b,\"c,\"x\"\"y\"\r\n", PLAIN),
            [field("1", false), field("", false), field("", true), field("ab,c", true), field("x\"y", true)]
        );
        assert_eq!(fields("'a\\'b\\\\c\\d',\\'e,'\n", ESCAPED), [field("a'b\\c\\d", true), field("\\e,", true)]);
        assert_eq!(fields("\n", PLAIN), [field("", false)]);
        assert_eq!(quoted("a\"b", PLAIN), b"\"a\"\"b\"");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(data in "[\",'\\\\a\r\n]{0,24}", size in 1usize..8) {
            for quoting in [PLAIN, ESCAPED] {
                prop_assert_eq!(rows(&data, quoting, size), rows(&data, quoting, usize::MAX));
            }
        }

        #[test]
        fn fields_put_together_make_the_row(row in "[\",'\\\\a]{0,24}") {
            for quoting in [PLAIN, ESCAPED] {
                let mut left = row.as_bytes();
                let mut count = 0;
                loop {
                    let (length, _) = length_of(left, b',', quoting);
                    count += 1;
                    match left.get(length + 1..) {
                        Some(rest) => left = rest,
                        None => break,
                    }
                }
                prop_assert_eq!(fields(&row, quoting).len(), count);
            }
        }
    }
}
