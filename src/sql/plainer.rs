//! Words that the parser does not know and planning does not need: blanked or put in others' words, so that the rest can be
//! read at its places.

use std::ops::Range;

use super::scan::{Scanner, Token, TokenKind};

/// What may stand before the ONLY that keeps a table's children out.
const BEFORE_ONLY: [&str; 4] = ["from", "join", "update", "using"];
/// Types whose constants the parser crate does not read as `TYPE 'text'`.
const TYPES: [&str; 30] = [
    "box",
    "bpchar",
    "cidr",
    "circle",
    "daterange",
    "inet",
    "int4range",
    "int8range",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numrange",
    "oid",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "regclass",
    "regtype",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "varbit",
    "xid8",
    "xml",
];
/// Types of counts.
const INTEGERS: [&str; 6] = ["int2", "int4", "int8", "smallint", "integer", "bigint"];
/// What ends the list of SET.
const AFTER_SET: [&str; 3] = ["from", "where", "returning"];

/// Returns the text with blanks in the place of ONLY before tables, of subscripts of the columns that SET changes, and of
/// what makes FOR UPDATE and FOR SHARE weaker, and with an operator in the place of the type of `TYPE 'text'` where the
/// parser crate knows it not: what it is compared with is no constant then, and binds nothing. `None` if there are none.
///
/// Servers get the text as it is. A part of a column is the column's, all row locks are the same to routing, and children
/// of a table live where it does: none of it says where rows are.
pub(super) fn plainer(text: &str) -> Option<String> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let (mut blanks, mut typed, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let mut sets = false;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let follows = |word: &str| before.is_some_and(|before| before.is_word(text, word));
        let separated = before.is_some_and(|before| before.is_mark(text, ","));
        if token.is_word(text, "only") && (separated || BEFORE_ONLY.iter().any(|word| follows(word))) {
            blanks.push(token.span());
            blanks.extend(parentheses(text, &tokens[at + 1..]).into_iter().flatten());
        }
        let next = |ahead: usize, word: &str| tokens.get(at + ahead).is_some_and(|token| token.is_word(text, word));
        if token.is_word(text, "for") && next(1, "no") && next(2, "key") && next(3, "update") {
            blanks.push(tokens[at + 1].start..tokens[at + 2].end);
        } else if token.is_word(text, "for") && next(1, "key") && next(2, "share") {
            blanks.push(tokens[at + 1].span());
        }
        if is_type_of_constant(text, &tokens[..=at], tokens.get(at + 1)) {
            typed.push(token.span());
        }
        if token.is_word(text, "between") && (next(1, "symmetric") || next(1, "asymmetric")) {
            let (sorts, bound) = (next(1, "symmetric"), tokens[at + 1].span());
            match sorts && !follows("not") {
                // Neither end is a bound of its own, as of what is not between them.
                true => words.extend([(token.start..bound.end, "NOT BETWEEN")]),
                false => blanks.push(bound),
            }
        }
        if token.is_word(text, "fetch") && (next(1, "first") || next(1, "next")) {
            blanks.extend(around_count(text, &tokens[at + 2..]));
        }
        if token.is_mark(text, "(") && next(1, "values") {
            words.extend(compared_list(text, &tokens, at));
        }
        sets = (sets || token.is_word(text, "set")) && !AFTER_SET.iter().any(|word| token.is_word(text, word));
        if sets
            && (separated || follows("set"))
            && let Some(end) = subscripts(text, &tokens[at..])
        {
            blanks.push(token.end..end);
        }
    }
    if blanks.is_empty() && typed.is_empty() && words.is_empty() {
        return None;
    }
    let mut plain = text.as_bytes().to_vec();
    for word in typed {
        plain[word.clone()].fill(b' ');
        plain[word.start] = b'~';
    }
    for blank in blanks {
        plain[blank].fill(b' ');
    }
    for (place, word) in words {
        plain[place.clone()].fill(b' ');
        plain[place.start..place.start + word.len()].copy_from_slice(word.as_bytes());
    }
    String::from_utf8(plain).ok()
}

/// Returns the parentheses in which `ONLY (table)` may put the name.
fn parentheses(text: &str, tokens: &[Token]) -> Option<[Range<usize>; 2]> {
    let close = tokens.iter().position(|token| token.is_mark(text, ")"))?;
    let names = tokens.first()?.is_mark(text, "(").then(|| &tokens[1..close])?;
    let is_name = names.iter().all(|token| token.is_name() || token.is_mark(text, "."));
    is_name.then(|| [tokens[0].span(), tokens[close].span()])
}

/// Returns what stands around the count of `FETCH FIRST ('5'::int4) ROWS`: the parser reads it alone.
fn around_count(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    let is = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
    let close = if tokens.get(2).is_some_and(|token| token.kind == TokenKind::Cast) { 4 } else { 2 };
    let is_type = |token: &Token| INTEGERS.iter().any(|name| token.is_word(text, name));
    if !is(0, "(") || !is(close, ")") || close == 4 && !is_type(&tokens[3]) {
        return Vec::new();
    }
    vec![tokens[0].span(), tokens[2].start..tokens[close].end]
}

/// What to write where a list of VALUES is compared with, which the parser reads only behind IN: `= ANY` is IN, and else the
/// list becomes a SELECT of its rows, of which a comparison with all or some says nothing about a key. `at` is its `(`.
fn compared_list(text: &str, tokens: &[Token], at: usize) -> Vec<(Range<usize>, &'static str)> {
    let before = |back: usize| at.checked_sub(back).map(|before| &tokens[before]);
    let is = |back: usize, words: &[&str]| {
        before(back).is_some_and(|token| words.iter().any(|word| token.is_word(text, word)))
    };
    let is_operator = |back: usize| before(back).is_some_and(|token| token.kind == TokenKind::Operator);
    let list = (tokens[at + 1].span(), "SELECT");
    match (before(1), before(2)) {
        (Some(any), Some(equals)) if is(1, &["any", "some"]) && equals.text(text) == "=" => {
            vec![(equals.span(), ""), (any.span(), "IN")]
        }
        _ if is(1, &["any", "some", "all"]) && is_operator(2) => vec![list],
        _ if is(1, &["select"]) || is_operator(1) => vec![list],
        _ => Vec::new(),
    }
}

/// Tells whether the last of `tokens` is the type of the constant that is `next`.
fn is_type_of_constant(text: &str, tokens: &[Token], next: Option<&Token>) -> bool {
    let Some((word, before)) = tokens.split_last() else { return false };
    let kinds = [TokenKind::Text, TokenKind::EscapeText, TokenKind::DollarText];
    word.kind == TokenKind::Word
        && next.is_some_and(|next| kinds.contains(&next.kind))
        && TYPES.iter().any(|name| word.is_word(text, name))
        && before.last().is_none_or(|before| !before.is_mark(text, ".") && before.kind != TokenKind::Cast)
}

/// Returns where the subscripts of the name at the front end, if it has such and `=` follows.
fn subscripts(text: &str, tokens: &[Token]) -> Option<usize> {
    let (name, rest) = tokens.split_first()?;
    if !name.is_name() || !rest.first()?.is_mark(text, "[") {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in rest.iter().enumerate() {
        match token.text(text) {
            "[" => depth += 1,
            "]" => depth = depth.checked_sub(1)?,
            // What a subquery or a function does would not be seen.
            "(" => return None,
            "=" if depth == 0 && token.kind == TokenKind::Operator => return Some(rest[at - 1].end),
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_and_subscripts_of_columns_are_blanked() {
        let cases = [
            ("UPDATE ONLY t SET a = 1", "UPDATE      t SET a = 1"),
            ("DELETE FROM only t USING ONLY u", "DELETE FROM      t USING      u"),
            ("SELECT * FROM a, ONLY b JOIN ONLY c ON x", "SELECT * FROM a,      b JOIN      c ON x"),
            ("SELECT * FROM t FOR NO KEY UPDATE OF t NOWAIT", "SELECT * FROM t FOR        UPDATE OF t NOWAIT"),
            ("SELECT * FROM t for key share; ", "SELECT * FROM t for     share; "),
            ("UPDATE t SET a[1] = b[2], c['é'][$1:d] = 3", "UPDATE t SET a    = b[2], c             = 3"),
            ("SELECT * FROM ONLY (t) a JOIN ONLY (s.\"T\") b", "SELECT * FROM       t  a JOIN       s.\"T\"  b"),
            ("SELECT a =ANY(VALUES (1), (2))", "SELECT a  IN (VALUES (1), (2))"),
            ("SELECT a = some (values (1))", "SELECT a   IN   (values (1))"),
            ("SELECT a < ANY (VALUES (1), (2))", "SELECT a < ANY (SELECT (1), (2))"),
            ("SELECT a <> all (values (1), (2))", "SELECT a <> all (SELECT (1), (2))"),
            ("SELECT (VALUES (1)) + (VALUES (2))", "SELECT (SELECT (1)) + (SELECT (2))"),
            ("SELECT a between symmetric 3 AND 1 FROM t", "SELECT a NOT BETWEEN       3 AND 1 FROM t"),
            ("SELECT a NOT BETWEEN SYMMETRIC 3 AND 1", "SELECT a NOT BETWEEN           3 AND 1"),
            ("SELECT a BETWEEN ASYMMETRIC 3 AND 1", "SELECT a BETWEEN            3 AND 1"),
            ("SELECT 1 FETCH FIRST ('4'::int4) ROWS ONLY", "SELECT 1 FETCH FIRST  '4'        ROWS ONLY"),
            ("SELECT 1 FETCH NEXT ($1) ROW ONLY", "SELECT 1 FETCH NEXT  $1  ROW ONLY"),
            ("SELECT a <<= inet '10.0.0.0/8' FROM t", "SELECT a <<= ~    '10.0.0.0/8' FROM t"),
            ("SELECT oid '5', Money E'1', box $$x$$", "SELECT ~   '5', ~     E'1', ~   $$x$$"),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b[1] = 2",
                "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b    = 2",
            ),
        ];
        for (text, plain) in cases {
            assert_eq!(plainer(text).as_deref(), Some(plain), "{text}");
        }
    }

    #[test]
    fn others_stay() {
        for text in [
            "SELECT a FROM t FETCH FIRST 5 ROWS ONLY",
            "SELECT a, b[1] = 2 FROM t",
            "UPDATE t SET a = 1 WHERE x IN (1, b[1] = 2)",
            "UPDATE t SET a[(SELECT 1)] = 2",
            "UPDATE t SET a[f(1)] = 2",
            "UPDATE t SET a[1",
            "UPDATE t SET a[1]] = 2",
            "UPDATE t SET a[1] + 2",
            "SELECT \"only\" FROM t",
            "SELECT date '2024-01-01', t.name, name FROM t",
            "SELECT \"inet\" '10.0.0.0/8'",
            "SELECT a FROM t FOR UPDATE",
            "SELECT a FROM (VALUES (1)) v, (VALUES (2)) w UNION ALL (VALUES (3))",
            "SELECT a IN (VALUES (1))",
            "SELECT 1 FETCH FIRST (1 + 2) ROWS ONLY",
        ] {
            assert_eq!(plainer(text), None, "{text}");
        }
    }
}
