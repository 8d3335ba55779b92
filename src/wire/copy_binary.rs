//! COPY's binary format: the header, the borders of rows and single fields; whole rows are passed on.

/// What every file begins with: the signature, flags, and the length of a header extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What ends the rows.
pub const TRAILER: [u8; 2] = [0xff, 0xff];

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Flags in this half are not to be ignored by those who do not know them.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// Why data are no COPY in binary format, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyBinaryError {
    /// It begins otherwise.
    #[error("COPY file signature not recognized")]
    Signature,
    /// A flag says something that changes how rows are read.
    #[error("unrecognized critical flags in COPY file header")]
    Flags,
    /// The header extension has a negative length.
    #[error("invalid COPY file header (wrong length)")]
    HeaderLength,
    /// A field's length is negative and not that of NULL.
    #[error("invalid field size")]
    FieldSize,
    /// A row has a negative count of fields that is not the trailer's, or not as many as there are columns.
    #[error("row field count is {found}, expected {expected}")]
    FieldCount {
        /// What the row says.
        found: i16,
        /// How many columns are copied.
        expected: usize,
    },
    /// It ends inside of a row.
    #[error("unexpected EOF in COPY data")]
    End,
}

/// What stands at the front of the data behind the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More bytes are needed.
    Unknown,
    /// A row of this length in bytes.
    Row(usize),
    /// The trailer.
    Trailer,
}

/// Returns the length of the header at the front, extension included; `None` while it is incomplete.
///
/// # Errors
/// What stands there is no such header.
pub fn header(data: &[u8]) -> Result<Option<usize>, CopyBinaryError> {
    let known = SIGNATURE.len().min(data.len());
    if data[..known] != SIGNATURE[..known] {
        return Err(CopyBinaryError::Signature);
    }
    let Some(flags) = number(data, SIGNATURE.len()) else { return Ok(None) };
    if flags as u32 & CRITICAL_FLAGS != 0 {
        return Err(CopyBinaryError::Flags);
    }
    let Some(extension) = number(data, SIGNATURE.len() + 4) else { return Ok(None) };
    let extension = usize::try_from(extension).map_err(|_| CopyBinaryError::HeaderLength)?;
    let length = HEADER.len() + extension;
    Ok((data.len() >= length).then_some(length))
}

/// Looks at the row at the front, which has `columns` fields.
///
/// # Errors
/// It is no such row.
pub fn next(data: &[u8], columns: usize) -> Result<Next, CopyBinaryError> {
    let Some(count) = data.first_chunk::<2>() else { return Ok(Next::Unknown) };
    if *count == TRAILER {
        return Ok(Next::Trailer);
    }
    let count = i16::from_be_bytes(*count);
    if usize::try_from(count) != Ok(columns) {
        return Err(CopyBinaryError::FieldCount { found: count, expected: columns });
    }
    let mut at = 2;
    for _ in 0..columns {
        match after_field(data, at)? {
            Some(end) if end <= data.len() => at = end,
            Some(_) | None => return Ok(Next::Unknown),
        }
    }
    Ok(Next::Row(at))
}

/// Returns field `position` (0-based) of a whole row; the inner `None` is NULL, the outer one that there is no such field.
pub fn field(row: &[u8], position: usize) -> Option<Option<&[u8]>> {
    let mut at = 2;
    for _ in 0..position {
        at = after_field(row, at).ok()??;
    }
    match number(row, at)? {
        -1 => Some(None),
        _ => row.get(at + 4..after_field(row, at).ok()??).map(Some),
    }
}

/// Appends a value in binary format to a whole row as its last field.
pub fn with_field(row: &[u8], value: &[u8]) -> Vec<u8> {
    let mut longer = row.to_vec();
    if let Some(count) = longer.first_chunk_mut::<2>() {
        *count = i16::from_be_bytes(*count).saturating_add(1).to_be_bytes();
    }
    longer.extend_from_slice(&(value.len() as i32).to_be_bytes());
    longer.extend_from_slice(value);
    longer
}

/// Returns where the field that begins at `at` ends; `None` while its length is not there.
fn after_field(data: &[u8], at: usize) -> Result<Option<usize>, CopyBinaryError> {
    match number(data, at) {
        None => Ok(None),
        Some(-1) => Ok(Some(at + 4)),
        Some(length) => match usize::try_from(length) {
            Ok(length) => Ok(Some(at + 4 + length)),
            Err(_) => Err(CopyBinaryError::FieldSize),
        },
    }
}

fn number(data: &[u8], at: usize) -> Option<i32> {
    data.get(at..).and_then(|rest| rest.first_chunk::<4>()).map(|bytes| i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of a bigint 7, NULL and `ab`.
    const ROW: &[u8] = b"\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\0\0\0\x02ab";

    #[test]
    fn headers_are_whole_and_right() {
        assert_eq!(header(&HEADER), Ok(Some(19)));
        for length in 0..HEADER.len() {
            assert_eq!(header(&HEADER[..length]), Ok(None), "{length}");
        }
        assert_eq!(header(b"PGCOPX"), Err(CopyBinaryError::Signature));
        assert_eq!(header(b"1\t2\n"), Err(CopyBinaryError::Signature));
        let mut other = HEADER;
        other[14] = 1;
        assert_eq!(header(&other), Ok(Some(19)), "a flag that may be ignored");
        other[12] = 1;
        assert_eq!(header(&other), Err(CopyBinaryError::Flags));
        let mut extended = HEADER.to_vec();
        extended[18] = 3;
        assert_eq!(header(&extended), Ok(None));
        extended.extend([0; 3]);
        assert_eq!(header(&extended), Ok(Some(22)));
        extended[15] = 0x80;
        assert_eq!(header(&extended), Err(CopyBinaryError::HeaderLength));
    }

    #[test]
    fn rows_end_where_their_fields_end() {
        assert_eq!(next(ROW, 3), Ok(Next::Row(ROW.len())));
        assert_eq!(next(&[ROW, b"more"].concat(), 3), Ok(Next::Row(ROW.len())));
        for length in 0..ROW.len() {
            assert_eq!(next(&ROW[..length], 3), Ok(Next::Unknown), "{length}");
        }
        assert_eq!(next(&TRAILER, 3), Ok(Next::Trailer));
        assert_eq!(next(&[0, 0], 0), Ok(Next::Row(2)));
        assert_eq!(next(ROW, 2), Err(CopyBinaryError::FieldCount { found: 3, expected: 2 }));
        assert_eq!(next(&[0xff, 0xfe], 2), Err(CopyBinaryError::FieldCount { found: -2, expected: 2 }));
        assert_eq!(next(b"\0\x01\xff\xff\xff\xfe", 1), Err(CopyBinaryError::FieldSize));
    }

    #[test]
    fn fields_are_found_by_their_position() {
        assert_eq!(field(ROW, 0), Some(Some(&7i64.to_be_bytes()[..])));
        assert_eq!(field(ROW, 1), Some(None));
        assert_eq!(field(ROW, 2), Some(Some(&b"ab"[..])));
        assert_eq!(field(ROW, 3), None);
        let longer = with_field(ROW, &9i64.to_be_bytes());
        assert_eq!(next(&longer, 4), Ok(Next::Row(ROW.len() + 12)));
        assert_eq!(field(&longer, 3), Some(Some(&9i64.to_be_bytes()[..])));
    }
}
