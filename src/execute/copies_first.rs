//! DDL of reference tables: what was written to them goes to the copies first. Row images name the columns that a table had
//! when they were captured.

use crate::outbox::Copied;
use crate::rules::Distribution;
use crate::sql::{self, Ddl, DdlObject, DdlVerb, Utility};
use crate::types::{Refusal, ShardId, SqlState};

use super::call::Call;
use super::failure::Failure;
use super::link::{Link, Role};
use super::shard_by_shard::qualified;

/// Words of an ALTER TABLE after which images of before would be read otherwise.
const REWRITES: [&str; 3] = ["rename", "type", "schema"];

impl Link {
    /// Keeps writers from the reference tables that a statement changes until the transaction ends, and waits until their
    /// copies have all that was written before.
    pub(super) async fn copies_first(&mut self, call: &Call) -> Result<(), Failure> {
        match sql::utility(&call.text) {
            Some(Utility::Ddl(ddl)) => self.copies_before(&call.text, &ddl).await,
            Some(Utility::Do) => {
                for (statement, ddl) in &sql::schema_changes(&call.text).ddl {
                    self.copies_before(statement, ddl).await?;
                }
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn copies_before(&mut self, text: &str, ddl: &Ddl) -> Result<(), Failure> {
        let Some(lock) = lock_of(ddl) else { return Ok(()) };
        for (at, table) in ddl.tables.iter().enumerate() {
            let key = table.rule_key();
            let Some(home) = self.reference_home(&key) else { continue };
            // A table that is not there yet has nothing to bring along.
            if self.snapshot.catalog.table(&key).is_none() {
                continue;
            }
            let home_name = self.shard_name(home);
            if at == 0
                && self.transaction.written_references.iter().any(|written| *written == key)
                && rewrites(text, ddl)
            {
                return Err(written_before(&key, &home_name).into());
            }
            let position = self.enlist(home, Role::Part).await?;
            let lock = if at == 0 { lock } else { "SHARE ROW EXCLUSIVE" };
            self.member_simple(position, &format!("LOCK TABLE {} IN {lock} MODE", qualified(table))).await?;
            let wait = self.worker.limits().wait_timeout;
            let settled = Box::pin(self.worker.proxy.outbox.wait_copied(home, &key, wait)).await;
            match settled.map_err(|error| Failure::from(error.refusal()))? {
                Copied::Yes => {}
                Copied::Stuck if ddl.verb == DdlVerb::Drop || !rewrites(text, ddl) => {}
                Copied::Stuck => return Err(stuck(&key).into()),
                Copied::NotYet => return Err(not_copied(&key).into()),
            }
        }
        Ok(())
    }

    fn reference_home(&self, key: &str) -> Option<ShardId> {
        match self.snapshot.rules.table(key).map(|rule| &rule.distribution) {
            Some(Distribution::Reference { home, .. }) => Some(*home),
            Some(Distribution::Sharded { .. } | Distribution::Single { .. }) | None => None,
        }
    }
}

/// Returns how a statement locks the table it changes; `None` if rows mean the same after it.
fn lock_of(ddl: &Ddl) -> Option<&'static str> {
    match (ddl.verb, ddl.object) {
        (DdlVerb::Alter | DdlVerb::Drop, DdlObject::Table) => Some("ACCESS EXCLUSIVE"),
        (DdlVerb::Create, DdlObject::Index) => Some("SHARE"),
        _ => None,
    }
}

fn rewrites(text: &str, ddl: &Ddl) -> bool {
    let mut tokens = sql::Scanner::new(text);
    ddl.verb == DdlVerb::Drop || tokens.any(|token| REWRITES.iter().any(|word| token.is_word(text, word)))
}

fn written_before(table: &str, home: &str) -> Refusal {
    Refusal::unsupported(
        format!("this transaction has written reference table \"{table}\", and would change what its columns mean before shard \"{home}\" has told the copies"),
        "Commit first, and change the table in a transaction of its own.",
    )
    .with_reason("uncommitted_reference")
}

fn stuck(table: &str) -> Refusal {
    Refusal::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("rows of reference table \"{table}\" that a copy has refused would be read otherwise after this change"),
    )
    .with_hint("SHOW DEAD LETTERS on the console names them. Retry or skip them first, or copy the table again (shardloom ledger resync).")
}

fn not_copied(table: &str) -> Refusal {
    Refusal::new(
        SqlState::LOCK_NOT_AVAILABLE,
        format!("what was written to reference table \"{table}\" has not reached all its copies yet"),
    )
    .with_hint("Try again; SHOW LANES on the console says what waits, and for which shard.")
}
