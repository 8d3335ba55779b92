//! A worker's memory of whose part merging is: whether the proxy itself can compare what a statement's shards send.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sql::{Skeleton, mask};

/// The most statements that are remembered; after that all are forgotten.
const STATEMENTS_MAX: usize = 4_096;

/// By statement, whether the proxy merges. A hint: what the shards really send is looked at again.
#[derive(Debug, Default)]
pub struct Merges(RefCell<HashMap<u64, bool>>);

impl Merges {
    /// Tells whether the proxy merges the statement; `None` if that was never found out.
    pub fn known(&self, key: u64) -> Option<bool> {
        self.0.borrow().get(&key).copied()
    }

    /// Remembers whether the proxy merges the statement.
    pub fn note(&self, key: u64, merges: bool) {
        let mut known = self.0.borrow_mut();
        if known.len() >= STATEMENTS_MAX {
            known.clear();
        }
        known.insert(key, merges);
    }
}

/// Returns what a statement is remembered by: its skeleton, under one generation of the rules and catalogs.
pub fn merge_key(generation: u64, text: &str) -> u64 {
    let mut skeleton = Skeleton::default();
    mask(text, &mut skeleton);
    let mut hasher = DefaultHasher::new();
    (generation, &skeleton.text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_make_no_other_statement_and_a_generation_does() {
        let merges = Merges::default();
        merges.note(merge_key(1, "SELECT a FROM t WHERE b = 1 ORDER BY a"), true);
        assert_eq!(merges.known(merge_key(1, "SELECT a FROM t  WHERE b = 2 ORDER BY a")), Some(true));
        assert_eq!(merges.known(merge_key(2, "SELECT a FROM t WHERE b = 1 ORDER BY a")), None);
        assert_eq!(merges.known(merge_key(1, "SELECT a FROM t WHERE b = 1 ORDER BY b")), None);
    }

    #[test]
    fn memory_is_bounded() {
        let merges = Merges::default();
        for key in 0..=STATEMENTS_MAX as u64 {
            merges.note(key, false);
        }
        assert_eq!((merges.known(0), merges.known(STATEMENTS_MAX as u64)), (None, Some(false)));
    }
}
