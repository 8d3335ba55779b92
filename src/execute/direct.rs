//! One shard answers: its frames pass undecoded.

use crate::backend::{Server, SimpleReply};
use crate::plan::classify;
use crate::plan::{Direct, Freeze, FreezeKind, Redo, Statement, WriteEffect, with_moments};
use crate::rules::{Distribution, OnDead, RuleMode};
use crate::sql::Scanner;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::frontend;

use super::call::Call;
use super::client::Client;
use super::copy;
use super::failure::Failure;
use super::forward::{self, Passing, Reply, Tag};
use super::link::{Link, Role};
use super::position::Position;
use super::present::{in_place, may_name_the_present};
use super::remade::forget_failed;

impl Link {
    /// Runs a statement on one shard and passes its reply, all but ReadyForQuery.
    pub async fn direct(&mut self, call: &Call, plan: &Direct) -> Result<(), Failure> {
        let shard = match plan.effect.as_ref().filter(|effect| effect.deferrable) {
            Some(effect) if self.may_postpone(effect, plan.shard) => {
                return Box::pin(self.postpone_direct(call, plan.shard, effect)).await;
            }
            // It does the same before and behind what is on its way there.
            Some(effect) => {
                self.wait_for_referred(&call.text, plan.shard, effect).await?;
                plan.shard
            }
            None => self.reading_shard(call, plan).await?,
        };
        match &plan.effect {
            Some(effect) if effect.reference && !self.transaction.is_open() => {
                // In the heap: every statement would carry the room for it.
                Box::pin(async move {
                    self.open_implicit();
                    let done = self.with_referring(call, shard, plan, effect).await;
                    self.end_implicit(done).await
                })
                .await
            }
            Some(effect) if effect.reference => {
                Box::pin(async move {
                    let reply = self.with_referring(call, shard, plan, effect).await?;
                    self.client.output().extend_from_slice(&reply.held.unwrap_or_default());
                    Ok(())
                })
                .await
            }
            Some(effect) if self.may_miss_referred(&call.text, shard, effect) => {
                Box::pin(self.beside_referred(call, shard, plan)).await
            }
            _ if self.transaction.is_open() => self.in_transaction(call, shard, plan, Tag::Pass).await.map(|_| ()),
            effect => self.by_itself(call, shard, &plan.statement, effect.is_some()).await,
        }
    }

    /// Runs a statement that commits by itself.
    async fn by_itself(
        &mut self,
        call: &Call,
        shard: ShardId,
        statement: &Statement,
        writes: bool,
    ) -> Result<(), Failure> {
        if writes {
            self.wait_for_gate(shard).await?;
        }
        let sharing = self.sharing();
        let mut server = self.borrow(shard).await?;
        let number = self.worker.plans.remade.write(call, &mut server, statement, sharing);
        server.flush().await?;
        let mut reply = forward::reply(&mut self.client, &mut server, Passing::of(call), Tag::Pass).await?;
        if reply.copy_in {
            copy::pass(&mut self.client, &mut server, call.arguments.is_some()).await?;
            reply = forward::reply(&mut self.client, &mut server, Passing::of(call), Tag::Pass).await?;
            settle_failed_copy(&mut self.client, &mut server, call, &reply).await?;
        }
        forget_failed(&mut server, number, reply.failed);
        self.give_back(server);
        if reply.failed { Err(Failure::Told) } else { Ok(()) }
    }

    /// Runs a statement inside the open transaction.
    pub(super) async fn in_transaction(
        &mut self,
        call: &Call,
        shard: ShardId,
        plan: &Direct,
        tag: Tag,
    ) -> Result<Reply, Failure> {
        let role = match &plan.effect {
            None => Role::Reader,
            Some(effect) if effect.reference => Role::Authority,
            Some(_) => Role::Writer,
        };
        let position = self.enlist(shard, role).await?;
        let frozen = self.frozen(call, &plan.statement, plan.effect.as_ref(), position).await?;
        // What is frozen never comes again.
        let (call, statement, sharing) = match &frozen {
            Some((call, statement)) => (call, statement, None),
            None => (call, &plan.statement, self.sharing()),
        };
        let server = &mut self.transaction.members[position].server;
        let number = self.worker.plans.remade.write(call, server, statement, sharing);
        if let Err(failure) = self.flush_member(position).await {
            forget_failed(&mut self.transaction.members[position].server, number, true);
            return Err(failure);
        }
        let reply = self.member_reply(position, call, tag).await?;
        forget_failed(&mut self.transaction.members[position].server, number, reply.failed);
        if reply.failed {
            return Err(Failure::Told);
        }
        if let Some(effect) = &plan.effect {
            let captured = self.transaction.captured;
            self.note_write(position, effect);
            self.transaction.captured &= captured || !self.writes_no_row(&call.text, effect, reply.rows);
            self.note_rejects(effect);
            self.note_redo(position, call, statement, effect, reply.rows)?;
        }
        Ok(reply)
    }

    async fn member_reply(&mut self, position: usize, call: &Call, tag: Tag) -> Result<Reply, Failure> {
        let Self { client, transaction, .. } = self;
        let server = &mut transaction.members[position].server;
        let reply = forward::reply(client, server, Passing::of(call), tag).await?;
        if !reply.copy_in {
            return Ok(reply);
        }
        copy::pass(client, server, call.arguments.is_some()).await?;
        let reply = forward::reply(client, server, Passing::of(call), tag).await?;
        settle_failed_copy(client, server, call, &reply).await?;
        Ok(reply)
    }

    /// Notes what a successful statement means for the commit.
    pub(super) fn note_write(&mut self, position: usize, effect: &WriteEffect) {
        let on_dead = self.on_dead(effect);
        let transaction = &mut self.transaction;
        let shard = transaction.members[position].server.shard();
        transaction.members[position].wrote = true;
        transaction.first_written.get_or_insert(shard);
        transaction.mode = transaction.mode.max(Some(effect.mode));
        transaction.on_dead = on_dead.unwrap_or(transaction.on_dead);
        if effect.reference {
            transaction.reference = true;
            transaction.reference_home = Some(shard);
            transaction.captured = true;
            for table in &effect.tables {
                if !transaction.written_references.contains(table) {
                    transaction.written_references.push(table.clone());
                }
            }
        }
    }

    /// Returns what the rules want of a command that a target refuses.
    fn on_dead(&self, effect: &WriteEffect) -> Option<OnDead> {
        let rules = &self.snapshot.rules;
        effect.tables.iter().find_map(|table| match rules.table(table).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group, .. }) => Some(rules.group(*group).multi_shard.on_dead),
            Some(Distribution::Reference { .. } | Distribution::Single { .. }) | None => None,
        })
    }

    /// Notes a change of rows that must not be in a transaction over several shards; DDL and TRUNCATE may be.
    pub(super) fn note_rejects(&mut self, effect: &WriteEffect) {
        if self.transaction.rejects.is_some() {
            return;
        }
        let rules = &self.snapshot.rules;
        let rejects = |table: &&String| match rules.table(table).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group, .. }) => rules.group(*group).multi_shard.mode == RuleMode::Reject,
            Some(Distribution::Reference { .. } | Distribution::Single { .. }) | None => false,
        };
        self.transaction.rejects = effect.tables.iter().find(rejects).cloned();
    }

    /// Records what a redo of a statement on this member would run.
    pub(super) fn note_redo(
        &mut self,
        position: usize,
        call: &Call,
        statement: &Statement,
        effect: &WriteEffect,
        rows: u64,
    ) -> Result<(), Failure> {
        match &effect.redo {
            Redo::Never(_) => {
                self.transaction.members[position].never_redo = true;
                return Ok(());
            }
            Redo::AfterFreeze if self.transaction.members[position].inbox.is_none() => {
                self.transaction.members[position].never_redo = true;
            }
            Redo::AfterFreeze | Redo::Exact => {}
        }
        if self.transaction.record(position, call.freeze(statement, rows)) {
            Ok(())
        } else {
            Err(redo_too_large().into())
        }
    }

    /// Replaces calls of the `now()` family by what the transaction's first shard says: on a target, so that a redo writes
    /// the same, and on every other shard, so that all statements of the transaction have one moment.
    pub(super) async fn frozen(
        &mut self,
        call: &Call,
        statement: &Statement,
        effect: Option<&WriteEffect>,
        position: usize,
    ) -> Result<Option<(Call, Statement)>, Failure> {
        let is_beside = position > 0;
        if !is_beside && self.transaction.members[position].inbox.is_none() {
            return Ok(None);
        }
        let text = call.sql(statement);
        let target = effect.and_then(WriteEffect::may_leave_time).filter(|_| is_beside);
        let filled = match target {
            Some(target) => with_moments(text, target, &self.snapshot.catalog)?,
            None => None,
        };
        // The spans of the effect are those of the client's text; a rewritten one has its own.
        let text = filled.as_deref().unwrap_or(text);
        let spans = match effect.map(|effect| &effect.redo) {
            Some(Redo::AfterFreeze) => classify::freezes(text, &self.snapshot.catalog),
            // Not to be redone, but all its rows have one moment.
            Some(Redo::Never(_)) if filled.is_some() || changes_rows(text) => {
                classify::present(text, &self.snapshot.catalog)
            }
            None if is_beside && may_name_the_present(text) => classify::present(text, &self.snapshot.catalog),
            Some(Redo::Never(_) | Redo::Exact) | None => Vec::new(),
        };
        if spans.is_empty() {
            return Ok(None);
        }
        let now = self.transaction_time().await?;
        // Positions are of another text; names of physical tables are still to be mapped back.
        if !matches!(self.client.position, Position::Physical(_)) {
            self.client.position = Position::Unknown;
        }
        let sql = in_place(text, &spans, &now);
        Ok(Some(match statement {
            Statement::Original => (Call { text: sql.into(), ..call.clone() }, Statement::Original),
            Statement::Rewritten { parameters, .. } => {
                (call.clone(), Statement::Rewritten { sql, parameters: parameters.clone() })
            }
        }))
    }

    /// Returns `now()` of this transaction as the first shard sees it that joined, in UTC.
    pub(super) async fn transaction_time(&mut self) -> Result<String, Failure> {
        if let Some(now) = &self.transaction.now {
            return Ok(now.clone());
        }
        self.flush_member(0).await?;
        let reply = self.transaction.members[0].server.simple(TRANSACTION_TIME).await?;
        let now = moment(&reply);
        self.transaction.now = Some(now.clone());
        Ok(now)
    }

    /// Returns where a read runs: a read of reference tables that this session wrote goes where the write is visible.
    async fn reading_shard(&mut self, call: &Call, plan: &Direct) -> Result<ShardId, Failure> {
        if plan.effect.is_some() || !plan.anywhere {
            let home = plan.effect.as_ref().is_some_and(|effect| effect.reference);
            if plan.reads_reference && !home {
                self.wait_for_own_writes(plan.shard).await?;
            }
            if let Some(effect) = &plan.effect {
                self.wait_for_referred(&call.text, plan.shard, effect).await?;
            }
            if !self.following.is_empty() {
                Box::pin(self.wait_for_following([plan.shard].into_iter().collect())).await?;
            }
            return Ok(plan.shard);
        }
        if plan.reads_reference {
            let home = self.transaction.reference_home.unwrap_or(plan.shard);
            if self.transaction.reference || self.has_unsettled() {
                return Ok(home);
            }
        }
        if let Some(member) = self.transaction.members.first() {
            return Ok(member.server.shard());
        }
        Ok(plan.shard)
    }
}

/// A COPY of the extended protocol that failed may have answered both Syncs, the one ahead of the data and the one
/// behind it. An empty Query behind them tells: whatever comes before its own answer is theirs.
async fn settle_failed_copy(
    client: &mut Client,
    server: &mut Server,
    call: &Call,
    reply: &Reply,
) -> Result<(), Failure> {
    if !reply.failed || call.arguments.is_none() {
        return Ok(());
    }
    frontend::write_query(server.out(), "");
    let mut is_answered = false;
    loop {
        let (kind, frame) = forward::next_frame(client, server).await?;
        match kind {
            b'I' => is_answered = true,
            b'Z' if is_answered => return forward::note_ready(server, &frame).map(|_| ()),
            _ => {}
        }
    }
}

pub(super) const TRANSACTION_TIME: &str =
    "SELECT pg_catalog.to_char(pg_catalog.transaction_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')";

/// Tells whether a statement changes rows; what changes tables says the present for later rows.
fn changes_rows(text: &str) -> bool {
    let first = Scanner::new(text).next();
    first.is_some_and(|first| {
        ["insert", "update", "delete", "merge", "with"].iter().any(|word| first.is_word(text, word))
    })
}

/// Returns what [`TRANSACTION_TIME`] has answered.
pub(super) fn moment(reply: &SimpleReply) -> String {
    let now = reply.rows.first().and_then(|row| row.first()).cloned().flatten();
    now.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
}

/// Replaces each span by a literal of the same type; spans are in text order.
pub(super) fn splice_time(sql: &str, spans: &[Freeze], now: &str) -> String {
    let mut spliced = String::with_capacity(sql.len() + spans.len() * 48);
    let mut from = 0;
    for freeze in spans {
        spliced.push_str(&sql[from..freeze.span.start]);
        spliced.push_str(&literal_of(freeze, now));
        from = freeze.span.end;
    }
    spliced.push_str(&sql[from..]);
    spliced
}

/// Returns the moment as a literal of the type of such a call.
pub(super) fn literal_of(call: &Freeze, now: &str) -> String {
    let moment = format!("'{now}+00'::pg_catalog.timestamptz");
    let rounded = call.precision.map(|digits| format!("({digits})")).unwrap_or_default();
    let of_type = match call.kind {
        FreezeKind::Timestamp if rounded.is_empty() => return format!("({moment})"),
        FreezeKind::Timestamp => "timestamptz",
        FreezeKind::Date => "date",
        FreezeKind::LocalTimestamp => "timestamp",
        FreezeKind::Time => "timetz",
        FreezeKind::LocalTime => "time",
    };
    format!("({moment}::pg_catalog.{of_type}{rounded})")
}

pub(super) fn redo_too_large() -> Refusal {
    Refusal::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "the transaction writes more over several shards than may be kept for a redo",
    )
    .with_hint("Commit in smaller steps, or use SET LOCAL shardloom.multi_shard = 'two_phase'.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_now_become_literals_of_their_type() {
        let sql = "insert into t values (now(), current_date)";
        let spans = [(22..27, FreezeKind::Timestamp, None), (29..41, FreezeKind::Date, None)]
            .map(|(span, kind, precision)| Freeze { span, kind, precision });
        assert_eq!(
            splice_time(sql, &spans, "2026-01-02 03:04:05.6"),
            "insert into t values (('2026-01-02 03:04:05.6+00'::pg_catalog.timestamptz), \
             ('2026-01-02 03:04:05.6+00'::pg_catalog.timestamptz::pg_catalog.date))"
        );
    }
}
