//! Keeps the snapshot's catalog as home has it: at start, after DDL, and now and then for changes made elsewhere.
//!
//! The capture triggers of reference tables follow the catalog: a table that was just made gets them here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::catalog_news;
use super::link::{ServiceRole, ShardLink};
use super::numbers::NumberLinks;
use super::outbox::reconcile;
use crate::plan::catalog::{CATALOG_QUERY, Catalog};
use crate::proxy::Proxy;

/// How old a catalog gets when nobody says that it changed: DDL that was sent to the servers directly.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// How old it gets where a shard did not tell the numbers of its types.
const COMPARE_AGAIN: Duration = Duration::from_secs(5);

/// Pause after a failure; home may just be starting.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Pause between two looks whether the `shardloom` schema is installed.
const SCHEMA_PAUSE: Duration = Duration::from_millis(20);

/// Loads the catalog again and again until cancelled.
pub async fn keep_catalog(proxy: Arc<Proxy>, role: ServiceRole) {
    let rules = Arc::clone(&proxy.rules.load().rules);
    let mut home = ShardLink::new(rules.shard(rules.home), &role, &proxy.connector);
    let mut numbers = NumberLinks::new(&proxy, &role);
    let mut said = false;
    // Capture triggers call functions of the shardloom schema.
    while !proxy.readiness.is_schema_installed() {
        sleep(SCHEMA_PAUSE).await;
    }
    loop {
        let ticket = proxy.requests.catalogs_wanted();
        let refresh_in = match load(&mut home).await {
            Ok(catalog) => {
                let compared = numbers.compare(&proxy, &mut home).await;
                let changed = put_in_force(&proxy, catalog, compared.changed).await;
                proxy.requests.catalog_done(ticket);
                if changed {
                    catalog_news::tell(&proxy, &mut home).await;
                }
                if compared.complete { REFRESH_EVERY } else { COMPARE_AGAIN }
            }
            Err(error) => {
                if !said {
                    warn!(error, "the catalog cannot be read from home; trying again");
                }
                said = true;
                sleep(RETRY_PAUSE).await;
                continue;
            }
        };
        said = false;
        // Either way it is time to look again.
        let _ = timeout(refresh_in, proxy.requests.catalog_wanted(ticket)).await;
    }
}

/// Reads home's catalog once.
pub async fn load(home: &mut ShardLink) -> Result<Catalog, String> {
    let rows = home.query(CATALOG_QUERY).await?;
    let pairs = rows.iter().filter_map(|row| match row.as_slice() {
        [Some(kind), Some(value)] => Some((kind.as_str(), value.as_str())),
        [..] => None,
    });
    Catalog::from_rows(pairs).map_err(|error| error.to_string())
}

/// Puts a catalog in force if it is another, or if what statements were described by is of `other_numbers` now; tells whether
/// it was.
async fn put_in_force(proxy: &Proxy, mut catalog: Catalog, other_numbers: bool) -> bool {
    catalog.adopt(&proxy.rules.load().rules);
    let changed = *proxy.rules.load().catalog != catalog || other_numbers;
    if changed {
        info!(tables = catalog.tables.len(), "the catalog changed");
        proxy.rules.swap_catalog(catalog);
    } else {
        debug!("the catalog is unchanged");
    }
    reconcile(proxy).await;
    proxy.readiness.set_catalog_loaded();
    changed
}
