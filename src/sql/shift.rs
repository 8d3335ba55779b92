//! Positions in one text → positions in another that differs from it in constants only.

use std::borrow::Cow;
use std::ops::Range;

use super::mask::Literal;

/// Where the bytes of one text are in another one with the same skeleton and the same bytes between its constants.
#[derive(Debug, Clone, Copy)]
pub struct Shift<'a> {
    from: &'a [Literal],
    to: &'a [Literal],
}

impl<'a> Shift<'a> {
    /// Both texts are the same.
    pub const NONE: Self = Self { from: &[], to: &[] };

    /// Compares two texts, each with its constants; `None` if more than constants differ.
    pub fn between(from: (&str, &'a [Literal]), to: (&str, &'a [Literal])) -> Option<Self> {
        if from.0 == to.0 {
            return Some(Self::NONE);
        }
        let shift = Self { from: from.1, to: to.1 };
        (from.1.len() == to.1.len() && gaps(from.0, from.1).eq(gaps(to.0, to.1))).then_some(shift)
    }

    /// Tells whether every position is its own.
    pub fn is_none(self) -> bool {
        self.from.is_empty()
    }

    /// Returns where a token border is.
    pub fn position(self, at: usize) -> usize {
        let before = self.from.partition_point(|literal| literal.range().end <= at);
        match before.checked_sub(1) {
            Some(last) => at - self.from[last].range().end + self.to[last].range().end,
            None => at,
        }
    }

    /// Returns where the bytes between two token borders are.
    pub fn span(self, span: &Range<usize>) -> Range<usize> {
        self.position(span.start)..self.position(span.end)
    }

    /// Moves edits of the one text to the other.
    pub fn edits(self, edits: &[(Range<usize>, String)]) -> Cow<'_, [(Range<usize>, String)]> {
        if self.is_none() {
            return Cow::Borrowed(edits);
        }
        edits.iter().map(|(span, new)| (self.span(span), new.clone())).collect()
    }
}

/// The pieces of a text around its constants.
fn gaps<'a>(text: &'a str, literals: &'a [Literal]) -> impl Iterator<Item = &'a str> {
    let starts = std::iter::once(0).chain(literals.iter().map(|literal| literal.range().end));
    let ends = literals.iter().map(|literal| literal.range().start).chain([text.len()]);
    starts.zip(ends).map(|(start, end)| &text[start..end])
}

#[cfg(test)]
mod tests {
    use super::Shift;
    use crate::sql::literals;

    fn moved(from: &str, to: &str, piece: &str) -> Option<String> {
        let (old, new) = (literals(from), literals(to));
        let shift = Shift::between((from, &old), (to, &new))?;
        let start = from.find(piece).expect("the piece is in the text");
        Some(to[shift.span(&(start..start + piece.len()))].to_owned())
    }

    #[test]
    fn borders_move_with_the_constants_before_them() {
        let (from, to) =
            ("insert into t values (1, 'x') returning a", "insert into t values (-22.5, 'é''z') returning a");
        assert_eq!(moved(from, to, "returning a"), None, "a sign is no constant");
        let to = "insert into t values (22.5, 'é''z') returning a";
        for (piece, there) in [
            ("insert", "insert"),
            ("(1, 'x')", "(22.5, 'é''z')"),
            ("1", "22.5"),
            ("'x'", "'é''z'"),
            (", ", ", "),
            ("returning a", "returning a"),
        ] {
            assert_eq!(moved(from, to, piece).as_deref(), Some(there), "{piece}");
        }
    }

    #[test]
    fn whatever_else_differs_is_told() {
        assert_eq!(moved("values (1)", "values (2)", "1").as_deref(), Some("2"));
        assert_eq!(moved("values (1)", "values ( 2)", "1"), None);
        assert_eq!(moved("values (1)", "values (2, 3)", "1"), None);
        assert_eq!(moved("values (1) ", "values (1)", "1"), None);
        assert_eq!(moved("values (a)", "values (b)", "a"), None);
        assert_eq!(moved("values (a)", "values (a)", "a").as_deref(), Some("a"));
    }

    #[test]
    fn constants_side_by_side_keep_their_borders() {
        assert_eq!(moved("values ('a'1)", "values ('bcd'22)", "'a'").as_deref(), Some("'bcd'"));
        assert_eq!(moved("values ('a'1)", "values ('bcd'22)", "1").as_deref(), Some("22"));
    }
}
