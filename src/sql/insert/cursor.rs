//! A position in a list of tokens, with the few moves that reading an INSERT needs.

use super::facts::Span;
use crate::sql::name::{TableName, identifier};
use crate::sql::scan::Token;

/// A position in the tokens of a text.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    /// The text.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: &'a [Token],
    /// The next token's index.
    pub at: usize,
}

impl<'a> Cursor<'a> {
    /// Stands at the first token.
    pub fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        Self { text, tokens, at: 0 }
    }

    /// Returns the next token without taking it.
    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    /// Tells whether the next token is this keyword.
    pub fn sees(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is_word(self.text, word))
    }

    /// Takes the next token if it is this keyword.
    pub fn eat(&mut self, word: &str) -> bool {
        let found = self.sees(word);
        self.at += usize::from(found);
        found
    }

    /// Takes the words if all of them follow.
    pub fn eat_all(&mut self, words: &[&str]) -> bool {
        let start = self.at;
        let found = words.iter().all(|word| self.eat(word));
        if !found {
            self.at = start;
        }
        found
    }

    /// Tells whether the next token is this character.
    pub fn sees_mark(&self, mark: &str) -> bool {
        self.peek().is_some_and(|token| token.is_mark(self.text, mark))
    }

    /// Takes the next token if it is this character.
    pub fn eat_mark(&mut self, mark: &str) -> bool {
        let found = self.sees_mark(mark);
        self.at += usize::from(found);
        found
    }

    /// Takes an identifier.
    pub fn identifier(&mut self) -> Option<String> {
        let name = identifier(self.text, *self.peek()?)?;
        self.at += 1;
        Some(name)
    }

    /// Takes `name` or `schema.name`.
    pub fn table_name(&mut self) -> Option<TableName> {
        let first = self.identifier()?;
        if !self.eat_mark(".") {
            return Some(TableName { schema: None, name: first });
        }
        Some(TableName { schema: Some(first), name: self.identifier()? })
    }

    /// Takes a parenthesised group; returns its span and the tokens inside.
    pub fn group(&mut self) -> Option<(Span, &'a [Token])> {
        let open = self.at;
        if !self.sees_mark("(") {
            return None;
        }
        let mut depth = 0;
        while let Some(token) = self.next() {
            depth += depth_change(self.text, token);
            if depth <= 0 {
                let span = self.tokens[open].start..token.end;
                return Some((span, &self.tokens[open + 1..self.at - 1]));
            }
        }
        None
    }

    /// Returns the byte behind the last taken token.
    pub fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |last| self.tokens[last].end)
    }
}

/// Returns by how much a token changes the depth of parentheses and brackets.
pub fn depth_change(text: &str, token: &Token) -> i32 {
    let is = |mark| i32::from(token.is_mark(text, mark));
    is("(") + is("[") - is(")") - is("]")
}

/// Splits tokens at the commas that stand outside all parentheses. No tokens give no parts.
pub fn split_commas<'a>(text: &str, tokens: &'a [Token]) -> Vec<&'a [Token]> {
    split(text, tokens, |token| token.is_mark(text, ","))
}

/// Splits tokens at the ones that are `separator`s outside all parentheses.
pub fn split<'a>(text: &str, tokens: &'a [Token], separator: impl Fn(&Token) -> bool) -> Vec<&'a [Token]> {
    if tokens.is_empty() {
        return Vec::new();
    }
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut start = 0;
    for (index, token) in tokens.iter().enumerate() {
        depth += depth_change(text, token);
        if depth == 0 && separator(token) {
            parts.push(&tokens[start..index]);
            start = index + 1;
        }
    }
    parts.push(&tokens[start..]);
    parts
}
