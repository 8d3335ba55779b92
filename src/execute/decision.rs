//! The decision on home's connection, in one write: the ledger row, by a statement that is prepared once per connection,
//! and COMMIT. What the row says.

use std::time::Duration;

use crate::backend::{BackendError, Server, SimpleReply};
use crate::outbox::fault::{self, FaultPoint};
use crate::outbox::{Environment, LEDGER_INSERT, LedgerEntry, LedgerTarget, ledger_values};
use crate::types::{ShardId, WriteMode};
use crate::wire::frontend::{self, BindValue, Target};

use super::link::Link;

/// The number of the ledger's statement among those of a connection; clients' count from 1.
const NUMBER: u64 = 0;

/// Its name there.
const NAME: &str = "s0";

/// Records `entry`, takes the idempotency key with the statement `key`, and commits; returns the answer to COMMIT with all
/// that was said on the way.
///
/// A home that is silent for `most` counts as lost. Fails with the first error: a COMMIT behind it rolls back. One that
/// ended the session leaves the server out of step, and may have come after the commit.
pub(super) async fn decide(
    server: &mut Server,
    entry: &LedgerEntry,
    key: Option<&str>,
    most: Duration,
) -> Result<SimpleReply, BackendError> {
    // Ahead of what may fail: what stands behind an error is skipped.
    let is_new = make_room(server);
    if !entry.copies.is_empty() {
        // Deferred triggers fire before the row images are counted; on other members they have been fired already.
        write_unnamed(server, "SET CONSTRAINTS ALL IMMEDIATE");
    }
    if let Some(key) = key {
        write_unnamed(server, key);
    }
    write_row(server, entry, is_new);
    frontend::write_sync(server.out());
    server.put_query("COMMIT")?;
    if fault::is_chosen(FaultPoint::HomeCommitSent) {
        server.flush().await?;
        fault::reached(FaultPoint::HomeCommitSent);
    }
    let mut said = match server.query_reply_within(most).await {
        Ok(recorded) => recorded.asides,
        Err(error) if error.server_error().is_some() => {
            server.statements.remove(NUMBER);
            // COMMIT's answer: it rolled back. If none comes, the server is out of step, and the caller sees that.
            let _ = server.query_reply_within(most).await;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let mut reply = server.query_reply_within(most).await?;
    said.unsplit(reply.asides);
    reply.asides = said;
    Ok(reply)
}

fn write_unnamed(server: &mut Server, sql: &str) {
    frontend::write_parse(server.out(), "", sql, &[]);
    frontend::write_bind(server.out(), "", "", &[], &[]);
    frontend::write_execute(server.out(), "", 0);
}

/// Closes what has to make room for the ledger's statement; tells whether that is still to be prepared.
fn make_room(server: &mut Server) -> bool {
    if server.statements.contains(NUMBER) {
        return false;
    }
    if let Some(evicted) = server.statements.insert(NUMBER) {
        frontend::write_close(server.out(), Target::Statement, &format!("s{evicted}"));
    }
    // An earlier one may be there still, after an error that told nothing of it.
    frontend::write_close(server.out(), Target::Statement, NAME);
    true
}

fn write_row(server: &mut Server, entry: &LedgerEntry, is_new: bool) {
    if is_new {
        frontend::write_parse(server.out(), NAME, LEDGER_INSERT, &[]);
    }
    let values = ledger_values(entry);
    let bound: Vec<BindValue<'_>> =
        values.iter().map(|value| BindValue { format: 0, value: value.as_ref().map(|text| text.as_bytes()) }).collect();
    frontend::write_bind(server.out(), "", NAME, &bound, &[]);
    frontend::write_execute(server.out(), "", 0);
}

impl Link {
    /// Makes the ledger row of the open transaction.
    pub(super) fn ledger_entry(&self, txid: i64, home: ShardId, mode: WriteMode) -> LedgerEntry {
        let rules = &self.snapshot.rules;
        let transaction = &self.transaction;
        let targets = transaction.members.iter().filter(|member| member.wrote && member.server.shard() != home);
        let copies = rules.shards.iter().filter(|shard| transaction.reference && shard.name != rules.shard(home).name);
        LedgerEntry {
            txid,
            home: self.shard_name(home),
            mode,
            kind: if transaction.reference { "reference".to_owned() } else { "write".to_owned() },
            copies: copies.map(|shard| shard.name.clone()).collect(),
            targets: targets
                .map(|member| {
                    let expected = member.commands.iter().map(|command| command.expected_rows).sum();
                    LedgerTarget::new(self.shard_name(member.server.shard()), expected, member.commands.clone())
                })
                .chain(transaction.deferred.iter().cloned())
                .collect(),
            home_undo: transaction.home_undo.clone(),
            environment: self.environment(),
            home_rows: self.home_rows(home),
            proxy: self.worker.proxy.name.clone(),
            user: self.identity.user.clone(),
            rule_version: rules.version.clone(),
            on_dead: transaction.on_dead,
            business_key: None,
            idempotency_key: transaction.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
            trace_id: None,
        }
    }

    fn home_rows(&self, home: ShardId) -> i64 {
        let members = self.transaction.members.iter().filter(|member| member.server.shard() == home);
        members.flat_map(|member| &member.commands).map(|command| command.expected_rows).sum()
    }

    fn environment(&self) -> Environment {
        let value = |name: &str| self.settings.get(name).map(super::settings::plain_value);
        Environment {
            time_zone: value("timezone"),
            date_style: value("datestyle"),
            interval_style: value("intervalstyle"),
            search_path: value("search_path"),
            standard_conforming_strings: value("standard_conforming_strings"),
        }
    }
}
