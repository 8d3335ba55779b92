//! Whether a write's text may be run again later with the same effect: which functions it calls, by tokens.
//!
//! Session settings (time zone, DateStyle, search_path, role) travel with a frozen command, so casts of text are
//! exact; values of parameters travel as bytes. What a command reads from tables is read anew when it is redone.

use crate::sql::{
    Literal, LiteralKind, Scanner, Token, TokenKind, identifier, literal_value, literals, names_the_present,
};

use super::catalog::{Catalog, Volatility};
use super::{Freeze, FreezeKind, Redo};

/// Keywords that stand before an opening parenthesis without calling anything.
const GRAMMAR: [&str; 65] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "check",
    "coalesce",
    "collate",
    "conflict",
    "cube",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "filter",
    "first",
    "from",
    "greatest",
    "group",
    "having",
    "ilike",
    "in",
    "insert",
    "intersect",
    "into",
    "is",
    "join",
    "key",
    "last",
    "lateral",
    "least",
    "like",
    "limit",
    "materialized",
    "not",
    "nullif",
    "offset",
    "on",
    "or",
    "order",
    "over",
    "overlaps",
    "partition",
    "returning",
    "rollup",
    "row",
    "select",
    "set",
    "similar",
    "some",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
];

/// Keywords that are calls without parentheses, and are neither frozen nor exact.
const BARE: [&str; 5] = ["current_user", "session_user", "current_role", "current_catalog", "current_schema"];

/// Keywords that say the present; most take a precision in parentheses.
const CLOCKS: [(&str, FreezeKind); 5] = [
    ("current_timestamp", FreezeKind::Timestamp),
    ("current_date", FreezeKind::Date),
    ("current_time", FreezeKind::Time),
    ("localtimestamp", FreezeKind::LocalTimestamp),
    ("localtime", FreezeKind::LocalTime),
];

/// The digits that PostgreSQL keeps of a second.
const DIGITS_MAX: u8 = 6;

/// Functions of which some are stable for no other reason than the time zone or an encoding's name: the one travels with
/// a frozen command, the other is an argument.
const OF_TIME_ZONE: [&str; 6] = ["date_part", "date_trunc", "extract", "length", "make_timestamptz", "timezone"];

/// Returns whether and how `text`, as it is sent to a server, may be redone.
pub fn redo(text: &str, catalog: &Catalog) -> Redo {
    redo_with(&redo_of_shape(text, catalog), text, &literals(text))
}

/// Returns what all texts that differ from `text` in their constants have in common; [`redo_with`] adds the constants.
pub fn redo_of_shape(text: &str, catalog: &Catalog) -> Redo {
    match find(text, catalog) {
        Ok(freezes) if freezes.is_empty() => Redo::Exact,
        Ok(_) => Redo::AfterFreeze,
        Err(reason) => Redo::Never(reason),
    }
}

/// Returns how a text of this shape may be redone with the constants that it has.
pub fn redo_with(shape: &Redo, text: &str, literals: &[Literal]) -> Redo {
    if matches!(shape, Redo::Never(_)) {
        return shape.clone();
    }
    literals.iter().find_map(|literal| relative_time(text, literal)).map_or_else(|| shape.clone(), Redo::Never)
}

/// Returns the calls of the `now()` family in `text`; each part of a split write has its own.
pub fn freezes(text: &str, catalog: &Catalog) -> Vec<Freeze> {
    find(text, catalog).unwrap_or_default()
}

/// Returns the calls of the `now()` family in `text`, whatever else is in it.
pub fn present(text: &str, catalog: &Catalog) -> Vec<Freeze> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let freeze = |at: usize| match judge(text, &tokens, at, catalog) {
        Finding::Freeze(freeze) => Some(freeze),
        Finding::Nothing | Finding::Never(_) => None,
    };
    (0..tokens.len()).filter_map(freeze).collect()
}

/// Returns what has to be frozen, or why that is not enough.
fn find(text: &str, catalog: &Catalog) -> Result<Vec<Freeze>, String> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let mut freezes = Vec::new();
    for at in 0..tokens.len() {
        match judge(text, &tokens, at, catalog) {
            Finding::Nothing => {}
            Finding::Freeze(freeze) => freezes.push(freeze),
            Finding::Never(reason) => return Err(reason),
        }
    }
    Ok(freezes)
}

/// Returns why an expression (a column's default) is not the same whenever it is evaluated; `None` if it is.
pub fn inexact(expression: &str, catalog: &Catalog) -> Option<String> {
    match redo(expression, catalog) {
        Redo::Exact => None,
        Redo::AfterFreeze => Some(String::from("the present time")),
        Redo::Never(reason) => Some(reason),
    }
}

enum Finding {
    Nothing,
    Freeze(Freeze),
    Never(String),
}

fn judge(text: &str, tokens: &[Token], at: usize, catalog: &Catalog) -> Finding {
    let token = tokens[at];
    if !token.is_name() || at > 0 && tokens[at - 1].is_mark(text, ".") && !called(text, tokens, at) {
        return Finding::Nothing;
    }
    let Some(name) = identifier(text, token) else { return Finding::Nothing };
    if called(text, tokens, at) {
        if let Some(freeze) = rounded(text, &tokens[at..], &name) {
            return Finding::Freeze(freeze);
        }
        return call(text, tokens, at, &name, catalog);
    }
    if token.kind == TokenKind::Word && !is_label(text, tokens, at) { bare(&name, token) } else { Finding::Nothing }
}

/// Returns why a constant forbids a redo, if it does.
fn relative_time(text: &str, literal: &Literal) -> Option<String> {
    match literal.kind {
        LiteralKind::Number | LiteralKind::Bits => return None,
        LiteralKind::Text | LiteralKind::Escape | LiteralKind::Unicode | LiteralKind::Dollar => {}
    }
    let value = literal_value(text, literal)?;
    let said = || format!("the text '{}' may be read as the present time", value.trim().to_ascii_lowercase());
    names_the_present(&value).then(said)
}

/// Tells whether a keyword names a column of the result: behind AS, or behind an expression's end that is no word.
fn is_label(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|index| tokens[index]) else { return false };
    match before.kind {
        TokenKind::Word => before.is_word(text, "as"),
        TokenKind::Punctuation => before.is_mark(text, ")") || before.is_mark(text, "]"),
        TokenKind::Operator | TokenKind::Cast | TokenKind::Unknown | TokenKind::Unterminated => false,
        _ => true,
    }
}

fn bare(name: &str, token: Token) -> Finding {
    match clock(name) {
        Some(kind) => Finding::Freeze(Freeze { span: token.span(), kind, precision: None }),
        None if BARE.contains(&name) => Finding::Never(format!("{name} depends on the session")),
        None => Finding::Nothing,
    }
}

fn clock(name: &str) -> Option<FreezeKind> {
    CLOCKS.iter().find(|(word, _)| *word == name).map(|(_, kind)| *kind)
}

/// Reads a keyword that says the present with a precision that PostgreSQL takes as it stands: `CURRENT_TIMESTAMP(3)`.
fn rounded(text: &str, tokens: &[Token], name: &str) -> Option<Freeze> {
    let [word, _, digits, close, ..] = tokens else { return None };
    let kind = clock(name).filter(|kind| *kind != FreezeKind::Date && word.kind == TokenKind::Word)?;
    let precision = text[digits.span()].parse().ok().filter(|digits| *digits <= DIGITS_MAX)?;
    close.is_mark(text, ")").then_some(Freeze { span: word.start..close.end, kind, precision: Some(precision) })
}

/// Tells whether the name at `at` is followed by an opening parenthesis that makes it a call.
fn called(text: &str, tokens: &[Token], at: usize) -> bool {
    if !tokens.get(at + 1).is_some_and(|next| next.is_mark(text, "(")) {
        return false;
    }
    let token = tokens[at];
    if token.kind == TokenKind::Word && GRAMMAR.iter().any(|word| token.is_word(text, word)) {
        return false;
    }
    let mut first = at;
    while first >= 2 && tokens[first - 1].is_mark(text, ".") {
        first -= 2;
    }
    let Some(before) = first.checked_sub(1).map(|index| tokens[index]) else { return true };
    let list = ["into", "as", "with", "recursive"].iter().any(|word| before.is_word(text, word));
    let alias = before.is_mark(text, ")") || before.kind == TokenKind::QuotedIdentifier;
    let alias_word = before.kind == TokenKind::Word && !opens_expression(text, &before);
    !list && before.kind != TokenKind::Cast && !alias && !alias_word
}

/// Tells whether an expression may follow the word; a name and a list behind any other word are an alias or a type.
fn opens_expression(text: &str, word: &Token) -> bool {
    let beside = [
        "zone",
        "tablesample",
        "variadic",
        "symmetric",
        "null",
        "isnull",
        "notnull",
        "both",
        "leading",
        "trailing",
        "symmetric",
        "escape",
        "rows",
        "range",
    ];
    GRAMMAR.iter().chain(beside.iter()).any(|known| word.is_word(text, known))
}

fn call(text: &str, tokens: &[Token], at: usize, name: &str, catalog: &Catalog) -> Finding {
    let empty = tokens.get(at + 2).is_some_and(|token| token.is_mark(text, ")"));
    if empty && matches!(name, "now" | "transaction_timestamp") {
        let schema = at >= 2 && tokens[at - 1].is_mark(text, ".");
        let start = if schema { tokens[at - 2].start } else { tokens[at].start };
        return Finding::Freeze(Freeze {
            span: start..tokens[at + 2].end,
            kind: FreezeKind::Timestamp,
            precision: None,
        });
    }
    let qualified = at >= 2 && tokens[at - 1].is_mark(text, ".");
    if qualified && tokens[at - 2].is_word(text, "shardloom") && name == "next_id" {
        return Finding::Nothing;
    }
    match catalog.volatility(name) {
        Volatility::Immutable => Finding::Nothing,
        Volatility::Stable if OF_TIME_ZONE.contains(&name) => Finding::Nothing,
        Volatility::Stable => Finding::Never(format!("function {name} depends on the session or on the time")),
        Volatility::Volatile => Finding::Never(format!("function {name} is volatile or not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(text: &str) -> Vec<(&str, FreezeKind)> {
        assert_eq!(redo(text, &Catalog::empty()), Redo::AfterFreeze, "{text}");
        freezes(text, &Catalog::empty()).into_iter().map(|freeze| (&text[freeze.span], freeze.kind)).collect()
    }

    #[test]
    fn plain_writes_are_exact() {
        let exact = [
            "insert into t(a, b) values (1, 'x')",
            "insert into s.t as x(a) values (upper('é')) on conflict (a) do update set a = excluded.a",
            "update t set a = abs(b) + 1 where c in (1, 2) and (d = 3)",
            "insert into t select * from (values (1), (2)) v(a)",
            "insert into t(a) values ('nowhere'), ('n''ow'), ($$todays$$), (1::numeric(10,2)), (cast('1' as numeric(4)))",
            "delete from t using u where t.a = u.a and exists (select 1)",
            "with w(a) as (select 1) update t set a = 1",
            "update t set now = 1 where t.current_date = 2",
            "update t set a = '2020-01-01'::timestamptz",
            "insert into t values (shardloom.next_id('order', 5))",
            "update t set a = 'f(random())' -- random()\n",
            "update t set a = 1 returning a AS current_user, 'x' localtime, (b) current_date, \"c\" CURRENT_TIME",
        ];
        for text in exact {
            assert_eq!(redo(text, &Catalog::empty()), Redo::Exact, "{text}");
        }
    }

    #[test]
    fn the_now_family_is_found_where_it_stands() {
        use FreezeKind::{Date, LocalTime, LocalTimestamp, Time, Timestamp};
        assert_eq!(freeze("update t set é = now() where a = 1"), [("now()", Timestamp)]);
        assert_eq!(
            freeze("insert into t values (pg_catalog.now( ), CURRENT_TIMESTAMP, current_date, localtimestamp)"),
            [
                ("pg_catalog.now( )", Timestamp),
                ("CURRENT_TIMESTAMP", Timestamp),
                ("current_date", Date),
                ("localtimestamp", LocalTimestamp)
            ]
        );
        assert_eq!(
            freeze("insert into t values (CURRENT_TIME, localtime ( 0 ), current_timestamp(6))"),
            [("CURRENT_TIME", Time), ("localtime ( 0 )", LocalTime), ("current_timestamp(6)", Timestamp)]
        );
        assert_eq!(freeze("update t set a = transaction_timestamp()").len(), 1);
    }

    #[test]
    fn what_cannot_be_redone_says_why() {
        let never = [
            ("update t set a = random()", "random"),
            ("insert into t values (nextval('s'))", "nextval"),
            ("insert into t values (gen_random_uuid())", "gen_random_uuid"),
            ("insert into t values (clock_timestamp())", "clock_timestamp"),
            ("insert into t values (now(), s.own_function(1))", "own_function"),
            ("insert into t values (\"F\"(1))", "F"),
            ("insert into t values (current_timestamp(7))", "current_timestamp"),
            ("insert into t values (statement_timestamp())", "statement_timestamp"),
            ("insert into t values (current_user)", "current_user"),
            ("insert into t values ('now')", "'now'"),
            ("insert into t values (timestamp ' Today ')", "'today'"),
            ("update t set a = b from unknown_set(1) where true", "unknown_set"),
            ("update t set a = case when f(1) then 2 end", "f"),
        ];
        for (text, word) in never {
            let Redo::Never(reason) = redo(text, &Catalog::empty()) else { panic!("{text}") };
            assert!(reason.contains(word), "{text}: {reason}");
        }
    }

    #[test]
    fn the_loaded_catalog_decides() {
        let mut catalog = Catalog::empty();
        catalog.functions.insert("own".into(), Volatility::Immutable);
        catalog.functions.insert("to_char".into(), Volatility::Stable);
        assert_eq!(redo("update t set a = own(1)", &catalog), Redo::Exact);
        assert!(matches!(redo("update t set a = to_char(1, '9')", &catalog), Redo::Never(_)));
        catalog.functions.insert("date_trunc".into(), Volatility::Stable);
        assert_eq!(redo("update t set a = date_trunc('day', b)", &catalog), Redo::Exact);
        // A function of one's own has the name, too.
        catalog.functions.insert("date_trunc".into(), Volatility::Volatile);
        assert!(matches!(redo("update t set a = date_trunc('day', b)", &catalog), Redo::Never(_)));
        assert_eq!(inexact("own(1)", &catalog), None);
        assert!(inexact("now()", &catalog).is_some());
    }
}
