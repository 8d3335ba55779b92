//! How often the tables, types and functions of each unsharded database have been changed through the proxy.
//!
//! A text prepared before a change may not be taken for the same text prepared after it. What is changed past the proxy
//! is not counted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// Databases that share a count lose nothing but a few statements prepared once more.
const COUNTS: usize = 64;

/// The changes of all databases.
pub struct SchemaChanges([AtomicU64; COUNTS]);

/// One database's place in [`SchemaChanges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaPlace(usize);

impl SchemaPlace {
    /// Returns the place of a database.
    pub fn of(database: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        database.hash(&mut hasher);
        Self(hasher.finish() as usize % COUNTS)
    }
}

impl Default for SchemaChanges {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl SchemaChanges {
    /// Returns how many changes there have been.
    pub fn count(&self, place: SchemaPlace) -> u64 {
        self.0[place.0].load(Ordering::Acquire)
    }

    /// Counts a change, when it is sent and when its transaction is over.
    pub fn note(&self, place: SchemaPlace) {
        self.0[place.0].fetch_add(1, Ordering::Release);
    }
}
