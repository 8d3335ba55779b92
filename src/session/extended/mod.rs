//! The extended protocol: messages gather into a pipeline, which runs at Sync or Flush.
//!
//! Runs of steps for one shard travel to it as one batch (`batch`); what the proxy answers itself, rewrites or spreads
//! over shards goes step by step (`stepwise`).

mod batch;
mod pipeline;
mod portal;

mod stepwise;

use std::collections::HashMap;
use std::rc::Rc;

use crate::types::ShardId;

use crate::execute::Prepared;
use pipeline::Step;
use portal::Portal;
pub(super) use stepwise::{row_part, with_formats};

/// The most portals that one client may hold in a transaction.
const PORTALS_MAX: usize = 1_000;

/// A client's prepared statements, portals and the pipeline at hand.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<String, Rc<Prepared>>,
    portals: HashMap<String, Rc<Portal>>,
    pipeline: Vec<Step>,
    /// After an error: everything up to Sync is ignored.
    skipping: bool,
    /// Open cursors of this transaction and the shard they live on.
    pub cursors: HashMap<String, ShardId>,
    /// Open WITH HOLD cursors and the shard they live on.
    pub held_cursors: HashMap<String, ShardId>,
}

impl Extended {
    /// Tells whether nothing has been gathered or bound since the last Sync.
    pub fn is_between_pipelines(&self) -> bool {
        self.pipeline.is_empty() && self.portals.is_empty()
    }

    /// Portals and cursors end with their transaction.
    pub fn forget_portals(&mut self) {
        self.portals.clear();
        self.cursors.clear();
    }

    /// `DEALLOCATE ALL`
    pub fn forget_statements(&mut self) {
        self.statements.clear();
    }

    /// `DEALLOCATE name`; tells whether it existed.
    pub fn forget_statement(&mut self, name: &str) -> bool {
        self.statements.remove(name).is_some()
    }

    /// `DISCARD ALL`
    pub fn forget_all(&mut self) {
        self.statements.clear();
        self.held_cursors.clear();
        self.forget_portals();
    }
}
