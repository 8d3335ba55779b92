//! Two statements for one: the rows of the first become constants of the second.

use std::sync::Arc;

use bytes::Bytes;
use postgres_protocol::escape::escape_literal;

use crate::plan::{BroughtTable, Carried, Carry, CarryForm, Direct, Plan, Statement, renumbered};
use crate::sql;
use crate::sql::insert::ROWS_MAX;
use crate::types::{Refusal, SqlState, USER_TYPES};
use crate::wire::backend::{self, DataRow, Field};
use crate::wire::frame::HEADER_BYTES;

use super::call::{Arguments, Call};
use super::carry_query::query;
use super::carry_values::{Unclear, constant, is_plain};
use super::failure::Failure;
use super::held::{frames, told};
use super::home_numbers::{RowNumbers, no_number};
use super::link::Link;
use super::position::Position;
use super::understand::read_issued;
use super::worker::Worker;

/// The most bytes of rows that are carried; they are written into one statement's text.
const CARRIED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// `date`, `timestamp` and `timestamptz`, arrays, ranges and multiranges of them and arrays of those, by oid.
const DATES: [u32; 18] =
    [1082, 1114, 1184, 1182, 1115, 1185, 3908, 3910, 3912, 3909, 3911, 3913, 4533, 4534, 4535, 6152, 6153, 6155];
/// `float4` and `float8`, what is made of them in geometry, and arrays of all these.
const FLOATS: [u32; 18] =
    [700, 701, 1021, 1022, 600, 601, 602, 603, 604, 628, 718, 1017, 1018, 1019, 1020, 1027, 629, 719];

/// The most steps of one statement: each is a call within the one before.
const CARRIES_MAX: usize = 24;

/// What the first statement returned.
struct Rows {
    fields: Vec<Field>,
    /// DataRow bodies.
    rows: Vec<Bytes>,
}

impl Link {
    /// Runs both statements; where the first writes, in one transaction.
    pub async fn carry(&mut self, call: &Call, plan: &Carry) -> Result<(), Failure> {
        if self.carrying == CARRIES_MAX {
            return Err(too_many_steps(plan).into());
        }
        self.carrying += 1;
        let done = self.carry_one(call, plan).await;
        self.carrying -= 1;
        done
    }

    async fn carry_one(&mut self, call: &Call, plan: &Carry) -> Result<(), Failure> {
        let position = std::mem::replace(&mut self.client.position, Position::Unknown);
        let untyped = lacks_types(call);
        // Casts and DEFAULT in the first statement, or a column that is none, would hide what is wrong.
        let rows_alone = matches!(plan.form, CarryForm::Rows { .. });
        // Where no shard has all that a query reads, its parts are asked one by one as they run.
        let described = match untyped || !rows_alone && plan.checked_on.is_some() {
            true => Some(self.check_carried(call, plan, position.clone()).await?),
            false => None,
        };
        let typed = described.as_ref().filter(|_| untyped).map(|frames| with_types(call, frames)).transpose()?;
        let call = typed.as_ref().unwrap_or(call);
        if !plan.together {
            let rows = self.first(call, plan).await?;
            // Numbers would else be drawn for rows that no shard takes.
            let fits = plan.numbers.is_empty() || rows.fields.len() == plan.columns.len();
            if described.is_none() && rows_alone && !(fits && is_plain(&rows.fields, &plan.columns)) {
                self.check_carried(call, plan, position).await?;
            }
            return self.second(call, plan, &rows).await;
        }
        let implicit = self.open_implicit();
        let done = match plan.form {
            CarryForm::Move { .. } => self.moved(call, plan).await,
            CarryForm::Rows { .. } | CarryForm::Cells(_) | CarryForm::Query { .. } => self.together(call, plan).await,
        };
        match done {
            Ok(reply) => {
                if implicit {
                    self.commit().await?;
                }
                self.client.output().extend_from_slice(&reply);
                Ok(())
            }
            Err(failure) => {
                if implicit {
                    self.rollback().await;
                }
                Err(failure)
            }
        }
    }

    /// Runs both statements; returns the reply of the second, of which nothing may be told before the commit.
    async fn together(&mut self, call: &Call, plan: &Carry) -> Result<Bytes, Failure> {
        let rows = self.first(call, plan).await?;
        let held = self.client.hold(CARRIED_BYTES_MAX);
        let done = self.second(call, plan, &rows).await;
        let (reply, overflow) = self.client.release(held);
        told(done, &reply)?;
        if overflow { Err(too_much(plan, rows_max(&self.worker)).into()) } else { Ok(reply) }
    }

    /// Deletes the rows and inserts them anew; returns the reply as that of an UPDATE.
    async fn moved(&mut self, call: &Call, plan: &Carry) -> Result<Bytes, Failure> {
        let rows = self.first(call, plan).await?;
        check_columns(plan, &rows)?;
        check_keys(plan, &rows)?;
        let held = self.client.hold(CARRIED_BYTES_MAX);
        let done = self.second(call, plan, &rows).await;
        let (reply, overflow) = self.client.release(held);
        told(done, &reply)?;
        if overflow {
            return Err(too_much(plan, rows_max(&self.worker)).into());
        }
        let mut out = bytes::BytesMut::with_capacity(reply.len());
        for frame in frames(&reply) {
            match frame[0] {
                b'C' => backend::write_command_complete(&mut out, &format!("UPDATE {}", rows.rows.len())),
                _ => out.extend_from_slice(frame),
            }
        }
        Ok(out.freeze())
    }

    /// Runs the first statement and keeps its rows.
    async fn first(&mut self, call: &Call, plan: &Carry) -> Result<Rows, Failure> {
        if let CarryForm::Query { brought, .. } = &plan.form
            && let Some(table) = &brought.table
        {
            self.check_table(plan, table).await?;
        }
        let (text, used) = renumbered(&plan.source);
        let call = Call { describe: true, ..with_text(call, text, &used, &[]) };
        let understood = read_issued(&call.text, &self.snapshot)?;
        let first = self.plan_when_known(&call, &understood).await?;
        if !gives_rows(&first, &plan.form) {
            return Err(no_rows(plan).into());
        }
        let held = self.client.hold(CARRIED_BYTES_MAX);
        let done = Box::pin(self.run_plan(&call, &understood, &first)).await;
        let (reply, overflow) = self.client.release(held);
        told(done, &reply).map_err(|failure| not_by_itself(failure, plan))?;
        if overflow {
            return Err(too_much(plan, rows_max(&self.worker)).into());
        }
        let mut rows = Rows { fields: Vec::new(), rows: Vec::new() };
        for frame in frames(&reply) {
            match frame[0] {
                b'T' => rows.fields = backend::row_description(&frame[HEADER_BYTES..]).map_err(misread)?,
                b'D' => rows.rows.push(reply.slice_ref(&frame[HEADER_BYTES..])),
                b'N' | b'S' | b'A' => self.client.output().extend_from_slice(frame),
                _ => {}
            }
        }
        let most = rows_max(&self.worker);
        if rows.rows.len() > most { Err(too_much(plan, most).into()) } else { Ok(rows) }
    }

    /// Asks a shard whether a table is as the plan has it: other columns than those would be lost, or found elsewhere.
    async fn check_table(&mut self, plan: &Carry, table: &BroughtTable) -> Result<(), Failure> {
        let Some(shard) = plan.checked_on else { return Err(no_types(plan).into()) };
        let described = self.describe_on(shard, &format!("SELECT * FROM {}", table.name), &[], 0).await?;
        let row = frames(&described).find(|frame| frame[0] == b'T').unwrap_or_default();
        let fields = backend::row_description(row.get(HEADER_BYTES..).unwrap_or_default()).map_err(misread)?;
        // Types of one's own have other numbers on other shards, and a domain is described as what is below it.
        let same = |(field, (name, oid)): (&Field, &(String, u32))| {
            field.name == *name && (field.type_oid == *oid || *oid >= USER_TYPES)
        };
        if fields.len() == table.columns.len() && fields.iter().zip(&table.columns).all(same) {
            return Ok(());
        }
        Err(Refusal::unsupported(
            format!("the columns of table {} have changed", table.name),
            "Try again after the change is committed and the proxy has read the catalogs again (RELOAD on the console).",
        )
        .with_reason("changed_columns")
        .into())
    }

    /// Runs the second statement.
    async fn second(&mut self, call: &Call, plan: &Carry, rows: &Rows) -> Result<(), Failure> {
        if self.reads_other_than_it_writes(&rows.fields) {
            return Err(unclear_style().into());
        }
        let numbers = self.draw_in_turn(call, &plan.numbers, rows.rows.len()).await?;
        let text = plan.form_text(plan.within.as_deref().unwrap_or(&call.text), rows, &numbers)?;
        let (text, used) = if call.arguments.is_some() { renumbered(&text) } else { (text, Vec::new()) };
        let formats = call.arguments.as_ref().map(|arguments| arguments.result_formats.as_slice()).unwrap_or_default();
        let second = with_text(call, text, &used, formats);
        let of_query = matches!(plan.form, CarryForm::Query { .. });
        let understood = read_issued(&second.text, &self.snapshot)?;
        // An INSERT without rows does nothing, nor does a MERGE without rows of its source.
        let does_nothing = !of_query || matches!(&plan.form, CarryForm::Query { brought, .. } if brought.listed);
        if rows.rows.is_empty() && does_nothing {
            let text = understood.physical_text(second.text.to_string());
            return self.nothing(&Call { text: text.into(), ..second }, plan).await;
        }
        let next = self.plan_when_known(&second, &understood).await?;
        // Of a query each step leaves fewer to be read.
        if matches!(next, Plan::Carry(_)) && !of_query {
            return Err(no_constant(plan).into());
        }
        Box::pin(self.run_plan(&second, &understood, &next)).await
    }

    /// Asks a shard whether the client's own text is right; returns its description.
    async fn check_carried(&mut self, call: &Call, plan: &Carry, position: Position) -> Result<Bytes, Failure> {
        let Some(checked_on) = plan.checked_on else { return Err(no_types(plan).into()) };
        self.client.position = match plan.checked {
            None => position,
            Some(_) => Position::Physical(Arc::clone(&self.snapshot.rules)),
        };
        let types = call.types(&Statement::Original);
        let text = plan.checked.as_deref().unwrap_or(&call.text);
        let described = self.describe_on(checked_on, text, &types, 0).await;
        let described = described.map_err(|failure| unchecked(failure, plan))?;
        self.client.position = Position::Unknown;
        Ok(described)
    }

    /// An INSERT or MERGE of no rows: any shard that has the table answers as one server would.
    async fn nothing(&mut self, call: &Call, plan: &Carry) -> Result<(), Failure> {
        let direct = Direct {
            shard: plan.checked_on.unwrap_or(self.snapshot.rules.home),
            statement: Statement::Original,
            effect: None,
            anywhere: false,
            reads_reference: false,
        };
        self.direct(call, &direct).await
    }

    /// Tells whether a setting makes servers print values in a form that means another one, or less.
    fn reads_other_than_it_writes(&self, fields: &[Field]) -> bool {
        let of = |oids: &[u32]| fields.iter().any(|field| oids.contains(&field.type_oid));
        let said = |name| self.transaction.local_statements.iter().any(|text| text.to_ascii_lowercase().contains(name));
        let other_style =
            self.settings.get("datestyle").is_some_and(|style| !style.to_ascii_lowercase().contains("iso"));
        let digits = self.settings.get("extra_float_digits");
        let fewer_digits = digits.is_some_and(|digits| digits.trim().parse::<i32>().map_or(true, |digits| digits < 1));
        let nulls = self.settings.get("array_nulls");
        let words_for_null = nulls.is_some_and(|nulls| !["on", "true", "yes", "1"].contains(&nulls.trim()));
        words_for_null
            || of(&DATES) && (other_style || said("datestyle"))
            || of(&FLOATS) && (fewer_digits || said("extra_float_digits"))
    }
}

impl Carry {
    /// Returns the second statement's text.
    fn form_text(&self, text: &str, rows: &Rows, numbers: &[RowNumbers]) -> Result<String, Refusal> {
        match &self.form {
            CarryForm::Rows { head, tail } => {
                let width = rows.fields.len();
                let cells: Vec<Option<(usize, &Carried)>> =
                    (0..width).map(|at| self.columns.get(at).map(|column| (at, column))).collect();
                self.insert_text(head, tail, &cells, rows, numbers)
            }
            CarryForm::Move { head, tail, given, .. } => {
                let mut places = 1..;
                let mut cell = |given: &bool| {
                    let at = given.then(|| places.next()).flatten()?;
                    Some((at, self.columns.get(at)?))
                };
                let cells: Vec<_> = given.iter().map(&mut cell).collect();
                self.insert_text(head, tail, &cells, rows, numbers)
            }
            CarryForm::Cells(spans) => {
                let row = rows.rows.first().ok_or_else(|| no_rows(self))?;
                let values = self.constants(row, rows, &[])?;
                Ok(sql::splice(text, &spans.iter().cloned().zip(values).collect::<Vec<_>>()))
            }
            CarryForm::Query { brought, .. } => {
                let bodies = rows.rows.iter().map(|row| DataRow::read(row)).collect::<Result<Vec<_>, _>>();
                let written = query(brought, &rows.fields, &bodies.map_err(misread)?);
                let written = written.map_err(|Unclear| self.unclear_query(rows))?;
                Ok(sql::splice(text, &[(brought.span.clone(), written)]))
            }
        }
    }

    /// `cells`: for each column of the INSERT, where its value stands among the source's; `None` is DEFAULT. `numbers` stand
    /// behind them, row by row.
    fn insert_text(
        &self,
        head: &str,
        tail: &str,
        cells: &[Option<(usize, &Carried)>],
        rows: &Rows,
        numbers: &[RowNumbers],
    ) -> Result<String, Refusal> {
        let behind = self.numbers.len() - self.columns.iter().filter(|column| column.drawn).count();
        if rows.rows.is_empty() {
            let nulls = vec!["NULL"; cells.len() + behind].join(", ");
            return Ok(format!("{head} SELECT {nulls} WHERE false {tail}"));
        }
        let mut text = format!("{head} VALUES ");
        for (number, row) in rows.rows.iter().enumerate() {
            let (behind, drawn) = numbers.get(number).map(|drawn| drawn.split_at(behind)).unwrap_or_default();
            let values = self.constants(row, rows, drawn)?;
            text.push_str(if number == 0 { "(" } else { ", (" });
            for (at, cell) in cells.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                text.push_str(cell.map_or("DEFAULT", |(place, _)| values[place].as_str()));
            }
            for value in behind {
                text.push_str(&format!(", {}", escape_literal(value)));
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(tail);
        Ok(text)
    }

    /// Returns one row's values as constants; `drawn` are those of columns that are numbers of home.
    fn constants(&self, row: &[u8], rows: &Rows, drawn: &[String]) -> Result<Vec<String>, Refusal> {
        let values = DataRow::read(row).map_err(misread)?;
        let mut drawn = drawn.iter();
        let one = |((value, field), column): ((Option<&[u8]>, &Field), &Carried)| match column.drawn {
            true => drawn.next().cloned().ok_or_else(no_number),
            false => constant(value, field.type_oid, column).map_err(|Unclear| self.unclear(field)),
        };
        values.zip(&rows.fields).zip(&self.columns).map(one).collect()
    }

    fn unclear_query(&self, rows: &Rows) -> Refusal {
        let names: Vec<&str> = rows.fields.iter().map(|field| field.name.as_str()).collect();
        Refusal::unsupported(
            format!(
                "what is read first for the write of table \"{}\" has types that constants do not carry ({})",
                self.table,
                names.join(", ")
            ),
            "Cast its columns to types of PostgreSQL's own.",
        )
        .with_reason("carried_type")
    }

    fn unclear(&self, field: &Field) -> Refusal {
        Refusal::unsupported(
            format!("column \"{}\" has a type that cannot be carried into table \"{}\"", field.name, self.table),
            "Cast it to the type of the column that it is written to.",
        )
        .with_reason("carried_type")
    }
}

/// Tells whether a first statement is of the kind that its form asks for: nothing is written but where that is said.
fn gives_rows(first: &Plan, form: &CarryForm) -> bool {
    let moves = matches!(form, CarryForm::Move { .. });
    let written = matches!(form, CarryForm::Query { brought, .. } if brought.written);
    match first {
        Plan::Direct(direct) => moves || written || direct.effect.is_none(),
        Plan::Scatter(_) => !moves,
        Plan::Gather(_) => !moves && !written,
        Plan::MultiWrite(_) => moves || written,
        Plan::Carry(_) => written,
        Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => false,
    }
}

/// Tells whether the client leaves types of its parameters to PostgreSQL: in the first statement they would be text.
fn lacks_types(call: &Call) -> bool {
    call.arguments.as_ref().is_some_and(|own| {
        let declared = |at: usize| own.types.get(at).is_some_and(|type_oid| *type_oid != 0);
        !(0..own.values.len()).all(declared)
    })
}

/// Returns the call with the types that its parameters have in the client's own text, as that was described.
pub(super) fn with_types(call: &Call, described: &Bytes) -> Result<Call, Refusal> {
    // RowDescription follows.
    let body = frames(described).next().and_then(|frame| frame.get(HEADER_BYTES..)).unwrap_or_default();
    let types = backend::parameter_description(body)?;
    let arguments = call.arguments.as_deref().map(|own| Arguments { types, ..Arguments::clone(own) }.into());
    Ok(Call { arguments, ..call.clone() })
}

/// A column that the plan does not know would be lost with the row.
fn check_columns(plan: &Carry, rows: &Rows) -> Result<(), Refusal> {
    let CarryForm::Move { all, .. } = &plan.form else { return Ok(()) };
    let there = rows.fields.iter().skip(plan.columns.len()).map(|field| &field.name);
    if there.eq(all) {
        return Ok(());
    }
    Err(Refusal::unsupported(
        format!("the columns of table \"{}\" have changed", plan.table),
        "Move rows in a transaction of its own, after the change is committed and the proxy has read the catalogs again (RELOAD on the console).",
    )
    .with_reason("sharding_key_update"))
}

/// Rows of one old key must not get the key of another: PostgreSQL would look at one row after the other, in its order.
fn check_keys(plan: &Carry, rows: &Rows) -> Result<(), Refusal> {
    let CarryForm::Move { given, key, .. } = &plan.form else { return Ok(()) };
    let place = 1 + given[..*key].iter().filter(|given| **given).count();
    let mut old = std::collections::HashSet::new();
    let mut new = Vec::new();
    for row in &rows.rows {
        let mut values = DataRow::read(row).map_err(misread)?;
        old.insert(values.next().flatten());
        new.extend(values.nth(place - 1));
    }
    if given[*key] && new.iter().any(|key| old.contains(key)) {
        return Err(Refusal::unsupported(
            format!("UPDATE gives rows of table \"{}\" the sharding key that others have before it", plan.table),
            "Move the rows of one key per statement, to a key that none of them has.",
        )
        .with_reason("sharding_key_update"));
    }
    Ok(())
}

/// Makes a call for another text with some of the client's parameters.
pub(super) fn with_text(call: &Call, text: String, used: &[usize], result_formats: &[i16]) -> Call {
    let arguments = call.arguments.as_deref().map(|arguments| {
        let sources: Vec<&usize> = used.iter().collect();
        let pick = |at: &usize| arguments.values.get(*at).cloned().flatten();
        Arguments {
            types: sources.iter().map(|at| arguments.types.get(**at).copied().unwrap_or(0)).collect(),
            formats: sources.iter().map(|at| arguments.formats.get(**at).copied().unwrap_or(0)).collect(),
            values: sources.into_iter().map(pick).collect(),
            result_formats: result_formats.to_vec(),
        }
    });
    Call { text: text.into(), arguments: arguments.map(Into::into), describe: call.describe, literals: None }
}

/// No shard may know all tables of the text: then nobody can tell what its expressions become.
fn unchecked(failure: Failure, plan: &Carry) -> Failure {
    // A query is checked only where all that it reads should be.
    let unknown = failure.says(b"42P01") && !matches!(plan.form, CarryForm::Query { .. });
    if unknown { no_types(plan).into() } else { failure }
}

fn no_types(plan: &Carry) -> Refusal {
    let message = format!("no shard can check what this statement writes into table \"{}\"", plan.table);
    let hint = "Cast each value to the type of the column that it is written to.";
    Refusal::unsupported(message, hint).with_reason("different_shards")
}

/// A query that turns out to name what stands around it is not run first.
fn not_by_itself(failure: Failure, plan: &Carry) -> Failure {
    let names_outside = failure.says(b"42P01") || failure.says(b"42703");
    match &plan.form {
        CarryForm::Query { refusal, brought } if names_outside && !brought.alone => refusal.clone().into(),
        _ => failure,
    }
}

pub(super) fn misread(error: crate::wire::frame::FrameError) -> Refusal {
    Refusal::new(SqlState::PROTOCOL_VIOLATION, error.to_string())
}

fn no_rows(plan: &Carry) -> Refusal {
    if let CarryForm::Query { refusal, .. } = &plan.form {
        return refusal.clone();
    }
    let message = format!("what is written into table \"{}\" cannot be read first", plan.table);
    Refusal::unsupported(message, "Read the rows first and insert them as values.").with_reason("carried_shape")
}

fn no_constant(plan: &Carry) -> Refusal {
    let message = format!("a sharding key for table \"{}\" has a value that is not read here", plan.table);
    Refusal::unsupported(message, "Compute the value in the application and send it as a constant or a parameter.")
        .with_reason("computed_sharding_key")
}

fn too_many_steps(plan: &Carry) -> Refusal {
    let message = format!(
        "the statement on table \"{}\" has more than {CARRIES_MAX} parts that have to be read or written first",
        plan.table
    );
    Refusal::new(SqlState::STATEMENT_TOO_COMPLEX, message).with_hint("Send it as several statements in a transaction.")
}

/// Returns how many rows one statement may bring.
fn rows_max(worker: &Worker) -> usize {
    worker.limits().gather_rows.min(ROWS_MAX)
}

fn too_much(plan: &Carry, rows: usize) -> Refusal {
    let megabytes = CARRIED_BYTES_MAX / (1024 * 1024);
    let message = format!(
        "the statement brings more rows to table \"{}\" than may be carried: {rows} rows and {megabytes} MiB",
        plan.table
    );
    let raise = if rows < ROWS_MAX { "raise limits.gather_rows, " } else { "" };
    let hint = format!("Write fewer rows in one statement, {raise}or use COPY.");
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).with_hint(hint)
}

fn unclear_style() -> Refusal {
    Refusal::unsupported(
        "values cannot be carried from shard to shard while DateStyle, extra_float_digits or array_nulls change how they read",
        "RESET datestyle, extra_float_digits and array_nulls.",
    )
    .with_reason("carried_type")
}
