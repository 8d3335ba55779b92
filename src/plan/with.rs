//! `WITH v AS (SELECT …) UPDATE …`: each query that only reads takes the place of its name, and what is left is planned as
//! an UPDATE, DELETE or MERGE without WITH.
//!
//! Only where that says the same: the queries are read, lock and write nothing, call nothing whose value may differ from
//! call to call, and no name means one thing here and another there.

use std::ops::Range;

use super::carry::is_carried;
use super::context::{Context, Values};
use super::insert::{MakeIds, quoted};
use super::mention::{Mention, mentions};
use super::plan_types::Plan;
use super::prepare::{PrepareError, prepare};
use super::{apart, functions, view};
use crate::sql::{self, Facts, Scanner, StatementKind, TableName, Token, identifier, query_names, splice};
use crate::types::Refusal;

/// The longest text that queries may make of a statement, in bytes.
const TEXT_MAX: usize = 1024 * 1024;

/// `name [(columns)] AS (text)`
#[derive(Clone)]
struct Query {
    name: String,
    /// What stands between the parentheses behind the name.
    columns: Option<String>,
    /// Whether nothing from around it may be moved into it.
    materialized: bool,
    text: String,
}

/// Plans it without WITH; returns `refusal` if that cannot be.
pub(super) fn plan(
    context: &Context<'_>,
    values: &Values<'_>,
    ids: &mut MakeIds<'_>,
    refusal: Refusal,
) -> Result<Plan, Refusal> {
    let Some(text) = inlined(values.text, context) else { return Err(refusal) };
    let prepared = match prepare(&text, context) {
        Ok(prepared) => prepared,
        Err(PrepareError::Refused(refusal) | PrepareError::Unreadable(refusal)) => return Err(refusal),
    };
    view::Expanded::reworded(text, prepared).plan(context, values, ids)
}

/// Returns the statement with its queries in the place of their names.
pub(super) fn inlined(text: &str, context: &Context<'_>) -> Option<String> {
    let (mut queries, mut main) = parts(text)?;
    for at in 0..queries.len() {
        let query = queries[at].clone();
        let later: Vec<&str> = queries[at..].iter().map(|later| later.name.as_str()).collect();
        // There, a name from further on means a table.
        if !only_reads(&query.text, context) || names(&query.text).any(|found| later.contains(&found.as_str())) {
            return None;
        }
        let mut uses = 0;
        for other in &mut queries[at + 1..] {
            let facts = sql::read(&other.text).ok()?;
            uses += replace(&mut other.text, &facts, &query)?;
        }
        let facts = facts(&main)?;
        uses += replace(&mut main, &facts, &query)?;
        // Nobody would look at what is not read: its errors, and the types of its parameters.
        if uses == 0 && !is_carried(&query.text) {
            return None;
        }
        if main.len() > TEXT_MAX || queries.iter().any(|query| query.text.len() > TEXT_MAX) {
            return None;
        }
    }
    let facts = facts(&main)?;
    let is_left = queries.iter().any(|query| named(&facts, query) > 0);
    let kinds = [StatementKind::Update, StatementKind::Delete, StatementKind::Merge];
    let writes = kinds.contains(&facts.kind) && !facts.nested_write;
    let writes_table = facts.relations.iter().any(|relation| relation.target && relation.table.is_some());
    (writes && writes_table && !is_left).then_some(main)
}

/// Takes `WITH name AS (query), … main` apart; `None` for RECURSIVE, and what writes nothing.
fn parts(text: &str) -> Option<(Vec<Query>, String)> {
    let (found, start) = queries(text)?;
    let main = text[start..].to_owned();
    let first = Scanner::new(&main).next()?;
    let writes = ["update", "delete", "merge"].iter().any(|word| first.is_word(&main, word));
    let query = |found: WithQuery| Query {
        columns: found.columns.map(|columns| text[columns].to_owned()),
        materialized: found.materialized,
        text: text[found.query].to_owned(),
        name: found.name,
    };
    (writes && !has_queries(&main)).then(|| (found.into_iter().map(query).collect(), main))
}

/// Where a query of WITH stands in its text.
pub(super) struct WithQuery {
    /// Its name, folded.
    pub name: String,
    /// What stands between the parentheses behind the name.
    pub columns: Option<Range<usize>>,
    /// Whether MATERIALIZED is said, without NOT.
    pub materialized: bool,
    /// From its name to its closing parenthesis.
    pub whole: Range<usize>,
    /// Between its parentheses.
    pub query: Range<usize>,
}

/// Finds the queries of `WITH name AS (query), … main`, and where the main statement begins; `None` for RECURSIVE, and
/// where there is no WITH.
pub(super) fn queries(text: &str) -> Option<(Vec<WithQuery>, usize)> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    let mark = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
    if !is(0, "with") || is(1, "recursive") {
        return None;
    }
    let (mut at, mut found) = (1, Vec::new());
    loop {
        let start = tokens.get(at)?.start;
        let name = identifier(text, *tokens.get(at)?)?;
        at += 1;
        let columns = parenthesized(text, &tokens, at).map(|(columns, next)| {
            at = next;
            columns
        });
        if !is(at, "as") {
            return None;
        }
        at += 1;
        let not = is(at, "not");
        at += usize::from(not);
        let materialized = is(at, "materialized") && !not;
        at += usize::from(is(at, "materialized"));
        let (query, next) = parenthesized(text, &tokens, at)?;
        found.push(WithQuery { name, columns, materialized, whole: start..query.end + 1, query });
        at = next;
        if !mark(at, ",") {
            return Some((found, tokens.get(at)?.start));
        }
        at += 1;
    }
}

/// Returns what stands in the parentheses that open at a token, and the token behind them.
pub(super) fn parenthesized(text: &str, tokens: &[Token], at: usize) -> Option<(Range<usize>, usize)> {
    let start = tokens.get(at).filter(|token| token.is_mark(text, "("))?.end;
    let mut depth = 0usize;
    for (number, token) in tokens.iter().enumerate().skip(at) {
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") {
            depth -= 1;
            if depth == 0 {
                return Some((start..token.start, number + 1));
            }
        }
    }
    None
}

/// Tells whether a query gives the same wherever and however often it stands: also where its names could be those of
/// tables around it.
fn only_reads(query: &str, context: &Context<'_>) -> bool {
    let own = |facts: &Facts| query_names(query).is_some_and(|names| apart::names_its_own(facts, &names, context));
    !has_queries(query)
        && sql::read(query).is_ok_and(|facts| {
            facts.kind == StatementKind::Select
                && !facts.locks
                && !facts.nested_write
                && functions::are_known(&facts.functions)
                && own(&facts)
        })
}

/// Returns all names in a text, whatever they mean there.
pub(super) fn names(text: &str) -> impl Iterator<Item = String> {
    Scanner::new(text).filter_map(move |token| identifier(text, token))
}

/// Tells whether a text has a WITH of its own: its names would mean other things.
fn has_queries(text: &str) -> bool {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    // `timestamp with time zone`, WITH ORDINALITY, WITH TIES.
    let else_than = ["time", "ordinality", "ties"];
    let begins =
        |at: usize| tokens.get(at + 1).is_none_or(|next| !else_than.iter().any(|word| next.is_word(text, word)));
    (0..tokens.len()).any(|at| tokens[at].is_word(text, "with") && begins(at))
}

fn facts(main: &str) -> Option<Facts> {
    sql::merge(main).map(|merge| merge.facts).or_else(|_| sql::read(main)).ok()
}

/// Returns how often a query is read by its name.
fn named(facts: &Facts, query: &Query) -> usize {
    let is_it = |table: &TableName| table.schema.is_none() && table.name == query.name;
    facts.relations.iter().filter_map(|relation| relation.table.as_ref()).filter(|table| is_it(table)).count()
}

/// Puts a query in the place of its name wherever it is read; returns how often that is. `None` where the words of the
/// text do not tell its uses from columns of that name.
fn replace(text: &mut String, facts: &Facts, query: &Query) -> Option<usize> {
    let name = quoted(&query.name);
    let found: Vec<Mention> =
        mentions(text, &[&query.name]).into_iter().filter(|mention| mention.schema.is_empty()).collect();
    if found.len() != named(facts, query) || found.iter().any(|mention| mention.target || mention.children) {
        return None;
    }
    // On a line of its own: the query may end in a comment.
    let inner = format!("({}\n)", query.text);
    let columns = query.columns.as_ref().map(|columns| format!(" ({columns}\n)")).unwrap_or_default();
    // What is behind OFFSET stays there.
    let fence = if query.materialized { " OFFSET 0" } else { "" };
    let plain = columns.is_empty() && fence.is_empty();
    let edit = |mention: Mention| {
        let new = match mention.alias {
            Some(_) if fence.is_empty() => format!("{inner} AS {name}{columns}"),
            Some(_) => format!("(SELECT * FROM {inner} AS {name}{columns}{fence}) AS {name}"),
            None if plain => inner.clone(),
            None => format!("(SELECT * FROM {inner} AS {name}{columns}{fence})"),
        };
        (mention.span, new)
    };
    let uses = found.len();
    *text = splice(text, &found.into_iter().map(edit).collect::<Vec<_>>());
    Some(uses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Catalog;
    use crate::plan::tests::{catalog, rules};

    fn inlined_here(text: &str) -> Option<String> {
        let (rules, catalog): (_, Catalog) = (rules(), catalog());
        inlined(text, &Context { rules: &rules, catalog: &catalog })
    }

    #[test]
    fn queries_take_the_place_of_their_names() {
        let text = "WITH a AS (SELECT 1 AS k), b AS NOT MATERIALIZED (SELECT k + 1 AS n FROM a) \
                    DELETE FROM t USING b x, a WHERE t.k = x.n AND a.k = 1";
        assert_eq!(
            inlined_here(text).as_deref(),
            Some(
                "DELETE FROM t USING (SELECT k + 1 AS n FROM (SELECT 1 AS k\n) AS \"a\"\n) x, (SELECT 1 AS k\n) AS \"a\" \
                 WHERE t.k = x.n AND a.k = 1"
            )
        );
    }

    #[test]
    fn columns_of_the_same_name_stay() {
        for main in [
            "DELETE FROM t USING a, (SELECT x, a FROM u WHERE 3 IS DISTINCT FROM a) s WHERE (a IS NULL)",
            "UPDATE t SET k = coalesce(x, a) FROM a WHERE t.k IN (b, a) RETURNING t.k, a AS z, a",
            "MERGE INTO t USING a ON t.k = a.k WHEN MATCHED AND (a BETWEEN 1 AND 2) THEN UPDATE SET k = f(1, a)",
        ] {
            let found = inlined_here(&format!("WITH a AS (SELECT 1 AS k) {main}"));
            let expected = [("USING a", "USING "), ("FROM a WHERE", "FROM ")].iter().find_map(|(table, before)| {
                let at = main.find(table)? + before.len();
                Some(format!("{}(SELECT 1 AS k\n) AS \"a\"{}", &main[..at], &main[at + 1..]))
            });
            assert_eq!(found, expected, "{main}");
        }
    }

    #[test]
    fn names_of_columns_are_kept() {
        let text =
            "WITH a (k, \"N\" /* n */) AS (SELECT 1, 2) MERGE INTO t USING a ON t.k = a.k WHEN MATCHED THEN DELETE";
        assert_eq!(
            inlined_here(text).as_deref(),
            Some(
                "MERGE INTO t USING (SELECT 1, 2\n) AS \"a\" (k, \"N\" /* n */\n) ON t.k = a.k WHEN MATCHED THEN DELETE"
            )
        );
        assert_eq!(
            inlined_here("WITH a (k) AS MATERIALIZED (SELECT 1) DELETE FROM t USING a x, a WHERE t.k = x.k").as_deref(),
            Some(
                "DELETE FROM t USING (SELECT * FROM (SELECT 1\n) AS \"a\" (k\n) OFFSET 0) x, \
                 (SELECT * FROM (SELECT 1\n) AS \"a\" (k\n) OFFSET 0) AS \"a\" WHERE t.k = x.k"
            )
        );
    }

    #[test]
    fn what_would_say_something_else_stays() {
        for text in [
            "WITH RECURSIVE a AS (SELECT 1) DELETE FROM t USING a",
            "WITH a AS (DELETE FROM u RETURNING *) DELETE FROM t USING a",
            "WITH a AS (SELECT age FROM people FOR UPDATE) DELETE FROM t USING a",
            // Inside of what is around its place, the name would be found.
            "WITH a AS (SELECT total FROM people) DELETE FROM orders WHERE total IN (SELECT total FROM a)",
            "WITH a AS (SELECT random() AS k) DELETE FROM t USING a",
            "WITH a AS (SELECT k FROM b), b AS (SELECT 1 AS k) DELETE FROM t USING a, b",
            // Nobody would look at the one that is not read.
            "WITH a AS (SELECT 1 AS k), b AS (SELECT 'x'::int) DELETE FROM t USING a",
            "WITH a AS (SELECT 1 AS k), a AS (SELECT 2 AS k) DELETE FROM t USING a",
            "WITH a AS (SELECT 1 AS k), b AS (WITH c AS (SELECT 1) SELECT * FROM c) DELETE FROM t USING a, b",
            "WITH a AS (SELECT 1 AS k) SELECT * FROM a",
            "WITH a AS (SELECT 1 AS k) DELETE FROM a",
            "DELETE FROM t",
        ] {
            assert_eq!(inlined_here(text), None, "{text}");
        }
    }
}
