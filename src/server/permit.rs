//! Hands the leased worker id from the outbox, which leases it, to the generator, which stamps it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::id_metrics::CountedIds;
use super::outbox_metrics::Counted;
use crate::proxy::Proxy;
use crate::snowflake::WorkerPermit;

/// How often the lease's validity and the outbox's figures are published while the lease stays as it is.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);

/// Follows the lease until cancelled, and publishes the outbox's figures on the way.
pub async fn follow_lease(proxy: &Proxy, mut permits: watch::Receiver<Option<Arc<WorkerPermit>>>) {
    let (mut counted, mut counted_ids) = (Counted::default(), CountedIds::default());
    loop {
        let permit = permits.borrow_and_update().clone();
        hand_over(proxy, permit.as_ref());
        loop {
            let valid = permit.as_ref().is_some_and(|permit| permit.is_valid_at(proxy.clock.monotonic()));
            proxy.readiness.set_worker_leased(valid);
            counted.publish(proxy.outbox.metrics(), &proxy.metrics);
            counted_ids.publish(proxy);
            match timeout(PUBLISH_EVERY, permits.changed()).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
    }
}

fn hand_over(proxy: &Proxy, permit: Option<&Arc<WorkerPermit>>) {
    match permit {
        Some(permit) => match proxy.ids.set_permit(permit) {
            Ok(()) => info!(worker = permit.worker(), "ids are stamped with the leased worker id"),
            Err(error) => warn!(worker = permit.worker(), %error, "the leased worker id cannot be used"),
        },
        None => proxy.ids.clear_permit(),
    }
}
