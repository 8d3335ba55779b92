//! Looks now and then whether the shards have the same tables, and says where they do not.
//!
//! A difference counts when two looks in a row see it: while DDL commits on one shard after another, they differ.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::link::{ServiceRole, ShardLink};
use crate::plan::catalog::{SCHEMA_QUERY, SchemaDifference, SchemaRow, schema_differences};
use crate::proxy::Proxy;
use crate::types::ShardId;

/// How often the shards are asked when nobody changes tables through this proxy.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Pause before a look that is to confirm another: longer than commits of one DDL transaction are apart.
const CONFIRM_PAUSE: Duration = Duration::from_millis(500);

/// Looks again and again until cancelled; also whenever the catalog is asked for.
pub async fn watch_schemas(proxy: Arc<Proxy>, role: ServiceRole) {
    let rules = Arc::clone(&proxy.rules.load().rules);
    let mut links: Vec<ShardLink> =
        rules.shards.iter().map(|shard| ShardLink::new(shard, &role, &proxy.connector)).collect();
    loop {
        let ticket = proxy.requests.catalogs_wanted();
        let mut found = look(&proxy, &mut links).await;
        if found != *proxy.schemas.list() && !found.is_empty() {
            sleep(CONFIRM_PAUSE).await;
            let again = look(&proxy, &mut links).await;
            found.retain(|difference| again.contains(difference));
        }
        put_up(&proxy, found);
        let _ = timeout(LOOK_EVERY, proxy.requests.catalog_wanted(ticket)).await;
    }
}

/// Asks every shard; one that does not answer is left out.
async fn look(proxy: &Proxy, links: &mut [ShardLink]) -> Vec<SchemaDifference> {
    let mut shards = Vec::with_capacity(links.len());
    for (index, link) in links.iter_mut().enumerate() {
        match link.query(SCHEMA_QUERY).await {
            Ok(rows) => shards.push((ShardId(index as u16), rows.into_iter().filter_map(schema_row).collect())),
            Err(error) => debug!(error, "a shard does not tell its tables"),
        }
    }
    schema_differences(&proxy.rules.load().rules, &shards)
}

/// Reads one row of the query.
pub fn schema_row(row: Vec<Option<String>>) -> Option<SchemaRow> {
    let mut cells = row.into_iter();
    let mut cell = || cells.next().flatten();
    Some(SchemaRow { table: cell()?, kind: cell()?, name: cell()?, definition: cell()? })
}

fn put_up(proxy: &Proxy, found: Vec<SchemaDifference>) {
    let before = proxy.schemas.list();
    if *before == found {
        return;
    }
    let rules = &proxy.rules.load().rules;
    for difference in found.iter().filter(|difference| !before.contains(difference)) {
        warn!(shard = rules.shard(difference.shard).name, "{difference}");
    }
    if found.is_empty() {
        info!("the shards have the same tables again");
    }
    proxy.schemas.set(found);
}
