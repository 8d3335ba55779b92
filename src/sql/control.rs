//! Session and transaction statements, read by their tokens alone.
//!
//! Reads what the session must act upon; whether the statement is right to its end is the server's word.

use std::ops::Range;

use super::argument;
use super::cursor::Cursor;
use super::explain::{self, ExplainFormat};
use super::hint::start_with_hint;
use super::ledger_call::{self, LedgerCall};
use super::next_ids::{self, NextIds};
use super::set;

/// A statement that concerns the session, not tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// `BEGIN`, `START TRANSACTION`
    Begin {
        /// What follows, as written.
        modes: String,
        /// The isolation level asked for, `None` for the session's default.
        isolation: Option<Isolation>,
        /// `READ ONLY`
        read_only: bool,
    },
    /// `COMMIT`, `END`
    Commit {
        /// `AND CHAIN`
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`
    Rollback {
        /// `AND CHAIN`
        chain: bool,
    },
    /// `SAVEPOINT name`
    Savepoint(String),
    /// `ROLLBACK TO name`
    RollbackTo(String),
    /// `RELEASE name`
    Release(String),
    /// `PREPARE TRANSACTION`
    PrepareTransaction,
    /// `COMMIT PREPARED`
    CommitPrepared,
    /// `ROLLBACK PREPARED`
    RollbackPrepared,
    /// `SET …`
    Set(Setting),
    /// `RESET name`; `None` for `ALL`
    Reset(Option<String>),
    /// `SHOW name`, the name as one lower-case text (`shardloom.shards`, `transaction isolation level`)
    Show(String),
    /// `DISCARD`
    Discard(Discard),
    /// `PREPARE name … AS statement`
    Prepare {
        /// The name.
        name: String,
        /// The bytes of each parameter's type.
        types: Vec<Range<usize>>,
        /// The statement's bytes.
        inner: Range<usize>,
    },
    /// `EXECUTE name`
    Execute {
        /// The name.
        name: String,
        /// The bytes of each value; `None` if the rest is no list of values.
        arguments: Option<Vec<Range<usize>>>,
    },
    /// `DEALLOCATE name`; `None` for `ALL`
    Deallocate(Option<String>),
    /// `DECLARE name CURSOR`
    Declare {
        /// The cursor.
        name: String,
        /// `WITH HOLD`
        hold: bool,
        /// The query's bytes.
        inner: Range<usize>,
    },
    /// `FETCH … name`
    Fetch {
        /// The cursor.
        name: String,
    },
    /// `MOVE … name`
    Move {
        /// The cursor.
        name: String,
    },
    /// `CLOSE name`; `None` for `ALL`
    CloseCursor(Option<String>),
    /// `LISTEN channel`
    Listen(String),
    /// `UNLISTEN channel`; `None` for `*`
    Unlisten(Option<String>),
    /// `SELECT shardloom.next_ids(tag, count)`
    NextIds(NextIds),
    /// `SELECT shardloom.txn_status(txid)`, `SELECT shardloom.wait_for(txid, time)`
    Ledger(LedgerCall),
    /// `NOTIFY channel`
    Notify(String),
    /// `EXPLAIN`
    Explain {
        /// The option `ROUTE`: the proxy answers.
        route: bool,
        /// `FORMAT`
        format: ExplainFormat,
        /// `ANALYZE`: the statement runs.
        analyze: bool,
        /// The explained statement's bytes.
        inner: Range<usize>,
    },
}

/// A transaction isolation level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// `READ COMMITTED`, also what PostgreSQL makes of `READ UNCOMMITTED`
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

/// How far a `SET` reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetScope {
    /// `SET` and `SET SESSION`
    Session,
    /// `SET LOCAL`
    Local,
    /// `SET TRANSACTION`
    Transaction,
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`
    SessionCharacteristics,
}

/// A `SET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// How far it reaches.
    pub scope: SetScope,
    /// The parameter, lower case (`search_path`, `timezone`, `client_encoding`, `role`, `session_authorization`,
    /// `constraints` for `SET CONSTRAINTS`); empty for transaction modes.
    pub name: String,
    /// The value as written.
    pub value_text: String,
    /// The isolation level, for transaction modes.
    pub isolation: Option<Isolation>,
}

/// What `DISCARD` discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    /// `ALL`
    All,
    /// `PLANS`
    Plans,
    /// `SEQUENCES`
    Sequences,
    /// `TEMP`, `TEMPORARY`
    Temporary,
}

/// Reads `text` if it is one session or transaction statement.
pub fn control(text: &str) -> Option<Control> {
    let mut cursor = Cursor::new(text);
    let first = cursor.next()?.text(text).to_ascii_lowercase();
    match first.as_str() {
        "begin" | "start" => begin(&mut cursor, first == "start"),
        "commit" | "end" => commit(&mut cursor),
        "rollback" | "abort" => rollback(&mut cursor),
        "savepoint" => cursor.name().map(Control::Savepoint),
        "release" => {
            cursor.word("savepoint");
            cursor.name().map(Control::Release)
        }
        "select" => {
            let ids = next_ids::read(text).map(Control::NextIds);
            ids.or_else(|| ledger_call::read(text).map(Control::Ledger))
        }
        "set" => set::read(&mut cursor).map(Control::Set),
        "reset" => Some(Control::Reset(set::parameter(&mut cursor)?.filter_all())),
        "show" => Some(Control::Show(set::parameter(&mut cursor)?.0)),
        "discard" => discard(&mut cursor),
        "prepare" => prepare(&mut cursor),
        "execute" => execute(&mut cursor),
        "deallocate" => {
            cursor.word("prepare");
            Some(Control::Deallocate(name_or_all(&mut cursor)?))
        }
        "declare" => declare(&mut cursor),
        "fetch" => last_name(&mut cursor).map(|name| Control::Fetch { name }),
        "move" => last_name(&mut cursor).map(|name| Control::Move { name }),
        "close" => Some(Control::CloseCursor(name_or_all(&mut cursor)?)),
        "listen" => cursor.name().map(Control::Listen),
        "unlisten" if cursor.mark("*") => Some(Control::Unlisten(None)),
        "unlisten" => cursor.name().map(|name| Control::Unlisten(Some(name))),
        "notify" => cursor.name().map(Control::Notify),
        "explain" => explain::read(&mut cursor, inner),
        _ => None,
    }
}

fn begin(cursor: &mut Cursor<'_>, start: bool) -> Option<Control> {
    if start && !cursor.is_word("transaction") {
        return None;
    }
    cursor.any_word(&["work", "transaction"]);
    let modes = cursor.rest().to_owned();
    let isolation = set::isolation(&modes);
    let read_only = set::contains_words(&modes, &["read", "only"]);
    Some(Control::Begin { modes, isolation, read_only })
}

fn chain(cursor: &mut Cursor<'_>) -> bool {
    cursor.word("and") && !cursor.word("no") && cursor.word("chain")
}

fn commit(cursor: &mut Cursor<'_>) -> Option<Control> {
    if cursor.word("prepared") {
        return Some(Control::CommitPrepared);
    }
    cursor.any_word(&["work", "transaction"]);
    Some(Control::Commit { chain: chain(cursor) })
}

fn rollback(cursor: &mut Cursor<'_>) -> Option<Control> {
    if cursor.word("prepared") {
        return Some(Control::RollbackPrepared);
    }
    cursor.any_word(&["work", "transaction"]);
    if cursor.word("to") {
        cursor.word("savepoint");
        return cursor.name().map(Control::RollbackTo);
    }
    Some(Control::Rollback { chain: chain(cursor) })
}

fn discard(cursor: &mut Cursor<'_>) -> Option<Control> {
    let what = match cursor.name()?.as_str() {
        "all" => Discard::All,
        "plans" => Discard::Plans,
        "sequences" => Discard::Sequences,
        "temp" | "temporary" => Discard::Temporary,
        _ => return None,
    };
    Some(Control::Discard(what))
}

fn prepare(cursor: &mut Cursor<'_>) -> Option<Control> {
    if cursor.word("transaction") {
        return Some(Control::PrepareTransaction);
    }
    let name = cursor.name()?;
    let types = if cursor.is_word("as") { Vec::new() } else { argument::list(cursor)? };
    if !cursor.word("as") {
        return None;
    }
    Some(Control::Prepare { name, types, inner: inner(cursor)? })
}

fn execute(cursor: &mut Cursor<'_>) -> Option<Control> {
    let name = cursor.name()?;
    let ends = |cursor: &mut Cursor<'_>| {
        cursor.mark(";");
        cursor.at_end()
    };
    if ends(cursor) {
        return Some(Control::Execute { name, arguments: Some(Vec::new()) });
    }
    let arguments = argument::list(cursor).filter(|_| ends(cursor));
    Some(Control::Execute { name, arguments })
}

fn declare(cursor: &mut Cursor<'_>) -> Option<Control> {
    let name = cursor.name()?;
    while cursor.any_word(&["binary", "asensitive", "insensitive", "no", "scroll"]) {}
    if !cursor.word("cursor") {
        return None;
    }
    let hold = cursor.words(&["with", "hold"]);
    cursor.words(&["without", "hold"]);
    if !cursor.word("for") {
        return None;
    }
    Some(Control::Declare { name, hold, inner: inner(cursor)? })
}

/// `FETCH`, `MOVE`: the cursor's name is the last token.
fn last_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut last = None;
    while let Some(token) = cursor.peek() {
        last = super::identifier(cursor.text, token).or(last);
        cursor.next();
    }
    last
}

fn name_or_all(cursor: &mut Cursor<'_>) -> Option<Option<String>> {
    if cursor.word("all") {
        return Some(None);
    }
    cursor.name().map(Some)
}

fn inner(cursor: &Cursor<'_>) -> Option<Range<usize>> {
    let start = start_with_hint(cursor.text, cursor.peek()?.start);
    let body = cursor.text[start..].trim_end_matches(|end: char| end == ';' || end.is_ascii_whitespace());
    Some(start..start + body.len())
}
