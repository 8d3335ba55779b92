//! The query of INSERT … SELECT, read as any SELECT is: does each shard make the rows that are inserted there?

use crate::plan::carry::has_query;
use crate::plan::colocate::{Located, locate};
use crate::plan::context::{Context, Values};
use crate::plan::root::{aggregates_outside, is_held_by_key, is_key, root};
use crate::plan::{functions, hidden};
use crate::rules::RuleSet;
use crate::sql::insert::{InsertFacts, Source};
use crate::sql::{self, Block, Facts, Literal, Shape, literals};
use crate::types::ShardSet;

use super::parameters::Parameters;
use super::placing::Placing;

/// A query each of whose rows is made of rows that have the sharding key of that row.
#[derive(Debug, Clone)]
pub(super) struct RowsByKey {
    text: Box<str>,
    literals: Box<[Literal]>,
    located: Located,
    root: usize,
    /// Whether the rows of several shards, put together, are those of the query: not where LIMIT counts them.
    adds_up: bool,
}

impl RowsByKey {
    /// Reads the query of an INSERT into a sharded table whose key has this position among the columns; `None` where its rows
    /// may belong to other shards than they come from.
    pub(super) fn read(
        text: &str,
        insert: &InsertFacts,
        (placing, position): (&Placing, usize),
        context: &Context<'_>,
    ) -> Option<Self> {
        let Source::Query(query) = &insert.source else { return None };
        if insert.with || insert.with_writes || has_query(&text[query.span.end..]) {
            return None;
        }
        let text = &text[query.span.clone()];
        let called = hidden::called(text, context).ok()?;
        let facts = sql::read(text).ok()?;
        if called.acts.is_some() || facts.nested_write || facts.locks || aggregates_outside(&facts, context.catalog) {
            return None;
        }
        let located = locate(&facts, called, context).ok()?;
        let root = root(&located, &facts).ok()?;
        let keyed = &located.keyed[root];
        let alone = located.fixed.is_empty() && keyed.group == placing.group;
        let follow = located.keyed.iter().all(|other| other.follows.contains(&keyed.relation));
        if !alone || !follow || functions::unknown(&facts, &located, root).is_some() {
            return None;
        }
        let block = facts.block.as_ref()?;
        let mut columns = placing.columns(position).enumerate();
        if !columns.all(|(part, (_, position))| gives_key(block, (position, part), (&facts, &located, root))) {
            return None;
        }
        let held = is_held_by_key(&located, &facts, root, facts.scopes.first()?);
        let adds_up = held && block.unmergeable.is_none() && block.limit_spans.is_empty();
        Some(Self { text: text.into(), literals: literals(text).into(), located, root, adds_up })
    }

    /// Returns the shards that have such rows: all of the table's if nothing binds the key.
    pub(super) fn shards(&self, rules: &RuleSet, parameters: &Parameters<'_>) -> Option<ShardSet> {
        let values = Values { text: &self.text, literals: &self.literals, parameters: *parameters };
        self.located.keyed[self.root].shards(rules, &values)
    }

    /// Tells whether the rows may be made by several shards.
    pub(super) fn adds_up(&self) -> bool {
        self.adds_up
    }

    /// Tells whether a reference table is read.
    pub(super) fn reads_reference(&self) -> bool {
        !self.located.references.is_empty()
    }
}

/// Tells whether the item at this position is this part of the sharding key of the table `root`.
fn gives_key(
    block: &Block,
    (position, part): (usize, usize),
    (facts, located, root): (&Facts, &Located, usize),
) -> bool {
    let starless = block.items.iter().take(position.saturating_add(1)).all(|item| item.shape != Shape::Star);
    match block.items.get(position).filter(|_| starless).map(|item| &item.shape) {
        Some(Shape::Column(column)) => is_key(located, facts, root, (column, part)),
        _ => false,
    }
}
