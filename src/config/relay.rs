//! `relay`: how recorded changes reach their targets.

use super::settings::{GIB, KIB, MIB, settings};

settings! {
    /// Bounds of the relay, which carries recorded changes from home to the other shards.
    pub struct Relay as "relay" in RELAY {
        /// Source transactions applied in one target transaction at most. Default 1000.
        batch: count(1, 100_000) = 1_000,
        /// Bytes of recorded commands, as the ledger stores them, from which a target transaction takes no more. Default 4MiB.
        batch_bytes: size(64 * KIB, GIB) = 4 * MIB,
        /// How long the relay rests when nothing woke it. Default 200ms.
        poll: span(1, 60_000) = 200,
        /// Attempts of an event that fails for a reason of its own before it is dead. Default 10.
        attempts: count(1, 1_000_000) = 10,
        /// The first pause after a failed attempt; each pause is twice the one before, with jitter. Default 10ms.
        retry_min: span(1, 60_000) = 10,
        /// The longest pause between attempts. Default 1s.
        retry_max: span(1, 3_600_000) = 1_000,
        /// Waiting transactions of one target from which a warning is logged. Default 100000.
        backlog_warning: count(1, 1_000_000_000) = 100_000,
        /// Waiting transactions of one target from which deferred writes to it are refused with 53400. Default 1000000.
        backlog: count(1, 10_000_000_000_usize) = 1_000_000,
        /// How long one statement of the relay may take on a target. A target that is silent for three of these counts as
        /// away, and so does home after half of it. Default 1min.
        apply_timeout: span(100, 3_600_000) = 60_000,
        /// How long applied ledger rows are kept. Default 7d.
        keep: span(60_000, 31_536_000_000) = 604_800_000,
        /// How long idempotency keys are remembered. Default 1d.
        keep_keys: span(60_000, 31_536_000_000) = 86_400_000,
    }
}
