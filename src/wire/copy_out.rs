//! COPY TO's formats, written: what a query answers becomes the data of a COPY, byte for byte as a server would write it
//! (PostgreSQL's `CopyOneRowTo`, src/backend/commands/copyto.c).

use bytes::{BufMut, BytesMut};

use super::backend::DataRow;
use super::copy_csv::Quoting;
use super::frame::{self, FrameError};
use super::{copy_binary, frontend};

/// What the rows look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `text`
    Text(Text),
    /// `csv`
    Csv(Csv),
    /// `binary`
    Binary,
}

/// What the two formats for people share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `DELIMITER`, one byte.
    pub delimiter: u8,
    /// `NULL`
    pub null: String,
    /// `HEADER`
    pub header: bool,
}

/// What csv has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    /// The rest.
    pub text: Text,
    /// `QUOTE` and `ESCAPE`
    pub quoting: Quoting,
    /// `FORCE_QUOTE`
    pub forced: Forced,
}

/// The columns that are quoted whatever they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forced {
    /// `*`
    All,
    /// Those with these names.
    Named(Vec<String>),
}

impl Layout {
    /// Returns the format code of the values: 0 text, 1 binary.
    pub fn format(&self) -> u8 {
        u8::from(*self == Self::Binary)
    }

    /// Appends the header line, as one CopyData; nothing where there is none. That of binary data goes with the first row.
    pub fn write_head(&self, out: &mut BytesMut, names: &[String]) {
        match self {
            Self::Text(text) if text.header => write_data(out, |out| {
                line(out, text, names.iter(), |out, name| escape(out, name.as_bytes(), text.delimiter));
            }),
            Self::Csv(csv) if csv.text.header => write_data(out, |out| {
                let alone = names.len() == 1;
                line(out, &csv.text, names.iter(), |out, name| csv.value(out, name.as_bytes(), false, alone));
            }),
            Self::Binary | Self::Text(_) | Self::Csv(_) => {}
        }
    }

    /// Appends a row, as one CopyData; `row` is a DataRow's body, `forced` the columns that are to be quoted. `first` of all
    /// rows has the header of binary data with it: so PostgreSQL sends it, and drivers expect it.
    ///
    /// # Errors
    /// The body is none of a DataRow.
    pub fn write_row(&self, out: &mut BytesMut, row: &[u8], forced: &[bool], first: bool) -> Result<(), FrameError> {
        let values = DataRow::read(row)?;
        write_data(out, |out| match self {
            // The body is what a row of that format is.
            Self::Binary => {
                out.put_slice(if first { &copy_binary::HEADER } else { &[] });
                out.put_slice(row);
            }
            Self::Text(text) => line(out, text, values, |out, value| match value {
                Some(value) => escape(out, value, text.delimiter),
                None => out.put_slice(text.null.as_bytes()),
            }),
            Self::Csv(csv) => {
                let alone = values.len() == 1;
                let mut forced = forced.iter().copied().chain(std::iter::repeat(false));
                line(out, &csv.text, values, |out, value| {
                    let forced = forced.next().unwrap_or(false);
                    match value {
                        Some(value) => csv.value(out, value, forced, alone),
                        None => out.put_slice(csv.text.null.as_bytes()),
                    }
                });
            }
        });
        Ok(())
    }

    /// Appends what stands behind the last row; `empty`: there was none.
    pub fn write_end(&self, out: &mut BytesMut, empty: bool) {
        if *self == Self::Binary {
            write_data(out, |out| {
                out.put_slice(if empty { &copy_binary::HEADER } else { &[] });
                out.put_slice(&copy_binary::TRAILER);
            });
        }
        frontend::write_copy_done(out);
    }

    /// Returns for each column whether it is to be quoted.
    ///
    /// # Errors
    /// The first name that is no column's.
    pub fn forced(&self, names: &[String]) -> Result<Vec<bool>, String> {
        match self {
            Self::Csv(Csv { forced: Forced::All, .. }) => Ok(vec![true; names.len()]),
            Self::Csv(Csv { forced: Forced::Named(forced), .. }) => {
                match forced.iter().find(|name| !names.contains(name)) {
                    Some(unknown) => Err(unknown.clone()),
                    None => Ok(names.iter().map(|name| forced.contains(name)).collect()),
                }
            }
            Self::Text(_) | Self::Binary => Ok(Vec::new()),
        }
    }
}

impl Csv {
    /// Appends a value; `alone` in its line it must not look like the end of the data.
    fn value(&self, out: &mut BytesMut, value: &[u8], forced: bool, alone: bool) {
        let Quoting { quote, escape } = self.quoting;
        let special = |byte: &u8| [self.text.delimiter, quote, b'\n', b'\r'].contains(byte);
        let quoted =
            forced || value == self.text.null.as_bytes() || alone && value == b"\\." || value.iter().any(special);
        if !quoted {
            return out.put_slice(value);
        }
        out.put_u8(quote);
        for byte in value {
            if *byte == quote || *byte == escape {
                out.put_u8(escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(quote);
    }
}

/// Appends the values with delimiters between them and a newline behind.
fn line<V>(out: &mut BytesMut, text: &Text, values: impl Iterator<Item = V>, mut write: impl FnMut(&mut BytesMut, V)) {
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.put_u8(text.delimiter);
        }
        write(out, value);
    }
    out.put_u8(b'\n');
}

/// Appends a value of the text format.
fn escape(out: &mut BytesMut, value: &[u8], delimiter: u8) {
    for byte in value {
        let letter = match *byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            byte if byte == b'\\' || byte == delimiter => byte,
            byte => {
                out.put_u8(byte);
                continue;
            }
        };
        out.put_slice(&[b'\\', letter]);
    }
}

fn write_data(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    frame::write(out, b'd', write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::backend;

    fn text(delimiter: u8, null: &str, header: bool) -> Text {
        Text { delimiter, null: null.to_owned(), header }
    }

    fn csv(null: &str, forced: &[&str]) -> Layout {
        let quoting = Quoting { quote: b'"', escape: b'\\' };
        let forced = Forced::Named(forced.iter().map(|&name| name.to_owned()).collect());
        Layout::Csv(Csv { text: text(b',', null, true), quoting, forced })
    }

    /// Returns the data of a COPY of these rows with columns `a`, `b` ….
    fn copied(layout: &Layout, rows: &[&[Option<&str>]]) -> Vec<u8> {
        let width = rows.first().map_or(1, |row| row.len());
        let names: Vec<String> = (b'a'..).take(width).map(|name| char::from(name).to_string()).collect();
        let forced = layout.forced(&names).unwrap();
        let mut out = BytesMut::new();
        layout.write_head(&mut out, &names);
        for (number, row) in rows.iter().enumerate() {
            let values: Vec<Option<&[u8]>> = row.iter().map(|value| value.map(str::as_bytes)).collect();
            let mut frame = BytesMut::new();
            backend::write_data_row(&mut frame, &values);
            layout.write_row(&mut out, &frame[frame::HEADER_BYTES..], &forced, number == 0).unwrap();
        }
        layout.write_end(&mut out, rows.is_empty());
        let mut data = Vec::new();
        while let Some(header) = frame::header(&out, 1 << 20).unwrap() {
            let whole = out.split_to(header.length);
            match header.kind {
                b'd' => data.extend_from_slice(&whole[frame::HEADER_BYTES..]),
                kind => assert_eq!((kind, out.is_empty()), (b'c', true)),
            }
        }
        data
    }

    fn said(layout: &Layout, rows: &[&[Option<&str>]]) -> String {
        String::from_utf8(copied(layout, rows)).unwrap()
    }

    #[test]
    fn text_escapes_what_ends_a_value_or_a_row() {
        let layout = Layout::Text(text(b'\t', "\\N", false));
        assert_eq!(said(&layout, &[&[Some("a\tb\\\n"), None, Some("\\N")]]), "a\\tb\\\\\\n\t\\N\t\\\\N\n");
        let piped = Layout::Text(text(b'|', "", true));
        assert_eq!(said(&piped, &[&[Some("x|y\u{8}\u{c}\r\u{b}\u{1}"), None]]), "a|b\nx\\|y\\b\\f\\r\\v\u{1}|\n");
        assert_eq!(said(&layout, &[]), "");
    }

    #[test]
    fn csv_quotes_what_would_be_read_as_something_else() {
        let rows: &[&[Option<&str>]] =
            &[&[Some("a,b"), Some("say \"x\" \\"), None, Some(""), Some("plain"), Some("\\.")]];
        assert_eq!(said(&csv("", &[]), rows), "a,b,c,d,e,f\n\"a,b\",\"say \\\"x\\\" \\\\\",,\"\",plain,\\.\n");
        assert_eq!(
            said(&csv("plain", &["a", "c"]), &[&[Some("1"), Some("plain"), None]]),
            "a,b,c\n\"1\",\"plain\",plain\n"
        );
        assert_eq!(said(&csv("", &[]), &[&[Some("\\.")], &[Some("x\ny")]]), "a\n\"\\\\.\"\n\"x\ny\"\n");
        let all = Layout::Csv(Csv {
            text: text(b';', "", false),
            quoting: Quoting { quote: b'"', escape: b'"' },
            forced: Forced::All,
        });
        assert_eq!(said(&all, &[&[Some("a\"b"), None]]), "\"a\"\"b\";\n");
        assert_eq!(csv("", &["z"]).forced(&["a".to_owned()]), Err("z".to_owned()));
    }

    #[test]
    fn binary_rows_stand_between_the_header_and_the_trailer() {
        let row: &[Option<&str>] = &[Some("x"), None];
        let expected = [&copy_binary::HEADER[..], &[0, 2, 0, 0, 0, 1, b'x', 255, 255, 255, 255], &copy_binary::TRAILER];
        assert_eq!(copied(&Layout::Binary, &[row]), expected.concat());
        assert_eq!(copied(&Layout::Binary, &[]), [&copy_binary::HEADER[..], &copy_binary::TRAILER].concat());
        assert!(Layout::Binary.write_row(&mut BytesMut::new(), &[0, 1], &[], false).is_err());
        let mut out = BytesMut::new();
        Layout::Binary.write_row(&mut out, &[0, 0], &[], true).unwrap();
        assert_eq!(out[1..5], 25u32.to_be_bytes(), "one message");
    }
}
