//! What the workers' pools look like, published by each worker for the console and the metrics.
//!
//! A worker's pools belong to its thread; others see the figures it wrote here last.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// The figures of one pool of one worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolFigures {
    /// The shard's name.
    pub shard: String,
    /// The database on that server.
    pub database: String,
    /// The role on that server.
    pub user: String,
    /// Connections lent to clients.
    pub active: usize,
    /// Connections at rest.
    pub idle: usize,
    /// Clients that wait for one.
    pub waiting: usize,
    /// How long the first of them has waited, in microseconds.
    pub wait_us: u64,
    /// The longest wait so far, in milliseconds.
    pub wait_ms_max: u64,
    /// Whether nothing is lent now.
    pub paused: bool,
}

/// The last figures of every worker.
#[derive(Debug, Default)]
pub struct PoolBoard {
    workers: Mutex<BTreeMap<usize, Vec<PoolFigures>>>,
}

impl PoolBoard {
    /// Replaces the figures of `worker`.
    pub fn publish(&self, worker: usize, figures: Vec<PoolFigures>) {
        self.lock().insert(worker, figures);
    }

    /// Returns all figures with their worker, ordered by worker.
    pub fn list(&self) -> Vec<(usize, PoolFigures)> {
        let workers = self.lock();
        workers.iter().flat_map(|(worker, pools)| pools.iter().map(|pool| (*worker, pool.clone()))).collect()
    }

    /// A panic while the lock was held leaves figures that are old at worst.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Vec<PoolFigures>>> {
        self.workers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_replaces_only_its_own_figures() {
        let board = PoolBoard::default();
        let pool = |active| PoolFigures { shard: "s0".into(), active, ..PoolFigures::default() };
        board.publish(1, vec![pool(1)]);
        board.publish(0, vec![pool(2)]);
        board.publish(1, vec![pool(3)]);
        let active: Vec<_> = board.list().into_iter().map(|(worker, pool)| (worker, pool.active)).collect();
        assert_eq!(active, [(0, 2), (1, 3)]);
    }
}
