//! The extended protocol: messages gather into a pipeline, which runs at Sync or Flush.
//!
//! Runs of steps for one shard travel to it as one batch (`batch`); what the proxy answers itself, rewrites or spreads
//! over shards goes step by step (`stepwise`).

mod batch;
mod describe;
mod pipeline;
mod portal;
mod stepwise;
mod told;
mod undo;

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;

use crate::execute::Cursor;
use crate::types::{Refusal, ShardId, SqlState};

use super::control::too_many_statements;
use super::cursors::OpenCursor;

pub(super) use describe::{row_part, with_formats};
use pipeline::Step;
pub(super) use pipeline::no_portal;
use portal::Portal;
pub(super) use told::Held;
use undo::Undo;

/// The most portals that one client may hold in a transaction.
const PORTALS_MAX: usize = 1_000;

/// A client's prepared statements, portals and the pipeline at hand.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<String, Held>,
    portals: HashMap<String, Rc<Portal>>,
    pipeline: Vec<Step>,
    /// A message that is read again when ids of a segment have come.
    awaiting: Option<Box<(u8, Bytes)>>,
    /// What the steps of the pipeline did to the names above, for those that will never run.
    undo: Undo,
    /// Steps at the end of the last batch that its server did not answer, because of an error.
    unanswered: usize,
    /// After an error: everything up to Sync is ignored.
    skipping: bool,
    /// Open cursors of this transaction and the shard they live on.
    pub cursors: HashMap<String, ShardId>,
    /// Open cursors of this transaction over several shards.
    pub open_cursors: HashMap<String, OpenCursor>,
    /// How many reads over several shards were opened in portions.
    cursors_opened: u64,
    /// Open WITH HOLD cursors and the shard they live on.
    pub held_cursors: HashMap<String, ShardId>,
}

impl Extended {
    /// Tells whether nothing has been gathered or bound since the last Sync.
    pub fn is_between_pipelines(&self) -> bool {
        self.pipeline.is_empty() && self.portals.is_empty()
    }

    /// Returns the shard of an open cursor, if there is one of this name.
    pub fn cursor(&self, name: &str) -> Option<ShardId> {
        self.cursors.get(name).or_else(|| self.held_cursors.get(name)).copied()
    }

    /// Tells of a portal of this name, if there is one, on which server it is open, if on one.
    pub fn portal(&self, name: &str) -> Option<Option<ShardId>> {
        self.portals.get(name).map(|portal| portal.open_on.get())
    }

    /// Returns the number of the next read in portions: its portals have it in their names.
    pub fn next_cursor(&mut self) -> u64 {
        self.cursors_opened += 1;
        self.cursors_opened
    }

    /// Takes what is left of a portal over several shards, to be put back.
    pub fn take_portal_cursor(&self, name: &str) -> Option<Cursor> {
        self.portals.get(name)?.cursor.take()
    }

    /// Puts back what [`Extended::take_portal_cursor`] took.
    pub fn put_portal_cursor(&self, name: &str, cursor: Cursor) {
        if let Some(portal) = self.portals.get(name) {
            *portal.cursor.borrow_mut() = Some(cursor);
        }
    }

    /// Portals and cursors end with their transaction.
    pub fn forget_portals(&mut self) {
        self.portals.clear();
        self.cursors.clear();
        self.open_cursors.clear();
    }

    /// Portals that were bound inside of the savepoint at `position` end when the transaction goes back to it.
    pub fn forget_portals_inside(&mut self, position: usize) {
        self.portals.retain(|_, portal| portal.level.get() <= position);
        self.open_cursors.retain(|_, open| open.level <= position);
    }

    /// Portals that were bound inside of the savepoint at `position` belong to what is around it from now on.
    pub fn release_portals(&mut self, position: usize) {
        for open in self.open_cursors.values_mut() {
            open.level = open.level.min(position);
        }
        for portal in self.portals.values() {
            portal.level.set(portal.level.get().min(position));
        }
    }

    /// Returns the client's statement of this name, whether the protocol or SQL prepared it.
    pub fn statement(&self, name: &str) -> Option<&Held> {
        self.statements.get(name)
    }

    /// Keeps a statement that SQL prepared.
    pub fn add_statement(&mut self, name: &str, held: Held) {
        self.statements.insert(name.to_owned(), held);
    }

    /// Checks that the client may prepare one more statement of this name, of at most `most` in all.
    ///
    /// # Errors
    /// The name is taken, or there are too many.
    pub fn check_room(&self, name: &str, most: usize) -> Result<(), Refusal> {
        if !name.is_empty() && self.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Refusal::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        if self.statements.len() >= most && !self.statements.contains_key(name) {
            return Err(too_many_statements(most));
        }
        Ok(())
    }

    /// A Query takes the place of the unnamed statement and portal.
    pub fn forget_unnamed(&mut self) {
        self.statements.remove("");
        self.portals.remove("");
    }

    /// `DEALLOCATE ALL`; the unnamed statement is none that SQL speaks of.
    pub fn forget_statements(&mut self) {
        self.statements.retain(|name, _| name.is_empty());
    }

    /// `DEALLOCATE name`; tells whether it existed.
    pub fn forget_statement(&mut self, name: &str) -> bool {
        self.statements.remove(name).is_some()
    }

    /// `DISCARD ALL`
    pub fn forget_all(&mut self) {
        self.forget_statements();
        self.held_cursors.clear();
        self.forget_portals();
    }
}
