//! `/* shardloom: idem=KEY */ …` and `SET LOCAL shardloom.idempotency_key`.

use std::rc::Rc;

use crate::execute::{Block, Call, Failure, Position};
use crate::outbox::KEY_BYTES_MAX;
use crate::sql::{Keyed, Scanner, SetScope, Setting};
use crate::types::{Refusal, SqlState};

use super::conversation::Session;

/// The statements that may have a key: what they answer is a count.
const VERBS: [&str; 4] = ["insert", "update", "delete", "merge"];

impl Session {
    /// Runs a statement with a key in its comment.
    pub(super) async fn keyed(&mut self, call: &Call, keyed: &Keyed) -> Result<(), Failure> {
        self.refuse_if_failed()?;
        check_key(&keyed.key)?;
        check_verb(&keyed.text)?;
        if self.link.transaction.is_open() {
            return Err(in_block().into());
        }
        let text: Rc<str> = self.link.steered_text(&keyed.text).unwrap_or_else(|| keyed.text.as_str().into());
        self.link.client.position = Position::Unknown;
        let (understood, literals) = self.link.worker.plans.understand_masked(&text, &self.link.snapshot)?;
        let call = Call { text, literals, ..call.clone() };
        self.link.run_once(&call, &understood, &keyed.key).await
    }

    /// Takes a key for the open transaction.
    pub(super) async fn set_key(&mut self, setting: &Setting) -> Result<(), Failure> {
        let key = crate::execute::plain_value(setting.value_text.trim());
        check_key(&key)?;
        let transaction = &self.link.transaction;
        if setting.scope != SetScope::Local {
            let message = "shardloom.idempotency_key is for one transaction";
            let hint = "BEGIN; SET LOCAL shardloom.idempotency_key = '…', before the first write.";
            return Err(Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(hint).into());
        }
        if transaction.block() != Block::Explicit {
            let message = "SET LOCAL shardloom.idempotency_key can only be used in transaction blocks";
            return Err(Refusal::new(SqlState::NO_ACTIVE_TRANSACTION, message).into());
        }
        let began = !transaction.written().is_empty() || transaction.reference || !transaction.savepoints.is_empty();
        if began || transaction.idempotency.is_some() {
            let message = "SET LOCAL shardloom.idempotency_key must come once, before the first write and savepoint";
            return Err(Refusal::new(SqlState::ACTIVE_TRANSACTION, message).into());
        }
        self.link.take_key(&key).await
    }
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    let message = format!("an idempotency key has 1 to {KEY_BYTES_MAX} bytes, not {}", key.len());
    Err(Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

fn check_verb(text: &str) -> Result<(), Refusal> {
    let mut tokens = Scanner::new(text);
    let is_write = tokens.next().is_some_and(|first| VERBS.iter().any(|verb| first.is_word(text, verb)));
    if is_write && !tokens.any(|token| token.is_word(text, "returning")) {
        return Ok(());
    }
    Err(Refusal::unsupported(
        "an idempotency key in a comment is for INSERT, UPDATE, DELETE and MERGE without RETURNING",
        "Open a transaction and SET LOCAL shardloom.idempotency_key in it.",
    ))
}

fn in_block() -> Refusal {
    Refusal::new(
        SqlState::ACTIVE_TRANSACTION,
        "an idempotency key in a comment is for a statement that commits by itself",
    )
    .with_hint("In a transaction, SET LOCAL shardloom.idempotency_key.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_that_answer_with_a_count_have_keys() {
        for text in ["insert into t values (1)", "/* x */ UPDATE t SET a = 'returning'", "merge into t using s on true"]
        {
            assert!(check_verb(text).is_ok(), "{text}");
        }
        for text in ["select 1", "insert into t values (1) returning id", "with x as (select 1) delete from t", "begin"]
        {
            assert!(check_verb(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_bounded() {
        assert!(check_key("").is_err() && check_key("k").is_ok());
        assert!(check_key(&"k".repeat(KEY_BYTES_MAX)).is_ok() && check_key(&"k".repeat(KEY_BYTES_MAX + 1)).is_err());
    }
}
