//! The way out: stop accepting, let transactions finish, close whoever is left, within bounds.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::proxy::{DrainPhase, Proxy};

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

/// Drains for at most `bound`, then stops; another message on `stops` cuts the waiting short. Returns how many workers
/// did not end in time.
pub async fn drain(
    proxy: &Proxy,
    stops: &mut mpsc::Receiver<()>,
    ended: &mut mpsc::Receiver<usize>,
    bound: Duration,
) -> usize {
    info!(clients = proxy.clients.admitted(), "draining: no new clients, transactions may finish");
    proxy.drain.advance(DrainPhase::Draining);
    let mut left = proxy.workers();
    tokio::select! {
        () = wait_ended(ended, &mut left) => {}
        () = tokio::time::sleep(bound) => warn!(clients = proxy.clients.admitted(), "the drain took too long"),
        Some(()) = stops.recv() => warn!("asked again: closing everybody now"),
    }
    proxy.drain.advance(DrainPhase::Stopping);
    let _ = timeout(STOP_TIMEOUT, wait_ended(ended, &mut left)).await;
    left
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
