//! The scanner: what a dead proxy, a lost answer or a write around the proxy left behind.

use std::collections::HashSet;

use deadpool_postgres::GenericClient;
use tokio_postgres::types::ToSql;

use super::compensate::COMPENSATE;
use super::error::Error;
use super::handle::{Fence, Outbox, Resolution};
use super::item::ORPHAN;
use super::metrics::OutboxMetrics;
use super::status::REMEMBERED;
use crate::types::ShardId;

/// Rows that one retention step deletes, so that it holds no lock for long.
const RETENTION_BATCH: i64 = 5_000;

/// Batches of one retention run: a minute of more writes than one home takes.
const RETENTION_BATCHES_MAX: usize = 100;

/// Own transactions looked up at a time.
const FOLLOW_BATCH: usize = 10_000;

/// Orphans captured at a time.
pub(super) const ORPHAN_BATCH: i64 = 500;

/// A write of a reference table that bypassed the proxy gets a ledger row; its txid is home's, negated, so that it
/// never meets a snowflake. It is delivered by copying home's rows, because its place in the order is not known. Takes an
/// xid before it draws a number: the relay's horizon goes by that.
pub(super) const CAPTURE_ORPHANS: &str = "INSERT INTO shardloom.ledger (txid, xid, state, mode, kind, targets, copies, captured_rows, \
     proxy, username, on_dead, created_at, commit_seq) \
     SELECT -(o.xid::text::bigint), o.xid, \
     CASE WHEN pg_current_xact_id() IS NOT NULL THEN 'OPEN' END, 'eventual', $1, $2, $2, o.rows, $3, 'unknown', 'park_key', o.at, \
     nextval('shardloom.commit_seq') FROM (SELECT xid, sum(row_count)::bigint AS rows, min(created_at) AS at \
     FROM shardloom.outbox o WHERE NOT EXISTS (SELECT FROM shardloom.ledger l WHERE l.xid = o.xid AND l.copies <> '{}') \
     GROUP BY xid ORDER BY min(seq) LIMIT $4) o ON CONFLICT DO NOTHING";

/// Finished ledger rows, with what their targets said.
const OLD_LEDGER: &str = "WITH old AS (DELETE FROM shardloom.ledger WHERE txid IN (SELECT txid FROM shardloom.ledger \
     WHERE (state = 'DONE' AND coalesce(finished_at, created_at) < clock_timestamp() - make_interval(secs => $1)) \
     OR (state = 'ABORTED' AND created_at < clock_timestamp() - make_interval(secs => $2)) LIMIT $3) \
     RETURNING txid), gone AS (DELETE FROM shardloom.ledger_target t USING old WHERE t.txid = old.txid) \
     SELECT count(*) FROM old";

/// What was taken back, of transactions that are forgotten.
const OLD_COMPENSATIONS: &str = "DELETE FROM shardloom.compensation c WHERE updated_at < clock_timestamp() - \
     make_interval(secs => $1) AND NOT EXISTS (SELECT FROM shardloom.ledger l WHERE l.txid = c.txid)";

/// Idempotency keys.
const OLD_KEYS: &str = "WITH old AS (DELETE FROM shardloom.idempotency WHERE ctid IN (SELECT ctid FROM shardloom.idempotency \
     WHERE created_at < clock_timestamp() - make_interval(secs => $1) LIMIT $2) RETURNING 1) SELECT count(*) FROM old";

/// The oldest transaction whose inbox rows somebody may ask for: a redo, or what takes one back.
const OLDEST_NEEDED: &str = "SELECT min(CASE WHEN l.kind = $1 THEN (SELECT min((e.value -> 'compensates' ->> 'txid')::bigint) \
     FROM json_array_elements(l.payload) e (value)) ELSE l.txid END) FROM shardloom.ledger l \
     WHERE l.state IN ('OPEN', 'ATTENTION')";

/// Inbox rows of one home.
const OLD_INBOX: &str = "WITH old AS (DELETE FROM shardloom.inbox WHERE ctid IN (SELECT ctid FROM shardloom.inbox \
     WHERE home = $1 AND txid < $2 AND applied_at < clock_timestamp() - make_interval(secs => $3) LIMIT $4) RETURNING 1) \
     SELECT count(*) FROM old";

impl Outbox {
    /// Gives ledger rows to what was captured on `home` without one; returns how many.
    pub(super) async fn capture_orphans(&self, home: ShardId) -> Result<u64, Error> {
        let copies: Vec<&str> = self.store.shards().filter(|s| *s != home).map(|s| self.store.name(s)).collect();
        let client = self.store.connect(home).await?;
        let found = client
            .execute(CAPTURE_ORPHANS, &[&ORPHAN, &copies, &self.settings.proxy, &ORPHAN_BATCH])
            .await
            .map_err(self.store.at(home))?;
        if found > 0 {
            OutboxMetrics::add(&self.metrics().orphans, found);
            tracing::info!(home = self.store.name(home), found, "writes around the proxy found, their rows are copied");
        }
        Ok(found)
    }

    /// Forgets what is finished: ledger rows past their grace, inbox rows that no redo can want any more.
    pub(super) async fn retain(&self, home: ShardId) -> Result<(), Error> {
        let at = self.store.at(home);
        let bounds = &self.settings.bounds;
        let client = self.store.connect(home).await?;
        let (ledger, inbox, key) = (bounds.ledger_grace, bounds.inbox_grace, bounds.key_grace);
        delete_old(&client, OLD_LEDGER, &[&ledger.as_secs_f64(), &inbox.as_secs_f64(), &RETENTION_BATCH])
            .await
            .map_err(&at)?;
        delete_old(&client, OLD_KEYS, &[&key.as_secs_f64(), &RETENTION_BATCH]).await.map_err(&at)?;
        let old_barriers = "DELETE FROM shardloom.barrier WHERE measured_at < clock_timestamp() - interval '1 hour'";
        client.execute(old_barriers, &[]).await.map_err(&at)?;
        client.execute(OLD_COMPENSATIONS, &[&inbox.as_secs_f64()]).await.map_err(&at)?;
        let row = client.query_one(OLDEST_NEEDED, &[&COMPENSATE]).await.map_err(&at)?;
        let oldest: i64 = row.get::<_, Option<i64>>(0).unwrap_or(i64::MAX);
        drop(client);
        for target in self.store.shards().filter(|target| *target != home) {
            if let Err(error) = self.retain_inbox(home, target, oldest).await {
                tracing::debug!(target = self.store.name(target), %error, "inbox not cleaned");
            }
        }
        Ok(())
    }

    async fn retain_inbox(&self, home: ShardId, target: ShardId, oldest: i64) -> Result<(), Error> {
        let client = self.store.connect(target).await?;
        let grace = self.settings.bounds.inbox_grace.as_secs_f64();
        delete_old(&client, OLD_INBOX, &[&self.store.name(home), &oldest, &grace, &RETENTION_BATCH])
            .await
            .map_err(self.store.at(target))
    }

    /// Learns from the ledger how far this process's own transactions are: another process may own the relay.
    pub(super) async fn follow(&self, home: ShardId) -> Result<(), Error> {
        let txids = self.flights.waiting(home, FOLLOW_BATCH);
        if txids.is_empty() {
            return Ok(());
        }
        let client = self.store.connect(home).await?;
        let rows = client
            .query(
                "SELECT l.txid, x.target FROM shardloom.ledger l CROSS JOIN unnest(l.targets) x (target) \
                 LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target WHERE l.txid = ANY ($1) \
                 AND l.state IN ('OPEN', 'ATTENTION') AND coalesce(t.state, 'PENDING') IN ('PENDING', 'PUBLISHED', 'RETRY')",
                &[&txids],
            )
            .await
            .map_err(self.store.at(home))?;
        let open: HashSet<(i64, ShardId)> =
            rows.iter().filter_map(|row| Some((row.get(0), self.store.id(row.get(1))?))).collect();
        for txid in txids {
            for target in self.flights.pending(txid).iter().filter(|target| !open.contains(&(txid, *target))) {
                self.flights.finished(txid, target);
            }
        }
        Ok(())
    }

    /// Resolves transactions whose client path ended without saying how: a fence, or the relay's redo.
    pub(super) async fn settle_doubtful(&self, home: ShardId) {
        let most = self.settings.bounds.home_timeout;
        let remembered = self.settings.bounds.ledger_grace.mul_f64(REMEMBERED);
        for (txid, since) in self.flights.take_doubtful(home) {
            if since.elapsed() > remembered {
                // It may have been committed, delivered and forgotten: a fence would say that it never was.
                tracing::warn!(txid, home = self.store.name(home), "nobody can tell any more what became of it");
                self.give_up(txid);
                continue;
            }
            match self.store.within(home, most, self.resolve_once(txid, home, Fence::AtHome)).await {
                Ok(Resolution::Aborted) => self.give_up(txid),
                Ok(Resolution::Committed) => {}
                Ok(Resolution::Unknown) | Err(_) => self.flights.return_doubtful(txid, home, since),
            }
        }
    }

    /// Waits for no target of a transaction any more.
    fn give_up(&self, txid: i64) {
        for target in self.store.shards() {
            self.flights.finished(txid, target);
        }
    }
}

/// Runs a statement that deletes at most [`RETENTION_BATCH`] rows and counts them, until there are no more.
async fn delete_old(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<(), tokio_postgres::Error> {
    for _ in 0..RETENTION_BATCHES_MAX {
        let deleted: i64 = client.query_one(sql, values).await?.get(0);
        if deleted < RETENTION_BATCH {
            break;
        }
    }
    Ok(())
}
