//! A reader over tokens for statements that are read by hand: control and utility statements.

use super::name::{TableName, identifier};
use super::scan::{Scanner, Token};

/// Walks over the tokens of one statement.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    scanner: Scanner<'a>,
    ahead: Option<Token>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut scanner = Scanner::new(text);
        let ahead = scanner.next();
        Self { text, scanner, ahead }
    }

    pub(super) fn peek(&self) -> Option<Token> {
        self.ahead
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.ahead;
        self.ahead = self.scanner.next();
        token
    }

    /// Takes the next token if it is the unquoted word.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.ahead.is_some_and(|token| token.is_word(self.text, word));
        if found {
            self.next();
        }
        found
    }

    /// Takes the next tokens if they are these words; else takes nothing.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let before = self.clone();
        let found = words.iter().all(|word| self.word(word));
        if !found {
            *self = before;
        }
        found
    }

    /// Takes the next token if it is one of the words.
    pub(super) fn any_word(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(word))
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.ahead.is_some_and(|token| token.is_word(self.text, word))
    }

    /// Takes the next token if it is this punctuation or operator.
    pub(super) fn mark(&mut self, mark: &str) -> bool {
        let found = self.ahead.is_some_and(|token| token.is_mark(self.text, mark));
        if found {
            self.next();
        }
        found
    }

    pub(super) fn at_end(&self) -> bool {
        self.ahead.is_none()
    }

    /// Takes an identifier.
    pub(super) fn name(&mut self) -> Option<String> {
        let name = identifier(self.text, self.ahead?)?;
        self.next();
        Some(name)
    }

    /// Takes `name`, `schema.name` or `database.schema.name`.
    pub(super) fn table(&mut self) -> Option<TableName> {
        let mut parts = vec![self.name()?];
        while self.mark(".") {
            parts.push(self.name()?);
        }
        let name = parts.pop()?;
        Some(TableName { schema: parts.pop(), name })
    }

    /// Takes the rest of the text, trimmed.
    pub(super) fn rest(&mut self) -> &'a str {
        let from = self.ahead.map_or(self.text.len(), |token| token.start);
        let mut end = from;
        while let Some(token) = self.next() {
            if !token.is_mark(self.text, ";") {
                end = token.end;
            }
        }
        self.text.get(from..end).unwrap_or("")
    }

    /// Skips to after the parenthesis that closes the next one; tells whether there was one.
    pub(super) fn skip_parentheses(&mut self) -> bool {
        if !self.mark("(") {
            return false;
        }
        let mut depth = 1usize;
        while depth > 0 {
            let Some(token) = self.next() else { return false };
            if token.is_mark(self.text, "(") {
                depth += 1;
            } else if token.is_mark(self.text, ")") {
                depth -= 1;
            }
        }
        true
    }
}
