//! Fetches ranges of dense ids before segments are empty. One fetch per segment at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::outbox::Error;
use crate::proxy::{Fetched, Proxy};
use crate::rules::SegmentRule;

/// How long segments are left alone when nobody asks; a failed fetch is tried again after this, too.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs until cancelled.
pub async fn keep_segments(proxy: &Proxy) {
    let (mut told, mut failed_at) = (Fetched::default(), BTreeMap::new());
    loop {
        let rules = std::sync::Arc::clone(&proxy.rules.load().rules);
        let mut fetched = Fetched::default();
        for (name, rule) in &rules.ids.segments {
            let segment = proxy.ids.segment(name, rule.step);
            let Some(count) = segment.wants() else { continue };
            // Whoever waits for its ids rings again and again.
            let recently = failed_at.get(name).is_some_and(|at: &Instant| at.elapsed() < LOOK_EVERY);
            if let Some(trouble) = told.trouble.get(name).filter(|_| recently) {
                fetched.trouble.insert(name.clone(), trouble.clone());
                continue;
            }
            if let Err(trouble) = fetch(proxy, name, rule, count).await {
                if told.trouble.get(name) != Some(&trouble) {
                    warn!(segment = name, trouble, "no ids reserved");
                }
                failed_at.insert(name.clone(), Instant::now());
                fetched.trouble.insert(name.clone(), trouble);
            }
        }
        told.clone_from(&fetched);
        proxy.ids.set_fetched(fetched);
        let _ = timeout(LOOK_EVERY, proxy.ids.low()).await;
    }
}

/// Fetches one range; says why not.
async fn fetch(proxy: &Proxy, name: &str, rule: &SegmentRule, count: i64) -> Result<(), String> {
    let range = proxy.outbox.reserve_ids(name, rule.from, count).await.map_err(|error| said(&error))?;
    debug!(segment = name, from = range.start, count, "ids reserved");
    let put = proxy.ids.segment(name, rule.step).put(range, proxy.clock.monotonic());
    put.map_err(|error| error.to_string())
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
