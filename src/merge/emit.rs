//! The last stretch for every mode: visible columns, DISTINCT, OFFSET, LIMIT.

use std::collections::HashSet;

use bytes::Bytes;

use super::grouped::{Group, Grouped, too_many};
use super::key::{RowEncoder, missing};
use super::number::NumberFormat;
use super::row::{Row, body};
use super::{Column, Combine, MergeContext, MergeSpec, Output, OutputColumn};
use crate::types::Refusal;

/// Turns merged rows into the client's rows.
#[derive(Debug)]
pub(super) struct Emitter {
    outputs: Vec<Visible>,
    /// Whether the rows pass as they are.
    unchanged: bool,
    distinct: Option<Distinct>,
    skip: u64,
    left: Option<u64>,
}

/// A visible column, resolved.
#[derive(Debug, Clone, Copy)]
enum Visible {
    Column { position: usize, type_oid: u32 },
    Average { sum: usize, count: usize, format: NumberFormat, type_oid: u32 },
}

/// Finds rows that were there before.
#[derive(Debug)]
struct Distinct {
    encoder: RowEncoder,
    seen: Seen,
}

#[derive(Debug)]
enum Seen {
    /// Equal rows are neighbours: the order covers all visible columns.
    Last(Option<Vec<u8>>),
    /// Equal rows may come at any time.
    All { keys: HashSet<Vec<u8>>, rows_max: usize },
}

impl Emitter {
    /// Resolves what is visible; `0A000` when DISTINCT or an average cannot be computed for a type.
    pub fn new(spec: &MergeSpec, columns: &[Column], context: &MergeContext) -> Result<Self, Refusal> {
        let visible = columns.len().saturating_sub(spec.hidden);
        let outputs: Vec<_> = match spec.outputs.is_empty() {
            true => (0..visible).map(|position| resolve(Output::Column(position), spec, columns)).collect(),
            false => spec.outputs.iter().map(|&output| resolve(output, spec, columns)).collect(),
        };
        let outputs = outputs.into_iter().collect::<Result<Vec<_>, Refusal>>()?;
        let in_place = |(index, output): (usize, &Visible)| matches!(*output, Visible::Column { position, .. } if position == index);
        let unchanged = outputs.len() == columns.len() && outputs.iter().enumerate().all(in_place);
        let distinct = spec.distinct.then(|| Distinct::new(spec, &outputs, columns, context)).transpose()?;
        Ok(Self { outputs, unchanged, distinct, skip: spec.offset, left: spec.limit })
    }

    /// Returns what RowDescription must say.
    pub fn output_columns(&self) -> Vec<OutputColumn> {
        let column = |output: &Visible| match *output {
            Visible::Column { position, type_oid } => OutputColumn { source: position, type_oid },
            Visible::Average { sum, type_oid, .. } => OutputColumn { source: sum, type_oid },
        };
        self.outputs.iter().map(column).collect()
    }

    /// Tells whether LIMIT is reached.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Returns the row that the client sees, if it sees this one.
    pub fn emit(&mut self, row: Row) -> Result<Option<Bytes>, Refusal> {
        if self.unchanged {
            return Ok(self.pass(&row)?.then(|| row.into_body()));
        }
        let values = self.outputs.iter().map(|output| match *output {
            Visible::Column { position, .. } => row.value(position),
            // `resolve` lets no average into a merge that does not fold.
            Visible::Average { .. } => None,
        });
        let visible = body(values);
        self.finish(visible)
    }

    /// The same for a folded group, whose averages are computed here.
    pub fn emit_folded(&mut self, grouped: &Grouped, group: &Group) -> Result<Option<Bytes>, Refusal> {
        let row = grouped.row_of(group)?;
        let mut values = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            values.push(match *output {
                Visible::Column { position, .. } => row.value(position).map(<[u8]>::to_vec),
                Visible::Average { sum, count, format, .. } => {
                    grouped.average(group, sum, count)?.map(|number| format.write(&number)).transpose()?
                }
            });
        }
        self.finish(body(values.iter().map(Option::as_deref)))
    }

    fn finish(&mut self, visible: Bytes) -> Result<Option<Bytes>, Refusal> {
        if self.distinct.is_none() {
            return Ok(self.count().then_some(visible));
        }
        let row = Row::parse(visible, self.outputs.len())?;
        Ok(self.pass(&row)?.then(|| row.into_body()))
    }

    /// Applies DISTINCT, OFFSET and LIMIT to a visible row.
    fn pass(&mut self, visible: &Row) -> Result<bool, Refusal> {
        let new = match &mut self.distinct {
            Some(distinct) => distinct.is_new(visible)?,
            None => true,
        };
        Ok(new && self.count())
    }

    fn count(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }
}

impl Distinct {
    fn new(spec: &MergeSpec, outputs: &[Visible], columns: &[Column], context: &MergeContext) -> Result<Self, Refusal> {
        let ordered = |output: &Visible| match *output {
            Visible::Column { position, .. } => spec.order.iter().any(|key| key.column == position),
            Visible::Average { .. } => false,
        };
        let visible: Vec<Column> = outputs
            .iter()
            .map(|output| match *output {
                Visible::Column { position, .. } => columns[position],
                Visible::Average { sum, type_oid, .. } => Column { type_oid, ..columns[sum] },
            })
            .collect();
        // A hidden sort key may tear equal visible rows apart, so the order must consist of visible columns.
        let covered = outputs.iter().all(ordered)
            && spec.order.iter().all(|key| {
                outputs
                    .iter()
                    .any(|output| matches!(*output, Visible::Column { position, .. } if position == key.column))
            });
        let seen = match covered {
            true => Seen::Last(None),
            false => Seen::All { keys: HashSet::new(), rows_max: context.group_rows_max },
        };
        Ok(Self { encoder: RowEncoder::for_equality(0..visible.len(), &visible, context)?, seen })
    }

    fn is_new(&mut self, row: &Row) -> Result<bool, Refusal> {
        let key = self.encoder.key(row)?;
        match &mut self.seen {
            Seen::Last(last) if last.as_ref() == Some(&key) => Ok(false),
            Seen::Last(last) => {
                *last = Some(key);
                Ok(true)
            }
            Seen::All { keys, .. } if keys.contains(&key) => Ok(false),
            Seen::All { keys, rows_max } if keys.len() >= *rows_max => Err(too_many(*rows_max)),
            Seen::All { keys, .. } => Ok(keys.insert(key)),
        }
    }
}

fn resolve(output: Output, spec: &MergeSpec, columns: &[Column]) -> Result<Visible, Refusal> {
    let column = |position: usize| columns.get(position).copied().ok_or_else(|| missing(position));
    match output {
        Output::Column(position) => Ok(Visible::Column { position, type_oid: column(position)?.type_oid }),
        Output::Average { sum, count } => {
            let folded = |position| spec.grouped && spec.combines.get(position) == Some(&Combine::Sum);
            if let Some(position) = [sum, count].into_iter().find(|&position| !folded(position)) {
                return Err(missing(position));
            }
            if !NumberFormat::of(column(count)?)?.is_bigint() {
                return Err(missing(count));
            }
            let (format, type_oid) = NumberFormat::of(column(sum)?)?.average()?;
            Ok(Visible::Average { sum, count, format, type_oid })
        }
    }
}
