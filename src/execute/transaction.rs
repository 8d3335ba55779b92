//! A client's transaction: which shards are in it, what it wrote there, and what a redo would need.
//!
//! Shards are enlisted lazily, when the transaction first touches them. No I/O here; `enlist` and `commit` drive it.

use std::borrow::Cow;
use std::rc::Rc;

use bytes::Bytes;

use crate::backend::Server;
use crate::outbox::{Drawn, LedgerTarget, RedoCommand};
use crate::plan::WriteEffect;
use crate::rules::OnDead;
use crate::types::{ShardId, TransactionStatus, WriteMode};

use super::call::Call;
use super::idempotent::Idempotency;
use super::settings::Settings;

/// The most redo bytes that one transaction may gather (commands and parameters for shards other than home).
pub const REDO_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most savepoints that one transaction may have open; each is replayed on a shard that joins late.
pub const SAVEPOINTS_MAX: usize = 1_000;

/// What opens a transaction without modes.
pub const PLAIN_BEGIN: &str = "BEGIN";

/// Whether the client is in a transaction, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// None: each statement commits by itself.
    None,
    /// Opened by the proxy for one statement, one query string or one pipeline; committed at its end.
    Implicit,
    /// Opened by the client's BEGIN.
    Explicit,
}

/// The transaction of one client.
#[derive(Debug)]
pub struct Transaction {
    block: Block,
    failed: bool,
    /// Whether the shards that did not fail have been told.
    pub has_let_go: bool,
    /// What opens the transaction on a shard: `BEGIN` with the client's modes.
    begin: Cow<'static, str>,
    /// Whether the client asked for REPEATABLE READ or SERIALIZABLE.
    pub snapshot_isolation: bool,
    /// The shards in the order in which they joined.
    pub members: Vec<Member>,
    /// Open savepoints, outermost first.
    pub savepoints: Vec<Savepoint>,
    /// `SET LOCAL` and friends, replayed on a shard that joins late.
    pub local_statements: Vec<String>,
    /// The snowflake id, drawn when a second shard is written or a reference table is.
    pub txid: Option<Drawn>,
    /// The strongest mode asked for so far.
    pub mode: Option<WriteMode>,
    /// The shard of the first write: its commit decides, unless a reference table was written.
    pub first_written: Option<ShardId>,
    /// The table whose rules reject transactions over several shards, once one was written.
    pub rejects: Option<String>,
    /// Whether a reference table was written.
    pub reference: bool,
    /// The home of the reference tables written.
    pub reference_home: Option<ShardId>,
    /// Whether rows of theirs may have been written: what captures none has nothing to wait for.
    pub captured: bool,
    /// Those tables, as the rules name them.
    pub written_references: Vec<String>,
    /// What `now()` is in this transaction, as an SQL literal's text in UTC, once it was asked for.
    pub now: Option<String>,
    /// Shares of targets that run only after home's commit (`eventual` on sharded tables).
    pub deferred: Vec<LedgerTarget>,
    /// Statements for shards that are no members, in their order: left to the relay, unless the shard joins.
    pub postponed: Rc<Vec<Postponed>>,
    /// What takes back what home does, where the rules declare it for what is left to the relay.
    pub home_undo: Vec<RedoCommand>,
    /// What becomes of a command that a target refuses.
    pub on_dead: OnDead,
    /// The client's idempotency key, with which the decision is made.
    pub idempotency: Option<Box<Idempotency>>,
    /// Views and functions over tables of the rules that it has made.
    pub made: Vec<String>,
    redo_bytes: usize,
}

/// One shard in a transaction.
#[derive(Debug)]
pub struct Member {
    /// The connection, held until the end.
    pub server: Server,
    /// Whether something was written here.
    pub wrote: bool,
    /// The home that the inbox row of this transaction names here, once the row is in.
    pub inbox: Option<ShardId>,
    /// Whether `lock_timeout` was lowered for this transaction here.
    pub lock_bounded: bool,
    /// ReadyForQuery messages of what was queued ahead of the client's own statement.
    pub preamble: usize,
    /// Whether its deferred constraints have been fired for the commit, or are as soon as what was queued has run.
    pub checked: bool,
    /// ReadyForQuery messages of what was queued behind the client's own statement.
    pub behind: usize,
    /// What a redo would run, in order.
    pub commands: Vec<RedoCommand>,
    /// Whether something that was done here cannot be redone from an outbox: as a target it must prepare.
    pub never_redo: bool,
}

/// A statement that a shard has not run yet.
#[derive(Debug, Clone)]
pub struct Postponed {
    /// The shard.
    pub shard: ShardId,
    /// What the client sent.
    pub call: Call,
    /// What it does.
    pub effect: WriteEffect,
    /// The rows that it is taken to change there; the client was told so.
    pub rows: u64,
}

/// An open savepoint.
#[derive(Debug)]
pub struct Savepoint {
    /// Its name as SQL.
    pub name: String,
    /// What each member had, by shard, when it was set.
    marks: Vec<(ShardId, Mark)>,
    /// How many local statements there were.
    locals: usize,
    /// What the session had set.
    settings: Settings,
    /// What had been postponed: shards that join behind it run that behind it, too.
    postponed: Rc<Vec<Postponed>>,
}

/// What a member had when a savepoint was set; going back to it undoes the rest on the server too.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// How many redo commands.
    commands: usize,
    inbox: Option<ShardId>,
    lock_bounded: bool,
}

impl Mark {
    fn of(member: &Member) -> Self {
        Self { commands: member.commands.len(), inbox: member.inbox, lock_bounded: member.lock_bounded }
    }
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            block: Block::None,
            failed: false,
            has_let_go: false,
            begin: Cow::Borrowed(""),
            snapshot_isolation: false,
            members: Vec::new(),
            savepoints: Vec::new(),
            local_statements: Vec::new(),
            txid: None,
            mode: None,
            first_written: None,
            rejects: None,
            reference: false,
            reference_home: None,
            captured: false,
            written_references: Vec::new(),
            now: None,
            deferred: Vec::new(),
            postponed: Rc::default(),
            home_undo: Vec::new(),
            on_dead: OnDead::ParkKey,
            idempotency: None,
            made: Vec::new(),
            redo_bytes: 0,
        }
    }
}

impl Transaction {
    /// Opens a block; `modes` is what stands after BEGIN, empty for the defaults.
    pub fn open(&mut self, block: Block, modes: &str, snapshot_isolation: bool) {
        self.block = block;
        self.begin = if modes.is_empty() { PLAIN_BEGIN.into() } else { format!("BEGIN {modes}").into() };
        self.snapshot_isolation = snapshot_isolation;
    }

    /// Turns an implicit block into the client's own, as BEGIN inside a query string does.
    pub fn make_explicit(&mut self) {
        self.block = Block::Explicit;
    }

    /// Returns the kind of block.
    pub fn block(&self) -> Block {
        self.block
    }

    /// Tells whether any block is open.
    pub fn is_open(&self) -> bool {
        self.block != Block::None
    }

    /// Tells whether an error stopped the block.
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// Marks the block failed; without a block there is nothing to mark.
    pub fn fail(&mut self) {
        self.failed = self.is_open();
    }

    /// Clears the failure, after ROLLBACK TO SAVEPOINT.
    pub fn recover(&mut self) {
        (self.failed, self.has_let_go) = (false, false);
    }

    /// Returns what ReadyForQuery must say.
    pub fn status(&self) -> TransactionStatus {
        match (self.block, self.failed) {
            (Block::None | Block::Implicit, _) => TransactionStatus::Idle,
            (Block::Explicit, false) => TransactionStatus::Open,
            (Block::Explicit, true) => TransactionStatus::Failed,
        }
    }

    /// Returns the statement that opens the transaction on a shard.
    pub fn begin_statement(&self) -> &str {
        &self.begin
    }

    /// Returns the position of a shard among the members.
    pub fn position(&self, shard: ShardId) -> Option<usize> {
        self.members.iter().position(|member| member.server.shard() == shard)
    }

    /// Tells whether another shard than `shard` has been written.
    pub fn wrote_elsewhere(&self, shard: ShardId) -> bool {
        self.members.iter().any(|member| member.wrote && member.server.shard() != shard)
    }

    /// Returns the shards written, in the order in which they joined.
    pub fn written(&self) -> Vec<ShardId> {
        self.members.iter().filter(|member| member.wrote).map(|member| member.server.shard()).collect()
    }

    /// Adds a redo command for a shard; tells whether the bound still holds.
    #[must_use]
    pub fn record(&mut self, position: usize, command: RedoCommand) -> bool {
        self.redo_bytes += command.sql.len()
            + command
                .parameters
                .iter()
                .map(|parameter| parameter.value.as_ref().map_or(0, Vec::len) + 8)
                .sum::<usize>();
        self.members[position].commands.push(command);
        self.redo_bytes <= REDO_BYTES_MAX
    }

    /// Remembers a statement for a shard that is no member; tells whether the bound still holds.
    #[must_use]
    pub fn postpone(&mut self, postponed: Postponed) -> bool {
        let values = postponed.call.arguments.iter().flat_map(|arguments| &arguments.values);
        self.redo_bytes +=
            postponed.call.text.len() + values.map(|value| value.as_ref().map_or(0, Bytes::len) + 8).sum::<usize>();
        Rc::make_mut(&mut self.postponed).push(postponed);
        self.redo_bytes <= REDO_BYTES_MAX
    }

    /// Hands out what a shard has not run yet.
    pub fn take_postponed(&mut self, shard: ShardId) -> Vec<Postponed> {
        let (its, others) = self.postponed.iter().cloned().partition(|postponed| postponed.shard == shard);
        self.postponed = Rc::new(others);
        its
    }

    /// Tells whether a shard has statements to run before it may do anything else.
    pub fn owes(&self, shard: ShardId) -> bool {
        self.postponed.iter().any(|postponed| postponed.shard == shard)
    }

    /// Remembers a savepoint; tells whether the bound still holds.
    #[must_use]
    pub fn savepoint(&mut self, name: &str, settings: Settings) -> bool {
        let marks = self.members.iter().map(|member| (member.server.shard(), Mark::of(member))).collect();
        let locals = self.local_statements.len();
        let postponed = Rc::clone(&self.postponed);
        self.savepoints.push(Savepoint { name: name.to_owned(), marks, locals, settings, postponed });
        self.savepoints.len() <= SAVEPOINTS_MAX
    }

    /// Returns what a shard that joins late must be told behind BEGIN: local statements and savepoints, in their order.
    pub fn replayed(&self) -> Vec<Cow<'_, str>> {
        let mut statements = Vec::with_capacity(self.local_statements.len() + self.savepoints.len());
        let mut told = 0;
        for savepoint in &self.savepoints {
            statements.extend(self.local_statements[told..savepoint.locals].iter().map(|text| text.as_str().into()));
            statements.push(format!("SAVEPOINT {}", savepoint.name).into());
            told = savepoint.locals;
        }
        statements.extend(self.local_statements[told..].iter().map(|text| text.as_str().into()));
        statements
    }

    /// Finds the innermost savepoint of that name.
    pub fn find_savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name)
    }

    /// Goes back to a savepoint: it stays, later ones and what was recorded since are gone. Returns the settings then.
    pub fn rollback_to(&mut self, position: usize) -> Settings {
        self.savepoints.truncate(position + 1);
        let savepoint = &self.savepoints[position];
        self.local_statements.truncate(savepoint.locals);
        self.postponed = Rc::clone(&savepoint.postponed);
        for member in &mut self.members {
            let kept = savepoint.marks.iter().find(|(shard, _)| *shard == member.server.shard());
            let kept = kept.map(|(_, mark)| *mark).unwrap_or_default();
            member.commands.truncate(kept.commands);
            (member.inbox, member.lock_bounded) = (kept.inbox, kept.lock_bounded);
        }
        self.recover();
        self.savepoints[position].settings.clone()
    }

    /// Releases a savepoint and those inside it.
    pub fn release(&mut self, position: usize) {
        self.savepoints.truncate(position);
    }

    /// Ends the block and hands out its members; the transaction is as new.
    pub fn finish(&mut self) -> Vec<Member> {
        std::mem::take(self).members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_shard_is_told_everything_in_order() {
        let mut transaction = Transaction::default();
        transaction.local_statements.push("SET LOCAL a.b = 1".into());
        assert!(transaction.savepoint("\"one\"", Settings::default()));
        assert!(transaction.savepoint("\"two\"", Settings::default()));
        transaction.local_statements.push("SET LOCAL a.b = 2".into());
        let all = ["SET LOCAL a.b = 1", "SAVEPOINT \"one\"", "SAVEPOINT \"two\"", "SET LOCAL a.b = 2"];
        assert_eq!(transaction.replayed(), all);
        transaction.release(1);
        assert_eq!(transaction.replayed(), [all[0], all[1], all[3]]);
        transaction.rollback_to(0);
        assert_eq!(transaction.replayed(), all[..2]);
    }
}
