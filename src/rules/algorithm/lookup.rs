//! `algorithm: lookup`: a table on home says which bucket a key has, and what it has said is remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use dashmap::DashMap;

use crate::types::{BucketId, KeyValue};

/// The most keys that a group remembers, some 100 bytes each; one more, and it begins anew.
const KEYS_MAX: usize = 1 << 20;

/// The table that is asked, and its answers so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The table on home, folded, with its schema unless that is `public`.
    pub table: String,
    /// Its column with the keys, folded.
    pub key: String,
    /// Its column with the buckets, folded.
    pub bucket: String,
    /// What it has answered.
    pub directory: Arc<Directory>,
}

/// The buckets that have been looked up, for all threads; a key keeps its bucket as long as the process lives.
///
/// Memory, not a rule: directories are equal and print alike.
#[derive(Default)]
pub struct Directory {
    known: DashMap<KeyValue, BucketId>,
    /// The keys that each thread has asked for in vain. Planning does not wait, so that what a thread has missed when it
    /// has planned is what that plan needs.
    missed: Mutex<HashMap<ThreadId, Vec<KeyValue>>>,
    /// How many threads have missed some: most plans miss none, and need no lock to know it.
    missing: AtomicUsize,
}

impl Directory {
    /// Returns the bucket of a key; one that nobody has looked up is noted.
    pub(super) fn bucket_of(&self, key: &KeyValue) -> Option<BucketId> {
        let known = self.known.get(key).map(|bucket| *bucket);
        if known.is_none() {
            let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
            missed.entry(thread::current().id()).or_default().push(key.clone());
            self.missing.store(missed.len(), Ordering::Relaxed);
        }
        known
    }

    /// Takes the keys that this thread has asked for in vain.
    pub fn take_missed(&self) -> Vec<KeyValue> {
        // Whoever notes and takes is one thread, which sees its own stores.
        if self.missing.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = missed.remove(&thread::current().id());
        self.missing.store(missed.len(), Ordering::Relaxed);
        taken.unwrap_or_default()
    }

    /// Remembers what the table has answered.
    pub fn learn(&self, answers: impl IntoIterator<Item = (KeyValue, BucketId)>) {
        if self.known.len() >= KEYS_MAX {
            self.known.clear();
        }
        for (key, bucket) in answers {
            self.known.insert(key, bucket);
        }
    }
}

impl PartialEq for Directory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Directory {}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}
