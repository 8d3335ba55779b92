//! Control statements on a connection: one Query, its reply as values.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::{BackendError, Connection, ServerError};
use crate::wire::backend::{DataRow, command_tag};
use crate::wire::frontend::{write_copy_fail, write_query};

/// The most rows that a control statement may return; such statements return a handful.
const ROWS_MAX: usize = 100_000;
/// The most bytes of notices and the like that are kept for the client; those beyond are dropped, as a log would.
const ASIDES_BYTES_MAX: usize = 1024 * 1024;

/// The reply to a control statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimpleReply {
    /// Values in text format, row by row; `None` is NULL.
    pub rows: Vec<Vec<Option<Bytes>>>,
    /// The last command's tag, as `SELECT 1`.
    pub tag: String,
    /// Notices, notifications and parameters that came with it, as frames.
    pub asides: BytesMut,
}

impl Connection {
    /// Sends `sql` as one Query and reads its whole reply; nothing else may be in flight.
    ///
    /// Fails with [`BackendError::Server`] after the server is ready again. Not cancel-safe: dropped half-way, the
    /// connection is not usable any more.
    pub async fn simple(&mut self, sql: &str) -> Result<SimpleReply, BackendError> {
        self.put_query(sql)?;
        self.query_reply().await
    }

    /// As [`Connection::simple`]; a server that has not answered after `most` counts as lost.
    pub async fn simple_within(&mut self, sql: &str, most: Duration) -> Result<SimpleReply, BackendError> {
        self.put_query(sql)?;
        self.query_reply_within(most).await
    }

    /// As [`Connection::query_reply`]; a server that has not answered after `most` counts as lost.
    pub async fn query_reply_within(&mut self, most: Duration) -> Result<SimpleReply, BackendError> {
        match tokio::time::timeout(most, self.query_reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(self.lost(format!("it did not answer within {most:?}"))),
        }
    }

    /// Writes `sql` as one Query; [`Connection::query_reply`] sends it, if nothing did before, and reads the reply.
    pub fn put_query(&mut self, sql: &str) -> Result<(), BackendError> {
        if self.is_broken() {
            return Err(self.lost("it broke before"));
        }
        if self.is_awaited() {
            return Err(self.violated("a control statement while replies are outstanding"));
        }
        write_query(self.out(), sql);
        Ok(())
    }

    /// Reads the whole reply to [`Connection::put_query`].
    pub async fn query_reply(&mut self) -> Result<SimpleReply, BackendError> {
        let mut reply = SimpleReply::default();
        let mut failure = None;
        loop {
            let (kind, body) = match (self.frame().await, failure.take()) {
                (Ok(frame), kept) => {
                    failure = kept;
                    frame
                }
                // FATAL: the server says why and closes.
                (Err(_), Some(said)) => return Err(said),
                (Err(error), None) => return Err(error),
            };
            match kind {
                b'Z' => break,
                b'D' => self.take_row(&mut reply, &body)?,
                b'C' => reply.tag = command_tag(&body).map_err(|error| self.violated(error))?.to_owned(),
                b'E' => failure = Some(self.read_error(&body)?),
                b'N' | b'A' | b'S' if reply.asides.len() < ASIDES_BYTES_MAX => {
                    reply.asides.put_u8(kind);
                    reply.asides.put_u32(body.len() as u32 + 4);
                    reply.asides.put_slice(&body);
                }
                b'G' => write_copy_fail(self.out(), "COPY is not a control statement"),
                _ => {}
            }
        }
        failure.map_or(Ok(reply), Err)
    }

    fn take_row(&mut self, reply: &mut SimpleReply, body: &Bytes) -> Result<(), BackendError> {
        if reply.rows.len() >= ROWS_MAX {
            return Err(self.violated("a control statement returned too many rows"));
        }
        let row = DataRow::read(body).map_err(|error| self.violated(error))?;
        reply.rows.push(row.map(|value| value.map(|bytes| body.slice_ref(bytes))).collect());
        Ok(())
    }

    fn read_error(&mut self, body: &[u8]) -> Result<BackendError, BackendError> {
        match ServerError::read(&self.target().shard_name, body) {
            Ok(error) => Ok(BackendError::Server(Box::new(error))),
            Err(error) => Err(self.violated(error)),
        }
    }
}
