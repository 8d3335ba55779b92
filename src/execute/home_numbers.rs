//! Numbers of home's sequences for rows that are at hand: those of a COPY, or of a query that is inserted.

use bytes::Bytes;

use super::failure::Failure;
use super::link::Link;
use crate::plan::insert::HomeNumber;
use crate::types::{Refusal, SqlState};

/// The most rows that are numbered by one question.
const ROWS_MAX: usize = 10_000;

/// The numbers of one row, in the order of their columns.
pub(super) type RowNumbers = Vec<String>;

impl Link {
    /// Draws numbers for so many rows, on a connection of its own: that of the transaction may be at work for them.
    pub(super) async fn draw_numbers(
        &mut self,
        numbers: &[HomeNumber],
        rows: usize,
    ) -> Result<Vec<RowNumbers>, Failure> {
        let mut drawn = Vec::with_capacity(rows);
        if numbers.is_empty() || rows == 0 {
            return Ok(drawn);
        }
        let draws = numbers.iter().map(|number| number.draw.as_str()).collect::<Vec<_>>().join(", ");
        let mut server = self.borrow_another(self.snapshot.rules.home).await?;
        let mut failure = None;
        while drawn.len() < rows && failure.is_none() {
            let count = (rows - drawn.len()).min(ROWS_MAX);
            let sql = format!("SELECT {draws} FROM pg_catalog.generate_series(1, {count})");
            match server.simple(&sql).await {
                Ok(reply) if reply.rows.len() == count => drawn.extend(reply.rows.into_iter().map_while(numbers_of)),
                Ok(_) => failure = Some(no_number().into()),
                Err(error) => failure = Some(error.into()),
            }
        }
        self.give_back(server);
        match failure {
            None if drawn.len() == rows => Ok(drawn),
            None => Err(no_number().into()),
            Some(failure) => Err(failure),
        }
    }
}

/// Reads a row; `None` if a number is NULL.
fn numbers_of(row: Vec<Option<Bytes>>) -> Option<RowNumbers> {
    row.into_iter().map(|value| String::from_utf8(value?.to_vec()).ok()).collect()
}

/// What no sequence does.
pub(super) fn no_number() -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, "home's sequences did not give as many numbers as were asked for")
}
