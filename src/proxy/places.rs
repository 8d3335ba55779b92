//! How many clients each user and each database has.

use std::sync::Arc;

use dashmap::DashMap;

use crate::types::{Refusal, SqlState};

/// Clients by name, of users or of databases.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    taken: Arc<DashMap<String, usize>>,
}

/// One place, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    name: String,
}

impl Places {
    /// Takes a place of `name`; `None` when all of `max` are taken.
    pub(super) fn take(&self, name: &str, max: Option<usize>) -> Option<Place> {
        let mut taken = self.taken.entry(name.to_owned()).or_default();
        if max.is_some_and(|max| *taken >= max) {
            return None;
        }
        *taken += 1;
        drop(taken);
        Some(Place { places: self.clone(), name: name.to_owned() })
    }

    /// Returns how many places of `name` are taken.
    pub(super) fn count(&self, name: &str) -> usize {
        self.taken.get(name).map_or(0, |taken| *taken)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.remove_if_mut(&self.name, |_, taken| {
            *taken = taken.saturating_sub(1);
            *taken == 0
        });
    }
}

/// The refusal of a client beyond a user's or database's bound, in PostgreSQL's words; `what` is `role` or `database`.
pub(super) fn too_many(what: &str, name: &str, setting: &str) -> Refusal {
    Refusal::new(SqlState::TOO_MANY_CONNECTIONS, format!("too many connections for {what} \"{name}\""))
        .with_hint(format!("{setting} of the proxy is the bound."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_given_and_comes_back() {
        let places = Places::default();
        let one = places.take("app", Some(2));
        let two = places.take("app", Some(2));
        assert!(one.is_some() && two.is_some() && places.take("app", Some(2)).is_none());
        assert!(places.take("other", Some(1)).is_some());
        drop(one);
        assert_eq!(places.count("app"), 1);
        assert!(places.take("app", Some(2)).is_some());
        drop(two);
        assert_eq!(places.count("app"), 0);
    }
}
