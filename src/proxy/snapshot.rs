//! The rules in force: one immutable snapshot, swapped whole, the last good one kept.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::plan::catalog::Catalog;
use crate::rules::RuleSet;

/// What a session plans on. Fixed for a transaction.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Columns, types and functions as home has them.
    pub catalog: Arc<Catalog>,
    /// Rises by one with every swap, of rules and of catalogs; plans of older generations are made anew.
    pub generation: u64,
    /// Milliseconds since the UNIX epoch at which the rules were read.
    pub loaded_ms: i64,
    /// Where the rules came from, as `SHOW RULES` prints it.
    pub source: String,
}

/// Why the last reload was refused; the rules before it stay in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadError {
    /// Milliseconds since the UNIX epoch.
    pub at_ms: i64,
    /// One line per finding, `file:line:column: message`.
    pub findings: Vec<String>,
}

/// Returns the catalog with the split tables of these rules.
fn adopted(catalog: &Arc<Catalog>, rules: &RuleSet) -> Arc<Catalog> {
    if rules.physical.is_empty() {
        return Arc::clone(catalog);
    }
    let mut catalog = Catalog::clone(catalog);
    catalog.adopt(rules);
    Arc::new(catalog)
}

/// The swap itself.
#[derive(Debug)]
pub struct Rules {
    current: ArcSwap<Snapshot>,
    last_error: ArcSwapOption<ReloadError>,
}

impl Rules {
    /// Starts with rules that were checked, generation 1, and an empty catalog.
    pub fn new(rules: RuleSet, source: String, loaded_ms: i64) -> Self {
        let snapshot = Snapshot { rules: Arc::new(rules), catalog: Arc::default(), generation: 1, loaded_ms, source };
        Self { current: ArcSwap::from_pointee(snapshot), last_error: ArcSwapOption::empty() }
    }

    /// Returns the snapshot in force.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Returns the generation in force without taking a reference to the snapshot.
    pub fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// Puts checked rules in force and forgets the last reload error.
    pub fn swap(&self, rules: RuleSet, source: String, loaded_ms: i64) {
        let rules = Arc::new(rules);
        self.current.rcu(|current| Snapshot {
            rules: Arc::clone(&rules),
            catalog: adopted(&current.catalog, &rules),
            generation: current.generation + 1,
            loaded_ms,
            source: source.clone(),
        });
        self.last_error.store(None);
    }

    /// Puts a fresh catalog in force.
    pub fn swap_catalog(&self, catalog: Catalog) {
        let catalog = Arc::new(catalog);
        self.current.rcu(|current| Snapshot {
            catalog: Arc::clone(&catalog),
            generation: current.generation + 1,
            ..Snapshot::clone(current)
        });
    }

    /// Notes that a reload was refused.
    pub fn refuse(&self, error: ReloadError) {
        self.last_error.store(Some(Arc::new(error)));
    }

    /// Forgets the last reload error: the files say again what is in force.
    pub fn forget_error(&self) {
        self.last_error.store(None);
    }

    /// Returns why the last reload was refused, `None` when it was not.
    pub fn last_error(&self) -> Option<Arc<ReloadError>> {
        self.last_error.load_full()
    }
}
