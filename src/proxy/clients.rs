//! Who is connected: an admission counter in front, and the list behind `SHOW CLIENTS`.
//!
//! A session writes its own record through atomics, so that a statement costs two stores and no lock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

/// Everybody who is connected now.
#[derive(Debug, Default)]
pub struct ClientRegistry {
    admitted: Arc<AtomicUsize>,
    next_id: AtomicU64,
    clients: Arc<DashMap<u64, Arc<ClientRecord>>>,
}

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientState {
    /// Waits for the client's next statement, outside of a transaction.
    Idle,
    /// A statement runs.
    Active,
    /// Waits for a server connection.
    Waiting,
    /// In a transaction, between statements.
    IdleInTransaction,
}

/// What ties a client to its server connections beyond the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// Nothing: connections go back at the end of a transaction.
    No,
    /// Temporary tables.
    TemporaryTable,
    /// LISTEN.
    Listen,
    /// A session advisory lock.
    AdvisoryLock,
    /// A WITH HOLD cursor.
    HeldCursor,
    /// A statement of SQL's PREPARE.
    PreparedStatement,
    /// A setting that cannot be replayed.
    Setting,
    /// What a sequence gave to the session.
    Sequence,
    /// A library that was loaded, or what one keeps for the session.
    Library,
}

/// One place among the `max_clients`, given back on drop.
#[derive(Debug)]
pub struct Admission {
    admitted: Arc<AtomicUsize>,
}

/// A session's own record; leaves the list on drop.
#[derive(Debug)]
pub struct ClientHandle {
    record: Arc<ClientRecord>,
    clients: Arc<DashMap<u64, Arc<ClientRecord>>>,
}

#[derive(Debug)]
struct ClientRecord {
    id: u64,
    user: String,
    database: String,
    address: Option<SocketAddr>,
    connected_ms: i64,
    state: AtomicU8,
    since_ms: AtomicI64,
    pinned: AtomicU8,
    statements: AtomicU64,
}

/// One line of `SHOW CLIENTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// A number that is unique in this process.
    pub id: u64,
    /// The user the client logged in as.
    pub user: String,
    /// The database the client asked for.
    pub database: String,
    /// Where it came from; `None` for a UNIX socket.
    pub address: Option<SocketAddr>,
    /// Milliseconds since the UNIX epoch at which it was authenticated.
    pub connected_ms: i64,
    /// What it is doing.
    pub state: ClientState,
    /// Milliseconds since the UNIX epoch at which `state` began.
    pub since_ms: i64,
    /// What ties it to its server connections.
    pub pinned: Pinned,
    /// Statements begun so far.
    pub statements: u64,
}

impl ClientRegistry {
    /// Takes one of `max` places; `None` when all are taken (the client gets `53300`).
    pub fn admit(&self, max: usize) -> Option<Admission> {
        let one_more = |count: usize| (count < max).then_some(count + 1);
        self.admitted.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Admission { admitted: Arc::clone(&self.admitted) })
    }

    /// Returns how many clients hold a place, authenticated or not.
    pub fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Acquire)
    }

    /// Puts an authenticated client on the list; `now_ms` is wall time.
    pub fn register(&self, user: &str, database: &str, address: Option<SocketAddr>, now_ms: i64) -> ClientHandle {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Arc::new(ClientRecord {
            id,
            user: user.to_owned(),
            database: database.to_owned(),
            address,
            connected_ms: now_ms,
            state: AtomicU8::new(ClientState::Idle as u8),
            since_ms: AtomicI64::new(now_ms),
            pinned: AtomicU8::new(Pinned::No as u8),
            statements: AtomicU64::new(0),
        });
        self.clients.insert(id, Arc::clone(&record));
        ClientHandle { record, clients: Arc::clone(&self.clients) }
    }

    /// Returns the list, oldest client first.
    pub fn list(&self) -> Vec<ClientInfo> {
        let mut list: Vec<ClientInfo> = self.clients.iter().map(|entry| entry.value().info()).collect();
        list.sort_by_key(|client| client.id);
        list
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.admitted.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ClientHandle {
    /// Returns the number that `SHOW CLIENTS` shows.
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// Says what the client does from `now_ms` on; becoming active counts a statement.
    pub fn set_state(&self, state: ClientState, now_ms: i64) {
        self.record.state.store(state as u8, Ordering::Relaxed);
        self.record.since_ms.store(now_ms, Ordering::Relaxed);
        if state == ClientState::Active {
            self.record.statements.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says what ties the client to its server connections.
    pub fn set_pinned(&self, pinned: Pinned) {
        self.record.pinned.store(pinned as u8, Ordering::Relaxed);
    }
}

impl Drop for ClientHandle {
    fn drop(&mut self) {
        self.clients.remove(&self.record.id);
    }
}

impl ClientRecord {
    fn info(&self) -> ClientInfo {
        ClientInfo {
            id: self.id,
            user: self.user.clone(),
            database: self.database.clone(),
            address: self.address,
            connected_ms: self.connected_ms,
            state: ClientState::from_stored(self.state.load(Ordering::Relaxed)),
            since_ms: self.since_ms.load(Ordering::Relaxed),
            pinned: Pinned::from_stored(self.pinned.load(Ordering::Relaxed)),
            statements: self.statements.load(Ordering::Relaxed),
        }
    }
}

impl ClientState {
    const ALL: [Self; 4] = [Self::Idle, Self::Active, Self::Waiting, Self::IdleInTransaction];

    fn from_stored(stored: u8) -> Self {
        Self::ALL[usize::from(stored) % Self::ALL.len()]
    }

    /// Returns the word that `SHOW CLIENTS` prints.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::IdleInTransaction => "idle in transaction",
        }
    }
}

impl Pinned {
    const ALL: [Self; 9] = [
        Self::No,
        Self::TemporaryTable,
        Self::Listen,
        Self::AdvisoryLock,
        Self::HeldCursor,
        Self::PreparedStatement,
        Self::Setting,
        Self::Sequence,
        Self::Library,
    ];

    fn from_stored(stored: u8) -> Self {
        Self::ALL[usize::from(stored) % Self::ALL.len()]
    }

    /// Returns the word that `SHOW CLIENTS` prints, `None` when nothing ties the client.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::TemporaryTable => Some("temporary table"),
            Self::Listen => Some("listen"),
            Self::AdvisoryLock => Some("advisory lock"),
            Self::HeldCursor => Some("held cursor"),
            Self::PreparedStatement => Some("prepared statement"),
            Self::Setting => Some("setting"),
            Self::Sequence => Some("sequence"),
            Self::Library => Some("library"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_place_is_given_and_the_next_client_is_refused_until_one_leaves() {
        let registry = ClientRegistry::default();
        let first = registry.admit(2);
        let second = registry.admit(2);
        assert!(first.is_some() && second.is_some());
        assert!(registry.admit(2).is_none());
        drop(first);
        assert_eq!(registry.admitted(), 1);
        assert!(registry.admit(2).is_some());
    }

    #[test]
    fn a_client_is_listed_with_its_state_until_its_handle_is_dropped() {
        let registry = ClientRegistry::default();
        let handle = registry.register("app", "shop", None, 10);
        handle.set_state(ClientState::Active, 20);
        handle.set_pinned(Pinned::Listen);
        let list = registry.list();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].state, list[0].since_ms, list[0].statements), (ClientState::Active, 20, 1));
        assert_eq!(list[0].pinned.word(), Some("listen"));
        drop(handle);
        assert!(registry.list().is_empty());
    }

    #[test]
    fn every_state_survives_being_stored() {
        for state in ClientState::ALL {
            assert_eq!(ClientState::from_stored(state as u8), state);
        }
        for pinned in Pinned::ALL {
            assert_eq!(Pinned::from_stored(pinned as u8), pinned);
        }
    }
}
