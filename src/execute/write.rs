//! A write over several shards: one statement each, all in one transaction.

use std::collections::HashMap;

use crate::backend::BackendError;
use crate::outbox::{LedgerTarget, RedoCommand};
use crate::plan::{MultiWrite, Part, Redo, ReturningOrder, WriteEffect};
use crate::types::{Refusal, ShardId, SqlState, WriteMode};
use crate::wire::backend;

use super::call::Call;
use super::collect::Collected;
use super::early_checks::EarlyChecks;
use super::failure::Failure;
use super::link::{Link, Role};
use super::position::Position;
use super::remade::forget_failed;
use super::renamed::renamed;

impl Link {
    /// Runs the parts and answers for them as one statement; without a block of its own it commits by itself.
    pub async fn multi_write(&mut self, call: &Call, plan: &MultiWrite) -> Result<(), Failure> {
        if plan.reads_reference {
            for part in &plan.parts {
                self.wait_for_own_writes(part.shard).await?;
            }
        }
        for part in &plan.parts {
            self.wait_for_referred(&call.text, part.shard, &plan.effect).await?;
        }
        // Rows that are new whatever is there already need not wait.
        if !plan.defers_when_down && !plan.effect.deferrable {
            self.wait_for_following(plan.parts.iter().map(|part| part.shard).collect()).await?;
        }
        if !self.open_implicit() {
            let replies = match self.later(plan) {
                Some(later) => Box::pin(self.postpone_parts(call, plan, &later)).await?,
                None => self.run_parts(call, plan, Then::MoreMayCome).await?,
            };
            return self.answer(call, plan, replies).await;
        }
        let done = match plan.parts.first() {
            Some(first) if self.may_defer(plan) => self.defer_parts(call, plan, first.shard).await,
            Some(_) | None => self.run_parts(call, plan, Then::Commit).await,
        };
        let mut down = None;
        let done = match done {
            Err(Failure::Server(error)) if self.may_wait_for(plan, &error) => {
                let done = self.defer_after(call, plan, &error).await;
                down = Some(error);
                done
            }
            done => done,
        };
        match done {
            Ok(replies) => {
                self.commit().await?;
                if let Some(error) = down {
                    backend::write_notice(self.client.output(), &follows(&error));
                }
                self.answer(call, plan, replies).await
            }
            Err(failure) => {
                self.rollback().await;
                Err(failure)
            }
        }
    }

    /// Tells whether the parts for other shards may follow by replay.
    fn may_defer(&self, plan: &MultiWrite) -> bool {
        let asked = self.settings.steering.is_two_phase();
        !asked && plan.effect.deferrable && plan.returning == ReturningOrder::None && plan.effect.redo == Redo::Exact
    }

    /// Tells whether the statement may go on without a shard that is down: nothing of it is committed.
    fn may_wait_for(&self, plan: &MultiWrite, error: &BackendError) -> bool {
        let is_down = matches!(
            error,
            BackendError::Unreachable { .. } | BackendError::Timeout { .. } | BackendError::Closed { .. }
        );
        let is_keyed = self.transaction.idempotency.is_some();
        is_down && plan.defers_when_down && !is_keyed && !self.settings.steering.is_two_phase()
    }

    /// Begins anew where a shard is down: another one becomes home, and the other parts follow when it is back.
    async fn defer_after(
        &mut self,
        call: &Call,
        plan: &MultiWrite,
        error: &BackendError,
    ) -> Result<Vec<Collected>, Failure> {
        let down = self.snapshot.rules.shard_by_name(error.shard());
        let Some(home) = plan.parts.iter().map(|part| part.shard).find(|shard| Some(*shard) != down) else {
            return Err(error.clone().into());
        };
        self.rollback().await;
        self.open_implicit();
        self.defer_parts(call, plan, home).await
    }

    /// Runs the parts of `home` there and leaves the others to the relay.
    async fn defer_parts(&mut self, call: &Call, plan: &MultiWrite, home: ShardId) -> Result<Vec<Collected>, Failure> {
        // A split table has several parts on one shard.
        let (first, others): (Vec<&Part>, Vec<&Part>) = plan.parts.iter().partition(|part| part.shard == home);
        others.iter().try_for_each(|part| self.worker.proxy.outbox.check_backlog(part.shard))?;
        let mut replies = Vec::with_capacity(plan.parts.len());
        for part in first {
            replies.extend(self.start_and_collect(call, plan, &[(part, false)], &mut None).await?);
            self.transaction.home_undo.extend(part.undo.iter().map(|undo| call.freeze(undo, 1)));
        }
        for part in others {
            let rows = rows_of(part, &plan.effect);
            let undo = part.undo.iter().map(|undo| call.freeze(undo, 1)).collect();
            self.defer(part.shard, rows, call.freeze(&part.statement, rows), undo);
            replies.push(Collected {
                tag: total_tag(replies.first().map_or("", |reply| &reply.tag), rows),
                ..Collected::default()
            });
        }
        self.transaction.mode = Some(WriteMode::Eventual);
        Ok(replies)
    }

    /// Leaves a command to the relay, behind those of the same shard.
    pub(super) fn defer(&mut self, shard: ShardId, rows: u64, command: RedoCommand, undo: Vec<RedoCommand>) {
        let name = &self.snapshot.rules.shard(shard).name;
        match self.transaction.deferred.iter_mut().find(|target| target.shard == *name) {
            Some(target) => {
                target.expected_rows += rows as i64;
                target.commands.push(command);
                target.undo.extend(undo);
            }
            None => self
                .transaction
                .deferred
                .push(LedgerTarget { undo, ..LedgerTarget::new(name.clone(), rows as i64, vec![command]) }),
        }
    }

    async fn run_parts(&mut self, call: &Call, plan: &MultiWrite, then: Then) -> Result<Vec<Collected>, Failure> {
        if plan.effect.deferrable {
            self.transaction.mode = self.transaction.mode.max(Some(WriteMode::Eager));
        }
        let mut replies: Vec<Option<Collected>> = plan.parts.iter().map(|_| None).collect();
        let rounds = rounds(plan);
        let mut checks = match then {
            Then::Commit => self.early_checks(plan, rounds.len()),
            Then::MoreMayCome => None,
        };
        let last = last_rounds(plan, &rounds);
        for (number, round) in rounds.into_iter().enumerate() {
            let is_last = |part: &Part| last.get(&part.shard) == Some(&number);
            let parts = round.iter().map(|index| &plan.parts[*index]);
            let parts: Vec<(&Part, bool)> = parts.map(|part| (part, is_last(part))).collect();
            for (index, reply) in round.into_iter().zip(self.start_and_collect(call, plan, &parts, &mut checks).await?)
            {
                replies[index] = Some(reply);
            }
        }
        let mut replies: Vec<Collected> = replies.into_iter().flatten().collect();
        // After all errors of the statement itself: deferred constraints are looked at when it is done.
        replies.iter_mut().find_map(|reply| reply.check_failure.take()).map_or(Ok(replies), Err)
    }

    /// Sends every part, then reads every reply; all shards work at the same time. What a shard has `checks` for goes along
    /// with its last part.
    pub(super) async fn start_and_collect(
        &mut self,
        call: &Call,
        plan: &MultiWrite,
        parts: &[(&Part, bool)],
        checks: &mut Option<EarlyChecks>,
    ) -> Result<Vec<Collected>, Failure> {
        // All shards join, and the time is asked for, before the first statement is queued: a failure in between must
        // not leave a statement without a reader.
        let mut started = Vec::with_capacity(parts.len());
        for (part, is_last) in parts {
            let position = self.enlist(part.shard, Role::Part).await?;
            self.note_write(position, &plan.effect);
            self.note_rejects(&plan.effect);
            let frozen = self.frozen(call, &part.statement, Some(&plan.effect), position).await?;
            // What is frozen never comes again.
            let sharing = self.sharing().filter(|_| frozen.is_none());
            let (call, statement) = frozen.unwrap_or_else(|| (call.clone(), part.statement.clone()));
            started.push((position, call, statement, sharing, *is_last));
        }
        let mut numbers = Vec::with_capacity(started.len());
        for (position, call, statement, sharing, is_last) in &started {
            let server = &mut self.transaction.members[*position].server;
            numbers.push(self.worker.plans.remade.write(call, server, statement, *sharing));
            if let Some(checks) = checks.as_ref().filter(|_| *is_last) {
                self.check_along(*position, checks);
            }
            self.transaction.members[*position].server.flush().await?;
        }
        let mut replies = Vec::with_capacity(parts.len());
        for ((position, ..), number) in started.iter().zip(numbers) {
            let reply = self.collect_part(*position, checks).await;
            let failed = reply.as_ref().map_or(true, |reply| reply.error.is_some());
            forget_failed(&mut self.transaction.members[*position].server, number, failed);
            replies.push(reply);
        }
        let replies = replies.into_iter().collect::<Result<Vec<_>, _>>()?;
        for ((part, _), reply) in parts.iter().zip(&replies) {
            if let Some(frame) = reply.error.clone() {
                let failure = Failure::Shard { frame };
                let misses = self.may_miss_referred(&call.text, part.shard, &plan.effect);
                return Err(if misses { self.unless_not_there_yet(failure, part.shard) } else { failure });
            }
        }
        for ((position, call, statement, ..), reply) in started.iter().zip(&replies) {
            self.note_redo(*position, call, statement, &plan.effect, reply.affected())?;
        }
        Ok(replies)
    }

    /// Answers for all parts as PostgreSQL would for the one statement.
    async fn answer(&mut self, call: &Call, plan: &MultiWrite, replies: Vec<Collected>) -> Result<(), Failure> {
        let affected: u64 = replies.iter().map(Collected::affected).sum();
        self.rows = affected;
        let tag = total_tag(replies.first().map_or("", |reply| &reply.tag), affected);
        self.describe(call, replies.iter().find_map(|reply| reply.description.as_ref()));
        self.pass_write_notices(&replies);
        match plan.returning {
            ReturningOrder::None => {}
            ReturningOrder::ByRow if every_row_came(&plan.parts, &replies) => {
                for row in in_row_order(&plan.parts, &replies) {
                    self.client.output().extend_from_slice(row);
                    self.client.flush_if_large().await?;
                }
            }
            ReturningOrder::ByRow | ReturningOrder::ByShard => {
                for row in replies.iter().flat_map(|reply| &reply.rows) {
                    self.client.output().extend_from_slice(row);
                    self.client.flush_if_large().await?;
                }
            }
        }
        backend::write_command_complete(self.client.output(), &tag);
        Ok(())
    }

    /// Passes what the parts noticed; each physical table may notice the same, which is said once.
    fn pass_write_notices(&mut self, replies: &[Collected]) {
        let mut said: Vec<bytes::Bytes> = Vec::new();
        for notice in replies.iter().flat_map(|reply| &reply.notices) {
            let Position::Physical(rules) = &self.client.position else {
                self.client.output().extend_from_slice(notice);
                continue;
            };
            let notice = renamed(notice, rules);
            if !said.contains(&notice) {
                self.client.output().extend_from_slice(&notice);
                said.push(notice);
            }
        }
    }

    /// Sends a RowDescription, or NoData, where the client's protocol wants one.
    pub(super) fn describe(&mut self, call: &Call, description: Option<&bytes::Bytes>) {
        match description {
            Some(frame) if call.describe => self.client.output().extend_from_slice(frame),
            None if call.describe && call.arguments.is_some() => {
                backend::write_no_data(self.client.output());
            }
            Some(_) | None => {}
        }
    }
}

/// Returns how many rows a part is taken to write that runs later.
fn rows_of(part: &Part, effect: &WriteEffect) -> u64 {
    let assumed = effect.assumed.iter().find(|(shard, _)| *shard == part.shard);
    assumed.map_or(part.rows.len() as u64, |(_, rows)| *rows)
}

/// What comes behind the parts of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Other statements, or other parts.
    MoreMayCome,
    /// The end of the transaction: each shard checks along with its part what it would check before COMMIT.
    Commit,
}

/// What a client is told whose rows for other shards come later.
fn follows(error: &BackendError) -> Refusal {
    Refusal::new(SqlState::SUCCESSFUL_COMPLETION, "the rows of other shards follow when all shards can be reached")
        .with_detail(error.to_string())
        .with_hint("SHOW shardloom.last_txn names the transaction for shardloom.wait_for(txid, '5s').")
}

/// Groups the parts so that each shard has one at a time, by their positions: those of a split table's physical tables
/// follow each other. A server that waits for its replies to be read would not read the next statement.
fn rounds(plan: &MultiWrite) -> Vec<Vec<usize>> {
    let parts = &plan.parts;
    if plan.in_turn {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|index| parts[*index].shard);
        return order.into_iter().map(|index| vec![index]).collect();
    }
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut turns: HashMap<ShardId, usize> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        let turn = turns.entry(part.shard).or_default();
        match rounds.get_mut(*turn) {
            Some(round) => round.push(index),
            None => rounds.push(vec![index]),
        }
        *turn += 1;
    }
    rounds
}

/// Returns the round in which each shard has its last part.
fn last_rounds(plan: &MultiWrite, rounds: &[Vec<usize>]) -> HashMap<ShardId, usize> {
    let numbered = rounds.iter().enumerate();
    numbered.flat_map(|(number, round)| round.iter().map(move |index| (plan.parts[*index].shard, number))).collect()
}

/// Puts the sum in place of the count of one shard's command tag.
pub(super) fn total_tag(tag: &str, affected: u64) -> String {
    match tag.rsplit_once(' ') {
        Some((verb, count)) if count.bytes().all(|byte| byte.is_ascii_digit()) => format!("{verb} {affected}"),
        Some(_) | None => tag.to_owned(),
    }
}

fn every_row_came(parts: &[Part], replies: &[Collected]) -> bool {
    parts.iter().zip(replies).all(|(part, reply)| part.rows.len() == reply.rows.len())
}

/// Returns the rows by their position in VALUES.
fn in_row_order<'a>(parts: &[Part], replies: &'a [Collected]) -> Vec<&'a bytes::Bytes> {
    let mut rows: Vec<(u32, &bytes::Bytes)> =
        parts.iter().zip(replies).flat_map(|(part, reply)| part.rows.iter().copied().zip(&reply.rows)).collect();
    rows.sort_by_key(|(position, _)| *position);
    rows.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Statement;
    use crate::types::ShardId;

    #[test]
    fn counts_of_parts_add_up_in_the_tag() {
        assert_eq!(total_tag("INSERT 0 2", 5), "INSERT 0 5");
        assert_eq!(total_tag("UPDATE 1", 3), "UPDATE 3");
        assert_eq!(total_tag("TRUNCATE TABLE", 0), "TRUNCATE TABLE");
    }

    #[test]
    fn returning_rows_come_in_the_order_of_values() {
        let part = |shard, rows: &[u32]| Part { rows: rows.to_vec(), ..Part::new(ShardId(shard), Statement::Original) };
        let reply = |rows: &[&'static str]| Collected {
            rows: rows.iter().map(|row| bytes::Bytes::from_static(row.as_bytes())).collect(),
            ..Collected::default()
        };
        let parts = [part(0, &[0, 3]), part(1, &[1, 2])];
        let replies = [reply(&["a", "d"]), reply(&["b", "c"])];
        assert!(every_row_came(&parts, &replies));
        assert_eq!(in_row_order(&parts, &replies), ["a", "b", "c", "d"]);
    }
}
