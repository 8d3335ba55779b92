//! The reader over a Bind body: checked once as a whole, walked by lengths afterwards.

use crate::wire::FrameError;
use crate::wire::cursor::Cursor;

/// A Bind body whose lengths were all checked.
#[derive(Debug, Clone, Copy)]
pub struct Bind<'a> {
    /// The portal to make.
    pub portal: &'a str,
    /// The statement it runs.
    pub statement: &'a str,
    formats: &'a [u8],
    count: usize,
    values: &'a [u8],
    result_formats: &'a [u8],
}

impl<'a> Bind<'a> {
    /// Reads the body; fails unless every parameter and format lies inside and nothing follows.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        let portal = cursor.text()?;
        let statement = cursor.text()?;
        let formats = read_formats(&mut cursor)?;
        let count = cursor.count()?;
        let format_count = formats.len() / 2;
        if format_count > 1 && format_count != count {
            return Err(FrameError::Malformed("parameter formats and parameters differ in number"));
        }
        let before = cursor.rest();
        for _ in 0..count {
            cursor.value()?;
        }
        let values = &before[..before.len() - cursor.rest().len()];
        let result_formats = cursor.rest();
        read_formats(&mut cursor)?;
        cursor.finish()?;
        Ok(Self { portal, statement, formats, count, values, result_formats })
    }

    /// Returns the number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }

    /// Returns the value of parameter `index` (0-based); `None` is NULL, or no such parameter.
    ///
    /// Walks the parameters before it, so read several in one go with [`Bind::parameters`].
    #[inline]
    pub fn parameter(&self, index: usize) -> Option<&'a [u8]> {
        self.parameters().nth(index).flatten()
    }

    /// Iterates over the values in order; `None` is NULL.
    #[inline]
    pub fn parameters(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut cursor = Cursor::new(self.values);
        (0..self.count).map_while(move |_| cursor.value().ok())
    }

    /// Returns the format of parameter `index`: 0 text, 1 binary.
    #[inline]
    pub fn parameter_format(&self, index: usize) -> i16 {
        let index = if self.formats.len() == 2 { 0 } else { index };
        formats(self.formats).nth(index).unwrap_or(0)
    }

    /// Iterates over the result formats as sent: none (all text), one (for all columns) or one per column.
    pub fn result_formats(&self) -> impl Iterator<Item = i16> + use<'a> {
        formats(self.result_formats.get(2..).unwrap_or_default())
    }

    /// Returns the result-format section as sent, its two-byte count included.
    pub fn result_formats_raw(&self) -> &'a [u8] {
        self.result_formats
    }

    /// Returns the parameter-format codes as sent, without their count.
    pub fn parameter_formats_raw(&self) -> &'a [u8] {
        self.formats
    }
}

fn read_formats<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], FrameError> {
    let count = cursor.count()?;
    cursor.take(count * 2)
}

fn formats(bytes: &[u8]) -> impl Iterator<Item = i16> + use<'_> {
    bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_be_bytes(*pair))
}
