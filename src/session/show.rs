//! SHOW, and EXPLAIN (ROUTE).

use std::ops::Range;

use crate::backend::Server;
use crate::execute::{Call, Client, Explaining, Failure, Meaning, Planned, Position, Steer};
use crate::plan::{Direct, Plan, Redo, Statement, WriteEffect};
use crate::sql::{self, Control, ExplainFormat};
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend::{self, Field};
use crate::wire::frontend;

use super::control::not_yet;
use super::conversation::Session;
use super::extended::{no_portal, row_part, with_formats};
use super::ids::bigint_field;
use super::set::OWN_PREFIX;

/// PostgreSQL's type oid of `text`.
const TEXT_OID: u32 = 25;

impl Session {
    pub(super) async fn show(&mut self, call: &Call, name: &str) -> Result<(), Failure> {
        let Some(own) = name.strip_prefix(OWN_PREFIX) else {
            return self.at_home(call, true).await;
        };
        let value = match own {
            "last_txn" => self.link.last_txid.map(|txid| txid.to_string()).unwrap_or_default(),
            "read_your_writes" => if self.link.read_your_writes { "on" } else { "off" }.to_owned(),
            "idempotency_key" => {
                self.link.transaction.idempotency.as_ref().map(|taken| taken.key.clone()).unwrap_or_default()
            }
            "rules" => self.link.snapshot.rules.version.clone(),
            "version" => env!("CARGO_PKG_VERSION").to_owned(),
            _ if Steer::named(own).is_some() => {
                Steer::named(own).map(|what| self.link.settings.steering.value(what)).unwrap_or_default()
            }
            _ => {
                let message = format!("unrecognized configuration parameter \"{name}\"");
                return Err(Refusal::new(SqlState::UNDEFINED_OBJECT, message).into());
            }
        };
        self.answer_text(call, name, &[value], "SHOW");
        Ok(())
    }

    /// Answers with one text column.
    pub(super) fn answer_text(&mut self, call: &Call, column: &str, rows: &[String], tag: &str) {
        let out = self.link.client.output();
        if call.describe {
            backend::write_row_description(out, &[text_field(column)]);
        }
        for row in rows {
            backend::write_data_row(out, &[Some(row.as_bytes())]);
        }
        backend::write_command_complete(out, tag);
    }

    pub(super) async fn explain(
        &mut self,
        call: &Call,
        route: bool,
        format: ExplainFormat,
        analyze: bool,
        inner: Range<usize>,
    ) -> Result<(), Failure> {
        let bound = Box::pin(self.explained_execute(call, inner.clone())).await?;
        let (call, inner) = match &bound {
            Some(call) => (call, inner.start..call.text.len()),
            None => (call, inner),
        };
        let explained = call.text[inner.clone()].to_owned();
        let plan = Box::pin(self.plan_inner(call, inner.clone())).await?;
        let rules = &self.link.snapshot.rules;
        if route && format == ExplainFormat::Json {
            let mut view = crate::plan::route_json(&plan, rules, &explained);
            if let Some(why) = crate::plan::why_not_direct(&plan, &explained, rules) {
                view["not_direct"] = why.into();
            }
            self.answer_text(call, "QUERY PLAN", &[view.to_string()], "EXPLAIN");
            return Ok(());
        }
        if route {
            let mut lines = crate::plan::describe(&plan, rules);
            let why = crate::plan::why_not_direct(&plan, &explained, rules);
            lines.extend(why.map(|why| format!("  Not direct: {why}")));
            self.answer_text(call, "QUERY PLAN", &lines, "EXPLAIN");
            return Ok(());
        }
        let explaining = Explaining {
            head: call.text[..inner.start].to_owned(),
            tables: crate::plan::tables_named(&explained, rules),
            statement: Call { text: explained.into(), literals: None, ..call.clone() },
            format,
            analyze,
        };
        match plan {
            Plan::Direct(direct) => self.explain_direct(call, &explaining, direct).await,
            Plan::Scatter(_)
            | Plan::Gather(_)
            | Plan::MultiWrite(_)
            | Plan::Carry(_)
            | Plan::Copy(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => self.link.explain_over_shards(&explaining, &plan).await,
        }
    }

    /// One shard explains for itself; where it would run another text than the client's, that.
    async fn explain_direct(&mut self, call: &Call, explaining: &Explaining, direct: Direct) -> Result<(), Failure> {
        let statement = match &direct.statement {
            Statement::Original => Statement::Original,
            rewritten @ Statement::Rewritten { .. } => {
                self.link.client.position = Position::Unknown;
                explaining.of(rewritten)
            }
        };
        let effect = direct.effect.filter(|_| explaining.analyze).map(|effect| WriteEffect {
            redo: match effect.redo {
                // What a redo would run is the EXPLAIN, in which no time is frozen.
                Redo::AfterFreeze => Redo::Never("EXPLAIN ANALYZE".to_owned()),
                redo @ (Redo::Exact | Redo::Never(_)) => redo,
            },
            // The plan that it prints is of the shard.
            deferrable: false,
            ..effect
        });
        let reads_reference = direct.reads_reference && explaining.analyze;
        let anywhere = direct.anywhere && reads_reference;
        let plan = Direct { shard: direct.shard, statement, effect, anywhere, reads_reference };
        self.link.direct(call, &plan).await
    }

    /// Says what a session statement returns; the parameters have been said.
    ///
    /// `formats` are a portal's result formats, empty for a statement.
    pub(super) async fn describe_control(
        &mut self,
        text: &str,
        control: &Control,
        formats: &[i16],
    ) -> Result<(), Failure> {
        let format = formats.first().copied().unwrap_or(0);
        if let Control::NextIds(wanted) = control {
            let field = Field { format, ..bigint_field(&wanted.column) };
            backend::write_row_description(self.link.client.output(), &[field]);
            return Ok(());
        }
        if let Control::Ledger(asked) = control {
            let field = Field { format, ..super::ledger_call::field(asked) };
            backend::write_row_description(self.link.client.output(), &[field]);
            return Ok(());
        }
        if let Control::Fetch { name } = control
            && let Some(fields) = self.open_cursor_fields(name)
        {
            let mut frame = bytes::BytesMut::new();
            backend::write_row_description(&mut frame, fields);
            self.link.client.output().extend_from_slice(&with_formats(frame.freeze(), formats));
            return Ok(());
        }
        if let Control::Execute { name, .. } = control {
            return Box::pin(self.describe_execute(name, formats)).await;
        }
        let column = match control {
            Control::Show(name) if name.starts_with(OWN_PREFIX) => Some(name.as_str()),
            Control::Explain { route: true, .. } => Some("QUERY PLAN"),
            _ => None,
        };
        if let Some(column) = column {
            let field = Field { format, ..text_field(column) };
            backend::write_row_description(self.link.client.output(), &[field]);
            return Ok(());
        }
        let shard = match control {
            Control::Show(_) | Control::Explain { .. } => Some(self.link.snapshot.rules.home),
            Control::Fetch { name } => self.extended.cursor(name),
            _ => None,
        };
        let Some(shard) = shard else {
            backend::write_no_data(self.link.client.output());
            return Ok(());
        };
        let frames = self.link.describe_on(shard, text, &[], 0).await?;
        self.link.client.output().extend_from_slice(&with_formats(row_part(&frames), formats));
        Ok(())
    }

    /// Describes a cursor that SQL declared.
    pub(super) async fn describe_cursor(&mut self, name: &str, shard: Option<ShardId>) -> Result<(), Failure> {
        self.refuse_if_failed()?;
        let Some(shard) = shard else {
            let Some(open) = self.extended.open_cursors.get(name) else { return Err(no_portal(name).into()) };
            backend::write_row_description(self.link.client.output(), &open.cursor.fields);
            return Ok(());
        };
        let failed = if self.link.transaction.is_open() {
            let position = self.link.enlist(shard, crate::execute::Role::Reader).await?;
            self.link.flush_member(position).await?;
            let (client, server) = self.link.client_and_member(position);
            describe_cursor_on(client, server, name).await?
        } else {
            // A WITH HOLD cursor: the session kept its server.
            let mut server = self.link.borrow(shard).await?;
            let failed = describe_cursor_on(&mut self.link.client, &mut server, name).await;
            self.link.give_back(server);
            failed?
        };
        if failed { Err(Failure::Told) } else { Ok(()) }
    }

    /// Plans the statement inside EXPLAIN or DECLARE; what is said of its way before the whole counts for it.
    pub(super) async fn plan_inner(&mut self, call: &Call, inner: Range<usize>) -> Result<Plan, Failure> {
        let text = &call.text[inner];
        if sql::control(text).is_some() {
            return Err(not_yet("EXPLAIN of a session statement", "It has no plan."));
        }
        let said = sql::hint_comment(&call.text).filter(|_| sql::hint_comment(text).is_none());
        let text = match said {
            Some(comment) => format!("{comment} {text}").into(),
            None => self.link.steered_text(text).unwrap_or_else(|| text.into()),
        };
        let (understood, literals) = self.link.worker.plans.understand_masked(&text, &self.link.snapshot)?;
        if matches!(understood.meaning, Meaning::Plan(Planned::Issuing(_))) {
            return Err(not_yet("EXPLAIN of a call of shardloom.next_id", "It draws an id each time."));
        }
        self.link.plan_when_known(&Call { text, literals, ..call.clone() }, &understood).await
    }
}

/// Returns the description of a text column that no table has.
pub(super) fn text_field(name: &str) -> Field {
    Field {
        name: name.to_owned(),
        table_oid: 0,
        column: 0,
        type_oid: TEXT_OID,
        type_size: -1,
        type_modifier: -1,
        format: 0,
    }
}

/// Passes what the server says of the cursor; tells whether that is an error.
async fn describe_cursor_on(client: &mut Client, server: &mut Server, name: &str) -> Result<bool, Failure> {
    frontend::write_describe(server.out(), frontend::Target::Portal, name);
    frontend::write_sync(server.out());
    server.flush().await?;
    Ok(crate::execute::pass_reply(client, server).await?.failed)
}
