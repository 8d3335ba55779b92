//! The simple protocol: one Query message, one or more statements.

use std::ops::Range;

use crate::execute::{Block, Call, ClientError, Failure, Meaning, Position, Understood};
use crate::sql;
use crate::types::{Refusal, SqlState};

use super::conversation::Session;

impl Session {
    /// Runs a Query message; everything but ReadyForQuery is in the output afterwards.
    ///
    /// Several statements are one implicit transaction, as in PostgreSQL, unless they open or end one themselves.
    pub(super) async fn simple(&mut self, text: &str) -> Result<(), ClientError> {
        self.link.client.position = Position::Same;
        if is_single(text) {
            return self.simple_one(text).await;
        }
        let statements = sql::split(text);
        match statements.len() {
            0 | 1 => Box::pin(self.simple_one(text)).await,
            _ => Box::pin(self.simple_string(text, statements)).await,
        }
    }

    /// Runs the statements of a string, one after another.
    async fn simple_string(&mut self, text: &str, statements: Vec<Range<usize>>) -> Result<(), ClientError> {
        for range in statements {
            if !self.link.transaction.is_open() {
                self.link.transaction.open(Block::Implicit, "", false);
            }
            self.link.client.position = Position::Behind(text[..range.start].chars().count());
            let call = Call::simple(text[range].into());
            if let Err(failure) = self.statement(call).await {
                return self.stop_string(failure).await;
            }
        }
        Ok(())
    }

    async fn simple_one(&mut self, text: &str) -> Result<(), ClientError> {
        match self.statement(Call::simple(text.into())).await {
            Ok(()) => Ok(()),
            Err(failure) => self.tell(failure),
        }
    }

    /// An error ends the whole string; an implicit transaction is rolled back.
    async fn stop_string(&mut self, failure: Failure) -> Result<(), ClientError> {
        let told = self.tell(failure);
        if self.link.is_implicit() {
            self.link.rollback().await;
            self.transaction_ended(false).await;
        }
        told
    }

    /// Ends the implicit transaction of a query string, also one that a pipeline without Sync had left open.
    pub(super) async fn end_implicit(&mut self) -> Result<(), ClientError> {
        if !self.link.is_implicit() {
            return Ok(());
        }
        if self.link.transaction.is_failed() {
            self.link.rollback().await;
            self.transaction_ended(false).await;
            return Ok(());
        }
        let committed = self.link.commit().await;
        self.transaction_ended(committed.is_ok()).await;
        match committed {
            Ok(()) => Ok(()),
            Err(failure) => self.tell(failure),
        }
    }

    /// Runs one statement of the simple protocol.
    async fn statement(&mut self, mut call: Call) -> Result<(), Failure> {
        if let Some(text) = self.link.steered_text(&call.text) {
            self.link.client.position = Position::Unknown;
            call.text = text;
        }
        let (understood, literals) = self.link.worker.plans.understand_masked(&call.text, &self.link.snapshot)?;
        call.literals = literals;
        self.understood(&call, &understood).await
    }

    /// Runs a statement that is understood already.
    pub(super) async fn understood(&mut self, call: &Call, understood: &Understood) -> Result<(), Failure> {
        if let Meaning::Control(control) = &understood.meaning {
            return self.control(call, control).await;
        }
        match &understood.meaning {
            Meaning::Empty => {}
            // In the heap: every message would carry the room for it.
            Meaning::Keyed(keyed) => return Box::pin(self.keyed(call, keyed)).await,
            Meaning::Plan(_) | Meaning::Control(_) => self.refuse_if_failed()?,
        }
        self.link.run(call, understood).await
    }

    /// In a failed block nothing runs but its end.
    pub(super) fn refuse_if_failed(&self) -> Result<(), Failure> {
        if self.link.transaction.is_failed() {
            return Err(Refusal::new(
                SqlState::IN_FAILED_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )
            .into());
        }
        Ok(())
    }
}

/// Tells, without reading the text, that it is one statement: no semicolon but at its end.
fn is_single(text: &str) -> bool {
    match memchr::memchr(b';', text.as_bytes()) {
        None => true,
        Some(position) => text[position + 1..].bytes().all(|byte| byte.is_ascii_whitespace()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_single;

    #[test]
    fn one_statement_is_told_without_reading_it() {
        assert!(is_single("SELECT 1") && is_single("SELECT 1;") && is_single("SELECT 1 ; \n") && is_single(""));
        assert!(!is_single("SELECT 1; SELECT 2") && !is_single("SELECT ';'||1"));
    }
}
