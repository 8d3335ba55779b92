//! Statements that cannot be one transaction over the shards: home says of each shard how far it is, before the first
//! one is touched, so that whoever comes next can go on where they stopped.

use deadpool_postgres::{ClientWrapper, Object};
use serde::Serialize;

use super::error::Error;
use super::handle::Outbox;
use crate::types::ShardId;

/// Finished statements that stay for operators to see; older ones are forgotten when one begins.
const KEPT: i64 = 100;
/// First half of the advisory lock that a run holds on home, "shdd" in ASCII; the other is a hash of its statement.
const LOCK: i32 = 0x7368_6464;
/// Rows that one answer has at most.
const ROWS_MAX: i64 = 10_000;

/// How far one shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardRunState {
    /// Not touched.
    Pending,
    /// Begun; whether it is done nobody wrote down.
    Running,
    /// Done.
    Done,
    /// It failed.
    Failed,
}

impl ShardRunState {
    /// Returns the word in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "DONE" => Self::Done,
            "RUNNING" => Self::Running,
            "FAILED" => Self::Failed,
            _ => Self::Pending,
        }
    }
}

/// A statement that runs shard by shard. Its connection to home holds a lock until it is dropped: nobody else runs it.
pub struct ShardRun {
    client: ClientWrapper,
    home: String,
    id: i64,
    resumed: bool,
    shards: Vec<(String, ShardRunState, Vec<String>)>,
}

/// One shard of a statement, as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct DdlRow {
    /// The statement's number.
    pub id: i64,
    /// The shard.
    pub shard: String,
    /// `PENDING`, `RUNNING`, `DONE` or `FAILED`.
    pub state: String,
    /// The statement.
    pub statement: String,
    /// The last error's SQLSTATE.
    pub sqlstate: Option<String>,
    /// The last error.
    pub error: Option<String>,
    /// Invalid indexes that it left; they are dropped when it is run again.
    pub leftover: Vec<String>,
    /// The role that runs it.
    pub user: String,
    /// The proxy that began it.
    pub proxy: String,
    /// When it began, ISO 8601.
    pub started_at: String,
    /// When this was written, ISO 8601.
    pub updated_at: String,
}

const BEGIN: &str = "INSERT INTO shardloom.ddl (id, shard, statement, username, proxy, state) \
     SELECT $1, shard, $3, $4, $5, 'PENDING' FROM unnest($2::text[]) shard ON CONFLICT DO NOTHING";

const UNFINISHED: &str = "SELECT id, shard, state, leftover FROM shardloom.ddl WHERE id = (SELECT max(id) \
     FROM shardloom.ddl WHERE statement = $1 AND username = $2 AND state <> 'DONE')";

const PRUNE: &str = "DELETE FROM shardloom.ddl WHERE id IN (SELECT id FROM shardloom.ddl GROUP BY id \
     HAVING bool_and(state = 'DONE') ORDER BY id DESC OFFSET $1)";

const MARK: &str = "UPDATE shardloom.ddl SET state = $3, sqlstate = $4, error = $5, leftover = $6, \
     updated_at = clock_timestamp() WHERE id = $1 AND shard = $2";

const LIST: &str = "SELECT id, shard, state, statement, sqlstate, error, leftover, username, proxy, \
     to_char(started_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), to_char(updated_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') \
     FROM shardloom.ddl ORDER BY id DESC, shard LIMIT $1";

impl Outbox {
    /// Writes down that `statement` is to run on each of `shards` as `user`, or finds the run of the same statement and
    /// user that is not finished. `None` if somebody runs it now.
    ///
    /// # Errors
    /// When home does not answer: then nothing may be touched.
    pub async fn begin_shard_run(
        &self,
        home: ShardId,
        id: i64,
        statement: &str,
        user: &str,
        shards: &[String],
    ) -> Result<Option<ShardRun>, Error> {
        let at = self.store.at(home);
        // Taken out of the pool: the lock goes with the connection, however this ends.
        let client = Object::take(self.store.connect(home).await?);
        let locked = client.query_one("SELECT pg_try_advisory_lock($1, hashtext($2))", &[&LOCK, &statement]).await;
        if !locked.map_err(&at)?.get::<_, bool>(0) {
            return Ok(None);
        }
        let rows = client.query(UNFINISHED, &[&statement, &user]).await.map_err(&at)?;
        let resumed = rows.first().map(|row| row.get::<_, i64>(0));
        let id = resumed.unwrap_or(id);
        let proxy = &self.settings.proxy;
        client.execute(BEGIN, &[&id, &shards, &statement, &user, proxy]).await.map_err(&at)?;
        client.execute(PRUNE, &[&KEPT]).await.map_err(&at)?;
        let mut known: Vec<(String, ShardRunState, Vec<String>)> =
            rows.iter().map(|row| (row.get(1), ShardRunState::named(row.get(2)), row.get(3))).collect();
        for shard in
            shards.iter().filter(|shard| resumed.is_none() || !rows.iter().any(|row| row.get::<_, &str>(1) == **shard))
        {
            known.push((shard.clone(), ShardRunState::Pending, Vec::new()));
        }
        let home = self.store.name(home).to_owned();
        Ok(Some(ShardRun { client, home, id, resumed: resumed.is_some(), shards: known }))
    }

    /// Lists the statements that ran shard by shard, the newest first.
    ///
    /// # Errors
    /// When home does not answer.
    pub async fn shard_runs(&self, home: ShardId) -> Result<Vec<DdlRow>, Error> {
        let client = self.store.connect(home).await?;
        let rows = client.query(LIST, &[&ROWS_MAX]).await.map_err(self.store.at(home))?;
        let row = |row: &tokio_postgres::Row| DdlRow {
            id: row.get(0),
            shard: row.get(1),
            state: row.get(2),
            statement: row.get(3),
            sqlstate: row.get(4),
            error: row.get(5),
            leftover: row.get(6),
            user: row.get(7),
            proxy: row.get(8),
            started_at: row.get(9),
            updated_at: row.get(10),
        };
        Ok(rows.iter().map(row).collect())
    }

    /// Forgets a statement that nobody will finish; returns how many shards it had.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a number that home does not know.
    pub async fn forget_shard_run(&self, home: ShardId, id: i64, reason: &str, actor: &str) -> Result<u64, Error> {
        let client = self.store.connect(home).await?;
        let gone = client.execute("DELETE FROM shardloom.ddl WHERE id = $1", &[&id]).await;
        let gone = gone.map_err(self.store.at(home))?;
        if gone == 0 {
            return Err(Error::Unknown(format!("there is no statement {id} that ran shard by shard")));
        }
        self.audit(home, actor, "forget ddl", &id.to_string(), "", "", reason).await?;
        Ok(gone)
    }
}

impl ShardRun {
    /// Returns the statement's number.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Tells whether an earlier run goes on.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Lists the shards with their states and the invalid indexes that were left there.
    pub fn shards(&self) -> &[(String, ShardRunState, Vec<String>)] {
        &self.shards
    }

    /// Returns how far a shard is.
    pub fn state(&self, shard: &str) -> ShardRunState {
        self.shards.iter().find(|(name, ..)| name == shard).map_or(ShardRunState::Pending, |(_, state, _)| *state)
    }

    /// Returns the invalid indexes that an earlier attempt left.
    pub fn leftover(&self, shard: &str) -> Vec<String> {
        self.shards.iter().find(|(name, ..)| name == shard).map(|(.., left)| left.clone()).unwrap_or_default()
    }

    /// Writes down how far a shard is; of a failure its SQLSTATE, its message and what it left.
    ///
    /// # Errors
    /// When home does not answer.
    pub async fn mark(
        &mut self,
        shard: &str,
        state: ShardRunState,
        error: Option<(&str, &str)>,
        leftover: &[String],
    ) -> Result<(), Error> {
        let (sqlstate, message) = error.unzip();
        let left = leftover.to_vec();
        self.client
            .execute(MARK, &[&self.id, &shard, &state.name(), &sqlstate, &message, &left])
            .await
            .map_err(|source| Error::Shard { shard: self.home.clone(), source })?;
        if let Some(known) = self.shards.iter_mut().find(|(name, ..)| name == shard) {
            (known.1, known.2) = (state, left);
        }
        Ok(())
    }
}
