//! Connections that have not logged in: how many there may be, and who makes way for others.
//!
//! A place costs one lock at accept and one at the end of the login, nothing afterwards.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::types::{Refusal, SqlState};

/// Whoever has not logged in after this time makes way when places are wanted: a login takes some milliseconds, and in a
/// burst of honest clients nobody is this old.
const LINGER_MIN: Duration = Duration::from_secs(1);

/// Everybody who has not logged in, over all workers.
#[derive(Debug, Default)]
pub struct Strangers {
    list: Arc<Mutex<List>>,
}

/// How many there may be; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerBounds {
    /// In this process.
    pub all: Option<usize>,
    /// From one address.
    pub per_address: Option<usize>,
}

/// One of them; dropping it says that it logged in or left.
#[derive(Debug)]
pub struct Stranger {
    number: u64,
    out: Arc<Notify>,
    list: Arc<Mutex<List>>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    /// By number, so the oldest first.
    entries: BTreeMap<u64, Entry>,
    per_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    since: Duration,
    address: Option<IpAddr>,
    out: Arc<Notify>,
}

impl Strangers {
    /// Takes in a new connection; `now` is monotonic time. Where all places are taken, the oldest that lingers is shown
    /// out. Fails with `53300` when nobody lingers, or its address has as many as it may.
    pub fn take_in(&self, address: Option<IpAddr>, bounds: StrangerBounds, now: Duration) -> Result<Stranger, Refusal> {
        let mut list = lock(&self.list);
        let of_address = address.and_then(|address| list.per_address.get(&address)).copied().unwrap_or(0);
        if let Some(max) = bounds.per_address.filter(|max| of_address >= *max && address.is_some()) {
            return Err(too_many("from this address ", max, "max_unauthenticated_per_address"));
        }
        if let Some(max) = bounds.all.filter(|max| list.entries.len() >= *max)
            && !list.show_out_oldest(now)
        {
            return Err(too_many("", max, "max_unauthenticated"));
        }
        let out = Arc::new(Notify::new());
        list.next += 1;
        let number = list.next;
        list.entries.insert(number, Entry { since: now, address, out: Arc::clone(&out) });
        if let Some(address) = address {
            *list.per_address.entry(address).or_default() += 1;
        }
        Ok(Stranger { number, out, list: Arc::clone(&self.list) })
    }

    /// Shows out the oldest that lingers; `false` when nobody does.
    pub fn show_out_oldest(&self, now: Duration) -> bool {
        lock(&self.list).show_out_oldest(now)
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        lock(&self.list).entries.len()
    }
}

impl Stranger {
    /// Waits until it has to make way for others. Cancel-safe.
    pub async fn shown_out(&self) {
        self.out.notified().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        lock(&self.list).remove(self.number);
    }
}

impl List {
    fn show_out_oldest(&mut self, now: Duration) -> bool {
        let oldest = self.entries.first_key_value();
        match oldest.filter(|(_, entry)| now.saturating_sub(entry.since) >= LINGER_MIN).map(|(number, _)| *number) {
            Some(number) => {
                if let Some(entry) = self.remove(number) {
                    entry.out.notify_one();
                }
                true
            }
            None => false,
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        if let Some(address) = entry.address
            && let Some(count) = self.per_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        Some(entry)
    }
}

fn lock(list: &Mutex<List>) -> MutexGuard<'_, List> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many(whence: &str, max: usize, limit: &str) -> Refusal {
    let message = format!("too many connections {whence}have not logged in");
    Refusal::new(SqlState::TOO_MANY_CONNECTIONS, message)
        .with_hint(format!("This proxy takes {max} at a time (limits.{limit})."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::BROADCAST));

    fn bounds(all: usize, per_address: usize) -> StrangerBounds {
        let bound = |max| (max > 0).then_some(max);
        StrangerBounds { all: bound(all), per_address: bound(per_address) }
    }

    #[test]
    fn one_more_waits_for_nobody_in_a_burst() {
        let strangers = Strangers::default();
        let first = strangers.take_in(HERE, bounds(1, 0), Duration::ZERO).unwrap();
        let refusal = strangers.take_in(HERE, bounds(1, 0), Duration::from_millis(999)).unwrap_err();
        assert_eq!(refusal.state, SqlState::TOO_MANY_CONNECTIONS);
        drop(first);
        assert!(strangers.take_in(HERE, bounds(1, 0), Duration::ZERO).is_ok());
    }

    #[tokio::test]
    async fn the_oldest_that_lingers_makes_way() {
        let strangers = Strangers::default();
        let first = strangers.take_in(HERE, bounds(2, 0), Duration::ZERO).unwrap();
        let _second = strangers.take_in(None, bounds(2, 0), Duration::from_secs(5)).unwrap();
        let _third = strangers.take_in(THERE, bounds(2, 0), Duration::from_secs(5)).unwrap();
        first.shown_out().await;
        assert_eq!(strangers.count(), 2);
        assert!(
            !strangers.show_out_oldest(Duration::from_millis(5_999))
                && strangers.show_out_oldest(Duration::from_secs(6))
        );
        drop(first);
        assert_eq!(strangers.count(), 1);
    }

    #[test]
    fn each_address_has_its_own_bound_and_sockets_of_the_machine_have_none() {
        let strangers = Strangers::default();
        let now = Duration::ZERO;
        let first = strangers.take_in(HERE, bounds(0, 1), now).unwrap();
        assert!(strangers.take_in(HERE, bounds(0, 1), Duration::from_secs(9)).is_err());
        let _others = [THERE, None, None].map(|address| strangers.take_in(address, bounds(0, 1), now).unwrap());
        drop(first);
        assert!(strangers.take_in(HERE, bounds(0, 1), now).is_ok());
        assert_eq!(strangers.list.lock().unwrap().per_address.len(), 1);
    }
}
