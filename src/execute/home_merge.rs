//! A read over several shards whose rows the proxy cannot compare: PostgreSQL merges them, on home.
//!
//! Every shard still filters, sorts, cuts and folds its own rows. What they send goes in binary form into a temporary
//! table, whose columns have the statement's own types and collations, and the merge runs there as SQL.

use std::rc::Rc;

use crate::backend::Server;
use crate::merge::Output;
use crate::plan::{Scatter, Statement};
use crate::sql::Scanner;
use crate::types::{Refusal, ShardId, ShardSet, USER_TYPES};
use crate::wire::backend::{self, ErrorFields, Field};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{copy_binary, frontend};

use super::call::{Arguments, Call};
use super::client::Client;
use super::failure::Failure;
use super::fan_out::{Stream, Task};
use super::forward::{self, Passing, Tag};
use super::gather::{self, Desk, Reads};
use super::link::{Link, Role};
use super::position::Position;
use super::same_columns::check_alike;
use super::{member, scatter};

/// The rows of all shards.
const ROWS: &str = "pg_temp.shardloom_rows";
/// What says that home has not what the shards have, or that no column can be made of an expression.
const NOT_ON_HOME: [&str; 9] = ["42P01", "42703", "42704", "42883", "3F000", "42P16", "42P22", "42611", "42601"];
/// What says that a value has no binary form, or one that only its own server understands.
const NOT_FOR_HOME: [&str; 4] = ["42804", "42883", "22P03", "23502"];
/// The types whose binary form is a number that another server knows something else by: `regclass` and its like, and
/// arrays of them.
pub(super) const NUMBERED: [u32; 22] = [
    24, 1008, 2202, 2207, 2203, 2208, 2204, 2209, 2205, 2210, 2206, 2211, 3734, 3735, 3769, 3770, 4089, 4090, 4096,
    4097, 4191, 4192,
];

/// A merge that is left to PostgreSQL.
pub(super) struct HomeMerge<'a> {
    pub(super) call: &'a Call,
    pub(super) plan: &'a Scatter,
    /// The columns that the shards send.
    pub(super) fields: &'a [Field],
    /// Why the proxy cannot merge them.
    pub(super) refusal: Refusal,
}

impl Link {
    /// Runs a scattered read that was refused for the types or collations of its columns.
    pub(super) async fn merge_on_home(
        &mut self,
        call: &Call,
        plan: &Scatter,
        fields: &[Field],
        refusal: Refusal,
    ) -> Result<(), Failure> {
        if plan.locks || self.schema_dirty {
            return Err(refusal.into());
        }
        if self.transaction.is_open() {
            // The scratch comes last, so that nobody waits for a shard while others wait for it.
            self.enlist_all(plan.shards, Role::Reader).await?;
        }
        self.check_answers(call, plan).await?;
        self.client.position = Position::Unknown;
        let merge = HomeMerge { call, plan, fields, refusal };
        self.on_desk("", (plan.shards, Reads::One), async |link, desk| merge.run(link, desk).await).await
    }

    /// Refuses shards that answer with other columns than the first: rows are brought by place, not by name.
    async fn check_answers(&mut self, call: &Call, plan: &Scatter) -> Result<(), Failure> {
        let (sql, types) = (call.sql(&plan.statement), call.types(&plan.statement));
        let mut first: Option<(ShardId, Vec<Field>)> = None;
        for shard in plan.shards.iter() {
            let described = self.describe_on(shard, sql, &types, 0).await?;
            let own = scatter::described_fields(&described)?;
            match &first {
                None => first = Some((shard, own)),
                Some((first, fields)) => check_alike(&self.snapshot.rules, (*first, fields), (shard, &own))?,
            }
        }
        Ok(())
    }
}

impl HomeMerge<'_> {
    async fn run(&self, link: &mut Link, desk: &mut Desk) -> Result<(), Failure> {
        let types = self.make_table(link, &mut desk.scratch).await?;
        let merge = self.plan.merge.clone().resolved(types.len());
        let Some(sql) = merge.sql(ROWS, &types) else { return Err(self.refusal.clone().into()) };
        let room = link.worker.limits().gather_rows as u64;
        let own = if link.transaction.is_open() { 0 } else { self.own_rows(link, &mut desk.scratch, room).await? };
        let room = room.checked_sub(own).ok_or_else(gather::too_many)?;
        self.bring_rows(link, desk, room, &types).await?;
        self.answer(link, &mut desk.scratch, sql, &merge.visible(types.len())).await
    }

    /// Makes the table for the rows; returns the types of its columns.
    pub(super) async fn make_table(&self, link: &mut Link, scratch: &mut Server) -> Result<Vec<u32>, Failure> {
        let columns: Vec<String> = (0..self.fields.len()).map(|at| format!("c{at}")).collect();
        let made = format!("CREATE TEMP TABLE shardloom_rows ({}) AS", columns.join(", "));
        self.run_around(link, scratch, (&made, "WITH NO DATA"))
            .await
            .map_err(|error| self.refused(error, &NOT_ON_HOME))?;
        let described = member::describe(&mut link.client, scratch, &format!("SELECT * FROM {ROWS}"), &[], 0).await?;
        let fields = scatter::described_fields(&described)?;
        match fields.iter().any(|field| NUMBERED.contains(&field.type_oid)) {
            true => Err(self.refusal.clone().into()),
            false => Ok(fields.iter().map(|field| field.type_oid).collect()),
        }
    }

    /// Returns the refusal in place of one of these errors.
    fn refused(&self, failure: Failure, states: &[&str]) -> Failure {
        let Failure::Shard { frame } = &failure else { return failure };
        let fields = frame.get(HEADER_BYTES..).and_then(|body| ErrorFields::read(body).ok());
        let state = fields.as_ref().and_then(|fields| fields.get(b'C'));
        if state.is_some_and(|state| states.contains(&state)) { self.refusal.clone().into() } else { failure }
    }

    /// Has home's own rows, if it is among the shards; a transaction's own connection has to be asked for its rows.
    pub(super) async fn own_rows(&self, link: &mut Link, scratch: &mut Server, room: u64) -> Result<u64, Failure> {
        if !self.plan.shards.contains(scratch.shard()) {
            return Ok(0);
        }
        let ahead = format!("INSERT INTO {ROWS} SELECT * FROM (");
        self.run_around(link, scratch, (&ahead, &format!(") AS own LIMIT {}", room + 1))).await
    }

    /// Runs the shards' statement with something ahead and behind; returns how many rows it had.
    async fn run_around(
        &self,
        link: &mut Link,
        scratch: &mut Server,
        (ahead, behind): (&str, &str),
    ) -> Result<u64, Failure> {
        let text = format!("{ahead} {}\n{behind}", without_end(self.call.sql(&self.plan.statement)));
        let statement = match &self.plan.statement {
            Statement::Original => Statement::Original,
            Statement::Rewritten { parameters, .. } => {
                Statement::Rewritten { sql: text.clone(), parameters: parameters.clone() }
            }
        };
        let call = Call { text: text.into(), ..self.binary() };
        gather::execute(&mut link.client, scratch, &call, &statement).await
    }

    /// Returns the call with all results in binary form.
    fn binary(&self) -> Call {
        let own = self.call.arguments.as_deref();
        let arguments = Arguments {
            types: own.map(|own| own.types.clone()).unwrap_or_default(),
            formats: own.map(|own| own.formats.clone()).unwrap_or_default(),
            values: own.map(|own| own.values.clone()).unwrap_or_default(),
            result_formats: vec![1],
        };
        Call { arguments: Some(Rc::new(arguments)), ..self.call.clone() }
    }

    /// Copies what the shards answer, at most `room` rows, into columns of these types.
    pub(super) async fn bring_rows(
        &self,
        link: &mut Link,
        desk: &mut Desk,
        room: u64,
        types: &[u32],
    ) -> Result<(), Failure> {
        let Desk { scratch, others } = desk;
        let in_place = |shard| !link.transaction.is_open() && shard == scratch.shard();
        let shards: ShardSet = self.plan.shards.iter().filter(|shard| !in_place(*shard)).collect();
        frontend::write_query(scratch.out(), &format!("COPY {ROWS} FROM STDIN (FORMAT binary)"));
        scratch.flush().await?;
        if let Some(frame) = gather::turn(&mut link.client, scratch).await? {
            return Err(Failure::Shard { frame });
        }
        frontend::write_copy_data(scratch.out(), &copy_binary::HEADER);
        let call = self.binary();
        let task = Task { call: &call, statement: &self.plan.statement, shards, role: Role::Reader };
        let work = async |client: &mut Client, streams: &mut [Stream<'_>]| {
            gather::pass(client, streams, scratch, |fields| check_types(fields, types), room).await
        };
        let copied = link.fan_out_lent(others, task, work).await;
        match &copied {
            Ok(_) => {
                frontend::write_copy_data(scratch.out(), &copy_binary::TRAILER);
                frontend::write_copy_done(scratch.out());
            }
            Err(Failure::Client(_)) => return copied.map(|_| ()),
            Err(_) => frontend::write_copy_fail(scratch.out(), "the rows could not be read"),
        }
        link.cancel.set_active(&[scratch.cancel_key()]);
        scratch.flush().await?;
        let error = gather::turn(&mut link.client, scratch).await?;
        copied?;
        error.map_or(Ok(()), |frame| Err(self.refused(Failure::Shard { frame }, &NOT_FOR_HOME)))
    }

    /// Runs the merge and passes its rows, as the columns that the shards have described.
    async fn answer(
        &self,
        link: &mut Link,
        scratch: &mut Server,
        sql: String,
        outputs: &[Output],
    ) -> Result<(), Failure> {
        let result_formats = self.call.arguments.as_ref().map(|own| own.result_formats.clone()).unwrap_or_default();
        let arguments = Some(Rc::new(Arguments { result_formats, ..Arguments::default() }));
        let call = Call { text: sql.into(), arguments, describe: true, literals: None };
        call.write(scratch.out(), &Statement::Original);
        scratch.flush().await?;
        let described = loop {
            let (kind, frame) = forward::next_frame(&mut link.client, scratch).await?;
            match kind {
                b'T' => break frame,
                b'E' => {
                    gather::turn(&mut link.client, scratch).await?;
                    return Err(Failure::Shard { frame });
                }
                _ => {}
            }
        };
        if self.call.describe {
            let mut fields = backend::row_description(&described[HEADER_BYTES..]).map_err(Refusal::from)?;
            for (field, output) in fields.iter_mut().zip(outputs) {
                self.name(field, *output);
            }
            backend::write_row_description(link.client.output(), &fields);
        }
        let passing = Passing::Execution { describe: false };
        let reply = forward::reply(&mut link.client, scratch, passing, Tag::Pass).await?;
        if reply.failed { Err(Failure::Told) } else { Ok(()) }
    }

    /// Gives a column the name and the table that it has on the shards.
    fn name(&self, field: &mut Field, output: Output) {
        let (Output::Column(at) | Output::Average { sum: at, .. }) = output;
        if let Some(source) = self.fields.get(at) {
            field.name.clone_from(&source.name);
            (field.table_oid, field.column) = (source.table_oid, source.column);
        }
    }
}

/// Refuses columns that home would read as something else: a row in binary form does not say what it is.
fn check_types(description: &[u8], types: &[u32]) -> Result<(), Refusal> {
    let fields = backend::row_description(&description[HEADER_BYTES..])?;
    let same = |(field, own): (&Field, &u32)| field.type_oid == *own || field.type_oid.min(*own) >= USER_TYPES;
    if fields.len() == types.len() && fields.iter().zip(types).all(same) {
        return Ok(());
    }
    Err(Refusal::unsupported(
        "a shard has columns of other types than home",
        "Bring the tables to the same columns on all shards.",
    ))
}

/// Takes the semicolons from the end of a statement.
fn without_end(text: &str) -> &str {
    let tokens: Vec<_> = Scanner::new(text).collect();
    let ends = tokens.iter().rev().take_while(|token| token.is_mark(text, ";")).last();
    ends.map_or(text, |first| &text[..first.start])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_at_the_end_are_cut_and_no_others() {
        assert_eq!(without_end("SELECT ';' ; ; -- end"), "SELECT ';' ");
        assert_eq!(without_end("SELECT ';' -- ;"), "SELECT ';' -- ;");
    }
}
