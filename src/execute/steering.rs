//! What a session says of the way of its statements: `SET shardloom.shard`, `sharding_key` and `multi_shard`.
//!
//! The first two are said to planning as the comment that means the same, so that there is one meaning and one cache.

use std::rc::Rc;

use crate::sql;
use crate::types::Refusal;

use super::call::Call;
use super::commit_wait::CommitWait;
use super::failure::Failure;
use super::link::Link;
use super::understand::{Meaning, Understood};

/// What is set for the session, and for the open transaction alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steering {
    session: Said,
    local: Said,
    /// The comment that says shard and key; none without either.
    comment: Option<String>,
}

/// One scope's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    shard: Option<String>,
    sharding_key: Option<String>,
    two_phase: Option<bool>,
    commit_wait: Option<CommitWait>,
}

/// One of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Steer {
    /// `shardloom.shard`
    Shard,
    /// `shardloom.sharding_key`
    ShardingKey,
    /// `shardloom.multi_shard`
    MultiShard,
    /// `shardloom.commit_wait`
    CommitWait,
}

impl Steer {
    /// Returns the setting of that name, without the prefix.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "shard" => Some(Self::Shard),
            "sharding_key" => Some(Self::ShardingKey),
            "multi_shard" => Some(Self::MultiShard),
            "commit_wait" => Some(Self::CommitWait),
            _ => None,
        }
    }
}

impl Steering {
    /// Sets one for the session or the open transaction; `None` takes it back, an empty one hides the session's.
    ///
    /// # Errors
    /// A value that cannot stand in a comment.
    pub fn set(&mut self, what: Steer, value: Option<&str>, local: bool) -> Result<(), Refusal> {
        if let Some(value) = value.filter(|value| value.contains("*/") || value.contains("/*")) {
            let message = format!("a value must not contain the marks of a comment: \"{value}\"");
            return Err(Refusal::new(crate::types::SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if !local {
            self.local.put(what, None);
        }
        let said = if local { &mut self.local } else { &mut self.session };
        said.put(what, value);
        self.say();
        Ok(())
    }

    /// Takes everything back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Ends what holds for a transaction alone.
    pub fn end_transaction(&mut self) {
        if self.local != Said::default() {
            self.local = Said::default();
            self.say();
        }
    }

    /// Returns the value in force, empty for none.
    pub fn value(&self, what: Steer) -> String {
        match what {
            Steer::Shard => self.shard().unwrap_or("").to_owned(),
            Steer::ShardingKey => self.sharding_key().unwrap_or("").to_owned(),
            Steer::MultiShard => if self.is_two_phase() { "two_phase" } else { "auto" }.to_owned(),
            Steer::CommitWait => self.commit_wait().text(),
        }
    }

    /// Returns what COMMIT waits for.
    pub fn commit_wait(&self) -> CommitWait {
        self.local.commit_wait.or(self.session.commit_wait).unwrap_or(CommitWait::None)
    }

    /// Tells whether writes over several shards are to commit by two_phase.
    pub fn is_two_phase(&self) -> bool {
        self.local.two_phase.or(self.session.two_phase).unwrap_or(false)
    }

    /// Returns the comment to be put before statements, if there is anything to say.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    fn shard(&self) -> Option<&str> {
        self.local.shard.as_deref().or(self.session.shard.as_deref()).filter(|value| !value.is_empty())
    }

    fn sharding_key(&self) -> Option<&str> {
        let key = self.local.sharding_key.as_deref().or(self.session.sharding_key.as_deref());
        key.filter(|value| !value.is_empty())
    }

    fn say(&mut self) {
        let (shard, key) = (self.shard(), self.sharding_key());
        self.comment = (shard.is_some() || key.is_some()).then(|| sql::hint_of(shard, key));
    }
}

impl Said {
    fn put(&mut self, what: Steer, value: Option<&str>) {
        match what {
            Steer::Shard => self.shard = value.map(str::to_owned),
            Steer::ShardingKey => self.sharding_key = value.map(str::to_owned),
            Steer::MultiShard => self.two_phase = value.map(|value| value == "two_phase"),
            Steer::CommitWait => self.commit_wait = value.and_then(CommitWait::parse),
        }
    }
}

impl Link {
    /// Returns the text with what the session says of its way; `None` where nothing is said, the statement says it
    /// itself, or has none.
    pub fn steered_text(&self, text: &str) -> Option<Rc<str>> {
        let comment = self.settings.steering.comment()?;
        let concerns_session = sql::control(text).is_some() || sql::split(text).is_empty();
        (!concerns_session && sql::hint_comment(text).is_none()).then(|| format!("{comment}{text}").into())
    }

    /// Returns a prepared statement's call as the session steers it by now, and what it means.
    pub fn steered(&self, call: &Call, understood: &Understood) -> Result<Option<(Call, Rc<Understood>)>, Failure> {
        if self.settings.steering.comment().is_none() || !matches!(understood.meaning, Meaning::Plan(_)) {
            return Ok(None);
        }
        let Some(text) = self.steered_text(&call.text) else { return Ok(None) };
        let (understood, literals) = self.worker.plans.understand_masked(&text, &self.snapshot)?;
        Ok(Some((Call { text, literals, ..call.clone() }, understood)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_local_hides_what_the_session_says_until_the_transaction_ends() {
        let mut steering = Steering::default();
        assert_eq!((steering.comment(), steering.value(Steer::Shard)), (None, String::new()));
        steering.set(Steer::Shard, Some("s1"), false).expect("a name");
        steering.set(Steer::Shard, Some("s2"), true).expect("a name");
        assert_eq!(steering.value(Steer::Shard), "s2");
        assert_eq!(steering.comment(), Some("/* shardloom: shard='s2' */ "));
        steering.set(Steer::Shard, Some(""), true).expect("nothing");
        assert_eq!((steering.comment(), steering.value(Steer::Shard)), (None, String::new()));
        steering.end_transaction();
        assert_eq!(steering.value(Steer::Shard), "s1");
        steering.set(Steer::Shard, Some("s2"), true).expect("a name");
        steering.set(Steer::Shard, None, false).expect("nothing");
        assert_eq!(steering, Steering::default());
    }

    #[test]
    fn a_value_cannot_end_the_comment() {
        let mut steering = Steering::default();
        assert!(steering.set(Steer::ShardingKey, Some("a */ DROP TABLE t; /* "), false).is_err());
        steering.set(Steer::ShardingKey, Some("it's"), false).expect("a quote is written twice");
        assert_eq!(steering.comment(), Some("/* shardloom: sharding_key='it''s' */ "));
    }

    #[test]
    fn two_phase_is_asked_for_and_taken_back() {
        let mut steering = Steering::default();
        steering.set(Steer::MultiShard, Some("two_phase"), false).expect("a mode");
        assert!(steering.is_two_phase() && steering.comment().is_none());
        steering.set(Steer::MultiShard, Some("auto"), true).expect("a mode");
        assert!(!steering.is_two_phase());
        steering.end_transaction();
        assert_eq!(steering.value(Steer::MultiShard), "two_phase");
    }
}
