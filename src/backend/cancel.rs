//! Cancel requests: from a client's key to the servers that work for it now.
//!
//! The only thing that workers share: a cancel request arrives on whichever worker accepts it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::ServerTarget;
use super::socket::Socket;
use crate::types::{Refusal, SqlState};
use crate::wire::frontend::write_cancel;
use crate::wire::startup::LONG_SECRETS_MINOR;

/// The longest time for forwarding one request to one server.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a new process number is drawn before the number space counts as full; two thousand million are free.
const DRAWS_MAX: usize = 1000;

/// The key of one server connection; clones share it.
#[derive(Clone)]
pub struct CancelKey(Arc<Key>);

struct Key {
    target: Arc<ServerTarget>,
    process: i32,
    secret: Box<[u8]>,
    used: AtomicBool,
}

impl CancelKey {
    /// Makes the key that BackendKeyData announced.
    pub(super) fn new(target: Arc<ServerTarget>, process: i32, secret: &[u8]) -> Self {
        Self(Arc::new(Key { target, process, secret: secret.into(), used: AtomicBool::new(false) }))
    }

    /// Returns the process number.
    pub(super) fn process(&self) -> i32 {
        self.0.process
    }

    /// Tells whether a cancel request was ever sent with this key.
    pub(super) fn was_used(&self) -> bool {
        self.0.used.load(Ordering::Acquire)
    }

    /// Sends the request and waits until the server closes, which it does after the signal is out.
    async fn send(&self) -> io::Result<()> {
        let mut socket = Socket::connect(&self.0.target).await?;
        let mut packet = BytesMut::new();
        write_cancel(&mut packet, self.0.process, &self.0.secret);
        socket.write_all(&packet).await?;
        socket.read(&mut [0]).await.map(|_| ())
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelKey").field("process", &self.0.process).finish_non_exhaustive()
    }
}

/// How long a client's secret is: what the protocol of its minor version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretLength {
    /// Four bytes, up to protocol 3.1.
    Short,
    /// 32 bytes, which PostgreSQL gives from protocol 3.2 on.
    Long,
}

impl SecretLength {
    /// Returns what a client of protocol 3.`minor` expects.
    pub fn of_minor(minor: u16) -> Self {
        if minor >= LONG_SECRETS_MINOR { Self::Long } else { Self::Short }
    }

    fn draw(self) -> Box<[u8]> {
        match self {
            Self::Short => Box::new(rand::random::<[u8; 4]>()),
            Self::Long => Box::new(rand::random::<[u8; 32]>()),
        }
    }
}

/// One client's secret, and the servers that work for it now.
struct Active {
    secret: Box<[u8]>,
    keys: Mutex<Vec<CancelKey>>,
    /// Requests so far, for a statement that waits in the proxy and that no server works for.
    requests: AtomicU64,
    requested: Notify,
}

impl Active {
    fn lock(&self) -> MutexGuard<'_, Vec<CancelKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time taken tells nothing of the secret but its length, which is no secret.
    fn is_secret(&self, given: &[u8]) -> bool {
        self.secret.ct_eq(given).into()
    }
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// All clients' keys of this process, by their process number; clones share them.
#[derive(Debug, Clone, Default)]
pub struct CancelRegistry {
    clients: Arc<DashMap<i32, Arc<Active>>>,
}

impl CancelRegistry {
    /// Makes an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a client session a key of its own, until the handle is dropped.
    pub fn register(&self, length: SecretLength) -> CancelHandle {
        let active = Arc::new(Active {
            secret: length.draw(),
            keys: Mutex::default(),
            requests: AtomicU64::new(0),
            requested: Notify::new(),
        });
        let mut process = draw();
        for _ in 0..DRAWS_MAX {
            if let Entry::Vacant(free) = self.clients.entry(process) {
                free.insert(active.clone());
                break;
            }
            process = draw();
        }
        CancelHandle { registry: self.clone(), process, active }
    }

    /// Forwards a client's request to every server that works for it and returns how many were reached.
    ///
    /// Takes at most five seconds. An unknown key does nothing, as in PostgreSQL. The connections that were hit are
    /// not reused by other clients.
    pub async fn cancel(&self, process: i32, secret: &[u8]) -> usize {
        match self.find(process).filter(|active| active.is_secret(secret)) {
            Some(active) => forward(&active).await,
            None => 0,
        }
    }

    /// As [`CancelRegistry::cancel`] for the proxy itself and its operator, who need no secret.
    pub async fn cancel_process(&self, process: i32) -> usize {
        match self.find(process) {
            Some(active) => forward(&active).await,
            None => 0,
        }
    }

    fn find(&self, process: i32) -> Option<Arc<Active>> {
        self.clients.get(&process).map(|entry| entry.value().clone())
    }

    /// Returns how many clients have a key.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Tells whether no client has a key.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

/// Sends every request at once.
async fn forward(active: &Active) -> usize {
    active.requests.fetch_add(1, Ordering::AcqRel);
    active.requested.notify_waiters();
    let mut requests = JoinSet::new();
    for key in take_for_use(active) {
        requests.spawn(async move { tokio::time::timeout(FORWARD_TIMEOUT, key.send()).await });
    }
    requests.join_all().await.iter().filter(|sent| matches!(sent, Ok(Ok(())))).count()
}

/// Copies the active keys and marks them used under the same lock, so that a connection whose key was taken here is
/// known to be hit before its session can give it back.
fn take_for_use(active: &Active) -> Vec<CancelKey> {
    let keys = active.lock();
    keys.iter().for_each(|key| key.0.used.store(true, Ordering::Release));
    keys.clone()
}

/// Draws a positive process number.
fn draw() -> i32 {
    (rand::random::<i32>() & i32::MAX).max(1)
}

/// One client session's key; dropping it takes the key out of the registry.
#[derive(Debug)]
pub struct CancelHandle {
    registry: CancelRegistry,
    process: i32,
    active: Arc<Active>,
}

impl CancelHandle {
    /// Returns the process number for BackendKeyData.
    pub fn process(&self) -> i32 {
        self.process
    }

    /// Returns the secret for BackendKeyData.
    pub fn secret(&self) -> &[u8] {
        &self.active.secret
    }

    /// Returns the requests that come from now on, for a statement that waits without a server.
    pub fn requests(&self) -> CancelRequests {
        CancelRequests { active: Arc::clone(&self.active), seen: self.active.requests.load(Ordering::Acquire) }
    }

    /// Says which servers work for the client now; replaces what was said before.
    pub fn set_active(&self, keys: &[CancelKey]) {
        let mut active = self.active.lock();
        active.clear();
        active.extend_from_slice(keys);
    }

    /// Says that no server works for the client; call it before a connection goes back to its pool.
    pub fn clear(&self) {
        self.active.lock().clear();
    }
}

/// Requests that come from a moment on.
#[derive(Debug)]
pub struct CancelRequests {
    active: Arc<Active>,
    seen: u64,
}

impl CancelRequests {
    /// Waits until there is one, and returns what the statement is refused with; cancel-safe.
    pub async fn next(&self) -> Refusal {
        let requested = self.active.requested.notified();
        if self.active.requests.load(Ordering::Acquire) == self.seen {
            requested.await;
        }
        Refusal::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        self.registry.clients.remove_if(&self.process, |_, active| Arc::ptr_eq(active, &self.active));
    }
}
