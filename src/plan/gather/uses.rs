//! Which rows of a table matter, use by use: a table's copy holds what one of them needs.
//!
//! What leaves a row out is a condition that holds wherever the row takes part: conditions on its own columns, and
//! equality with columns of other uses, whose rows are restricted themselves.

use super::super::colocate::{Keyed, Located};
use super::super::context::Context;
use super::super::plan_types::{Equal, Fetch, Use};
use super::columns::Columns;
use super::words::Words;
use crate::sql::{self, Column, Condition, ConditionPart, Facts, Filter, RelationIndex};

/// Notes the uses of every table that is fetched.
pub(super) fn find(
    fetches: &mut [Fetch],
    facts: &Facts,
    located: &Located,
    words: &Words<'_>,
    context: &Context<'_>,
    text: &str,
) {
    let Some(found) = sql::filters(text) else { return };
    let columns = Columns::new(facts, &found.parents, context.catalog, words);
    let placed = |filter: &Filter| {
        let relation = only_relation(&filter.columns, &columns)?;
        filter.reach.contains(&relation).then(|| (relation, filter.condition.clone()))
    };
    let mut filters: Vec<(RelationIndex, Condition)> = found.filters.iter().filter_map(placed).collect();
    let parted = found.alternatives.iter().filter(|found| found.whole.as_ref().and_then(placed).is_none());
    for alternatives in parted {
        let arms: Vec<Vec<_>> = alternatives.arms.iter().map(|arm| arm.iter().filter_map(placed).collect()).collect();
        let each = 0..facts.relations.len();
        filters.extend(each.filter_map(|relation| Some((relation, one_of(&arms, relation)?))));
    }
    for fetch in fetches {
        let named: Vec<RelationIndex> = (0..facts.relations.len())
            .filter(|index| {
                facts.relations[*index].table.as_ref().is_some_and(|table| *table.rule_key() == *fetch.table)
            })
            .collect();
        // A name that stands there once more could be a use that was taken for something else.
        if words.alone(&fetch.table) == named.len() {
            let of = |relation| use_of(relation, &filters, located, &columns, facts);
            fetch.uses = named.into_iter().map(of).collect();
        }
    }
}

/// Joins what each alternative says of a relation; `None` if one of them says nothing.
fn one_of(arms: &[Vec<(RelationIndex, Condition)>], relation: RelationIndex) -> Option<Condition> {
    let mut parts = Vec::new();
    let text = |text: &str| ConditionPart::Text(text.to_owned());
    for arm in arms {
        let own: Vec<_> = arm.iter().filter(|(of, _)| *of == relation).collect();
        if own.is_empty() {
            return None;
        }
        for (at, (_, condition)) in own.into_iter().enumerate() {
            parts.push(text(match (parts.is_empty(), at) {
                (true, _) => "(",
                (false, 0) => " OR (",
                (false, _) => " AND (",
            }));
            parts.extend(condition.parts.iter().cloned());
            parts.push(text(")"));
        }
    }
    Some(Condition { parts })
}

/// Returns the one relation that all columns are of.
fn only_relation(columns: &[Column], known: &Columns<'_>) -> Option<RelationIndex> {
    let mut relation = None;
    for column in columns {
        let node = known.node(column).filter(|node| known.is_plain(node))?;
        if relation.is_some_and(|other| other != node.0) {
            return None;
        }
        relation = Some(node.0);
    }
    relation
}

fn use_of(
    relation: RelationIndex,
    filters: &[(RelationIndex, Condition)],
    located: &Located,
    columns: &Columns<'_>,
    facts: &Facts,
) -> Use {
    let own = filters.iter().filter(|(of, _)| *of == relation).map(|(_, condition)| condition.clone());
    let keyed = located.keyed.iter().find(|keyed| keyed.relation == relation);
    let partners: Vec<Equal> = keyed.map(|keyed| partners(keyed, located, facts)).unwrap_or_default();
    Use { relation, filters: own.collect(), links: links(relation, columns, facts), partners }
}

/// The uses of tables of the same group whose keys the key must equal: their rows are on the same shard.
fn partners(keyed: &Keyed, located: &Located, facts: &Facts) -> Vec<Equal> {
    let followed = |other: &&Keyed| {
        let renamed = facts.relations[other.relation].renamed || facts.relations[keyed.relation].renamed;
        other.relation != keyed.relation && keyed.follows.contains(&other.relation) && !renamed
    };
    let equal = |other: &Keyed| Equal {
        column: keyed.key.clone(),
        relation: other.relation,
        other: other.key.clone(),
        type_name: String::new(),
    };
    located.keyed.iter().filter(followed).map(equal).collect()
}

/// The columns of other tables that columns of this one must equal.
fn links(relation: RelationIndex, columns: &Columns<'_>, facts: &Facts) -> Vec<Equal> {
    let mut names: Vec<String> = Vec::new();
    for edge in &facts.edges {
        let target = columns.node(&edge.target).filter(|node| node.0 == relation);
        names.extend(target.map(|node| node.1).filter(|name| !names.contains(name)));
    }
    let mut links = Vec::new();
    for name in names {
        let node = (relation, name);
        for (other, column) in columns.equals(&node) {
            let known = columns.known(&(other, column.clone()));
            if let Some(known) = known.filter(|_| other != relation) {
                let type_name = known.type_name.clone();
                links.push(Equal { column: node.1.clone(), relation: other, other: column, type_name });
            }
        }
    }
    links
}
