//! Which statements change what other texts mean: tables, types and functions for everybody, settings until the
//! transaction ends.
//!
//! A text that was prepared before such a change may not be taken for one that is prepared after it. Reads texts only:
//! what functions do unseen is not found.

use std::ops::Range;

use crate::sql::{self, Control, DdlObject, DdlVerb, Scanner, SetScope, Utility};

use super::set_config::sets_locally;

/// Settings that a transaction changes for itself without changing what any text means, beside those of extensions,
/// whose names have a dot.
const HARMLESS_SETTINGS: [&str; 12] = [
    "application_name",
    "constraints",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "maintenance_work_mem",
    "statement_timeout",
    "synchronous_commit",
    "transaction",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "work_mem",
];

/// What other texts mean after a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meanings {
    /// It changes tables, types or functions that every session sees.
    pub schema: bool,
    /// It only drops tables, which may be temporary ones.
    pub drops_tables: bool,
    /// It changes settings until the transaction ends.
    pub local: bool,
    /// It says the name of a prepared statement.
    pub statements: bool,
    /// It draws numbers from a sequence by name.
    pub draws: bool,
}

impl Meanings {
    /// Reads the statements of a text.
    pub(super) fn of(text: &str, statements: &[Range<usize>]) -> Self {
        let any = |tells: fn(&str) -> bool| statements.iter().any(|range| tells(&text[range.clone()]));
        Self {
            schema: any(changes_schema),
            drops_tables: any(drops_table) && !any(|statement| changes_schema(statement) && !drops_table(statement)),
            local: any(changes_locally),
            statements: any(sql::names_statement),
            draws: any(draws),
        }
    }
}

/// Tells whether a statement is a DO block.
pub(super) fn is_block(statement: &str) -> bool {
    Scanner::new(statement).next().is_some_and(|first| first.is_word(statement, "do"))
}

fn changes_schema(statement: &str) -> bool {
    const WORDS: [&str; 3] = ["create", "alter", "drop"];
    if is_block(statement) {
        let mut words = statement.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        return words.any(|word| WORDS.iter().any(|verb| word.eq_ignore_ascii_case(verb)));
    }
    let first = Scanner::new(statement).next();
    if !first.is_some_and(|first| WORDS.iter().any(|verb| first.is_word(statement, verb))) {
        return false;
    }
    match sql::utility(statement) {
        Some(Utility::Ddl(ddl)) => !ddl.temporary && is_seen_by_texts(ddl.object),
        Some(_) | None => true,
    }
}

/// Tells whether what a text means depends on such objects.
fn is_seen_by_texts(object: DdlObject) -> bool {
    match object {
        DdlObject::Index | DdlObject::Database | DdlObject::Role | DdlObject::Cluster => false,
        DdlObject::Table
        | DdlObject::Sequence
        | DdlObject::View
        | DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::OnTable
        | DdlObject::Rule
        | DdlObject::Extension
        | DdlObject::Other => true,
    }
}

fn draws(statement: &str) -> bool {
    const FUNCTIONS: [&str; 2] = ["nextval", "setval"];
    let name = |token| sql::identifier(statement, token);
    memchr::memmem::find(statement.as_bytes(), b"(").is_some()
        && Scanner::new(statement).any(|token| name(token).is_some_and(|name| FUNCTIONS.contains(&name.as_str())))
}

fn drops_table(statement: &str) -> bool {
    let dropped = (DdlVerb::Drop, DdlObject::Table);
    matches!(sql::utility(statement), Some(Utility::Ddl(ddl)) if (ddl.verb, ddl.object) == dropped)
}

fn changes_locally(statement: &str) -> bool {
    match sql::control(statement) {
        Some(Control::Set(setting)) => match setting.scope {
            SetScope::Local => !is_harmless(&setting.name),
            SetScope::Session | SetScope::Transaction | SetScope::SessionCharacteristics => false,
        },
        Some(_) => false,
        None => sets_locally(statement, is_harmless),
    }
}

fn is_harmless(setting: &str) -> bool {
    setting.contains('.') || HARMLESS_SETTINGS.contains(&setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meanings(text: &str) -> Meanings {
        Meanings::of(text, &sql::split(text))
    }

    #[test]
    fn changes_of_what_all_see_are_known() {
        for text in
            ["ALTER TABLE t ADD a int", "SELECT 1; drop type x", "create view v as select 1", "DO 'drop table t'"]
        {
            assert!(meanings(text).schema, "{text}");
        }
        for text in [
            "CREATE TEMP TABLE t ()",
            "CREATE INDEX ON t (a)",
            "SELECT 'alter'",
            "DO 'select 1'",
            "GRANT ALL ON t TO a",
            "VACUUM t",
        ] {
            assert!(!meanings(text).schema, "{text}");
        }
    }

    #[test]
    fn drawing_is_known() {
        assert!(meanings("SELECT pg_catalog.NEXTVAL('s')").draws && meanings("SELECT setval('s', 1)").draws);
        assert!(!meanings("SELECT 'nextval(1)'").draws && !meanings("INSERT INTO t VALUES (1)").draws);
    }

    #[test]
    fn settings_of_a_transaction_are_known() {
        for text in [
            "SET LOCAL search_path = a",
            "set local time zone 'UTC'",
            "SET LOCAL ROLE a",
            "SELECT set_config('search_path', 'a', true)",
            "SELECT set_config($1, 'a', true)",
        ] {
            assert!(meanings(text).local, "{text}");
        }
        for text in [
            "SET LOCAL statement_timeout = 1",
            "SET LOCAL app.x = 1",
            "SELECT set_config('app.x', $1, true)",
            "SET search_path = a",
            "SELECT 1",
        ] {
            assert!(!meanings(text).local, "{text}");
        }
    }
}
