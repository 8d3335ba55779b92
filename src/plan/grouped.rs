//! Aggregates whose groups span shards: partial results that fold.

use super::colocate::Keyed;
use super::scatter::{Draft, refuse, same_text, sort_key, visible};
use crate::merge::{Combine, Output};
use crate::sql::{Block, Item, Shape};
use crate::types::Refusal;

/// Writes the shards' select list and what folds.
pub(super) fn draft(block: &Block, keyed: &Keyed, text: &str, draft: &mut Draft) -> Result<(), Refusal> {
    if block.having {
        return Err(refuse(keyed, "HAVING", "merge_having"));
    }
    if block.distinct {
        return Err(refuse(keyed, "DISTINCT with aggregates", "merge_shape"));
    }
    draft.spec.grouped = true;
    for (index, item) in block.items.iter().enumerate() {
        let combine = combine(block, keyed, text, item)?;
        draft.spec.combines.push(combine);
        draft.spec.outputs.push(Output::Column(index));
    }
    averages(block, text, draft);
    hidden_keys(block, keyed, text, draft)?;
    order(block, keyed, text, draft)
}

/// Returns how a visible column folds.
fn combine(block: &Block, keyed: &Keyed, text: &str, item: &Item) -> Result<Combine, Refusal> {
    match &item.shape {
        Shape::Aggregate { special: true, .. } => {
            Err(refuse(keyed, "DISTINCT or ORDER BY inside an aggregate", "merge_aggregate"))
        }
        Shape::Aggregate { name, .. } => {
            fold(name).ok_or_else(|| refuse(keyed, &format!("aggregate {name}()"), "merge_aggregate"))
        }
        Shape::OverAggregate => Err(refuse(keyed, "an expression over aggregates", "merge_expression")),
        Shape::Star => Err(refuse(keyed, "* with aggregates", "merge_shape")),
        Shape::Column(_) | Shape::Expression | Shape::Position(_) => {
            let own = block.items.iter().position(|other| std::ptr::eq(other, item));
            match block.group.iter().any(|group| means(block, text, group, item, own)) {
                true => Ok(Combine::GroupKey),
                false => Err(refuse(keyed, "a column that is not written alike in GROUP BY", "merge_group")),
            }
        }
    }
}

fn fold(name: &str) -> Option<Combine> {
    match name {
        "count" | "sum" | "avg" => Some(Combine::Sum),
        "min" => Some(Combine::Min),
        "max" => Some(Combine::Max),
        "bool_and" | "every" => Some(Combine::And),
        "bool_or" => Some(Combine::Or),
        _ => None,
    }
}

/// Tells whether a group key is this select item: its position, the same column, or the same text. An alias alone is
/// not enough: GROUP BY takes a column of the table of that name first, and whether there is one is not known here.
fn means(block: &Block, text: &str, group: &Item, item: &Item, own: Option<usize>) -> bool {
    match (&group.shape, &item.shape) {
        (Shape::Position(position), _) => {
            let starless = block.items.iter().all(|item| item.shape != Shape::Star);
            starless && own.is_some() && position.checked_sub(1) == own
        }
        (Shape::Column(left), Shape::Column(right)) => {
            let same = left.relation.is_none() || right.relation.is_none() || left.relation == right.relation;
            same && left.name == right.name
        }
        (_, _) => same_text(text, group, item),
    }
}

/// `avg(x)` becomes `sum(x)` under its name and a hidden `count(x)`.
fn averages(block: &Block, text: &str, draft: &mut Draft) {
    for (index, item) in block.items.iter().enumerate() {
        let Shape::Aggregate { name, arguments, after, .. } = &item.shape else { continue };
        if name != "avg" {
            continue;
        }
        let (arguments, after) = (&text[arguments.clone()], &text[after.clone()]);
        let label = if item.alias.is_none() { " AS avg" } else { "" };
        draft.edits.push((item.span.clone(), format!("sum({arguments}){after}{label}")));
        draft.spec.outputs[index] = Output::Average { sum: index, count: block.items.len() + draft.hidden.len() };
        draft.hidden.push(format!("count({arguments}){after}"));
        draft.spec.combines.push(Combine::Sum);
    }
}

/// Group keys that are not selected travel hidden.
fn hidden_keys(block: &Block, keyed: &Keyed, text: &str, draft: &mut Draft) -> Result<(), Refusal> {
    for group in &block.group {
        let selected = |(index, item): (usize, &Item)| means(block, text, group, item, Some(index));
        if block.items.iter().enumerate().any(selected) {
            continue;
        }
        let aliased = |item: &Item| match &group.shape {
            Shape::Column(column) => column.relation.is_none() && item.alias.as_deref() == Some(column.name.as_str()),
            _ => false,
        };
        if block.items.iter().any(aliased) {
            return Err(refuse(keyed, "GROUP BY an alias (repeat the expression there)", "merge_group"));
        }
        if matches!(group.shape, Shape::Position(_)) {
            return Err(refuse(keyed, "GROUP BY position that is not in the select list", "merge_group"));
        }
        draft.hidden.push(text[group.span.clone()].to_owned());
        draft.spec.combines.push(Combine::GroupKey);
    }
    Ok(())
}

fn order(block: &Block, keyed: &Keyed, text: &str, draft: &mut Draft) -> Result<(), Refusal> {
    let mut hidden_keys: Vec<(&Item, usize)> = Vec::new();
    for key in &block.order {
        let column = match visible(block, key, text, keyed)? {
            Some(index) if matches!(draft.spec.outputs[index], Output::Average { .. }) => {
                return Err(refuse(keyed, "ORDER BY an average", "merge_order"));
            }
            Some(index) => index,
            None => match hidden_keys.iter().find(|(known, _)| same_text(text, known, &key.item)) {
                Some((_, column)) => *column,
                None => {
                    let combine = order_combine(block, keyed, text, &key.item)?;
                    draft.hidden.push(text[key.item.span.clone()].to_owned());
                    draft.spec.combines.push(combine);
                    let column = block.items.len() + draft.hidden.len() - 1;
                    hidden_keys.push((&key.item, column));
                    column
                }
            },
        };
        draft.spec.order.push(sort_key(key, column));
    }
    Ok(())
}

/// An ORDER BY key that is not selected: a group key, or an aggregate that folds.
fn order_combine(block: &Block, keyed: &Keyed, text: &str, item: &Item) -> Result<Combine, Refusal> {
    match &item.shape {
        Shape::Aggregate { name, special: false, .. } if name != "avg" => {
            fold(name).ok_or_else(|| refuse(keyed, &format!("ORDER BY {name}()"), "merge_order"))
        }
        Shape::Column(_) | Shape::Expression
            if block.group.iter().any(|group| means(block, text, group, item, None)) =>
        {
            Ok(Combine::GroupKey)
        }
        Shape::Star
        | Shape::Position(_)
        | Shape::Aggregate { .. }
        | Shape::OverAggregate
        | Shape::Column(_)
        | Shape::Expression => Err(refuse(keyed, "ORDER BY this expression", "merge_order")),
    }
}
