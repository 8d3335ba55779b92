//! A read that runs on home over copies of other shards' rows: PostgreSQL itself is what merges.
//!
//! The copies are temporary tables of the same names on a connection of its own, in a transaction that is rolled back
//! at the end, so that nothing of them is left there. Rows stream from server to server and are never held here.

use bytes::Bytes;
use postgres_protocol::escape::escape_identifier;

use crate::backend::{BackendError, Server};
use crate::plan::{Fetch, Gather};
use crate::proxy::Pinned;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{backend, frontend};

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::forward::{self, Passing, Tag};
use super::link::{Link, Role};

/// Rows wait for home up to this much before they are sent; 64 KiB is where larger writes stop paying.
pub(super) const FORWARD_BYTES: usize = 64 * 1024;
/// Copies from so many rows on get statistics: a wrong plan costs more than ANALYZE.
const ANALYZED_ROWS: u64 = 1_000;
/// Asks whether the session has made something of its own on a connection.
const OWN_TABLES: &str = "SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() LIMIT 1";

/// One statement's copies.
struct Copies<'a> {
    plan: &'a Gather,
    /// How many rows may still be copied.
    room: u64,
    /// Whether every row is read through the transaction's own connections, which see what it wrote.
    own_writes: bool,
}

impl Link {
    /// Copies what the plan says to home and runs the statement there.
    pub async fn gather(&mut self, call: &Call, plan: &Gather) -> Result<(), Failure> {
        self.over_copies(plan, async |link, scratch| {
            call.write(scratch.out(), &plan.statement);
            scratch.flush().await?;
            let reply = forward::reply(&mut link.client, scratch, Passing::of(call), Tag::Pass).await?;
            link.rows = reply.rows;
            if reply.failed { Err(Failure::Told) } else { Ok(()) }
        })
        .await
    }

    /// Copies what the plan says to home and works on the connection that has the copies.
    pub(super) async fn over_copies<W>(&mut self, plan: &Gather, work: W) -> Result<(), Failure>
    where
        W: AsyncFnOnce(&mut Self, &mut Server) -> Result<(), Failure>,
    {
        let own_writes = self.sees_own();
        self.check_gather(plan, own_writes)?;
        self.check_own_tables(plan.home).await?;
        if plan.reads_reference {
            self.wait_for_own_writes(plan.home).await?;
        }
        let path = ";SET LOCAL search_path = pg_temp, \"$user\", public";
        self.on_scratch(path, async |link, scratch| {
            link.copy_all(scratch, plan, own_writes).await?;
            work(link, scratch).await
        })
        .await
    }

    /// Works on a connection of home that is not the transaction's, in a transaction of its own that begins with `sets`
    /// and is rolled back.
    pub(super) async fn on_scratch<W>(&mut self, sets: &str, work: W) -> Result<(), Failure>
    where
        W: AsyncFnOnce(&mut Self, &mut Server) -> Result<(), Failure>,
    {
        let home = self.snapshot.rules.home;
        let mut scratch = match self.transaction.is_open() {
            true => self.borrow_another(home).await?,
            false => self.borrow(home).await?,
        };
        let done = match scratch.simple(&self.opening(sets)).await {
            Ok(_) => work(self, &mut scratch).await,
            Err(error) => Err(error.into()),
        };
        if scratch.is_in_step() {
            // The copies go with the transaction. A connection on which that fails is closed.
            let _ = scratch.simple("ROLLBACK").await;
        } else {
            self.stop_running().await;
        }
        if !self.transaction.is_open() {
            self.give_back(scratch);
        } else if scratch.is_usable() {
            // Not kept, even where the session keeps its servers: it has another one of home.
            self.show_active();
            self.worker.pools.checkin(scratch);
        }
        done
    }

    fn check_gather(&self, plan: &Gather, own_writes: bool) -> Result<(), Refusal> {
        if self.transaction.snapshot_isolation {
            let message = "a read over several shards has no snapshot that REPEATABLE READ and SERIALIZABLE could keep";
            return Err(Refusal::unsupported(message, "Use READ COMMITTED, or bind the sharding key to one value."));
        }
        let open = self.transaction.is_open();
        if self.pin == Pinned::TemporaryTable || open && self.pin != self.base_pin() || self.schema_dirty {
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
        match plan.fetches.iter().filter(copied).find(|fetch| fetch.columns.is_empty()) {
            Some(fetch) => Err(Refusal::unsupported(
                format!("the columns of table \"{}\" are not known", fetch.table),
                "Create the table, or wait until the proxy has read the catalogs again.",
            )),
            None => Ok(()),
        }
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

    async fn copy_all(&mut self, scratch: &mut Server, plan: &Gather, own_writes: bool) -> Result<(), Failure> {
        let room = self.worker.limits().gather_rows as u64;
        let mut copies = Copies { plan, room, own_writes };
        for fetch in plan.fetches.iter().filter(|fetch| own_writes || !fetch.in_place) {
            self.copy_table(scratch, fetch, &mut copies).await?;
        }
        Ok(())
    }

    /// What opens the scratch's transaction, with what the client's own has set for itself.
    fn opening(&self, sets: &str) -> String {
        let mut opening = String::from("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        for statement in &self.transaction.local_statements {
            // On a line of its own: the statement may end in a comment.
            opening.push_str("\n;");
            opening.push_str(statement);
        }
        // The client's transaction may be READ ONLY; this one makes a table of its own.
        opening.push_str("\n;SET TRANSACTION READ WRITE");
        opening.push_str(sets);
        if self.transaction.is_open() {
            // A lock of the session's own transaction would be waited for without end: no server sees that deadlock.
            let bound = self.worker.limits().cross_shard_lock_timeout.as_millis();
            opening.push_str(&format!(
                ";SELECT pg_catalog.set_config('lock_timeout', \
                 least(nullif(extract(epoch FROM pg_catalog.current_setting('lock_timeout')::interval) * 1000, 0), {bound})\
                 ::int8::text, true)"
            ));
        }
        opening
    }

    /// Fails if the table has other columns by now than the proxy knows: a statement may mean all of them.
    async fn check_columns(&self, scratch: &mut Server, fetch: &Fetch) -> Result<(), Failure> {
        let name = escape_identifier(fetch.physical.first().unwrap_or(&fetch.table)).replace('\'', "''");
        let reply = scratch
            .simple(&format!(
                "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = 'public.{name}'::pg_catalog.regclass \
                 AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ))
            .await?;
        let there = reply.rows.iter().filter_map(|row| row.first()?.as_deref());
        let known = self.snapshot.catalog.table(&fetch.table).map(|table| table.columns.as_slice()).unwrap_or_default();
        if there.eq(known.iter().map(|column| column.name.as_bytes())) {
            return Ok(());
        }
        let message = format!("the columns of table \"{}\" have changed past the proxy", fetch.table);
        Err(Refusal::unsupported(message, "Let it read the catalogs again: RELOAD on the console.").into())
    }

    async fn copy_table(
        &mut self,
        scratch: &mut Server,
        fetch: &Fetch,
        copies: &mut Copies<'_>,
    ) -> Result<(), Failure> {
        let (name, columns, source) = (escape_identifier(&fetch.table), list(&fetch.columns), source(fetch));
        self.check_columns(scratch, fetch).await?;
        scratch.simple(&format!("CREATE TEMP TABLE {name} AS SELECT {columns} FROM {source} WITH NO DATA")).await?;
        let before = copies.room;
        let home = copies.plan.home;
        if !copies.own_writes && fetch.shards.contains(home) {
            let sql = format!(
                "INSERT INTO pg_temp.{name} ({columns}) SELECT {columns} FROM {source} LIMIT {}",
                copies.room + 1
            );
            let reply = scratch.simple(&sql).await?;
            copies.take(forward::rows_of_tag(&reply.tag), fetch)?;
        }
        let own_writes = copies.own_writes;
        for shard in fetch.shards.iter().filter(|shard| own_writes || *shard != home) {
            let rows = self.copy_shard(scratch, fetch, shard, copies.room + 1).await?;
            copies.take(rows, fetch)?;
        }
        if let Some(key) = self.primary_key(fetch) {
            let add = format!("ALTER TABLE pg_temp.{name} ADD PRIMARY KEY ({})", list(&key));
            attempt(scratch, &add).await?;
        }
        if before - copies.room >= ANALYZED_ROWS {
            scratch.simple(&format!("ANALYZE pg_temp.{name}")).await?;
        }
        Ok(())
    }

    /// Copies one shard's rows of a table; returns how many.
    async fn copy_shard(
        &mut self,
        scratch: &mut Server,
        fetch: &Fetch,
        shard: ShardId,
        bound: u64,
    ) -> Result<u64, Failure> {
        let (name, columns, source) = (escape_identifier(&fetch.table), list(&fetch.columns), source(fetch));
        // Text would depend on both sides' settings. What has no binary form, or one that differs by server, is an error.
        let out = format!("COPY (SELECT {columns} FROM {source} LIMIT {bound}) TO STDOUT (FORMAT binary)");
        let into = format!("COPY pg_temp.{name} ({columns}) FROM STDIN (FORMAT binary)");
        if self.transaction.is_open() {
            let position = self.enlist(shard, Role::Reader).await?;
            self.flush_member(position).await?;
            let Self { client, transaction, cancel, .. } = self;
            let server = &mut transaction.members[position].server;
            cancel.set_active(&[scratch.cancel_key(), server.cancel_key()]);
            return pipe(client, server, scratch, (&out, &into)).await;
        }
        let mut server = self.borrow(shard).await?;
        self.cancel.set_active(&[scratch.cancel_key(), server.cancel_key()]);
        let copied = pipe(&mut self.client, &mut server, scratch, (&out, &into)).await;
        if !server.is_in_step() {
            self.stop_running().await;
        }
        self.give_back(server);
        self.cancel.set_active(&[scratch.cancel_key()]);
        copied
    }

    /// Returns the primary key's columns where no two shards can have the same: GROUP BY may rely on it.
    fn primary_key(&self, fetch: &Fetch) -> Option<Vec<String>> {
        let table = self.snapshot.catalog.table(&fetch.table)?;
        let rule = self.snapshot.rules.table(&fetch.table)?;
        let own = |column: &String| {
            let key = matches!(&rule.distribution, crate::rules::Distribution::Sharded { key, .. } if key == column);
            key || rule.id.as_ref().is_some_and(|id| id.column == *column)
        };
        let alone = !matches!(rule.distribution, crate::rules::Distribution::Sharded { .. });
        let fetched = |columns: &&Vec<String>| columns.iter().all(|column| fetch.columns.contains(column));
        let not_null = |columns: &&Vec<String>| {
            columns.iter().all(|name| table.column(name).is_some_and(|column| !column.nullable))
        };
        let whole = |columns: &&Vec<String>| alone || columns.iter().any(own);
        table.unique.iter().filter(fetched).filter(not_null).find(whole).cloned()
    }
}

impl Copies<'_> {
    /// Counts rows; fails beyond the bound.
    fn take(&mut self, rows: u64, fetch: &Fetch) -> Result<(), Refusal> {
        self.room = self.room.checked_sub(rows).ok_or_else(|| {
            let message = format!("the statement needs more rows of table \"{}\" than may be gathered", fetch.table);
            Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .with_hint("Bind the sharding key, or raise limits.gather_rows.")
        })?;
        Ok(())
    }
}

fn own_tables() -> Refusal {
    Refusal::unsupported(
        "rows of several shards cannot be brought to one that has this session's own tables",
        "Drop the temporary tables, or commit the change of tables, before the read.",
    )
}

/// Runs what the statement can do without: ids that clients made themselves may be the same on two shards.
async fn attempt(scratch: &mut Server, sql: &str) -> Result<(), Failure> {
    match scratch.simple(&format!("SAVEPOINT shardloom_attempt; {sql}; RELEASE shardloom_attempt")).await {
        Ok(_) => Ok(()),
        Err(BackendError::Server(_)) => Ok(scratch.simple("ROLLBACK TO shardloom_attempt").await.map(|_| ())?),
        Err(error) => Err(error.into()),
    }
}

/// Streams rows from one server to the other; returns how many. After an error both are at rest, unless one is lost.
async fn pipe(
    client: &mut Client,
    from: &mut Server,
    to: &mut Server,
    (out, into): (&str, &str),
) -> Result<u64, Failure> {
    frontend::write_query(from.out(), out);
    from.flush().await?;
    frontend::write_query(to.out(), into);
    to.flush().await?;
    let mut error = turn(client, to).await?;
    let refused = error.is_some();
    let mut sent_error = None;
    let mut rows = 0;
    loop {
        let (kind, frame) = forward::next_frame(client, from).await?;
        match kind {
            b'd' if refused => {}
            b'd' => {
                to.out().extend_from_slice(&frame);
                if to.out().len() >= FORWARD_BYTES {
                    to.flush().await?;
                }
            }
            b'C' => rows = forward::rows_of_tag(backend::command_tag(&frame[HEADER_BYTES..]).unwrap_or_default()),
            b'E' => sent_error = Some(frame),
            b'S' => forward::note_parameter(from, &frame),
            b'Z' => {
                forward::note_ready(from, &frame)?;
                break;
            }
            _ => {}
        }
    }
    if !refused {
        match &sent_error {
            Some(_) => frontend::write_copy_fail(to.out(), "the rows could not be read"),
            None => frontend::write_copy_done(to.out()),
        }
        to.flush().await?;
        error = turn(client, to).await?;
    }
    match sent_error.or(error) {
        Some(frame) => Err(Failure::Shard { frame }),
        None => Ok(rows),
    }
}

/// Waits until a server asks for rows or has ended its COPY; returns its error, after which it is at rest.
pub(super) async fn turn(client: &mut Client, to: &mut Server) -> Result<Option<Bytes>, Failure> {
    let mut error = None;
    loop {
        let (kind, frame) = forward::next_frame(client, to).await?;
        match kind {
            b'G' => return Ok(None),
            b'E' => error = Some(frame),
            b'Z' => {
                forward::note_ready(to, &frame)?;
                return Ok(error);
            }
            _ => {}
        }
    }
}

/// Returns what has the rows of a table on a server: the table, or its physical tables.
pub(super) fn source(fetch: &Fetch) -> String {
    let columns = list(&fetch.columns);
    match fetch.physical.as_slice() {
        [] => format!("public.{}", escape_identifier(&fetch.table)),
        [one] => format!("public.{}", escape_identifier(one)),
        several => {
            let each = several.iter().map(|name| format!("SELECT {columns} FROM public.{}", escape_identifier(name)));
            format!("({}) AS physical", each.collect::<Vec<_>>().join(" UNION ALL "))
        }
    }
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| escape_identifier(column)).collect::<Vec<_>>().join(", ")
}
