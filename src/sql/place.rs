//! Places that the parser crate gives in lines and characters, as bytes of the text.

/// Of a text with other letters than ASCII's, every so many characters the byte is kept: a look-up walks no further.
const STRIDE: usize = 64;

/// Where lines and characters of a text are; a look-up takes the same time wherever it is.
pub(super) struct Places {
    /// The byte at which each line begins, and how many characters are before it.
    lines: Vec<(usize, usize)>,
    /// The byte of every [`STRIDE`]th character; empty where characters are bytes.
    strides: Vec<usize>,
}

impl Places {
    pub(super) fn of(text: &str) -> Self {
        let mut lines = vec![(0, 0)];
        if text.is_ascii() {
            lines.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| (at + 1, at + 1)));
            return Self { lines, strides: Vec::new() };
        }
        let mut strides = Vec::with_capacity(text.len() / STRIDE + 1);
        for (count, (at, character)) in text.char_indices().enumerate() {
            if count % STRIDE == 0 {
                strides.push(at);
            }
            if character == '\n' {
                lines.push((at + 1, count + 1));
            }
        }
        Self { lines, strides }
    }

    /// Returns the byte of a line and column, both counted from 1, if the text has them.
    pub(super) fn byte(&self, text: &str, line: u64, column: u64) -> Option<usize> {
        let (start, before) = *self.lines.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let characters = usize::try_from(column).ok()?.checked_sub(1)?;
        if self.strides.is_empty() {
            return Some(start + characters).filter(|at| *at < text.len());
        }
        let wanted = before + characters;
        let from = *self.strides.get(wanted / STRIDE)?;
        text[from..].char_indices().nth(wanted % STRIDE).map(|(at, _)| from + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_found_at_its_byte() {
        let long = "añ\n語x\n".repeat(100);
        for text in ["", "select 1", "a\nbc\n\nd", "ä\n€uro\n𝄞x", long.as_str()] {
            let places = Places::of(text);
            let (mut line, mut column) = (1, 1);
            for (at, character) in text.char_indices() {
                assert_eq!(places.byte(text, line, column), Some(at), "{line}:{column} of {text:?}");
                (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            assert_eq!(places.byte(text, line, column), None);
            assert_eq!((places.byte(text, 0, 1), places.byte(text, 1, 0)), (None, None));
        }
    }
}
