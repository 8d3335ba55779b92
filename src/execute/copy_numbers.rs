//! The numbers of a split COPY's rows in columns that it leaves to home's sequences: drawn for all rows at hand at once.

use std::borrow::Cow;

use super::copy_ids::with_text;
use super::copy_rows::Split;
use super::failure::Failure;
use super::home_numbers::no_number;
use super::link::{FORGET_SEQUENCES, Link};
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
    /// Appends the next numbers to a line.
    pub(super) fn numbered_line<'a>(&mut self, row: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        if self.plan.numbers.is_empty() {
            return Ok(Cow::Borrowed(row));
        }
        let numbers = self.numbers.pop_front().ok_or_else(no_number)?;
        Ok(Cow::Owned(numbers.iter().fold(row.to_vec(), |row, number| with_text(&row, self.plan, number))))
    }

    /// Appends the next numbers to a row in binary format.
    pub(super) fn numbered_row<'a>(&mut self, row: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        if self.plan.numbers.is_empty() {
            return Ok(Cow::Borrowed(row));
        }
        let numbers = self.numbers.pop_front().ok_or_else(no_number)?;
        let mut row = row.to_vec();
        for (column, number) in self.plan.numbers.iter().zip(&numbers) {
            row = copy_binary::with_field(&row, &column.to_binary(number).ok_or_else(no_number)?);
        }
        Ok(Cow::Owned(row))
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
