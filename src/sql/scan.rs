//! PostgreSQL's lexical rules (chapter 4.1 of its manual), token by token, without copying.
//!
//! Whitespace and comments are skipped. No text makes it fail: what is not a token is [`TokenKind::Unknown`],
//! what does not end is [`TokenKind::Unterminated`] up to the end of the text.
//! `standard_conforming_strings = on` is assumed: a backslash escapes in `E''` only.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"name"`
    QuotedIdentifier,
    /// `U&"name"`
    UnicodeIdentifier,
    /// `'text'` or `N'text'`
    Text,
    /// `E'text'`
    EscapeText,
    /// `U&'text'`
    UnicodeText,
    /// `B'01'` or `X'ff'`
    BitText,
    /// `$tag$text$tag$`
    DollarText,
    /// Digits with or without point, exponent, underscores or base.
    Number,
    /// `$1`
    Parameter,
    /// A run of operator characters.
    Operator,
    /// `::`
    Cast,
    /// One of `( ) [ ] , ; . :`, and `:=`, `..`
    Punctuation,
    /// A byte that no rule allows here.
    Unknown,
    /// A quote or comment that never ends.
    Unterminated,
}

/// One token's place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Token {
    /// Returns the byte range.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns the token's text.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// Tells whether this is the unquoted `word`, in any case.
    pub fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// Tells whether this is exactly the punctuation or operator `mark`.
    pub fn is_mark(&self, text: &str, mark: &str) -> bool {
        matches!(self.kind, TokenKind::Punctuation | TokenKind::Operator) && self.text(text) == mark
    }

    /// Tells whether this is a string constant of any sort.
    pub fn is_string(&self) -> bool {
        matches!(self.kind, TokenKind::Text | TokenKind::EscapeText | TokenKind::UnicodeText | TokenKind::DollarText)
    }

    /// Tells whether this can name something.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier)
    }
}

/// Iterates over the tokens of a text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), position: 0 }
    }

    /// Starts at byte `position`, which must be where a token or whitespace starts.
    pub fn starting_at(text: &'a str, position: usize) -> Self {
        Self { bytes: text.as_bytes(), position: position.min(text.len()) }
    }

    /// Returns the byte after the last token.
    pub fn position(&self) -> usize {
        self.position
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.position + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self, start: usize) -> TokenKind {
        let first = self.bytes[start];
        match first {
            b'\'' => quoted(self.bytes, &mut self.position, TokenKind::Text),
            b'"' => identifier(self.bytes, &mut self.position, TokenKind::QuotedIdentifier),
            b'$' => self.dollar(start),
            b'0'..=b'9' => number(self.bytes, &mut self.position),
            b'.' if self.peek(1).is_ascii_digit() => number(self.bytes, &mut self.position),
            b'.' | b':' => self.dot_or_colon(first),
            b'(' | b')' | b'[' | b']' | b',' | b';' => self.advance(1, TokenKind::Punctuation),
            _ if is_word_start(first) => self.word(first),
            _ if is_operator(first) => operator(self.bytes, &mut self.position),
            _ => self.advance(1, TokenKind::Unknown),
        }
    }

    fn advance(&mut self, count: usize, kind: TokenKind) -> TokenKind {
        self.position += count;
        kind
    }

    fn dot_or_colon(&mut self, first: u8) -> TokenKind {
        match (first, self.peek(1)) {
            (b':', b':') => self.advance(2, TokenKind::Cast),
            (b':', b'=') | (b'.', b'.') => self.advance(2, TokenKind::Punctuation),
            (_, _) => self.advance(1, TokenKind::Punctuation),
        }
    }

    fn word(&mut self, first: u8) -> TokenKind {
        let (second, third) = (self.peek(1), self.peek(2));
        let prefixed = match (first | 0x20, second, third) {
            (b'e', b'\'', _) => Some((1, TokenKind::EscapeText)),
            (b'n', b'\'', _) => Some((1, TokenKind::Text)),
            (b'b' | b'x', b'\'', _) => Some((1, TokenKind::BitText)),
            (b'u', b'&', b'\'') => Some((2, TokenKind::UnicodeText)),
            (b'u', b'&', b'"') => Some((2, TokenKind::UnicodeIdentifier)),
            (_, _, _) => None,
        };
        match prefixed {
            Some((skip, TokenKind::UnicodeIdentifier)) => {
                self.position += skip;
                identifier(self.bytes, &mut self.position, TokenKind::UnicodeIdentifier)
            }
            Some((skip, kind)) => {
                self.position += skip;
                quoted(self.bytes, &mut self.position, kind)
            }
            None => {
                self.position += word_length(&self.bytes[self.position..]);
                TokenKind::Word
            }
        }
    }

    fn dollar(&mut self, start: usize) -> TokenKind {
        let rest = &self.bytes[start + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            return self.advance(1 + digits, TokenKind::Parameter);
        }
        let tag = rest.iter().take_while(|byte| is_word_part(**byte) && **byte != b'$').count();
        if rest.get(tag) != Some(&b'$') {
            return self.advance(1, TokenKind::Unknown);
        }
        let opening = &self.bytes[start..start + tag + 2];
        let body = start + opening.len();
        match find(&self.bytes[body..], opening) {
            Some(length) => {
                self.position = body + length + opening.len();
                TokenKind::DollarText
            }
            None => {
                self.position = self.bytes.len();
                TokenKind::Unterminated
            }
        }
    }
}

impl Iterator for Scanner<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = match skip_blank(self.bytes, self.position) {
            Ok(start) => start,
            Err(start) => {
                self.position = self.bytes.len();
                return Some(Token { kind: TokenKind::Unterminated, start, end: self.position });
            }
        };
        self.position = start;
        if start >= self.bytes.len() {
            return None;
        }
        let kind = self.token(start);
        Some(Token { kind, start, end: self.position })
    }
}

/// Returns the first byte at or after `position` that is neither whitespace nor comment.
///
/// # Errors
/// Returns the start of a block comment that never ends.
pub(super) fn skip_blank(bytes: &[u8], mut position: usize) -> Result<usize, usize> {
    loop {
        match bytes.get(position) {
            Some(byte) if is_space(*byte) => position += 1,
            Some(b'-') if bytes.get(position + 1) == Some(&b'-') => position = line_end(bytes, position),
            Some(b'/') if bytes.get(position + 1) == Some(&b'*') => {
                position = comment_end(bytes, position).ok_or(position)?;
            }
            Some(_) | None => return Ok(position),
        }
    }
}

fn line_end(bytes: &[u8], position: usize) -> usize {
    let rest = &bytes[position..];
    rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |length| position + length)
}

/// Returns the byte after the block comment that starts at `position`; comments nest.
pub(super) fn comment_end(bytes: &[u8], position: usize) -> Option<usize> {
    let (mut depth, mut at) = (0usize, position);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Reads a string from its opening quote; strings that a newline separates are one (chapter 4.1.2.1).
fn quoted(bytes: &[u8], position: &mut usize, kind: TokenKind) -> TokenKind {
    let escapes = kind == TokenKind::EscapeText;
    let mut at = *position + 1;
    loop {
        match bytes.get(at) {
            Some(b'\'') if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            Some(b'\'') => match continuation(bytes, at + 1) {
                Some(next) => at = next + 1,
                None => {
                    *position = at + 1;
                    return kind;
                }
            },
            Some(b'\\') if escapes => at += 2,
            Some(_) => at += 1,
            None => {
                *position = bytes.len();
                return TokenKind::Unterminated;
            }
        }
    }
}

/// Returns where a string goes on after its closing quote: whitespace with a newline, then a quote.
pub(super) fn continuation(bytes: &[u8], position: usize) -> Option<usize> {
    let mut newline = false;
    let mut at = position;
    loop {
        match bytes.get(at) {
            Some(b'\n' | b'\r') => (newline, at) = (true, at + 1),
            Some(byte) if is_space(*byte) => at += 1,
            Some(b'-') if bytes.get(at + 1) == Some(&b'-') => at = line_end(bytes, at),
            Some(b'\'') if newline => return Some(at),
            Some(_) | None => return None,
        }
    }
}

fn identifier(bytes: &[u8], position: &mut usize, kind: TokenKind) -> TokenKind {
    let mut at = *position + 1;
    loop {
        match bytes.get(at) {
            Some(b'"') if bytes.get(at + 1) == Some(&b'"') => at += 2,
            Some(b'"') => {
                *position = at + 1;
                return kind;
            }
            Some(_) => at += 1,
            None => {
                *position = bytes.len();
                return TokenKind::Unterminated;
            }
        }
    }
}

fn number(bytes: &[u8], position: &mut usize) -> TokenKind {
    let start = *position;
    let rest = &bytes[start..];
    let based = rest[0] == b'0' && matches!(rest.get(1).map(|byte| byte | 0x20), Some(b'x' | b'o' | b'b'));
    if based && rest.get(2).is_some_and(u8::is_ascii_hexdigit) {
        *position = start + 2 + rest[2..].iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'_').count();
        return TokenKind::Number;
    }
    let mut at = digits(bytes, start);
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1) != Some(&b'.') {
        at = digits(bytes, at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        if bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
            at = digits(bytes, at + 1 + sign);
        }
    }
    *position = at;
    TokenKind::Number
}

/// Skips digits; an underscore must stand between two of them.
fn digits(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_digit() => at += 1,
            Some(b'_') if at > 0 && bytes[at - 1].is_ascii_digit() => {
                if !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
                    return at;
                }
                at += 1;
            }
            Some(_) | None => return at,
        }
    }
}

/// Reads an operator; it ends before a comment, and in `+` or `-` only if it has one of the special characters.
fn operator(bytes: &[u8], position: &mut usize) -> TokenKind {
    let start = *position;
    let mut end = start;
    while end < bytes.len() && is_operator(bytes[end]) {
        if end > start && matches!(bytes.get(end..end + 2), Some(b"--" | b"/*")) {
            break;
        }
        end += 1;
    }
    let special = bytes[start..end].iter().any(|byte| b"~!@#%^&|`?".contains(byte));
    while !special && end > start + 1 && matches!(bytes[end - 1], b'+' | b'-') {
        end -= 1;
    }
    *position = end;
    TokenKind::Operator
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn word_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_word_part(**byte)).count()
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}
