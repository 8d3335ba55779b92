//! The one [`Proxy`].

use std::sync::Arc;
use std::time::Duration;

use super::{
    ClientInfo, ClientRegistry, ClientState, Drain, DrainPhase, EndCause, HealthBoard, Ids, Live, Logins, PoolBoard,
    Readiness, Requests, RouteBoard, Rules, SchemaBoard, SchemaChanges, StrangerBounds, Strangers,
};
use crate::backend::{Allowance, CancelRegistry, Roster, ShardOids};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::tls::{Acceptor, Connector};
use crate::types::Clock;

/// What all threads share. Made once by `server`, never replaced.
pub struct Proxy {
    /// The configuration that the process started with.
    pub config: Arc<Config>,
    /// The proxy's name in leases and in the ledger.
    pub name: String,
    /// Monotonic time of the start.
    pub started: Duration,
    /// The configuration in force, as RELOAD left it.
    pub live: Live,
    /// How many server connections there may be, and what operators ordered of them.
    pub allowance: Arc<Allowance>,
    /// All server connections.
    pub servers: Roster,
    /// Who may log in.
    pub logins: Logins,
    /// The rules and the catalog in force.
    pub rules: Rules,
    /// Cancel keys of all clients, whichever worker serves them.
    pub cancels: CancelRegistry,
    /// TLS from clients.
    pub acceptor: Acceptor,
    /// TLS to servers.
    pub connector: Arc<Connector>,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// The ledger, its relay and its leases.
    pub outbox: Arc<Outbox>,
    /// The makers of ids.
    pub ids: Ids,
    /// Who is connected.
    pub clients: ClientRegistry,
    /// Who has connected and not logged in.
    pub strangers: Strangers,
    /// How often unsharded databases were changed.
    pub schema_changes: SchemaChanges,
    /// Server connections, as the workers published them.
    pub pools: PoolBoard,
    /// Where the shards' tables differ.
    pub schemas: SchemaBoard,
    /// The numbers that types and tables have on each shard, by its place in the topology.
    pub oids: Vec<Arc<ShardOids>>,
    /// Which way statements took.
    pub routes: Arc<RouteBoard>,
    /// Which shards answer.
    pub health: HealthBoard,
    /// What keeps the proxy from being ready.
    pub readiness: Readiness,
    /// The end of the process.
    pub drain: Drain,
    /// What is asked of the control thread.
    pub requests: Requests,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Proxy {
    /// Returns how many worker threads there are.
    pub fn workers(&self) -> usize {
        self.config.listen.workers
    }

    /// Returns the most clients that are admitted at the same time.
    pub fn clients_max(&self) -> usize {
        self.live.load().limits.max_clients
    }

    /// Returns how many connections that have not logged in there may be.
    pub fn stranger_bounds(&self) -> StrangerBounds {
        let bound = |count: usize| (count > 0).then_some(count);
        let limits = &self.live.load().limits;
        StrangerBounds {
            all: bound(limits.max_unauthenticated),
            per_address: bound(limits.max_unauthenticated_per_address),
        }
    }

    /// Has the connections to a database closed that nobody uses, for a statement that waits until they are.
    pub fn desert(&self, database: &str) {
        self.renew(Some(database));
    }

    /// Has the connections to a database, or to all for `None`, made anew, each as soon as nobody uses it.
    pub fn renew(&self, database: Option<&str>) {
        if self.allowance.open(database) > 0 {
            self.allowance.orders().renew(database);
            self.allowance.ring();
        }
    }

    /// Asks a client to end, and its servers to stop what they do for it; needs a runtime. Does not wait.
    pub fn end_client(&self, client: &ClientInfo, cause: EndCause) {
        self.clients.end(client.id, cause, self.now_ms());
        if client.state == ClientState::Active {
            let (cancels, process) = (self.cancels.clone(), client.process);
            // A server that does not take the request must hold nobody up; the request itself is bounded.
            tokio::spawn(async move { cancels.cancel_process(process).await });
        }
    }

    /// Moves the drain on and has every client look at it.
    pub fn advance_drain(&self, phase: DrainPhase) {
        self.drain.advance(phase);
        self.clients.wake_all();
    }

    /// Returns the time since the start.
    pub fn uptime(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("name", &self.name).finish_non_exhaustive()
    }
}
