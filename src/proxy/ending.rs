//! How a client is told to end from outside: by an operator, by a limit of time, by the drain.
//!
//! A session looks at one signal while it is parked; what it does then, it decides by the cause and the drain.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;

use crate::types::{Refusal, SqlState};

/// Why a client is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// KILL or KILL_CLIENT.
    Killed,
    /// `limits.query_timeout`.
    QueryTimeout,
    /// `limits.client_idle_timeout`.
    IdleTimeout,
    /// `limits.idle_transaction_timeout`.
    IdleInTransactionTimeout,
    /// `limits.transaction_timeout`.
    TransactionTimeout,
}

/// One client's signal.
#[derive(Debug, Default)]
pub struct EndSignal {
    raised: AtomicBool,
    /// Whether somebody did so since the session looked last.
    fresh: AtomicBool,
    /// The cause, counted from 1; 0 is none.
    cause: AtomicU8,
    waker: AtomicWaker,
}

impl EndCause {
    const ALL: [Self; 5] =
        [Self::Killed, Self::QueryTimeout, Self::IdleTimeout, Self::IdleInTransactionTimeout, Self::TransactionTimeout];

    /// Returns what the client reads, with PostgreSQL's words and SQLSTATEs where it has them.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Killed => {
                Refusal::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
            }
            Self::QueryTimeout => Refusal::new(SqlState::QUERY_CANCELED, "terminating connection due to query timeout")
                .with_hint("limits.query_timeout of the proxy is the bound."),
            Self::IdleTimeout => {
                Refusal::new(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")
                    .with_hint("limits.client_idle_timeout of the proxy is the bound.")
            }
            Self::IdleInTransactionTimeout => Refusal::new(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            )
            .with_hint("limits.idle_transaction_timeout of the proxy is the bound."),
            Self::TransactionTimeout => {
                Refusal::new(SqlState::TRANSACTION_TIMEOUT, "terminating connection due to transaction timeout")
                    .with_hint("limits.transaction_timeout of the proxy is the bound.")
            }
        }
    }
}

impl EndSignal {
    /// Asks the client's session to look whether it has to end.
    pub fn wake(&self) {
        self.raised.store(true, Ordering::Release);
        self.fresh.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Asks for the end; the first cause stays. Tells whether this was the first.
    pub fn end(&self, cause: EndCause) -> bool {
        let first = self.cause.compare_exchange(0, cause as u8 + 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.wake();
        first
    }

    /// Tells whether somebody ever woke the session.
    #[inline]
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Returns why the client has to end, apart from the drain.
    pub fn cause(&self) -> Option<EndCause> {
        let stored = usize::from(self.cause.load(Ordering::Acquire));
        EndCause::ALL.get(stored.checked_sub(1)?).copied()
    }

    /// As [`EndSignal::poll_woken`], for a session that asks at every turn: as long as nobody has ever woken it, the waker
    /// that it left, and keeps a copy of in `left`, is good.
    #[inline]
    pub fn poll_first_wake(&self, context: &mut Context<'_>, left: &mut Option<Waker>) -> Poll<()> {
        if !self.is_raised() && left.as_ref().is_some_and(|left| left.will_wake(context.waker())) {
            return Poll::Pending;
        }
        *left = Some(context.waker().clone());
        // Registers first and looks then, so that a wake in between is seen by one of the two.
        self.poll_woken(context)
    }

    /// Becomes ready once for each time the session is woken; only the session's own task may ask.
    #[inline]
    pub fn poll_woken(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        let fresh = self.fresh.load(Ordering::Acquire) && self.fresh.swap(false, Ordering::AcqRel);
        if fresh { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the session is woken. Cancel-safe.
    pub async fn woken(&self) {
        poll_fn(|context| self.poll_woken(context)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_cause_stays_and_waking_alone_is_none() {
        let signal = EndSignal::default();
        assert!(!signal.is_raised());
        signal.wake();
        assert!(signal.is_raised() && signal.cause().is_none());
        assert!(signal.end(EndCause::IdleTimeout) && !signal.end(EndCause::Killed));
        assert_eq!(signal.cause(), Some(EndCause::IdleTimeout));
        signal.woken().await;
    }

    #[test]
    fn every_cause_survives_being_stored_and_has_its_words() {
        for cause in EndCause::ALL {
            let signal = EndSignal::default();
            signal.end(cause);
            assert_eq!(signal.cause(), Some(cause));
            assert!(cause.refusal().message.starts_with("terminating connection"));
        }
    }
}
