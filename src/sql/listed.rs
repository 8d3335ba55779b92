//! Columns of lists: VALUES, `unnest` of an array, constants of a subquery. What must equal one is one of its values.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, TableAlias, Values};

use super::condition::plain;
use super::facts::{Binding, Column, Edge, RelationIndex, Slot, SlotCast};
use super::outputs::{Output, Outputs};
use super::read::{fold, function_name};
use super::scope::Reader;

/// Relations among which a name that stands alone is looked for: were there more, a join between some of them could not see
/// the list.
const SEEN_TOGETHER: usize = 2;

/// A column of a list.
#[derive(Clone)]
pub(super) struct Listed {
    column: Column,
    slots: Vec<Slot>,
}

/// `column = listed::type`
pub(super) struct Casted {
    listed: Column,
    cast: SlotCast,
    column: Column,
    reach: Vec<RelationIndex>,
}

impl Reader<'_> {
    /// Returns the columns of VALUES.
    pub(super) fn values_outputs(&self, values: &Values) -> Outputs {
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let column = |at: usize| {
            let slots: Option<Vec<Slot>> = values.rows.iter().map(|row| self.slot(row.content.get(at)?)).collect();
            Output::of_values(format!("column{}", at + 1), slots.and_then(of_one_type))
        };
        Outputs { columns: (0..width).map(column).collect(), ..Outputs::default() }
    }

    /// Returns the constants that an expression of a select list gives: itself, or the elements of `unnest(array)`.
    pub(super) fn constants_of(&self, expr: &Expr) -> Option<Vec<Slot>> {
        let Expr::Function(function) = plain(expr) else { return Some(vec![self.slot(expr)?]) };
        let FunctionArguments::List(list) = &function.args else { return None };
        match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] if function_name(&function.name)? == "unnest" => {
                self.array_slots(array)
            }
            _ => None,
        }
    }

    /// Notes the columns of `unnest(array, …)` as FROM has it; alone and without names, its column has the table's.
    pub(super) fn unnested(
        &mut self,
        arrays: &[Expr],
        alias: Option<&TableAlias>,
        relation: RelationIndex,
        scope: usize,
    ) {
        for (at, array) in arrays.iter().enumerate() {
            let named = alias.and_then(|alias| alias.columns.get(at)).map(|column| fold(&column.name));
            let own =
                || alias.filter(|alias| alias.columns.is_empty() && arrays.len() == 1).map(|alias| fold(&alias.name));
            if let (Some(name), Some(slots)) = (named.or_else(own), self.array_slots(array)) {
                self.list(relation, scope, name, slots);
            }
        }
    }

    /// Notes that a column has no values but these.
    pub(super) fn list(&mut self, relation: RelationIndex, scope: usize, name: String, slots: Vec<Slot>) {
        self.listed.push(Listed { column: Column { relation: Some(relation), scope, name }, slots });
    }

    /// Notes `column = other::type`, either way round.
    pub(super) fn equal_cast(&mut self, left: &Expr, right: &Expr, scope: usize, reach: &[RelationIndex]) {
        for (cast, other) in [(left, right), (right, left)] {
            let Expr::Cast { expr, data_type, .. } = plain(cast) else { continue };
            let Some(kind) = super::condition::cast(data_type) else { continue };
            if let (Some(listed), Some(column)) = (self.column(expr, scope), self.column(other, scope)) {
                self.casted.push(Casted { listed, cast: kind, column, reach: reach.to_vec() });
            }
        }
    }

    /// Binds what must equal a column of a list; subqueries hand such columns on.
    pub(super) fn bind_listed(&mut self) {
        let mut at = 0;
        while let Some(Listed { column, slots }) = self.listed.get(at).cloned() {
            at += 1;
            // Behind an alias of the join around it, the name means something else, if anything.
            if column.relation.is_some_and(|relation| self.behind_alias.contains(&relation)) {
                continue;
            }
            let is_it = |source: &Column| self.is_listed(source, &column);
            let edges: Vec<Edge> = self.facts.edges.iter().filter(|edge| is_it(&edge.source)).cloned().collect();
            let casted = self.casted.iter().filter(|casted| is_it(&casted.listed));
            let cast = casted.filter_map(|casted| {
                let slots = slots.iter().map(|slot| with_cast(slot, casted.cast)).collect::<Option<Vec<Slot>>>()?;
                Some(Binding { column: casted.column.clone(), slots, reach: casted.reach.clone() })
            });
            let cast: Vec<Binding> = cast.collect();
            self.facts.bindings.extend(cast);
            for edge in edges {
                let known = |listed: &Listed| listed.column == edge.target;
                if !edge.handed {
                    self.facts.bindings.push(Binding { column: edge.target, slots: slots.clone(), reach: edge.reach });
                } else if !self.listed.iter().any(known) {
                    self.listed.push(Listed { column: edge.target, slots: slots.clone() });
                }
            }
        }
    }

    /// Tells whether a name is surely that of a list's column.
    fn is_listed(&self, source: &Column, column: &Column) -> bool {
        if source.name != column.name {
            return false;
        }
        let relations = &self.facts.relations;
        match (source.relation, column.relation) {
            (Some(source_relation), Some(relation)) => {
                // From further out, a relation between may have the same name.
                let alias = &relations[relation].alias;
                source_relation == relation
                    && (source.scope == column.scope
                        || relations.iter().filter(|other| other.alias == *alias).count() == 1)
            }
            (None, Some(_)) => {
                let seen = self.relations_of(column.scope);
                // What an outer join makes of two columns of the name has the other's values, too.
                let merged = seen.iter().any(|relation| relations[*relation].nullable);
                source.scope == column.scope && seen.len() <= SEEN_TOGETHER && !merged
            }
            (_, None) => false,
        }
    }
}

/// Gives constants of one column the type that they have together; `None` where that cannot be told.
fn of_one_type(mut slots: Vec<Slot>) -> Option<Vec<Slot>> {
    let mut casts = slots.iter().filter_map(|slot| slot.cast);
    let Some(cast) = casts.next() else { return Some(slots) };
    if !casts.all(|other| other == cast) {
        return None;
    }
    // Beside integers a number may have a fraction, and all are of another type then.
    if cast != SlotCast::Integer {
        slots.iter_mut().for_each(|slot| slot.cast = Some(cast));
    }
    Some(slots)
}

fn with_cast(slot: &Slot, cast: SlotCast) -> Option<Slot> {
    let fits = !slot.any && slot.cast.is_none_or(|known| known == cast);
    fits.then(|| Slot { cast: Some(cast), ..slot.clone() })
}
