//! What proxies tell each other of home's catalog: who has found a change says so on home, so that the others plan by it at
//! once and not only after their next look.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::link::{ServiceRole, ShardLink};
use crate::proxy::Proxy;

/// Where it is said.
const CHANNEL: &str = "shardloom_catalog";

/// Pause after a look: any client of home may say what it likes, as often as it likes.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

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
    let (news, mut said) = watch::channel(());
    let hearing = async {
        loop {
            let heard = |teller: &str| {
                if teller != proxy.name {
                    news.send_replace(());
                }
            };
            // What was said while nobody listened is not said again.
            if let Err(error) = home.listen(CHANNEL, || heard(""), heard).await {
                debug!(error, "other proxies' changes of the catalog are not heard");
            }
            sleep(LISTEN_AGAIN).await;
        }
    };
    let looking = async {
        while said.changed().await.is_ok() {
            proxy.requests.refresh_catalog();
            sleep(LOOK_PAUSE).await;
        }
    };
    tokio::join!(hearing, looking);
}
