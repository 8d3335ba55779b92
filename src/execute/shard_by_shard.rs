//! What cannot be one transaction: VACUUM, CREATE INDEX CONCURRENTLY and the like, one shard after another.
//!
//! How far each shard is stands on home (`outbox::ShardRun`). The same statement of the same role goes on where an
//! earlier one stopped; what is done is not done again, and an invalid index that was left is dropped first.

use bytes::Bytes;
use postgres_protocol::escape::escape_identifier;

use crate::outbox::fault::{self, FaultPoint};
use crate::outbox::{Error, ShardRun, ShardRunState};
use crate::plan::Statement;
use crate::sql::{self, Ddl, DdlObject, DdlVerb, TableName, Utility};
use crate::types::{Refusal, ShardId, ShardSet, SqlState};
use crate::wire::backend::{self, ErrorFields};
use crate::wire::frame::HEADER_BYTES;

use super::call::Call;
use super::collect::{self, Collected};
use super::failure::Failure;
use super::link::Link;
use super::settings::quoted_value;

impl Link {
    /// Runs the statement on one shard after another; the first error stops it.
    pub(super) async fn shard_by_shard(
        &mut self,
        call: &Call,
        shards: ShardSet,
        statement: &Statement,
    ) -> Result<(), Failure> {
        let mut run = self.begin_run(call, shards).await?;
        let mut last = Collected::default();
        for shard in shards.iter() {
            let name = self.shard_name(shard);
            let done = run.as_ref().is_some_and(|run| run.state(&name) == ShardRunState::Done);
            if done && !self.is_undone(call, shard).await? {
                continue;
            }
            if !self.is_done_already(call, shard, run.as_ref()).await? {
                last = self.run_on_next(call, shard, statement, run.as_mut()).await?;
            }
            mark(run.as_mut(), &name, ShardRunState::Done).await?;
            fault::reached(FaultPoint::BetweenShards);
        }
        self.describe(call, None);
        for notice in &last.notices {
            self.client.output().extend_from_slice(notice);
        }
        self.warn_of_keys(call);
        let tag = if last.tag.is_empty() { tag_of(&call.text) } else { last.tag };
        backend::write_command_complete(self.client.output(), &tag);
        Ok(())
    }

    /// Writes down what is about to happen, or finds what is to go on.
    async fn begin_run(&mut self, call: &Call, shards: ShardSet) -> Result<Option<ShardRun>, Failure> {
        let names: Vec<String> = shards.iter().map(|shard| self.shard_name(shard)).collect();
        let (home, id) = (self.snapshot.rules.home, self.worker.proxy.next_txid()?);
        let text = call.text.trim().trim_end_matches(';').trim_end();
        let user = self.identity.shard_user.clone();
        let begun = self.worker.proxy.outbox.begin_shard_run(home, id, text, &user, &names).await;
        let run = begun.map_err(|error| not_kept(&error))?;
        if run.is_none() && matches!(sql::utility(&call.text), Some(Utility::Ddl(_))) {
            return Err(Refusal::new(
                SqlState::OBJECT_IN_USE,
                "the same statement runs through the proxy at this moment",
            )
            .with_hint("SHOW DDL on the console says how far it is.")
            .into());
        }
        let Some(mut run) = run else { return Ok(None) };
        if run.is_resumed() {
            self.tell_resumed(&run);
        }
        // What an unfinished DROP is not asked any more is gone there.
        let others: Vec<String> =
            run.shards().iter().map(|(name, ..)| name.clone()).filter(|name| !names.contains(name)).collect();
        for name in others {
            mark(Some(&mut run), &name, ShardRunState::Done).await?;
        }
        Ok(Some(run))
    }

    fn tell_resumed(&mut self, run: &ShardRun) {
        let message = format!("statement {} goes on: {}", run.id(), told(run));
        let fields = [(b'S', "NOTICE"), (b'V', "NOTICE"), (b'C', "00000"), (b'M', message.as_str())];
        backend::write_error_fields(self.client.output(), b'N', &fields);
    }

    /// Prepares a shard on which an earlier attempt began: invalid indexes of it are dropped. Tells whether all is there.
    async fn is_done_already(&mut self, call: &Call, shard: ShardId, run: Option<&ShardRun>) -> Result<bool, Failure> {
        let name = self.shard_name(shard);
        let Some(run) = run else { return Ok(false) };
        if run.state(&name) == ShardRunState::Pending {
            return Ok(false);
        }
        for index in run.leftover(&name) {
            self.ask(shard, &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
        }
        let Some(index) = created_index(&call.text) else { return Ok(false) };
        match self.is_valid(shard, &index).await? {
            Some(false) => {
                self.ask(shard, &format!("DROP INDEX CONCURRENTLY IF EXISTS {}", qualified(&index.0))).await?;
                Ok(false)
            }
            // The process ended between the shard's answer and the mark.
            Some(true) => Ok(run.state(&name) == ShardRunState::Running),
            None => Ok(false),
        }
    }

    /// Tells whether what an earlier attempt has done on a shard is not there any more: somebody has dropped the index that
    /// it created, or made anew the one that it dropped.
    async fn is_undone(&mut self, call: &Call, shard: ShardId) -> Result<bool, Failure> {
        if let Some(index) = created_index(&call.text) {
            return Ok(self.is_valid(shard, &index).await? != Some(true));
        }
        match sql::utility(&call.text) {
            Some(Utility::Ddl(ddl)) if ddl.verb == DdlVerb::Drop && ddl.object == DdlObject::Index => {
                let named = ddl.tables.iter().map(|index| quoted_value(&qualified(index)));
                let there = named.map(|name| format!("pg_catalog.to_regclass({name})")).collect::<Vec<_>>().join(", ");
                let question = format!("SELECT 1 WHERE coalesce({there}) IS NOT NULL");
                Ok(!there.is_empty() && !self.ask(shard, &question).await?.rows.is_empty())
            }
            _ => Ok(false),
        }
    }

    /// Tells whether an index is valid on a shard; `None` if the table has none of the name there.
    async fn is_valid(&mut self, shard: ShardId, index: &(TableName, TableName)) -> Result<Option<bool>, Failure> {
        let question = format!(
            "SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass({}) \
             AND i.indrelid = pg_catalog.to_regclass({})",
            quoted_value(&qualified(&index.0)),
            quoted_value(&qualified(&index.1))
        );
        let reply = self.ask(shard, &question).await?;
        let valid = reply.rows.first().and_then(|row| row.first()?.as_deref());
        Ok(valid.map(|valid| valid == b"t"))
    }

    async fn run_on_next(
        &mut self,
        call: &Call,
        shard: ShardId,
        statement: &Statement,
        run: Option<&mut ShardRun>,
    ) -> Result<Collected, Failure> {
        let name = self.shard_name(shard);
        let mut run = run;
        let before = self.invalid_indexes(call, shard).await?;
        mark(run.as_deref_mut(), &name, ShardRunState::Running).await?;
        let mut server = self.borrow(shard).await?;
        call.write(server.out(), statement);
        server.flush().await?;
        let reply = collect::from_server(&mut self.client, &mut server).await;
        self.give_back(server);
        let reply = reply?;
        let Some(frame) = reply.error.clone() else { return Ok(reply) };
        let Some(run) = run else { return Err(Failure::Shard { frame }) };
        let after = self.invalid_indexes(call, shard).await.unwrap_or_default();
        let left: Vec<String> = after.into_iter().filter(|index| !before.contains(index)).collect();
        let (state, message) = said(&frame);
        run.mark(&name, ShardRunState::Failed, Some((&state, &message)), &left)
            .await
            .map_err(|error| not_kept(&error))?;
        self.warn_unfinished(run, &name, &left);
        Err(Failure::Shard { frame })
    }

    /// Says ahead of the shard's error where the statement stands.
    fn warn_unfinished(&mut self, run: &ShardRun, shard: &str, left: &[String]) {
        let message = format!("statement {} failed on shard \"{shard}\": {}", run.id(), told(run));
        let indexes = if left.is_empty() {
            String::new()
        } else {
            format!(" Invalid there is {}; it is dropped first.", left.join(", "))
        };
        let hint = format!("Mend the cause and run the same statement again: it goes on where it stopped.{indexes}");
        backend::write_warning(self.client.output(), &Refusal::new(SqlState::WARNING, message).with_hint(hint));
    }

    /// Lists the invalid indexes of the tables that a concurrent statement concerns.
    async fn invalid_indexes(&mut self, call: &Call, shard: ShardId) -> Result<Vec<String>, Failure> {
        let Some(Utility::Ddl(Ddl { concurrently: true, tables, .. })) = sql::utility(&call.text) else {
            return Ok(Vec::new());
        };
        let named = tables.iter().map(|table| format!("pg_catalog.to_regclass({})", quoted_value(&qualified(table))));
        let named = named.collect::<Vec<_>>().join(", ");
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let question = format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND (i.indrelid IN ({named}) OR i.indrelid IN (SELECT o.indrelid \
             FROM pg_catalog.pg_index o WHERE o.indexrelid IN ({named})))"
        );
        let reply = self.ask(shard, &question).await?;
        let names = reply.rows.iter().filter_map(|row| row.first()?.as_deref());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }
}

async fn mark(run: Option<&mut ShardRun>, shard: &str, state: ShardRunState) -> Result<(), Failure> {
    let Some(run) = run else { return Ok(()) };
    run.mark(shard, state, None, &[]).await.map_err(|error| not_kept(&error).into())
}

fn not_kept(error: &Error) -> Refusal {
    Refusal::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("how far the statement is on each shard cannot be written on home: {error}"),
    )
    .with_hint("It goes on where it stopped when it is run again.")
}

/// Says of each shard how far it is.
fn told(run: &ShardRun) -> String {
    let shard = |(name, state, _): &(String, ShardRunState, Vec<String>)| match state {
        ShardRunState::Pending => format!("not begun on {name}"),
        ShardRunState::Running => format!("begun on {name}"),
        ShardRunState::Done => format!("done on {name}"),
        ShardRunState::Failed => format!("failed on {name}"),
    };
    run.shards().iter().map(shard).collect::<Vec<_>>().join(", ")
}

/// Returns SQLSTATE and message of an error.
fn said(frame: &Bytes) -> (String, String) {
    let fields = frame.get(HEADER_BYTES..).and_then(|body| ErrorFields::read(body).ok());
    let field = |code| fields.as_ref().and_then(|fields| fields.get(code)).unwrap_or("").to_owned();
    (field(b'C'), field(b'M'))
}

/// Returns the index that a CREATE INDEX names, in its table's schema, and the table.
fn created_index(text: &str) -> Option<(TableName, TableName)> {
    let Some(Utility::Ddl(ddl)) = sql::utility(text) else { return None };
    let table = ddl.tables.first()?.clone();
    if ddl.verb != DdlVerb::Create || ddl.object != DdlObject::Index {
        return None;
    }
    let name = sql::index_name(text)?;
    Some((TableName { schema: table.schema.clone(), name }, table))
}

pub(super) fn qualified(table: &TableName) -> String {
    let parts = table.schema.iter().chain([&table.name]);
    parts.map(|part| escape_identifier(part)).collect::<Vec<_>>().join(".")
}

/// Returns the command tag of a statement that had nothing to do on any shard: its first words.
fn tag_of(text: &str) -> String {
    let Some(Utility::Ddl(Ddl { verb, object: DdlObject::Index, .. })) = sql::utility(text) else {
        let first = sql::Scanner::new(text).next().map(|token| token.text(text).to_ascii_uppercase());
        return first.unwrap_or_default();
    };
    match verb {
        DdlVerb::Create => "CREATE INDEX",
        DdlVerb::Drop => "DROP INDEX",
        DdlVerb::Reindex => "REINDEX",
        DdlVerb::Alter
        | DdlVerb::Comment
        | DdlVerb::SecurityLabel
        | DdlVerb::Grant
        | DdlVerb::Revoke
        | DdlVerb::Cluster
        | DdlVerb::Refresh
        | DdlVerb::Other => "ALTER INDEX",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_index_lives_in_the_schema_of_its_table() {
        let found = |text: &str| created_index(text).map(|(index, table)| (qualified(&index), qualified(&table)));
        let named = found("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"I x\" ON ONLY audit.log (a)");
        assert_eq!(named, Some(("\"audit\".\"I x\"".to_owned(), "\"audit\".\"log\"".to_owned())));
        assert_eq!(found("create index concurrently i on t (a)"), Some(("\"i\"".to_owned(), "\"t\"".to_owned())));
        assert_eq!(found("create index concurrently on t (a)"), None);
        assert_eq!(found("drop index concurrently i"), None);
        assert_eq!(found("vacuum t"), None);
    }

    #[test]
    fn what_is_done_everywhere_has_its_own_tag() {
        assert_eq!(tag_of("create index concurrently i on t (a)"), "CREATE INDEX");
        assert_eq!(tag_of("drop index concurrently i"), "DROP INDEX");
        assert_eq!(tag_of("vacuum t"), "VACUUM");
    }
}
