//! The order of things: copies are made, the statement is described over them while they are empty, so that what is wrong
//! with it is known before a row is copied; then the rows come, and it runs.

use bytes::Bytes;

use crate::backend::Server;
use crate::plan::{Fetch, Gather, Statement};
use crate::types::{Refusal, ShardId};
use crate::wire::backend;
use crate::wire::frame::{self, HEADER_BYTES};

use super::super::call::{Arguments, Call};
use super::super::failure::Failure;
use super::super::forward::{self, Passing, Tag};
use super::super::link::Link;
use super::super::member;
use super::super::position::Position;
use super::copies::Copies;
use super::desk::{Desk, Reads};

/// Asks whether the session has made something of its own on a connection.
const OWN_TABLES: &str = "SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() LIMIT 1";
/// A column that neither GROUP BY nor an aggregate has: it may follow from a primary key.
const UNGROUPED: &[u8] = b"42803";

impl Link {
    /// Copies what the plan says to home and runs the statement there.
    pub async fn gather(&mut self, call: &Call, plan: &Gather) -> Result<(), Failure> {
        self.wait_for_following(plan.shards()).await?;
        if let Some(partial) = &plan.partial
            && self.check_gather(plan, self.sees_own()).is_ok()
            && Box::pin(self.finish_parts(call, partial)).await?
        {
            return Ok(());
        }
        self.over_copies(call, plan, async |link, scratch| {
            call.write(scratch.out(), &plan.statement);
            scratch.flush().await?;
            let reply = forward::reply(&mut link.client, scratch, Passing::of(call), Tag::Pass).await?;
            link.rows = reply.rows;
            if reply.failed { Err(Failure::Told) } else { Ok(()) }
        })
        .await
    }

    /// Copies what the plan says to home and works on the connection that has the copies.
    pub(in crate::execute) async fn over_copies<W>(
        &mut self,
        call: &Call,
        plan: &Gather,
        work: W,
    ) -> Result<(), Failure>
    where
        W: AsyncFnOnce(&mut Self, &mut Server) -> Result<(), Failure>,
    {
        self.on_desk_of_copies(plan, async |link, desk, own_writes| {
            link.copy_all(desk, call, plan, own_writes).await?;
            work(link, &mut desk.scratch).await
        })
        .await
    }

    /// Asks home what a statement takes and returns, over empty copies of its tables.
    pub async fn describe_over_copies(&mut self, plan: &Gather, sql: &str, types: &[u32]) -> Result<Bytes, Failure> {
        let sql = if let Statement::Rewritten { sql, .. } = &plan.statement { sql } else { sql };
        let mut frames = Bytes::new();
        self.on_desk_of_copies(plan, async |link, desk, own_writes| {
            let mut copies = Copies::new(plan, 0, own_writes);
            copies.make(link, desk).await?;
            (frames, _) = link.described_over(desk, sql, types, &copies).await?;
            Ok(())
        })
        .await?;
        Ok(frames)
    }

    /// Works where copies can be made; `work` is told whether they are made of what the open transaction sees.
    async fn on_desk_of_copies<W>(&mut self, plan: &Gather, work: W) -> Result<(), Failure>
    where
        W: AsyncFnOnce(&mut Self, &mut Desk, bool) -> Result<(), Failure>,
    {
        let own_writes = self.sees_own();
        self.check_gather(plan, own_writes)?;
        self.check_own_tables(plan.home).await?;
        if plan.reads_reference {
            self.wait_for_own_writes(plan.home).await?;
        }
        // The copies come first unnamed: named, they would be the current schema.
        let path = ";SET LOCAL search_path = \"$user\", public";
        let copied = plan.fetches.iter().filter(|fetch| own_writes || !fetch.in_place);
        let in_place = |shard: &ShardId| !self.transaction.is_open() && *shard == plan.home;
        let shards = copied.flat_map(|fetch| fetch.shards.iter()).filter(|shard| !in_place(shard)).collect();
        self.on_desk(path, (shards, Reads::Several), async |link, desk| work(link, desk, own_writes).await).await
    }

    fn check_gather(&self, plan: &Gather, own_writes: bool) -> Result<(), Refusal> {
        if self.transaction.snapshot_isolation {
            let message = "a read over several shards has no snapshot that REPEATABLE READ and SERIALIZABLE could keep";
            return Err(Refusal::unsupported(message, "Use READ COMMITTED, or bind the sharding key to one value."));
        }
        let open = self.transaction.is_open();
        // Outside of a transaction, what the session has of its own is on the connection that gets the copies.
        if open && self.pin != self.base_pin() || self.schema_dirty {
            return Err(own_tables());
        }
        if open && plan.reads_clock {
            return Err(Refusal::unsupported(
                "the time of this transaction is not that of the connection on which rows of several shards are gathered",
                "Send the time as a parameter, or read outside of the transaction.",
            ));
        }
        if own_writes && plan.names_in_place {
            return Err(Refusal::unsupported(
                "a table on home is named with its schema in a transaction that may have written it",
                "Name the table without its schema, or read outside of the transaction.",
            ));
        }
        let copied = |fetch: &&Fetch| own_writes || !fetch.in_place;
        // The one shard that has a table can be asked.
        let elsewhere = |fetch: &Fetch| fetch.shards.only().is_some_and(|shard| shard != plan.home);
        let unknown = |fetch: &&Fetch| fetch.columns.is_empty() && !elsewhere(fetch);
        plan.fetches.iter().filter(copied).find(unknown).map_or(Ok(()), |fetch| Err(unknown_columns(fetch)))
    }

    /// Tells whether the open transaction may have written what only its own connections see: functions write unseen.
    fn sees_own(&self) -> bool {
        !self.transaction.members.is_empty()
    }

    /// Refuses where the session has temporary tables on the connection of its transaction: the copies are on another.
    async fn check_own_tables(&mut self, home: ShardId) -> Result<(), Failure> {
        let Some(position) = self.transaction.position(home) else { return Ok(()) };
        self.flush_member(position).await?;
        let reply = self.transaction.members[position].server.simple(OWN_TABLES).await?;
        match reply.rows.is_empty() {
            true => Ok(()),
            false => Err(own_tables().into()),
        }
    }

    async fn copy_all(&mut self, desk: &mut Desk, call: &Call, plan: &Gather, own_writes: bool) -> Result<(), Failure> {
        let mut copies = Copies::new(plan, self.worker.limits().gather_rows as u64, own_writes);
        copies.make(self, desk).await?;
        let (described, by_key) = self.describe_copies(desk, call, &copies).await?;
        // An error while rows are copied stands nowhere in the client's text.
        let position = std::mem::replace(&mut self.client.position, Position::Unknown);
        copies.fill(self, desk, &described).await?;
        if by_key {
            copies.add_keys(self, desk).await?;
        }
        self.client.position = position;
        Ok(())
    }

    /// Has the statement described over the empty copies: its errors come now, and the types of its parameters are known.
    /// Returns the call with these, and whether the copies need their primary keys.
    async fn describe_copies(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        copies: &Copies<'_>,
    ) -> Result<(Call, bool), Failure> {
        let (sql, types) = (call.sql(&copies.plan.statement), call.types(&copies.plan.statement));
        let (frames, by_key) = self.described_over(desk, sql, &types, copies).await?;
        let mut call = call.clone();
        if let Some(own) = &call.arguments {
            // RowDescription follows.
            let end = frame::header(&frames, frames.len()).map_err(Refusal::from)?.map_or(0, |header| header.length);
            let body = frames.get(HEADER_BYTES..end).unwrap_or_default();
            let types = backend::parameter_description(body).map_err(Refusal::from)?;
            call.arguments = Some(std::rc::Rc::new(Arguments { types, ..Arguments::clone(own) }));
        }
        Ok((call, by_key))
    }

    /// Has a text described over the empty copies; tells whether they need their primary keys.
    async fn described_over(
        &mut self,
        desk: &mut Desk,
        sql: &str,
        types: &[u32],
        copies: &Copies<'_>,
    ) -> Result<(Bytes, bool), Failure> {
        let mut described = member::describe(&mut self.client, &mut desk.scratch, sql, types, 0).await;
        let by_key = described.as_ref().is_err_and(|failure| failure.says(UNGROUPED));
        if by_key {
            desk.scratch.simple("ROLLBACK TO shardloom_described").await?;
            copies.add_keys(self, desk).await?;
            described = member::describe(&mut self.client, &mut desk.scratch, sql, types, 0).await;
        }
        let frames = described?;
        if by_key {
            desk.scratch.simple("ROLLBACK TO shardloom_described").await?;
        }
        Ok((frames, by_key))
    }
}

fn own_tables() -> Refusal {
    Refusal::unsupported(
        "rows of several shards cannot be brought to one that has this session's own tables",
        "Drop the temporary tables, or commit the change of tables, before the read.",
    )
}

pub(super) fn unknown_columns(fetch: &Fetch) -> Refusal {
    Refusal::unsupported(
        format!("the columns of table \"{}\" are not known", fetch.table),
        "Create the table, or wait until the proxy has read the catalogs again.",
    )
}
