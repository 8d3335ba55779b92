//! Queries and functions in the FROM or USING list of UPDATE and DELETE, by the words of the text.

use std::ops::Range;

use super::with::parenthesized;
use crate::sql::{Scanner, Token, identifier};

/// One of them, with a name of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FromItem {
    /// From its first byte to the end of its alias and its columns.
    pub(super) span: Range<usize>,
    /// Its alias, folded.
    pub(super) alias: String,
}

/// Words that end the list.
const ENDS: [&str; 2] = ["where", "returning"];
/// Words that are no alias.
const NO_ALIAS: [&str; 15] = [
    "where",
    "returning",
    "join",
    "on",
    "using",
    "cross",
    "inner",
    "left",
    "right",
    "full",
    "natural",
    "with",
    "as",
    "from",
    "set",
];

/// Finds those that stand outside of all parentheses and have an alias; LATERAL ones are left out.
pub(super) fn from_items(text: &str) -> Vec<FromItem> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let deletes = tokens.first().is_some_and(|token| token.is_word(text, "delete"));
    let opens = if deletes { "using" } else { "from" };
    // Not that of IS DISTINCT FROM.
    let is_it =
        |at: &usize| tokens[*at].is_word(text, opens) && !tokens[at.saturating_sub(1)].is_word(text, "distinct");
    let Some(mut at) = outside(text, &tokens).find(is_it).map(|at| at + 1) else { return Vec::new() };
    let mut found = Vec::new();
    while at < tokens.len() && !ENDS.iter().any(|end| tokens[at].is_word(text, end)) {
        let before = &tokens[at - 1];
        let begins = before.is_word(text, opens) || before.is_word(text, "join") || before.is_mark(text, ",");
        match item(text, &tokens, at).filter(|_| begins) {
            Some((item, next)) => {
                found.push(item);
                at = next;
            }
            None if tokens[at].is_mark(text, "(") => at = closed(text, &tokens, at),
            None => at += 1,
        }
    }
    found
}

/// Returns the places of tokens outside of all parentheses.
fn outside<'a>(text: &'a str, tokens: &'a [Token]) -> impl Iterator<Item = usize> + 'a {
    let mut depth = 0usize;
    (0..tokens.len()).filter(move |at| {
        if tokens[*at].is_mark(text, "(") {
            depth += 1;
        } else if tokens[*at].is_mark(text, ")") {
            depth = depth.saturating_sub(1);
        }
        depth == 0
    })
}

/// Reads `(query) [AS] alias [(columns)]` or `function(…) [WITH ORDINALITY] [AS] alias [(columns)]`.
fn item(text: &str, tokens: &[Token], start: usize) -> Option<(FromItem, usize)> {
    let mark = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    let mut at = start;
    let named = !mark(at, "(");
    while named && tokens.get(at)?.is_name() && mark(at + 1, ".") {
        at += 2;
    }
    at += usize::from(named && tokens.get(at)?.is_name());
    let query = ["select", "values", "with"].iter().any(|head| word(at + 1, head));
    if !mark(at, "(") || !named && !query || word(start, "lateral") {
        return None;
    }
    at = closed(text, tokens, at);
    at += if word(at, "with") && word(at + 1, "ordinality") { 2 } else { 0 };
    at += usize::from(word(at, "as"));
    let alias = tokens.get(at).filter(|token| !NO_ALIAS.iter().any(|word| token.is_word(text, word)))?;
    let alias = identifier(text, *alias)?;
    at += 1;
    if mark(at, "(") {
        at = closed(text, tokens, at);
    }
    Some((FromItem { span: tokens[start].start..tokens[at - 1].end, alias }, at))
}

/// Returns the token behind the parenthesis that closes the one at a token.
fn closed(text: &str, tokens: &[Token], open: usize) -> usize {
    parenthesized(text, tokens, open).map_or(tokens.len(), |(_, next)| next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_functions_are_found_with_their_aliases() {
        let found = |text: &str| {
            let items = from_items(text).into_iter();
            items.map(|item| format!("{}: {}", item.alias, &text[item.span])).collect::<Vec<_>>()
        };
        let text = "update t set a = (select b from u limit 1) from v, json_to_recordset('[]') as X(id int, n int) \
                    join (values (1)) w (k) on w.k = x.id, lateral f(x.n) l where t.k = x.id";
        assert_eq!(found(text), ["x: json_to_recordset('[]') as X(id int, n int)", "w: (values (1)) w (k)"]);
        let text = "delete from only t using pg_catalog.generate_series(1, 3) with ordinality g where k = g returning (f(1)) z";
        assert_eq!(found(text), ["g: pg_catalog.generate_series(1, 3) with ordinality g"]);
        assert_eq!(found("delete from t using (a join b using (c)) d where f(1)"), [""; 0]);
        assert_eq!(found("update t set a = 1 where k = 1"), [""; 0]);
        assert_eq!(found("update t set a = b is distinct from f(1) from g(2) h where k = h"), ["h: g(2) h"]);
        assert_eq!(found("update t set a = 1 from f(1) where k = 1"), [""; 0]);
    }
}
