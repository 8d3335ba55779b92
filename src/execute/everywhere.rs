//! The same statement on several shards: DDL, TRUNCATE, VACUUM, ANALYZE.

use postgres_protocol::escape::escape_identifier;

use crate::backend::SimpleReply;
use crate::plan::{Direct, Statement, WriteEffect};
use crate::sql::{self, DdlObject, DdlVerb, TableName, Utility};
use crate::types::{Refusal, ShardId, ShardSet, SqlState};

use super::call::Call;
use super::collect::{self, Collected};
use super::failure::Failure;
use super::link::{Link, Role};
use super::settings::quoted_value;
use super::write::total_tag;

impl Link {
    /// Runs the statement on every shard of the set and answers once.
    ///
    /// With an effect it is one transaction over all of them; without (VACUUM, CREATE INDEX CONCURRENTLY) it runs
    /// shard by shard.
    pub async fn everywhere(
        &mut self,
        call: &Call,
        shards: ShardSet,
        statement: &Statement,
        effect: Option<&WriteEffect>,
    ) -> Result<(), Failure> {
        if !self.transaction.is_open() && matches!(sql::utility(&call.text), Some(Utility::Lock { .. })) {
            return Err(Refusal::new(
                SqlState::NO_ACTIVE_TRANSACTION,
                "LOCK TABLE can only be used in transaction blocks",
            )
            .into());
        }
        self.wait_for_following(shards).await?;
        let asked = shards.len();
        let shards = self.holders(call, shards).await?;
        let alone = effect.is_none() && !self.transaction.is_open() && asked > 1;
        if let Some(shard) = shards.only().filter(|_| !alone) {
            return self.on_one(call, shard, statement, effect).await;
        }
        match effect {
            None if alone => Box::pin(self.shard_by_shard(call, shards, statement)).await,
            _ => self.at_once(call, shards, statement, effect).await,
        }
    }

    /// Narrows the shards to those that have the index or sequence that a statement changes: its name does not say
    /// which table it belongs to. Home is left if none has it, to say so.
    async fn holders(&mut self, call: &Call, shards: ShardSet) -> Result<ShardSet, Failure> {
        let Some(question) = sql::utility(&call.text).and_then(|utility| which_holds(&utility)) else {
            return Ok(shards);
        };
        let mut holders = ShardSet::new();
        for shard in shards.iter() {
            if self.holds(shard, &question).await? {
                holders.insert(shard);
            }
        }
        if holders.is_empty() {
            holders.insert(self.snapshot.rules.home);
        }
        Ok(holders)
    }

    /// Asks one shard, in the transaction if one is open.
    pub(super) async fn ask(&mut self, shard: ShardId, question: &str) -> Result<SimpleReply, Failure> {
        if self.transaction.is_open() {
            let position = self.enlist(shard, Role::Reader).await?;
            self.flush_member(position).await?;
            return Ok(self.transaction.members[position].server.simple(question).await?);
        }
        let mut server = self.borrow(shard).await?;
        let reply = server.simple(question).await;
        self.give_back(server);
        Ok(reply?)
    }

    async fn holds(&mut self, shard: ShardId, question: &str) -> Result<bool, Failure> {
        let reply = self.ask(shard, question).await?;
        let value = reply.rows.first().and_then(|row| row.first().cloned().flatten());
        Ok(value.is_some_and(|value| value[..] == *b"t"))
    }

    async fn on_one(
        &mut self,
        call: &Call,
        shard: ShardId,
        statement: &Statement,
        effect: Option<&WriteEffect>,
    ) -> Result<(), Failure> {
        let plan = Direct {
            shard,
            statement: statement.clone(),
            effect: effect.cloned(),
            anywhere: false,
            reads_reference: false,
        };
        self.direct(call, &plan).await
    }

    async fn at_once(
        &mut self,
        call: &Call,
        shards: ShardSet,
        statement: &Statement,
        effect: Option<&WriteEffect>,
    ) -> Result<(), Failure> {
        let implicit = self.open_implicit();
        let done = self.run_on_all(call, shards, statement, effect).await;
        let replies = match done {
            Ok(replies) if implicit => {
                self.commit().await?;
                replies
            }
            Ok(replies) => replies,
            Err(failure) => {
                if implicit {
                    self.rollback().await;
                }
                return Err(failure);
            }
        };
        self.describe(call, None);
        let Some(first) = replies.first() else { return Ok(()) };
        for notice in &first.notices {
            self.client.output().extend_from_slice(notice);
        }
        self.warn_of_keys(call);
        let tag = total_tag(&first.tag, replies.iter().map(Collected::affected).sum());
        crate::wire::backend::write_command_complete(self.client.output(), &tag);
        Ok(())
    }

    async fn run_on_all(
        &mut self,
        call: &Call,
        shards: ShardSet,
        statement: &Statement,
        effect: Option<&WriteEffect>,
    ) -> Result<Vec<Collected>, Failure> {
        if effect.is_some() {
            Box::pin(self.copies_first(call)).await?;
        }
        let mut positions = Vec::with_capacity(shards.len());
        for shard in shards.iter() {
            let position = self.enlist(shard, if effect.is_some() { Role::Part } else { Role::Reader }).await?;
            if let Some(effect) = effect {
                // Rules that reject writes over several shards do not mean a change of the tables themselves.
                let rejects = self.transaction.rejects.take();
                self.note_write(position, effect);
                self.transaction.rejects = rejects;
            }
            positions.push(position);
        }
        for position in &positions {
            let server = &mut self.transaction.members[*position].server;
            call.write(server.out(), statement);
            server.flush().await?;
        }
        let mut replies = Vec::with_capacity(positions.len());
        for position in &positions {
            replies.push(collect::collect(&mut self.client, &mut self.transaction.members[*position]).await);
        }
        let replies = replies.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Some(frame) = replies.iter().find_map(|reply| reply.error.clone()) {
            return Err(Failure::Shard { frame });
        }
        for position in positions {
            if let Some(effect) = effect {
                self.note_redo(position, call, statement, effect, replies.first().map_or(0, Collected::affected))?;
            }
        }
        Ok(replies)
    }
}

/// Returns the query that tells whether a server has one of the indexes or sequences that a statement changes.
fn which_holds(utility: &Utility) -> Option<String> {
    let Utility::Ddl(ddl) = utility else { return None };
    let alone = matches!(ddl.object, DdlObject::Index | DdlObject::Sequence) && ddl.verb != DdlVerb::Create;
    if !alone || ddl.tables.is_empty() {
        return None;
    }
    let held = |table: &TableName| {
        let parts = table.schema.iter().chain([&table.name]);
        let name: Vec<String> = parts.map(|part| escape_identifier(part)).collect();
        format!("pg_catalog.to_regclass({}) IS NOT NULL", quoted_value(&name.join(".")))
    };
    Some(format!("SELECT {}", ddl.tables.iter().map(held).collect::<Vec<_>>().join(" OR ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_an_index_is_asked_by_its_quoted_name() {
        let question = |text: &str| sql::utility(text).and_then(|utility| which_holds(&utility));
        let asked = question("DROP INDEX s.\"I'x\"").expect("it is asked");
        assert_eq!(asked, "SELECT pg_catalog.to_regclass('\"s\".\"I''x\"') IS NOT NULL");
        assert!(question("ALTER SEQUENCE s RESTART").is_some() && question("REINDEX INDEX i").is_some());
        assert_eq!(question("CREATE INDEX i ON t (a)"), None);
        assert_eq!(question("DROP TABLE t"), None);
    }
}
