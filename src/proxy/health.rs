//! Which shards answer, as the control thread's probe saw them last, and what keeps the proxy from being ready.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether a shard answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardState {
    /// Not probed yet.
    Unknown,
    /// Answered the last probe.
    Up,
    /// Did not; the text says why.
    Down(String),
}

/// The state of every shard by name.
#[derive(Debug, Default)]
pub struct HealthBoard {
    shards: Mutex<BTreeMap<String, (ShardState, i64)>>,
}

/// What has to be true before `/readyz` says so.
#[derive(Debug, Default)]
pub struct Readiness {
    listeners_up: AtomicUsize,
    worker_leased: AtomicBool,
    schema_installed: AtomicBool,
    catalog_loaded: AtomicBool,
}

impl ShardState {
    /// Returns the word that `SHOW SHARDS` and `status --json` print.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down(_) => "down",
        }
    }

    /// Returns why the shard is down.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::Up => None,
            Self::Down(error) => Some(error),
        }
    }
}

impl HealthBoard {
    /// Notes what a probe found; tells whether the shard changed between up and down.
    pub fn note(&self, shard: &str, state: ShardState, now_ms: i64) -> bool {
        let mut shards = self.lock();
        let entry = shards.entry(shard.to_owned()).or_insert((ShardState::Unknown, now_ms));
        let changed = entry.0.word() != state.word();
        let since_ms = if changed { now_ms } else { entry.1 };
        *entry = (state, since_ms);
        changed
    }

    /// Returns a shard's state and since when it is in it (milliseconds since the UNIX epoch).
    pub fn state(&self, shard: &str) -> (ShardState, Option<i64>) {
        match self.lock().get(shard) {
            Some((state, since_ms)) => (state.clone(), Some(*since_ms)),
            None => (ShardState::Unknown, None),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (ShardState, i64)>> {
        self.shards.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Readiness {
    /// Says that one more worker listens.
    pub fn listener_up(&self) {
        self.listeners_up.fetch_add(1, Ordering::AcqRel);
    }

    /// Says whether a worker id for ids is held.
    pub fn set_worker_leased(&self, leased: bool) {
        self.worker_leased.store(leased, Ordering::Release);
    }

    /// Says that home has the `shardloom` schema.
    pub fn set_schema_installed(&self) {
        self.schema_installed.store(true, Ordering::Release);
    }

    /// Tells whether home has the `shardloom` schema.
    pub fn is_schema_installed(&self) -> bool {
        self.schema_installed.load(Ordering::Acquire)
    }

    /// Says that home's catalog was read.
    pub fn set_catalog_loaded(&self) {
        self.catalog_loaded.store(true, Ordering::Release);
    }

    /// Returns what is still missing with `workers` listeners wanted; empty when ready.
    pub fn missing(&self, workers: usize) -> Vec<&'static str> {
        let conditions = [
            (self.listeners_up.load(Ordering::Acquire) >= workers, "listeners are not up yet"),
            (self.schema_installed.load(Ordering::Acquire), "the shardloom schema is not installed on home yet"),
            (self.catalog_loaded.load(Ordering::Acquire), "home's catalog is not read yet"),
            (self.worker_leased.load(Ordering::Acquire), "no worker id for generated ids is leased"),
        ];
        conditions.into_iter().filter(|(met, _)| !met).map(|(_, reason)| reason).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_word_moves_since() {
        let board = HealthBoard::default();
        assert!(board.note("s0", ShardState::Down("refused".into()), 5));
        assert!(!board.note("s0", ShardState::Down("time-out".into()), 9));
        assert_eq!(board.state("s0"), (ShardState::Down("time-out".into()), Some(5)));
        assert!(board.note("s0", ShardState::Up, 12));
        assert_eq!(board.state("s1").0, ShardState::Unknown);
    }

    #[test]
    fn ready_only_when_all_listeners_the_schema_and_the_lease_are_there() {
        let readiness = Readiness::default();
        assert_eq!(readiness.missing(1).len(), 4);
        readiness.listener_up();
        readiness.set_schema_installed();
        readiness.set_catalog_loaded();
        readiness.set_worker_leased(true);
        assert!(readiness.missing(1).is_empty());
        assert_eq!(readiness.missing(2), ["listeners are not up yet"]);
        readiness.set_worker_leased(false);
        assert_eq!(readiness.missing(1), ["no worker id for generated ids is leased"]);
    }
}
