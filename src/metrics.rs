//! Counters, gauges and histograms that every floor may touch; knows nobody. The only importer of the metrics crate.
//!
//! Everything is an atomic, except errors, shards and histograms, which take a short lock. `encode` writes what
//! `/metrics` shows; each name there is part of the contract.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

/// The first bucket of the histograms ends here: 50 µs, below what a statement costs on a local shard.
const BUCKET_FIRST_SECONDS: f64 = 0.000_05;
/// Buckets double 18 times, up to 6.5 s.
const BUCKETS: u16 = 18;

/// A label with a value.
type Label = [(&'static str, String); 1];

/// How a statement ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// On one shard.
    Direct,
    /// Read from several shards.
    Scatter,
    /// Run on home over copies of other shards' rows.
    Gather,
    /// Written to several shards.
    MultiWrite,
    /// COPY.
    Copy,
    /// Not at all: the proxy refused it.
    Refused,
}

impl QueryKind {
    const ALL: [Self; 6] = [Self::Direct, Self::Scatter, Self::Gather, Self::MultiWrite, Self::Copy, Self::Refused];

    fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Scatter => "scatter",
            Self::Gather => "gather",
            Self::MultiWrite => "multi_write",
            Self::Copy => "copy",
            Self::Refused => "refused",
        }
    }
}

/// What happens to the makers of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdEvent {
    /// A millisecond was borrowed ahead of the clock.
    Borrowed,
    /// The clock stepped back.
    StepBack,
    /// Ids were refused.
    Refused,
    /// The worker id's lease was renewed.
    Renewed,
    /// A worker id was leased.
    Leased,
}

impl IdEvent {
    const ALL: [Self; 5] = [Self::Borrowed, Self::StepBack, Self::Refused, Self::Renewed, Self::Leased];

    fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Borrowed => ("ids_borrowed_milliseconds", "Milliseconds that ids were ahead of the clock"),
            Self::StepBack => ("id_clock_steps_back", "Steps back of the clock that ids are stamped by"),
            Self::Refused => ("ids_refused", "Requests for ids that were refused: no lease, no range, too fast"),
            Self::Renewed => ("worker_lease_renewals", "Renewals of the worker id's lease"),
            Self::Leased => ("worker_leases", "Worker ids leased"),
        }
    }
}

/// Whether a plan was found in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    /// It was.
    Hit,
    /// It had to be made.
    Miss,
}

/// The state of the outbox, as its relay last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxState {
    /// Age of the oldest event that waits, in milliseconds; 0 when none waits.
    pub oldest_pending_ms: i64,
    /// Events given up, waiting for an operator.
    pub dead: i64,
    /// Rows found to differ between home and a target.
    pub drift: i64,
    /// Transactions that targets have applied and their home has lost.
    pub lost: i64,
}

/// The process's metrics. Made once and handed down.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    queries: [Counter; QueryKind::ALL.len()],
    transactions: Counter,
    errors: Family<Label, Counter>,
    clients: Gauge,
    latency_seconds: Histogram,
    cache: [Counter; 2],
    received_bytes: Counter,
    sent_bytes: Counter,
    ids: Counter,
    ids_by_tag: Family<Label, Counter>,
    id_events: [Counter; IdEvent::ALL.len()],
    outbox_oldest_pending_ms: Gauge,
    outbox_dead: Gauge,
    outbox_drift: Gauge,
    outbox_lost: Gauge,
    outbox_retried: Counter,
    outbox_applied: Counter,
}

impl Metrics {
    /// Makes the metrics, all of them at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("shardloom");
        let r = &mut registry;
        let queries = register(r, "queries", "Statements, by how they ran", Family::<Label, Counter>::default());
        let cache = register(r, "plan_cache", "Plans looked up, by outcome", Family::<Label, Counter>::default());
        let outcome = |name: &str| cache.get_or_create(&[("outcome", name.to_owned())]).clone();
        Self {
            queries: QueryKind::ALL.map(|kind| queries.get_or_create(&[("kind", kind.label().to_owned())]).clone()),
            cache: [outcome("hit"), outcome("miss")],
            transactions: register(r, "transactions", "Transactions that ended", Counter::default()),
            errors: register(
                r,
                "errors",
                "Errors that the proxy told clients, by SQLSTATE class; what a shard said itself passes uncounted",
                Family::default(),
            ),
            clients: register(r, "client_connections", "Clients connected", Gauge::default()),
            latency_seconds: register(
                r,
                "query_seconds",
                "Time of a Query message, or of what the extended protocol runs at once, to its whole reply",
                histogram(),
            ),
            received_bytes: register(r, "received_bytes", "Bytes received from clients", Counter::default()),
            sent_bytes: register(r, "sent_bytes", "Bytes sent to clients", Counter::default()),
            ids: register(r, "ids_issued", "Ids issued", Counter::default()),
            ids_by_tag: register(r, "tag_ids_issued", "Ids issued, by tag", Family::default()),
            id_events: IdEvent::ALL.map(|event| {
                let (name, about) = event.name();
                register(r, name, about, Counter::default())
            }),
            outbox_oldest_pending_ms: register(
                r,
                "outbox_oldest_pending_ms",
                "Age of the oldest waiting event in milliseconds",
                Gauge::default(),
            ),
            outbox_dead: register(r, "outbox_dead", "Dead letters", Gauge::default()),
            outbox_drift: register(r, "outbox_drift", "Targets whose row count differed from home's", Gauge::default()),
            outbox_lost: register(
                r,
                "outbox_lost",
                "Transactions that targets have and home has lost",
                Gauge::default(),
            ),
            outbox_retried: register(r, "outbox_retried", "Events tried again", Counter::default()),
            outbox_applied: register(r, "outbox_applied", "Events applied on their target", Counter::default()),
            registry,
        }
    }

    /// Counts a statement.
    pub fn query(&self, kind: QueryKind) {
        self.queries[kind as usize].inc();
    }

    /// Counts the end of a transaction.
    pub fn transaction(&self) {
        self.transactions.inc();
    }

    /// Counts an error; `class` is the SQLSTATE's first two characters.
    pub fn error(&self, class: &str) {
        self.errors.get_or_create(&[("class", class.to_owned())]).inc();
    }

    /// Counts a client in.
    pub fn client_connected(&self) {
        self.clients.inc();
    }

    /// Counts a client out.
    pub fn client_gone(&self) {
        self.clients.dec();
    }

    /// Notes how long a statement took.
    pub fn latency(&self, latency: Duration) {
        self.latency_seconds.observe(latency.as_secs_f64());
    }

    /// Counts a look into the plan cache.
    pub fn plan_cache(&self, outcome: CacheOutcome) {
        self.cache[outcome as usize].inc();
    }

    /// Counts bytes that came from clients.
    pub fn received(&self, bytes: u64) {
        self.received_bytes.inc_by(bytes);
    }

    /// Counts bytes that went to clients.
    pub fn sent(&self, bytes: u64) {
        self.sent_bytes.inc_by(bytes);
    }

    /// Counts issued ids.
    pub fn ids_issued(&self, count: u64) {
        self.ids.inc_by(count);
    }

    /// Counts ids of a tag.
    pub fn tag_ids_issued(&self, tag: &str, count: u64) {
        self.ids_by_tag.get_or_create(&[("tag", tag.to_owned())]).inc_by(count);
    }

    /// Counts what happened to the makers of ids.
    pub fn id_event(&self, event: IdEvent, count: u64) {
        self.id_events[event as usize].inc_by(count);
    }

    /// Sets what the relay last saw.
    pub fn outbox(&self, state: OutboxState) {
        self.outbox_oldest_pending_ms.set(state.oldest_pending_ms);
        self.outbox_dead.set(state.dead);
        self.outbox_drift.set(state.drift);
        self.outbox_lost.set(state.lost);
    }

    /// Counts events that were tried again.
    pub fn outbox_retried(&self, count: u64) {
        self.outbox_retried.inc_by(count);
    }

    /// Counts events that were applied.
    pub fn outbox_applied(&self, count: u64) {
        self.outbox_applied.inc_by(count);
    }

    /// Writes everything as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into a string cannot fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(BUCKET_FIRST_SECONDS, 2.0, BUCKETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(metrics: &Metrics, start: &str) -> String {
        let text = metrics.encode();
        let found = text.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no line {start} in\n{text}")).to_owned()
    }

    #[test]
    fn everything_known_is_there_from_the_start() {
        let metrics = Metrics::new();
        for kind in QueryKind::ALL {
            let start = format!("shardloom_queries_total{{kind=\"{}\"}}", kind.label());
            assert_eq!(line(&metrics, &start), format!("{start} 0"));
        }
        assert_eq!(line(&metrics, "shardloom_client_connections "), "shardloom_client_connections 0");
        assert!(metrics.encode().ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.query(QueryKind::Refused);
        metrics.plan_cache(CacheOutcome::Miss);
        metrics.error("0A");
        metrics.received(7);
        metrics.latency(Duration::from_micros(60));
        metrics.outbox(OutboxState { oldest_pending_ms: 1_500, dead: 2, drift: 0, lost: 0 });
        for expected in [
            "shardloom_queries_total{kind=\"refused\"} 1",
            "shardloom_plan_cache_total{outcome=\"miss\"} 1",
            "shardloom_errors_total{class=\"0A\"} 1",
            "shardloom_received_bytes_total 7",
            "shardloom_query_seconds_bucket{le=\"0.00005\"} 0",
            "shardloom_query_seconds_bucket{le=\"0.0001\"} 1",
            "shardloom_outbox_oldest_pending_ms 1500",
            "shardloom_outbox_dead 2",
        ] {
            assert!(metrics.encode().lines().any(|line| line == expected), "{expected} in\n{}", metrics.encode());
        }
    }
}
