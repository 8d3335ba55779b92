//! Where a statement says the name of a prepared statement: EXECUTE, PREPARE, DEALLOCATE, and what runs an EXECUTE.

use super::cursor::Cursor;
use super::name::identifier;
use super::scan::{Token, TokenKind};

/// Tells whether a statement says the name of a prepared statement.
pub fn names_statement(statement: &str) -> bool {
    prepared_name(statement).is_some()
}

/// Returns the name of the prepared statement that one statement makes, runs, explains or drops.
///
/// Names with Unicode escapes are not found, nor what a DO block executes.
pub fn prepared_name(statement: &str) -> Option<Token> {
    let mut cursor = Cursor::new(statement);
    if cursor.word("explain") {
        cursor.skip_parentheses();
        while cursor.any_word(&["analyze", "analyse", "verbose"]) {}
        if !cursor.is_word("execute") && !cursor.is_word("create") {
            return None;
        }
    }
    let found = match cursor.next()? {
        first if first.is_word(statement, "execute") => true,
        first if first.is_word(statement, "create") => skip_to_execute(&mut cursor),
        first if first.is_word(statement, "prepare") => !is_transaction(&cursor),
        first if first.is_word(statement, "deallocate") => skip_prepare(&mut cursor),
        _ => false,
    };
    cursor.peek().filter(|name| found && identifier(statement, *name).is_some())
}

/// `CREATE TABLE … AS EXECUTE`
fn skip_to_execute(cursor: &mut Cursor<'_>) -> bool {
    while cursor.any_word(&["global", "local", "temporary", "temp", "unlogged"]) {}
    if !cursor.word("table") {
        return false;
    }
    while !cursor.at_end() {
        if cursor.skip_parentheses() {
            continue;
        }
        if cursor.word("as") {
            return cursor.word("execute");
        }
        cursor.next();
    }
    false
}

/// `PREPARE TRANSACTION 'id'`, as against a statement of that name.
fn is_transaction(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    let is_text = |token: Token| {
        matches!(token.kind, TokenKind::Text | TokenKind::EscapeText | TokenKind::UnicodeText | TokenKind::DollarText)
    };
    ahead.word("transaction") && ahead.peek().is_some_and(is_text)
}

/// `DEALLOCATE [PREPARE] name`, and not `ALL`; the word may be the name itself.
fn skip_prepare(cursor: &mut Cursor<'_>) -> bool {
    let mut behind = cursor.clone();
    if behind.word("prepare") && behind.peek().is_some_and(|token| token.is_name()) {
        *cursor = behind;
    }
    !cursor.is_word("all")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(statement: &str) -> Option<&str> {
        prepared_name(statement).map(|token| token.text(statement))
    }

    #[test]
    fn names_are_found_where_they_stand() {
        for (statement, name) in [
            ("EXECUTE p(1)", "p"),
            ("execute \"a b\"", "\"a b\""),
            ("PREPARE P (int) AS SELECT $1", "P"),
            ("PREPARE transaction AS SELECT 1", "transaction"),
            ("DEALLOCATE p;", "p"),
            ("DEALLOCATE PREPARE p", "p"),
            ("DEALLOCATE prepare", "prepare"),
            ("DEALLOCATE \"all\"", "\"all\""),
            ("/* a */ EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE sqlx_s_1(NULL)", "sqlx_s_1"),
            ("EXPLAIN ANALYZE VERBOSE EXECUTE p", "p"),
            ("EXPLAIN CREATE TABLE t AS EXECUTE p", "p"),
            ("CREATE TEMP TABLE IF NOT EXISTS a.t (b) WITH (fillfactor=10) AS EXECUTE p(1) WITH NO DATA", "p"),
        ] {
            assert_eq!(found(statement), Some(name), "{statement}");
        }
    }

    #[test]
    fn what_names_none_is_left_alone() {
        for statement in [
            "PREPARE TRANSACTION 'x'",
            "DEALLOCATE ALL",
            "DEALLOCATE PREPARE ALL",
            "EXPLAIN SELECT 1",
            "CREATE TABLE t AS SELECT 1 AS execute, 2 AS b",
            "CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED)",
            "CREATE TRIGGER t BEFORE INSERT ON t EXECUTE FUNCTION f()",
            "EXECUTE",
            "EXECUTE 1",
            "SELECT 'EXECUTE p'",
            "",
        ] {
            assert_eq!(found(statement), None, "{statement}");
        }
    }
}
