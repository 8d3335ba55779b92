//! Clients' named statements and the names under which servers know them.
//!
//! The same text with the same parameter types under the same settings is one statement for all clients of a worker,
//! so that a server connection prepares it once.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use quick_cache::unsync::Cache;

use super::consequences::Reading;

/// Statements that clients share, per worker; what falls out is prepared anew under another name.
const SHARED_MAX: usize = 4096;

/// Begins every name on servers, so that a client's own name for what it never prepared cannot meet one by chance.
const PREFIX: &str = "shardloom_";

/// A statement that some client prepared under a name.
#[derive(Debug)]
pub struct Named {
    id: Cell<u64>,
    name: RefCell<Box<str>>,
    next: Rc<Cell<u64>>,
    /// What follows the name in its Parse message: text and parameter types.
    pub body: Box<[u8]>,
    /// What its text leaves behind.
    pub reading: Rc<Reading>,
}

/// The fingerprint of the settings, how often the schema was changed, and what follows the name in Parse.
type Key = (u64, u64, Box<[u8]>);

/// One worker's named statements.
pub struct StatementNames {
    shared: RefCell<Cache<Key, Rc<Named>>>,
    next: Rc<Cell<u64>>,
}

impl Default for StatementNames {
    fn default() -> Self {
        Self { shared: RefCell::new(Cache::new(SHARED_MAX)), next: Rc::new(Cell::new(1)) }
    }
}

impl StatementNames {
    /// Returns the statement for a Parse body without its name; `settings` is the fingerprint of the session's
    /// settings, which may change what literals in the text mean, and `changes` how often the schema was changed: a
    /// server would read the text anew after that.
    pub fn shared(&self, settings: u64, changes: u64, body: &[u8], reading: Rc<Reading>) -> Rc<Named> {
        let key = (settings, changes, Box::from(body));
        if let Some(known) = self.shared.borrow().get(&key) {
            return Rc::clone(known);
        }
        let named = self.own(body, reading);
        self.shared.borrow_mut().insert(key, Rc::clone(&named));
        named
    }

    /// Returns a statement that no other client shares.
    pub fn own(&self, body: &[u8], reading: Rc<Reading>) -> Rc<Named> {
        let id = draw(&self.next);
        let name = RefCell::new(server_name(id).into());
        Rc::new(Named { id: Cell::new(id), name, next: Rc::clone(&self.next), body: body.into(), reading })
    }
}

impl Named {
    /// Returns its number among the worker's statements.
    pub fn id(&self) -> u64 {
        self.id.get()
    }

    /// Takes a new number, so that servers prepare it again; the old one ages out of their caches.
    pub fn renew(&self) {
        self.id.set(draw(&self.next));
        *self.name.borrow_mut() = server_name(self.id()).into();
    }

    /// Returns the name under which servers know it.
    pub fn name(&self) -> Ref<'_, str> {
        Ref::map(self.name.borrow(), |name| &**name)
    }
}

/// Returns the name under which servers know statement `id`.
pub fn server_name(id: u64) -> String {
    format!("{PREFIX}{id}")
}

/// Tells whether a client's name could be taken for one of a server's.
pub fn is_server_name(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

fn draw(next: &Cell<u64>) -> u64 {
    next.replace(next.get() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_under_the_same_settings_and_schema_is_one_statement() {
        let names = StatementNames::default();
        let shared = |settings, changes, body: &[u8]| names.shared(settings, changes, body, Rc::default()).id();
        let one = shared(0, 0, b"SELECT 1\0\0\0");
        assert_eq!(shared(0, 0, b"SELECT 1\0\0\0"), one);
        assert_ne!(shared(7, 0, b"SELECT 1\0\0\0"), one);
        assert_ne!(shared(0, 1, b"SELECT 1\0\0\0"), one);
        assert_ne!(shared(0, 0, b"SELECT 2\0\0\0"), one);
    }

    #[test]
    fn a_renewed_statement_has_another_name() {
        let named = StatementNames::default().own(b"SELECT 1\0\0\0", Rc::default());
        let before = named.name().to_owned();
        named.renew();
        assert_ne!(*named.name(), before);
        assert!(is_server_name(before.as_bytes()) && !is_server_name(b"shop"));
    }
}
