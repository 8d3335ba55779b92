//! The server connections of this process, for `SHOW SERVERS`: a connection writes its own line through atomics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dashmap::DashMap;

use super::ServerTarget;

/// All server connections of this process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    next: Arc<AtomicU64>,
    servers: Arc<DashMap<u64, Arc<Line>>>,
}

#[derive(Debug)]
struct Line {
    id: u64,
    target: Arc<ServerTarget>,
    process: i32,
    opened_ms: i64,
    client: AtomicI32,
}

/// A connection's own line; leaves the roster on drop.
#[derive(Debug)]
pub(super) struct Enrolled {
    line: Arc<Line>,
    roster: Roster,
}

/// One line of `SHOW SERVERS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// A number that is unique in this process.
    pub id: u64,
    /// Where it goes.
    pub target: Arc<ServerTarget>,
    /// The process number of the server's backend.
    pub process: i32,
    /// Milliseconds since the UNIX epoch at which it was made.
    pub opened_ms: i64,
    /// The process number of the client that it is lent to (BackendKeyData); 0 when it is idle.
    pub client: i32,
}

impl Roster {
    pub(super) fn enrol(&self, target: &Arc<ServerTarget>, process: i32) -> Enrolled {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let opened_ms = now.as_millis() as i64;
        let line = Line { id, target: Arc::clone(target), process, opened_ms, client: AtomicI32::new(0) };
        let line = Arc::new(line);
        self.servers.insert(id, Arc::clone(&line));
        Enrolled { line, roster: self.clone() }
    }

    /// Returns all connections, oldest first.
    pub fn list(&self) -> Vec<ServerInfo> {
        let mut list: Vec<_> = self.servers.iter().map(|entry| entry.value().info()).collect();
        list.sort_by_key(|server| server.id);
        list
    }
}

impl Line {
    fn info(&self) -> ServerInfo {
        let client = self.client.load(Ordering::Relaxed);
        let target = Arc::clone(&self.target);
        ServerInfo { id: self.id, target, process: self.process, opened_ms: self.opened_ms, client }
    }
}

impl Enrolled {
    /// Says to which client the connection is lent; 0 is nobody.
    pub(super) fn lend(&self, client: i32) {
        self.line.client.store(client, Ordering::Relaxed);
    }

    /// Returns which client has the connection to the backend `process` of the same server now, by the process number of
    /// its key.
    pub(super) fn client_of(&self, process: i32) -> Option<i32> {
        let is_it = |line: &Line| line.process == process && line.target.address() == self.line.target.address();
        let line = self.roster.servers.iter().find(|entry| is_it(entry.value()))?;
        Some(line.value().client.load(Ordering::Relaxed)).filter(|client| *client != 0)
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.roster.servers.remove(&self.line.id);
    }
}
