//! What one worker's clients share, and the way of a client from the listener to its session.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pool_policy::pool_settings;
use crate::backend::{Pools, ServerTarget};
use crate::execute::{Limits, Plans, Stream, Worker};
use crate::proxy::{Proxy, Stranger};
use crate::session;

/// How long a write waits for the redo of what was lost on its shard: a start installs the schema first, and a home
/// that does not answer is given up after the same time (`OutboxBounds::gate_home_wait`).
const GATE_WAIT: Duration = Duration::from_secs(10);

/// What one worker's clients share. Belongs to the worker's thread.
#[derive(Clone)]
pub struct Conversations {
    worker: Rc<Worker>,
}

impl Conversations {
    /// Makes what the clients of one worker share; server connections are counted over all workers.
    pub fn new(proxy: Arc<Proxy>) -> Self {
        let policy = {
            let proxy = Arc::clone(&proxy);
            Box::new(move |target: &ServerTarget| pool_settings(&proxy, target))
        };
        let pools = Pools::over(Arc::clone(&proxy.allowance), proxy.servers.clone(), policy);
        let limits = &proxy.config.limits;
        let plans = Plans::new(limits.plan_cache, limits.plan_cache_text, Arc::clone(&proxy.metrics));
        let plans = plans.counting(Arc::clone(&proxy.routes));
        let limits = Limits {
            gate_wait: GATE_WAIT.max(limits.wait_timeout),
            commit_timeout: limits.commit_timeout,
            cross_shard_lock_timeout: limits.cross_shard_lock_timeout,
            wait_timeout: limits.wait_timeout,
            group_rows: limits.group_rows,
            gather_rows: limits.gather_rows,
        };
        Self { worker: Rc::new(Worker::new(proxy, pools, plans, limits)) }
    }

    /// Serves one client, a stranger at first, until it leaves or the drain closes it.
    pub async fn run(&self, client: Stream, stranger: Stranger) {
        session::run(client, Rc::clone(&self.worker), stranger).await;
    }

    /// Returns this worker's server connections.
    pub fn pools(&self) -> &Pools {
        &self.worker.pools
    }
}
