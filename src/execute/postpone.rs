//! Statements of an open transaction that shards other than home run later: after its COMMIT, by the relay; or before anything
//! else is done there, once the shard joins the transaction.

use crate::plan::{MultiWrite, Part, Redo, ReturningOrder, Statement, WriteEffect};
use crate::rules::Distribution;
use crate::types::{Refusal, ShardId, ShardSet, SqlState, WriteMode};
use crate::wire::backend;

use super::call::Call;
use super::collect::{Collected, collect};
use super::direct::redo_too_large;
use super::failure::Failure;
use super::link::{Link, Role};
use super::remade::forget_failed;
use super::transaction::Postponed;

impl Link {
    /// Tells whether a shard may run a statement later: home is known and another shard, and nothing so far asks for more than
    /// its COMMIT.
    pub(super) fn may_postpone(&self, effect: &WriteEffect, shard: ShardId) -> bool {
        !effect.assumed.is_empty()
            && self.transaction.first_written.is_some_and(|home| self.may_leave(effect, shard, home))
    }

    fn may_leave(&self, effect: &WriteEffect, shard: ShardId, home: ShardId) -> bool {
        let is_elsewhere = home != shard && self.transaction.position(shard).is_none();
        effect.deferrable
            && is_elsewhere
            && effect.redo == Redo::Exact
            && self.has_table(effect, home)
            && !self.asks_for_more()
    }

    /// Tells whether the transaction has or wants other shards' parts before its COMMIT.
    fn asks_for_more(&self) -> bool {
        let transaction = &self.transaction;
        transaction.reference
            || transaction.snapshot_isolation
            || transaction.mode.is_some_and(|mode| mode > WriteMode::Eventual)
            || transaction.members.iter().any(|member| member.wrote && member.server.shard() != self.home())
            || self.settings.steering.is_two_phase()
    }

    /// Tells whether the table is on a shard, if only without rows of these keys.
    fn has_table(&self, effect: &WriteEffect, shard: ShardId) -> bool {
        let rules = &self.snapshot.rules;
        effect.tables.iter().all(|table| match rules.table(table).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group, .. }) => rules.shards_of_group(*group).contains(shard),
            Some(Distribution::Reference { .. } | Distribution::Single { .. }) | None => false,
        })
    }

    /// Answers for a statement that its one shard runs later.
    pub(super) async fn postpone_direct(
        &mut self,
        call: &Call,
        shard: ShardId,
        effect: &WriteEffect,
    ) -> Result<(), Failure> {
        self.check_at_home(call).await?;
        let rows = self.postpone(call, shard, effect)?;
        self.rows = rows;
        self.describe(call, None);
        backend::write_command_complete(self.client.output(), &format!("UPDATE {rows}"));
        Ok(())
    }

    /// Returns the shards that may run their part of a write later, if there are any.
    pub(super) fn later(&self, plan: &MultiWrite) -> Option<ShardSet> {
        if plan.returning != ReturningOrder::None || plan.effect.assumed.is_empty() {
            return None;
        }
        // The first is home where nothing was written yet.
        let home = self.transaction.first_written.or_else(|| plan.parts.first().map(|part| part.shard))?;
        let shards = plan.parts.iter().map(|part| part.shard);
        let shards: ShardSet = shards.filter(|shard| self.may_leave(&plan.effect, *shard, home)).collect();
        (!shards.is_empty()).then_some(shards)
    }

    /// Runs the parts of members and leaves out the others'.
    pub(super) async fn postpone_parts(
        &mut self,
        call: &Call,
        plan: &MultiWrite,
        later: &ShardSet,
    ) -> Result<Vec<Collected>, Failure> {
        let now: Vec<(&Part, bool)> =
            plan.parts.iter().filter(|part| !later.contains(part.shard)).map(|part| (part, false)).collect();
        let mut replies = self.start_and_collect(call, plan, &now, &mut None).await?;
        if now.is_empty() {
            self.check_at_home(call).await?;
        }
        for shard in later.iter() {
            let rows = self.postpone(call, shard, &plan.effect)?;
            replies.push(Collected { tag: format!("UPDATE {rows}"), ..Collected::default() });
        }
        Ok(replies)
    }

    /// Has home, which has no such row, say what is wrong with a statement that another shard is to run: it names what is
    /// not there, has a value of another type, or is not allowed.
    async fn check_at_home(&mut self, call: &Call) -> Result<(), Failure> {
        let position = self.enlist(self.home(), Role::Reader).await?;
        let sharing = self.sharing();
        let member = &mut self.transaction.members[position];
        let number = self.worker.plans.remade.write(call, &mut member.server, &Statement::Original, sharing);
        member.server.flush().await?;
        let reply = collect(&mut self.client, &mut self.transaction.members[position]).await;
        let failed = reply.as_ref().map_or(true, |reply| reply.error.is_some());
        forget_failed(&mut self.transaction.members[position].server, number, failed);
        let reply = reply?;
        match reply.error {
            Some(frame) => Err(Failure::Shard { frame }),
            None if reply.affected() > 0 => Err(strange_rows(&self.shard_name(self.home())).into()),
            None => {
                reply.notices.iter().for_each(|notice| self.client.output().extend_from_slice(notice));
                Ok(())
            }
        }
    }

    /// Leaves a statement for later; returns the rows that it is taken to change.
    fn postpone(&mut self, call: &Call, shard: ShardId, effect: &WriteEffect) -> Result<u64, Failure> {
        self.note_rejects(effect);
        self.check_span()?;
        self.worker.proxy.outbox.check_backlog(shard)?;
        let rows = effect.assumed.iter().find(|(other, _)| *other == shard).map_or(0, |(_, rows)| *rows);
        let postponed = Postponed { shard, call: call.clone(), effect: effect.clone(), rows };
        if self.transaction.postpone(postponed) { Ok(rows) } else { Err(redo_too_large().into()) }
    }

    /// Runs on a member what was left for later: what comes next there must find it done.
    pub(super) async fn run_postponed(&mut self, position: usize) -> Result<(), Failure> {
        let shard = self.transaction.members[position].server.shard();
        for Postponed { call, effect, rows, .. } in self.transaction.take_postponed(shard) {
            self.note_write(position, &effect);
            let member = &mut self.transaction.members[position];
            let number = self.worker.plans.remade.write(&call, &mut member.server, &Statement::Original, None);
            member.server.flush().await?;
            let reply = collect(&mut self.client, &mut self.transaction.members[position]).await;
            let failed = reply.as_ref().map_or(true, |reply| reply.error.is_some());
            forget_failed(&mut self.transaction.members[position].server, number, failed);
            let reply = reply?;
            if let Some(frame) = reply.error {
                return Err(Failure::Shard { frame });
            }
            if reply.affected() != rows {
                return Err(other_count(&effect, rows, reply.affected()).into());
            }
            self.note_redo(position, &call, &Statement::Original, &effect, rows)?;
        }
        Ok(())
    }

    /// Decides at COMMIT what becomes of statements that were left for later: the relay's, or, where the transaction has
    /// come to want other shards' parts before its COMMIT, theirs.
    pub(super) async fn settle_postponed(&mut self) -> Result<(), Failure> {
        if self.asks_for_more() {
            while let Some(shard) = self.transaction.postponed.first().map(|postponed| postponed.shard) {
                self.enlist(shard, Role::Writer).await?;
            }
            return Ok(());
        }
        for Postponed { shard, call, rows, .. } in std::mem::take(&mut self.transaction.postponed).iter() {
            self.defer(*shard, *rows, call.freeze(&Statement::Original, *rows), Vec::new());
        }
        self.transaction.mode = Some(WriteMode::Eventual);
        Ok(())
    }
}

/// A row lives where its key does not belong.
fn strange_rows(shard: &str) -> Refusal {
    Refusal::new(SqlState::DATA_CORRUPTED, format!("shard \"{shard}\" has rows of a key that belongs to another shard"))
        .with_hint("shardloom check --live --rows names them.")
}

/// What a client was told before is not so.
fn other_count(effect: &WriteEffect, told: u64, found: u64) -> Refusal {
    let table = effect.tables.first().map_or("", String::as_str);
    Refusal::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("an UPDATE of table \"{table}\" was to change {told} rows by its keys, and changes {found}"),
    )
    .with_detail("The transaction has left it for later, and now reads or writes the same shard.")
    .with_hint("Look for the rows before, or leave out assumed_count in the rules.")
}
