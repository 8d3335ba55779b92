//! Keeps the outbox going: schema, worker lease, relay, and what the rules want of reference tables.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use super::permit::follow_lease;
use super::segments::keep_segments;
use crate::outbox::{Error as OutboxError, IdRegistry, ReferenceTable, WorkerLease};
use crate::proxy::Proxy;
use crate::rules::{Distribution, IdSource, RuleSet, TableRule};

/// Pause between two attempts to install the schema on a home that does not answer.
const INSTALL_PAUSE: Duration = Duration::from_millis(500);

/// Pause between two looks for dead transactions that are to be taken back.
const COMPENSATE_PAUSE: Duration = Duration::from_secs(1);

/// Pause between two looks for new rules, where nobody tells of them; and until home is asked again.
const REGISTER_PAUSE: Duration = Duration::from_secs(2);

/// How long the relay may take to end its turn and give its leases back.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs until [`finish`].
pub async fn keep_outbox(proxy: Arc<Proxy>) {
    let outbox = Arc::clone(&proxy.outbox);
    let rules = Arc::clone(&proxy.rules.load().rules);
    let registered = IdRegistry::of(&rules);
    outbox.set_ids(registered.clone());
    install(&proxy, &rules).await;
    block_changed(&proxy, &rules);
    proxy.ids.permit_layouts(registered.used());
    let lease = WorkerLease::new(Arc::clone(&outbox), worker_bits(&rules), proxy.config.ids.worker);
    let (permits, bits) = (lease.permits(), lease.worker_bits());
    tokio::select! {
        () = Arc::clone(&outbox).run() => info!("the relay ended"),
        // It ends before the relay does: the relay still gives its own leases back.
        () = async { lease.keep().await; pending().await } => {}
        () = follow_lease(&proxy, permits) => {}
        () = keep_segments(&proxy) => {}
        () = keep_registered(&proxy, registered, &bits) => {}
        () = keep_compensating(&proxy) => {}
    }
}

/// Registers what new rules say of ids, and has a worker id leased that fits their layouts.
async fn keep_registered(proxy: &Proxy, mut registered: IdRegistry, bits: &watch::Sender<u8>) {
    let mut version = String::new();
    loop {
        let ticket = proxy.requests.catalogs_wanted();
        let rules = Arc::clone(&proxy.rules.load().rules);
        if rules.version != version {
            version.clone_from(&rules.version);
            let wanted = IdRegistry::of(&rules);
            if wanted != registered {
                registered = wanted;
                proxy.outbox.set_ids(registered.clone());
                if proxy.outbox.register_ids().await {
                    block_changed(proxy, &rules);
                } else {
                    // Home is away: layouts that it was not asked for make no ids.
                    version.clear();
                    registered = IdRegistry::default();
                }
            }
            if !version.is_empty() {
                proxy.ids.permit_layouts(registered.used());
            }
            let width = worker_bits(&rules);
            bits.send_if_modified(|bits| std::mem::replace(bits, width) != width);
        }
        let _ = timeout(REGISTER_PAUSE, proxy.requests.catalog_wanted(ticket)).await;
    }
}

/// Stops layouts in which ids were made with other numbers.
fn block_changed(proxy: &Proxy, rules: &RuleSet) {
    for (name, known) in proxy.outbox.changed_layouts() {
        if let Some(layout) = rules.ids.layouts.get(&name) {
            error!(layout = name, known, "the layout of ids was changed; no ids are made in it");
            proxy.ids.block(*layout, &name, &known);
        }
    }
}

/// Takes back what the rules want taken back. Any proxy may: each transaction is claimed on its home.
async fn keep_compensating(proxy: &Proxy) {
    loop {
        sleep(COMPENSATE_PAUSE).await;
        let txids = || proxy.next_txid().map_err(|refusal| OutboxError::BadRecord(refusal.message));
        proxy.outbox.compensate_dead(txids).await;
    }
}

/// The worker id must fit every layout that is used: `standard` for transactions, the others by columns.
fn worker_bits(rules: &RuleSet) -> u8 {
    let of_column = |rule: &TableRule| match rule.id.as_ref()?.source {
        IdSource::Snowflake { layout, .. } => Some(layout.worker_bits),
        IdSource::Segment(_) | IdSource::Uuid { .. } => None,
    };
    let standard = rules.ids.layouts.get("standard").map_or(0, |layout| layout.worker_bits);
    rules.tables.values().filter_map(of_column).chain([standard]).min().unwrap_or(0)
}

/// Installs the schema until home has it; the relay makes up for other shards when they are back.
async fn install(proxy: &Proxy, rules: &RuleSet) {
    loop {
        let failed = proxy.outbox.install().await;
        if failed.iter().all(|(shard, _)| *shard != rules.home) {
            proxy.readiness.set_schema_installed();
            return;
        }
        sleep(INSTALL_PAUSE).await;
    }
}

/// Ends it: leases are given back if home answers in time.
pub async fn finish(proxy: &Proxy, mut outbox: JoinHandle<()>) {
    proxy.outbox.stop();
    if timeout(STOP_TIMEOUT, &mut outbox).await.is_err() {
        outbox.abort();
    }
}

/// Brings the triggers of reference and lookup tables in line with the rules.
pub async fn reconcile(proxy: &Proxy) {
    let rules = Arc::clone(&proxy.rules.load().rules);
    proxy.outbox.set_lookups(rules.lookups().map(|(_, lookup)| lookup.clone()).collect());
    for (shard, error) in proxy.outbox.reconcile_triggers(references(&rules)).await {
        // That it is away is said elsewhere, and once.
        if matches!(error, OutboxError::Unreachable { .. }) {
            debug!(shard = shard.0, %error, "triggers of reference and lookup tables wait for their shard");
        } else {
            warn!(shard = shard.0, %error, "triggers of reference and lookup tables are not in place");
        }
    }
}

fn references(rules: &RuleSet) -> Vec<ReferenceTable> {
    let mut tables: Vec<ReferenceTable> = rules
        .tables
        .iter()
        .filter_map(|(name, table)| match &table.distribution {
            Distribution::Reference { home, multi_shard } => {
                Some(ReferenceTable { table: name.clone(), home: *home, on_dead: multi_shard.on_dead })
            }
            Distribution::Sharded { .. } | Distribution::Single { .. } => None,
        })
        .collect();
    tables.sort_by(|one, two| one.table.cmp(&two.table));
    tables
}
