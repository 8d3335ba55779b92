//! The configuration in force: what RELOAD may change of it, swapped whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::config::Config;

/// The configuration as it was read last. Its sections `pool`, `databases`, `limits`, `users` and `passthrough` are in
/// force; what needs a restart is in [`Proxy::config`](super::Proxy).
#[derive(Debug)]
pub struct Live {
    config: ArcSwap<Config>,
    generation: AtomicU64,
}

impl Live {
    /// Starts with the configuration of the start.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config: ArcSwap::new(config), generation: AtomicU64::new(0) }
    }

    /// Returns the configuration in force.
    pub fn load(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Returns how often it was replaced.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts another one in force.
    pub fn replace(&self, config: Config) {
        self.config.store(Arc::new(config));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
