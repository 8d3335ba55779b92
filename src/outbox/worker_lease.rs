//! Worker ids for the id generator, leased in home's database: holder, epoch, expiry by the database's clock, and the
//! highest time that the worker may stamp. Makes no ids.

use crate::snowflake::{BORROW_MS_MAX, WorkerPermit};
use std::sync::Arc;

use tokio::sync::watch;

use super::error::Error;
use super::handle::Outbox;
use super::metrics::OutboxMetrics;

/// Renewals per lease; two may fail.
const RENEWALS_PER_LEASE: u32 = 3;

/// Parts of the reserve after which it is extended.
const EXTENSIONS_PER_RESERVE: u32 = 3;

/// A worker id just leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedWorker {
    /// The worker id.
    pub worker: u16,
    /// The last millisecond (UNIX epoch) that may not be stamped, because the previous holder may have done so.
    pub floor_ms: i64,
    /// The lease's fencing epoch.
    pub epoch: i64,
}

/// Leases one worker id and keeps it.
#[derive(Debug)]
pub struct WorkerLease {
    outbox: Arc<Outbox>,
    worker_bits: Arc<watch::Sender<u8>>,
    wish: Option<u16>,
    permit: watch::Sender<Option<Arc<WorkerPermit>>>,
    held: Option<LeasedWorker>,
}

/// Takes a free or lapsed id, the wish first; the new holder's reserve begins after the old one's.
const TAKE: &str = "INSERT INTO shardloom.worker_lease AS w (worker, holder, epoch, expires_at, reserved_until) \
     SELECT c.worker, $1, 1, clock_timestamp() + make_interval(secs => $2), $3::bigint \
     FROM generate_series(0, $4::int - 1) c (worker) LEFT JOIN shardloom.worker_lease o ON o.worker = c.worker \
     WHERE (o.worker IS NULL OR o.expires_at < clock_timestamp()) AND ($5::int IS NULL OR c.worker = $5) \
     ORDER BY coalesce(o.reserved_until > $6::bigint + $7::bigint, false), o.worker IS NOT NULL, random() LIMIT 1 \
     ON CONFLICT (worker) DO UPDATE SET holder = excluded.holder, epoch = w.epoch + 1, expires_at = excluded.expires_at, \
     reserved_until = greatest(w.reserved_until + ($3::bigint - $6::bigint), excluded.reserved_until) \
     WHERE w.expires_at < clock_timestamp() RETURNING worker, epoch, reserved_until";

const KEEP: &str = "UPDATE shardloom.worker_lease SET expires_at = clock_timestamp() + make_interval(secs => $4), \
     reserved_until = greatest(reserved_until, $5::bigint) WHERE worker = $1 AND holder = $2 AND epoch = $3 \
     AND expires_at > clock_timestamp() RETURNING reserved_until";

const BETTER: &str = "SELECT EXISTS (SELECT FROM generate_series(0, $1::int - 1) c (worker) \
     LEFT JOIN shardloom.worker_lease o ON o.worker = c.worker \
     WHERE o.worker IS NULL OR o.expires_at < clock_timestamp() AND o.reserved_until <= $2::bigint)";

/// Tries to take an id while others take it first.
const TAKE_ATTEMPTS_MAX: u32 = 8;

impl WorkerLease {
    /// Prepares to lease an id of `0..2^worker_bits`; `wish` names one, and only that one.
    pub fn new(outbox: Arc<Outbox>, worker_bits: u8, wish: Option<u16>) -> Self {
        let worker_bits = Arc::new(watch::Sender::new(worker_bits));
        Self { outbox, worker_bits, wish, permit: watch::Sender::new(None), held: None }
    }

    /// Returns the width that ids must fit: of less, an id that does not fit any more is changed for one that does.
    pub fn worker_bits(&self) -> Arc<watch::Sender<u8>> {
        Arc::clone(&self.worker_bits)
    }

    /// Returns how many worker ids there are.
    fn count(&self) -> u32 {
        1 << (*self.worker_bits.borrow()).min(16)
    }

    /// Returns where permits appear: `None` before the first lease and after a lost one, another one after each lease.
    /// A permit in use is extended in place, and revoked when its lease is lost or given back.
    pub fn permits(&self) -> watch::Receiver<Option<Arc<WorkerPermit>>> {
        self.permit.subscribe()
    }

    fn revoke(&mut self) {
        if let Some(permit) = self.permit.send_replace(None) {
            permit.revoke();
        }
    }

    /// Leases an id.
    ///
    /// # Errors
    /// [`Error::WorkerTaken`] if the wish is leased to another holder, [`Error::NoWorker`] if all are, [`Error::Unknown`] if
    /// no layout has the wish.
    pub async fn acquire(&mut self) -> Result<LeasedWorker, Error> {
        for _ in 0..TAKE_ATTEMPTS_MAX {
            if let Some(leased) = self.take().await? {
                return Ok(leased);
            }
        }
        let count = self.count();
        let Some(worker) = self.wish else { return Err(Error::NoWorker(count)) };
        if u32::from(worker) >= count {
            return Err(Error::Unknown(format!(
                "ids.worker is {worker}, and the layouts of the rules have the worker ids 0 to {}",
                count - 1
            )));
        }
        let home = self.outbox.settings.home;
        let client = self.outbox.store.connect(home).await?;
        let row = client
            .query_opt("SELECT holder FROM shardloom.worker_lease WHERE worker = $1", &[&i32::from(worker)])
            .await
            .map_err(self.outbox.store.at(home))?;
        Err(Error::WorkerTaken { worker, holder: row.map_or_else(|| "nobody by now".to_owned(), |row| row.get(0)) })
    }

    async fn take(&mut self) -> Result<Option<LeasedWorker>, Error> {
        let outbox = &self.outbox;
        let (home, bounds) = (outbox.settings.home, &outbox.settings.bounds);
        let began = outbox.clock.monotonic();
        let now_ms = outbox.clock.wall_ms();
        let reserve_ms = bounds.worker_reserve.as_millis() as i64;
        let count = self.count() as i32;
        let client = outbox.store.connect(home).await?;
        let row = client
            .query_opt(
                TAKE,
                &[
                    &outbox.owner(),
                    &bounds.worker_lease.as_secs_f64(),
                    &(now_ms + reserve_ms),
                    &count,
                    &self.wish.map(i32::from),
                    &now_ms,
                    &BORROW_MS_MAX,
                ],
            )
            .await
            .map_err(outbox.store.at(home))?;
        let Some(row) = row else { return Ok(None) };
        let (worker, epoch, reserved): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
        // A first holder has nobody before it; a later one's reserve begins where the old one's ended, or now.
        let floor_ms = if epoch == 1 { 0 } else { reserved - reserve_ms };
        let worker = u16::try_from(worker).map_err(|_| Error::NoWorker(self.count()))?;
        let leased = LeasedWorker { worker, floor_ms, epoch };
        tracing::info!(worker, epoch, floor_ms, "worker id leased");
        let permit = WorkerPermit::new(worker, epoch, floor_ms, reserved, began + bounds.worker_lease);
        self.permit.send_replace(Some(Arc::new(permit)));
        OutboxMetrics::add(&outbox.metrics().leases_taken, 1);
        self.held = Some(leased);
        Ok(Some(leased))
    }

    /// Renews lease and reserve once; tells whether the id is still ours.
    ///
    /// # Errors
    /// What home answered; the permit then runs on until its end.
    pub async fn renew(&mut self) -> Result<bool, Error> {
        let Some(held) = self.held else { return Ok(false) };
        if self.is_far_ahead() && self.is_better_free().await? {
            tracing::warn!(
                worker = held.worker,
                "the clock stepped back too far for this worker id; another is leased"
            );
            self.change(held).await?;
            return Ok(true);
        }
        if u32::from(held.worker) >= self.count() && self.wish.is_none() {
            tracing::info!(worker = held.worker, "a layout of the new rules has fewer worker ids; another is leased");
            match self.change(held).await {
                Ok(()) => return Ok(true),
                // The layouts that it fits go on with it.
                Err(error) => tracing::warn!(%error, worker = held.worker, "no smaller worker id leased"),
            }
        }
        let outbox = &self.outbox;
        let (home, bounds) = (outbox.settings.home, &outbox.settings.bounds);
        let began = outbox.clock.monotonic();
        let reserve = bounds.worker_reserve.as_millis() as i64;
        let until = outbox.clock.wall_ms().max(held.floor_ms) + reserve;
        let client = outbox.store.connect(home).await?;
        let row = client
            .query_opt(
                KEEP,
                &[&i32::from(held.worker), &outbox.owner(), &held.epoch, &bounds.worker_lease.as_secs_f64(), &until],
            )
            .await
            .map_err(outbox.store.at(home))?;
        let Some(row) = row else {
            tracing::warn!(worker = held.worker, "worker lease lost");
            self.revoke();
            self.held = None;
            return Ok(false);
        };
        OutboxMetrics::add(&outbox.metrics().lease_renewals, 1);
        if let Some(permit) = self.permit.borrow().as_ref() {
            permit.extend(row.get(0), began + bounds.worker_lease);
        }
        Ok(true)
    }

    /// Leases another id, then gives this one back: whoever takes it begins after all that it was reserved.
    async fn change(&mut self, held: LeasedWorker) -> Result<(), Error> {
        let before = self.permit.borrow().clone();
        self.acquire().await?;
        let leased = self.held.replace(held);
        // From here on the new one is kept, whatever comes: the old one lapses by itself.
        if let Err(error) = self.release().await {
            tracing::debug!(%error, worker = held.worker, "worker lease not given back");
        }
        self.held = leased;
        if let Some(permit) = before {
            permit.revoke();
        }
        Ok(())
    }

    /// Tells whether times were reserved so far ahead of the clock, before it stepped back, that ids cannot be borrowed
    /// until it has caught up. An id that was wished for is kept all the same.
    fn is_far_ahead(&self) -> bool {
        let bounds = &self.outbox.settings.bounds;
        let most = self.outbox.clock.wall_ms() + BORROW_MS_MAX + bounds.worker_reserve.as_millis() as i64;
        let reserved = self.permit.borrow().as_ref().map(|permit| permit.reserved_until_ms());
        self.wish.is_none() && reserved.is_some_and(|reserved| reserved > most)
    }

    /// Tells whether an id is free whose times were not reserved that far ahead: else a change would help nobody, and each
    /// lease reserves more.
    async fn is_better_free(&self) -> Result<bool, Error> {
        let home = self.outbox.settings.home;
        let count = self.count() as i32;
        let most = self.outbox.clock.wall_ms() + BORROW_MS_MAX;
        let client = self.outbox.store.connect(home).await?;
        let row = client.query_one(BETTER, &[&count, &most]).await.map_err(self.outbox.store.at(home))?;
        Ok(row.get(0))
    }

    /// Leases an id and keeps it, for as long as it is polled; a lost one is replaced, the wish again if there is one.
    pub async fn keep(mut self) {
        let bounds = self.outbox.settings.bounds.clone();
        let pace = (bounds.worker_lease / RENEWALS_PER_LEASE).min(bounds.worker_reserve / EXTENSIONS_PER_RESERVE);
        let mut stopping = self.outbox.stopping.subscribe();
        let mut bits = self.worker_bits.subscribe();
        // What is wrong is said once, not at every try.
        let mut said = String::new();
        while !*stopping.borrow() {
            let result =
                if self.held.is_some() { self.renew().await.map(|_| ()) } else { self.acquire().await.map(|_| ()) };
            let trouble = result.err().map(|error| error.to_string()).unwrap_or_default();
            if trouble != said && !trouble.is_empty() {
                tracing::warn!(error = trouble, "worker lease not renewed; trying again");
            }
            said = trouble;
            tokio::select! {
                () = tokio::time::sleep(pace) => {}
                _ = bits.changed() => {}
                _ = stopping.changed() => {}
            }
        }
        self.revoke();
        if let Err(error) = self.release().await {
            tracing::debug!(%error, "worker lease not given back");
        }
    }

    /// Gives the id back; the next holder still begins after what was reserved.
    async fn release(&mut self) -> Result<(), Error> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let home = self.outbox.settings.home;
        let client = self.outbox.store.connect(home).await?;
        client
            .execute(
                "UPDATE shardloom.worker_lease SET expires_at = clock_timestamp() WHERE worker = $1 AND holder = $2 \
                 AND epoch = $3",
                &[&i32::from(held.worker), &self.outbox.owner(), &held.epoch],
            )
            .await
            .map_err(self.outbox.store.at(home))?;
        Ok(())
    }
}
