//! `SET shardloom.commit_wait`: what COMMIT waits for besides the decision.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;

use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend;
use crate::yaml::{duration, duration_text};

use super::client::ClientError;
use super::failure::Failure;
use super::link::Link;

/// The longest wait that can be asked for: a server connection is not held meanwhile, but a client is.
pub const WAIT_MAX: Duration = Duration::from_secs(600);

/// How long COMMIT waits until all targets have what home has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitWait {
    /// Not at all.
    None,
    /// At most so long, and says nothing if that was too short.
    BestEffort(Duration),
    /// At most so long, and warns if that was too short: the commit stands in any case.
    All(Duration),
}

impl CommitWait {
    /// Reads `none`, `best_effort 50ms` or `all 5s`; an empty text is `none`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (word, time) = (words.next().unwrap_or("none").to_ascii_lowercase(), words.next());
        if words.next().is_some() {
            return None;
        }
        let time = time.map(|time| duration(time).filter(|time| *time <= WAIT_MAX));
        match (word.as_str(), time) {
            ("none", None) => Some(Self::None),
            ("best_effort", Some(Some(time))) => Some(Self::BestEffort(time)),
            ("all", Some(Some(time))) => Some(Self::All(time)),
            _ => None,
        }
    }

    /// Returns the setting as it is written.
    pub fn text(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::BestEffort(time) => format!("best_effort {}", duration_text(time)),
            Self::All(time) => format!("all {}", duration_text(time)),
        }
    }
}

impl Link {
    /// Waits, after home has decided `txid`, for what the session asks COMMIT to wait for.
    ///
    /// What runs out is a warning and no error: an error would be taken for a rollback.
    pub(super) async fn wait_after_commit(&mut self, txid: i64, home: ShardId, has_undo: bool) -> Result<(), Failure> {
        let (time, warns) = match self.settings.steering.commit_wait() {
            CommitWait::None => return Ok(()),
            CommitWait::BestEffort(time) => (time, false),
            CommitWait::All(time) => (time, true),
        };
        let outbox = &self.worker.proxy.outbox;
        let client = &mut self.client;
        let missing = tokio::select! {
            missing = outbox.wait_all(txid, home, Instant::now() + time) => missing,
            () = poll_fn(|context| client.poll_gone(context)) => return Err(Failure::Client(ClientError::Gone)),
        };
        // Only what a target has refused is ever taken back.
        let taken_back = missing.is_empty() && has_undo && self.worker.proxy.outbox.is_taken_back(txid, home).await;
        if taken_back {
            let message =
                format!("transaction {txid} was committed and has been taken back: a target refused its part");
            backend::write_warning(self.client.output(), &Refusal::new(SqlState::WARNING, message));
        }
        if warns && !missing.is_empty() {
            let message = format!("transaction {txid} is committed, but not everywhere yet: {}", missing.join(", "));
            let hint = format!("Do not repeat it; SELECT shardloom.wait_for({txid}, '10s') waits for the rest.");
            backend::write_warning(self.client.output(), &Refusal::new(SqlState::WARNING, message).with_hint(hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_and_others_are_refused() {
        for text in ["none", "best_effort 50ms", "all 5s", "all 10min"] {
            assert_eq!(CommitWait::parse(text).map(CommitWait::text).as_deref(), Some(text));
        }
        assert_eq!(CommitWait::parse(" ALL  5s "), Some(CommitWait::All(Duration::from_secs(5))));
        assert_eq!(CommitWait::parse(""), Some(CommitWait::None));
        for text in ["all", "all 5", "all 11min", "best_effort", "none 5s", "some 5s", "all 5s please"] {
            assert_eq!(CommitWait::parse(text), None, "{text}");
        }
    }
}
