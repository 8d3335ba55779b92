//! Texts for the shards, spliced from the client's: ids in, other shards' rows out, parameters renumbered.

use std::ops::Range;

use crate::plan::{ParameterSource, Statement};
use crate::sql::insert::{CellValue, InsertFacts, Row, Source};
use crate::sql::{Shift, splice};

use super::make::IdValue;
use super::moment::Moments;
use super::slots::Layout;

type Edits = Vec<(Range<usize>, String)>;

/// How ids are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdForm {
    /// As literals.
    Literal,
    /// As parameters behind the client's.
    Parameter,
}

/// What rendering needs of one execution.
pub struct Rendering<'a> {
    /// The client's text.
    pub text: &'a str,
    /// Where the bytes of the text that was read are in the client's.
    pub shift: Shift<'a>,
    /// What the text that was read says.
    pub facts: &'a InsertFacts,
    /// Where ids go.
    pub layout: &'a Layout,
    /// What parts say of the present time.
    pub(super) moments: &'a Moments,
    /// One id per slot.
    pub ids: &'a [IdValue],
    /// How they are written.
    pub form: IdForm,
    /// How many parameters the client sent.
    pub parameters: usize,
}

impl Rendering<'_> {
    /// Returns the statement with all rows.
    pub fn whole(&self) -> Statement {
        if self.layout.slots.is_empty() {
            return Statement::Original;
        }
        let mut edits: Edits = self.layout.list.iter().cloned().collect();
        let used: Vec<usize> = (0..self.parameters).collect();
        let parameters = self.id_edits(|_| true, used, &mut edits);
        Statement::Rewritten { sql: splice(self.text, &self.shift.edits(&edits)), parameters }
    }

    /// Returns the statement with the rows `kept`, ascending positions, at least one; parameters are renumbered.
    pub fn part(&self, kept: &[u32]) -> Statement {
        let Source::Values(rows) = &self.facts.source else { return self.whole() };
        let mut keeps = vec![false; rows.len()];
        for row in kept {
            keeps[*row as usize] = true;
        }
        let mut edits: Edits = self.moments.list.as_ref().or(self.layout.list.as_ref()).into_iter().cloned().collect();
        remove_rows(rows, &keeps, &mut edits);
        let used = self.renumber(rows, &keeps, &mut edits);
        let parameters = self.id_edits(|row| keeps[row], used, &mut edits);
        // Behind the ids, as in the list of columns.
        let kept = self.moments.cells.iter().filter(|cell| keeps[cell.row]);
        edits.extend(kept.map(|cell| (cell.span.clone(), cell.text.clone())));
        Statement::Rewritten { sql: splice(self.text, &self.shift.edits(&edits)), parameters }
    }

    /// Returns what a row has for a column, as SQL with the client's parameters; `None` if the INSERT gives it none.
    pub fn value(&self, row: usize, column: &str) -> Option<String> {
        let position = self.layout.columns.as_ref()?.iter().position(|known| known == column)?;
        if let Some(slot) = self.layout.slot(row, position) {
            return self.ids.get(slot).map(IdValue::literal);
        }
        let Source::Values(rows) = &self.facts.source else { return None };
        let cell = rows.get(row)?.cells.get(position)?;
        (cell.value != CellValue::Default).then(|| self.text[self.shift.span(&cell.span)].to_owned())
    }

    /// Writes the ids of the rows that stay; returns the list of parameters, `used` of the client's first.
    fn id_edits(&self, stays: impl Fn(usize) -> bool, used: Vec<usize>, edits: &mut Edits) -> Vec<ParameterSource> {
        let mut sources: Vec<ParameterSource> = used.into_iter().map(ParameterSource::Client).collect();
        for (slot, id) in self.layout.slots.iter().zip(self.ids) {
            if !stays(slot.row) {
                continue;
            }
            let written = match self.form {
                IdForm::Literal => id.literal(),
                IdForm::Parameter => {
                    sources.push(id.parameter());
                    format!("${}", sources.len())
                }
            };
            edits.push((slot.span.clone(), format!("{}{written}{}", slot.around.0, slot.around.1)));
        }
        sources
    }

    /// Gives the parameters that stay new numbers in the old order; returns the old 0-based indexes.
    fn renumber(&self, rows: &[Row], keeps: &[bool], edits: &mut Edits) -> Vec<usize> {
        let mut row = 0;
        let mut stays = |start: usize| {
            while row < rows.len() && rows[row].span.end <= start {
                row += 1;
            }
            row >= rows.len() || rows[row].span.start > start || keeps[row]
        };
        let uses: Vec<_> = self.facts.parameters.iter().filter(|used| stays(used.span.start)).collect();
        let mut used: Vec<usize> = uses.iter().map(|used| used.index).collect();
        used.sort_unstable();
        used.dedup();
        for parameter in uses {
            let number = used.binary_search(&parameter.index).map_or(0, |place| place + 1);
            if number != parameter.index + 1 {
                edits.push((parameter.span.clone(), format!("${number}")));
            }
        }
        used
    }
}

/// Takes out the rows that do not stay, with the commas and comments between.
fn remove_rows(rows: &[Row], keeps: &[bool], edits: &mut Edits) {
    let mut end = rows.first().map_or(0, |row| row.span.start);
    let (mut before_first, mut gap) = (true, false);
    for (row, keep) in rows.iter().zip(keeps) {
        if !keep {
            gap = true;
            continue;
        }
        if gap {
            let between = if before_first { "" } else { ", " };
            edits.push((end..row.span.start, between.to_owned()));
        }
        (before_first, gap, end) = (false, false, row.span.end);
    }
    if gap {
        let last = rows.last().map_or(end, |row| row.span.end);
        edits.push((end..last, String::new()));
    }
}
