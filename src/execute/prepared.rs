//! A prepared statement of a client, shared by all clients of the worker that prepared the same text.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;

use crate::sql::Literal;

use super::understand::Understood;

/// Fingerprints of settings that one statement is kept for.
const READINGS_MAX: usize = 16;

/// Text and declared types, understood once.
pub struct Prepared {
    /// Names the statement on servers: `s{id}`; anew when tables or rules changed, since servers keep result types.
    pub(super) id: Cell<u64>,
    /// Whether a constant in it may mean the present, so that servers must read it anew each time.
    pub fleeting: bool,
    /// Its numbers for sessions to whose settings constants mean something else than to most, by fingerprint.
    pub(super) others: RefCell<Vec<(u64, u64)>>,
    /// The next number of the worker.
    pub(super) ids: Rc<Cell<u64>>,
    /// The text.
    pub sql: Rc<str>,
    /// Declared parameter types.
    pub types: Vec<u32>,
    /// The literals of the text; its meaning may have been found with other literals in their places.
    pub literals: Rc<[Literal]>,
    /// What it means, and under which generation of the rules that was found out.
    pub meaning: RefCell<Rc<Understood>>,
    /// What a server said that it takes and returns.
    pub description: RefCell<Option<Description>>,
    /// How often it was bound on this worker; what is bound once stays unnamed on the servers.
    pub uses: Cell<u32>,
}

/// ParameterDescription, then RowDescription or NoData, as frames.
#[derive(Debug, Clone)]
pub struct Description {
    /// The generation of rules and catalog under which it was given.
    pub generation: u64,
    /// The frames.
    pub frames: Bytes,
}

impl Description {
    /// Tells whether the statement returns rows: the last frame is not NoData.
    pub fn has_rows(&self) -> bool {
        !self.frames.ends_with(b"n\0\0\0\x04")
    }
}

impl Prepared {
    /// Returns its number among the worker's statements.
    pub fn id(&self) -> u64 {
        self.id.get()
    }

    /// Returns the number under which servers know it for sessions with this fingerprint of [`Settings::reading`].
    ///
    /// [`Settings::reading`]: super::settings::Settings::reading
    pub fn number(&self, reading: u64) -> u64 {
        if reading == 0 {
            return self.id.get();
        }
        let mut others = self.others.borrow_mut();
        if let Some((_, number)) = others.iter().find(|(known, _)| *known == reading) {
            return *number;
        }
        if others.len() >= READINGS_MAX {
            others.remove(0);
        }
        let number = next(&self.ids);
        others.push((reading, number));
        number
    }

    /// Takes a new number, so that servers prepare it again; the old one ages out of their caches.
    pub fn renew(&self) {
        self.id.set(next(&self.ids));
        self.others.borrow_mut().clear();
        *self.description.borrow_mut() = None;
    }
}

/// Draws the next number.
pub(super) fn next(ids: &Cell<u64>) -> u64 {
    ids.replace(ids.get() + 1)
}
