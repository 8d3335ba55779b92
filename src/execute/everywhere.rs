//! The same statement on several shards: DDL, TRUNCATE, VACUUM, ANALYZE.

use crate::plan::{Direct, Statement, WriteEffect};
use crate::types::{ShardId, ShardSet};

use super::call::Call;
use super::collect::{self, Collected};
use super::failure::Failure;
use super::forward::{self, Passing, Tag};
use super::link::{Link, Role};
use super::write::total_tag;

impl Link {
    /// Runs the statement on every shard of the set and answers once.
    ///
    /// With an effect it is one transaction over all of them; without (VACUUM, CREATE INDEX CONCURRENTLY) it runs
    /// shard after shard and the first error stops it, naming the shard.
    pub async fn everywhere(
        &mut self,
        call: &Call,
        shards: ShardSet,
        statement: &Statement,
        effect: Option<&WriteEffect>,
    ) -> Result<(), Failure> {
        if let Some(shard) = shards.only() {
            return self.on_one(call, shard, statement, effect).await;
        }
        match effect {
            None if !self.transaction.is_open() => self.one_after_another(call, shards, statement).await,
            _ => self.at_once(call, shards, statement, effect).await,
        }
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

    async fn one_after_another(&mut self, call: &Call, shards: ShardSet, statement: &Statement) -> Result<(), Failure> {
        let mut held = None;
        for shard in shards.iter() {
            let mut server = self.borrow(shard).await?;
            call.write(server.out(), statement);
            server.flush().await?;
            let passing = if held.is_none() { Passing::of(call) } else { Passing::Execution { describe: false } };
            let reply = forward::reply(&mut self.client, &mut server, passing, Tag::Hold).await?;
            self.give_back(server);
            if reply.failed {
                return Err(Failure::Told);
            }
            held = held.or(reply.held);
        }
        self.client.output().extend_from_slice(&held.unwrap_or_default());
        Ok(())
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
