//! The end of the process, announced once and seen by every thread: serve, drain, stop.

use tokio::sync::watch;

use crate::types::TransactionStatus;

/// How far the process is on its way out. Only ever moves down the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainPhase {
    /// Clients are accepted and served.
    Serving,
    /// No new clients; those that are here may stay as long as they like.
    Leaving,
    /// No new clients; idle ones are closed with `57P01`, open transactions may finish.
    Draining,
    /// Whoever is left is closed now; their transactions roll back.
    Stopping,
}

/// What a session does about the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFate {
    /// Go on.
    Stay,
    /// Send `57P01` and close.
    Close,
}

/// The signal itself; cloned receivers wake when the phase changes.
#[derive(Debug)]
pub struct Drain {
    sender: watch::Sender<DrainPhase>,
}

impl DrainPhase {
    /// Decides what becomes of a client that waits for its next statement with that status.
    pub fn fate(self, status: TransactionStatus) -> ClientFate {
        match (self, status) {
            (Self::Serving | Self::Leaving, _) => ClientFate::Stay,
            (Self::Draining, TransactionStatus::Open | TransactionStatus::Failed) => ClientFate::Stay,
            (Self::Draining, TransactionStatus::Idle) => ClientFate::Close,
            (Self::Stopping, _) => ClientFate::Close,
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { sender: watch::Sender::new(DrainPhase::Serving) }
    }
}

impl Drain {
    /// Returns the phase now.
    pub fn phase(&self) -> DrainPhase {
        *self.sender.borrow()
    }

    /// Returns a receiver that wakes at each change of phase.
    pub fn subscribe(&self) -> watch::Receiver<DrainPhase> {
        self.sender.subscribe()
    }

    /// Moves on to `phase`; a step back is ignored.
    pub fn advance(&self, phase: DrainPhase) {
        self.sender.send_if_modified(|current| {
            let forward = phase > *current;
            if forward {
                *current = phase;
            }
            forward
        });
    }

    /// Waits until the phase is `phase` or later.
    pub async fn reached(&self, phase: DrainPhase) {
        let mut receiver = self.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|current| *current >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_closes_idle_clients_and_lets_transactions_finish() {
        let cases = [
            (DrainPhase::Serving, TransactionStatus::Idle, ClientFate::Stay),
            (DrainPhase::Leaving, TransactionStatus::Idle, ClientFate::Stay),
            (DrainPhase::Draining, TransactionStatus::Idle, ClientFate::Close),
            (DrainPhase::Draining, TransactionStatus::Open, ClientFate::Stay),
            (DrainPhase::Draining, TransactionStatus::Failed, ClientFate::Stay),
            (DrainPhase::Stopping, TransactionStatus::Open, ClientFate::Close),
        ];
        for (phase, status, fate) in cases {
            assert_eq!(phase.fate(status), fate, "{phase:?} {status:?}");
        }
    }

    #[test]
    fn phase_never_steps_back() {
        let drain = Drain::default();
        drain.advance(DrainPhase::Stopping);
        drain.advance(DrainPhase::Draining);
        assert_eq!(drain.phase(), DrainPhase::Stopping);
    }

    #[tokio::test]
    async fn waiting_ends_at_a_later_phase_too() {
        let drain = Drain::default();
        drain.advance(DrainPhase::Stopping);
        drain.reached(DrainPhase::Draining).await;
    }
}
