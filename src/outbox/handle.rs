//! The handle that the rest of the proxy holds: services for the client path, and the way to the other files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::census::Census;
use super::error::Error;
use super::flight::{Drawn, Flight, Flights};
use super::gate::Gate;
use super::ledger::Gid;
use super::literal::literal;
use super::metrics::OutboxMetrics;
use super::prepared::PreparedSeen;
use super::settings::OutboxSettings;
use super::store::Store;
use super::triggers::Wanted;
use crate::types::{Clock, Refusal, ShardId, ShardSet, SqlState};

/// Pause between two questions to a home that is away.
const RESOLVE_PAUSE: Duration = Duration::from_millis(200);

/// Longest that one fencing insert waits for a commit in flight.
const FENCE_LOCK_WAIT: &str = "SET LOCAL lock_timeout = '2s'";

/// What became of a transaction whose COMMIT was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Home committed.
    Committed,
    /// Home did not commit, and now cannot any more.
    Aborted,
    /// Home did not answer within `OutboxBounds::resolve_wait`.
    Unknown,
}

/// The outbox of one proxy process. Shared by all threads.
pub struct Outbox {
    pub(super) settings: OutboxSettings,
    pub(super) store: Store,
    pub(super) flights: Arc<Flights>,
    pub(super) census: Census,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) epoch: i64,
    pub(super) prepared: PreparedSeen,
    pub(super) stopping: watch::Sender<bool>,
    /// How many transactions each home has lost, as last counted.
    pub(super) lost: Mutex<HashMap<ShardId, u64>>,
    /// One per home: held while finished transactions are closed.
    pub(super) finishing: Vec<tokio::sync::Mutex<()>>,
    wanted: RwLock<Wanted>,
    metrics: OutboxMetrics,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("proxy", &self.settings.proxy)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Who fences a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    /// Who knows its home.
    AtHome,
    /// A question on every shard, because nobody knows its home.
    Asked,
}

impl Fence {
    fn kind(self) -> &'static str {
        match self {
            Self::AtHome => "fence",
            Self::Asked => "asked",
        }
    }
}

impl Outbox {
    /// Makes the handle; connects nowhere. `settings.shards` are in topology order.
    pub fn new(settings: OutboxSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        let store = Store::new(&settings);
        let flights = Arc::new(Flights::new(store.names()));
        let census = Census::new(settings.shards.len());
        let prepared = PreparedSeen::new(settings.shards.len());
        let epoch = clock.wall_ms();
        let wanted = RwLock::new(Wanted { roles: settings.shard_roles.clone(), ..Wanted::default() });
        let stopping = watch::Sender::new(false);
        let finishing = settings.shards.iter().map(|_| tokio::sync::Mutex::new(())).collect();
        Arc::new(Self {
            settings,
            store,
            flights,
            census,
            clock,
            epoch,
            prepared,
            stopping,
            lost: Mutex::default(),
            finishing,
            wanted,
            metrics: OutboxMetrics::default(),
        })
    }

    /// Returns the counters.
    pub fn metrics(&self) -> &OutboxMetrics {
        &self.metrics
    }

    /// Returns the name under which this run of the proxy owns leases.
    pub(super) fn owner(&self) -> String {
        format!("{}/{}", self.settings.proxy, self.epoch)
    }

    /// Returns a copy of what the rules want of the schemas.
    pub(super) fn wanted(&self) -> Wanted {
        self.wanted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change_wanted(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.wanted.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Starts a transaction's flight; call it before home's COMMIT is sent.
    pub fn begin_flight(&self, txid: i64, home: ShardId, targets: ShardSet) -> Flight {
        Flight::begin(self.flights.clone(), home, txid, targets)
    }

    /// Says that a client has the transaction `txid` open, until the value is dropped.
    pub fn note_drawn(&self, txid: i64) -> Drawn {
        Drawn::new(self.flights.clone(), txid)
    }

    /// Wakes the relay of `home`, as `Flight` does at its end.
    pub fn notify(&self, home: ShardId) {
        self.flights.wake[home.index()].notify_one();
    }

    /// Returns the gate of `target`; writes wait there for the redo of earlier transactions.
    pub fn gate(&self, target: ShardId) -> &Gate {
        &self.flights.gates[target.index()]
    }

    /// Refuses a new eventual write to a target whose backlog is full.
    ///
    /// # Errors
    /// `53400` at `OutboxBounds::backlog_max` pending transactions.
    pub fn check_backlog(&self, target: ShardId) -> Result<(), Refusal> {
        if self.flights.backlog(target) + self.census.foreign_for(target) < self.settings.bounds.backlog_max {
            return Ok(());
        }
        Err(Refusal::new(
            SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            format!("shard \"{}\" has too many pending transactions", self.store.name(target)),
        )
        .with_hint("SHOW LANES tells why they wait."))
    }

    /// Returns how many transactions of this process nobody knows the outcome of yet.
    pub fn doubtful(&self) -> usize {
        self.flights.doubtful_count()
    }

    /// Returns the targets on which `txid`, a transaction of this process, is not applied yet.
    pub fn pending_targets(&self, txid: i64) -> ShardSet {
        self.flights.pending(txid)
    }

    /// Tells whether `txid`, a transaction of this process, waits for nothing more on `target`.
    pub fn is_applied(&self, txid: i64, target: ShardId) -> bool {
        !self.flights.pending(txid).contains(target)
    }

    /// Waits until `txid` waits for nothing more on `target`; tells whether that came true within `timeout`.
    pub async fn wait_applied(&self, txid: i64, target: ShardId, timeout: Duration) -> bool {
        let _waiter = self.flights.pace.hurry();
        let mut changed = self.flights.changed.subscribe();
        let wait = changed.wait_for(|_| self.is_applied(txid, target));
        matches!(tokio::time::timeout(timeout, wait).await, Ok(Ok(_)))
    }

    /// Returns the statement that prepares a target's transaction.
    pub fn prepare_statement(&self, txid: i64, home: ShardId) -> String {
        format!("PREPARE TRANSACTION {}", self.gid(txid, home))
    }

    /// Returns the statement that commits what [`Self::prepare_statement`] prepared.
    pub fn commit_prepared(&self, txid: i64, home: ShardId) -> String {
        format!("COMMIT PREPARED {}", self.gid(txid, home))
    }

    /// Returns the statement that rolls back what [`Self::prepare_statement`] prepared.
    pub fn rollback_prepared(&self, txid: i64, home: ShardId) -> String {
        format!("ROLLBACK PREPARED {}", self.gid(txid, home))
    }

    fn gid(&self, txid: i64, home: ShardId) -> String {
        literal(&Gid { txid, epoch: self.epoch, home: self.store.name(home).to_owned() }.text())
    }

    /// Finds out what became of a transaction whose COMMIT was not answered, by a fencing insert: if home did not
    /// commit it, it cannot any more. Asks for at most `OutboxBounds::resolve_wait`. Cancel-safe.
    pub async fn resolve(&self, txid: i64, home: ShardId) -> Resolution {
        let deadline = Instant::now() + self.settings.bounds.resolve_wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.store.within(home, left, self.resolve_once(txid, home, Fence::AtHome)).await {
                Ok(resolution) => return resolution,
                Err(error) => tracing::debug!(txid, %error, "home cannot tell the outcome yet"),
            }
            if Instant::now() + RESOLVE_PAUSE >= deadline {
                return Resolution::Unknown;
            }
            tokio::time::sleep(RESOLVE_PAUSE).await;
        }
    }

    /// Asks home once.
    pub(super) async fn resolve_once(&self, txid: i64, home: ShardId, fence: Fence) -> Result<Resolution, Error> {
        let at = self.store.at(home);
        let mut client = self.store.connect(home).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        transaction.batch_execute(FENCE_LOCK_WAIT).await.map_err(&at)?;
        transaction
            .execute(
                "INSERT INTO shardloom.ledger (txid, state, mode, kind, proxy, finished_at) \
                 VALUES ($1, 'ABORTED', 'none', $3, $2, clock_timestamp()) ON CONFLICT DO NOTHING",
                &[&txid, &self.settings.proxy, &fence.kind()],
            )
            .await
            .map_err(&at)?;
        let row = transaction
            .query_one("SELECT state = 'ABORTED' FROM shardloom.ledger WHERE txid = $1", &[&txid])
            .await
            .map_err(&at)?;
        let aborted: bool = row.get(0);
        transaction.commit().await.map_err(&at)?;
        Ok(if aborted { Resolution::Aborted } else { Resolution::Committed })
    }
}
