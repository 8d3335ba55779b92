//! Calls of `shardloom.next_id(tag)`: where they stand, and the edits that hand each its id as a second argument.
//!
//! The server's two-argument function returns that second argument, so a call may stand wherever it is evaluated
//! exactly once: in a SELECT without FROM and in the rows of VALUES. Everywhere else it is refused.

use std::ops::Range;

use crate::types::Refusal;

use super::insert::{parameter_index, string_value};
use super::name::identifier;
use super::scan::{Scanner, Token, TokenKind};

/// Most calls in one statement.
pub const CALLS_MAX: usize = 100_000;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextIdCall {
    /// The tag.
    pub tag: Tag,
    /// The byte behind the only argument, where the second one goes.
    pub argument_end: usize,
    /// The whole call.
    pub span: Range<usize>,
}

/// How a call names its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// By a string constant.
    Literal(String),
    /// By the parameter with this 0-based index.
    Parameter(usize),
}

/// How ids are written into the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdArguments {
    /// As literals (simple protocol).
    Literals,
    /// As parameters behind the client's, of which there are so many (extended protocol: the text stays the same).
    ParametersAfter(usize),
}

/// Scalar functions that may stand beside a call in a SELECT: they return one row.
const SCALAR: [&str; 15] = [
    "abs", "cast", "coalesce", "concat", "format", "greatest", "least", "length", "lower", "lpad", "md5", "now",
    "nullif", "to_char", "upper",
];

/// Functions with FROM in their argument list.
const WITH_FROM: [&str; 5] = ["extract", "substring", "trim", "overlay", "position"];

/// Finds the calls in `text`, in order; most texts have none.
///
/// # Errors
/// Refuses with 0A000 a call that may be evaluated more than once or whose tag is computed.
pub fn calls(text: &str) -> Result<Vec<NextIdCall>, Refusal> {
    if !may_call(text) {
        return Ok(Vec::new());
    }
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let found = found(text, &tokens)?;
    let places: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
    if !places.is_empty() {
        check_place(text, &tokens, &places)?;
    }
    Ok(found.into_iter().map(|(_, call)| call).collect())
}

/// Finds the calls in `text`, in order, wherever they stand.
///
/// # Errors
/// Refuses with 0A000 a call whose tag is computed.
pub fn all(text: &str) -> Result<Vec<NextIdCall>, Refusal> {
    if !may_call(text) {
        return Ok(Vec::new());
    }
    let tokens: Vec<Token> = Scanner::new(text).collect();
    Ok(found(text, &tokens)?.into_iter().map(|(_, call)| call).collect())
}

/// Tells whether a call may stand in the text, at the price of one search.
fn may_call(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"next_id").is_some()
}

/// Tells whether it is an INSERT, which hands ids to the calls in its rows by itself; it may stand behind WITH.
pub fn is_insert(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut outside = Scanner::new(text).filter(|token| {
        depth += i32::from(token.is_mark(text, "(")) - i32::from(token.is_mark(text, ")"));
        depth == 0
    });
    match outside.next() {
        Some(first) if first.is_word(text, "with") => outside.any(|token| token.is_word(text, "insert")),
        Some(first) => first.is_word(text, "insert"),
        None => false,
    }
}

/// Finds the calls with the places of their first tokens.
fn found(text: &str, tokens: &[Token]) -> Result<Vec<(usize, NextIdCall)>, Refusal> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if let Some(function) = function_at(text, tokens, at) {
            found.push((at, call(text, tokens, at, &function)?));
        }
    }
    if found.len() > CALLS_MAX {
        return Err(refused("more calls of shardloom.next_id in one statement than are planned"));
    }
    Ok(found)
}

/// Returns the edits that hand `ids`, one per call, to the calls.
pub fn edits(calls: &[NextIdCall], ids: &[i64], form: IdArguments) -> Vec<(Range<usize>, String)> {
    let argument = |(place, (call, id)): (usize, (&NextIdCall, &i64))| {
        let written = match form {
            IdArguments::Literals => format!(", {id}"),
            IdArguments::ParametersAfter(count) => format!(", ${}", count + place + 1),
        };
        (call.argument_end..call.argument_end, written)
    };
    calls.iter().zip(ids).enumerate().map(argument).collect()
}

fn refused(message: &str) -> Refusal {
    let hint = "Call it as SELECT shardloom.next_id('tag'), in the rows of INSERT … VALUES, or as a column of INSERT … SELECT.";
    Refusal::unsupported(message, hint)
}

/// Returns `next_id` or `next_ids` if `shardloom.` and one of them and a parenthesis stand at `at`.
fn function_at(text: &str, tokens: &[Token], at: usize) -> Option<String> {
    let [schema, dot, function, open] = tokens.get(at..at + 4)? else { return None };
    if !dot.is_mark(text, ".") || !open.is_mark(text, "(") || identifier(text, *schema)? != "shardloom" {
        return None;
    }
    identifier(text, *function).filter(|name| name == "next_id" || name == "next_ids")
}

fn call(text: &str, tokens: &[Token], at: usize, function: &str) -> Result<NextIdCall, Refusal> {
    if function == "next_ids" {
        return Err(refused("shardloom.next_ids inside a statement"));
    }
    let computed = || refused("shardloom.next_id with a tag that is neither a constant nor a parameter");
    let Some([argument, close]) = tokens.get(at + 4..at + 6) else { return Err(computed()) };
    let tag = string_value(text, argument)
        .map(Tag::Literal)
        .or_else(|| parameter_index(text, argument).map(Tag::Parameter))
        .filter(|_| close.is_mark(text, ")"))
        .ok_or_else(computed)?;
    Ok(NextIdCall { tag, argument_end: argument.end, span: tokens[at].start..close.end })
}

fn check_place(text: &str, tokens: &[Token], places: &[usize]) -> Result<(), Refusal> {
    let first = &tokens[0];
    let (scope, one_row) = if first.is_word(text, "select") {
        (0..tokens.len(), (0..tokens.len()).all(|at| returns_one_row(text, tokens, at)))
    } else if first.is_word(text, "values") || is_insert(text) {
        (rows_of_values(text, tokens), true)
    } else {
        (0..0, false)
    };
    let inside = places.iter().all(|at| scope.contains(at));
    if one_row && inside && !scope.into_iter().any(|at| is_from_clause(text, tokens, at)) {
        return Ok(());
    }
    Err(evaluated_often())
}

/// The refusal of a call that may be evaluated more than once.
pub fn evaluated_often() -> Refusal {
    refused("shardloom.next_id at a place where it may be evaluated for many rows")
}

/// The tokens from VALUES outside parentheses to ON, RETURNING or the end.
fn rows_of_values(text: &str, tokens: &[Token]) -> Range<usize> {
    let mut depth = 0;
    let mut range = tokens.len()..tokens.len();
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is_mark(text, "(")) - i32::from(token.is_mark(text, ")"));
        if depth != 0 {
            continue;
        }
        if token.is_word(text, "values") {
            range.start = range.start.min(at);
        } else if at > range.start && (token.is_word(text, "on") || token.is_word(text, "returning")) {
            range.end = at;
            break;
        }
    }
    range
}

/// Whether a FROM clause starts here, not the FROM of `extract(… from …)` or `is distinct from`.
fn is_from_clause(text: &str, tokens: &[Token], at: usize) -> bool {
    if !tokens[at].is_word(text, "from") || at > 0 && tokens[at - 1].is_word(text, "distinct") {
        return false;
    }
    let mut depth = 0;
    for before in (0..at).rev() {
        depth += i32::from(tokens[before].is_mark(text, ")")) - i32::from(tokens[before].is_mark(text, "("));
        if depth < 0 {
            let function = before.checked_sub(1).map(|index| tokens[index]);
            return !function.is_some_and(|name| WITH_FROM.iter().any(|word| name.is_word(text, word)));
        }
    }
    true
}

/// Whether the token is anything but a call of a function that might return a set.
fn returns_one_row(text: &str, tokens: &[Token], at: usize) -> bool {
    let opens = tokens.get(at + 1).is_some_and(|next| next.is_mark(text, "("));
    if !opens || !tokens[at].is_name() {
        return true;
    }
    let own = at >= 2 && function_at(text, tokens, at - 2).is_some();
    let grammar = ["in", "and", "or", "not", "exists", "select", "then", "else", "when", "case", "as", "array", "row"];
    let known = SCALAR.iter().chain(&WITH_FROM).chain(&grammar).any(|word| tokens[at].is_word(text, word));
    own || tokens[at].kind == TokenKind::Word && known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::splice;

    fn rewritten(text: &str, form: IdArguments) -> String {
        let calls = calls(text).unwrap();
        let ids: Vec<i64> = (100..).take(calls.len()).collect();
        splice(text, &edits(&calls, &ids, form))
    }

    #[test]
    fn ids_become_second_arguments() {
        let literals = [
            ("select shardloom.next_id('order')", "select shardloom.next_id('order', 100)"),
            (
                "SELECT 'é shardloom.next_id(1)', Shardloom . \"next_id\" ( 'a' /* ) */ ), shardloom.next_id('b')::text",
                "SELECT 'é shardloom.next_id(1)', Shardloom . \"next_id\" ( 'a', 100 /* ) */ ), shardloom.next_id('b', 101)::text",
            ),
            (
                "insert into t(a) values (coalesce(null, shardloom.next_id('a'))), (extract(day from now()))",
                "insert into t(a) values (coalesce(null, shardloom.next_id('a', 100))), (extract(day from now()))",
            ),
            (
                "insert into t(a) values (shardloom.next_id('a')) on conflict (a) do update set b = (select 1 from u)",
                "insert into t(a) values (shardloom.next_id('a', 100)) on conflict (a) do update set b = (select 1 from u)",
            ),
            ("select next_id('a'), other.next_id('a')", "select next_id('a'), other.next_id('a')"),
        ];
        for (text, expected) in literals {
            assert_eq!(rewritten(text, IdArguments::Literals), expected);
        }
        assert_eq!(
            rewritten("select shardloom.next_id($1), shardloom.next_id('b')", IdArguments::ParametersAfter(1)),
            "select shardloom.next_id($1, $2), shardloom.next_id('b', $3)"
        );
    }

    #[test]
    fn tags_are_told() {
        let tags: Vec<Tag> = calls("select shardloom.next_id($2), shardloom.next_id(E'a\\x62')")
            .unwrap()
            .into_iter()
            .map(|c| c.tag)
            .collect();
        assert_eq!(tags, [Tag::Parameter(1), Tag::Literal("ab".into())]);
    }

    #[test]
    fn many_evaluations_are_refused() {
        let texts = [
            "select shardloom.next_id('a') from t",
            "select shardloom.next_id('a') from generate_series(1, 3)",
            "select generate_series(1, 3), shardloom.next_id('a')",
            "select own_set(1), shardloom.next_id('a')",
            "insert into t select shardloom.next_id('a') from u",
            "insert into t select shardloom.next_id('a')",
            "insert into t values ((select shardloom.next_id('a') from u))",
            "insert into t values (1) returning shardloom.next_id('a')",
            "insert into t values (1), (2) on conflict (a) do update set b = shardloom.next_id('a')",
            "update t set a = shardloom.next_id('a')",
            "delete from t where a = shardloom.next_id('a')",
            "select shardloom.next_id('a' || 'b')",
            "select shardloom.next_id()",
            "select shardloom.next_ids('a', 5)",
            "with w as (select 1) select shardloom.next_id('a')",
        ];
        for text in texts {
            assert_eq!(calls(text).expect_err(text).state.code(), "0A000");
        }
    }
}
