//! Numbers of home's sequences for rows that are at hand: those of a COPY, or of a query that is inserted.

use bytes::Bytes;

use super::call::Call;
use super::carry::{misread, with_text};
use super::failure::Failure;
use super::held::{frames, told};
use super::link::Link;
use crate::plan::insert::HomeNumber;
use crate::plan::{Direct, Statement};
use crate::types::{Refusal, SqlState};
use crate::wire::backend::DataRow;
use crate::wire::frame::{FrameError, HEADER_BYTES};

/// The most rows that are numbered by one question.
const ROWS_MAX: usize = 10_000;

/// More than their answer has.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The numbers of one row, in the order of their columns.
pub(super) type RowNumbers = Vec<String>;

impl Link {
    /// Draws numbers for so many rows as a statement before `call` would: `lastval` knows of them.
    pub(super) async fn draw_in_turn(
        &mut self,
        call: &Call,
        numbers: &[HomeNumber],
        rows: usize,
    ) -> Result<Vec<RowNumbers>, Failure> {
        let mut drawn = Vec::with_capacity(rows);
        if numbers.is_empty() {
            return Ok(drawn);
        }
        let at_home = Direct {
            shard: self.snapshot.rules.home,
            statement: Statement::Original,
            effect: None,
            anywhere: false,
            reads_reference: false,
        };
        while drawn.len() < rows {
            let count = (rows - drawn.len()).min(ROWS_MAX);
            let draw = with_text(call, draws(numbers, count), &[], &[]);
            let held = self.client.hold(BYTES_MAX);
            let done = Box::pin(self.direct(&draw, &at_home)).await;
            let (reply, overflow) = self.client.release(held);
            told(done, &reply)?;
            let rows = frames(&reply).filter(|frame| frame[0] == b'D').map(|frame| &frame[HEADER_BYTES..]);
            let more: Vec<Option<RowNumbers>> = rows.map(numbers_in).collect::<Result<_, _>>().map_err(misread)?;
            if overflow || more.len() != count {
                return Err(no_number().into());
            }
            drawn.extend(all_there(more, numbers)?);
        }
        Ok(drawn)
    }

    /// Draws numbers for so many rows, on a connection of its own: that of the transaction is at work for them.
    pub(super) async fn draw_beside(
        &mut self,
        numbers: &[HomeNumber],
        rows: usize,
    ) -> Result<Vec<RowNumbers>, Failure> {
        let mut drawn = Vec::with_capacity(rows);
        if numbers.is_empty() || rows == 0 {
            return Ok(drawn);
        }
        let mut server = self.borrow_another(self.snapshot.rules.home).await?;
        let mut failure = None;
        while drawn.len() < rows && failure.is_none() {
            let count = (rows - drawn.len()).min(ROWS_MAX);
            match server.simple(&draws(numbers, count)).await {
                Ok(reply) if reply.rows.len() == count => {
                    match all_there(reply.rows.into_iter().map(numbers_of).collect(), numbers) {
                        Ok(more) => drawn.extend(more),
                        Err(refusal) => failure = Some(refusal.into()),
                    }
                }
                Ok(_) => failure = Some(no_number().into()),
                Err(error) => failure = Some(error.into()),
            }
        }
        self.give_back_another(server);
        failure.map_or(Ok(drawn), Err)
    }
}

/// Returns the question for the numbers of so many rows.
fn draws(numbers: &[HomeNumber], rows: usize) -> String {
    let draws = numbers.iter().map(|number| number.draw.as_str()).collect::<Vec<_>>().join(", ");
    format!("SELECT {draws} FROM pg_catalog.generate_series(1, {rows})")
}

fn all_there(rows: Vec<Option<RowNumbers>>, numbers: &[HomeNumber]) -> Result<Vec<RowNumbers>, Refusal> {
    rows.into_iter().collect::<Option<_>>().ok_or_else(|| null_number(numbers))
}

/// Reads a row's body; `None` if a number is NULL.
fn numbers_in(body: &[u8]) -> Result<Option<RowNumbers>, FrameError> {
    let text = |value: Option<&[u8]>| String::from_utf8(value?.to_vec()).ok();
    Ok(DataRow::read(body)?.map(text).collect())
}

/// Reads a row; `None` if a number is NULL.
pub(super) fn numbers_of(row: Vec<Option<Bytes>>) -> Option<RowNumbers> {
    row.into_iter().map(|value| String::from_utf8(value?.to_vec()).ok()).collect()
}

/// A default that is NULL at times has no place among numbers.
fn null_number(numbers: &[HomeNumber]) -> Refusal {
    let columns: Vec<String> = numbers.iter().map(|number| format!("\"{}\"", number.column)).collect();
    Refusal::unsupported(
        format!("the default of column {} draws from a sequence and gave NULL", columns.join(" or ")),
        "Give the column in the rows.",
    )
}

/// What no sequence does.
pub(super) fn no_number() -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, "home's sequences did not give as many numbers as were asked for")
}
