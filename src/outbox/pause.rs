//! Replay to a shard stands still at an operator's word: what is due there waits on its homes, in order, until it may
//! go on. Each home says so for its own lanes, so that every proxy sees it, and the next start too.

use serde::Serialize;

use super::error::Error;
use super::handle::Outbox;
use super::store::query_prepared;
use crate::types::ShardId;

/// A lane that stands still.
#[derive(Debug, Clone, Serialize)]
pub struct PausedRow {
    /// The shard that gets nothing replayed.
    pub target: String,
    /// The home whose lane stands still.
    pub home: String,
    /// Since when, ISO 8601.
    pub since: String,
    /// Who said so.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What came of the wish on one home.
#[derive(Debug, Clone, Serialize)]
pub struct LaneChange {
    /// The home whose lane is meant.
    pub home: String,
    /// `paused`, `resumed`, `unchanged` where it was so already, or `away`.
    pub state: &'static str,
    /// Why the home could not be told.
    pub error: Option<String>,
}

const PAUSE: &str = "INSERT INTO shardloom.paused_target (target, actor, reason) VALUES ($1, $2, $3) \
     ON CONFLICT (target) DO NOTHING";

const RESUME: &str = "DELETE FROM shardloom.paused_target WHERE target = $1";

const AUDITED: &str = "INSERT INTO shardloom.audit (actor, verb, subject, before, after, reason) \
     VALUES ($1, $2, $3, $4, $5, $6)";

const PAUSED: &str = "SELECT target, to_char(since, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), actor, reason \
     FROM shardloom.paused_target ORDER BY target";

const IS_PAUSED: &str = "SELECT FROM shardloom.paused_target WHERE target = $1";

impl Outbox {
    /// Tells whether a lane stands still on an operator's word.
    pub(super) async fn is_paused(&self, home: ShardId, target: ShardId) -> Result<bool, Error> {
        let client = self.store.connect(home).await?;
        let rows =
            query_prepared(&client, IS_PAUSED, &[&self.store.name(target)]).await.map_err(self.store.at(home))?;
        Ok(!rows.is_empty())
    }

    /// Returns the lanes that stand still, of all homes that can be reached.
    pub async fn paused_targets(&self) -> Vec<PausedRow> {
        let mut rows = Vec::new();
        for home in self.store.shards() {
            match self.query(home, PAUSED, &[]).await {
                Ok(found) => rows.extend(found.iter().map(|row| PausedRow {
                    target: row.get(0),
                    home: self.store.name(home).to_owned(),
                    since: row.get(1),
                    actor: row.get(2),
                    reason: row.get(3),
                })),
                Err(error) => tracing::debug!(%error, "paused targets not read"),
            }
        }
        rows
    }

    /// Lets nothing more be replayed to `target` (`pause`), after a batch under way is finished, or lets it go on.
    ///
    /// # Errors
    /// [`Error::BadRecord`] without a reason. A home that is away stands in the answer.
    pub async fn change_lanes(
        &self,
        target: ShardId,
        pause: bool,
        reason: &str,
        actor: &str,
    ) -> Result<Vec<LaneChange>, Error> {
        if reason.trim().is_empty() {
            return Err(Error::BadRecord(format!("{} needs a reason", verb(pause))));
        }
        let mut changes = Vec::new();
        for home in self.store.shards().filter(|home| *home != target) {
            let (state, error) = match self.change_lane(home, target, pause, reason, actor).await {
                Ok(true) if pause => ("paused", None),
                Ok(true) => ("resumed", None),
                Ok(false) => ("unchanged", None),
                Err(error) => ("away", Some(error.to_string())),
            };
            let (from, to) = (self.store.name(home), self.store.name(target));
            tracing::warn!(home = from, target = to, state, actor, "an operator changes a lane");
            changes.push(LaneChange { home: self.store.name(home).to_owned(), state, error });
            self.flights.nudge(home);
        }
        Ok(changes)
    }

    /// Tells whether anything was changed.
    async fn change_lane(
        &self,
        home: ShardId,
        target: ShardId,
        pause: bool,
        reason: &str,
        actor: &str,
    ) -> Result<bool, Error> {
        let at = self.store.at(home);
        let name = self.store.name(target);
        let mut client = self.store.connect(home).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        let changed = match pause {
            true => transaction.execute(PAUSE, &[&name, &actor, &reason]).await,
            false => transaction.execute(RESUME, &[&name]).await,
        };
        if changed.map_err(&at)? == 0 {
            return Ok(false);
        }
        let (before, after) = if pause { ("running", "paused") } else { ("paused", "running") };
        let subject = format!("replay to {name}");
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&actor, &verb(pause), &subject, &before, &after, &reason];
        transaction.execute(AUDITED, &row).await.map_err(&at)?;
        transaction.commit().await.map_err(&at)?;
        Ok(true)
    }
}

fn verb(pause: bool) -> &'static str {
    if pause { "pause" } else { "resume" }
}
