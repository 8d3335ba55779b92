//! Who is connected: an admission counter in front, and the list behind `SHOW CLIENTS`.
//!
//! A session writes its own record through atomics, so that a statement costs two stores and no lock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dashmap::DashMap;
use tokio::task::{AbortHandle, Id};

use super::ending::{EndCause, EndSignal};
use super::places::{Place, Places, too_many};
use crate::config::{Config, PoolMode};
use crate::types::Refusal;

/// Everybody who is connected now.
#[derive(Debug, Default)]
pub struct ClientRegistry {
    admitted: Arc<AtomicUsize>,
    next_id: AtomicU64,
    clients: Arc<DashMap<u64, Arc<ClientRecord>>>,
    users: Places,
    databases: Places,
    /// The tasks that serve clients, for one that does not end when it is asked to.
    tasks: Arc<DashMap<Id, AbortHandle>>,
    /// Databases that take no new clients.
    disabled: Mutex<BTreeSet<String>>,
}

/// What a client says of itself when it is let in.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer<'a> {
    /// The user that logged in.
    pub user: &'a str,
    /// The database it asked for.
    pub database: &'a str,
    /// Where it comes from; `None` for a UNIX socket.
    pub address: Option<SocketAddr>,
    /// The process number of its key.
    pub process: i32,
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
    /// The pool mode `session`.
    Session,
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
    _places: Option<[Place; 2]>,
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
    /// Since when it has not been idle; right only while it is not.
    busy_ms: AtomicI64,
    pinned: AtomicU8,
    statements: AtomicU64,
    mode: PoolMode,
    process: i32,
    task: Option<Id>,
    end: Arc<EndSignal>,
    /// When it was asked to end, milliseconds since the UNIX epoch; 0 is never.
    ended_ms: AtomicI64,
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
    /// Milliseconds since the UNIX epoch at which it stopped being idle last; right only while it is not.
    pub busy_ms: i64,
    /// What ties it to its server connections.
    pub pinned: Pinned,
    /// How long server connections are lent to it.
    pub mode: PoolMode,
    /// The process number of its key.
    pub process: i32,
    /// Milliseconds since the UNIX epoch at which it was asked to end; 0 is never.
    pub ended_ms: i64,
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

    /// Takes a place beyond the bound, for a client in whose stead another leaves right now.
    pub fn admit_instead(&self) -> Admission {
        self.admitted.fetch_add(1, Ordering::AcqRel);
        Admission { admitted: Arc::clone(&self.admitted) }
    }

    /// Returns how many clients hold a place, authenticated or not.
    pub fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Acquire)
    }

    /// Puts an authenticated client on the list; `now_ms` is wall time. Fails with `53300` beyond the bounds of its user
    /// or database.
    pub fn register(&self, who: Newcomer<'_>, config: &Config, now_ms: i64) -> Result<ClientHandle, Refusal> {
        let Newcomer { user, database, .. } = who;
        let of_user = self.users.take(user, config.clients_of_user(user));
        let of_user = of_user.ok_or_else(|| too_many("role", user, "max_user_client_connections"))?;
        let of_database = self.databases.take(database, config.clients_of_database(database));
        let of_database = of_database.ok_or_else(|| too_many("database", database, "max_db_client_connections"))?;
        Ok(self.enlist(who, config, now_ms, Some([of_user, of_database])))
    }

    /// As [`ClientRegistry::register`] for a client of the console, which no bound keeps out and which counts for none.
    pub fn register_operator(&self, who: Newcomer<'_>, config: &Config, now_ms: i64) -> ClientHandle {
        self.enlist(who, config, now_ms, None)
    }

    fn enlist(&self, who: Newcomer<'_>, config: &Config, now_ms: i64, places: Option<[Place; 2]>) -> ClientHandle {
        let Newcomer { user, database, address, process } = who;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Arc::new(ClientRecord {
            id,
            user: user.to_owned(),
            database: database.to_owned(),
            address,
            connected_ms: now_ms,
            state: AtomicU8::new(ClientState::Idle as u8),
            since_ms: AtomicI64::new(now_ms),
            busy_ms: AtomicI64::new(now_ms),
            pinned: AtomicU8::new(Pinned::No as u8),
            statements: AtomicU64::new(0),
            mode: config.mode_of(user, database),
            process,
            task: tokio::task::try_id(),
            end: Arc::default(),
            ended_ms: AtomicI64::new(0),
        });
        self.clients.insert(id, Arc::clone(&record));
        ClientHandle { record, clients: Arc::clone(&self.clients), _places: places }
    }

    /// Remembers the task that serves a client; [`ClientRegistry::forget_task`] when it is over.
    pub fn note_task(&self, task: AbortHandle) {
        self.tasks.insert(task.id(), task);
    }

    /// Forgets the task that is running now.
    pub fn forget_task(&self) {
        if let Some(task) = tokio::task::try_id() {
            self.tasks.remove(&task);
        }
    }

    /// Asks a client to end; tells whether there is such a client. The first cause stays.
    pub fn end(&self, id: u64, cause: EndCause, now_ms: i64) -> bool {
        let Some(record) = self.clients.get(&id).map(|entry| Arc::clone(entry.value())) else { return false };
        if record.end.end(cause) {
            record.ended_ms.store(now_ms, Ordering::Relaxed);
        }
        true
    }

    /// Ends the task of a client that did not end when it was asked to: its connections close.
    pub fn cut(&self, id: u64) {
        let task = self.clients.get(&id).and_then(|entry| entry.value().task);
        if let Some(task) = task.and_then(|task| self.tasks.get(&task)) {
            task.abort();
        }
    }

    /// Has every client look whether it has to end.
    pub fn wake_all(&self) {
        self.clients.iter().for_each(|entry| entry.value().end.wake());
    }

    /// Takes new clients of `database`, or no more; tells whether that changed something.
    pub fn set_disabled(&self, database: &str, disabled: bool) -> bool {
        let mut names = self.disabled();
        if disabled { names.insert(database.to_owned()) } else { names.remove(database) }
    }

    /// Tells whether `database` takes no new clients.
    pub fn is_disabled(&self, database: &str) -> bool {
        self.disabled().contains(database)
    }

    /// Returns how many clients `user` has.
    pub fn of_user(&self, user: &str) -> usize {
        self.users.count(user)
    }

    /// Returns how many clients `database` has.
    pub fn of_database(&self, database: &str) -> usize {
        self.databases.count(database)
    }

    fn disabled(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Returns what tells the session to end.
    pub fn end_signal(&self) -> Arc<EndSignal> {
        Arc::clone(&self.record.end)
    }

    /// Returns how long server connections are lent to the client.
    pub fn mode(&self) -> PoolMode {
        self.record.mode
    }

    /// Says what the client does from `now_ms` on; becoming active counts a statement.
    pub fn set_state(&self, state: ClientState, now_ms: i64) {
        if self.record.state.load(Ordering::Relaxed) == ClientState::Idle as u8 {
            self.record.busy_ms.store(now_ms, Ordering::Relaxed);
        }
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
            busy_ms: self.busy_ms.load(Ordering::Relaxed),
            pinned: Pinned::from_stored(self.pinned.load(Ordering::Relaxed)),
            mode: self.mode,
            process: self.process,
            ended_ms: self.ended_ms.load(Ordering::Relaxed),
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
    const ALL: [Self; 10] = [
        Self::No,
        Self::TemporaryTable,
        Self::Listen,
        Self::AdvisoryLock,
        Self::HeldCursor,
        Self::PreparedStatement,
        Self::Setting,
        Self::Sequence,
        Self::Library,
        Self::Session,
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
            Self::Session => Some("session"),
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
        let handle = registry.register(newcomer(), &config(""), 10).unwrap();
        handle.set_state(ClientState::Active, 20);
        handle.set_pinned(Pinned::Listen);
        let list = registry.list();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].state, list[0].since_ms, list[0].statements), (ClientState::Active, 20, 1));
        assert_eq!(list[0].pinned.word(), Some("listen"));
        drop(handle);
        assert!(registry.list().is_empty());
    }

    fn newcomer() -> Newcomer<'static> {
        Newcomer { user: "app", database: "shop", address: None, process: 7 }
    }

    fn config(more: &str) -> Config {
        let text = format!("users: [{{name: app, password: hush}}]\nservice: {{user: s}}\n{more}");
        Config::parse("f", &text, &|_| None).unwrap()
    }

    #[test]
    fn a_client_beyond_its_users_or_databases_bound_is_refused() {
        let registry = ClientRegistry::default();
        let config =
            config("limits: {max_user_client_connections: 2}\ndatabases: [{name: shop, max_db_client_connections: 1}]");
        let first = registry.register(newcomer(), &config, 1).unwrap();
        let refusal = registry.register(newcomer(), &config, 1).unwrap_err();
        assert_eq!(refusal.message, "too many connections for database \"shop\"");
        let elsewhere = Newcomer { database: "other", ..newcomer() };
        let second = registry.register(elsewhere, &config, 1).unwrap();
        let refusal = registry.register(elsewhere, &config, 1).unwrap_err();
        assert_eq!(refusal.message, "too many connections for role \"app\"");
        drop((first, second));
        assert!(registry.register(newcomer(), &config, 1).is_ok());
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
