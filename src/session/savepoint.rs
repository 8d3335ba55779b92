//! Savepoints, on every shard of the transaction; a shard that joins later gets those that are open.

use postgres_protocol::escape::escape_identifier;

use crate::execute::{Block, Failure};
use crate::types::{Refusal, SqlState};
use crate::wire::backend;

use super::conversation::Session;

impl Session {
    pub(super) async fn savepoint(&mut self, name: &str) -> Result<(), Failure> {
        self.need_block("SAVEPOINT")?;
        let quoted = escape_identifier(name);
        self.on_members(&format!("SAVEPOINT {quoted}")).await?;
        let settings = self.link.settings.clone();
        if !self.link.transaction.savepoint(&quoted, settings) {
            return Err(
                Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many open savepoints in one transaction").into()
            );
        }
        backend::write_command_complete(self.link.client.output(), "SAVEPOINT");
        Ok(())
    }

    pub(super) async fn release(&mut self, name: &str) -> Result<(), Failure> {
        self.need_block("RELEASE SAVEPOINT")?;
        let position = self.find_savepoint(name)?;
        self.on_members(&format!("RELEASE SAVEPOINT {}", escape_identifier(name))).await?;
        self.link.transaction.release(position);
        self.extended.release_portals(position);
        backend::write_command_complete(self.link.client.output(), "RELEASE");
        Ok(())
    }

    pub(super) async fn rollback_to(&mut self, name: &str) -> Result<(), Failure> {
        self.need_block("ROLLBACK TO SAVEPOINT")?;
        let position = self.find_savepoint(name)?;
        self.on_members(&format!("ROLLBACK TO SAVEPOINT {}", escape_identifier(name))).await?;
        self.link.settings = self.link.transaction.rollback_to(position);
        self.link.forget_applied_settings();
        self.extended.forget_portals_inside(position);
        backend::write_command_complete(self.link.client.output(), "ROLLBACK");
        Ok(())
    }

    fn need_block(&self, verb: &str) -> Result<(), Failure> {
        if self.link.transaction.block() == Block::Explicit {
            return Ok(());
        }
        let message = format!("{verb} can only be used in transaction blocks");
        Err(Refusal::new(SqlState::NO_ACTIVE_TRANSACTION, message).into())
    }

    fn find_savepoint(&self, name: &str) -> Result<usize, Failure> {
        self.link.transaction.find_savepoint(&escape_identifier(name)).ok_or_else(|| {
            Refusal::new(SqlState::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist")).into()
        })
    }

    async fn on_members(&mut self, sql: &str) -> Result<(), Failure> {
        for position in 0..self.link.transaction.members.len() {
            self.link.member_simple(position, sql).await?;
        }
        Ok(())
    }
}
