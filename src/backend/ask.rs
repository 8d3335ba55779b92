//! A question with one parameter on a connection: the first row of its answer, as values.

use bytes::Bytes;

use super::{BackendError, Server, ServerError};
use crate::wire::backend::DataRow;
use crate::wire::frontend::{BindValue, write_bind, write_execute, write_parse, write_sync};

/// The most rows that are asked for: the first is the answer.
const ROWS_MAX: i32 = 1;
/// The most messages of one answer, notices included.
const FRAMES_MAX: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// One statement, with `$1`.
    pub sql: &'a str,
    /// The value of `$1` as text; the server infers its type.
    pub parameter: &'a str,
}

impl Server {
    /// Asks and returns the first row, its values as text; nothing else may be in flight.
    ///
    /// Fails with [`BackendError::Server`] after the server is ready again. Not cancel-safe: dropped half-way, the
    /// connection is not usable any more.
    pub async fn ask(&mut self, ask: Ask<'_>) -> Result<Option<Vec<Option<String>>>, BackendError> {
        let out = self.out();
        write_parse(out, "", ask.sql, &[]);
        write_bind(out, "", "", &[BindValue { format: 0, value: Some(ask.parameter.as_bytes()) }], &[]);
        write_execute(out, "", ROWS_MAX);
        write_sync(out);
        let (mut answer, mut failure) = (None, None);
        for _ in 0..FRAMES_MAX {
            // A FATAL error is followed by the end, and says more than that.
            let (kind, body) = match self.frame().await {
                Ok(frame) => frame,
                Err(error) => return Err(failure.unwrap_or(error)),
            };
            match kind {
                b'Z' => return failure.map_or(Ok(answer), Err),
                b'D' => answer = Some(self.text_row(&body)?),
                b'E' => failure = Some(self.said(&body)?),
                b'G' | b'H' | b'W' => return Err(self.violated("COPY is not an answer")),
                _ => {}
            }
        }
        Err(self.violated("too many messages in an answer"))
    }

    fn text_row(&mut self, body: &Bytes) -> Result<Vec<Option<String>>, BackendError> {
        let row = DataRow::read(body).map_err(|error| self.violated(error))?;
        Ok(row.map(|value| value.map(|bytes| String::from_utf8_lossy(bytes).into_owned())).collect())
    }

    fn said(&mut self, body: &[u8]) -> Result<BackendError, BackendError> {
        match ServerError::read(&self.target().shard_name, body) {
            Ok(error) => Ok(BackendError::Server(Box::new(error))),
            Err(error) => Err(self.violated(error)),
        }
    }
}
