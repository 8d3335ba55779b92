//! Fetches ranges of dense ids before segments are empty. One fetch per segment at a time.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{debug, warn};

use crate::outbox::Error;
use crate::proxy::{Fetched, Proxy};

/// How long segments are left alone when nobody asks; a failed fetch is tried again after this, too.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs until cancelled.
pub async fn keep_segments(proxy: &Proxy) {
    loop {
        let rules = std::sync::Arc::clone(&proxy.rules.load().rules);
        let mut fetched = Fetched::default();
        for (name, rule) in &rules.ids.segments {
            let segment = proxy.ids.segment(name, rule.step);
            let Some(count) = segment.wants() else { continue };
            match proxy.outbox.reserve_ids(name, rule.from, count).await {
                Ok(range) => {
                    debug!(segment = name, from = range.start, count, "ids reserved");
                    if let Err(error) = segment.put(range, proxy.clock.monotonic()) {
                        warn!(segment = name, %error, "ids reserved cannot be used");
                        fetched.trouble.insert(name.clone(), error.to_string());
                    }
                }
                Err(error) => {
                    warn!(segment = name, %error, "no ids reserved");
                    fetched.trouble.insert(name.clone(), said(&error));
                }
            }
        }
        proxy.ids.set_fetched(fetched);
        let _ = timeout(LOOK_EVERY, proxy.ids.low()).await;
    }
}

/// Says what is wrong, and what to do where the table is missing or was altered.
fn said(error: &Error) -> String {
    match error.sqlstate() {
        Some("42P01" | "42703") => format!(
            "{error}. Restore shardloom.id_segment; or drop what is left of it, DELETE FROM shardloom.version on that shard, and \
             restart the proxy, which makes it anew: set the segment's from above its greatest id first."
        ),
        Some(_) | None => error.to_string(),
    }
}
