//! The simple protocol: one Query message, one or more statements.

use crate::execute::{Block, Call, ClientError, Failure, Position};
use crate::sql;
use crate::types::{Refusal, SqlState};
use crate::wire::backend;

use super::conversation::Session;

impl Session {
    /// Runs a Query message; everything but ReadyForQuery is in the output afterwards.
    ///
    /// Several statements are one implicit transaction, as in PostgreSQL, unless they open or end one themselves.
    pub(super) async fn simple(&mut self, text: &str) -> Result<(), ClientError> {
        let statements = sql::split(text);
        self.link.client.position = Position::Same;
        match statements.as_slice() {
            [] => {
                backend::write_empty_query(self.link.client.output());
                Ok(())
            }
            [_] => {
                let call = Call::simple(text.into());
                match self.statement(&call).await {
                    Ok(()) => Ok(()),
                    Err(failure) => self.tell(failure),
                }
            }
            _ => {
                for range in statements {
                    if !self.link.transaction.is_open() {
                        self.link.transaction.open(Block::Implicit, "", false);
                    }
                    self.link.client.position = Position::Behind(text[..range.start].chars().count());
                    let call = Call::simple(text[range].into());
                    if let Err(failure) = self.statement(&call).await {
                        return self.stop_string(failure).await;
                    }
                }
                self.end_string().await
            }
        }
    }

    /// An error ends the whole string; an implicit transaction is rolled back.
    async fn stop_string(&mut self, failure: Failure) -> Result<(), ClientError> {
        let told = self.tell(failure);
        if self.link.is_implicit() {
            self.link.rollback().await;
        }
        told
    }

    async fn end_string(&mut self) -> Result<(), ClientError> {
        if !self.link.is_implicit() {
            return Ok(());
        }
        match self.link.commit().await {
            Ok(()) => Ok(()),
            Err(failure) => self.tell(failure),
        }
    }

    /// Runs one statement in either protocol.
    pub(super) async fn statement(&mut self, call: &Call) -> Result<(), Failure> {
        let understood = self.link.worker.plans.understand(&call.text, &self.link.snapshot)?;
        self.understood(call, &understood).await
    }

    /// Runs a statement that is understood already.
    pub(super) async fn understood(
        &mut self,
        call: &Call,
        understood: &crate::execute::Understood,
    ) -> Result<(), Failure> {
        if let crate::execute::Meaning::Control(control) = &understood.meaning {
            return self.control(call, control).await;
        }
        self.refuse_if_failed()?;
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
