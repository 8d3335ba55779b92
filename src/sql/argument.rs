//! Lists in parentheses, as `PREPARE name (types)` and `EXECUTE name (values)` have them, and values that are constants.

use std::ops::Range;

use super::cursor::Cursor;
use super::mask::{Literal, LiteralKind, literal_value};
use super::scan::{Scanner, Token, TokenKind};

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `NULL`
    Null,
    /// A string constant: PostgreSQL reads it as the type that is wanted, whatever that is.
    Text(String),
    /// A whole number, without leading zeros.
    Integer(String),
    /// Anything else: a server has to say.
    Expression,
}

/// Reads the value that stands in `span`.
pub fn argument(text: &str, span: Range<usize>) -> Argument {
    let part = text.get(span).unwrap_or("");
    let tokens: Vec<Token> = Scanner::new(part).take(3).collect();
    match tokens.as_slice() {
        [token] if token.is_word(part, "null") => Argument::Null,
        [token] => constant(part, *token).unwrap_or(Argument::Expression),
        [minus, token] if minus.is_mark(part, "-") && token.kind == TokenKind::Number => match constant(part, *token) {
            Some(Argument::Integer(digits)) if digits != "0" => Argument::Integer(format!("-{digits}")),
            Some(_) | None => Argument::Expression,
        },
        _ => Argument::Expression,
    }
}

fn constant(part: &str, token: Token) -> Option<Argument> {
    if token.is_string() {
        let kind = match token.kind {
            TokenKind::EscapeText => LiteralKind::Escape,
            TokenKind::UnicodeText => LiteralKind::Unicode,
            TokenKind::DollarText => LiteralKind::Dollar,
            _ => LiteralKind::Text,
        };
        let literal = Literal { span: token.start as u32..token.end as u32, kind };
        return literal_value(part, &literal).map(|value| Argument::Text(value.into_owned()));
    }
    let written = token.text(part);
    let is_whole = token.kind == TokenKind::Number && written.bytes().all(|byte| byte.is_ascii_digit());
    let digits = written.trim_start_matches('0');
    is_whole.then(|| Argument::Integer(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }))
}

/// Takes `(item, …)`; `None` if there is no such list, or one without items.
pub(super) fn list(cursor: &mut Cursor<'_>) -> Option<Vec<Range<usize>>> {
    if !cursor.mark("(") {
        return None;
    }
    let mut items = Vec::new();
    let mut depth = 0usize;
    let mut item: Option<Range<usize>> = None;
    loop {
        let token = cursor.next()?;
        let is = |mark| token.is_mark(cursor.text, mark);
        if depth == 0 && (is(",") || is(")")) {
            items.push(item.take()?);
            if is(")") {
                return Some(items);
            }
            continue;
        }
        if is("(") || is("[") {
            depth += 1;
        } else if is(")") || is("]") {
            depth = depth.checked_sub(1)?;
        }
        item = Some(item.map_or(token.start, |item| item.start)..token.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Option<Vec<&str>> {
        Some(list(&mut Cursor::new(text))?.into_iter().map(|span| &text[span]).collect())
    }

    #[test]
    fn lists_are_split_at_their_own_commas() {
        assert_eq!(items("(1, 'a,b', f(2, 3), array[4, 5], numeric(10, 2))").unwrap().len(), 5);
        assert_eq!(items("( 1 + 2 ,(3) )"), Some(vec!["1 + 2", "(3)"]));
        for text in ["()", "(1", "(1,)", "(,1)", "1", "(1]", ""] {
            assert_eq!(items(text), None, "{text}");
        }
    }

    #[test]
    fn constants_are_told_from_expressions() {
        let cases = [
            ("NULL", Argument::Null),
            ("'it''s'", Argument::Text("it's".into())),
            (r"E'a\nb'", Argument::Text("a\nb".into())),
            ("$$x$$", Argument::Text("x".into())),
            ("007", Argument::Integer("7".into())),
            ("0", Argument::Integer("0".into())),
            ("- 7", Argument::Integer("-7".into())),
            ("-0", Argument::Expression),
            ("1.5", Argument::Expression),
            ("1e3", Argument::Expression),
            ("-'7'", Argument::Expression),
            ("'7'::int", Argument::Expression),
            ("b'01'", Argument::Expression),
            ("true", Argument::Expression),
            ("$1", Argument::Expression),
            ("", Argument::Expression),
        ];
        for (text, expected) in cases {
            assert_eq!(argument(text, 0..text.len()), expected, "{text}");
        }
    }
}
