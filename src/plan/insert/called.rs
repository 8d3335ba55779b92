//! `INSERT … SELECT shardloom.next_id('tag'), … FROM …`: a column of the query that is such a call. The query is read without
//! it, and its rows are written with one call each, as rows of VALUES are.

use std::ops::Range;

use crate::rules::RuleSet;
use crate::sql::next_id::{self, Tag};
use crate::sql::{self, Block, Scanner, splice};
use crate::types::Refusal;

use super::slots::unknown_tag;

/// What stands in a call's place while the query is read.
const NOTHING: &str = "NULL::bigint";

/// A column of a query that is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The column's 0-based place.
    pub place: usize,
    /// The call's bytes in the statement's text.
    span: Range<usize>,
}

/// Finds the columns that are calls in the query that stands at `query`.
///
/// # Errors
/// Refuses with 0A000 a call at another place, of a query whose rows it decides, or with a tag that is computed, and with
/// 22023 a tag that the rules do not have.
pub(super) fn called(text: &str, query: &Range<usize>, rules: &RuleSet) -> Result<Vec<Called>, Refusal> {
    let calls = next_id::all(text)?;
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let block = sql::read(&text[query.clone()]).ok().and_then(|facts| facts.block);
    // Where rows are taken together, what stands in the call's place would decide which.
    let apart = |block: &Block| !block.distinct && block.group.is_empty() && !says_distinct(&text[query.clone()]);
    let items = block.filter(apart).map(|block| block.items).unwrap_or_default();
    let place = |call: &next_id::NextIdCall| {
        let is_it =
            |item: &sql::Item| query.start + item.span.start == call.span.start && item.span.len() == call.span.len();
        let place = items.iter().position(is_it)?;
        // What stands behind a star has a place that nobody knows here.
        let stars = items[..place].iter().any(|item| item.shape == sql::Shape::Star);
        (!stars).then(|| Called { place, span: call.span.clone() })
    };
    let mut found = Vec::with_capacity(calls.len());
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
