//! What a split COPY's rows get in columns that it leaves out: numbers of home's sequences, drawn for all rows at hand at
//! once, and one moment for all rows.

use std::borrow::Cow;

use super::copy_ids::with_text;
use super::copy_rows::Split;
use super::direct::splice_time;
use super::failure::Failure;
use super::home_numbers::{RowNumbers, no_number, numbers_of};
use super::link::{FORGET_SEQUENCES, Link};
use crate::plan::{CopyPlan, classify};
use crate::types::Refusal;
use crate::wire::copy_binary::{self, Next};
use crate::wire::copy_text;

impl Link {
    /// Draws the numbers of the whole rows at the front of `pending`.
    pub(super) async fn number_ahead(&mut self, split: &mut Split<'_>, pending: &[u8]) -> Result<(), Failure> {
        if split.plan.numbers.is_empty() {
            return Ok(());
        }
        let rows = if split.plan.binary { rows_of(split, pending) } else { lines_of(split, pending) };
        let missing = rows.saturating_sub(split.numbers.len());
        split.numbers.extend(self.draw_beside(&split.plan.numbers, missing).await?);
        Ok(())
    }

    /// Returns the values of the columns that a COPY leaves to the present time, as one of its shards has them.
    pub(super) async fn moments(&mut self, plan: &CopyPlan) -> Result<RowNumbers, Failure> {
        if plan.moments.is_empty() {
            return Ok(RowNumbers::new());
        }
        let values = plan.moments.iter().map(|moment| moment.draw.as_str()).collect::<Vec<_>>().join(", ");
        let question = format!("SELECT {values}");
        let now = self.present().await?;
        let spans = classify::present(&question, &self.snapshot.catalog);
        let shard = self.transaction.members[0].server.shard();
        let reply = self.ask(shard, &splice_time(&question, &spans, &now)).await?;
        reply.rows.into_iter().next().and_then(numbers_of).ok_or_else(|| no_number().into())
    }

    /// Has the session's server on home forget what it drew before: what COPY drew beside it is newer, and `lastval` would not
    /// tell.
    pub(super) async fn forget_sequences(&mut self) -> Result<(), Failure> {
        let home = self.snapshot.rules.home;
        if let Some(position) = self.transaction.position(home) {
            return self.member_simple(position, FORGET_SEQUENCES).await;
        }
        if let Some(server) = self.pinned.iter_mut().find(|server| server.shard() == home) {
            server.simple(FORGET_SEQUENCES).await?;
        }
        Ok(())
    }
}

impl Split<'_> {
    /// Appends the next numbers, and the moments, to a line.
    pub(super) fn numbered_line<'a>(&mut self, row: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        let Some(values) = self.next_appended()? else { return Ok(Cow::Borrowed(row)) };
        Ok(Cow::Owned(values.iter().fold(row.to_vec(), |row, value| with_text(&row, self.plan, value))))
    }

    /// Appends the same to a row in binary format.
    pub(super) fn numbered_row<'a>(&mut self, row: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        let Some(values) = self.next_appended()? else { return Ok(Cow::Borrowed(row)) };
        let mut row = row.to_vec();
        for (column, value) in self.plan.numbers.iter().chain(&self.plan.moments).zip(&values) {
            row = copy_binary::with_field(&row, &column.to_binary(value).ok_or_else(no_number)?);
        }
        Ok(Cow::Owned(row))
    }

    fn next_appended(&mut self) -> Result<Option<RowNumbers>, Refusal> {
        if self.plan.numbers.is_empty() && self.moments.is_empty() {
            return Ok(None);
        }
        let mut values = match self.plan.numbers.is_empty() {
            true => RowNumbers::new(),
            false => self.numbers.pop_front().ok_or_else(no_number)?,
        };
        values.extend(self.moments.iter().cloned());
        Ok(Some(values))
    }
}

fn lines_of(split: &Split<'_>, mut pending: &[u8]) -> usize {
    let mut csv = split.csv.clone();
    let mut lines = 0;
    let headers = usize::from(split.plan.header && split.header.is_none());
    loop {
        let length = match &mut csv {
            Some(rows) => rows.next(pending, split.done).unwrap_or_default(),
            None => copy_text::next_row(pending),
        };
        match length.and_then(|length| pending.split_at_checked(length)) {
            Some((line, rest)) if lines < headers || !split.is_end_of_data(line) => pending = rest,
            Some(_) | None => return lines.saturating_sub(headers),
        }
        lines += 1;
    }
}

/// Behind the header.
fn rows_of(split: &Split<'_>, mut pending: &[u8]) -> usize {
    let mut rows = 0;
    while let Ok(Next::Row(length)) = copy_binary::next(pending, split.columns)
        && let Some((_, rest)) = pending.split_at_checked(length)
    {
        pending = rest;
        rows += 1;
    }
    rows
}
