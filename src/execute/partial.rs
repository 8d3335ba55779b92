//! Aggregates that each shard has made parts of and home finishes.
//!
//! Whether the types allow that is known before a row comes: what home would answer must have the very types that the
//! statement has on one server. Else, and wherever anything is not as planned, nothing was done, and the rows themselves
//! are gathered.

use std::rc::Rc;

use bytes::Bytes;

use crate::backend::Server;
use crate::plan::{Partial, Statement};
use crate::types::{Refusal, USER_TYPES};
use crate::wire::backend::{self, ErrorFields, Field};
use crate::wire::frame::HEADER_BYTES;

use super::call::{Arguments, Call};
use super::carry::with_types;
use super::failure::Failure;
use super::forward::{self, Passing, Tag};
use super::gather::{self, Desk, Reads};
use super::home_merge::HomeMerge;
use super::link::{Link, Role};
use super::position::Position;
use super::{member, scatter};

/// Classes of SQLSTATEs that speak of a statement's text, types and constants.
const ABOUT_TEXTS: [&str; 4] = ["42", "22", "0A", "3F"];

/// What a step of an attempt came to.
enum Step<T> {
    Done(T),
    /// It is no way for this statement; nothing was done.
    NoWay,
}

impl Link {
    /// Has the shards make the parts and home finish them; returns `false` if nothing was done, since only the rows
    /// themselves give the answer.
    pub(super) async fn finish_parts(&mut self, call: &Call, partial: &Partial) -> Result<bool, Failure> {
        if self.schema_dirty {
            return Ok(false);
        }
        if self.transaction.is_open() {
            // The scratch comes last, so that nobody waits for a shard while others wait for it.
            self.enlist_all(partial.parts.shards, Role::Reader).await?;
        }
        if partial.parts.reads_reference {
            for shard in partial.parts.shards.iter() {
                self.wait_for_own_writes(shard).await?;
            }
        }
        let Some(described) = self.described(call, partial, &partial.whole).await? else { return Ok(false) };
        let columns = scatter::described_fields(&described)?;
        // A part of the text may have PostgreSQL think of other types than the whole.
        let call = &with_types(call, &described)?;
        let Some(described) = self.described(call, partial, &partial.parts.statement).await? else { return Ok(false) };
        let fields = scatter::described_fields(&described)?;
        let position = std::mem::replace(&mut self.client.position, Position::Unknown);
        let mut done = true;
        let outcome = self
            .on_desk("", (partial.parts.shards, Reads::One), async |link, desk| {
                let attempt = Attempt { call, partial, columns: &columns, fields: &fields };
                done = matches!(attempt.run(link, desk).await?, Step::Done(()));
                Ok(())
            })
            .await;
        if !done {
            self.client.position = position;
        }
        outcome.map(|()| done)
    }

    /// Has a shard describe a statement; `None` if it cannot be asked, which in a transaction is an error.
    async fn described(
        &mut self,
        call: &Call,
        partial: &Partial,
        statement: &Statement,
    ) -> Result<Option<Bytes>, Failure> {
        let shard = partial.parts.shards.least().unwrap_or(self.snapshot.rules.home);
        match self.describe_on(shard, call.sql(statement), &call.types(statement), 0).await {
            Ok(described) => Ok(Some(described)),
            Err(failure) if !self.transaction.is_open() && is_about_the_text(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// One execution.
struct Attempt<'a> {
    call: &'a Call,
    partial: &'a Partial,
    /// The client's columns.
    columns: &'a [Field],
    /// The columns of the parts.
    fields: &'a [Field],
}

impl Attempt<'_> {
    async fn run(&self, link: &mut Link, desk: &mut Desk) -> Result<Step<()>, Failure> {
        let merge = HomeMerge { call: self.call, plan: &self.partial.parts, fields: self.fields, refusal: unlike() };
        let types = match merge.make_table(link, &mut desk.scratch).await {
            Ok(types) => types,
            Err(Failure::Refused(_)) => return Ok(Step::NoWay),
            Err(failure) if is_about_the_text(&failure) => return Ok(Step::NoWay),
            Err(failure) => return Err(failure),
        };
        let same = |(field, own): (&Field, &u32)| field.type_oid == *own;
        if !self.fields.iter().zip(&types).all(same) || types.iter().any(|own| *own >= USER_TYPES) {
            return Ok(Step::NoWay);
        }
        let Some(finish) = self.partial.finished(&types) else { return Ok(Step::NoWay) };
        if let Step::NoWay = self.check(link, &mut desk.scratch, &finish).await? {
            return Ok(Step::NoWay);
        }
        let room = link.worker.limits().gather_rows as u64;
        let own = if link.transaction.is_open() { 0 } else { merge.own_rows(link, &mut desk.scratch, room).await? };
        let room = room.checked_sub(own).ok_or_else(gather::too_many)?;
        merge.bring_rows(link, desk, room, &types).await?;
        self.answer(link, &mut desk.scratch, &finish).await.map(Step::Done)
    }

    /// Holds the types of what home would answer against those of the client's columns.
    async fn check(&self, link: &mut Link, scratch: &mut Server, finish: &Statement) -> Result<Step<()>, Failure> {
        let (sql, types) = (self.call.sql(finish), self.call.types(finish));
        let described = match member::describe(&mut link.client, scratch, sql, &types, 0).await {
            Ok(described) => described,
            Err(failure) if is_about_the_text(&failure) => return Ok(Step::NoWay),
            Err(failure) => return Err(failure),
        };
        let found = scatter::described_fields(&described)?;
        let same = |(one, other): (&Field, &Field)| one.type_oid == other.type_oid;
        let alike = found.len() == self.columns.len() && found.iter().zip(self.columns).all(same);
        Ok(if alike { Step::Done(()) } else { Step::NoWay })
    }

    /// Runs the statement that finishes the parts and passes its rows, as the columns that the client's statement has.
    async fn answer(&self, link: &mut Link, scratch: &mut Server, finish: &Statement) -> Result<(), Failure> {
        let arguments = self.call.arguments.clone().unwrap_or_else(|| Rc::new(Arguments::default()));
        let call = Call { arguments: Some(arguments), describe: true, ..self.call.clone() };
        call.write(scratch.out(), finish);
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
            let formats = backend::row_description(&described[HEADER_BYTES..]).map_err(Refusal::from)?;
            let named = |(field, answered): (&Field, &Field)| Field { format: answered.format, ..field.clone() };
            let fields: Vec<Field> = self.columns.iter().zip(&formats).map(named).collect();
            backend::write_row_description(link.client.output(), &fields);
        }
        let passing = Passing::Execution { describe: false };
        let reply = forward::reply(&mut link.client, scratch, passing, Tag::Pass).await?;
        link.rows = reply.rows;
        if reply.failed { Err(Failure::Told) } else { Ok(()) }
    }
}

/// Tells whether a server has refused a text that was made here, or what it makes of it, and not something else has
/// happened: a cancellation, a lock that was not to be had.
fn is_about_the_text(failure: &Failure) -> bool {
    let Failure::Shard { frame } = failure else { return false };
    let fields = frame.get(HEADER_BYTES..).and_then(|body| ErrorFields::read(body).ok());
    let state = fields.as_ref().and_then(|fields| fields.get(b'C'));
    state.is_some_and(|state| ABOUT_TEXTS.iter().any(|class| state.starts_with(class)))
}

/// Stands for every reason not to go on; the client never sees it.
fn unlike() -> Refusal {
    Refusal::unsupported("the parts of the shards cannot be finished on home", "Read the rows.")
}
