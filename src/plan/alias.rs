//! Whether a table's name in a text is followed by an alias.

use crate::sql::{Token, TokenKind};

/// Words that may stand behind a table's name and are not its alias.
const BEHIND_TABLE: [&str; 29] = [
    "on",
    "using",
    "join",
    "left",
    "right",
    "full",
    "inner",
    "cross",
    "natural",
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "intersect",
    "except",
    "returning",
    "set",
    "values",
    "select",
    "default",
    "overriding",
    "tablesample",
    "with",
];

/// Tells whether the token behind a table's name, if there is one, is its alias; AS counts as one.
pub(super) fn has_alias(text: &str, next: Option<Token>) -> bool {
    next.is_some_and(|next| match next.kind {
        TokenKind::Word => !BEHIND_TABLE.iter().any(|word| next.is_word(text, word)),
        TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier => true,
        TokenKind::Text
        | TokenKind::EscapeText
        | TokenKind::UnicodeText
        | TokenKind::BitText
        | TokenKind::DollarText
        | TokenKind::Number
        | TokenKind::Parameter
        | TokenKind::Operator
        | TokenKind::Cast
        | TokenKind::Punctuation
        | TokenKind::Unknown
        | TokenKind::Unterminated => false,
    })
}
