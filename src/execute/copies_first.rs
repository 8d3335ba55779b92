//! DDL of reference tables: what was written to them goes to the copies first. Row images name the columns that a table had
//! when they were captured.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;

use crate::outbox::{Copied, UpTo};
use crate::proxy::ShardState;
use crate::sql::{self, Ddl, DdlObject, DdlVerb, Utility};
use crate::types::{Refusal, ShardId, SqlState};

use super::call::Call;
use super::client::ClientError;
use super::failure::Failure;
use super::link::{Link, Role};
use super::shard_by_shard::qualified;

/// How long a statement waits for copies that are behind, before it locks the table.
const BACKLOG_WAIT: Duration = Duration::from_secs(60);
/// How often it looks whether that has become vain.
const LOOK: Duration = Duration::from_millis(250);
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
            let Some(home) = self.snapshot.rules.reference_home(&key) else { continue };
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
            self.let_copies_come(home, &key).await?;
            let lock = if at == 0 { lock } else { "SHARE ROW EXCLUSIVE" };
            self.member_simple(position, &format!("LOCK TABLE {} IN {lock} MODE", qualified(table))).await?;
            let wait = self.worker.limits().wait_timeout;
            let settled = Box::pin(self.worker.proxy.outbox.wait_copied(home, &key, UpTo::End, wait)).await;
            match settled.map_err(|error| error.refusal())? {
                Copied::Yes => {}
                Copied::Stuck if ddl.verb == DdlVerb::Drop || !rewrites(text, ddl) => {}
                Copied::Stuck => return Err(stuck(&key).into()),
                Copied::NotYet => return Err(not_copied(&key).into()),
            }
        }
        Ok(())
    }

    /// Waits, without a lock, until the copies have what home has at the beginning: the lock, which others stand at, then has little
    /// left to wait for. It ends early where a shard is down, and when the client goes, cancels or its `statement_timeout` is over.
    async fn let_copies_come(&mut self, home: ShardId, key: &str) -> Result<(), Failure> {
        let outbox = self.worker.proxy.outbox.clone();
        let up_to = outbox.newest_captured(home).await.map_err(|error| error.refusal())?;
        let come = async |wait| outbox.wait_copied(home, key, up_to, wait).await.map_err(|error| error.refusal());
        if come(Duration::ZERO).await? != Copied::NotYet {
            return Ok(());
        }
        let timeout = self.statement_timeout(home).await?;
        let until = Instant::now() + timeout.unwrap_or(BACKLOG_WAIT).min(BACKLOG_WAIT);
        let cancels = self.cancel.requests();
        while !self.is_a_shard_down() {
            let client = &mut self.client;
            let come = tokio::select! {
                come = Box::pin(come(LOOK)) => come?,
                canceled = cancels.next() => return Err(canceled.into()),
                () = poll_fn(|context| client.poll_gone(context)) => return Err(Failure::Client(ClientError::Gone)),
            };
            match come {
                Copied::Yes | Copied::Stuck => return Ok(()),
                Copied::NotYet if Instant::now() < until => {}
                Copied::NotYet if timeout.is_some_and(|timeout| timeout <= BACKLOG_WAIT) => {
                    return Err(timed_out(key).into());
                }
                Copied::NotYet => return Err(not_copied(key).into()),
            }
        }
        Ok(())
    }

    /// Returns how long the session lets its statements run.
    async fn statement_timeout(&mut self, home: ShardId) -> Result<Option<Duration>, Failure> {
        const QUESTION: &str =
            "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout' AND setting <> '0'";
        let reply = self.ask(home, QUESTION).await?;
        let millis =
            reply.rows.first().and_then(|row| row.first()?.as_deref().map(String::from_utf8_lossy)?.parse().ok());
        Ok(millis.map(Duration::from_millis))
    }

    fn is_a_shard_down(&self) -> bool {
        let health = &self.worker.proxy.health;
        self.snapshot.rules.shards.iter().any(|shard| matches!(health.state(&shard.name).0, ShardState::Down(_)))
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

fn timed_out(table: &str) -> Refusal {
    Refusal::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
        .with_detail(format!("It waited for what was written to reference table \"{table}\" to reach all its copies."))
}

fn not_copied(table: &str) -> Refusal {
    Refusal::new(
        SqlState::LOCK_NOT_AVAILABLE,
        format!("what was written to reference table \"{table}\" has not reached all its copies yet"),
    )
    .with_hint("Try again; SHOW LANES on the console says what waits, and for which shard.")
}
