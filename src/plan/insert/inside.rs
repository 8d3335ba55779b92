//! INSERTs inside of another statement: ids for their rows where the rules make them, spliced into the statement's text.
//!
//! `WITH o AS (INSERT … VALUES … RETURNING order_id) INSERT INTO items (order_id, …) SELECT order_id, … FROM o` gets as many ids for
//! the second INSERT as the first has rows: more cannot come of them.

use std::ops::Range;

use crate::plan::context::{Context, Values};
use crate::plan::given_id;
use crate::plan::partial_words::closing;
use crate::rules::{Distribution, IdRule, IdSource, TableRule};
use crate::sql::insert::{InsertFacts, Row, Source, SourceQuery, read};
use crate::sql::next_id;
use crate::sql::{Scanner, Token, identifier, splice};
use crate::types::{BucketId, Refusal, ShardId, type_modifier};

use super::called::elsewhere;
use super::key::{KeyColumn, key_position};
use super::make::{self, IdValue, IdsWanted, MakeIds};
use super::refuse;
use super::sets::row_of_sets;
use super::slots::{Layout, Slot, layout, quoted};

type Edits = Vec<(Range<usize>, String)>;

/// One INSERT of the statement.
struct Part<'a> {
    /// Where it begins.
    start: usize,
    text: &'a str,
    /// The name of the WITH query that it is.
    name: Option<String>,
    facts: InsertFacts,
}

/// Makes the ids of a statement that runs on `shard`, as far as it can be told how many they are.
///
/// # Errors
/// What of an INSERT no id can be made for, or held against the rules; and what `ids` refuses.
pub(in crate::plan) fn with_ids(
    shard: ShardId,
    context: &Context<'_>,
    values: &Values<'_>,
    ids: &mut MakeIds<'_>,
) -> Result<String, Refusal> {
    let parts = parts(values.text);
    let mut edits = Edits::new();
    let mut calls = 0;
    for part in &parts {
        let name = part.facts.table.rule_key();
        let rule = context.rules.table(&name);
        let layout = layout(part.text, &part.facts, rule, &name, context.catalog.table(&name), context.rules)?;
        calls += next_id::all(part.text)?.len();
        if layout.called.iter().any(|call| !call.draws) {
            return Err(elsewhere());
        }
        if row_of_sets(part.text, &part.facts, context.catalog).is_some() {
            return Err(next_id::evaluated_often());
        }
        let made = match &part.facts.source {
            Source::Query(query) => {
                rule.and_then(|rule| rule.id.as_ref()).and_then(|id| of_query(part, query, id, &parts))
            }
            Source::Values(_) | Source::DefaultValues(_) => None,
        };
        let own = match made {
            Some((id, wanted, places)) => {
                given_id::check_width(&part.facts.table.to_string(), id, context.catalog)?;
                pool(id, ids(wanted)?, places, &context.rules.shard(shard).name)
            }
            None if layout.slots.is_empty() => continue,
            None => of_rows((part, &layout), rule, shard, context, values, ids)?,
        };
        edits.extend(own.into_iter().map(|(span, text)| (span.start + part.start..span.end + part.start, text)));
    }
    if calls < next_id::all(values.text)?.len() {
        return Err(next_id::evaluated_often());
    }
    Ok(splice(values.text, &edits))
}

/// Finds the INSERTs of a text: the one at its end, and those that are a WITH query as a whole.
fn parts(text: &str) -> Vec<Part<'_>> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let mut open: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is_mark(text, "(") {
            open.push(at);
        } else if token.is_mark(text, ")") {
            open.pop();
        } else if token.is_word(text, "insert") && tokens.get(at + 1).is_some_and(|next| next.is_word(text, "into")) {
            match open.last() {
                None => found.push((at, None)),
                Some(parenthesis) if parenthesis + 1 == at => found.push((at, Some(*parenthesis))),
                Some(_) => {}
            }
        }
    }
    let part = |(at, parenthesis): (usize, Option<usize>)| {
        let end =
            parenthesis.map_or(Some(text.len()), |open| closing(text, &tokens, open).map(|at| tokens[at].start))?;
        let start = tokens[at].start;
        let own = text[start..end].trim_end().trim_end_matches(';');
        let name = parenthesis.and_then(|open| query_name(text, &tokens[..open]));
        Some(Part { start, text: own, name, facts: read(own).ok()? })
    };
    found.into_iter().filter_map(part).collect()
}

/// Returns the name in `name [(columns)] AS [[NOT] MATERIALIZED]`, at the end of the tokens.
fn query_name(text: &str, mut tokens: &[Token]) -> Option<String> {
    for word in ["materialized", "not"] {
        tokens = tokens.split_last().filter(|(last, _)| last.is_word(text, word)).map_or(tokens, |(_, rest)| rest);
    }
    let (word, mut rest) = tokens.split_last()?;
    if !word.is_word(text, "as") {
        return None;
    }
    if rest.last()?.is_mark(text, ")") {
        let open = rest.iter().rposition(|token| token.is_mark(text, "("))?;
        rest = &rest[..open];
    }
    identifier(text, *rest.last()?)
}

/// Makes the ids of rows that stand in the text.
fn of_rows(
    (part, layout): (&Part<'_>, &Layout),
    rule: Option<&TableRule>,
    shard: ShardId,
    context: &Context<'_>,
    values: &Values<'_>,
    ids: &mut MakeIds<'_>,
) -> Result<Edits, Refusal> {
    if let Some(id) = rule.and_then(|rule| rule.id.as_ref()) {
        if id.is_checked() && !layout.id_generated {
            return Err(given_id::unchecked(&part.facts.table.to_string(), id, "an id that is given behind WITH"));
        }
        given_id::check_width(&part.facts.table.to_string(), id, context.catalog)?;
    }
    let slots = &layout.slots;
    let mut made = vec![IdValue::Bigint(0); slots.len()];
    make::fill(slots, &mut made, |slot| (!make::needs_bucket(slot.source)).then_some(None), ids)?;
    if slots.iter().any(|slot| make::needs_bucket(slot.source)) {
        let buckets = buckets(part, layout, rule, context, values)?;
        let of_row = |slot: &Slot| make::needs_bucket(slot.source).then(|| buckets.get(slot.row).copied());
        make::fill(slots, &mut made, of_row, ids)?;
    }
    let name = &context.rules.shard(shard).name;
    let written = |(slot, id): (&Slot, IdValue)| {
        let id = if slot.source == (IdSource::Uuid { prefixed: true }) { id.prefixed(name) } else { id };
        (slot.span.clone(), format!("{}{}{}", slot.around.0, id.literal(), slot.around.1))
    };
    let mut edits: Edits = layout.list.iter().cloned().collect();
    edits.extend(slots.iter().zip(made).map(written));
    Ok(edits)
}

/// Returns the bucket of each row.
fn buckets(
    part: &Part<'_>,
    layout: &Layout,
    rule: Option<&TableRule>,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<Vec<BucketId>, Refusal> {
    let table = part.facts.table.to_string();
    let Some(Distribution::Sharded { group, key, more }) = rule.map(|rule| &rule.distribution) else {
        return Ok(Vec::new());
    };
    let known = context.catalog.table(&part.facts.table.rule_key());
    let key = KeyColumn {
        table,
        name: key.clone(),
        key_type: context.rules.group(*group).key_type,
        length: known.and_then(|known| type_modifier(&known.column(key)?.type_name)),
    };
    let position = key_position(layout, &key)?;
    let bucket = |row: &Row| {
        let cell = row.cells.get(position).filter(|_| more.is_empty());
        let cell = cell.ok_or_else(|| refuse::missing_key(&key.table, &key.name))?;
        let value = key.value(cell, &values.parameters)?;
        let none = || refuse::no_place(&key.table, &key.name, &context.rules.group(*group).name);
        context.rules.bucket_of(*group, &value).ok_or_else(none)
    };
    match &part.facts.source {
        Source::Values(rows) => rows.iter().map(bucket).collect(),
        Source::DefaultValues(_) | Source::Query(_) => Ok(Vec::new()),
    }
}

/// Tells what ids a query's rows need at most, and where they go: into the list of columns and behind SELECT. `None` where
/// it has them, or nobody knows how many they are.
fn of_query<'r>(
    part: &Part<'_>,
    query: &SourceQuery,
    id: &'r IdRule,
    parts: &[Part<'_>],
) -> Option<(&'r IdRule, IdsWanted, [usize; 2])> {
    let list = part.facts.columns.as_ref().filter(|list| !list.names.contains(&id.column))?;
    let from = query.simple.as_ref()?.table.as_ref().filter(|table| table.schema.is_none())?;
    let mut named = parts.iter().filter(|other| other.name.as_ref() == Some(&from.name));
    let (source, None) = (named.next()?, named.next()) else { return None };
    let count = match &source.facts.source {
        Source::Values(rows) => rows.len(),
        Source::DefaultValues(_) => 1,
        Source::Query(_) => return None,
    };
    let mut tokens = Scanner::new(&part.text[query.span.clone()]);
    let select = tokens.next().filter(|token| token.is_word(&part.text[query.span.clone()], "select"))?;
    let places = [list.span.start + 1, query.span.start + select.end];
    let alone = !make::needs_bucket(id.source) && !list.names.is_empty();
    alone.then_some((id, IdsWanted { source: id.source, bucket: None, count }, places))
}

/// Writes ids of which each row of a query takes its own.
fn pool(id: &IdRule, made: Vec<IdValue>, [list, select]: [usize; 2], shard: &str) -> Edits {
    let (type_name, prefixed) = match id.source {
        IdSource::Snowflake { .. } | IdSource::Segment(_) => ("bigint", false),
        IdSource::Uuid { prefixed: false } => ("uuid", false),
        IdSource::Uuid { prefixed: true } => ("text", true),
    };
    let literal = |id: IdValue| if prefixed { id.prefixed(shard).literal() } else { id.literal() };
    let literals: Vec<String> = made.into_iter().map(literal).collect();
    let own = format!(" (ARRAY[{}]::{type_name}[])[row_number() OVER ()],", literals.join(", "));
    vec![(list..list, format!("{}, ", quoted(&id.column))), (select..select, own)]
}
