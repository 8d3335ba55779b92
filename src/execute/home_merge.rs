//! A read over several shards whose rows the proxy cannot compare: PostgreSQL merges them, on home.
//!
//! Every shard still filters, sorts, cuts and folds its own rows. What they send goes in binary form into a temporary
//! table, whose columns have the statement's own types and collations, and the merge runs there as SQL.

use std::rc::Rc;

use crate::backend::Server;
use crate::merge::Output;
use crate::plan::{Scatter, Statement};
use crate::sql::Scanner;
use crate::types::{Refusal, ShardSet, SqlState};
use crate::wire::backend::{self, Field};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{copy_binary, frontend};

use super::call::{Arguments, Call};
use super::client::Client;
use super::failure::Failure;
use super::fan_out::{Stream, Task};
use super::forward::{self, Passing, Tag};
use super::gather::{self, FORWARD_BYTES};
use super::link::{Link, Role};

/// The rows of all shards.
const ROWS: &str = "pg_temp.shardloom_rows";
/// Asks for the types of their columns.
const TYPES: &str = "SELECT atttypid FROM pg_catalog.pg_attribute \
                     WHERE attrelid = 'pg_temp.shardloom_rows'::pg_catalog.regclass AND attnum > 0 ORDER BY attnum";

/// A merge that is left to PostgreSQL.
struct HomeMerge<'a> {
    call: &'a Call,
    plan: &'a Scatter,
    /// The columns that the shards send.
    fields: &'a [Field],
    /// Why the proxy cannot merge them.
    refusal: Refusal,
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
        let merge = HomeMerge { call, plan, fields, refusal };
        self.on_scratch(async |link, scratch| merge.run(link, scratch).await).await
    }
}

impl HomeMerge<'_> {
    async fn run(&self, link: &mut Link, scratch: &mut Server) -> Result<(), Failure> {
        let types = self.make_table(link, scratch).await?;
        let merge = self.plan.merge.clone().resolved(types.len());
        let Some(sql) = merge.sql(ROWS, &types) else { return Err(self.refusal.clone().into()) };
        let own = if link.transaction.is_open() { 0 } else { self.own_rows(link, scratch).await? };
        self.bring_rows(link, scratch, own).await?;
        self.answer(link, scratch, sql, &merge.visible(types.len())).await
    }

    /// Makes the table for the rows; returns the types of its columns.
    async fn make_table(&self, link: &mut Link, scratch: &mut Server) -> Result<Vec<u32>, Failure> {
        let columns: Vec<String> = (0..self.fields.len()).map(|at| format!("c{at}")).collect();
        let made = format!("CREATE TEMP TABLE shardloom_rows ({}) AS", columns.join(", "));
        match self.run_around(link, scratch, &made, "WITH NO DATA").await {
            // Home need not have what the shards have.
            Err(Failure::Shard { .. }) => return Err(self.refusal.clone().into()),
            done => done?,
        };
        let reply = scratch.simple(TYPES).await?;
        let oid = |row: &Vec<Option<bytes::Bytes>>| std::str::from_utf8(row.first()?.as_deref()?).ok()?.parse().ok();
        let types: Option<Vec<u32>> = reply.rows.iter().map(oid).collect();
        types.ok_or_else(|| self.refusal.clone().into())
    }

    /// Has home's own rows, if it is among the shards; a transaction's own connection has to be asked for its rows.
    async fn own_rows(&self, link: &mut Link, scratch: &mut Server) -> Result<u64, Failure> {
        if !self.plan.shards.contains(scratch.shard()) {
            return Ok(0);
        }
        self.run_around(link, scratch, &format!("INSERT INTO {ROWS}"), "").await
    }

    /// Runs the shards' statement with something ahead and behind; returns how many rows it had.
    async fn run_around(
        &self,
        link: &mut Link,
        scratch: &mut Server,
        ahead: &str,
        behind: &str,
    ) -> Result<u64, Failure> {
        let text = format!("{ahead} {}\n{behind}", without_end(self.call.sql(&self.plan.statement)));
        let statement = match &self.plan.statement {
            Statement::Original => Statement::Original,
            Statement::Rewritten { parameters, .. } => {
                Statement::Rewritten { sql: text.clone(), parameters: parameters.clone() }
            }
        };
        let call = Call { text: text.into(), ..self.binary() };
        call.write(scratch.out(), &statement);
        scratch.flush().await?;
        let mut rows = 0;
        let mut error = None;
        loop {
            let (kind, frame) = forward::next_frame(&mut link.client, scratch).await?;
            match kind {
                b'C' => rows = backend::command_tag(&frame[HEADER_BYTES..]).map_or(0, forward::rows_of_tag),
                b'E' => error = Some(frame),
                b'Z' => {
                    forward::note_ready(scratch, &frame)?;
                    break;
                }
                _ => {}
            }
        }
        error.map_or(Ok(rows), |frame| Err(Failure::Shard { frame }))
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

    /// Copies what the shards answer, besides home's `own` rows.
    async fn bring_rows(&self, link: &mut Link, scratch: &mut Server, own: u64) -> Result<(), Failure> {
        let bound = link.worker.limits().gather_rows as u64;
        let room = bound.checked_sub(own).ok_or_else(too_many)?;
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
        let copied = link.fan_out(task, async |client, streams| pass(client, streams, scratch, room).await).await;
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
        error.map_or(Ok(()), |frame| Err(Failure::Shard { frame }))
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

/// Passes the rows of all shards on as COPY data: a row in binary form looks the same in both.
async fn pass(
    client: &mut Client,
    streams: &mut [Stream<'_>],
    scratch: &mut Server,
    room: u64,
) -> Result<u64, Failure> {
    let mut rows = 0;
    for stream in streams {
        while !stream.has_ended() {
            match stream.next(client).await? {
                (b'D', frame) => {
                    rows += 1;
                    if rows > room {
                        return Err(too_many().into());
                    }
                    frontend::write_copy_data(scratch.out(), &frame[HEADER_BYTES..]);
                    if scratch.out().len() >= FORWARD_BYTES {
                        scratch.flush().await?;
                    }
                }
                (b'Z', _) => break,
                _ => {}
            }
        }
    }
    Ok(rows)
}

/// Takes the semicolons from the end of a statement.
fn without_end(text: &str) -> &str {
    let tokens: Vec<_> = Scanner::new(text).collect();
    let ends = tokens.iter().rev().take_while(|token| token.is_mark(text, ";")).last();
    ends.map_or(text, |first| &text[..first.start])
}

fn too_many() -> Refusal {
    Refusal::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "the statement needs more rows of several shards than may be gathered",
    )
    .with_hint("Bind the sharding key, add a LIMIT, or raise limits.gather_rows.")
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
