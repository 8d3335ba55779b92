//! What a statement leaves on its server that cannot be set anew on another one, read from its words.
//!
//! Reads texts only, of DO blocks their bodies' words. What functions and triggers do unseen is not found here (of
//! functions `plan` asks the catalog): sessions that rely on such things belong into pool mode `session`. `remains` asks the server what is really there.

use crate::plan::catalog::may_make_temporary;
use crate::proxy::Pinned;
use crate::sql::{self, Scanner, Token};

/// Functions after which the server connection has something of the session, and what.
pub(super) const FUNCTIONS: [(&str, Pinned); 11] = [
    ("pg_advisory_lock", Pinned::AdvisoryLock),
    ("pg_advisory_lock_shared", Pinned::AdvisoryLock),
    ("pg_try_advisory_lock", Pinned::AdvisoryLock),
    ("pg_try_advisory_lock_shared", Pinned::AdvisoryLock),
    ("currval", Pinned::Sequence),
    ("lastval", Pinned::Sequence),
    ("setseed", Pinned::Setting),
    ("pg_replication_origin_session_setup", Pinned::Setting),
    ("dblink_connect", Pinned::Library),
    ("dblink_connect_u", Pinned::Library),
    ("dblink_open", Pinned::Library),
];

/// Returns what a text leaves with its server: the first thing that is found, [`Pinned::No`] in nearly all texts.
pub(super) fn pins(text: &str) -> Pinned {
    let mut words = Scanner::new(text);
    let Some(first) = words.next() else { return Pinned::No };
    if let Some(pinned) = by_first_word(text, first) {
        return pinned;
    }
    if first.is_word(text, "do") && words.clone().any(|token| token.is_string() && may_make_temporary(token.text(text)))
    {
        return Pinned::TemporaryTable;
    }
    let inserts = ["insert", "merge"].iter().any(|word| first.is_word(text, word));
    let (mut before, mut token) = (None, Some(first));
    while let Some(at) = token {
        let next = words.next();
        if let Some(pinned) = by_word(text, before, at, next, inserts) {
            return pinned;
        }
        (before, token) = (Some(at), next);
    }
    Pinned::No
}

/// Tells whether a statement may take back what pinned its session, so that it is worth asking what is left.
pub fn unpins(text: &str) -> bool {
    const FIRST: [&str; 7] = ["drop", "discard", "unlisten", "close", "deallocate", "rollback", "alter"];
    const FUNCTIONS: [&str; 3] = ["pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_unlock_all"];
    let first = Scanner::new(text).next();
    if first.is_some_and(|first| FIRST.iter().any(|word| first.is_word(text, word))) {
        return true;
    }
    FUNCTIONS.iter().any(|function| calls(text, function))
}

/// Tells whether a text calls something that sessions do with each other: advisory locks, listening, sequences.
pub(super) fn is_between_sessions(text: &str) -> bool {
    const STARTS: [&str; 5] = ["pg_advisory_", "pg_try_advisory_", "pg_listening_channels", "pg_notify", "pg_temp"];
    const NAMES: [&str; 4] = ["nextval", "currval", "lastval", "setval"];
    Scanner::new(text).filter(Token::is_name).any(|token| {
        sql::identifier(text, token)
            .is_some_and(|name| STARTS.iter().any(|start| name.starts_with(start)) || NAMES.contains(&name.as_str()))
    })
}

/// Tells whether the name of `function` stands in the text, as a whole word.
pub(super) fn calls(text: &str, function: &str) -> bool {
    memchr::memchr(b'_', text.as_bytes()).is_some()
        && Scanner::new(text).any(|token| sql::identifier(text, token).as_deref() == Some(function))
}

fn by_first_word(text: &str, first: Token) -> Option<Pinned> {
    const WORDS: [(&str, Pinned); 4] = [
        ("listen", Pinned::Listen),
        ("load", Pinned::Library),
        ("prepare", Pinned::PreparedStatement),
        ("declare", Pinned::HeldCursor),
    ];
    let (word, pinned) = WORDS.into_iter().find(|(word, _)| first.is_word(text, word))?;
    let pins = match word {
        "prepare" => matches!(sql::control(text), Some(sql::Control::Prepare { .. })),
        "declare" => matches!(sql::control(text), Some(sql::Control::Declare { hold: true, .. })),
        _ => true,
    };
    pins.then_some(pinned)
}

fn by_word(text: &str, before: Option<Token>, at: Token, next: Option<Token>, inserts: bool) -> Option<Pinned> {
    let follows = |words: &[&str]| before.is_some_and(|before| words.iter().any(|word| before.is_word(text, word)));
    if (at.is_word(text, "temp") || at.is_word(text, "temporary"))
        && follows(&["create", "replace", "into", "global", "local"])
    {
        // INSERT INTO temp, SELECT … INTO temp FROM: a table of that name.
        let named = next.is_some_and(|next| next.is_name() && !next.is_word(text, "from"));
        return (named && !inserts).then_some(Pinned::TemporaryTable);
    }
    let next = next?;
    let is_call = next.is_mark(text, "(");
    if !is_call && !next.is_mark(text, ".") {
        return None;
    }
    let name = sql::identifier(text, at)?;
    if is_call {
        return FUNCTIONS.iter().find(|(function, _)| *function == name).map(|(_, pinned)| *pinned);
    }
    (name == "pg_temp").then_some(Pinned::TemporaryTable)
}

#[cfg(test)]
mod tests {
    use super::{Pinned, calls, pins, unpins};

    #[test]
    fn session_locks_pin_and_transaction_locks_do_not() {
        for text in [
            "SELECT pg_advisory_lock(1)",
            "select PG_TRY_ADVISORY_LOCK_SHARED(1)",
            "DO 1; select \"pg_advisory_lock\" (2)",
        ] {
            assert_eq!(pins(text), Pinned::AdvisoryLock, "{text}");
        }
        for text in ["SELECT pg_advisory_xact_lock(1)", "SELECT 1", "SELECT 'pg_advisory_lock(1)'", ""] {
            assert_eq!(pins(text), Pinned::No, "{text}");
        }
    }

    #[test]
    fn temporary_objects_pin() {
        for text in [
            "select 1 into temp t",
            "select 1 into local temporary table t from x",
            "CREATE TEMPORARY TABLE t ()",
            "create or replace temp view v as select 1",
            "create global temp sequence s",
            "create function pg_temp.f() returns int language sql as 'select 1'",
            "drop table pg_temp.t",
            "do $$ begin create temp table t (a int); end $$",
            "do language plpgsql 'begin execute ''CREATE TEMPORARY TABLE t ()''; end'",
        ] {
            assert_eq!(pins(text), Pinned::TemporaryTable, "{text}");
        }
        for text in [
            "create table temp ()",
            "insert into temp values (1)",
            "select 1 into temp from x",
            "select temp.a from temp",
            "do $$ begin perform tempo(1); end $$",
        ] {
            assert_eq!(pins(text), Pinned::No, "{text}");
        }
    }

    #[test]
    fn what_only_its_server_knows_pins() {
        assert_eq!(pins("LISTEN a"), Pinned::Listen);
        assert_eq!(pins("LOAD 'auto_explain'"), Pinned::Library);
        assert_eq!(pins("PREPARE p AS SELECT 1"), Pinned::PreparedStatement);
        assert_eq!(pins("PREPARE TRANSACTION 'x'"), Pinned::No);
        assert_eq!(pins("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), Pinned::HeldCursor);
        assert_eq!(pins("DECLARE c CURSOR FOR SELECT 1"), Pinned::No);
        assert_eq!(pins("SELECT lastval(), currval('s')"), Pinned::Sequence);
        assert_eq!(pins("SELECT nextval('s')"), Pinned::No);
        assert_eq!(pins("SELECT lastval FROM t"), Pinned::No);
    }

    #[test]
    fn what_may_end_a_pin_is_known() {
        for text in ["DROP TABLE t", "UNLISTEN *", "SELECT pg_advisory_unlock(1)", "CLOSE ALL", "DISCARD TEMP"] {
            assert!(unpins(text), "{text}");
        }
        for text in ["SELECT 1", "LISTEN a", "INSERT INTO drop_box VALUES (1)", ""] {
            assert!(!unpins(text), "{text}");
        }
    }

    #[test]
    fn a_call_is_a_whole_name() {
        assert!(calls("select pg_catalog.set_config('a.b', 'x', true)", "set_config"));
        assert!(!calls("select my_set_config_now()", "set_config"));
    }
}
