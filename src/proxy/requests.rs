//! What other threads ask of the control thread: reload the rules, read the catalog again.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::types::{Refusal, SqlState};

/// Reloads that may wait at the same time; each answers in milliseconds, so more is a mistake of the caller.
const RELOADS_WAITING_MAX: usize = 16;

/// What came of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The files say what is in force already.
    Unchanged,
    /// New rules are in force.
    Swapped,
}

/// Where the answer to a reload goes.
pub type ReloadAnswer = oneshot::Sender<Result<Reloaded, Refusal>>;

/// How the process ends when the console asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// At once: clients are closed, open transactions roll back.
    Now,
    /// When no client is in a transaction any more.
    WaitForServers,
    /// When every client has left by itself.
    WaitForClients,
    /// As [`Shutdown::WaitForClients`] for a while, then as SIGTERM does: another process serves the sockets.
    TakenOver,
}

/// The asking side.
#[derive(Debug)]
pub struct Requests {
    reloads: mpsc::Sender<ReloadAnswer>,
    // How many refreshes were asked for, and up to which of them is done.
    catalogs_wanted: watch::Sender<u64>,
    catalogs_done: watch::Sender<u64>,
    shutdown: watch::Sender<Option<Shutdown>>,
}

impl Requests {
    /// Makes both sides; the receiver belongs to the control thread.
    pub fn new() -> (Self, mpsc::Receiver<ReloadAnswer>) {
        let (reloads, receiver) = mpsc::channel(RELOADS_WAITING_MAX);
        let (catalogs_wanted, catalogs_done) = (watch::Sender::new(0), watch::Sender::new(0));
        (Self { reloads, catalogs_wanted, catalogs_done, shutdown: watch::Sender::new(None) }, receiver)
    }

    /// Asks for the end of the process; the first to ask says how. Does not wait.
    pub fn shut_down(&self, how: Shutdown) {
        self.shutdown.send_if_modified(|asked| {
            let first = asked.is_none();
            *asked = asked.or(Some(how));
            first
        });
    }

    /// Waits until somebody asks for the end. For the control thread. Cancel-safe.
    pub async fn shutdown_asked(&self) -> Shutdown {
        let mut asked = self.shutdown.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        asked.wait_for(Option::is_some).await.ok().and_then(|asked| *asked).unwrap_or(Shutdown::Now)
    }

    /// Reads the rule files again and puts them in force when they are right. Fails with the findings as detail.
    pub async fn reload(&self) -> Result<Reloaded, Refusal> {
        let (answer, answered) = oneshot::channel();
        if let Err(error) = self.reloads.try_send(answer) {
            return Err(match error {
                mpsc::error::TrySendError::Full(_) => {
                    Refusal::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many reloads wait already")
                }
                mpsc::error::TrySendError::Closed(_) => stopping(),
            });
        }
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Asks for a fresh catalog soon. Asking twice before it happens is asking once. Does not wait.
    pub fn refresh_catalog(&self) -> u64 {
        let mut ticket = 0;
        self.catalogs_wanted.send_modify(|wanted| {
            *wanted += 1;
            ticket = *wanted;
        });
        ticket
    }

    /// Asks for a fresh catalog and waits for it, capture triggers of reference tables included: what DDL does before
    /// its client is answered. Tells whether that came true within `bound`.
    pub async fn refreshed_catalog(&self, bound: Duration) -> bool {
        let ticket = self.refresh_catalog();
        let mut done = self.catalogs_done.subscribe();
        matches!(timeout(bound, done.wait_for(|done| *done >= ticket)).await, Ok(Ok(_)))
    }

    /// Waits until more than `done` refreshes were asked for; returns how many. For the control thread. Cancel-safe.
    pub async fn catalog_wanted(&self, done: u64) -> u64 {
        let mut wanted = self.catalogs_wanted.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        wanted.wait_for(|wanted| *wanted > done).await.map_or(done, |wanted| *wanted)
    }

    /// Returns how many refreshes were asked for; a refresh that begins now serves all of them.
    pub fn catalogs_wanted(&self) -> u64 {
        *self.catalogs_wanted.borrow()
    }

    /// Says that the refreshes up to `ticket` are done.
    pub fn catalog_done(&self, ticket: u64) {
        self.catalogs_done.send_replace(ticket);
    }
}

fn stopping() -> Refusal {
    Refusal::new(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reload_is_answered_by_the_control_thread() {
        let (requests, mut receiver) = Requests::new();
        let (reloaded, ()) = tokio::join!(requests.reload(), async {
            receiver.recv().await.unwrap().send(Ok(Reloaded::Swapped)).unwrap();
        });
        assert_eq!(reloaded, Ok(Reloaded::Swapped));
    }

    #[tokio::test]
    async fn a_refresh_is_over_when_one_that_began_after_the_asking_is_done() {
        let (requests, _receiver) = Requests::new();
        let earlier = requests.catalogs_wanted();
        let (refreshed, ()) = tokio::join!(requests.refreshed_catalog(Duration::from_secs(10)), async {
            let wanted = requests.catalog_wanted(earlier).await;
            requests.catalog_done(wanted);
        });
        assert!(refreshed);
        let (refreshed, ()) = tokio::join!(requests.refreshed_catalog(Duration::from_millis(20)), async {
            requests.catalog_done(1);
        });
        assert!(!refreshed);
    }

    #[tokio::test]
    async fn without_a_control_thread_a_reload_is_refused() {
        let (requests, receiver) = Requests::new();
        drop(receiver);
        assert_eq!(requests.reload().await.unwrap_err().state, SqlState::ADMIN_SHUTDOWN);
    }
}
