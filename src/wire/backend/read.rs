//! Readers over the bodies of a server's messages.

use crate::types::TransactionStatus;
use crate::wire::FrameError;
use crate::wire::cursor::Cursor;
use crate::wire::startup::SECRET_BYTES;

/// The fields of ErrorResponse or NoticeResponse.
#[derive(Debug, Clone, Copy)]
pub struct ErrorFields<'a>(&'a [u8]);

impl<'a> ErrorFields<'a> {
    /// Reads the body; fails unless it is a list of fields with its end.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        while cursor.u8()? != 0 {
            cursor.bytes_to_zero()?;
        }
        cursor.finish().map(|()| Self(body))
    }

    /// Returns the field `code` (`b'C'` is the SQLSTATE, `b'M'` the message); `None` if absent or not UTF-8.
    pub fn get(&self, code: u8) -> Option<&'a str> {
        let (_, bytes) = self.iter().find(|(given, _)| *given == code)?;
        std::str::from_utf8(bytes).ok()
    }

    /// Iterates over codes and values in the order sent; values are in the server's encoding until start-up is done.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut cursor = Cursor::new(self.0);
        std::iter::from_fn(move || match cursor.u8().ok()? {
            0 => None,
            code => Some((code, cursor.bytes_to_zero().ok()?)),
        })
    }
}

/// Returns what the server says in an ErrorResponse body with which it ends the session, severity FATAL or PANIC, and the
/// SQLSTATE; `None` for any other error.
#[cold]
pub fn farewell(body: &[u8]) -> Option<String> {
    let fields = ErrorFields::read(body).ok()?;
    fields.get(b'V').filter(|severity| matches!(*severity, "FATAL" | "PANIC"))?;
    Some(format!("{} ({})", fields.get(b'M')?, fields.get(b'C')?))
}

/// One column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// The table it comes from, 0 if it is not a plain column.
    pub table_oid: u32,
    /// Its number in that table, from 1, or 0.
    pub column: i16,
    /// Its type.
    pub type_oid: u32,
    /// The type's size in bytes, negative if it varies.
    pub type_size: i16,
    /// The type's modifier, −1 for none.
    pub type_modifier: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// Returns the columns of a RowDescription body.
pub fn row_description(body: &[u8]) -> Result<Vec<Field>, FrameError> {
    let mut cursor = Cursor::new(body);
    let count = cursor.count()?;
    // 19 bytes is the smallest column, so a lying count cannot make this allocate more than the body warrants.
    let mut fields = Vec::with_capacity(count.min(body.len() / 19));
    for _ in 0..count {
        fields.push(read_field(&mut cursor)?);
    }
    cursor.finish().map(|()| fields)
}

fn read_field(cursor: &mut Cursor<'_>) -> Result<Field, FrameError> {
    Ok(Field {
        name: cursor.text()?.to_owned(),
        table_oid: cursor.u32()?,
        column: cursor.i16()?,
        type_oid: cursor.u32()?,
        type_size: cursor.i16()?,
        type_modifier: cursor.i32()?,
        format: cursor.i16()?,
    })
}

/// A DataRow body whose lengths were all checked; iterates over its values, `None` being NULL.
#[derive(Debug, Clone)]
pub struct DataRow<'a> {
    left: usize,
    values: Cursor<'a>,
}

impl<'a> DataRow<'a> {
    /// Reads the body; fails unless every value lies inside and nothing follows.
    #[inline]
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        let left = cursor.count()?;
        let values = cursor;
        for _ in 0..left {
            cursor.value()?;
        }
        cursor.finish().map(|()| Self { left, values })
    }
}

impl<'a> Iterator for DataRow<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.values.value().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for DataRow<'_> {}

/// Returns the tag of a CommandComplete body.
pub fn command_tag(body: &[u8]) -> Result<&str, FrameError> {
    let mut cursor = Cursor::new(body);
    let tag = cursor.text()?;
    cursor.finish().map(|()| tag)
}

/// Returns name and value of a ParameterStatus body.
pub fn parameter_status(body: &[u8]) -> Result<(&str, &str), FrameError> {
    let mut cursor = Cursor::new(body);
    let pair = (cursor.text()?, cursor.text()?);
    cursor.finish().map(|()| pair)
}

/// Returns the types of a ParameterDescription body.
pub fn parameter_description(body: &[u8]) -> Result<Vec<u32>, FrameError> {
    let mut cursor = Cursor::new(body);
    let count = cursor.count()?;
    let types = cursor.take(count * 4)?.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect();
    cursor.finish().map(|()| types)
}

/// Returns process number and secret of a BackendKeyData body; fails unless the secret has 4 to 256 bytes.
pub fn backend_key(body: &[u8]) -> Result<(i32, &[u8]), FrameError> {
    let mut cursor = Cursor::new(body);
    let (process, secret) = (cursor.i32()?, cursor.rest());
    match SECRET_BYTES.contains(&secret.len()) {
        true => Ok((process, secret)),
        false => Err(FrameError::Malformed("a cancel key's secret must have 4 to 256 bytes")),
    }
}

/// Returns the status in a ReadyForQuery body.
#[inline]
pub fn ready_status(body: &[u8]) -> Result<TransactionStatus, FrameError> {
    match body {
        [byte] => TransactionStatus::from_byte(*byte).ok_or(FrameError::Malformed("unknown transaction status")),
        [] => Err(FrameError::Truncated),
        [_, ..] => Err(FrameError::Trailing),
    }
}
