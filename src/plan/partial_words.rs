//! Words of expressions: which are alike, which are no columns, and where parentheses close.

use crate::sql::{Token, TokenKind, identifier};

/// Tells whether a word is the name of a type, a collation or a field of an interval, by what is ahead of it.
pub(super) fn is_no_column(part: &str, tokens: &[Token], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    let ahead = tokens[before];
    let of_extract = ahead.is_mark(part, "(")
        && before.checked_sub(1).is_some_and(|function| tokens[function].is_word(part, "extract"));
    let of_interval = ["interval", "to"].iter().any(|word| ahead.is_word(part, word)) || ahead.is_string();
    let of_type = ahead.kind == TokenKind::Cast || ["as", "collate"].iter().any(|word| ahead.is_word(part, word));
    ahead.is_mark(part, ".") || of_extract || of_interval || of_type
}

/// Tells whether two tokens of two texts say the same.
pub(super) fn is_alike((one_text, one): (&str, &Token), (other_text, other): (&str, &Token)) -> bool {
    match (identifier(one_text, *one), identifier(other_text, *other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.text(one_text) == other.text(other_text),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Returns the token that closes the parenthesis which a token opens.
pub(super) fn closing(part: &str, tokens: &[Token], open: usize) -> Option<usize> {
    if !tokens.get(open)?.is_mark(part, "(") {
        return None;
    }
    let mut depth = 0usize;
    (open..tokens.len()).find(|at| {
        depth += usize::from(tokens[*at].is_mark(part, "("));
        let closes = tokens[*at].is_mark(part, ")");
        depth -= usize::from(closes);
        closes && depth == 0
    })
}
