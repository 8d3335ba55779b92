//! The statements of one simple Query.

use std::ops::Range;

use super::scan::{Scanner, Token};

/// Splits `text` at its top-level semicolons into the byte ranges of its statements, without the semicolon and without
/// blank around them; empty ones are dropped. Bodies `BEGIN ATOMIC … END` of functions and parentheses (rules of
/// several commands) are not split. A leading comment belongs to the statement that follows.
pub fn split(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    let mut end = None;
    let mut nesting = Nesting::default();
    for token in Scanner::new(text) {
        if nesting.is_outside() && token.is_mark(text, ";") {
            ranges.extend(end.take().map(|end| trimmed(text, from, end)));
            from = token.end;
            nesting = Nesting::default();
            continue;
        }
        nesting.enter(text, token);
        end = Some(token.end);
    }
    ranges.extend(end.map(|end| trimmed(text, from, end)));
    ranges
}

fn trimmed(text: &str, from: usize, end: usize) -> Range<usize> {
    let blank = text[from..end].len() - text[from..end].trim_ascii_start().len();
    from + blank..end
}

/// How deep in parentheses and atomic bodies a token stands.
#[derive(Default)]
struct Nesting {
    parentheses: usize,
    atomic: usize,
    create: Option<bool>,
    after_begin: bool,
}

impl Nesting {
    fn is_outside(&self) -> bool {
        self.parentheses == 0 && self.atomic == 0
    }

    /// `BEGIN ATOMIC` and, inside of it, `CASE` are what an `END` closes.
    fn opens(&self, text: &str, token: Token, create: bool) -> bool {
        let body = create && self.after_begin && token.is_word(text, "atomic");
        body || (self.atomic > 0 && token.is_word(text, "case"))
    }

    fn enter(&mut self, text: &str, token: Token) {
        let create = *self.create.get_or_insert_with(|| token.is_word(text, "create"));
        if token.is_mark(text, "(") {
            self.parentheses += 1;
        } else if token.is_mark(text, ")") {
            self.parentheses = self.parentheses.saturating_sub(1);
        } else if self.opens(text, token, create) {
            self.atomic += 1;
        } else if self.atomic > 0 && token.is_word(text, "end") {
            self.atomic -= 1;
        }
        self.after_begin = token.is_word(text, "begin");
    }
}
