//! `PREPARE`, `EXECUTE` and `EXPLAIN EXECUTE`: what SQL prepares is one of the client's statements like those of the
//! protocol, and each finds the other's.
//!
//! Values that are constants are bound as they are; a server evaluates other expressions first, in its own `EXECUTE`.

use std::ops::Range;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::backend::Server;
use crate::execute::{Arguments, Call, Client, Description, Failure, Meaning, Position, Prepared};
use crate::plan::Plan;
use crate::sql::{self, Argument, Control, Scanner};
use crate::types::{Refusal, ShardId, SqlState, USER_TYPES};
use crate::wire::frontend::{self, Target};
use crate::wire::{backend, frame};

use super::control::not_yet;
use super::conversation::Session;
use super::extended::{Held, row_part, with_formats};

/// The name of the statement that lets a server evaluate values; clients' statements have other names there.
const EVALUATION: &str = "shardloom_arguments";
/// The longest description that is read; a statement has 65,535 parameters at most.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A type's number in pg_type, for those whose input reads what a whole number becomes by assignment.
const TAKES_INTEGERS: [u32; 6] = [INT8, INT2, INT4, TEXT, NUMERIC, FLOAT8];
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const FLOAT8: u32 = 701;
const NUMERIC: u32 = 1700;

impl Session {
    /// `PREPARE name (types) AS statement`
    pub(super) async fn prepare_by_sql(
        &mut self,
        call: &Call,
        name: &str,
        types: &[Range<usize>],
        inner: Range<usize>,
    ) -> Result<(), Failure> {
        let text = &call.text[inner.clone()];
        if !may_be_prepared(text) {
            self.link.check_syntax(&call.text).await?;
            return Err(not_yet("PREPARE of such a statement", "Prepare SELECT, INSERT, UPDATE, DELETE or VALUES."));
        }
        let declared = self.declared(&call.text, types).await?;
        self.link.client.position = self.behind(&call.text[..inner.start]);
        let (prepared, frames) = self.prepared_by_sql(text, declared).await?;
        let most = self.link.worker.proxy.config.limits.client_statements;
        self.extended.check_room(name, most)?;
        let held = Held::new(prepared, true);
        held.told.note_statement(&held.prepared, !self.link.schema_dirty, &frames);
        self.extended.add_statement(name, held);
        backend::write_command_complete(self.link.client.output(), "PREPARE");
        Ok(())
    }

    /// Reads the statement and has a server judge it; returns it with all of its parameters' types, and its description.
    async fn prepared_by_sql(&mut self, text: &str, declared: Vec<u32>) -> Result<(Rc<Prepared>, Bytes), Failure> {
        let plans = &self.link.worker.plans;
        let prepared = plans.prepare(text, declared, &self.link.snapshot)?;
        let understood = Rc::clone(&prepared.meaning.borrow());
        match &understood.meaning {
            Meaning::Plan(crate::execute::Planned::Unreadable(refusal)) => {
                self.link.check_syntax(text).await?;
                return Err(refusal.clone().into());
            }
            Meaning::Plan(_) => {}
            Meaning::Control(_) | Meaning::Keyed(_) | Meaning::Empty => {
                return Err(not_yet("PREPARE of such a statement", "Run it as it is."));
            }
        }
        let frames = self.described(&prepared, &understood).await?;
        let types: Vec<u32> =
            parameter_types(&frames).into_iter().map(|oid| if oid < USER_TYPES { oid } else { 0 }).collect();
        if types == prepared.types {
            return Ok((prepared, frames));
        }
        let typed = self.link.worker.plans.prepare(text, types, &self.link.snapshot)?;
        if !self.link.schema_dirty {
            let generation = self.link.snapshot.generation;
            typed.description.borrow_mut().get_or_insert(Description { generation, frames: frames.clone() });
        }
        Ok((typed, frames))
    }

    /// Asks a server for the numbers of declared types.
    async fn declared(&mut self, text: &str, types: &[Range<usize>]) -> Result<Vec<u32>, Failure> {
        if types.is_empty() {
            return Ok(Vec::new());
        }
        let casts = types.iter().enumerate().map(|(index, span)| match text[span.clone()].trim() {
            // Left to be found out, as in PostgreSQL.
            unknown if unknown.eq_ignore_ascii_case("unknown") => format!("${}", index + 1),
            name => format!("${}::{name}", index + 1),
        });
        let question = format!("SELECT {}", casts.collect::<Vec<_>>().join(", "));
        self.link.client.position = Position::Unknown;
        let frames = self.link.describe_on(self.asking_shard(), &question, &[], 0).await?;
        Ok(parameter_types(&frames))
    }

    /// `EXECUTE name (values)`
    pub(super) async fn execute_by_sql(
        &mut self,
        call: &Call,
        name: &str,
        arguments: Option<&[Range<usize>]>,
    ) -> Result<(), Failure> {
        let (held, bound) = self.bound_by_sql(call, &call.text, name, arguments).await?;
        self.check_told(&held.prepared, &held.told).await?;
        let understood = Rc::clone(&held.prepared.meaning.borrow());
        if !matches!(understood.meaning, Meaning::Plan(_)) {
            return Err(not_yet("EXECUTE of a session statement", "Run it as it is."));
        }
        let describe = match call.arguments {
            None => has_rows(&self.described(&held.prepared, &understood).await?),
            // Describe has been answered.
            Some(_) => false,
        };
        self.link.client.position = Position::Unknown;
        let bound = Call { describe, ..bound };
        match self.link.steered(&bound, &understood)? {
            Some((call, understood)) => self.link.run(&call, &understood).await,
            None => self.link.run(&bound, &understood).await,
        }
    }

    /// What Describe says of an EXECUTE: the columns of the statement, if there is one by now.
    pub(super) async fn describe_execute(&mut self, name: &str, formats: &[i16]) -> Result<(), Failure> {
        let Some(Held { prepared, .. }) = self.extended.statement(name).cloned() else {
            backend::write_no_data(self.link.client.output());
            return Ok(());
        };
        let understood = self.link.worker.plans.refresh(&prepared, &self.link.snapshot)?;
        if !matches!(understood.meaning, Meaning::Plan(_)) {
            return Err(not_yet("EXECUTE of a session statement", "Run it as it is."));
        }
        let frames = self.described(&prepared, &understood).await?;
        let rows = with_formats(row_part(&frames), formats);
        self.link.client.output().extend_from_slice(&rows);
        Ok(())
    }

    /// For an EXPLAIN of EXECUTE: the call that explains the statement itself, with the values.
    pub(super) async fn explained_execute(
        &mut self,
        call: &Call,
        inner: Range<usize>,
    ) -> Result<Option<Call>, Failure> {
        let text = &call.text[inner.clone()];
        let Some(Control::Execute { name, arguments }) = sql::control(text) else { return Ok(None) };
        let (_, bound) = self.bound_by_sql(call, text, &name, arguments.as_deref()).await?;
        self.link.client.position = Position::Unknown;
        let text = format!("{}{}", &call.text[..inner.start], bound.text);
        Ok(Some(Call { text: text.into(), literals: None, ..bound }))
    }

    /// Finds the statement and binds the values that stand in `text`.
    async fn bound_by_sql(
        &mut self,
        call: &Call,
        text: &str,
        name: &str,
        arguments: Option<&[Range<usize>]>,
    ) -> Result<(Held, Call), Failure> {
        let Some(arguments) = arguments else {
            self.link.check_syntax(&call.text).await?;
            return Err(not_yet("such an EXECUTE", "Write EXECUTE name (value, …)."));
        };
        let held = self.find_statement(name)?;
        let understood = self.link.worker.plans.refresh(&held.prepared, &self.link.snapshot)?;
        let wanted = understood.parameters().max(held.prepared.types.len());
        if arguments.len() != wanted {
            return Err(wrong_count(name, wanted, arguments.len()).into());
        }
        let values = self.values(text, arguments, &held.prepared).await?;
        let bound = Call {
            text: Rc::clone(&held.prepared.sql),
            arguments: Some(Rc::new(Arguments {
                types: held.prepared.types.clone(),
                formats: vec![0; values.len()],
                values,
                result_formats: call.arguments.as_ref().map(|own| own.result_formats.clone()).unwrap_or_default(),
            })),
            describe: call.describe,
            literals: Some(Rc::clone(&held.prepared.literals)),
        };
        Ok((held, bound))
    }

    /// Returns the values as text, as the types of the parameters read them.
    async fn values(
        &mut self,
        text: &str,
        arguments: &[Range<usize>],
        statement: &Prepared,
    ) -> Result<Vec<Option<Bytes>>, Failure> {
        let types = statement.types.iter().copied().chain(std::iter::repeat(0));
        let constants = arguments.iter().zip(types).map(|(span, oid)| constant(text, span.clone(), oid));
        match constants.collect::<Option<Vec<_>>>() {
            Some(values) => Ok(values),
            None => self.evaluated(text, arguments, statement).await,
        }
    }

    /// Lets a server make values of expressions, as its own EXECUTE would.
    async fn evaluated(
        &mut self,
        text: &str,
        arguments: &[Range<usize>],
        statement: &Prepared,
    ) -> Result<Vec<Option<Bytes>>, Failure> {
        let written: Vec<&str> = arguments.iter().map(|span| &text[span.clone()]).collect();
        let written = written.join(", ");
        Box::pin(self.check_harmless(&written)).await?;
        self.link.client.position = Position::Unknown;
        let shard = self.asking_shard();
        let frames = self.link.describe_on(shard, &statement.sql, &statement.types, 0).await?;
        let parameters: Vec<String> = (1..=arguments.len()).map(|number| format!("${number}")).collect();
        let question = format!("SELECT {}", parameters.join(", "));
        let types = parameter_types(&frames);
        let evaluation = format!("EXECUTE {EVALUATION} ({written})");
        match self.link.transaction.position(shard) {
            Some(position) => {
                self.link.flush_member(position).await?;
                let (client, server) = self.link.client_and_member(position);
                evaluate(client, server, &question, &types, &evaluation).await
            }
            None => {
                let mut server = self.link.borrow(shard).await?;
                let done = evaluate(&mut self.link.client, &mut server, &question, &types, &evaluation).await;
                self.link.give_back(server);
                done
            }
        }
    }

    /// Values must be the same wherever they are evaluated, and leave nothing behind.
    async fn check_harmless(&mut self, written: &str) -> Result<(), Failure> {
        let refused = || {
            not_yet(
                "EXECUTE with such values",
                "Use constants, casts of constants, or functions of PostgreSQL that read no tables.",
            )
        };
        let question: Rc<str> = format!("SELECT {written}").into();
        if sql::control(&question).is_some() {
            return Err(refused());
        }
        let understood = self.link.worker.plans.understand(&question, &self.link.snapshot)?;
        let literals = Some(sql::literals(&question).into());
        let call = Call { literals, ..Call::simple(question) };
        match self.link.plan_when_known(&call, &understood).await? {
            Plan::Direct(direct) if direct.effect.is_none() && direct.anywhere && !understood.leaves_remains() => {
                Ok(())
            }
            _ => Err(refused()),
        }
    }

    /// Where questions about statements go: to a member of the transaction, which has its settings, else home.
    fn asking_shard(&self) -> ShardId {
        let member = self.link.transaction.members.first().map(|member| member.server.shard());
        member.unwrap_or(self.link.snapshot.rules.home)
    }

    /// Where errors of a statement stand that has `head` before it in the text.
    fn behind(&self, head: &str) -> Position {
        let characters = head.chars().count();
        match &self.link.client.position {
            Position::Same => Position::Behind(characters),
            Position::Behind(more) => Position::Behind(more + characters),
            Position::Unknown | Position::Physical(_) => Position::Unknown,
        }
    }
}

/// Returns the value of a constant for a parameter of this type; `None` where a server has to say.
fn constant(text: &str, span: Range<usize>, oid: u32) -> Option<Option<Bytes>> {
    match sql::argument(text, span) {
        Argument::Null => Some(None),
        Argument::Text(value) => Some(Some(Bytes::from(value))),
        Argument::Integer(digits) => {
            let fits = match oid {
                INT2 => digits.parse::<i16>().is_ok(),
                INT4 => digits.parse::<i32>().is_ok(),
                _ => digits.parse::<i64>().is_ok(),
            };
            (fits && TAKES_INTEGERS.contains(&oid)).then(|| Some(Bytes::from(digits)))
        }
        Argument::Expression => None,
    }
}

/// Has a server run `evaluation`, which executes `question`; returns the one row.
async fn evaluate(
    client: &mut Client,
    server: &mut Server,
    question: &str,
    types: &[u32],
    evaluation: &str,
) -> Result<Vec<Option<Bytes>>, Failure> {
    let out = server.out();
    frontend::write_parse(out, EVALUATION, question, types);
    frontend::write_parse(out, "", evaluation, &[]);
    frontend::write_bind(out, "", "", &[], &[]);
    frontend::write_execute(out, "", 0);
    frontend::write_sync(out);
    // Also after an error: the name must be free again.
    frontend::write_close(out, Target::Statement, EVALUATION);
    frontend::write_sync(out);
    server.flush().await?;
    let mut values = Vec::new();
    let mut error = None;
    let mut ready = 0;
    while ready < 2 {
        let (kind, frame) = crate::execute::next_frame(client, server).await?;
        match kind {
            b'D' => {
                if let Ok(row) = backend::DataRow::read(&frame[5..]) {
                    values = row.map(|value| value.map(Bytes::copy_from_slice)).collect();
                }
            }
            b'E' => error = error.or(Some(frame)),
            b'Z' => {
                crate::execute::note_ready(server, &frame)?;
                ready += 1;
            }
            _ => crate::execute::note_parameter(server, &frame),
        }
    }
    match error {
        Some(frame) => Err(Failure::Shard { frame }),
        None => Ok(values),
    }
}

/// Returns the types in a ParameterDescription at the front of `frames`.
fn parameter_types(frames: &Bytes) -> Vec<u32> {
    let Ok(Some(header)) = frame::header(frames, DESCRIPTION_BYTES_MAX) else { return Vec::new() };
    let mut body = frames.slice(..header.length.min(frames.len()));
    if header.kind != b't' || body.len() < 5 {
        return Vec::new();
    }
    body.advance(5);
    backend::parameter_description(&body).unwrap_or_default()
}

fn has_rows(frames: &Bytes) -> bool {
    row_part(frames).first() == Some(&b'T')
}

/// Tells whether PostgreSQL's grammar lets a statement of this first word be prepared.
fn may_be_prepared(text: &str) -> bool {
    const WORDS: [&str; 8] = ["select", "insert", "update", "delete", "with", "values", "table", "merge"];
    let Some(first) = Scanner::new(text).next() else { return false };
    first.is_mark(text, "(") || WORDS.iter().any(|word| first.is_word(text, word))
}

fn wrong_count(name: &str, wanted: usize, given: usize) -> Refusal {
    let message = format!("wrong number of parameters for prepared statement \"{name}\"");
    Refusal::new(SqlState::SYNTAX_ERROR, message).with_detail(format!("Expected {wanted} parameters but got {given}."))
}
