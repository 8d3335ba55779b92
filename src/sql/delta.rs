//! `UPDATE table SET column = column ± constant, … WHERE columns = constants`: what does the same whenever it runs, whatever
//! others of its kind ran before it.

use sqlparser::ast::{AssignmentTarget, BinaryOperator, DataType, Expr, Update};

use super::condition::plain;
use super::facts::{Slot, SlotSource};
use super::read::column_name;
use super::scope::Reader;

/// Such an UPDATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The columns that are added to.
    pub columns: Vec<String>,
    /// The constants that are added or subtracted.
    pub amounts: Vec<Amount>,
    /// The columns of the conditions, which are all under AND.
    pub keys: Vec<DeltaKey>,
}

/// A constant that is added or subtracted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// A number, or a parameter.
    pub source: SlotSource,
    /// Whether it is cast to `numeric`, whatever the column's type is.
    pub is_numeric: bool,
}

/// `column = constant`, `column IN (constants)`, `column = ANY (constants)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaKey {
    /// The column.
    pub column: String,
    /// The constants.
    pub slots: Vec<Slot>,
}

impl DeltaKey {
    /// Tells whether it names one value at most.
    pub fn is_single(&self) -> bool {
        matches!(self.slots.as_slice(), [slot] if !slot.any)
    }
}

impl Reader<'_> {
    /// Reads an UPDATE of one table as a delta; `None` for all that is more.
    pub(super) fn delta(&self, update: &Update) -> Option<Delta> {
        let more = update.from.is_some()
            || update.returning.is_some()
            || update.output.is_some()
            || update.or.is_some()
            || update.limit.is_some()
            || !update.order_by.is_empty()
            || !update.table.joins.is_empty()
            || self.facts.relations.len() != 1;
        if more {
            return None;
        }
        let mut delta = Delta { columns: Vec::new(), amounts: Vec::new(), keys: Vec::new() };
        for assignment in &update.assignments {
            let AssignmentTarget::ColumnName(name) = &assignment.target else { return None };
            let column = column_name(name).filter(|_| name.0.len() == 1)?;
            delta.amounts.push(self.amount(&column, &assignment.value)?);
            delta.columns.push(column);
        }
        self.conjuncts(update.selection.as_ref()?, &mut delta.keys)?;
        Some(delta)
    }

    /// Returns the constant of `column ± constant` or `constant + column`.
    fn amount(&self, column: &str, value: &Expr) -> Option<Amount> {
        let Expr::BinaryOp { left, op, right } = plain(value) else { return None };
        let is_own = |expr: &Expr| self.column(expr, 0).is_some_and(|own| own.name == column);
        let amount = match op {
            BinaryOperator::Plus | BinaryOperator::Minus if is_own(left) => right,
            BinaryOperator::Plus if is_own(right) => left,
            _ => return None,
        };
        self.number(amount)
    }

    /// Returns a number that stands there, or a parameter.
    fn number(&self, expr: &Expr) -> Option<Amount> {
        match plain(expr) {
            Expr::Cast { expr, data_type: DataType::Numeric(_) | DataType::Decimal(_), .. } => {
                Some(Amount { is_numeric: true, ..self.number(expr)? })
            }
            Expr::Cast { expr, data_type, .. } if is_whole(data_type) => self.number(expr),
            Expr::Cast { .. } | Expr::TypedString(_) => None,
            other => match self.slot(other)?.source {
                SlotSource::Null => None,
                source => Some(Amount { source, is_numeric: false }),
            },
        }
    }

    fn conjuncts(&self, expr: &Expr, keys: &mut Vec<DeltaKey>) -> Option<()> {
        let (column, slots) = match plain(expr) {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.conjuncts(left, keys)?;
                return self.conjuncts(right, keys);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let (column, value) = match self.column(left, 0) {
                    Some(column) => (column, right),
                    None => (self.column(right, 0)?, left),
                };
                (column, vec![self.slot(value)?])
            }
            Expr::InList { expr, list, negated: false } => {
                (self.column(expr, 0)?, list.iter().map(|item| self.slot(item)).collect::<Option<Vec<Slot>>>()?)
            }
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                (self.column(left, 0)?, self.array_slots(right)?)
            }
            _ => return None,
        };
        keys.push(DeltaKey { column: column.name, slots });
        Some(())
    }
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt(_)
            | DataType::Int2(_)
            | DataType::Int(_)
            | DataType::Int4(_)
            | DataType::Integer(_)
            | DataType::BigInt(_)
            | DataType::Int8(_)
    )
}
