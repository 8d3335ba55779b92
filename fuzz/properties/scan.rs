//! Tokens, literals, skeletons: tokens cover the text, and a skeleton with its literals put back says the same.

use shardloom::sql::{self, Skeleton, Token, TokenKind};

/// Any text; other bytes never reach the scanner.
pub fn holds(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let tokens: Vec<Token> = sql::Scanner::new(text).collect();
    cover(text, &tokens);
    masked(text, &tokens);
    split(text, &tokens);
    for literal in sql::literals(text) {
        let _ = sql::literal_value(text, &literal);
    }
    let _ = (sql::hints(text), sql::control(text), sql::utility(text));
}

/// Tokens stand in order at character borders, and between them there is nothing that is a token.
fn cover(text: &str, tokens: &[Token]) {
    let mut end = 0;
    for token in tokens {
        assert!(token.start >= end && token.end > token.start, "tokens do not overlap and are not empty");
        assert!(text.get(end..token.start).is_some() && text.get(token.start..token.end).is_some(), "borders");
        assert!(sql::Scanner::new(&text[end..token.start]).next().is_none(), "a gap has no token");
        end = token.end;
    }
    assert!(sql::Scanner::new(&text[end..]).next().is_none(), "the tail has no token");
}

fn masked(text: &str, tokens: &[Token]) {
    let mut skeleton = Skeleton::default();
    sql::mask(text, &mut skeleton);
    assert_eq!(skeleton.literals, sql::literals(text));
    let Some(whole) = unmasked(text, &skeleton) else { return };
    let said = |text: &str, tokens: &[Token]| -> Vec<(TokenKind, String)> {
        tokens.iter().map(|token| (token.kind, token.text(text).to_owned())).collect()
    };
    let again: Vec<Token> = sql::Scanner::new(&whole).collect();
    assert_eq!(said(&whole, &again), said(text, tokens), "literals put back say the same");
    let mut second = Skeleton::default();
    sql::mask(&whole, &mut second);
    assert_eq!(second.text, skeleton.text);
}

/// Puts the literals back in place of their marks; `None` for texts with bytes that are no SQL, whose plans do not
/// depend on what those were.
fn unmasked(text: &str, skeleton: &Skeleton) -> Option<String> {
    let mut literals = skeleton.literals.iter();
    let mut whole = String::new();
    let mut end = 0;
    for token in sql::Scanner::new(&skeleton.text) {
        whole.push_str(&skeleton.text[end..token.start]);
        end = token.end;
        let written = token.text(&skeleton.text);
        match written.as_bytes() {
            [0] => return None,
            [1..=6] => whole.push_str(&text[literals.next().expect("a literal for each mark").range()]),
            _ => whole.push_str(written),
        }
    }
    whole.push_str(&skeleton.text[end..]);
    assert!(literals.next().is_none(), "a mark for each literal");
    Some(whole)
}

/// The statements of a text have all its tokens but the semicolons between them.
fn split(text: &str, tokens: &[Token]) {
    let ranges = sql::split(text);
    let mut end = 0;
    for range in &ranges {
        assert!(range.start >= end && range.end > range.start && text.get(range.clone()).is_some());
        end = range.end;
    }
    let inside = |token: &&Token| ranges.iter().any(|range| range.start <= token.start && token.end <= range.end);
    let outside = tokens.iter().filter(|token| !inside(token));
    assert!(outside.clone().all(|token| token.text(text) == ";"), "only semicolons are left out");
}
