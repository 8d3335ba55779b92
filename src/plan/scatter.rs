//! What each shard runs and how the rows merge, for a single query block over colocated tables.

use super::colocate::{Keyed, Located};
use super::context::Values;
use super::grouped;
use super::limit;
use super::output_name::{implied_name, may_be_called};
use super::plan_types::{LockFirst, ParameterSource, Statement};
use super::root::{is_aggregated, is_held_by_key};
use crate::merge::{MergeSpec, SortKey};
use crate::sql::{self, Block, Facts, Item, OrderItem, Scanner, Shape, TokenKind, identifier, splice};
use crate::types::{Refusal, SqlState};

/// The changes in the text and what the merge does.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) edits: Vec<(std::ops::Range<usize>, String)>,
    /// Expressions of hidden columns, in order.
    pub(super) hidden: Vec<String>,
    pub(super) spec: MergeSpec,
}

/// Makes the shards' statement and the merge.
pub(super) fn merge(
    facts: &Facts,
    located: &Located,
    root: usize,
    values: &Values<'_>,
) -> Result<(Statement, MergeSpec), Refusal> {
    let keyed = &located.keyed[root];
    let Some(block) = &facts.block else {
        return Err(refuse(keyed, "VALUES and set operations", "merge_shape"));
    };
    // No group and no window spans shards then.
    let held = facts.scopes.first().is_some_and(|top| is_held_by_key(located, facts, root, top));
    if let Some(what) = block.unmergeable.as_deref().or(block.holds.filter(|_| !held)) {
        return Err(refuse(keyed, what, "merge_shape"));
    }
    let limits = limit::read(block, values)?;
    let mut draft = Draft::default();
    let aggregated = is_aggregated(block);
    if aggregated && !held {
        grouped::draft(block, keyed, values.text, &mut draft)?;
        limit::withhold(block, &mut draft);
    } else {
        plain(block, keyed, values.text, &mut draft)?;
        // What is alike is on one shard, which has made it one row.
        draft.spec.distinct = block.distinct && !held;
        limit::push(block, limits, &mut draft);
    }
    if facts.locks && (aggregated || block.distinct) {
        return Err(refuse(keyed, "FOR UPDATE with DISTINCT or aggregates", "merge_lock"));
    }
    draft.spec.offset = limits.offset;
    draft.spec.limit = limits.limit;
    finish(block, facts, draft, values)
}

/// Returns how rows are locked of which a LIMIT takes the first ones only; `statement` is what the shards run.
pub(super) fn lock_first(
    facts: &Facts,
    keyed: &Keyed,
    statement: &Statement,
    values: &Values<'_>,
) -> Result<Option<Box<LockFirst>>, Refusal> {
    let limited = facts.block.as_ref().is_some_and(|block| block.limit.is_some());
    if !facts.locks || !limited {
        return Ok(None);
    }
    let refused = || refuse(keyed, "FOR UPDATE with LIMIT, in a subquery or more than once,", "merge_lock");
    let (sql, parameters) = match statement {
        Statement::Original => {
            let all = 0..values.parameters.values.len();
            (values.text, all.map(ParameterSource::Client).collect())
        }
        Statement::Rewritten { sql, parameters } => (sql.as_str(), parameters.clone()),
    };
    let clause = sql::lock_clause(sql).ok_or_else(refused)?;
    if clause.skips {
        return Ok(Some(Box::new(LockFirst { unlocked: None })));
    }
    let sql = splice(sql, &[(clause.span, String::new())]);
    let kept = sql::read(&sql).is_ok_and(|again| again.relations == facts.relations && !again.locks);
    let unlocked = Some(Statement::Rewritten { sql, parameters }).filter(|_| kept).ok_or_else(refused)?;
    Ok(Some(Box::new(LockFirst { unlocked: Some(unlocked) })))
}

/// Refuses something that the merge cannot do.
pub(super) fn refuse(keyed: &Keyed, what: &str, reason: &'static str) -> Refusal {
    Refusal::unsupported(
        format!("{what} over several shards of table \"{}\" is not available", keyed.table),
        format!("Bind the sharding key \"{}\" to one value, so that one shard can answer.", keyed.key_names()),
    )
    .with_reason(reason)
}

/// Rows pass as they are: only the order is merged.
fn plain(block: &Block, keyed: &Keyed, text: &str, draft: &mut Draft) -> Result<(), Refusal> {
    let star = block.items.iter().any(|item| item.shape == Shape::Star);
    let mut columns = Vec::with_capacity(block.order.len());
    for key in &block.order {
        let column = match visible(block, key, text, keyed)? {
            None if behind_star(block, key).is_some() => Place::FromEnd(behind_star(block, key).unwrap_or(0)),
            Some(column) => Place::Visible(column),
            None if block.distinct => {
                return Err(refuse(keyed, "DISTINCT ordered by what it does not select", "merge_shape"));
            }
            None => {
                draft.hidden.push(text[key.item.span.clone()].to_owned());
                Place::Hidden(draft.hidden.len() - 1)
            }
        };
        columns.push(column);
    }
    draft.spec.hidden = draft.hidden.len();
    for (key, place) in block.order.iter().zip(columns) {
        let column = match place {
            Place::Visible(column) => column,
            Place::FromEnd(back) => MergeSpec::FROM_END + (draft.hidden.len() + back),
            Place::Hidden(index) if star => MergeSpec::FROM_END + (draft.hidden.len() - 1 - index),
            Place::Hidden(index) => block.items.len() + index,
        };
        draft.spec.order.push(sort_key(key, column));
    }
    Ok(())
}

enum Place {
    Visible(usize),
    /// So many visible columns before the last visible one.
    FromEnd(usize),
    Hidden(usize),
}

/// Finds a name that ORDER BY gives among the aliases behind the last `*`; it is no column of a table.
fn behind_star(block: &Block, key: &OrderItem) -> Option<usize> {
    let Shape::Column(column) = &key.item.shape else { return None };
    let named = |item: &&Item| item.alias.as_deref() == Some(column.name.as_str());
    let starless = block.items.iter().rev().take_while(|item| item.shape != Shape::Star);
    starless.enumerate().find(|(_, item)| column.relation.is_none() && named(item)).map(|(back, _)| back)
}

pub(super) fn sort_key(key: &OrderItem, column: usize) -> SortKey {
    SortKey { column, descending: key.descending, nulls_first: key.nulls_first }
}

/// Returns the select list's column that an ORDER BY key means; positions after a `*` cannot be told.
pub(super) fn visible(block: &Block, key: &OrderItem, text: &str, keyed: &Keyed) -> Result<Option<usize>, Refusal> {
    let starless = |index: usize| block.items.iter().take(index + 1).all(|item| item.shape != Shape::Star);
    if let Shape::Position(position) = key.item.shape {
        return match position.checked_sub(1) {
            Some(index) if index < block.items.len() && starless(index) => Ok(Some(index)),
            Some(_) | None => Err(refuse(keyed, "ORDER BY position that is not in the select list", "merge_shape")),
        };
    }
    let name = match &key.item.shape {
        Shape::Column(column) if column.relation.is_none() => Some(column.name.as_str()),
        _ => None,
    };
    // A bare name is the output column's first, then the table's (PostgreSQL's manual, SELECT, ORDER BY).
    let found = block.items.iter().position(|item| match (name, &item.alias, &item.shape) {
        (Some(name), Some(alias), _) => alias == name,
        (Some(name), None, Shape::Column(column)) => column.name == name,
        (Some(name), None, shape) if *shape != Shape::Star => {
            implied_name(&text[item.span.clone()]).as_deref() == Some(name)
        }
        (_, _, _) => false,
    });
    if let (None, Some(name)) = (found, name)
        && block.items.iter().any(|item| is_perhaps_called(text, item, name))
    {
        return Err(refuse(keyed, "ORDER BY a name that PostgreSQL may have made of an expression", "merge_shape"));
    }
    let is_made =
        |index: usize| block.items[index].alias.is_none() && !matches!(block.items[index].shape, Shape::Column(_));
    if found.is_some_and(|index| !starless(index) && is_made(index)) {
        return Err(refuse(keyed, "ORDER BY a name of an expression behind *", "merge_shape"));
    }
    let same = || block.items.iter().position(|item| same_text(text, item, &key.item));
    Ok(found.or_else(same).filter(|index| starless(*index)))
}

/// Tells whether an expression without a name of its own may be called so, where its name is not plain.
fn is_perhaps_called(text: &str, item: &Item, name: &str) -> bool {
    let is_named = item.alias.is_some() || matches!(item.shape, Shape::Column(_) | Shape::Star);
    let expression = &text[item.span.clone()];
    !is_named && implied_name(expression).is_none() && may_be_called(expression, name)
}

/// Tells whether two expressions are written alike, but for blanks and the case of unquoted words.
pub(super) fn same_text(text: &str, left: &Item, right: &Item) -> bool {
    let words = |item: &Item| -> Vec<String> {
        let part = &text[item.span.clone()];
        Scanner::new(part)
            .map(|token| match token.kind {
                TokenKind::Word => identifier(part, token).unwrap_or_default(),
                _ => token.text(part).to_owned(),
            })
            .collect()
    };
    left.shape != Shape::Star && words(left) == words(right)
}

/// Splices the hidden columns in, checks the result, and numbers its parameters anew.
fn finish(
    block: &Block,
    facts: &Facts,
    mut draft: Draft,
    values: &Values<'_>,
) -> Result<(Statement, MergeSpec), Refusal> {
    let without_hidden = splice(values.text, &draft.edits);
    for hidden in &draft.hidden {
        draft.edits.push((block.items_end..block.items_end, format!(", {hidden}")));
    }
    if draft.edits.is_empty() {
        return Ok((Statement::Original, draft.spec));
    }
    let sql = splice(values.text, &draft.edits);
    // What a hidden column's own queries read is read twice.
    let of_top =
        |facts: &Facts| facts.relations.iter().filter(|relation| relation.scope == 0).cloned().collect::<Vec<_>>();
    let kept = sql::read(&without_hidden).is_ok_and(|again| again.relations == facts.relations)
        && sql::read(&sql).is_ok_and(|again| of_top(&again) == of_top(facts));
    if !kept {
        return Err(Refusal::new(SqlState::INTERNAL_ERROR, "a rewritten statement does not say the same")
            .with_reason("rewrite"));
    }
    let (sql, parameters) = renumber(&sql);
    Ok((Statement::Rewritten { sql, parameters }, draft.spec))
}

/// Numbers the parameters that are left without gaps.
pub(super) fn renumber(sql: &str) -> (String, Vec<ParameterSource>) {
    let mut used: Vec<usize> = Vec::new();
    let mut edits = Vec::new();
    for token in Scanner::new(sql).filter(|token| token.kind == TokenKind::Parameter) {
        let Ok(number) = token.text(sql)[1..].parse::<usize>() else { continue };
        let at = used.iter().position(|known| *known == number).unwrap_or_else(|| {
            used.push(number);
            used.len() - 1
        });
        edits.push((token.span(), format!("${}", at + 1)));
    }
    let parameters = used.iter().map(|number| ParameterSource::Client(number.saturating_sub(1))).collect();
    (splice(sql, &edits), parameters)
}
