//! Where the shards' tables differ, as the last look at them found.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::plan::catalog::SchemaDifference;

/// The differences that stand; written by the control thread.
#[derive(Debug, Default)]
pub struct SchemaBoard {
    any: AtomicBool,
    found: RwLock<Arc<Vec<SchemaDifference>>>,
}

impl SchemaBoard {
    /// Says what the last look found.
    pub fn set(&self, found: Vec<SchemaDifference>) {
        let any = !found.is_empty();
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        self.any.store(any, Ordering::Release);
    }

    /// Tells whether there are any; costs one load.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Returns what was found.
    pub fn list(&self) -> Arc<Vec<SchemaDifference>> {
        Arc::clone(&self.found.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ShardId;

    #[test]
    fn what_was_found_stands_until_the_next_look() {
        let board = SchemaBoard::default();
        assert!(!board.any() && board.list().is_empty());
        let [table, kind, name, what] = ["t", "column", "c", "is missing"].map(str::to_owned);
        board.set(vec![SchemaDifference { table, shard: ShardId(1), kind, name, what }]);
        assert!(board.any() && board.list().len() == 1);
        board.set(Vec::new());
        assert!(!board.any() && board.list().is_empty());
    }
}
