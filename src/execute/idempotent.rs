//! Idempotency keys: a statement or a transaction that commits once, however often it is sent.
//!
//! The key's row is inserted where the decision is made, in the same write as the ledger row. A statement whose home
//! follows from its text takes its key there. Where it does not – the proxy makes the sharding key, rows are carried,
//! the client opened a block – the key is home's business: the rules' home then decides.

use sha2::{Digest, Sha256};

use crate::outbox::{KEY_CONSTRAINT, KeyUse, RedoCommand, key_insert};
use crate::plan::Plan;
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend::{self, ErrorFields};
use crate::wire::frame;

use super::call::Call;
use super::failure::Failure;
use super::link::{Link, Role};
use super::understand::{Meaning, Planned, Understood};

/// What a keyed statement answers: notices and a command tag, no rows.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// The key of the open transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// As the client says it.
    pub key: String,
    /// Tells one statement from another; `None` for a transaction that the client opened.
    statement_hash: Option<String>,
    /// What is to be answered to a retry.
    command_tag: String,
    /// Where its row is already.
    taken_on: Option<ShardId>,
}

impl Link {
    /// Runs a statement in a transaction of its own that takes `key`; where the key was taken by the same statement
    /// before, answers as that was answered and changes nothing.
    pub async fn run_once(&mut self, call: &Call, understood: &Understood, key: &str) -> Result<(), Failure> {
        let statement_hash = hash(call);
        let held = self.client.hold(REPLY_BYTES_MAX);
        let done = self.try_once(call, understood, key, &statement_hash).await;
        let (reply, overflow) = self.client.release(held);
        match done {
            Ok(()) => {
                self.client.output().extend_from_slice(&reply);
                Ok(())
            }
            Err(failure @ Failure::Client(_)) => Err(failure),
            Err(failure) => match self.key_use(key, Some(&statement_hash)).await {
                Some(used) if used.statement_hash.as_deref() == Some(&statement_hash) => {
                    self.last_txid = Some(used.txid);
                    if call.describe && call.arguments.is_some() {
                        backend::write_no_data(self.client.output());
                    }
                    backend::write_command_complete(self.client.output(), &used.command_tag);
                    Ok(())
                }
                Some(used) => Err(other_statement(key, used.txid).into()),
                None if overflow => Err(too_much_said().into()),
                None => {
                    // A shard's error is among what was held.
                    self.client.output().extend_from_slice(&reply);
                    Err(failure)
                }
            },
        }
    }

    async fn try_once(
        &mut self,
        call: &Call,
        understood: &Understood,
        key: &str,
        statement_hash: &str,
    ) -> Result<(), Failure> {
        let home_is_open = self.home_is_open(call, understood).await?;
        self.open_implicit();
        self.transaction.idempotency = Some(Box::new(Idempotency {
            key: key.to_owned(),
            statement_hash: Some(statement_hash.to_owned()),
            command_tag: String::new(),
            taken_on: None,
        }));
        let done = match home_is_open {
            true => self.decide_at_home().await,
            false => Ok(()),
        };
        let done = match done {
            Ok(()) => self.run(call, understood).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = done {
            self.rollback().await;
            return Err(failure);
        }
        let command_tag = last_tag(self.client.output()).unwrap_or_default();
        if let Some(idempotency) = &mut self.transaction.idempotency {
            idempotency.command_tag = command_tag;
        }
        self.commit().await
    }

    /// Tells whether a second run of the same text could be decided by another shard than the first.
    async fn home_is_open(&mut self, call: &Call, understood: &Understood) -> Result<bool, Failure> {
        match &understood.meaning {
            Meaning::Plan(Planned::Prepared(prepared)) if prepared.insert().is_some_and(|insert| insert.injects()) => {
                Ok(true)
            }
            // A key that is not in its table yet has all shards, and one when it is.
            Meaning::Plan(Planned::Prepared(_)) if self.snapshot.rules.lookups().next().is_some() => Ok(true),
            Meaning::Plan(Planned::Prepared(_)) => {
                let plan = self.plan_when_known(call, understood).await?;
                Ok(!matches!(plan, Plan::Direct(_) | Plan::MultiWrite(_)))
            }
            Meaning::Plan(Planned::Issuing(_) | Planned::Unreadable(_))
            | Meaning::Control(_)
            | Meaning::Keyed(_)
            | Meaning::Empty => Ok(true),
        }
    }

    /// Takes `key` for the transaction that the client has just opened, at once: a retry waits here for the first try.
    pub async fn take_key(&mut self, key: &str) -> Result<(), Failure> {
        self.decide_at_home().await?;
        let home = self.home();
        let txid = self.txid()?;
        let used = KeyUse { txid, statement_hash: None, command_tag: "COMMIT".to_owned() };
        let sql = key_insert(&self.identity.user, key, &used);
        let position = self.transaction.position(home).expect("it has just been enlisted");
        self.flush_member(position).await?;
        if let Err(error) = self.transaction.members[position].server.simple(&sql).await {
            return Err(self.key_failure(Failure::from(error), key).await);
        }
        // Should a reference table's home decide in the end, this shard is a target, and its share may have to be redone.
        let redo = RedoCommand {
            sql: format!("{sql} ON CONFLICT DO NOTHING"),
            types: Vec::new(),
            parameters: Vec::new(),
            expected_rows: 1,
        };
        let _ = self.transaction.record(position, redo);
        self.transaction.idempotency = Some(Box::new(Idempotency {
            key: key.to_owned(),
            statement_hash: None,
            command_tag: "COMMIT".to_owned(),
            taken_on: Some(home),
        }));
        Ok(())
    }

    /// Makes the rules' home the shard that decides, unless a reference table's home does.
    async fn decide_at_home(&mut self) -> Result<(), Failure> {
        let home = self.snapshot.rules.home;
        let position = self.enlist(home, Role::Writer).await?;
        self.transaction.members[position].wrote = true;
        self.transaction.first_written.get_or_insert(home);
        Ok(())
    }

    /// Before the commit of a transaction with a key: somebody has to decide, also if nothing was written.
    pub(super) async fn place_key(&mut self) -> Result<(), Failure> {
        if self.transaction.written().is_empty() {
            self.decide_at_home().await?;
        }
        Ok(())
    }

    /// Returns the statement that takes the key of the open transaction on `home`, if it has one
    /// and `home` does not have it yet.
    pub(super) fn key_statement(&self, home: ShardId, txid: i64) -> Option<String> {
        let idempotency = self.transaction.idempotency.as_deref().filter(|key| key.taken_on != Some(home))?;
        let used = KeyUse {
            txid,
            statement_hash: idempotency.statement_hash.clone(),
            command_tag: idempotency.command_tag.clone(),
        };
        Some(key_insert(&self.identity.user, &idempotency.key, &used))
    }

    /// Says in the proxy's words that the key was taken, where that is why a statement failed.
    pub(super) async fn key_failure(&self, failure: Failure, key: &str) -> Failure {
        if !is_taken(&failure) {
            return failure;
        }
        match self.key_use(key, None).await {
            Some(used) => taken(key, used.txid).into(),
            None => failure,
        }
    }

    async fn key_use(&self, key: &str, statement_hash: Option<&str>) -> Option<KeyUse> {
        let identity = &self.identity;
        Box::pin(self.worker.proxy.outbox.find_key(&identity.shard_user, &identity.user, key, statement_hash)).await
    }
}

/// Tells two executions apart that are not the same statement with the same values.
fn hash(call: &Call) -> String {
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    add(call.text.as_bytes());
    let arguments = call.arguments.as_deref();
    for (index, value) in arguments.iter().flat_map(|arguments| arguments.values.iter().enumerate()) {
        let format = arguments.and_then(|arguments| arguments.formats.get(index)).copied().unwrap_or(0);
        match value {
            Some(value) => {
                add(&format.to_be_bytes());
                add(value);
            }
            None => add(b"null"),
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the last command tag among whole frames.
fn last_tag(mut frames: &[u8]) -> Option<String> {
    let mut tag = None;
    while let Ok(Some(header)) = frame::header(frames, REPLY_BYTES_MAX)
        && frames.len() >= header.length
    {
        if header.kind == b'C' {
            tag = frames.get(5..header.length).and_then(|body| backend::command_tag(body).ok()).map(str::to_owned);
        }
        frames = &frames[header.length..];
    }
    tag
}

/// Tells whether a shard refused a row of `shardloom.idempotency` because the key is there.
fn is_taken(failure: &Failure) -> bool {
    let Failure::Shard { frame } = failure else { return false };
    let Some(fields) = frame.get(5..).and_then(|body| ErrorFields::read(body).ok()) else { return false };
    fields.get(b's').is_some_and(|schema| schema == "shardloom")
        && fields.get(b'n').is_some_and(|name| name == KEY_CONSTRAINT)
}

/// Says that a transaction with this key has committed.
fn taken(key: &str, txid: i64) -> Refusal {
    let message = format!("idempotency key \"{key}\" is taken: transaction {txid} has committed with it");
    Refusal::new(SqlState::UNIQUE_VIOLATION, message)
        .with_detail("Nothing of this transaction is left.")
        .with_hint("If this is a retry, its first try succeeded: do not repeat it.")
}

fn other_statement(key: &str, txid: i64) -> Refusal {
    let message = format!("idempotency key \"{key}\" belongs to another statement, of transaction {txid}");
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .with_detail("Nothing of this statement is left.")
        .with_hint("A retry is the same text with the same values; everything else needs a key of its own.")
}

fn too_much_said() -> Refusal {
    Refusal::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "a statement with an idempotency key said more than 1 MiB of notices",
    )
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::{Bytes, BytesMut};

    use super::super::call::Arguments;
    use super::*;

    fn call(text: &str, values: &[Option<&'static str>]) -> Call {
        let values = values.iter().map(|value| value.map(|value| Bytes::from_static(value.as_bytes()))).collect();
        let arguments = Some(Rc::new(Arguments { values, ..Arguments::default() }));
        Call { arguments, ..Call::simple(text.into()) }
    }

    #[test]
    fn another_text_or_value_is_another_statement() {
        let one = hash(&call("update t set a = $1", &[Some("1"), None]));
        assert_eq!(one, hash(&call("update t set a = $1", &[Some("1"), None])));
        for other in [
            call("update t set a = $2", &[Some("1"), None]),
            call("update t set a = $1", &[Some("2"), None]),
            call("update t set a = $1", &[Some("1"), Some("null")]),
            call("update t set a = $1", &[Some("1n"), Some("ull")]),
        ] {
            assert_ne!(one, hash(&other), "{other:?}");
        }
    }

    #[test]
    fn the_tag_is_found_behind_notices() {
        let mut frames = BytesMut::new();
        backend::write_error_fields(&mut frames, b'N', &[(b'S', "NOTICE"), (b'M', "hm")]);
        backend::write_command_complete(&mut frames, "UPDATE 3");
        assert_eq!(last_tag(&frames).as_deref(), Some("UPDATE 3"));
        assert_eq!(last_tag(&frames[..frames.len() - 1]), None);
    }
}
