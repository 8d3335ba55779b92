//! Groups: rows with equal keys fold into one.

use std::collections::HashMap;
use std::vec::IntoIter;

use super::fold::{Fold, Folded, average};
use super::key::{RowEncoder, missing};
use super::number::Number;
use super::row::{Row, body};
use super::{Column, Combine, MergeContext, MergeSpec};
use crate::types::{Refusal, SqlState};

/// The groups so far, at most `rows_max` of them.
#[derive(Debug)]
pub(super) struct Grouped {
    columns: usize,
    keys: RowEncoder,
    folds: Vec<Fold>,
    order: RowEncoder,
    rows_max: usize,
    positions: HashMap<Vec<u8>, usize>,
    groups: Vec<Group>,
    sorted: Option<IntoIter<Group>>,
}

/// One group, a state for each shard column.
#[derive(Debug)]
pub(super) struct Group(Vec<Folded>);

impl Grouped {
    /// Makes the merge without groups; `0A000` when a key or an aggregate is of a type that cannot be folded.
    pub fn new(spec: &MergeSpec, columns: &[Column], context: &MergeContext) -> Result<Self, Refusal> {
        if spec.combines.len() != columns.len() {
            return Err(missing(spec.combines.len().max(columns.len()) - 1));
        }
        let keys = (0..columns.len()).filter(|&column| spec.combines[column] == Combine::GroupKey);
        let fold = |(position, &combine)| Fold::new(combine, position, columns, context);
        Ok(Self {
            columns: columns.len(),
            keys: RowEncoder::for_equality(keys, columns, context)?,
            folds: spec.combines.iter().enumerate().map(fold).collect::<Result<_, _>>()?,
            order: RowEncoder::for_order(&spec.order, columns, context)?,
            rows_max: context.group_rows_max,
            positions: HashMap::new(),
            groups: Vec::new(),
            sorted: None,
        })
    }

    /// Folds a row into its group.
    pub fn add(&mut self, row: Row) -> Result<(), Refusal> {
        let key = self.keys.key(&row)?;
        let position = match self.positions.get(&key) {
            Some(&position) => position,
            None => self.open(key)?,
        };
        for (column, (fold, state)) in self.folds.iter().zip(&mut self.groups[position].0).enumerate() {
            fold.add(state, row.value(column))?;
        }
        Ok(())
    }

    fn open(&mut self, key: Vec<u8>) -> Result<usize, Refusal> {
        if self.groups.len() >= self.rows_max {
            return Err(too_many(self.rows_max));
        }
        self.groups.push(Group(self.folds.iter().map(Fold::start).collect()));
        self.positions.insert(key, self.groups.len() - 1);
        Ok(self.groups.len() - 1)
    }

    /// Returns the next group in order, when all rows are in; without an order as they were opened.
    pub fn next_group(&mut self) -> Result<Option<Group>, Refusal> {
        if self.sorted.is_none() {
            self.sorted = Some(self.sort()?);
        }
        Ok(self.sorted.as_mut().and_then(Iterator::next))
    }

    fn sort(&mut self) -> Result<IntoIter<Group>, Refusal> {
        self.positions.clear();
        let groups = std::mem::take(&mut self.groups);
        let mut keyed = Vec::with_capacity(groups.len());
        for group in groups {
            keyed.push((self.order.key(&self.row_of(&group)?)?, group));
        }
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(keyed.into_iter().map(|(_, group)| group).collect::<Vec<_>>().into_iter())
    }

    /// Returns the group as a row with the shards' columns.
    pub fn row_of(&self, group: &Group) -> Result<Row, Refusal> {
        let values: Vec<_> =
            self.folds.iter().zip(&group.0).map(|(fold, state)| fold.finish(state)).collect::<Result<_, _>>()?;
        Row::parse(body(values.iter().map(Option::as_deref)), self.columns)
    }

    /// Returns the average over a group.
    pub fn average(&self, group: &Group, sum: usize, count: usize) -> Result<Option<Number>, Refusal> {
        average(&group.0[sum], &group.0[count])
    }
}

/// Says that more groups or distinct rows came than may be kept.
pub(super) fn too_many(rows_max: usize) -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("the merge would keep more than {rows_max} rows in memory"))
        .with_hint("Restrict the statement to fewer groups or to one shard, or raise the bound in the configuration.")
}
