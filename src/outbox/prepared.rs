//! Transactions that are prepared and nobody ended: found by one look per target for all homes, decided by the home's relay.

use std::sync::{Mutex, PoisonError};

use super::error::Error;
use super::fault::{self, FaultPoint};
use super::handle::{Fence, Outbox, Resolution};
use super::ledger::{GID_PREFIX, Gid};
use super::literal::literal;
use super::marks::Verdict;
use super::metrics::OutboxMetrics;
use super::store::query_prepared;
use crate::types::{ShardId, ShardSet};

/// What is prepared in the target's database, and whether that is long ago.
const PREPARED: &str = "SELECT gid, prepared < clock_timestamp() - make_interval(secs => $2) FROM pg_prepared_xacts \
     WHERE database = current_database() AND starts_with(gid, $1) ORDER BY random()";

/// For each home the targets where something of it is prepared and no relay has looked yet.
#[derive(Debug)]
pub(super) struct PreparedSeen(Vec<Mutex<ShardSet>>);

impl PreparedSeen {
    /// Nothing is seen.
    pub fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| Mutex::default()).collect())
    }

    /// Returns what was seen of `home` since the last call.
    pub fn take(&self, home: ShardId) -> ShardSet {
        std::mem::take(&mut *self.0[home.index()].lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, home: ShardId, target: ShardId) {
        self.0[home.index()].lock().unwrap_or_else(PoisonError::into_inner).insert(target);
    }
}

impl Outbox {
    /// Looks once per `poll_max` what is prepared on `target`, and wakes the relays of those homes; never ends.
    ///
    /// One look for all homes: by each home for itself an idle proxy would ask as often as it has pairs of shards.
    pub(super) async fn watch_prepared(&self, target: ShardId) {
        let bounds = &self.settings.bounds;
        let mut failures = 0;
        loop {
            let pause = match self.store.within(target, bounds.home_timeout, self.look_for_prepared(target)).await {
                Ok(()) => {
                    failures = 0;
                    bounds.poll_max
                }
                Err(error) => {
                    tracing::debug!(target = self.store.name(target), %error, "what is prepared cannot be seen");
                    failures = (failures + 1).min(16);
                    self.backoff(failures + 4).min(bounds.probe_max).max(bounds.poll_max)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_for_prepared(&self, target: ShardId) -> Result<(), Error> {
        let grace = self.settings.bounds.foreign_grace.as_secs_f64();
        let client = self.store.connect(target).await?;
        let rows = query_prepared(&client, PREPARED, &[&GID_PREFIX, &grace]).await.map_err(self.store.at(target))?;
        for row in &rows {
            let home = Gid::parse(row.get(0)).and_then(|gid| self.store.id(&gid.home));
            if let Some(home) = home.filter(|home| *home != target) {
                self.prepared.note(home, target);
                self.notify(home);
            }
        }
        Ok(())
    }

    /// Decides the prepared transactions on `target` whose home this relay owns: home's ledger row, or the fence.
    ///
    /// Those of this process in flight, and young ones of other runs, are left alone.
    pub(super) async fn decide_prepared(&self, home: ShardId, target: ShardId) -> Result<(), Error> {
        let (name, grace) = (self.store.name(home), self.settings.bounds.foreign_grace.as_secs_f64());
        let client = self.store.connect(target).await?;
        let rows = query_prepared(&client, PREPARED, &[&GID_PREFIX, &grace]).await.map_err(self.store.at(target))?;
        drop(client);
        let mut failed = None;
        for row in rows {
            let text: String = row.get(0);
            let Some(gid) = Gid::parse(&text).filter(|gid| gid.home == name) else { continue };
            // One that cannot be decided keeps none of the others waiting.
            if let Err(error) = self.decide_one(home, target, &text, &gid, row.get(1)).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn decide_one(
        &self,
        home: ShardId,
        target: ShardId,
        text: &str,
        gid: &Gid,
        is_old: bool,
    ) -> Result<(), Error> {
        let is_mine = gid.epoch == self.epoch;
        let is_left_over = is_mine || is_old || self.committed_in_earlier_run(home, gid.txid).await?;
        if self.flights.is_flying(gid.txid) || !is_left_over {
            return Ok(());
        }
        let resolution = self.resolve_once(gid.txid, home, Fence::AtHome).await?;
        let verb = match resolution {
            Resolution::Committed => "COMMIT",
            Resolution::Aborted => "ROLLBACK",
            Resolution::Unknown => return Ok(()),
        };
        fault::reached(FaultPoint::BeforePreparedEnds);
        let client = self.store.connect(target).await?;
        client.batch_execute(&format!("{verb} PREPARED {}", literal(text))).await.map_err(self.store.at(target))?;
        drop(client);
        fault::reached(FaultPoint::AfterPreparedEnds);
        OutboxMetrics::add(&self.metrics().prepared_decided, 1);
        tracing::info!(txid = gid.txid, target = self.store.name(target), verb, "prepared transaction decided");
        match resolution {
            Resolution::Committed => self.mark_prepared(home, target, gid.txid).await,
            Resolution::Aborted | Resolution::Unknown => Ok(()),
        }
    }

    /// Tells whether an earlier run of this proxy committed `txid` on home: nobody else is going to decide it.
    async fn committed_in_earlier_run(&self, home: ShardId, txid: i64) -> Result<bool, Error> {
        let client = self.store.connect(home).await?;
        let known = "SELECT FROM shardloom.ledger WHERE txid = $1 AND proxy = $2 AND state <> 'ABORTED'";
        let row = client.query_opt(known, &[&txid, &self.settings.proxy]).await.map_err(self.store.at(home))?;
        Ok(row.is_some())
    }

    async fn mark_prepared(&self, home: ShardId, target: ShardId, txid: i64) -> Result<(), Error> {
        let client = self.store.connect(home).await?;
        let row = client
            .query_opt(
                "SELECT coalesce((SELECT (e.value ->> 'expected_rows')::bigint FROM json_array_elements(payload) e (value) \
                 WHERE e.value ->> 'shard' = $2), 0) FROM shardloom.ledger WHERE txid = $1 AND NOT $2 = ANY (copies)",
                &[&txid, &self.store.name(target)],
            )
            .await
            .map_err(self.store.at(home))?;
        drop(client);
        match row {
            Some(row) => self.write_verdicts(home, &[Verdict::applied(txid, target, row.get(0), None)]).await,
            None => Ok(()),
        }
    }
}
