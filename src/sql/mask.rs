//! A statement's skeleton: its text with the constants taken out, so that statements that differ in them share a plan.
//!
//! Two texts have equal skeletons only if they differ in constants, whitespace and comments alone: the marks are
//! control characters, which no SQL has outside of quotes. A `/* shardloom: … */` comment stays in the skeleton.

use std::borrow::Cow;
use std::ops::Range;

use super::decode;
use super::scan::{Scanner, TokenKind};

/// What sort of constant a literal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    /// `'…'` or `N'…'`
    Text,
    /// `E'…'`
    Escape,
    /// `U&'…'`
    Unicode,
    /// `B'…'` or `X'…'`
    Bits,
    /// `$tag$…$tag$`
    Dollar,
    /// A number without sign.
    Number,
}

/// One constant of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes in the text, quotes included.
    pub span: Range<u32>,
    /// What it is.
    pub kind: LiteralKind,
}

impl Literal {
    /// Returns the byte range.
    pub fn range(&self) -> Range<usize> {
        self.span.start as usize..self.span.end as usize
    }
}

/// A text without its constants, and the constants; reuse one for many texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skeleton {
    /// The text with one mark per constant.
    pub text: String,
    /// The constants in order.
    pub literals: Vec<Literal>,
}

/// Stands in a skeleton for a byte that is no SQL, so that it cannot pass for a mark.
const NO_SQL: char = '\0';

impl LiteralKind {
    pub(super) fn of(kind: TokenKind) -> Option<Self> {
        match kind {
            TokenKind::Text => Some(Self::Text),
            TokenKind::EscapeText => Some(Self::Escape),
            TokenKind::UnicodeText => Some(Self::Unicode),
            TokenKind::BitText => Some(Self::Bits),
            TokenKind::DollarText => Some(Self::Dollar),
            TokenKind::Number => Some(Self::Number),
            TokenKind::Word
            | TokenKind::QuotedIdentifier
            | TokenKind::UnicodeIdentifier
            | TokenKind::Parameter
            | TokenKind::Operator
            | TokenKind::Cast
            | TokenKind::Punctuation
            | TokenKind::Unknown
            | TokenKind::Unterminated => None,
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Text => '\u{1}',
            Self::Escape => '\u{2}',
            Self::Unicode => '\u{3}',
            Self::Bits => '\u{4}',
            Self::Dollar => '\u{5}',
            Self::Number => '\u{6}',
        }
    }
}

/// Writes the skeleton of `text` into `out`, which is emptied first.
pub fn mask(text: &str, out: &mut Skeleton) {
    out.text.clear();
    out.literals.clear();
    let mut previous = 0;
    for token in Scanner::new(text) {
        if token.start > previous {
            blank(&text[previous..token.start], &mut out.text);
        }
        previous = token.end;
        match LiteralKind::of(token.kind) {
            Some(kind) => {
                out.text.push(kind.mark());
                out.literals.push(Literal { span: token.start as u32..token.end as u32, kind });
            }
            None if token.kind == TokenKind::Unknown => out.text.push(NO_SQL),
            None => out.text.push_str(token.text(text)),
        }
    }
}

/// Writes what stands for a run of whitespace and comments: one space, or the hint comment itself.
fn blank(run: &str, out: &mut String) {
    match run.contains("shardloom") {
        true => out.push_str(run),
        false => out.push(' '),
    }
}

/// Finds all constants of `text`, in order.
pub fn literals(text: &str) -> Vec<Literal> {
    Scanner::new(text)
        .filter_map(|token| {
            LiteralKind::of(token.kind).map(|kind| Literal { span: token.start as u32..token.end as u32, kind })
        })
        .collect()
}

/// Returns the value of a constant of `text` as the server reads it; of a number and a bit string, the written form.
/// `None` for escapes that are malformed or make no UTF-8.
pub fn literal_value<'a>(text: &'a str, literal: &Literal) -> Option<Cow<'a, str>> {
    let written = text.get(literal.range())?;
    match literal.kind {
        LiteralKind::Text => decode::plain(written),
        LiteralKind::Escape => decode::escaped(written),
        LiteralKind::Unicode => decode::unicode(written),
        LiteralKind::Dollar => decode::dollar(written),
        LiteralKind::Bits | LiteralKind::Number => Some(Cow::Borrowed(written)),
    }
}
