//! What proxies tell each other of home's catalog: who has found a change says so on home, so that the others plan by it at
//! once and not only after their next look.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::debug;

use super::link::{ServiceRole, ShardLink};
use crate::proxy::Proxy;

/// Where it is said.
const CHANNEL: &str = "shardloom_catalog";

/// Pause before listening again after the connection was lost.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Says that the catalog has changed. Who does not hear it looks by itself before long.
pub(super) async fn tell(proxy: &Proxy, home: &mut ShardLink) {
    let own = proxy.name.replace('\'', "''");
    if let Err(error) = home.query(&format!("SELECT pg_catalog.pg_notify('{CHANNEL}', '{own}')")).await {
        debug!(error, "other proxies were not told that the catalog changed");
    }
}

/// Has the catalog read again whenever another proxy says that it changed; until cancelled.
pub(super) async fn hear(proxy: Arc<Proxy>, role: ServiceRole) {
    let rules = Arc::clone(&proxy.rules.load().rules);
    let home = ShardLink::new(rules.shard(rules.home), &role, &proxy.connector);
    loop {
        let heard = |teller: &str| {
            if teller != proxy.name {
                proxy.requests.refresh_catalog();
            }
        };
        // What was said while nobody listened is not said again.
        let begun = || {
            proxy.requests.refresh_catalog();
        };
        if let Err(error) = home.listen(CHANNEL, begun, heard).await {
            debug!(error, "other proxies' changes of the catalog are not heard");
        }
        sleep(LISTEN_AGAIN).await;
    }
}
