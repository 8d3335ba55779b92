//! One value of a row: literal, parameter, DEFAULT, NULL, a cast of these, or an expression.

use super::facts::{Cell, CellValue};
use crate::sql::mask::{literal_value, literals};
use crate::sql::name::identifier;
use crate::sql::scan::{Scanner, Token, TokenKind};

/// Parentheses and casts of one value that are looked into; what is nested deeper is taken for an expression. Each costs
/// the stack a frame, and hostile texts nest as deep as they are long.
const LAYERS_MAX: usize = 64;

/// Reads the tokens of one value; `None` if there are none.
pub fn cell(text: &str, tokens: &[Token]) -> Option<Cell> {
    let span = tokens.first()?.start..tokens.last()?.end;
    let mut casts = Vec::new();
    let value = value(text, tokens, &mut casts, LAYERS_MAX);
    if value == CellValue::Expression {
        casts.clear();
    }
    Some(Cell { span, value, casts })
}

/// Reads a text that is one value; its span is the text.
pub fn read_cell(text: &str) -> Option<Cell> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    cell(text, &tokens)
}

fn value(text: &str, tokens: &[Token], casts: &mut Vec<String>, layers: usize) -> CellValue {
    let Some(layers) = layers.checked_sub(1) else { return CellValue::Expression };
    if let Some(inner) = unwrapped(text, tokens) {
        return value(text, inner, casts, layers);
    }
    if let Some(at) = last_cast(text, tokens) {
        let inner = value(text, &tokens[..at], casts, layers);
        casts.push(words(text, &tokens[at + 1..]));
        return inner;
    }
    match tokens {
        [only] => single(text, only),
        [sign, number] if sign.kind == TokenKind::Operator && number.kind == TokenKind::Number => {
            signed(text, sign, number)
        }
        [function, open, inner @ .., close]
            if function.is_word(text, "cast") && open.is_mark(text, "(") && close.is_mark(text, ")") =>
        {
            cast_call(text, inner, casts, layers)
        }
        [name @ .., constant] if constant.is_string() && is_type_name(text, name) => {
            casts.push(words(text, name));
            single(text, constant)
        }
        _ => next_id(text, tokens).map_or(CellValue::Expression, CellValue::NextId),
    }
}

/// Returns what is between parentheses that enclose the whole.
fn unwrapped<'a>(text: &str, tokens: &'a [Token]) -> Option<&'a [Token]> {
    let [open, inner @ .., close] = tokens else { return None };
    if !open.is_mark(text, "(") || !close.is_mark(text, ")") || inner.is_empty() {
        return None;
    }
    let mut depth = 0_i32;
    for token in inner {
        depth += i32::from(token.is_mark(text, "(")) - i32::from(token.is_mark(text, ")"));
        if depth < 0 || token.is_mark(text, ",") {
            return None;
        }
    }
    Some(inner)
}

/// Finds the last `::` if all of what follows is a type's name.
fn last_cast(text: &str, tokens: &[Token]) -> Option<usize> {
    let at = tokens.iter().rposition(|token| token.kind == TokenKind::Cast)?;
    (at > 0 && is_type(text, &tokens[at + 1..])).then_some(at)
}

fn is_type_name(text: &str, tokens: &[Token]) -> bool {
    !tokens.is_empty() && tokens.iter().all(|token| token.is_name() || token.is_mark(text, "."))
}

fn is_type(text: &str, tokens: &[Token]) -> bool {
    let named = tokens.iter().take_while(|token| is_type_name(text, std::slice::from_ref(token))).count();
    named > 0
        && tokens[named..].iter().all(|token| {
            token.kind == TokenKind::Number || ["(", ")", ",", "[", "]"].iter().any(|mark| token.is_mark(text, mark))
        })
}

/// Joins the tokens of a type's name, lower case, words with one space between.
fn words(text: &str, tokens: &[Token]) -> String {
    let mut name = String::new();
    let mut word_before = false;
    for token in tokens {
        let word = token.is_name();
        if word && word_before {
            name.push(' ');
        }
        name.push_str(&identifier(text, *token).unwrap_or_else(|| text[token.span()].to_owned()));
        word_before = word;
    }
    name.strip_prefix("pg_catalog.").map(str::to_owned).unwrap_or(name)
}

fn single(text: &str, token: &Token) -> CellValue {
    match token.kind {
        TokenKind::Number => CellValue::Number(text[token.span()].to_owned()),
        TokenKind::Parameter => parameter_index(text, token).map_or(CellValue::Expression, CellValue::Parameter),
        TokenKind::Word if token.is_word(text, "default") => CellValue::Default,
        TokenKind::Word if token.is_word(text, "null") => CellValue::Null,
        _ if token.is_string() => string_value(text, token).map_or(CellValue::Expression, CellValue::Text),
        TokenKind::Word
        | TokenKind::QuotedIdentifier
        | TokenKind::UnicodeIdentifier
        | TokenKind::Text
        | TokenKind::EscapeText
        | TokenKind::UnicodeText
        | TokenKind::DollarText
        | TokenKind::BitText
        | TokenKind::Operator
        | TokenKind::Cast
        | TokenKind::Punctuation
        | TokenKind::Unknown
        | TokenKind::Unterminated => CellValue::Expression,
    }
}

fn signed(text: &str, sign: &Token, number: &Token) -> CellValue {
    let digits = &text[number.span()];
    match &text[sign.span()] {
        "-" => CellValue::Number(format!("-{digits}")),
        "+" => CellValue::Number(digits.to_owned()),
        _ => CellValue::Expression,
    }
}

/// `CAST(value AS type)`
fn cast_call(text: &str, inner: &[Token], casts: &mut Vec<String>, layers: usize) -> CellValue {
    let Some(at) = inner.iter().rposition(|token| token.is_word(text, "as")) else { return CellValue::Expression };
    if !is_type(text, &inner[at + 1..]) {
        return CellValue::Expression;
    }
    let value = value(text, &inner[..at], casts, layers);
    casts.push(words(text, &inner[at + 1..]));
    value
}

/// `shardloom.next_id('tag')`
fn next_id(text: &str, tokens: &[Token]) -> Option<String> {
    let [schema, dot, function, open, tag, close] = tokens else { return None };
    let shape = dot.is_mark(text, ".") && open.is_mark(text, "(") && close.is_mark(text, ")");
    let named = identifier(text, *schema)? == "shardloom" && identifier(text, *function)? == "next_id";
    if shape && named { string_value(text, tag) } else { None }
}

/// Returns a string constant's value; `None` if it is none or is malformed.
pub fn string_value(text: &str, token: &Token) -> Option<String> {
    if !token.is_string() {
        return None;
    }
    let written = token.text(text);
    let literal = literals(written).into_iter().next()?;
    literal_value(written, &literal).map(|value| value.into_owned())
}

/// Returns the 0-based index of a parameter token; `None` for others, for `$0` and for numbers over 65535.
pub fn parameter_index(text: &str, token: &Token) -> Option<usize> {
    if token.kind != TokenKind::Parameter {
        return None;
    }
    let number: u16 = token.text(text).strip_prefix('$')?.parse().ok()?;
    usize::from(number).checked_sub(1)
}
