//! What operators ordered: databases that are paused, connections that are to be made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The orders in force, by database as clients name it. Pools look when their worker's bell rings.
#[derive(Debug, Default)]
pub struct Orders {
    /// Rises with each order.
    generation: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all_paused: bool,
    paused: BTreeSet<String>,
    all_renewed: u64,
    renewed: BTreeMap<String, u64>,
}

impl Orders {
    /// Lends no connection to `database`, or to any for `None`, until [`Orders::resume`]; tells whether that is new.
    pub fn pause(&self, database: Option<&str>) -> bool {
        let mut state = self.lock();
        let new = match database {
            Some(name) => !state.all_paused && state.paused.insert(name.to_owned()),
            None => !std::mem::replace(&mut state.all_paused, true),
        };
        self.step();
        new
    }

    /// Ends a pause; tells whether there was one. Without a database all pauses end.
    pub fn resume(&self, database: Option<&str>) -> bool {
        let mut state = self.lock();
        let ended = match database {
            Some(name) => state.paused.remove(name),
            None => {
                let some = !state.paused.is_empty();
                state.paused.clear();
                std::mem::take(&mut state.all_paused) || some
            }
        };
        self.step();
        ended
    }

    /// Has every connection that is open now closed once it is not in use.
    pub fn renew(&self, database: Option<&str>) {
        let mut state = self.lock();
        let generation = self.step();
        match database {
            Some(name) => drop(state.renewed.insert(name.to_owned(), generation)),
            None => state.all_renewed = generation,
        }
    }

    /// Tells whether nothing is lent to `database`.
    pub fn is_paused(&self, database: &str) -> bool {
        let state = self.lock();
        state.all_paused || state.paused.contains(database)
    }

    /// Tells whether everything is paused.
    pub fn is_all_paused(&self) -> bool {
        self.lock().all_paused
    }

    /// Returns the order that last asked for new connections to `database`.
    pub(super) fn renewed(&self, database: &str) -> u64 {
        let state = self.lock();
        state.renewed.get(database).copied().unwrap_or(0).max(state.all_renewed)
    }

    /// Returns how many orders there were.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn step(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_all_covers_each_and_ends_with_resume_of_all() {
        let orders = Orders::default();
        assert!(orders.pause(Some("shop")) && !orders.pause(Some("shop")));
        assert!(orders.is_paused("shop") && !orders.is_paused("other"));
        assert!(orders.resume(Some("shop")) && !orders.resume(Some("shop")));
        assert!(orders.pause(None) && orders.is_paused("other"));
        assert!(!orders.resume(Some("other")) && orders.is_paused("other"));
        assert!(orders.resume(None) && !orders.is_paused("other") && !orders.resume(None));
    }

    #[test]
    fn renewal_of_all_outdates_each_database() {
        let orders = Orders::default();
        assert_eq!(orders.renewed("shop"), 0);
        orders.renew(Some("shop"));
        assert!(orders.renewed("shop") > 0 && orders.renewed("other") == 0);
        orders.renew(None);
        assert!(orders.renewed("other") > 0);
    }
}
