//! `INSERT … SELECT shardloom.next_id('tag'), nextval('sequence'), … FROM …`: a column of the query that is such a call. The
//! query is read without it; its rows are written with one call of `next_id` each, as rows of VALUES are, and with a number
//! that is drawn for each on home.

use std::ops::Range;

use crate::rules::RuleSet;
use crate::sql::next_id::{self, Tag};
use crate::sql::{self, Block, Item, Scanner, Shape, Token, TokenKind, splice};
use crate::types::Refusal;

use super::slots::unknown_tag;

/// What stands in a call's place while the query is read.
const NOTHING: &str = "NULL::bigint";

const NEXTVAL: &str = "nextval";

/// A column of a query that is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The column's 0-based place.
    pub place: usize,
    /// The call's bytes in the statement's text.
    span: Range<usize>,
    /// Whether it is `nextval`.
    pub draws: bool,
}

/// Finds the columns that are calls in the query that stands at `query`; those of `nextval` only for rows that go to shards
/// besides home (`draws`).
///
/// # Errors
/// Refuses with 0A000 a call at another place, of a query whose rows it decides, or with a tag that is computed, and with
/// 22023 a tag that the rules do not have.
pub(super) fn called(text: &str, query: &Range<usize>, rules: &RuleSet, draws: bool) -> Result<Vec<Called>, Refusal> {
    let calls = next_id::all(text)?;
    let draws = if draws { draws_of(text, query) } else { Vec::new() };
    if calls.is_empty() {
        return Ok(draws);
    }
    let items = items_apart(&text[query.clone()]);
    let known = known_places(&items);
    let place = |call: &next_id::NextIdCall| {
        let (place, _) = known.clone().find(|(_, item)| moved(&item.span, query) == call.span)?;
        Some(Called { place, span: call.span.clone(), draws: false })
    };
    let mut found = draws;
    for call in &calls {
        found.push(place(call).ok_or_else(elsewhere)?);
        match &call.tag {
            Tag::Literal(tag) if rules.ids.of_tag(tag).is_some() => {}
            Tag::Literal(tag) => return Err(unknown_tag(tag, rules)),
            Tag::Parameter(_) => return Err(elsewhere()),
        }
    }
    Ok(found)
}

/// Finds the columns that are calls of `nextval` in the query that stands at `query`.
fn draws_of(text: &str, query: &Range<usize>) -> Vec<Called> {
    let read = &text[query.clone()];
    if !Scanner::new(read).any(|token| token.is_word(read, NEXTVAL)) {
        return Vec::new();
    }
    let items = items_apart(read);
    known_places(&items)
        .filter(|(_, item)| is_draw(&read[item.span.clone()]))
        .map(|(place, item)| Called { place, span: moved(&item.span, query), draws: true })
        .collect()
}

/// Returns where a query that is inserted into a sharded table has columns that are drawn on home.
pub(in crate::plan) fn drawn_spans(text: &str, query: &Range<usize>) -> Vec<Range<usize>> {
    draws_of(text, query).into_iter().map(|call| call.span).collect()
}

/// Returns the items of a query's select list, unless it takes rows together: what stands in the place of a call would decide
/// which.
fn items_apart(query: &str) -> Vec<Item> {
    let block = sql::read(query).ok().and_then(|facts| facts.block);
    let apart = |block: &Block| !block.distinct && block.group.is_empty() && !says_distinct(query);
    block.filter(apart).map(|block| block.items).unwrap_or_default()
}

/// What stands behind a star has a place that nobody knows here.
fn known_places(items: &[Item]) -> impl Iterator<Item = (usize, &Item)> + Clone {
    items.iter().take_while(|item| item.shape != Shape::Star).enumerate()
}

fn moved(span: &Range<usize>, query: &Range<usize>) -> Range<usize> {
    query.start + span.start..query.start + span.end
}

/// Tells whether an expression is a call of `nextval` with a constant, and nothing else.
fn is_draw(text: &str) -> bool {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let rest = match &tokens[..] {
        [schema, dot, rest @ ..] if schema.is_word(text, "pg_catalog") && dot.is_mark(text, ".") => rest,
        rest => rest,
    };
    let [name, open, sequence, rest @ ..] = rest else { return false };
    let rest = match rest {
        [cast, class, rest @ ..] if cast.kind == TokenKind::Cast && class.is_word(text, "regclass") => rest,
        rest => rest,
    };
    let closed = matches!(rest, [close] if close.is_mark(text, ")"));
    name.is_word(text, NEXTVAL) && open.is_mark(text, "(") && sequence.is_string() && closed
}

/// Tells whether DISTINCT stands behind the first SELECT.
fn says_distinct(query: &str) -> bool {
    let mut tokens = Scanner::new(query);
    tokens.any(|token| token.is_word(query, "select"))
        && tokens.next().is_some_and(|next| next.is_word(query, "distinct"))
}

impl Called {
    /// Returns the call as it is written.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        &text[self.span.clone()]
    }
}

/// Returns the bytes at `range` with nothing in the place of the calls.
pub(super) fn without(called: &[Called], text: &str, range: &Range<usize>) -> String {
    let shifted = |span: &Range<usize>| span.start - range.start..span.end - range.start;
    let edits: Vec<_> = called.iter().map(|call| (shifted(&call.span), NOTHING.to_owned())).collect();
    splice(&text[range.clone()], &edits)
}

pub(super) fn elsewhere() -> Refusal {
    Refusal::unsupported(
        "shardloom.next_id in a query that is inserted is a whole column of its select list, with a constant as its tag",
        "Write it as an item of its own behind SELECT (not DISTINCT, no GROUP BY, no * before it), or insert the rows as values.",
    )
}
