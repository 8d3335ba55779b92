//! The lease of a home's relay, by the home database's clock, and the fence on each target.

use super::error::Error;
use super::handle::Outbox;
use super::store::query_prepared;
use crate::types::ShardId;

/// The lease row of the relay.
const RELAY: &str = "relay";

/// Takes or keeps the lease, unless another owner's runs.
const HOLD: &str = "INSERT INTO shardloom.lease AS l (name, owner, epoch, expires_at) \
     VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3)) ON CONFLICT (name) DO UPDATE SET \
     owner = excluded.owner, expires_at = excluded.expires_at, \
     epoch = CASE WHEN l.owner = excluded.owner THEN l.epoch ELSE l.epoch + 1 END \
     WHERE l.owner = excluded.owner OR l.expires_at < clock_timestamp() \
     OR ($4 AND starts_with(l.owner, $5)) RETURNING l.epoch";

impl Outbox {
    /// Takes or keeps the relay's lease on `home`; returns its epoch, `None` while another owner's lease runs.
    ///
    /// `inherit` also takes it from an earlier run of this proxy, which is dead: it held the port that this one has.
    /// Should it live after all, the fence on the targets refuses it from now on.
    pub(super) async fn hold_lease(&self, home: ShardId, inherit: bool) -> Result<Option<i64>, Error> {
        let client = self.store.connect(home).await?;
        let seconds = self.settings.bounds.relay_lease.as_secs_f64();
        let earlier = format!("{}/", self.settings.proxy);
        let rows = query_prepared(&client, HOLD, &[&RELAY, &self.owner(), &seconds, &inherit, &earlier])
            .await
            .map_err(self.store.at(home))?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Gives the lease back, so that another proxy need not wait for its end.
    pub(super) async fn release_lease(&self, home: ShardId) -> Result<(), Error> {
        let client = self.store.connect(home).await?;
        client
            .execute(
                "UPDATE shardloom.lease SET expires_at = clock_timestamp() WHERE name = $1 AND owner = $2",
                &[&RELAY, &self.owner()],
            )
            .await
            .map_err(self.store.at(home))?;
        Ok(())
    }

    /// Raises the fence of `home` on `target` to `epoch`: relays with a lower one are refused from now on.
    pub(super) async fn raise_fence(&self, home: ShardId, target: ShardId, epoch: i64) -> Result<(), Error> {
        let client = self.store.connect(target).await?;
        let name = self.store.name(home);
        let raised = client
            .execute(
                "INSERT INTO shardloom.lane (home, epoch) VALUES ($1, $2) ON CONFLICT (home) DO UPDATE SET \
                 epoch = excluded.epoch, updated_at = clock_timestamp() WHERE shardloom.lane.epoch <= excluded.epoch",
                &[&name, &epoch],
            )
            .await
            .map_err(self.store.at(target))?;
        if raised == 0 { Err(Error::Fenced { home: name.to_owned() }) } else { Ok(()) }
    }
}
