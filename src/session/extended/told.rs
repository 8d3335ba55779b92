//! What a client was told of the columns of a prepared statement, so that it never gets others unawares.
//!
//! PostgreSQL fails the use of a statement whose columns have changed, and drivers mend that by themselves. Servers
//! behind the proxy prepare the statement anew instead; the comparison with what this client knows is made here.

use std::cell::Cell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use bytes::Bytes;

use crate::execute::{Failure, Prepared};
use crate::types::{SqlState, USER_TYPES};
use crate::wire::backend;

use super::describe::row_part;

/// A client's statement: what it is, and what the client knows of it.
#[derive(Clone)]
pub(in super::super) struct Held {
    /// The statement, shared with other clients.
    pub prepared: Rc<Prepared>,
    /// What this client was told.
    pub told: Rc<Told>,
}

impl Held {
    /// Takes up a statement of which the client knows nothing yet.
    pub fn new(prepared: Rc<Prepared>, named: bool) -> Self {
        Self { prepared, told: Rc::new(Told { named, id: Cell::new(UNTOLD), columns: Cell::new(0) }) }
    }
}

/// The columns that a client was told.
pub(in super::super) struct Told {
    /// Whether the statement has a name; without one it seldom outlives its pipeline.
    named: bool,
    /// The number that the statement had on the servers then; it gets another when tables may have changed.
    id: Cell<u64>,
    /// A hash of the columns.
    columns: Cell<u64>,
}

/// The client was told nothing. Numbers of statements begin with 1.
const UNTOLD: u64 = 0;
/// The client was told what holds in a transaction that changed tables, and perhaps nowhere else.
const UNSURE: u64 = u64::MAX;
impl Told {
    /// Notes the answer to Describe; what is still to come of a pipeline with an unnamed statement needs no note.
    pub fn note_portal(&self, statement: &Prepared, remembers: bool, frame: &[u8]) {
        if self.wants_note(statement, remembers) {
            self.note(statement, remembers, columns(frame));
        }
    }

    /// Tells whether the answer to Describe of a portal is to be noted.
    pub fn wants_note(&self, statement: &Prepared, remembers: bool) -> bool {
        self.named && (self.id.get() != statement.id() || !remembers)
    }

    /// Notes the answer to Describe of the statement.
    pub fn note_statement(&self, statement: &Prepared, remembers: bool, frames: &Bytes) {
        if self.id.get() != statement.id() || !remembers {
            self.note(statement, remembers, columns(&row_part(frames)));
        }
    }

    fn note(&self, statement: &Prepared, remembers: bool, columns: u64) {
        self.id.set(if remembers { statement.id() } else { UNSURE });
        self.columns.set(columns);
    }

    /// Tells whether the columns may be others by now.
    pub fn is_outdated(&self, statement: &Prepared, remembers: bool) -> bool {
        let id = self.id.get();
        id != UNTOLD && (id != statement.id() || !remembers)
    }

    /// Tells whether the client knows the columns that servers gave the statement under its number.
    pub fn knows(&self, statement: &Prepared) -> bool {
        self.id.get() == statement.id()
    }

    /// Compares what the client was told with what holds now, and notes that it still does.
    ///
    /// # Errors
    /// PostgreSQL's own error, if they differ.
    pub fn check(&self, statement: &Prepared, remembers: bool, frames: &Bytes) -> Result<(), Failure> {
        self.check_frame(&row_part(frames)).map_err(|frame| Failure::Shard { frame })?;
        self.note(statement, remembers, self.columns.get());
        Ok(())
    }

    /// Compares what the client was told with a RowDescription or NoData.
    ///
    /// # Errors
    /// The frame of PostgreSQL's own error, if they differ.
    pub fn check_frame(&self, frame: &[u8]) -> Result<(), Bytes> {
        if columns(frame) == self.columns.get() { Ok(()) } else { Err(outdated()) }
    }
}

/// Returns the error that drivers know: they look at its routine too.
fn outdated() -> Bytes {
    let fields = [
        (b'S', "ERROR"),
        (b'V', "ERROR"),
        (b'C', SqlState::FEATURE_NOT_SUPPORTED.code()),
        (b'M', "cached plan must not change result type"),
        (b'R', "RevalidateCachedQuery"),
    ];
    let mut frame = bytes::BytesMut::new();
    backend::write_error_fields(&mut frame, b'E', &fields);
    frame.freeze()
}

/// Returns a hash of what must not change in a RowDescription: not formats, nor what differs from shard to shard.
fn columns(frame: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    if frame.first() == Some(&b'T')
        && let Ok(fields) = backend::row_description(&frame[5..])
    {
        for field in fields {
            let type_oid = Some(field.type_oid).filter(|oid| *oid < USER_TYPES);
            (field.name, type_oid, field.type_size, field.type_modifier).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::backend::Field;

    fn frame(name: &str, type_oid: u32, format: i16, table_oid: u32) -> Vec<u8> {
        let mut out = bytes::BytesMut::new();
        let field =
            Field { name: name.to_owned(), table_oid, column: 1, type_oid, type_size: 4, type_modifier: -1, format };
        backend::write_row_description(&mut out, &[field]);
        out.to_vec()
    }

    #[test]
    fn only_what_a_client_would_misread_counts() {
        let known = columns(&frame("a", 23, 0, 16_500));
        assert_eq!(known, columns(&frame("a", 23, 1, 16_700)), "formats and tables are another matter");
        assert_ne!(known, columns(&frame("b", 23, 0, 16_500)));
        assert_ne!(known, columns(&frame("a", 25, 0, 16_500)));
        assert_eq!(columns(&frame("a", 16_400, 0, 1)), columns(&frame("a", 16_800, 0, 1)), "made by users");
        assert_ne!(columns(&frame("a", 16_383, 0, 1)), columns(&frame("a", 16_384, 0, 1)));
        let mut none = bytes::BytesMut::new();
        backend::write_no_data(&mut none);
        assert_ne!(columns(&none), known);
    }
}
