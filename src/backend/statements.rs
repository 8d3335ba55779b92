//! What sessions left on a server connection: settings applied, statements prepared, and who they were.

use std::collections::HashMap;

/// The most prepared statements kept on one server connection; each costs the server some 10–50 KiB of plan.
pub(super) const STATEMENTS_MAX: usize = 256;

/// The settings that the session layer applied to a connection; 0 on a fresh one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsTag {
    /// A fingerprint of names and values; connections with the same one need no SET.
    pub fingerprint: u64,
}

impl SettingsTag {
    /// The fingerprint of a connection that has settings nobody knows: it equals no session's.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// The clients that a connection was lent to since it was new or cleaned, as far as it matters to sequences: a server
/// remembers the numbers that its sessions drew. Clients go by the process number of their key; 0 is nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Borrowers {
    last: i32,
    drawer: i32,
    others: bool,
}

impl Borrowers {
    /// Says to which client it is lent.
    pub(super) fn lend(&mut self, client: i32) {
        self.others |= self.last != 0 && self.last != client;
        self.last = client;
    }

    /// Says that the client that has it may have drawn unseen: functions, triggers and defaults do. What another one drew
    /// before is the last that was drawn no longer.
    pub fn obscure(&mut self) {
        if self.drawer != self.last {
            self.drawer = 0;
        }
    }

    /// Says that the client that has it drew numbers.
    pub fn draw(&mut self) {
        self.drawer = self.last;
    }

    /// Tells whether there may be numbers of others, and none of the client that has it, as far as is known.
    pub fn are_others(&self) -> bool {
        self.others && self.drawer != self.last
    }

    /// Nothing of other clients is left.
    pub fn forget_others(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }
}

/// The prepared statements of one connection, least recently used out first.
#[derive(Debug)]
pub struct StatementCache {
    used: HashMap<u64, u64>,
    tick: u64,
    capacity: usize,
}

impl Default for StatementCache {
    fn default() -> Self {
        Self::with_capacity(STATEMENTS_MAX)
    }
}

impl StatementCache {
    /// Makes a cache for at most `capacity` statements (at least one).
    pub fn with_capacity(capacity: usize) -> Self {
        Self { used: HashMap::new(), tick: 0, capacity: capacity.max(1) }
    }

    /// Tells whether statement `id` is prepared, and counts that as a use.
    #[inline]
    pub fn contains(&mut self, id: u64) -> bool {
        self.tick += 1;
        match self.used.get_mut(&id) {
            Some(last) => {
                *last = self.tick;
                true
            }
            None => false,
        }
    }

    /// Notes statement `id` as prepared; returns the statement to close on the server, if the cache was full.
    pub fn insert(&mut self, id: u64) -> Option<u64> {
        if self.contains(id) {
            return None;
        }
        let evicted = if self.used.len() >= self.capacity { self.oldest() } else { None };
        if let Some(oldest) = evicted {
            self.used.remove(&oldest);
        }
        self.used.insert(id, self.tick);
        evicted
    }

    /// Forgets statement `id`, after a Parse that failed or a Close.
    pub fn remove(&mut self, id: u64) {
        self.used.remove(&id);
    }

    /// Forgets all, after DEALLOCATE ALL or DISCARD ALL.
    pub fn clear(&mut self) {
        self.used.clear();
    }

    /// Looks at every entry: evictions are rare and cost a round of preparing anyway.
    fn oldest(&self) -> Option<u64> {
        self.used.iter().min_by_key(|(_, last)| **last).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_others_may_be_there_until_one_draws_or_they_are_forgotten() {
        let mut borrowers = Borrowers::default();
        borrowers.lend(7);
        borrowers.lend(7);
        assert!(!borrowers.are_others());
        borrowers.lend(8);
        assert!(borrowers.are_others());
        borrowers.draw();
        assert!(!borrowers.are_others());
        borrowers.lend(7);
        assert!(borrowers.are_others());
        borrowers.lend(8);
        assert!(!borrowers.are_others());
        borrowers.lend(7);
        borrowers.obscure();
        borrowers.lend(8);
        assert!(borrowers.are_others());
        borrowers.lend(7);
        borrowers.forget_others();
        borrowers.lend(7);
        assert!(!borrowers.are_others());
        borrowers.lend(8);
        assert!(borrowers.are_others());
    }

    #[test]
    fn least_recently_used_goes_first() {
        let mut cache = StatementCache::with_capacity(2);
        assert_eq!((cache.insert(1), cache.insert(2), cache.insert(2)), (None, None, None));
        assert!(cache.contains(1));
        assert_eq!(cache.insert(3), Some(2));
        assert!(cache.contains(1) && cache.contains(3) && !cache.contains(2));
        cache.clear();
        assert!(!cache.contains(1));
    }
}
