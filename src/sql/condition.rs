//! Which conjuncts restrict which columns. Only what stands under AND counts, and what all arms of an OR say: never NOT or
//! CASE.

use sqlparser::ast::{
    BinaryOperator, CharacterLength, DataType, Expr, Query, SetExpr, TimezoneInfo, UnaryOperator, Value, ValueWithSpan,
    Values,
};

use super::facts::{Binding, Bound, Column, Edge, RelationIndex, Slot, SlotCast, SlotSource};
use super::read::fold;
use super::scope::Reader;
use crate::types::Comparison;

impl Reader<'_> {
    /// Reads a condition that restricts the relations in `reach`, and walks all of it for subqueries.
    pub(super) fn condition(&mut self, expr: &Expr, scope: usize, reach: &[RelationIndex]) {
        match expr {
            Expr::Nested(inner) => self.condition(inner, scope, reach),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.condition(left, scope, reach);
                self.condition(right, scope, reach);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                self.equal_columns(left, right, scope, reach);
                self.bind(expr, scope, reach);
                self.expression(expr, scope);
            }
            Expr::BinaryOp { op: BinaryOperator::Or, .. }
            | Expr::InList { negated: false, .. }
            | Expr::AnyOp { compare_op: BinaryOperator::Eq, .. } => {
                self.bind(expr, scope, reach);
                self.expression(expr, scope);
            }
            Expr::BinaryOp { left, op, right } if comparison(op).is_some() => {
                if let Some(comparison) = comparison(op) {
                    self.ordered(left, comparison, right, scope, reach);
                }
                self.expression(expr, scope);
            }
            Expr::Between { expr: left, negated: false, low, high } => {
                self.ordered(left, Comparison::GreaterOrEqual, low, scope, reach);
                self.ordered(left, Comparison::LessOrEqual, high, scope, reach);
                self.expression(expr, scope);
            }
            Expr::InSubquery { expr: left, subquery, negated: false } => {
                self.bind(expr, scope, reach);
                self.expression(left, scope);
                let column = self.column(left, scope);
                self.in_subquery(column, subquery, scope, reach);
            }
            _ => self.expression(expr, scope),
        }
    }

    /// `column = column`, also in rows.
    fn equal_columns(&mut self, left: &Expr, right: &Expr, scope: usize, reach: &[RelationIndex]) {
        if let (Some(left), Some(right)) = (tuple(left), tuple(right)) {
            if left.len() == right.len() {
                left.iter().zip(right).for_each(|(left, right)| self.equal_columns(left, right, scope, reach));
            }
            return;
        }
        match (self.column(left, scope), self.column(right, scope)) {
            (Some(left), Some(right)) => self.equal(left, right, reach),
            (Some(_), None) | (None, Some(_)) => self.equal_cast(left, right, scope, reach),
            (None, None) => {}
        }
    }

    /// Notes which columns a condition leaves nothing but constants.
    fn bind(&mut self, expr: &Expr, scope: usize, reach: &[RelationIndex]) {
        let bound = self.bound(expr, scope).into_iter();
        let bindings = bound.map(|(column, slots)| Binding { column, slots, reach: reach.to_vec() });
        self.facts.bindings.extend(bindings);
    }

    /// Returns the columns that must be one of some constants where the condition holds.
    fn bound(&self, expr: &Expr, scope: usize) -> Vec<(Column, Vec<Slot>)> {
        match expr {
            Expr::Nested(inner) => self.bound(inner, scope),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let mut bound = self.bound(left, scope);
                bound.extend(self.bound(right, scope));
                bound
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                // Only what both arms bind is bound.
                let other = self.bound(right, scope);
                let either = |(column, mut slots): (Column, Vec<Slot>)| {
                    let (_, more) = other.iter().find(|(bound, _)| *bound == column)?;
                    slots.extend(more.iter().cloned());
                    Some((column, slots))
                };
                self.bound(left, scope).into_iter().filter_map(either).collect()
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => self.equality(left, right, scope),
            Expr::InList { expr: left, list, negated: false } => self.in_list(left, list, scope),
            Expr::InSubquery { expr: left, subquery, negated: false } => match listed(subquery) {
                Some(values) => self.in_values(left, values, scope),
                None => Vec::new(),
            },
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                self.any(left, right, scope).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn equality(&self, left: &Expr, right: &Expr, scope: usize) -> Vec<(Column, Vec<Slot>)> {
        if let (Some(left), Some(right)) = (tuple(left), tuple(right)) {
            let pairs = left.iter().zip(right).filter(|_| left.len() == right.len());
            return pairs.flat_map(|(left, right)| self.equality(left, right, scope)).collect();
        }
        let (column, value) = match (self.column(left, scope), self.column(right, scope)) {
            (Some(column), None) => (column, right),
            (None, Some(column)) => (column, left),
            (Some(_), Some(_)) | (None, None) => return Vec::new(),
        };
        self.slot(value).map(|slot| (column, vec![slot])).into_iter().collect()
    }

    /// `column < constant`; of rows, `(x, y) < (1, 2)` says `x <= 1`.
    fn ordered(&mut self, left: &Expr, comparison: Comparison, right: &Expr, scope: usize, reach: &[RelationIndex]) {
        if let (Some([left, _, ..]), Some([right, _, ..])) = (tuple(left), tuple(right)) {
            return self.ordered(left, comparison.or_equal(), right, scope, reach);
        }
        let found = match (self.column(left, scope), self.column(right, scope)) {
            (Some(column), None) => self.slot(right).map(|slot| (column, comparison, slot)),
            (None, Some(column)) => self.slot(left).map(|slot| (column, comparison.turned(), slot)),
            (Some(_), Some(_)) | (None, None) => None,
        };
        if let Some((column, comparison, slot)) = found {
            self.facts.bounds.push(Bound { column, comparison, slot, reach: reach.to_vec() });
        }
    }

    /// `column IN (a, b)` and `(x, y) IN ((1, 2), (3, 4))`.
    fn in_list(&self, left: &Expr, list: &[Expr], scope: usize) -> Vec<(Column, Vec<Slot>)> {
        let bound = |column: &Expr, values: Option<Vec<Slot>>| Some((self.column(column, scope)?, values?));
        let Some(parts) = tuple(left) else {
            return bound(left, list.iter().map(|item| self.slot(item)).collect()).into_iter().collect();
        };
        let rows: Option<Vec<&[Expr]>> = list.iter().map(tuple).collect();
        rows.map(|rows| self.in_rows(parts, &rows, scope)).unwrap_or_default()
    }

    /// `column IN (VALUES (a), (b))` and `(x, y) IN (VALUES (1, 2), (3, 4))`.
    fn in_values(&self, left: &Expr, values: &Values, scope: usize) -> Vec<(Column, Vec<Slot>)> {
        let rows: Vec<&[Expr]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
        self.in_rows(tuple(left).unwrap_or(std::slice::from_ref(left)), &rows, scope)
    }

    fn in_rows(&self, parts: &[Expr], rows: &[&[Expr]], scope: usize) -> Vec<(Column, Vec<Slot>)> {
        if rows.iter().any(|row| row.len() != parts.len()) {
            return Vec::new();
        }
        let values = |position: usize| rows.iter().map(|row| self.slot(&row[position])).collect::<Option<Vec<Slot>>>();
        let bound = |(position, part)| Some((self.column(part, scope)?, values(position)?));
        parts.iter().enumerate().filter_map(bound).collect()
    }

    /// `column = ANY (array)`: a constructor, a literal or a parameter.
    fn any(&self, left: &Expr, right: &Expr, scope: usize) -> Option<(Column, Vec<Slot>)> {
        Some((self.column(left, scope)?, self.array_slots(right)?))
    }

    /// Returns the constants that are the elements of an array.
    pub(super) fn array_slots(&self, array: &Expr) -> Option<Vec<Slot>> {
        match plain(array) {
            Expr::Array(array) => array.elem.iter().map(|item| self.slot(item)).collect(),
            Expr::Cast { expr, data_type: DataType::Array(element), .. } => {
                let (inner, cast) = (plain(expr), element_cast(element));
                let of_type = |item: &Expr| {
                    let slot = self.slot(item).filter(|slot| slot.cast.is_none() || slot.cast == cast)?;
                    Some(Slot { cast, ..slot })
                };
                match inner {
                    Expr::Array(array) if cast.is_some() => array.elem.iter().map(of_type).collect(),
                    Expr::Array(_) => None,
                    _ => cast.and_then(|cast| self.array_slot(inner, Some(cast))),
                }
            }
            other => self.array_slot(other, None),
        }
    }

    fn array_slot(&self, expr: &Expr, cast: Option<SlotCast>) -> Option<Vec<Slot>> {
        let slot = self.slot(expr).filter(|slot| slot.cast.is_none())?;
        Some(vec![Slot { source: slot.source, cast, any: true }])
    }

    /// Notes `left = right` in both directions; `reach` says which relations it restricts.
    pub(super) fn equal(&mut self, left: Column, right: Column, reach: &[RelationIndex]) {
        let edge = |source: &Column, target: &Column| Edge {
            source: source.clone(),
            target: target.clone(),
            reach: reach.to_vec(),
            handed: false,
        };
        let edges = [edge(&left, &right), edge(&right, &left)];
        self.facts.edges.extend(edges);
    }

    /// Returns the plain column that an expression is.
    pub(super) fn column(&self, expr: &Expr, scope: usize) -> Option<Column> {
        match plain(expr) {
            Expr::Identifier(ident) => Some(Column { relation: None, scope, name: fold(ident) }),
            Expr::CompoundIdentifier(parts) => {
                let (name, qualifiers) = parts.split_last()?;
                let relation = self.relation(&fold(qualifiers.last()?), scope)?;
                Some(Column { relation: Some(relation), scope, name: fold(name) })
            }
            _ => None,
        }
    }

    /// Returns the constant that an expression is.
    pub(super) fn slot(&self, expr: &Expr) -> Option<Slot> {
        match plain(expr) {
            Expr::Value(value) => self.value(value),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match (plain(expr), self.slot(expr)?) {
                (
                    Expr::Value(ValueWithSpan { value: Value::Number(..), .. }),
                    Slot { source: SlotSource::Literal { index, .. }, .. },
                ) => Some(Slot { source: SlotSource::Literal { index, negative: true }, cast: None, any: false }),
                _ => None,
            },
            Expr::Cast { expr, data_type, .. } => {
                let cast = cast(data_type)?;
                // A second cast to the same changes nothing, or fails.
                let slot = self.slot(expr).filter(|slot| slot.cast.is_none_or(|known| known == cast))?;
                Some(Slot { cast: Some(cast), ..slot })
            }
            Expr::TypedString(typed) => {
                let cast = cast(&typed.data_type)?;
                let slot = self.value(&typed.value)?;
                Some(Slot { cast: Some(cast), ..slot })
            }
            _ => None,
        }
    }

    fn value(&self, value: &ValueWithSpan) -> Option<Slot> {
        let source = match &value.value {
            Value::Null => SlotSource::Null,
            Value::Placeholder(name) => {
                let number: usize = name.strip_prefix('$')?.parse().ok()?;
                let shared = self.shared.contains(&number);
                SlotSource::Parameter { index: number.checked_sub(1)?, shared }
            }
            // `N'a '` is of type char, which compares without its trailing blanks.
            Value::Boolean(_) | Value::NationalStringLiteral(_) => return None,
            _ => {
                let at = self.places.byte(self.text, value.span.start.line, value.span.start.column)?;
                let index = self.literals.binary_search_by_key(&(at as u32), |literal| literal.span.start).ok()?;
                SlotSource::Literal { index, negative: false }
            }
        };
        Some(Slot { source, cast: None, any: false })
    }
}

/// Takes parentheses off.
pub(super) fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => plain(inner),
        other => other,
    }
}

/// Returns the rows of VALUES; what leaves some of them out leaves none in that is not there.
fn listed(query: &Query) -> Option<&Values> {
    match &*query.body {
        SetExpr::Values(values) => Some(values),
        SetExpr::Query(inner) => listed(inner),
        _ => None,
    }
}

fn tuple(expr: &Expr) -> Option<&[Expr]> {
    match plain(expr) {
        Expr::Tuple(parts) => Some(parts),
        _ => None,
    }
}

fn comparison(operator: &BinaryOperator) -> Option<Comparison> {
    match operator {
        BinaryOperator::Lt => Some(Comparison::Less),
        BinaryOperator::LtEq => Some(Comparison::LessOrEqual),
        BinaryOperator::Gt => Some(Comparison::Greater),
        BinaryOperator::GtEq => Some(Comparison::GreaterOrEqual),
        _ => None,
    }
}

pub(super) fn cast(data_type: &DataType) -> Option<SlotCast> {
    match data_type {
        DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Int2(_)
        | DataType::Int4(_)
        | DataType::Int8(_) => Some(SlotCast::Integer),
        DataType::Text => Some(SlotCast::Text),
        DataType::Varchar(None::<CharacterLength>) | DataType::CharacterVarying(None::<CharacterLength>) => {
            Some(SlotCast::Text)
        }
        DataType::Uuid => Some(SlotCast::Uuid),
        DataType::Date => Some(SlotCast::Date),
        DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Some(SlotCast::Timestamp),
        DataType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => Some(SlotCast::TimestampTz),
        _ => None,
    }
}

fn element_cast(element: &sqlparser::ast::ArrayElemTypeDef) -> Option<SlotCast> {
    use sqlparser::ast::ArrayElemTypeDef as Def;
    match element {
        Def::SquareBracket(inner, _) | Def::AngleBracket(inner) | Def::Parenthesis(inner) => cast(inner),
        Def::None | Def::Qualified(..) => None,
    }
}
