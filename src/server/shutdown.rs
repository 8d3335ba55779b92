//! The way out: stop accepting, let transactions finish, close whoever is left, within bounds.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::config::Limits;
use crate::proxy::{DrainPhase, Proxy, Shutdown};

/// How long workers have, after everybody was told to close, to end their threads.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The signals that end the process.
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Takes the signals over; needs a runtime.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for SIGTERM or SIGINT. Cancel-safe.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How long clients have in each phase of the end; `None` is without bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndPlan {
    leaving: Option<Duration>,
    draining: Option<Duration>,
}

impl EndPlan {
    /// Returns the plan for SIGTERM, where transactions have `bound` to finish.
    pub fn drain(bound: Duration) -> Self {
        Self { leaving: Some(Duration::ZERO), draining: Some(bound) }
    }

    /// Returns the plan for what was asked for.
    pub fn of(how: Shutdown, limits: &Limits) -> Self {
        let at_once = Some(Duration::ZERO);
        match how {
            Shutdown::Now => Self { leaving: at_once, draining: at_once },
            Shutdown::WaitForServers => Self { leaving: at_once, draining: None },
            Shutdown::WaitForClients => Self { leaving: None, draining: None },
            Shutdown::TakenOver => {
                Self { leaving: Some(limits.takeover_timeout), draining: Some(limits.drain_timeout) }
            }
        }
    }
}

/// Goes through the phases of the end, each as long as the plan says; another message on `stops` cuts a phase short.
/// Returns how many workers did not end in time.
pub async fn drain(
    proxy: &Proxy,
    stops: &mut mpsc::Receiver<()>,
    ended: &mut mpsc::Receiver<usize>,
    plan: EndPlan,
) -> usize {
    let mut left = proxy.workers();
    for (phase, bound) in [(DrainPhase::Leaving, plan.leaving), (DrainPhase::Draining, plan.draining)] {
        if phase == DrainPhase::Leaving && bound == Some(Duration::ZERO) {
            continue;
        }
        info!(clients = proxy.clients.admitted(), ?phase, ?bound, "no new clients");
        proxy.advance_drain(phase);
        tokio::select! {
            () = wait_ended(ended, &mut left) => {}
            () = pass(bound) => info!(clients = proxy.clients.admitted(), ?phase, "the time of this phase is over"),
            Some(()) = stops.recv() => warn!(?phase, "asked again: going on"),
        }
    }
    proxy.advance_drain(DrainPhase::Stopping);
    let _ = timeout(STOP_TIMEOUT, wait_ended(ended, &mut left)).await;
    left
}

async fn pass(bound: Option<Duration>) {
    match bound {
        Some(bound) => tokio::time::sleep(bound).await,
        None => std::future::pending().await,
    }
}

/// Counts `left` down with each worker that ends. Cancel-safe: what was counted stays counted.
async fn wait_ended(ended: &mut mpsc::Receiver<usize>, left: &mut usize) {
    while *left > 0 {
        match ended.recv().await {
            Some(_) => *left -= 1,
            None => *left = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_are_counted_until_the_last_and_a_closed_channel_counts_as_all() {
        let (sender, mut ended) = mpsc::channel(4);
        let mut left = 2;
        sender.send(0).await.unwrap();
        assert!(timeout(Duration::from_millis(20), wait_ended(&mut ended, &mut left)).await.is_err());
        assert_eq!(left, 1);
        drop(sender);
        wait_ended(&mut ended, &mut left).await;
        assert_eq!(left, 0);
    }
}
