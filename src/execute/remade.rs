//! Texts that the proxy makes of clients' prepared ones: with ids in them, or for one shard or physical table. A server
//! prepares those that come again, as it does the clients' own.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use quick_cache::Equivalent;
use quick_cache::unsync::Cache;

use crate::backend::Server;
use crate::plan::Statement;
use crate::sql;
use crate::wire::frontend::{self, Target};

use super::call::Call;
use super::link::Link;
use super::prepared::next;
use super::settings::changes_reading;

/// Stands for the number of a text that is not to be prepared.
const NEVER: u64 = u64::MAX;

/// Text, types of its parameters, and for whom it may be prepared.
type Key = (Box<str>, Box<[u32]>, Sharing);

/// Whom a prepared text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sharing {
    /// The generation of rules and catalog.
    pub generation: u64,
    /// The fingerprint of the settings that decide what its constants mean.
    pub reading: u64,
}

/// One worker's memory of such texts. Bounded in entries; texts over the bound are not remembered.
pub struct Remade {
    /// The number under which servers know it; 0 for what was met once.
    numbers: RefCell<Cache<Key, Cell<u64>>>,
    text_bytes_max: usize,
    ids: Rc<Cell<u64>>,
}

/// A key that owns nothing.
struct Borrowed<'a>(&'a str, &'a [u32], Sharing);

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1, self.2).hash(state);
    }
}

impl Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1 && self.2 == key.2
    }
}

impl Remade {
    /// Makes an empty memory; `ids` is what the worker's statements are numbered by.
    pub fn new(entries: usize, text_bytes_max: usize, ids: Rc<Cell<u64>>) -> Self {
        Self { numbers: RefCell::new(Cache::new(entries)), text_bytes_max, ids }
    }

    /// Returns the number of a text that comes again.
    fn number(&self, text: &str, types: &[u32], sharing: Sharing) -> Option<u64> {
        if text.len() > self.text_bytes_max {
            return None;
        }
        let mut numbers = self.numbers.borrow_mut();
        let Some(number) = numbers.get(&Borrowed(text, types, sharing)) else {
            // What means another moment each time is read anew each time.
            let fleeting = sql::speaks_of_the_present(text, &sql::literals(text));
            numbers.insert((text.into(), types.into(), sharing), Cell::new(if fleeting { NEVER } else { 0 }));
            return None;
        };
        if number.get() == 0 {
            number.set(next(&self.ids));
        }
        Some(number.get()).filter(|number| *number != NEVER)
    }

    /// Appends the messages that run `statement` on `server`, up to the ReadyForQuery they cause. Returns the number of a
    /// statement that is prepared for it: after an error [`Server::statements`] must forget it, since it may not be there.
    ///
    /// Without `sharing` the text is not prepared.
    pub fn write(
        &self,
        call: &Call,
        server: &mut Server,
        statement: &Statement,
        sharing: Option<Sharing>,
    ) -> Option<u64> {
        let known = sharing.filter(|_| call.arguments.is_some()).and_then(|sharing| {
            let types = call.types(statement);
            Some((self.number(call.sql(statement), &types, sharing)?, types))
        });
        let Some((number, types)) = known else {
            call.write(server.out(), statement);
            return None;
        };
        let name = format!("s{number}");
        if !server.statements.contains(number) {
            if let Some(evicted) = server.statements.insert(number) {
                frontend::write_close(server.out(), Target::Statement, &format!("s{evicted}"));
            }
            // An earlier one may be there still, after an error that told nothing of it.
            frontend::write_close(server.out(), Target::Statement, &name);
            frontend::write_parse(server.out(), &name, call.sql(statement), &types);
        }
        call.write_values(server.out(), statement, "", &name);
        frontend::write_execute(server.out(), "", 0);
        frontend::write_sync(server.out());
        Some(number)
    }
}

impl Link {
    /// Returns for whom servers may prepare texts now; `None` for nobody, as the open transaction has changed tables or
    /// what constants mean.
    pub(super) fn sharing(&self) -> Option<Sharing> {
        let reading = self.reading().filter(|_| !self.schema_dirty)?;
        Some(Sharing { generation: self.snapshot.generation, reading })
    }

    /// Returns the fingerprint of what decides how servers read texts; `None` if that is the session's alone: by settings
    /// of the open transaction, or by temporary tables, which may stand before others of their names.
    pub fn reading(&self) -> Option<u64> {
        let is_local = self.transaction.local_statements.iter().any(|text| changes_reading(text));
        (!is_local && !self.keeping.own_meanings).then(|| self.settings.reading())
    }
}

/// After an error nobody knows whether the statement was prepared.
pub(super) fn forget_failed(server: &mut Server, number: Option<u64>, failed: bool) {
    if let Some(number) = number.filter(|_| failed) {
        server.statements.remove(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_a_number_once_it_comes_again() {
        let ids = Rc::new(Cell::new(7));
        let remade = Remade::new(4, 100, Rc::clone(&ids));
        let first = Sharing { generation: 1, reading: 0 };
        assert_eq!(remade.number("insert", &[20], first), None);
        assert_eq!(remade.number("insert", &[20], first), Some(7));
        assert_eq!(remade.number("insert", &[20], first), Some(7));
        assert_eq!(remade.number("insert", &[23], first), None);
        for (number, other) in [(8, Sharing { generation: 2, ..first }), (9, Sharing { reading: 5, ..first })] {
            assert_eq!(remade.number("insert", &[20], other), None);
            assert_eq!(remade.number("insert", &[20], other), Some(number));
        }
        let fleeting = "insert values ('now')";
        assert_eq!((remade.number(fleeting, &[], first), remade.number(fleeting, &[], first)), (None, None));
        let long = "x".repeat(101);
        assert_eq!((remade.number(&long, &[], first), remade.number(&long, &[], first)), (None, None));
        assert_eq!(ids.get(), 10);
    }
}
