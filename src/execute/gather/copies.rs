//! The copies: temporary tables of the same names, and the rows that matter in them.

use std::collections::HashMap;

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::backend::{BackendError, Server};
use crate::plan::{Fetch, Gather, Statement};
use crate::rules::Distribution;
use crate::types::{Refusal, ShardSet, SqlState, USER_TYPES};

use super::super::call::Call;
use super::super::failure::Failure;
use super::super::link::Link;
use super::desk::Desk;
use super::passing::{self, Transfer, one_value};
use super::restrict::{Known, ROW, Restriction, source, with_arguments};
use super::run::unknown_columns;

/// Copies from so many rows on get statistics: a wrong plan costs more than ANALYZE.
const ANALYZED_ROWS: u64 = 1_000;
/// Of a copy that lives for one statement, PostgreSQL looks at 300 rows for each of these.
const STATISTICS_TARGET: u32 = 10;
/// Tables of at most so many bytes on home are copied as they are: what could be left out costs less than to ask for it.
const SMALL_BYTES: u64 = 128 * 1024;

/// One statement's copies.
pub(super) struct Copies<'a> {
    pub(super) plan: &'a Gather,
    /// How many rows may still be copied.
    room: u64,
    /// Whether every row is read through the transaction's own connections, which see what it wrote.
    own_writes: bool,
    /// Whether the rows of some table are many.
    large: bool,
    /// The columns of tables that home has not.
    foreign: HashMap<&'a str, Vec<Foreign>>,
}

/// A column of a table that home has not.
struct Foreign {
    name: String,
    /// Its type with modifier and collation.
    definition: String,
    type_oid: u32,
    /// Whether it is of the primary key.
    in_key: bool,
}

impl<'a> Copies<'a> {
    pub(super) fn new(plan: &'a Gather, room: u64, own_writes: bool) -> Self {
        Self { plan, room, own_writes, large: false, foreign: HashMap::new() }
    }

    /// The tables that are copied.
    fn copied(&self) -> impl Iterator<Item = &'a Fetch> + use<'a> {
        let own_writes = self.own_writes;
        self.plan.fetches.iter().filter(move |fetch| own_writes || !fetch.in_place)
    }

    /// Makes the empty copies.
    pub(super) async fn make(&mut self, link: &mut Link, desk: &mut Desk) -> Result<(), Failure> {
        self.check_columns(link, &mut desk.scratch).await?;
        let mut sql = String::new();
        for fetch in self.copied() {
            let name = escape_identifier(&fetch.table);
            if fetch.columns.is_empty() {
                let columns = self.ask_columns(link, desk, fetch).await?;
                sql.push_str(&format!("CREATE TEMP TABLE {name} ({columns});"));
            } else {
                let columns = list(&fetch.columns);
                sql.push_str(&format!(
                    "CREATE TEMP TABLE {name} AS SELECT {columns} FROM {} AS {ROW} WITH NO DATA;",
                    source(fetch)
                ));
            }
        }
        sql.push_str("SAVEPOINT shardloom_described");
        desk.scratch.simple(&sql).await?;
        Ok(())
    }

    /// Fails if a table has other columns by now than the proxy knows: a statement may mean all of them. Notes whether
    /// one is large.
    async fn check_columns(&mut self, link: &Link, scratch: &mut Server) -> Result<(), Failure> {
        let names: Vec<String> = self.copied().map(|fetch| escape_literal(looked_at(fetch))).collect();
        if names.is_empty() {
            return Ok(());
        }
        let reply = scratch
            .simple(&format!(
                "SELECT c.relname, a.attname, c.relkind, pg_catalog.pg_relation_size(c.oid) FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid WHERE c.relname IN ({}) AND c.relnamespace = \
                 'public'::pg_catalog.regnamespace AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                names.join(", ")
            ))
            .await?;
        for fetch in self.copied() {
            let of_table = |row: &&Vec<Option<bytes::Bytes>>| row[0].as_deref() == Some(looked_at(fetch).as_bytes());
            let rows: Vec<_> = reply.rows.iter().filter(of_table).collect();
            let there = rows.iter().filter_map(|row| row[1].as_deref());
            let known = link.snapshot.catalog.table(&fetch.table).map(|table| table.columns.as_slice());
            if !there.eq(known.unwrap_or_default().iter().map(|column| column.name.as_bytes())) {
                let message = format!("the columns of table \"{}\" have changed past the proxy", fetch.table);
                return Err(
                    Refusal::unsupported(message, "Let it read the catalogs again: RELOAD on the console.").into()
                );
            }
            let text = |at: usize| rows.first().and_then(|row| std::str::from_utf8(row[at].as_deref()?).ok());
            let bytes: u64 = text(3).and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
            // What home has no part of, or no storage for, may be of any size.
            let unknown = text(2) != Some("r") || fetch.physical.len() > 1 || !fetch.shards.contains(self.plan.home);
            self.large |= unknown || bytes > SMALL_BYTES;
        }
        Ok(())
    }

    /// Asks the one shard that has a table for its columns; returns them as CREATE TABLE wants them.
    async fn ask_columns(&mut self, link: &mut Link, desk: &mut Desk, fetch: &'a Fetch) -> Result<String, Failure> {
        let sql = format!(
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) || coalesce((SELECT ' COLLATE ' || \
             pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(l.collname) FROM pg_catalog.pg_type t, \
             pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace WHERE t.oid = \
             a.atttypid AND l.oid = a.attcollation AND t.typcollation <> l.oid), ''), a.atttypid, EXISTS (SELECT FROM \
             pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) FROM \
             pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname = {} AND \
             c.relnamespace = 'public'::pg_catalog.regnamespace AND a.attnum > 0 AND NOT a.attisdropped \
             ORDER BY a.attnum",
            escape_literal(&fetch.table)
        );
        let shard = fetch.shards.only();
        let server = match shard.and_then(|shard| link.transaction.position(shard)) {
            Some(position) => Some(&mut link.transaction.members[position].server),
            None => desk.others.iter_mut().find(|server| Some(server.shard()) == shard),
        };
        let Some(server) = server else { return Err(unknown_columns(fetch).into()) };
        let reply = server.simple(&sql).await?;
        let text =
            |value: &Option<bytes::Bytes>| value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned());
        let columns: Vec<Foreign> = reply
            .rows
            .iter()
            .filter_map(|row| {
                let type_oid = text(&row[2])?.parse().ok()?;
                let in_key = text(&row[3])? == "t";
                Some(Foreign { name: text(&row[0])?, definition: text(&row[1])?, type_oid, in_key })
            })
            .collect();
        if columns.is_empty() || columns.iter().any(|column| column.type_oid >= USER_TYPES) {
            return Err(unknown_columns(fetch).into());
        }
        let definition = |column: &Foreign| format!("{} {}", escape_identifier(&column.name), column.definition);
        let definitions = columns.iter().map(definition).collect::<Vec<_>>().join(", ");
        self.foreign.insert(&fetch.table, columns);
        Ok(definitions)
    }

    /// Returns the names and types of the columns that are copied.
    fn columns(&self, link: &Link, fetch: &Fetch) -> (Vec<String>, Vec<u32>) {
        if let Some(columns) = self.foreign.get(fetch.table.as_str()) {
            return columns.iter().map(|column| (column.name.clone(), column.type_oid)).unzip();
        }
        let table = link.snapshot.catalog.table(&fetch.table);
        let type_of = |name: &String| table.and_then(|table| table.column(name)).map_or(0, |column| column.type_oid);
        (fetch.columns.clone(), fetch.columns.iter().map(type_of).collect())
    }

    /// Brings the rows, of tables with few first: what they have restricts the others.
    pub(super) async fn fill(&mut self, link: &mut Link, desk: &mut Desk, call: &Call) -> Result<(), Failure> {
        let mut known = Known::new(self.plan, self.own_writes, self.large, !link.transaction.is_open());
        let mut order: Vec<(f64, &Fetch)> = Vec::new();
        for fetch in self.copied() {
            let restriction = known.restriction(&mut link.client, &mut desk.scratch, call, fetch).await?;
            let rows = self.estimate(link, desk, call, fetch, restriction).await?;
            order.push((rows, fetch));
        }
        order.sort_by(|(left, _), (right, _)| left.total_cmp(right));
        let mut analyzed = Vec::new();
        for (_, fetch) in order {
            let restriction = known.restriction(&mut link.client, &mut desk.scratch, call, fetch).await?;
            let rows = self.fill_one(link, desk, call, fetch, restriction.as_ref()).await?;
            known.arrived(fetch, restriction.is_some());
            if rows >= ANALYZED_ROWS {
                analyzed.push(format!("pg_temp.{}", escape_identifier(&fetch.table)));
            }
        }
        if !analyzed.is_empty() {
            let tables = analyzed.join(", ");
            let sql = format!("SET LOCAL default_statistics_target = {STATISTICS_TARGET}; ANALYZE {tables}");
            desk.scratch.simple(&sql).await?;
        }
        Ok(())
    }

    /// Guesses how many rows matter, by home's statistics of its own part.
    async fn estimate(
        &self,
        link: &mut Link,
        desk: &mut Desk,
        call: &Call,
        fetch: &Fetch,
        restriction: Option<Restriction>,
    ) -> Result<f64, Failure> {
        if !self.large || !fetch.shards.contains(self.plan.home) {
            return Ok(f64::MAX);
        }
        let (filter, parameters) = filter(restriction.as_ref());
        let sql = format!("EXPLAIN SELECT FROM {} AS {ROW}{filter}", source(fetch));
        let line = one_value(&mut link.client, &mut desk.scratch, &with_arguments(call, sql, parameters, &[])).await?;
        let rows = line.as_deref().and_then(|line| line.split_once(" rows=")?.1.split(' ').next()?.parse().ok());
        Ok(rows.unwrap_or(f64::MAX))
    }

    /// Brings the rows of one table; returns how many.
    async fn fill_one(
        &mut self,
        link: &mut Link,
        desk: &mut Desk,
        call: &Call,
        fetch: &Fetch,
        restriction: Option<&Restriction>,
    ) -> Result<u64, Failure> {
        let (columns, types) = self.columns(link, fetch);
        let (name, columns) = (escape_identifier(&fetch.table), list(&columns));
        let (filter, parameters) = filter(restriction);
        let (before, source) = (self.room, source(fetch));
        let home = self.plan.home;
        let select = |bound: u64| format!("SELECT {columns} FROM {source} AS {ROW}{filter} LIMIT {bound}");
        let mut shards = fetch.shards;
        if !link.transaction.is_open() && shards.contains(home) {
            shards = shards.iter().filter(|shard| *shard != home).collect();
            let sql = format!("INSERT INTO pg_temp.{name} ({columns}) {}", select(self.room + 1));
            let own = with_arguments(call, sql, parameters, &[]);
            let rows = passing::execute(&mut link.client, &mut desk.scratch, &own, &Statement::Original).await?;
            self.take(rows, fetch)?;
        }
        if shards != ShardSet::new() {
            let out = with_arguments(call, select(self.room + 1), parameters, &[1]);
            let into = format!("COPY pg_temp.{name} ({columns}) FROM STDIN (FORMAT binary)");
            let transfer = Transfer { call: &out, shards, into: &into, types: &types };
            let rows = link.transfer(desk, &transfer).await?;
            self.take(rows, fetch)?;
        }
        Ok(before - self.room)
    }

    /// Counts rows; fails beyond the bound.
    fn take(&mut self, rows: u64, fetch: &Fetch) -> Result<(), Refusal> {
        self.room = self.room.checked_sub(rows).ok_or_else(|| {
            let message = format!("the statement needs more rows of table \"{}\" than may be gathered", fetch.table);
            Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .with_hint("Bind the sharding key, or raise limits.gather_rows.")
        })?;
        Ok(())
    }

    /// Returns the primary key of a table that home has not.
    fn key_elsewhere(&self, fetch: &Fetch) -> Option<Vec<String>> {
        let columns = self.foreign.get(fetch.table.as_str())?.iter();
        let key: Vec<String> = columns.filter(|column| column.in_key).map(|column| column.name.clone()).collect();
        (!key.is_empty()).then_some(key)
    }

    /// Adds the primary keys, as far as the rows have them: ids that clients made themselves may be the same on two
    /// shards.
    pub(super) async fn add_keys(&self, link: &Link, desk: &mut Desk) -> Result<(), Failure> {
        for fetch in self.copied() {
            if let Some(key) = self.key_elsewhere(fetch).or_else(|| primary_key(link, fetch)) {
                let name = escape_identifier(&fetch.table);
                let add = format!("ALTER TABLE pg_temp.{name} ADD PRIMARY KEY ({})", list(&key));
                attempt(&mut desk.scratch, &add).await?;
            }
        }
        Ok(())
    }
}

/// The table whose columns are compared with what is known: of several physical ones, the first.
fn looked_at(fetch: &Fetch) -> &str {
    fetch.physical.first().unwrap_or(&fetch.table)
}

/// Returns the primary key's columns where no two shards can have the same: GROUP BY may rely on it.
fn primary_key(link: &Link, fetch: &Fetch) -> Option<Vec<String>> {
    let table = link.snapshot.catalog.table(&fetch.table)?;
    let rule = link.snapshot.rules.table(&fetch.table)?;
    let own = |column: &String| rule.id.as_ref().is_some_and(|id| id.column == *column);
    let keyed = |columns: &[String]| match &rule.distribution {
        Distribution::Sharded { key, more, .. } => std::iter::once(key).chain(more).all(|key| columns.contains(key)),
        Distribution::Reference { .. } | Distribution::Single { .. } => true,
    };
    let fetched = |columns: &&Vec<String>| columns.iter().all(|column| fetch.columns.contains(column));
    let not_null =
        |columns: &&Vec<String>| columns.iter().all(|name| table.column(name).is_some_and(|column| !column.nullable));
    let whole = |columns: &&Vec<String>| keyed(columns) || columns.iter().any(own);
    table.unique.iter().filter(fetched).filter(not_null).find(whole).cloned()
}

fn filter(restriction: Option<&Restriction>) -> (String, bool) {
    restriction
        .map_or_else(Default::default, |restriction| (format!(" WHERE {}", restriction.sql), restriction.parameters))
}

/// Runs what the statement can do without: ids that clients made themselves may be the same on two shards.
async fn attempt(scratch: &mut Server, sql: &str) -> Result<(), Failure> {
    match scratch.simple(&format!("SAVEPOINT shardloom_attempt; {sql}; RELEASE shardloom_attempt")).await {
        Ok(_) => Ok(()),
        Err(BackendError::Server(_)) => Ok(scratch.simple("ROLLBACK TO shardloom_attempt").await.map(|_| ())?),
        Err(error) => Err(error.into()),
    }
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| escape_identifier(column)).collect::<Vec<_>>().join(", ")
}
