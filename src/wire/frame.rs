//! Message borders: the five-byte header, and frames that are written around a body.
//!
//! Bodies are read elsewhere ([`super::frontend`], [`super::backend`]); most of them never are.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::types::{Refusal, SqlState};

/// Bytes of a header: the type byte and a four-byte length that counts itself but not the type byte.
pub const HEADER_BYTES: usize = 5;

/// The largest frame that PostgreSQL itself accepts or sends (`PQ_LARGE_MESSAGE_LIMIT`, 1 GiB − 1, and the type byte).
pub const LARGE_BOUND: usize = 0x3fff_ffff + 1;

/// The bound for messages that are short by nature, as PostgreSQL has it (`PQ_SMALL_MESSAGE_LIMIT`, and the type byte).
pub const SMALL_BOUND: usize = 10_000 + 1;

/// SQLSTATE for text that is not UTF-8, `character_not_in_repertoire`.
const NOT_IN_REPERTOIRE: SqlState = SqlState::from_code("22021");

/// One message's type and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub kind: u8,
    /// Bytes of the whole frame, header included; at least [`HEADER_BYTES`].
    pub length: usize,
}

/// Reads the header at the start of `buffer`; `None` while it is incomplete.
///
/// Fails when the length field is below 4 or the frame would be longer than `bound` bytes.
#[inline]
pub fn header(buffer: &[u8], bound: usize) -> Result<Option<Header>, FrameError> {
    let Some(&[kind, a, b, c, d]) = buffer.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let field = u32::from_be_bytes([a, b, c, d]) as usize;
    if field < 4 {
        return Err(FrameError::BadLength(field));
    }
    if field >= bound {
        return Err(FrameError::TooLong { length: field + 1, bound });
    }
    Ok(Some(Header { kind, length: field + 1 }))
}

/// Appends a frame of `kind` whose body `body` writes; the length is filled in afterwards.
#[inline]
pub fn write(out: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    write_counted(out, body);
}

/// Appends a four-byte length that counts itself, and what `body` writes.
#[inline]
pub(super) fn write_counted(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends `text` and a zero byte.
///
/// A zero byte inside `text` makes a message that its reader refuses; the frame's borders stay right.
#[inline]
pub(super) fn write_text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

/// Bytes that are not the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The length field is smaller than itself.
    BadLength(usize),
    /// The frame is longer than allowed.
    TooLong {
        /// Bytes that the header declares.
        length: usize,
        /// Bytes that are allowed.
        bound: usize,
    },
    /// The body ends before its contents do.
    Truncated,
    /// The body goes on after its contents.
    Trailing,
    /// A text is not UTF-8.
    NotUtf8,
    /// A start-up packet of a protocol other than 3.x.
    UnsupportedProtocol {
        /// The major version asked for.
        major: u16,
        /// The minor version asked for.
        minor: u16,
    },
    /// A message came whose end cannot be told where it stands.
    Desynchronized,
    /// The type byte is of no message that clients send.
    UnknownType(u8),
    /// A field has a value that the protocol does not know.
    Malformed(&'static str),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLength(length) => write!(f, "invalid message length {length}"),
            Self::TooLong { length, bound } => write!(f, "message of {length} bytes is longer than {bound} allowed"),
            Self::Truncated => f.write_str("insufficient data left in message"),
            Self::Trailing => f.write_str("invalid message format"),
            Self::NotUtf8 => f.write_str("invalid byte sequence for encoding \"UTF8\""),
            Self::UnsupportedProtocol { major, minor } => {
                write!(f, "unsupported frontend protocol {major}.{minor}: only 3.x is served")
            }
            Self::Desynchronized => f.write_str("terminating connection because protocol synchronization was lost"),
            Self::UnknownType(kind) => write!(f, "invalid frontend message type {kind}"),
            Self::Malformed(what) => write!(f, "invalid message: {what}"),
        }
    }
}

impl FrameError {
    /// Tells whether the message's end is known all the same: then only the message fails, not the connection.
    pub fn is_in_body(self) -> bool {
        match self {
            Self::Truncated | Self::Trailing | Self::NotUtf8 | Self::Malformed(_) => true,
            Self::BadLength(_)
            | Self::TooLong { .. }
            | Self::UnsupportedProtocol { .. }
            | Self::Desynchronized
            | Self::UnknownType(_) => false,
        }
    }
}

impl std::error::Error for FrameError {}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        let state = match error {
            FrameError::NotUtf8 => NOT_IN_REPERTOIRE,
            FrameError::UnsupportedProtocol { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            FrameError::BadLength(_)
            | FrameError::TooLong { .. }
            | FrameError::Truncated
            | FrameError::Trailing
            | FrameError::Desynchronized
            | FrameError::UnknownType(_)
            | FrameError::Malformed(_) => SqlState::PROTOCOL_VIOLATION,
        };
        Refusal::new(state, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_waits_for_five_bytes() {
        assert_eq!(header(b"Z\0\0\0", 100), Ok(None));
        assert_eq!(header(b"Z\0\0\0\x05", 100), Ok(Some(Header { kind: b'Z', length: 6 })));
    }

    #[test]
    fn length_below_four_is_refused_and_four_is_not() {
        assert_eq!(header(b"S\0\0\0\x03", 100), Err(FrameError::BadLength(3)));
        assert_eq!(header(b"S\0\0\0\x04", 100), Ok(Some(Header { kind: b'S', length: 5 })));
    }

    #[test]
    fn bound_is_the_last_length_that_passes() {
        assert_eq!(header(b"Q\0\0\0\x09", 10), Ok(Some(Header { kind: b'Q', length: 10 })));
        assert_eq!(header(b"Q\0\0\0\x0a", 10), Err(FrameError::TooLong { length: 11, bound: 10 }));
        assert!(header(b"Q\xff\xff\xff\xff", LARGE_BOUND).is_err());
    }

    #[test]
    fn errors_become_protocol_violations() {
        assert_eq!(Refusal::from(FrameError::Truncated).state, SqlState::PROTOCOL_VIOLATION);
        assert_eq!(Refusal::from(FrameError::NotUtf8).state.code(), "22021");
    }
}
