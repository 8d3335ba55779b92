//! Messages become steps; Sync and Flush run them.

use std::rc::Rc;

use bytes::Bytes;

use crate::execute::{Arguments, Block, Call, ClientError, Failure, Meaning, is_awaited};
use crate::plan::{Plan, Statement};
use crate::sql::Control;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::frame::FrameError;
use crate::wire::frontend::{Bind, Close, Describe, Execute, Parse, Target};

use super::super::conversation::Session;
use super::PORTALS_MAX;
use super::portal::Portal;
use super::told::Held;
use crate::execute::Prepared;

/// Steps that gather before they run without waiting for Sync, so that a pipeline of any length is bounded.
const STEPS_MAX: usize = 1_000;

/// One message of a pipeline, read and planned.
pub(super) enum Step {
    Parse(Rc<Prepared>),
    Bind(Rc<Portal>),
    DescribeStatement(Held),
    DescribePortal(Rc<Portal>),
    /// A cursor that DECLARE made is a portal too; on one shard, or over several.
    DescribeCursor(String, Option<ShardId>),
    Execute(Rc<Portal>, i32),
    CloseStatement,
    ClosePortal(Option<Rc<Portal>>),
    /// What is wrong is told when its turn comes.
    Fail(Failure),
}

/// What ends a run of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Sync,
    Flush,
}

impl Session {
    /// Takes one of the extended protocol's messages that only add to the pipeline; tells whether that is to run now.
    pub(in super::super) fn gather_step(&mut self, kind: u8, body: &Bytes) -> Result<bool, ClientError> {
        if self.extended.skipping {
            return Ok(false);
        }
        let read = self.read_step(kind, body);
        if read.as_ref().is_ok_and(is_awaited) {
            self.extended.awaiting = Some(Box::new((kind, body.clone())));
            return Ok(true);
        }
        self.take_step(read)
    }

    fn take_step(&mut self, read: Result<Result<Step, Failure>, FrameError>) -> Result<bool, ClientError> {
        let step = match read {
            Ok(Ok(step)) => step,
            Ok(Err(failure)) => Step::Fail(failure),
            Err(error) if error.is_in_body() => Step::Fail(Failure::Refused(error.into())),
            Err(error) => return Err(error.into()),
        };
        let runs = runs_at_once(&step) || self.extended.pipeline.len() + 1 >= STEPS_MAX;
        self.extended.pipeline.push(step);
        Ok(runs)
    }

    /// Takes a message that [`Session::gather_step`] left because its plan needs what has to be fetched.
    async fn take_awaited(&mut self, kind: u8, body: &Bytes) -> Result<(), ClientError> {
        let mut awaited = self.link.await_plan();
        let mut read = self.read_step(kind, body);
        while let Ok(step) = &read
            && is_awaited(step)
        {
            read = match self.link.has_come(step, &mut awaited).await {
                Ok(true) => self.read_step(kind, body),
                Ok(false) => break,
                Err(failure) => Ok(Err(failure)),
            };
        }
        self.link.have_planned();
        self.take_step(read).map(drop)
    }

    /// Runs what has gathered.
    pub(in super::super) async fn run_gathered(&mut self) -> Result<(), ClientError> {
        if let Some(message) = self.extended.awaiting.take() {
            Box::pin(self.take_awaited(message.0, &message.1)).await?;
        }
        self.run_pipeline(End::Flush).await
    }

    /// Runs what has gathered and sends the answers.
    pub(in super::super) async fn flush_pipeline(&mut self) -> Result<(), ClientError> {
        if self.extended.skipping {
            return Ok(());
        }
        self.run_pipeline(End::Flush).await?;
        self.link.client.flush().await
    }

    /// Runs what has gathered ahead of a Query or FunctionCall; tells whether that is to run, in the same transaction.
    pub(in super::super) async fn finish_pipeline(&mut self) -> Result<bool, ClientError> {
        if !self.extended.skipping && !self.extended.pipeline.is_empty() {
            Box::pin(self.run_pipeline(End::Flush)).await?;
        }
        Ok(!self.extended.skipping)
    }

    /// Runs what has gathered and ends the transaction that the proxy opened for it.
    pub(in super::super) async fn sync(&mut self) -> Result<(), ClientError> {
        if !self.extended.skipping {
            self.run_pipeline(End::Sync).await?;
            // A Sync that came ahead of COPY data is ignored; the one behind the data counts.
            if self.link.client.took_copy_data() {
                return Ok(());
            }
        }
        self.extended.pipeline.clear();
        self.extended.undo.forget();
        let failed = std::mem::take(&mut self.extended.skipping);
        self.end_block(failed).await?;
        self.settle_keeping().await?;
        self.ready();
        Ok(())
    }

    /// Ends the transaction that the proxy opened for the pipeline.
    async fn end_block(&mut self, failed: bool) -> Result<(), ClientError> {
        if self.link.is_implicit() {
            if failed {
                self.link.rollback().await;
                self.transaction_ended(false).await;
            } else {
                let committed = self.link.commit().await;
                self.transaction_ended(committed.is_ok()).await;
                committed.or_else(|failure| self.tell(failure))?;
            }
        }
        Ok(())
    }

    /// Runs what has gathered; an error makes everything up to Sync be ignored.
    async fn run_pipeline(&mut self, end: End) -> Result<(), ClientError> {
        let steps = std::mem::take(&mut self.extended.pipeline);
        self.begin_work();
        self.link.client.took_copy_data();
        if self.needs_block(&steps, end) {
            self.link.transaction.open(Block::Implicit, "", false);
        }
        let count = steps.len();
        let mut steps = steps.into();
        let done = self.run_steps(&mut steps).await;
        self.end_work();
        match done {
            Ok(()) => {
                self.extended.undo.forget();
                Ok(())
            }
            Err(failure) => {
                self.extended.skipping = true;
                let failed = count.saturating_sub(steps.len() + self.extended.unanswered);
                self.extended.undo_from(failed);
                self.tell(failure)
            }
        }
    }

    /// Tells whether the proxy must hold the steps together in a transaction of its own: PostgreSQL makes one of what
    /// stands between two Syncs.
    fn needs_block(&self, steps: &[Step], end: End) -> bool {
        if self.link.transaction.is_open() {
            return false;
        }
        if end == End::Flush {
            return steps.iter().any(holds_transaction);
        }
        let turns = steps.iter().filter(|step| matches!(step, Step::Execute(..) | Step::Fail(_))).count();
        turns > 1 && self.batch_shard(steps.iter()).is_none_or(|(_, length)| length < steps.len())
    }

    fn read_step(&mut self, kind: u8, body: &Bytes) -> Result<Result<Step, Failure>, FrameError> {
        Ok(match kind {
            b'P' => {
                let parse = Parse::read(body)?;
                self.parse(&parse).map(Step::Parse)
            }
            b'B' => {
                let bind = Bind::read(body)?;
                self.bind(&bind, body).map(Step::Bind)
            }
            b'D' => {
                let describe = Describe::read(body)?;
                match describe.target {
                    Target::Statement => self.find_statement(describe.name).map(Step::DescribeStatement),
                    Target::Portal => match self.extended.cursor(describe.name) {
                        Some(shard) => Ok(Step::DescribeCursor(describe.name.to_owned(), Some(shard))),
                        None if self.extended.open_cursors.contains_key(describe.name) => {
                            Ok(Step::DescribeCursor(describe.name.to_owned(), None))
                        }
                        None => self.find_portal(describe.name).map(Step::DescribePortal),
                    },
                }
            }
            b'E' => {
                let execute = Execute::read(body)?;
                self.find_portal(execute.portal).map(|portal| Step::Execute(portal, execute.rows))
            }
            b'C' => {
                let close = Close::read(body)?;
                match close.target {
                    Target::Statement => {
                        let before = self.extended.statements.remove(close.name);
                        self.extended.note_statement(close.name, before);
                        Ok(Step::CloseStatement)
                    }
                    Target::Portal => Ok(Step::ClosePortal(self.extended.portals.remove(close.name))),
                }
            }
            _ => return Err(FrameError::UnknownType(kind)),
        })
    }

    fn parse(&mut self, parse: &Parse<'_>) -> Result<Rc<Prepared>, Failure> {
        let parsed = self.try_parse(parse);
        if parsed.is_err() && parse.name.is_empty() {
            // PostgreSQL drops the unnamed statement before it looks at the new text.
            let before = self.extended.statements.remove("");
            self.extended.note_statement("", before);
        }
        parsed
    }

    fn try_parse(&mut self, parse: &Parse<'_>) -> Result<Rc<Prepared>, Failure> {
        let most = self.link.worker.proxy.config.limits.client_statements;
        self.extended.check_room(parse.name, most)?;
        if crate::sql::split(parse.sql).len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Refusal::new(SqlState::SYNTAX_ERROR, message).into());
        }
        let types: Vec<u32> = parse.types.iter().collect();
        let prepared = self.link.worker.plans.prepare(parse.sql, types, &self.link.snapshot)?;
        self.refuse_unless_ending(&prepared)?;
        let held = Held::new(Rc::clone(&prepared), !parse.name.is_empty());
        let before = self.extended.statements.insert(parse.name.to_owned(), held);
        self.extended.note_statement(parse.name, before);
        Ok(prepared)
    }

    fn bind(&mut self, bind: &Bind<'_>, body: &Bytes) -> Result<Rc<Portal>, Failure> {
        let Held { prepared: statement, told } = self.find_statement(bind.statement)?;
        let count = bind.parameter_count();
        let arguments = Rc::new(Arguments {
            types: statement.types.clone(),
            formats: (0..count).map(|index| bind.parameter_format(index)).collect(),
            values: bind.parameters().map(|value| value.map(|value| body.slice_ref(value))).collect(),
            result_formats: bind.result_formats().collect(),
        });
        statement.uses.set(statement.uses.get().saturating_add(1));
        let call = Call {
            text: Rc::clone(&statement.sql),
            arguments: Some(Rc::clone(&arguments)),
            describe: false,
            literals: Some(Rc::clone(&statement.literals)),
        };
        let understood = self.link.worker.plans.refresh(&statement, &self.link.snapshot)?;
        check_count(bind, understood.parameters().max(statement.types.len()))?;
        self.refuse_unless_ending(&statement)?;
        if matches!(understood.meaning, Meaning::Empty) {
            self.refuse_if_failed()?;
        }
        if self.extended.portals.len() >= PORTALS_MAX {
            let message = format!("more than {PORTALS_MAX} portals in one transaction");
            return Err(Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).into());
        }
        if !bind.portal.is_empty() && self.extended.portals.contains_key(bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Refusal::new(SqlState::DUPLICATE_CURSOR, message).into());
        }
        if let Meaning::Control(Control::Show(_) | Control::Explain { .. } | Control::NextIds(_) | Control::Ledger(_)) =
            understood.meaning
        {
            check_formats(arguments.result_formats.len())?;
        }
        let steered = self.link.steered(&call, &understood)?;
        let issued = match &steered {
            Some((call, understood)) => self.link.issued(call, understood)?.or_else(|| steered.clone()),
            None => self.link.issued(&call, &understood)?,
        };
        let planned = match (&issued, &understood.meaning) {
            (_, Meaning::Control(_) | Meaning::Keyed(_) | Meaning::Empty) => None,
            (Some((call, understood)), Meaning::Plan(_)) => Some(self.link.plan(call, understood)),
            (None, Meaning::Plan(_)) => Some(self.link.plan(&call, &understood)),
        };
        let (plan, refusal) = match planned.transpose() {
            Ok(plan) => (plan, None),
            // What a column does not take is found when the row is stored; everything else as early as it can be.
            Err(Failure::Refused(refusal)) if refusal.state == SqlState::NOT_NULL_VIOLATION => (None, Some(refusal)),
            Err(failure) => return Err(failure),
        };
        let (text, arguments) = match issued {
            Some((call, _)) => (Some(call.text), call.arguments.unwrap_or(arguments)),
            None => (None, arguments),
        };
        let portal = Rc::new(Portal {
            name: bind.portal.to_owned(),
            tail: body.slice(bind.portal.len() + bind.statement.len() + 2..),
            statement,
            told,
            arguments,
            issued: text,
            plan,
            refusal,
            level: std::cell::Cell::new(self.link.transaction.savepoints.len()),
            done: std::cell::Cell::new(false),
            open_on: std::cell::Cell::new(None),
            cursor: std::cell::RefCell::new(None),
            rest: std::cell::RefCell::new(None),
        });
        let before = self.extended.portals.insert(bind.portal.to_owned(), Rc::clone(&portal));
        self.extended.note_portal(bind.portal, before);
        Ok(portal)
    }

    /// In a failed block only what ends it may be prepared and bound.
    fn refuse_unless_ending(&self, statement: &Prepared) -> Result<(), Failure> {
        match &statement.meaning.borrow().meaning {
            Meaning::Empty => Ok(()),
            Meaning::Control(Control::Commit { .. } | Control::Rollback { .. } | Control::RollbackTo(_)) => Ok(()),
            Meaning::Plan(_) | Meaning::Control(_) | Meaning::Keyed(_) => self.refuse_if_failed(),
        }
    }

    pub(in super::super) fn find_statement(&self, name: &str) -> Result<Held, Failure> {
        self.extended.statements.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            Refusal::new(SqlState::INVALID_STATEMENT_NAME, message).into()
        })
    }

    fn find_portal(&self, name: &str) -> Result<Rc<Portal>, Failure> {
        self.extended.portals.get(name).cloned().ok_or_else(|| no_portal(name).into())
    }
}

/// Refuses values that are too few or too many, in PostgreSQL's words.
fn check_count(bind: &Bind<'_>, wanted: usize) -> Result<(), Failure> {
    let given = bind.parameter_count();
    if given == wanted {
        return Ok(());
    }
    let name = bind.statement;
    let message =
        format!("bind message supplies {given} parameters, but prepared statement \"{name}\" requires {wanted}");
    Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message).into())
}

/// Refuses result formats for more than the one column of what the proxy answers.
fn check_formats(given: usize) -> Result<(), Failure> {
    if given <= 1 {
        return Ok(());
    }
    let message = format!("bind message has {given} result formats but query has 1 columns");
    Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message).into())
}

pub(in super::super) fn no_portal(name: &str) -> Refusal {
    Refusal::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

/// Tells whether what comes after a step can only be read once it ran: it may change the transaction or the session,
/// take COPY data, or it is wrong.
fn runs_at_once(step: &Step) -> bool {
    match step {
        Step::Execute(portal, _) => portal.plan.is_none() || portal.statement.meaning.borrow().copies_in,
        Step::Fail(_) => true,
        Step::Parse(_)
        | Step::Bind(_)
        | Step::DescribeStatement(_)
        | Step::DescribePortal(_)
        | Step::DescribeCursor(..)
        | Step::CloseStatement
        | Step::ClosePortal(_) => false,
    }
}

/// Tells whether a step does something that an error before Sync would undo: anything but beginning and ending
/// transactions, and what must stand outside of them.
fn holds_transaction(step: &Step) -> bool {
    let (Step::Bind(portal) | Step::Execute(portal, _)) = step else { return false };
    match &portal.statement.meaning.borrow().meaning {
        // One with a key commits by itself.
        Meaning::Empty | Meaning::Keyed(_) => false,
        Meaning::Control(control) => !matches!(
            control,
            Control::Begin { .. } | Control::Commit { .. } | Control::Rollback { .. } | Control::Discard(_)
        ),
        Meaning::Plan(_) => true,
    }
}

/// Returns the shard of a portal whose statement runs there as the client wrote it, and commits there.
pub(super) fn plain_shard(portal: &Portal) -> Option<ShardId> {
    match &portal.plan {
        Some(Plan::Direct(direct)) if direct.statement == Statement::Original && portal.issued.is_none() => {
            let meaning = portal.statement.meaning.borrow();
            if meaning.changes_schema || meaning.copies_in || meaning.touches_settings || meaning.at_home {
                return None;
            }
            let reference = direct.effect.as_ref().is_some_and(|effect| effect.reference);
            (!reference && !direct.reads_reference).then_some(direct.shard)
        }
        _ => None,
    }
}
