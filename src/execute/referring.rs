//! Foreign keys from sharded tables to reference tables, of which each shard checks what is there at the moment: a row that
//! refers needs a copy of what it refers to, and home sees of those that refer only its own.

use std::sync::Arc;

use postgres_protocol::escape::escape_identifier;

use crate::plan::{Direct, Referring, WriteEffect};
use crate::sql::Scanner;
use crate::types::{Refusal, ShardId, SqlState};

use super::call::Call;
use super::collect::{RETURNING_BYTES_MAX, too_many_rows};
use super::failure::Failure;
use super::forward::{Reply, Tag};
use super::held::told;
use super::link::Link;
use super::position::Position;
use super::settings::quoted_value;

impl Link {
    /// Tells whether rows that a statement writes may refer to rows of reference tables. What DELETE takes away needs nothing.
    fn refers(&self, text: &str, effect: &WriteEffect) -> bool {
        let deletes = Scanner::new(text).next().is_some_and(|first| first.is_word(text, "delete"));
        if effect.reference || deletes {
            return false;
        }
        let rules = &self.snapshot.rules;
        let tables = effect.tables.iter().filter_map(|table| self.snapshot.catalog.table(table));
        tables.flat_map(|table| &table.foreign_keys).any(|key| rules.reference_home(&key.table).is_some())
    }

    /// Tells whether rows may refer to what this session has written to reference tables and copies may not have yet.
    pub fn refers_to_unsettled(&self, text: &str, effect: &WriteEffect) -> bool {
        !self.unsettled.is_empty() && self.refers(text, effect)
    }

    /// Waits until what this session has written to reference tables is there, for rows that may refer to it.
    pub(super) async fn wait_for_referred(
        &mut self,
        text: &str,
        shard: ShardId,
        effect: &WriteEffect,
    ) -> Result<(), Failure> {
        if self.transaction.reference || !self.refers_to_unsettled(text, effect) {
            return Ok(());
        }
        Box::pin(self.wait_for_own_writes(shard)).await
    }

    /// Tells whether rows may refer to what the open transaction has written to reference tables, and a copy has not.
    pub(super) fn may_miss_referred(&self, text: &str, shard: ShardId, effect: &WriteEffect) -> bool {
        self.transaction.reference && self.transaction.reference_home != Some(shard) && self.refers(text, effect)
    }

    /// Runs a write on one shard whose rows may refer to what only home has yet.
    pub(super) async fn beside_referred(&mut self, call: &Call, shard: ShardId, plan: &Direct) -> Result<(), Failure> {
        let held = self.client.hold(RETURNING_BYTES_MAX);
        let done = self.in_transaction(call, shard, plan, Tag::Pass).await;
        let (reply, overflow) = self.client.release(held);
        match told(done.map(|_| ()), &reply) {
            Err(failure) => Err(self.unless_not_there_yet(failure, shard)),
            Ok(()) if overflow => Err(too_many_rows().into()),
            Ok(()) => {
                self.client.output().extend_from_slice(&reply);
                Ok(())
            }
        }
    }

    /// What a shard says of a missing row is not so where this transaction may have written it.
    pub(super) fn unless_not_there_yet(&self, failure: Failure, shard: ShardId) -> Failure {
        if !failure.says(SqlState::FOREIGN_KEY_VIOLATION.code().as_bytes()) {
            return failure;
        }
        Refusal::unsupported(
            format!(
                "a row refers to a reference table that this transaction has written; its copy on shard \"{}\" follows \
                 after the commit",
                self.snapshot.rules.shard(shard).name
            ),
            "Commit what is written to the reference table first.",
        )
        .with_reason("uncommitted_reference")
        .into()
    }

    /// Tells whether a write of reference tables may take away what rows of other shards refer to.
    fn may_be_referred(&self, text: &str, effect: &WriteEffect) -> bool {
        let catalog = &self.snapshot.catalog;
        let is_referred = |table: &String| catalog.referred.contains_key(table);
        let has_triggers = |table: &String| catalog.table(table).is_some_and(|table| table.user_triggers);
        effect.tables.iter().any(is_referred) && (!only_adds(text) || effect.tables.iter().any(has_triggers))
    }

    /// Tells whether a statement that a server says has affected so many rows has written none anywhere.
    pub(super) fn writes_no_row(&self, text: &str, effect: &WriteEffect, rows: u64) -> bool {
        const COUNTED: [&str; 4] = ["insert", "update", "delete", "merge"];
        let counts =
            Scanner::new(text).next().is_some_and(|first| COUNTED.iter().any(|word| first.is_word(text, word)));
        let has_triggers = |table: &String| self.snapshot.catalog.table(table).is_none_or(|table| table.user_triggers);
        rows == 0 && counts && !effect.tables.iter().any(has_triggers)
    }

    /// Runs a write of reference tables in the open transaction, and checks what home could not; its tag is told last.
    pub(super) async fn with_referring(
        &mut self,
        call: &Call,
        home: ShardId,
        plan: &Direct,
        effect: &WriteEffect,
    ) -> Result<Reply, Failure> {
        if !self.may_be_referred(&call.text, effect) {
            return self.in_transaction(call, home, plan, Tag::Hold).await;
        }
        if !self.snapshot.rules.physical.is_empty() {
            self.client.position = Position::Physical(Arc::clone(&self.snapshot.rules));
        }
        // What it returns is not told if it fails.
        let held = self.client.hold(RETURNING_BYTES_MAX);
        let done = self.in_transaction(call, home, plan, Tag::Hold).await;
        let (rows, overflow) = self.client.release(held);
        let reply = match done {
            Err(failure) => return Err(told(Err(failure), &rows).err().unwrap_or(Failure::Told)),
            Ok(_) if overflow => return Err(too_many_rows().into()),
            Ok(reply) => reply,
        };
        Box::pin(self.check_referring(home, effect)).await?;
        self.client.output().extend_from_slice(&rows);
        Ok(reply)
    }

    /// Checks on the other shards what home could not: that no row refers to what the statement has taken away.
    async fn check_referring(&mut self, home: ShardId, effect: &WriteEffect) -> Result<(), Failure> {
        let mut lost: Option<((String, Vec<String>), String)> = None;
        let snapshot = Arc::clone(&self.snapshot);
        for (parent, referring) in snapshot.catalog.referring(&effect.tables) {
            let columns = &referring.key.referenced;
            let keys = match lost.take() {
                Some((of, keys)) if of.0 == parent && of.1 == *columns => keys,
                _ => self.value(home, &lost_keys(&parent, columns)).await?.unwrap_or_default(),
            };
            if !keys.is_empty() {
                self.check_keys_unused(home, &parent, referring, &keys).await?;
            }
            lost = Some(((parent, columns.clone()), keys));
        }
        Ok(())
    }

    async fn check_keys_unused(
        &mut self,
        home: ShardId,
        parent: &str,
        referring: &Referring,
        keys: &str,
    ) -> Result<(), Failure> {
        let Some(group) = referring.group else { return Ok(()) };
        let shards = self.snapshot.rules.shards_of_group(group);
        self.wait_for_following(shards).await?;
        for shard in shards.iter().filter(|shard| *shard != home) {
            if let Some(key) = self.value(shard, &used_key(parent, referring, keys)).await? {
                return Err(self.still_referred(parent, referring, shard, &key).into());
            }
        }
        Ok(())
    }

    /// Asks a shard for one value; `None` is none, and NULL.
    async fn value(&mut self, shard: ShardId, question: &str) -> Result<Option<String>, Failure> {
        let reply = self.ask(shard, question).await?;
        let value = reply.rows.first().and_then(|row| row.first().cloned().flatten());
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    fn still_referred(&self, parent: &str, referring: &Referring, shard: ShardId, key: &str) -> Refusal {
        let rules = &self.snapshot.rules;
        let logical = rules.logical_of(&referring.table).unwrap_or(&referring.table);
        let (parent, child) = (bare(parent), bare(logical));
        let slot = |keys: &[String]| keys.iter().position(|key| *key == referring.table);
        let name = rules.table(logical).and_then(|rule| {
            let slot = slot(&rule.physical_keys(logical))?;
            Some(rules.split_of(logical)?.logical_name(&referring.key.name, logical, slot))
        });
        let name = name.as_deref().unwrap_or(&referring.key.name);
        let columns = referring.key.referenced.join(", ");
        if referring.key.strict {
            return Refusal::new(
                SqlState::FOREIGN_KEY_VIOLATION,
                format!(
                    "update or delete on table \"{parent}\" violates foreign key constraint \"{name}\" on table \"{child}\""
                ),
            )
            .with_detail(format!("Key ({columns})=({key}) is still referenced from table \"{child}\"."));
        }
        Refusal::unsupported(
            format!(
                "rows of table \"{child}\" on shard \"{}\" refer to what this takes from reference table \"{parent}\"; what \
                 foreign key \"{name}\" declares for them would be done on home alone",
                self.snapshot.rules.shard(shard).name
            ),
            format!("Change or delete the rows of \"{child}\" first, in a statement of their own."),
        )
        .with_detail(format!("Key ({columns})=({key}) is still referenced."))
        .with_reason("referring_rows")
    }
}

/// Tells whether a text is an INSERT or COPY that leaves the rows alone that are there.
fn only_adds(text: &str) -> bool {
    let mut tokens = Scanner::new(text);
    let adds = tokens.next().is_some_and(|first| first.is_word(text, "insert") || first.is_word(text, "copy"));
    adds && !tokens.any(|token| token.is_word(text, "conflict"))
}

/// Returns the query for the keys that rows of a reference table had before the statement, and none has now, as a JSON array;
/// NULL if there are none.
fn lost_keys(parent: &str, columns: &[String]) -> String {
    let table = qualified(parent);
    let list = columns.iter().map(|column| escape_identifier(column)).collect::<Vec<_>>();
    let read = list.iter().map(|column| format!("r.{column}")).collect::<Vec<_>>().join(", ");
    let same = list.iter().map(|column| format!("t.{column} = k.{column}")).collect::<Vec<_>>().join(" AND ");
    let names = columns.iter().map(|column| quoted_value(column)).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT pg_catalog.json_agg(k)::text FROM (SELECT DISTINCT {read} FROM shardloom.written_keys({}, \
         ARRAY[{names}]::pg_catalog.text[]) i CROSS JOIN LATERAL pg_catalog.json_populate_record(NULL::{table}, i) r) k \
         WHERE NOT EXISTS (SELECT FROM {table} t WHERE {same})",
        quoted_value(&table)
    )
}

/// Returns the query for one of these keys that a row of the table refers to.
fn used_key(parent: &str, referring: &Referring, keys: &str) -> String {
    let key = &referring.key;
    let texts = key.referenced.iter().map(|column| format!("k.{}::text", escape_identifier(column)));
    let same =
        key.columns.iter().zip(&key.referenced).map(|(column, referenced)| {
            format!("c.{} = k.{}", escape_identifier(column), escape_identifier(referenced))
        });
    format!(
        "SELECT pg_catalog.concat_ws(', ', {}) FROM pg_catalog.json_populate_recordset(NULL::{}, {}) k \
         WHERE EXISTS (SELECT FROM {} c WHERE {}) LIMIT 1",
        texts.collect::<Vec<_>>().join(", "),
        qualified(parent),
        quoted_value(keys),
        qualified(&referring.table),
        same.collect::<Vec<_>>().join(" AND ")
    )
}

/// Returns a table's name, as catalogs list it, with its schema as SQL.
fn qualified(name: &str) -> String {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    format!("{}.{}", escape_identifier(schema), escape_identifier(table))
}

fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
