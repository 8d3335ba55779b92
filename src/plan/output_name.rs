//! The names that the columns of a result have, which a bare name in ORDER BY may mean.
//!
//! It does not tell a name exactly where PostgreSQL makes it of an expression, only which it may be.

use crate::sql::{Item, Scanner, Shape, Token, TokenKind, depths, identifier};

/// What PostgreSQL calls columns by although the expression has no such word.
const IMPLIED: [&str; 20] = [
    "?column?",
    "bool",
    "bpchar",
    "btrim",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "is_normalized",
    "ltrim",
    "numeric",
    "pg_collation_for",
    "rtrim",
    "timestamp",
    "timestamptz",
    "timetz",
    "timezone",
    "varbit",
    "varchar",
];

/// Words before a parenthesis that are no function, or one that gives its column another name.
const OWN_NAMES: [&str; 14] = [
    "array",
    "case",
    "cast",
    "collation",
    "exists",
    "grouping",
    "interval",
    "normalize",
    "not",
    "overlay",
    "row",
    "substring",
    "treat",
    "trim",
];

/// What a type has in it beside names and numbers.
const TYPE_MARKS: [&str; 6] = ["(", ")", "[", "]", ",", "."];

/// Returns the name if an ORDER BY key is one without a qualifier, be it in parentheses; `None` where that cannot be told.
pub(super) fn bare_name(key: &str) -> Option<Option<String>> {
    let tokens: Vec<Token> = Scanner::new(key).collect();
    let mut inner = tokens.as_slice();
    while let [first, within @ .., last] = inner
        && first.is_mark(key, "(")
        && last.is_mark(key, ")")
    {
        inner = within;
    }
    match inner {
        [token] => identifier(key, *token).map(Some),
        _ => Some(None),
    }
}

/// Tells whether a select item is a plain column of this name, with or without its table.
pub(super) fn is_column_named(item: &Item, name: &str) -> bool {
    matches!(&item.shape, Shape::Column(column) if column.name == name)
}

/// Returns what PostgreSQL calls the column of this expression, where that is plain: by the function that it calls, or the
/// column or call that it casts.
pub(super) fn implied_name(expression: &str) -> Option<String> {
    let tokens: Vec<Token> = Scanner::new(expression).collect();
    name_of(expression, &tokens)
}

fn name_of(text: &str, tokens: &[Token]) -> Option<String> {
    let depths = depths(text, tokens);
    let outside = |at: usize| depths[at] == 0;
    // The casts behind come off together: each would else be looked for in all that is before it.
    let is_cast = |at: &usize| outside(*at) && tokens[*at].kind == TokenKind::Cast;
    let end = (0..tokens.len()).find(is_cast).unwrap_or(tokens.len());
    let is_type = |token: &Token| {
        matches!(token.kind, TokenKind::Cast | TokenKind::Number)
            || token.is_name()
            || TYPE_MARKS.iter().any(|mark| token.is_mark(text, mark))
    };
    let mut last = 0;
    while tokens.get(last + 1).is_some_and(|token| token.is_mark(text, ".")) {
        last += 2;
    }
    let name = identifier(text, *tokens.get(last)?)?;
    let rest = tokens.get(last + 1..end)?;
    let calls = rest.first().is_some_and(|token| token.is_mark(text, "("))
        && rest.last().is_some_and(|token| token.is_mark(text, ")"))
        && (last + 2..end).all(|at| !outside(at));
    let is_plain = rest.is_empty() || calls && !OWN_NAMES.contains(&name.as_str());
    (is_plain && tokens[end..].iter().all(is_type)).then_some(name)
}

/// Tells whether PostgreSQL may call the column of this expression so: by a column, a type or a function in it.
pub(super) fn may_be_called(expression: &str, name: &str) -> bool {
    let says = |token: Token| {
        token.kind == TokenKind::UnicodeIdentifier || identifier(expression, token).is_some_and(|own| own == name)
    };
    IMPLIED.contains(&name) || (!is_operation(expression) && Scanner::new(expression).any(says))
}

/// Tells whether an expression is surely an operator's, for which PostgreSQL has no name.
fn is_operation(expression: &str) -> bool {
    let mut depth = 0usize;
    let mut found = false;
    for token in Scanner::new(expression) {
        if token.is_word(expression, "case") {
            return false;
        }
        let is = |marks: [&str; 2]| marks.iter().any(|mark| token.is_mark(expression, mark));
        depth = (depth + usize::from(is(["(", "["]))).saturating_sub(usize::from(is([")", "]"])));
        found |= depth == 0 && token.kind == TokenKind::Operator;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_casts_have_plain_names() {
        let name = |expression: &str| implied_name(expression);
        for (expression, expected) in [
            ("sum(a + 1)", Some("sum")),
            ("pg_catalog.Lower( t.v )", Some("lower")),
            ("t.k::text", Some("k")),
            ("max(a)::numeric(10, 2)::text", Some("max")),
            ("\"A b\"::s.t[]", Some("A b")),
            ("a || b(1)", None),
            ("f(a) + g(b)", None),
            ("f(a) FILTER (WHERE b)", None),
            ("trim(a)", None),
            ("CAST(a AS text)", None),
            ("(a)", None),
            ("a[1]", None),
            ("1", None),
            ("'x'::text", None),
        ] {
            assert_eq!(name(expression).as_deref(), expected, "{expression}");
        }
    }

    #[test]
    fn a_long_expression_is_gone_through_once() {
        assert_eq!(implied_name(&format!("a{}", "::b".repeat(100_000))).as_deref(), Some("a"));
        assert_eq!(implied_name(&format!("f({})", "(1)::int + ".repeat(50_000))).as_deref(), Some("f"));
    }

    #[test]
    fn a_bare_name_may_be_quoted_and_in_parentheses() {
        for (key, name) in [("a", "a"), ("A", "a"), ("\"A\"", "A"), ("((a))", "a"), ("( a )", "a")] {
            assert_eq!(bare_name(key), Some(Some(name.to_owned())), "{key}");
        }
        for key in ["t.a", "a::text", "f()", "(a) + (b)", "a[1]", "-a", "a collate \"C\""] {
            assert_eq!(bare_name(key), Some(None), "{key}");
        }
        for key in ["U&\"a\"", "(1)", "'a'", "$1"] {
            assert_eq!(bare_name(key), None, "{key}");
        }
    }

    #[test]
    fn a_column_may_be_called_by_what_it_is_made_of() {
        for expression in
            ["a::text", "a collate \"C\"", "case when b then c else a end", "a(1)", "1::A", "U&\"\\0061\"::int"]
        {
            assert!(may_be_called(expression, "a"), "{expression}");
        }
        assert!(may_be_called("1::bigint", "int8") && may_be_called("1 + 1", "?column?"));
        assert!(!may_be_called("b::text || 'a'", "a"));
        assert!(!may_be_called("count(*) + a", "a") && !may_be_called("-a::text", "a"));
        assert!(may_be_called("f(b + 1, a)", "a") && may_be_called("a[b + 1]", "a"));
    }
}
