//! Asks the shards for their plans, and answers with one.

use bytes::Bytes;
use postgres_protocol::escape::escape_identifier;

use crate::plan::{
    Carry, Gather, MultiWrite, ParameterSource, Part, Plan, Redo, Scatter, Statement, WriteEffect, merge_steps,
};
use crate::sql::ExplainFormat;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend::{self, DataRow, Field};

use super::super::call::Call;
use super::super::collect::{self, Collected};
use super::super::failure::Failure;
use super::super::gather::source;
use super::super::link::{Link, Role};
use super::super::position::Position;
use super::tree::{PartPlan, Tree, Unreadable};
use super::{render, text};

/// Type oids of what EXPLAIN answers with.
const TEXT_OID: u32 = 25;
const JSON_OID: u32 = 114;
const XML_OID: u32 = 142;

/// Why a gather's plan on home is missing.
const ON_HOME_LATER: &str = "planned when it runs, over the rows that came; EXPLAIN ANALYZE runs it";

/// An EXPLAIN.
#[derive(Debug)]
pub struct Explaining {
    /// What stands before the statement: the word and its options.
    pub head: String,
    /// The statement in it, with the values bound.
    pub statement: Call,
    /// How the plan is written.
    pub format: ExplainFormat,
    /// Whether the statement runs.
    pub analyze: bool,
    /// The tables of the rules that it names.
    pub tables: Vec<String>,
}

impl Explaining {
    /// Returns the EXPLAIN of what a shard would run.
    pub fn of(&self, statement: &Statement) -> Statement {
        prefixed(&self.head, &self.statement, statement)
    }

    /// Returns the head that makes a shard answer in a form that can be taken apart.
    fn shard_head(&self) -> String {
        match self.format {
            ExplainFormat::Text | ExplainFormat::Json => self.head.clone(),
            ExplainFormat::Yaml | ExplainFormat::Xml => crate::sql::explain_as_json(&self.head),
        }
    }
}

/// The second statement's text is made of what the first one returns.
fn in_two_steps(carry: &Carry) -> Refusal {
    let message = format!("EXPLAIN of a statement that brings rows to table \"{}\" from elsewhere", carry.table);
    Refusal::unsupported(message, "Use EXPLAIN (ROUTE), or EXPLAIN its query alone.").with_reason("explain_carry")
}

/// Puts `head` before the text that `statement` stands for.
fn prefixed(head: &str, call: &Call, statement: &Statement) -> Statement {
    let sql = format!("{head}{}", call.sql(statement));
    let parameters = match statement {
        Statement::Rewritten { parameters, .. } => parameters.clone(),
        Statement::Original => {
            let count = call.arguments.as_ref().map_or(0, |arguments| arguments.values.len());
            (0..count).map(ParameterSource::Client).collect()
        }
    };
    Statement::Rewritten { sql, parameters }
}

impl Link {
    /// Answers an EXPLAIN whose statement takes several shards.
    pub async fn explain_over_shards(&mut self, explaining: &Explaining, plan: &Plan) -> Result<(), Failure> {
        self.client.position = Position::Unknown;
        let tree = match plan {
            Plan::Scatter(scatter) => self.explain_scatter(explaining, scatter).await?,
            Plan::MultiWrite(write) => self.explain_write(explaining, write).await?,
            Plan::Gather(gather) => self.explain_gather(explaining, gather).await?,
            Plan::Carry(carry) => return Err(in_two_steps(carry).into()),
            Plan::Direct(_) | Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => {
                // Most of these PostgreSQL does not explain either.
                self.check_syntax(&format!("{}{}", explaining.head, explaining.statement.text)).await?;
                let message = "EXPLAIN of a utility statement over several shards is not available";
                return Err(Refusal::unsupported(message, "Use EXPLAIN (ROUTE) for the way it takes.").into());
            }
        };
        self.answer_tree(explaining, &tree)
    }

    async fn explain_scatter(&mut self, explaining: &Explaining, plan: &Scatter) -> Result<Tree, Failure> {
        if plan.reads_reference {
            for shard in plan.shards.iter() {
                self.wait_for_own_writes(shard).await?;
            }
        }
        let parts: Vec<_> = plan.shards.iter().map(|shard| (shard, &plan.statement)).collect();
        let role = if plan.locks && explaining.analyze { Role::Locker } else { Role::Reader };
        let parts = self.explain_parts(explaining, &parts, role, None).await?;
        let facts = vec![("Shards", parts.len().to_string()), ("Merge", merge_steps(&plan.merge).join(", "))];
        Ok(Tree { node: "Shardloom Scatter", facts, parts })
    }

    async fn explain_write(&mut self, explaining: &Explaining, plan: &MultiWrite) -> Result<Tree, Failure> {
        let parts: Vec<_> = plan.parts.iter().map(|Part { shard, statement, .. }| (*shard, statement)).collect();
        let effect = Some(&plan.effect).filter(|_| explaining.analyze);
        let role = if explaining.analyze { Role::Part } else { Role::Reader };
        let parts = self.explain_parts(explaining, &parts, role, effect).await?;
        let mode = plan.effect.mode_over_shards().name().to_owned();
        let facts = vec![("Shards", parts.len().to_string()), ("Commit", mode)];
        Ok(Tree { node: "Shardloom Multi Write", facts, parts })
    }

    /// Asks all shards at the same time, in the transaction, or in one of their own that commits.
    async fn explain_parts(
        &mut self,
        explaining: &Explaining,
        parts: &[(ShardId, &Statement)],
        role: Role,
        effect: Option<&WriteEffect>,
    ) -> Result<Vec<PartPlan>, Failure> {
        let implicit = self.open_implicit();
        let done = self.ask_parts(explaining, parts, role, effect).await;
        match done {
            Ok(plans) => {
                if implicit {
                    self.commit().await?;
                }
                Ok(plans)
            }
            Err(failure) => {
                if implicit {
                    self.rollback().await;
                }
                Err(failure)
            }
        }
    }

    async fn ask_parts(
        &mut self,
        explaining: &Explaining,
        parts: &[(ShardId, &Statement)],
        role: Role,
        effect: Option<&WriteEffect>,
    ) -> Result<Vec<PartPlan>, Failure> {
        let head = explaining.shard_head();
        let once = effect.map(runs_once);
        let mut started = Vec::with_capacity(parts.len());
        for (shard, statement) in parts {
            let position = self.enlist(*shard, role).await?;
            if let Some(effect) = &once {
                self.note_write(position, effect);
                self.note_rejects(effect);
            }
            let frozen = self.frozen(&explaining.statement, statement, effect, position).await?;
            let (call, statement) = frozen.unwrap_or_else(|| (explaining.statement.clone(), (*statement).clone()));
            let statement = prefixed(&head, &call, &statement);
            started.push((position, call, statement));
        }
        for (position, call, statement) in &started {
            let server = &mut self.transaction.members[*position].server;
            call.write(server.out(), statement);
            server.flush().await?;
        }
        let mut replies = Vec::with_capacity(started.len());
        for (position, ..) in &started {
            replies.push(collect::collect(&mut self.client, &mut self.transaction.members[*position]).await);
        }
        let replies = replies.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Some(frame) = replies.iter().find_map(|reply| reply.error.clone()) {
            return Err(Failure::Shard { frame });
        }
        if let Some(effect) = &once {
            for (position, call, statement) in &started {
                self.note_redo(*position, call, statement, effect, 0)?;
            }
        }
        self.pass_notices(&replies);
        parts.iter().zip(&replies).map(|((shard, _), reply)| self.part(explaining, "Shard", *shard, reply)).collect()
    }

    fn pass_notices(&mut self, replies: &[Collected]) {
        for notice in replies.iter().flat_map(|reply| &reply.notices) {
            self.client.output().extend_from_slice(notice);
        }
    }

    /// What comes to home is planned on its shards; what home makes of it only when it is there.
    async fn explain_gather(&mut self, explaining: &Explaining, plan: &Gather) -> Result<Tree, Failure> {
        let mut home = PartPlan {
            node: "Home",
            shard: self.shard_name(plan.home),
            tables: Vec::new(),
            lines: Vec::new(),
            note: Some(ON_HOME_LATER),
        };
        if explaining.analyze {
            home.lines = self.gathered_plan(explaining, plan).await?;
            home.note = None;
        }
        let mut parts = vec![home];
        let head = explaining.shard_head();
        for fetch in plan.fetches.iter().filter(|fetch| !fetch.in_place) {
            let columns: Vec<_> = fetch.columns.iter().map(|column| escape_identifier(column)).collect();
            let filter = plan.conditions(fetch).map(|conditions| format!(" WHERE {conditions}")).unwrap_or_default();
            let alias = if fetch.physical.len() > 1 { " AS physical" } else { "" };
            let query = format!("{head}SELECT {} FROM {}{alias}{filter}", columns.join(", "), source(fetch));
            for shard in fetch.shards.iter() {
                let reply = self.ask(shard, &query).await?;
                let lines = reply.rows.iter().filter_map(|row| Some(lossy(row.first()?.as_ref()?))).collect();
                let (shard, tables) = (self.shard_name(shard), fetch.tables());
                parts.push(PartPlan { node: "Fetch", shard, tables, lines, note: None });
            }
        }
        let facts = vec![("Home", self.shard_name(plan.home)), ("Because", plan.because.clone())];
        Ok(Tree { node: "Shardloom Gather", facts, parts })
    }

    async fn gathered_plan(&mut self, explaining: &Explaining, plan: &Gather) -> Result<Vec<String>, Failure> {
        let call = &explaining.statement;
        let statement = prefixed(&explaining.shard_head(), call, &plan.statement);
        let mut plan_lines = Vec::new();
        let found = &mut plan_lines;
        let work = async |link: &mut Self, scratch: &mut crate::backend::Server| {
            call.write(scratch.out(), &statement);
            scratch.flush().await?;
            let reply = collect::from_server(&mut link.client, scratch).await?;
            match &reply.error {
                Some(frame) => Err(Failure::Shard { frame: frame.clone() }),
                None => {
                    *found = lines(&reply)?;
                    Ok(())
                }
            }
        };
        Box::pin(self.over_copies(call, plan, work)).await?;
        Ok(plan_lines)
    }

    fn part(
        &self,
        explaining: &Explaining,
        node: &'static str,
        shard: ShardId,
        reply: &Collected,
    ) -> Result<PartPlan, Failure> {
        let (shard, tables) = (self.shard_name(shard), explaining.tables.clone());
        Ok(PartPlan { node, shard, tables, lines: lines(reply)?, note: None })
    }

    fn answer_tree(&mut self, explaining: &Explaining, tree: &Tree) -> Result<(), Failure> {
        let (rows, type_oid) = match explaining.format {
            ExplainFormat::Text => (text::lines(tree), TEXT_OID),
            ExplainFormat::Json | ExplainFormat::Yaml | ExplainFormat::Xml => {
                let text = render::structured(&tree.value().map_err(too_deep)?, explaining.format);
                let oid = match explaining.format {
                    ExplainFormat::Json => JSON_OID,
                    ExplainFormat::Xml => XML_OID,
                    ExplainFormat::Text | ExplainFormat::Yaml => TEXT_OID,
                };
                (vec![text], oid)
            }
        };
        let formats = explaining.statement.arguments.as_ref().map_or(&[][..], |arguments| &arguments.result_formats);
        let out = self.client.output();
        if explaining.statement.describe {
            let format = formats.first().copied().unwrap_or(0);
            backend::write_row_description(out, &[column(type_oid, format)]);
        }
        for row in &rows {
            backend::write_data_row(out, &[Some(row.as_bytes())]);
        }
        backend::write_command_complete(out, "EXPLAIN");
        Ok(())
    }
}

/// What EXPLAIN ANALYZE writes is not to be written by a redo of the EXPLAIN.
fn runs_once(effect: &WriteEffect) -> WriteEffect {
    WriteEffect { redo: Redo::Never("EXPLAIN ANALYZE".to_owned()), deferrable: false, ..effect.clone() }
}

fn column(type_oid: u32, format: i16) -> Field {
    Field { name: "QUERY PLAN".to_owned(), table_oid: 0, column: 0, type_oid, type_size: -1, type_modifier: -1, format }
}

/// Returns the first column of each row.
fn lines(reply: &Collected) -> Result<Vec<String>, Failure> {
    let first = |frame: &Bytes| {
        let row = frame.get(crate::wire::frame::HEADER_BYTES..).and_then(|body| DataRow::read(body).ok());
        row.and_then(|mut row| row.next().flatten().map(|value| String::from_utf8_lossy(value).into_owned()))
    };
    let missing = || Refusal::new(SqlState::INTERNAL_ERROR, "a shard answered EXPLAIN without a plan");
    reply.rows.iter().map(|frame| first(frame).ok_or_else(|| missing().into())).collect()
}

fn lossy(value: &Bytes) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn too_deep(unreadable: Unreadable) -> Failure {
    let Unreadable(message) = unreadable;
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).with_hint("Ask for FORMAT text.").into()
}
