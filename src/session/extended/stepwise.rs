//! Runs a pipeline: batches where one shard does, step by step where the proxy has a part in it.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use crate::execute::{Call, Failure, Meaning, Planned, Position};
use crate::plan::{Plan, Scatter};
use crate::sql::Control;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::{backend, frame, frontend};

use super::super::conversation::Session;
use super::batch::Batch;
use super::pipeline::{Step, plain_shard};
use super::portal::{Portal, Rest};
use super::told::Held;
use crate::execute::Prepared;

/// The most bytes that the rest of a portal over several shards may hold.
const REST_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Session {
    /// Runs the steps in order; the first failure ends the run.
    ///
    /// After a failure `steps` has those behind the run or step that failed.
    pub(super) async fn run_steps(&mut self, steps: &mut VecDeque<Step>) -> Result<(), Failure> {
        while !steps.is_empty() {
            self.link.client.position = Position::Same;
            self.extended.unanswered = 0;
            if let Some(Step::Bind(portal)) = steps.front()
                && portal.is_outdated(!self.link.schema_dirty)
            {
                Box::pin(self.check_columns(steps)).await?;
            }
            match self.batch_shard(steps.iter()) {
                Some((shard, length)) => {
                    let batch: Vec<Step> = steps.drain(..length).collect();
                    self.extended.unanswered = batch.len();
                    self.run_batch(shard, &batch).await?;
                }
                None => {
                    self.extended.unanswered = 1;
                    self.run_step(steps).await?;
                }
            }
        }
        Ok(())
    }

    /// Returns the shard of the longest run of steps at the front that one server can take as they are.
    pub(super) fn batch_shard<'a>(&self, steps: impl Iterator<Item = &'a Step> + Clone) -> Option<(ShardId, usize)> {
        let mut shard = None;
        let mut length = 0;
        for step in steps.clone() {
            let wanted = match step {
                // In a failed block nothing runs and no rows are described; a server that did not fail itself would.
                Step::DescribeStatement(_) | Step::DescribePortal(_) | Step::Execute(..)
                    if self.link.transaction.is_failed() =>
                {
                    break;
                }
                Step::Bind(portal) if length > 0 && portal.is_outdated(!self.link.schema_dirty) => break,
                Step::Parse(statement) | Step::DescribeStatement(Held { prepared: statement, .. }) => {
                    if !passes_as_it_is(statement) {
                        break;
                    }
                    None
                }
                Step::Bind(portal) | Step::Execute(portal, _) | Step::DescribePortal(portal) => {
                    let Some(wanted) = plain_shard(portal) else { break };
                    if self.needs_gate(portal) || portal.rest.borrow().is_some() {
                        break;
                    }
                    Some(portal.open_on.get().unwrap_or(wanted))
                }
                Step::ClosePortal(Some(portal)) if portal.cursor.borrow().is_some() => break,
                Step::CloseStatement | Step::ClosePortal(_) => None,
                Step::DescribeCursor(..) | Step::Fail(_) => break,
            };
            match (shard, wanted) {
                (Some(shard), Some(wanted)) if shard != wanted => break,
                (None, Some(_)) => shard = wanted,
                _ => {}
            }
            length += 1;
        }
        if length == 0 {
            return None;
        }
        Some((shard.unwrap_or_else(|| self.parsing_shard(steps)), length))
    }

    /// A write that joins other shards' writes is not a plain batch: its statement may have to be frozen, as any must that
    /// names the present where another shard has said what it is. Where no other shard was written, nothing is to be
    /// redone from what this one notes.
    fn needs_gate(&self, portal: &Portal) -> bool {
        let Some(Plan::Direct(direct)) = &portal.plan else { return false };
        let transaction = &self.link.transaction;
        let refers = |effect| self.link.refers_to_unsettled(&portal.statement.sql, effect);
        if direct.effect.as_ref().is_some_and(refers) {
            return true;
        }
        transaction.is_open()
            && (direct.effect.is_some() && transaction.wrote_elsewhere(direct.shard)
                || self.link.has_another_moment(direct, &portal.statement.sql))
    }

    /// Where statements are parsed and described that are not bound yet: a member of the transaction, else home.
    fn parsing_shard<'a>(&self, mut steps: impl Iterator<Item = &'a Step>) -> ShardId {
        let statement = steps.find_map(|step| match step {
            Step::Parse(statement) | Step::DescribeStatement(Held { prepared: statement, .. }) => Some(statement),
            _ => None,
        });
        let wanted = statement.and_then(|statement| statement.meaning.borrow().parsing_shard);
        match (wanted, self.link.transaction.members.first()) {
            (Some(shard), _) => shard,
            (None, Some(member)) => member.server.shard(),
            (None, None) => self.link.snapshot.rules.home,
        }
    }

    async fn run_batch(&mut self, shard: ShardId, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            let Step::Execute(portal, _) = step else { continue };
            let understood = portal.statement.meaning.borrow();
            if let Some(route) = &understood.route {
                route.direct();
            }
            if understood.leaves_remains() {
                self.link.expect_remains(&understood, [shard].into_iter().collect());
            }
        }
        self.run_plain_batch(shard, steps).await
    }

    async fn run_plain_batch(&mut self, shard: ShardId, steps: &[Step]) -> Result<(), Failure> {
        if !self.link.following.is_empty() && steps.iter().any(|step| matches!(step, Step::Execute(..))) {
            Box::pin(self.link.wait_for_following([shard].into_iter().collect())).await?;
        }
        let mut batch = Batch::new(self.link.snapshot.generation, !self.link.schema_dirty, self.link.reading());
        if self.link.transaction.is_open() && !self.needs_no_member(shard, steps) {
            return self.run_batch_in_transaction(batch, shard, steps).await;
        }
        let writes = steps.iter().any(is_write);
        if writes {
            self.link.wait_for_gate(shard).await?;
        }
        let mut server = self.link.borrow(shard).await?;
        for step in steps {
            batch.push(&mut server, step);
        }
        if !batch.needs_server() {
            self.link.give_back(server);
            batch.answer_all(&mut self.link.client);
            return Ok(());
        }
        frontend::write_sync(server.out());
        let outcome = batch.replies(&mut self.link.client, &mut server).await?;
        self.extended.unanswered = outcome.unanswered;
        self.link.give_back(server);
        if outcome.failed { Err(Failure::Told) } else { Ok(()) }
    }

    /// Preparing does not bring a shard into the transaction, unless tables changed in it.
    fn needs_no_member(&self, shard: ShardId, steps: &[Step]) -> bool {
        let prepares = |step: &Step| {
            matches!(step, Step::Parse(_) | Step::DescribeStatement(_) | Step::CloseStatement | Step::ClosePortal(_))
        };
        !self.link.schema_dirty && self.link.transaction.position(shard).is_none() && steps.iter().all(prepares)
    }

    async fn run_batch_in_transaction(
        &mut self,
        mut batch: Batch,
        shard: ShardId,
        steps: &[Step],
    ) -> Result<(), Failure> {
        let writes = steps.iter().any(is_write);
        let role = if writes { crate::execute::Role::Writer } else { crate::execute::Role::Reader };
        let position = self.link.enlist(shard, role).await?;
        let server = &mut self.link.transaction.members[position].server;
        for step in steps {
            batch.push(server, step);
        }
        if batch.needs_server() {
            frontend::write_sync(server.out());
        }
        let needs_server = batch.needs_server();
        if let Err(failure) = self.link.flush_member(position).await {
            batch.forget_parsed(&mut self.link.transaction.members[position].server);
            return Err(failure);
        }
        if !needs_server {
            batch.answer_all(&mut self.link.client);
            return Ok(());
        }
        let (client, server) = self.link.client_and_member(position);
        let outcome = batch.replies(client, server).await?;
        self.extended.unanswered = outcome.unanswered;
        if outcome.failed {
            return Err(Failure::Told);
        }
        self.note_batch(position, steps, &outcome.affected)
    }

    fn note_batch(&mut self, position: usize, steps: &[Step], affected: &[u64]) -> Result<(), Failure> {
        let executed = steps.iter().filter_map(|step| match step {
            Step::Execute(portal, _) => Some(portal),
            _ => None,
        });
        for (portal, rows) in executed.zip(affected) {
            if let Some(Plan::Direct(direct)) = &portal.plan
                && let Some(effect) = &direct.effect
            {
                self.link.note_statement(position, &call_of(portal, false), &direct.statement, effect, *rows)?;
            }
        }
        Ok(())
    }

    /// Runs the step at the front by itself.
    async fn run_step(&mut self, steps: &mut VecDeque<Step>) -> Result<(), Failure> {
        let Some(step) = steps.pop_front() else { return Ok(()) };
        match step {
            Step::Fail(failure) => Err(failure),
            Step::Parse(statement) => self.check_parse(&statement).await,
            // These in the heap: every message would carry the room for them.
            Step::DescribeStatement(held) => Box::pin(self.describe_statement(&held)).await,
            Step::DescribeCursor(name, shard) => Box::pin(self.describe_cursor(&name, shard)).await,
            Step::Bind(_) => {
                backend::write_bind_complete(self.link.client.output());
                Ok(())
            }
            Step::DescribePortal(portal) => match steps.front() {
                Some(Step::Execute(next, rows)) if Rc::ptr_eq(next, &portal) && portal.describes_itself() => {
                    let rows = *rows;
                    steps.pop_front();
                    self.execute(&portal, rows, true).await
                }
                _ => Box::pin(self.describe_portal(&portal)).await,
            },
            Step::Execute(portal, rows) => self.execute(&portal, rows, false).await,
            Step::CloseStatement | Step::ClosePortal(_) => {
                if let Step::ClosePortal(Some(portal)) = &step
                    && let Some(cursor) = portal.cursor.take().map(Box::new)
                    && !self.link.transaction.is_failed()
                {
                    Box::pin(self.link.close_cursor(&cursor)).await?;
                }
                backend::write_close_complete(self.link.client.output());
                Ok(())
            }
        }
    }

    /// ParseComplete for a statement that the proxy answers or rewrites; a rewritten one is judged when it runs.
    async fn check_parse(&mut self, statement: &Prepared) -> Result<(), Failure> {
        let understood = Rc::clone(&statement.meaning.borrow());
        if let Meaning::Plan(Planned::Unreadable(refusal)) = &understood.meaning {
            self.refuse_if_failed()?;
            Box::pin(self.link.check_syntax(&statement.sql)).await?;
            return Err(refusal.clone().into());
        }
        backend::write_parse_complete(self.link.client.output());
        Ok(())
    }

    /// Runs a portal; `describe` if its description was asked for right before.
    async fn execute(&mut self, portal: &Rc<Portal>, rows: i32, describe: bool) -> Result<(), Failure> {
        let understood = Rc::clone(&portal.statement.meaning.borrow());
        if matches!(understood.meaning, Meaning::Empty) {
            if describe {
                backend::write_no_data(self.link.client.output());
            }
            backend::write_empty_query(self.link.client.output());
            return Ok(());
        }
        if describe {
            Box::pin(self.note_columns(portal, &understood)).await?;
        }
        if let Some(refusal) = &portal.refusal {
            self.refuse_if_failed()?;
            return Err(refusal.clone().into());
        }
        let executes = matches!(understood.meaning, Meaning::Control(Control::Execute { .. }));
        if executes && describe {
            Box::pin(self.describe_portal(portal)).await?;
        }
        let describe = describe && !executes;
        let mut call = call_of(portal, describe);
        if portal.done.get() {
            return self.execute_again(portal, &understood);
        }
        if portal.is_suspended() || rows > 0 && gives_rows(portal, &understood) {
            let limit = usize::try_from(rows).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX);
            return Box::pin(self.execute_limited(portal, &call, limit)).await;
        }
        portal.done.set(true);
        match &portal.plan {
            None => {
                let described = describe && !returns_rows(&understood);
                if described {
                    backend::write_no_data(self.link.client.output());
                    call.describe = false;
                }
                let call = Call { describe: describe && !described, ..call };
                self.understood(&call, &understood).await
            }
            Some(plan) => {
                self.refuse_if_failed()?;
                self.link.run_plan(&call, &understood, plan).await
            }
        }
    }

    /// What ran to its end has no more rows; what has no rows cannot run again.
    fn execute_again(&mut self, portal: &Portal, understood: &crate::execute::Understood) -> Result<(), Failure> {
        self.refuse_if_failed()?;
        let tag = match (&understood.meaning, &portal.plan) {
            (Meaning::Control(Control::Show(_)), _) => "SHOW",
            (Meaning::Control(Control::Explain { .. }), _) => "EXPLAIN",
            (Meaning::Control(Control::Fetch { .. }), _) => "FETCH 0",
            (Meaning::Control(Control::NextIds(_) | Control::Ledger(_)), _)
            | (_, Some(Plan::Scatter(_) | Plan::Gather(_))) => "SELECT 0",
            _ => {
                let message = format!("portal \"{}\" cannot be run", portal.name);
                return Err(Refusal::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into());
            }
        };
        backend::write_command_complete(self.link.client.output(), tag);
        Ok(())
    }

    /// Runs a portal to its end in memory and hands out its rows by the limit.
    async fn execute_limited(&mut self, portal: &Rc<Portal>, call: &Call, rows: usize) -> Result<(), Failure> {
        self.refuse_if_failed()?;
        if let Some(Plan::Scatter(scatter)) = &portal.plan
            && portal.rest.borrow().is_none()
            && (portal.cursor.borrow().is_some() || self.link.merges_here(call, scatter).await?)
        {
            return Box::pin(self.execute_in_portions(portal, call, scatter, rows)).await;
        }
        if portal.rest.borrow().is_none() {
            let understood = Rc::clone(&portal.statement.meaning.borrow());
            let held = self.link.client.hold(REST_BYTES_MAX);
            let done = match &portal.plan {
                Some(plan) => self.link.run_plan(call, &understood, plan).await,
                None => self.understood(call, &understood).await,
            };
            let (reply, overflow) = self.link.client.release(held);
            if done.is_err() {
                // A shard's error is among what was held.
                self.link.client.output().extend_from_slice(&reply);
            }
            done?;
            if overflow {
                return Err(too_many_rows().into());
            }
            let rest = self.take_rest(reply);
            *portal.rest.borrow_mut() = Some(rest);
        }
        let mut rest = portal.rest.borrow_mut();
        let Some(rest) = rest.as_mut() else { return Ok(()) };
        let count = rows.min(rest.rows.len());
        for row in rest.rows.drain(..count) {
            self.link.client.output().extend_from_slice(&row);
        }
        if rest.rows.is_empty() && count < rows {
            match backend::command_tag(rest.end.get(5..).unwrap_or_default()) {
                // A SELECT counts the rows of each fetch, everything else what it did in all.
                Ok(tag) if tag.starts_with("SELECT ") || tag.starts_with("FETCH ") => {
                    let verb = &tag[..tag.find(' ').unwrap_or(0)];
                    backend::write_command_complete(self.link.client.output(), &format!("{verb} {count}"));
                }
                Ok(_) | Err(_) => self.link.client.output().extend_from_slice(&rest.end),
            }
        } else {
            backend::write_portal_suspended(self.link.client.output());
        }
        Ok(())
    }

    /// Runs a read over several shards in portions, which the servers hold ready.
    async fn execute_in_portions(
        &mut self,
        portal: &Rc<Portal>,
        call: &Call,
        plan: &Scatter,
        rows: usize,
    ) -> Result<(), Failure> {
        let opened = portal.cursor.take();
        let mut cursor = match opened {
            Some(cursor) => cursor,
            None => {
                self.link.open_implicit();
                let number = self.extended.next_cursor();
                let cursor = self.link.open_cursor(call, plan, number).await?;
                if call.describe {
                    backend::write_row_description(self.link.client.output(), &cursor.fields);
                }
                cursor
            }
        };
        let count = self.pass_cursor(&mut cursor, rows, true).await?;
        *portal.cursor.borrow_mut() = Some(cursor);
        match count < rows {
            true => backend::write_command_complete(self.link.client.output(), &format!("SELECT {count}")),
            false => backend::write_portal_suspended(self.link.client.output()),
        }
        Ok(())
    }

    /// Splits a whole reply: what is no row passes at once, except the tag that ends it.
    fn take_rest(&mut self, mut reply: Bytes) -> Rest {
        let mut rest = Rest::default();
        while let Ok(Some(header)) = frame::header(&reply, REST_BYTES_MAX) {
            if reply.len() < header.length {
                break;
            }
            let frame = reply.split_to(header.length);
            match header.kind {
                b'D' => rest.rows.push_back(frame),
                b'C' => rest.end = frame,
                _ => self.link.client.output().extend_from_slice(&frame),
            }
        }
        rest
    }
}

fn call_of(portal: &Portal, describe: bool) -> Call {
    Call {
        text: portal.issued.clone().unwrap_or_else(|| Rc::clone(&portal.statement.sql)),
        arguments: Some(Rc::clone(&portal.arguments)),
        describe,
        literals: None,
    }
}

/// Tells whether servers may parse the statement as the client wrote it.
fn passes_as_it_is(statement: &Prepared) -> bool {
    let understood = statement.meaning.borrow();
    matches!(understood.meaning, Meaning::Plan(_)) && !understood.is_rewritten() && understood.described_over.is_none()
}

fn is_write(step: &Step) -> bool {
    match step {
        Step::Execute(portal, _) => matches!(&portal.plan, Some(Plan::Direct(direct)) if direct.effect.is_some()),
        _ => false,
    }
}

/// Tells whether an Execute may leave rows of the portal for the next one.
fn gives_rows(portal: &Portal, understood: &crate::execute::Understood) -> bool {
    let copies = understood.copies_in || matches!(portal.plan, Some(Plan::CopyOut(_)));
    portal.plan.is_some() && !copies || returns_rows(understood)
}

fn returns_rows(understood: &crate::execute::Understood) -> bool {
    let Meaning::Control(control) = &understood.meaning else { return false };
    matches!(
        control,
        Control::Show(_)
            | Control::Explain { .. }
            | Control::Fetch { .. }
            | Control::NextIds(_)
            | Control::Ledger(_)
            | Control::Execute { .. }
    )
}

fn too_many_rows() -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a portal over several shards holds more than 64 MiB of rows")
        .with_hint("Fetch without a row limit, or add the sharding key to the query.")
}
