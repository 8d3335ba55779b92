//! DataRow bodies: a count of columns (16 bits), then each value's length (32 bits, −1 for NULL) and bytes.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::types::{Refusal, SqlState};

/// A row taken apart; the values stay where they are.
#[derive(Debug, Clone)]
pub(super) struct Row {
    body: Bytes,
    values: Vec<Option<Range<usize>>>,
}

impl Row {
    /// Takes a body apart; `08P01` if its lengths do not fit or it has not `columns` values.
    pub fn parse(body: Bytes, columns: usize) -> Result<Self, Refusal> {
        let values = ranges(&body).filter(|values| values.len() == columns);
        let Some(values) = values else {
            return Err(Refusal::new(
                SqlState::PROTOCOL_VIOLATION,
                format!("a shard sent a row that is malformed or has not {columns} columns"),
            ));
        };
        Ok(Self { body, values })
    }

    /// Returns the bytes of a value; `None` for NULL.
    pub fn value(&self, column: usize) -> Option<&[u8]> {
        self.values[column].as_ref().map(|range| &self.body[range.clone()])
    }

    /// Returns the body as it came.
    pub fn into_body(self) -> Bytes {
        self.body
    }
}

/// Writes a body.
pub(super) fn body<'a>(values: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> Bytes {
    let mut body = BytesMut::with_capacity(64);
    body.put_i16(values.len() as i16);
    for value in values {
        match value {
            Some(bytes) => {
                body.put_i32(bytes.len() as i32);
                body.put_slice(bytes);
            }
            None => body.put_i32(-1),
        }
    }
    body.freeze()
}

fn ranges(body: &[u8]) -> Option<Vec<Option<Range<usize>>>> {
    let (count, _) = body.split_first_chunk::<2>()?;
    let count = usize::try_from(i16::from_be_bytes(*count)).ok()?;
    let mut values = Vec::with_capacity(count);
    let mut at = 2;
    for _ in 0..count {
        let (length, _) = body.get(at..)?.split_first_chunk::<4>()?;
        at += 4;
        match i32::from_be_bytes(*length) {
            -1 => values.push(None),
            length => {
                let end = at + usize::try_from(length).ok()?;
                body.get(at..end)?;
                values.push(Some(at..end));
                at = end;
            }
        }
    }
    (at == body.len()).then_some(values)
}
