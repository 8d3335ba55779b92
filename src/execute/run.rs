//! A plan and the way it takes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::metrics::QueryKind;
use crate::plan::{Context, Parameters, Plan, Statement, Values};
use crate::proxy::RouteMode;
use crate::sql;
use crate::sql::next_id::{IdArguments, Tag};
use crate::types::{Refusal, ShardSet, SqlState};

use super::call::{Arguments, BIGINT_OID, Call};
use super::failure::Failure;
use super::id_wait::{asked_again, lacks_ids};
use super::link::Link;
use super::lookup::is_awaited;
use super::pinned;
use super::position::Position;
use super::understand::{self, Meaning, Planned, Understood};

impl Link {
    /// Plans and runs a statement.
    pub async fn run(&mut self, call: &Call, understood: &Understood) -> Result<(), Failure> {
        match &understood.meaning {
            Meaning::Empty => {
                crate::wire::backend::write_empty_query(self.client.output());
                Ok(())
            }
            Meaning::Plan(Planned::Unreadable(refusal)) => {
                Box::pin(self.check_syntax(&call.text)).await?;
                Err(refusal.clone().into())
            }
            Meaning::Plan(Planned::Issuing(_)) => {
                let mut issued = self.issued(call, understood);
                if lacks_ids(&issued) {
                    issued = Box::pin(asked_again(self, || self.issued(call, understood))).await;
                }
                let Some((call, issued)) = issued? else { return Err(no_plan().into()) };
                let plan = Box::pin(self.plan_when_known(&call, &issued)).await?;
                self.client.position = Position::Unknown;
                self.run_plan(&call, &issued, &plan).await
            }
            Meaning::Keyed(_) => Err(no_place_for_a_key().into()),
            Meaning::Plan(_) | Meaning::Control(_) => {
                let plan = self.plan_when_known(call, understood).await?;
                self.run_plan(call, understood, &plan).await
            }
        }
    }

    /// Runs a plan that [`Link::plan`] made for this call.
    pub async fn run_plan(&mut self, call: &Call, understood: &Understood, plan: &Plan) -> Result<(), Failure> {
        if understood.changes_schema
            && let Some((call, understood, plan)) = Box::pin(self.at_one_moment(call, understood)).await?
        {
            return Box::pin(self.run_plan(&call, &understood, &plan)).await;
        }
        if matches!(plan, Plan::Carry(_) | Plan::Gather(_))
            && let Some((call, understood, plan)) = Box::pin(self.with_one_moment(call, understood, plan)).await?
        {
            return Box::pin(self.run_plan(&call, &understood, &plan)).await;
        }
        let at_home = if understood.at_home { pinned::at_home(plan).map(Box::new) } else { None };
        let plan = at_home.as_deref().unwrap_or(plan);
        self.expect_remains(understood, pinned::shards_of(plan));
        let sets = if understood.touches_settings { self.foresee_settings(call, plan)? } else { Vec::new() };
        self.touches_settings = understood.touches_settings;
        self.worker.proxy.metrics.query(kind(plan));
        if is_rewritten(plan) {
            let rules = &self.snapshot.rules;
            self.client.position =
                if rules.physical.is_empty() { Position::Unknown } else { Position::Physical(Arc::clone(rules)) };
        }
        let at_once = matches!(plan, Plan::Direct(_)) && self.snapshot.rules.physical.is_empty();
        if !at_once && self.worker.proxy.schemas.any() {
            Box::pin(self.check_same_columns(&call.text, plan)).await?;
        }
        let started = (!matches!(plan, Plan::Direct(_))).then(Instant::now);
        self.rows = 0;
        let done = match plan {
            Plan::Direct(direct) => self.direct(call, direct).await,
            // In the heap: every message would carry the room for them, and nearly all are direct.
            Plan::Scatter(scatter) => Box::pin(self.scatter(call, scatter)).await,
            Plan::Gather(gather) => Box::pin(self.gather(call, gather)).await,
            Plan::MultiWrite(write) => Box::pin(self.multi_write(call, write)).await,
            Plan::Carry(carry) => Box::pin(self.carry(call, carry)).await,
            Plan::Copy(copy) => Box::pin(self.copy(call, copy)).await,
            Plan::CopyOut(copy) => Box::pin(self.copy_out(call, copy)).await,
            Plan::Everywhere { shards, statement, effect } => {
                Box::pin(self.everywhere(call, *shards, statement, effect.as_ref())).await
            }
        };
        self.note_route(understood, plan, started);
        if std::mem::take(&mut self.touches_settings) {
            self.forget_applied_settings();
            if done.is_ok() {
                Box::pin(self.note_settings(sets)).await?;
            }
        }
        if understood.changes_schema {
            if done.is_ok() && self.transaction.is_open() {
                self.note_made(&call.text);
            }
            Box::pin(self.schema_changed()).await;
        }
        done
    }

    /// Counts an execution; of what one shard answers neither time nor rows are taken.
    fn note_route(&self, understood: &Understood, plan: &Plan, started: Option<Instant>) {
        let Some(route) = &understood.route else { return };
        let Some(started) = started else { return route.direct() };
        let shards = match plan {
            Plan::Copy(copy) => self.snapshot.rules.shards_of_group(copy.group),
            Plan::Gather(gather) => gather.shards(),
            Plan::Direct(_)
            | Plan::Scatter(_)
            | Plan::MultiWrite(_)
            | Plan::Carry(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => pinned::shards_of(plan),
        };
        route.note(mode(plan), shards.len(), self.rows, started.elapsed());
        if let Plan::Gather(gather) = plan {
            self.worker.plans.note_gathered(route, &gather.because);
        }
    }

    /// Keeps what a statement that is about to run on these shards may leave there, and doubts what it may take away.
    pub fn expect_remains(&mut self, understood: &Understood, shards: ShardSet) {
        self.keep_servers(understood.pins, shards);
        if understood.unpins {
            self.keeping.doubt();
        }
    }

    /// Returns the plan of one execution; a refusal is counted.
    pub fn plan(&self, call: &Call, understood: &Understood) -> Result<Plan, Failure> {
        self.miss_nothing();
        self.pieces.rewind();
        let planned = self.unless_missed(self.planned(call, understood));
        if !is_awaited(&planned) {
            self.pieces.clear();
            if let (Err(Failure::Refused(refusal)), Some(route)) = (&planned, &understood.route) {
                self.worker.plans.note_refused(route, refusal);
            }
        }
        planned
    }

    fn planned(&self, call: &Call, understood: &Understood) -> Result<Plan, Failure> {
        if !self.transaction.made.is_empty() {
            self.check_made(&call.text)?;
        }
        let empty = Arguments::default();
        let arguments = call.arguments.as_deref().unwrap_or(&empty);
        match &understood.meaning {
            Meaning::Plan(Planned::Prepared(prepared)) => {
                let values: Vec<Option<&[u8]>> = arguments.values.iter().map(Option::as_deref).collect();
                let literals = call.literals.as_deref().unwrap_or(understood.literals());
                let parameters = Parameters {
                    is_extended: call.arguments.is_some(),
                    values: &values,
                    formats: &arguments.formats,
                    types: &arguments.types,
                };
                let mut ids = |wanted| self.make_ids(wanted);
                Ok(prepared.plan(&self.context(), &Values { text: &call.text, literals, parameters }, &mut ids)?)
            }
            Meaning::Plan(Planned::Issuing(_)) => Err(no_plan().into()),
            Meaning::Plan(Planned::Unreadable(refusal)) => Err(refusal.clone().into()),
            Meaning::Keyed(_) => Err(no_place_for_a_key().into()),
            Meaning::Empty | Meaning::Control(_) => Err(no_plan().into()),
        }
    }

    fn context(&self) -> Context<'_> {
        Context { rules: &self.snapshot.rules, catalog: &self.snapshot.catalog }
    }

    /// For a text that calls `shardloom.next_id`: the call with ids handed to it, and what that means.
    pub fn issued(&self, call: &Call, understood: &Understood) -> Result<Option<(Call, Rc<Understood>)>, Failure> {
        let Meaning::Plan(Planned::Issuing(calls)) = &understood.meaning else { return Ok(None) };
        let empty = Arguments::default();
        let arguments = call.arguments.as_deref().unwrap_or(&empty);
        let mut ids = Vec::with_capacity(calls.len());
        for issue in calls {
            let tag = tag(&issue.tag, arguments)?;
            ids.extend(self.worker.proxy.next_ids(&tag, 1, &self.snapshot.rules.ids)?);
        }
        let form = match &call.arguments {
            None => IdArguments::Literals,
            Some(arguments) => IdArguments::ParametersAfter(arguments.values.len()),
        };
        let text = sql::splice(&call.text, &sql::next_id::edits(calls, &ids, form));
        let arguments = call.arguments.as_deref().map(|arguments| Rc::new(with_ids(arguments, &ids)));
        let mut issued = understand::read_issued(&text, &self.snapshot)?;
        issued.route = understood.route.clone();
        let issued = Rc::new(issued);
        Ok(Some((Call { text: text.into(), arguments, describe: call.describe, literals: None }, issued)))
    }

    /// Asks PostgreSQL to parse what the proxy cannot read: its syntax error is the client's.
    pub async fn check_syntax(&mut self, text: &str) -> Result<(), Failure> {
        let home = self.snapshot.rules.home;
        match self.describe_on(home, text, &[], 0).await {
            // The table may be on another shard: the refusal says more.
            Err(failure) if failure.says(b"42P01") => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Returns the tag that a call of `next_id` names.
fn tag(tag: &Tag, arguments: &Arguments) -> Result<String, Refusal> {
    match tag {
        Tag::Literal(tag) => Ok(tag.clone()),
        Tag::Parameter(index) => {
            let value = arguments.values.get(*index).and_then(Option::as_deref);
            let text = value.and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned);
            text.ok_or_else(|| Refusal::new(SqlState::NULL_VALUE_NOT_ALLOWED, "the tag of shardloom.next_id is NULL"))
        }
    }
}

/// Appends ids as parameters to the client's.
fn with_ids(arguments: &Arguments, ids: &[i64]) -> Arguments {
    let count = arguments.values.len();
    let mut types = arguments.types.clone();
    types.resize(count, 0);
    types.extend(ids.iter().map(|_| BIGINT_OID));
    let values = arguments.values.iter().cloned().chain(ids.iter().map(|id| Some(Bytes::from(id.to_string()))));
    let formats = arguments.formats.iter().copied().chain(ids.iter().map(|_| 0));
    Arguments {
        types,
        values: values.collect(),
        formats: formats.collect(),
        result_formats: arguments.result_formats.clone(),
    }
}

/// Tells whether some shard gets another text than the client's.
fn is_rewritten(plan: &Plan) -> bool {
    let rewritten = |statement: &Statement| *statement != Statement::Original;
    match plan {
        Plan::Direct(direct) => rewritten(&direct.statement),
        Plan::Scatter(scatter) => rewritten(&scatter.statement),
        Plan::Gather(gather) => rewritten(&gather.statement),
        Plan::MultiWrite(write) => write.parts.iter().any(|part| rewritten(&part.statement)),
        Plan::Copy(copy) => rewritten(&copy.statement),
        Plan::Carry(_) => false,
        Plan::CopyOut(copy) => copy.merged.is_some() || rewritten(&copy.statement),
        Plan::Everywhere { statement, .. } => rewritten(statement),
    }
}

fn kind(plan: &Plan) -> QueryKind {
    match plan {
        Plan::Direct(_) => QueryKind::Direct,
        Plan::Scatter(_) => QueryKind::Scatter,
        Plan::Gather(_) => QueryKind::Gather,
        Plan::MultiWrite(_) | Plan::Carry(_) | Plan::Everywhere { .. } => QueryKind::MultiWrite,
        Plan::Copy(_) | Plan::CopyOut(_) => QueryKind::Copy,
    }
}

fn mode(plan: &Plan) -> RouteMode {
    match plan {
        Plan::Direct(_) => RouteMode::Direct,
        Plan::Scatter(_) => RouteMode::Scatter,
        Plan::Gather(_) => RouteMode::Gather,
        Plan::MultiWrite(_) | Plan::Carry(_) => RouteMode::MultiWrite,
        Plan::Copy(_) | Plan::CopyOut(_) => RouteMode::Copy,
        Plan::Everywhere { .. } => RouteMode::Everywhere,
    }
}

fn no_place_for_a_key() -> Refusal {
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, "an idempotency key has no meaning inside of another statement")
        .with_hint("Put it before an INSERT, UPDATE, DELETE or MERGE that commits by itself.")
}

fn no_plan() -> Refusal {
    Refusal::new(SqlState::INTERNAL_ERROR, "a session statement was planned")
}
