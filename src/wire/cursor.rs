//! A reader over one message body that checks every step.

use super::FrameError;

/// What is left of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Starts at the front of `body`.
    #[inline]
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// Returns what is left.
    #[inline]
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Takes `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FrameError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(FrameError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn i16(&mut self) -> Result<i16, FrameError> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Result<i32, FrameError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a 16-bit count; PostgreSQL reads it unsigned.
    #[inline]
    pub(super) fn count(&mut self) -> Result<usize, FrameError> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    /// Takes bytes up to a zero byte, which is dropped.
    #[inline]
    pub(super) fn bytes_to_zero(&mut self) -> Result<&'a [u8], FrameError> {
        let end = memchr::memchr(0, self.0).ok_or(FrameError::Truncated)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    /// Takes a zero-terminated UTF-8 text.
    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, FrameError> {
        std::str::from_utf8(self.bytes_to_zero()?).map_err(|_| FrameError::NotUtf8)
    }

    /// Takes a length-prefixed value; length −1 is NULL.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>, FrameError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| FrameError::Malformed("negative value length"))?;
                self.take(length).map(Some)
            }
        }
    }

    /// Checks that nothing is left.
    #[inline]
    pub(super) fn finish(self) -> Result<(), FrameError> {
        if self.0.is_empty() { Ok(()) } else { Err(FrameError::Trailing) }
    }
}
