//! Which database nobody may be connected to while a statement runs, and which one's sessions begin otherwise after it.

use super::cursor::Cursor;
use super::insert::string_value;

/// What PostgreSQL copies where CREATE DATABASE names nothing.
const DEFAULT_TEMPLATE: &str = "template1";

/// Returns the database that must have no other sessions for `DROP DATABASE`, `ALTER DATABASE … RENAME` or `SET
/// TABLESPACE`, and for `CREATE DATABASE`, which copies one.
pub fn deserted_database(statement: &str) -> Option<String> {
    let mut cursor = Cursor::new(statement);
    let first = cursor.next()?;
    if !cursor.word("database") {
        return None;
    }
    if first.is_word(statement, "drop") {
        cursor.words(&["if", "exists"]);
        return cursor.name();
    }
    let name = cursor.name()?;
    if first.is_word(statement, "alter") {
        return (cursor.is_word("rename") || cursor.words(&["set", "tablespace"])).then_some(name);
    }
    first.is_word(statement, "create").then(|| template(&mut cursor)).flatten()
}

/// Returns the database whose new sessions begin with other settings after `ALTER DATABASE … SET`, or `ALTER ROLE … SET`
/// with its RESET; `None` inside stands for every database.
pub fn redefined_defaults(statement: &str) -> Option<Option<String>> {
    let mut cursor = Cursor::new(statement);
    if !cursor.word("alter") {
        return None;
    }
    let database = if cursor.word("database") {
        Some(cursor.name()?)
    } else if cursor.word("role") || cursor.word("user") {
        cursor.name()?;
        match cursor.words(&["in", "database"]) {
            true => Some(cursor.name()?),
            false => None,
        }
    } else {
        return None;
    };
    let sets = cursor.is_word("reset") || cursor.word("set") && !cursor.is_word("tablespace");
    sets.then_some(database)
}

fn template(cursor: &mut Cursor<'_>) -> Option<String> {
    while !cursor.at_end() {
        if cursor.word("template") {
            cursor.mark("=");
            let named = cursor.name();
            return named.or_else(|| string_value(cursor.text, &cursor.peek()?));
        }
        cursor.next();
    }
    Some(DEFAULT_TEMPLATE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_that_must_be_deserted_is_known() {
        for (statement, name) in [
            ("DROP DATABASE a", "a"),
            ("drop database if exists \"A b\" with (force)", "A b"),
            ("ALTER DATABASE a RENAME TO b", "a"),
            ("ALTER DATABASE a SET TABLESPACE t", "a"),
            ("CREATE DATABASE a", "template1"),
            ("CREATE DATABASE a WITH ENCODING 'UTF8' TEMPLATE = b OWNER c", "b"),
            ("CREATE DATABASE a TEMPLATE 'b'", "b"),
        ] {
            assert_eq!(deserted_database(statement).as_deref(), Some(name), "{statement}");
        }
        for statement in
            ["ALTER DATABASE a SET work_mem = 1", "DROP TABLE a", "COMMENT ON DATABASE a IS 'b'", "SELECT 1"]
        {
            assert_eq!(deserted_database(statement), None, "{statement}");
        }
    }

    #[test]
    fn new_defaults_of_sessions_are_known() {
        for (statement, database) in [
            ("ALTER DATABASE a SET work_mem = 1", Some("a")),
            ("alter database \"A b\" reset all", Some("A b")),
            ("ALTER ROLE kim IN DATABASE a SET work_mem TO '1MB'", Some("a")),
            ("ALTER ROLE kim SET work_mem = 1", None),
            ("ALTER USER ALL RESET ALL", None),
        ] {
            assert_eq!(redefined_defaults(statement), Some(database.map(str::to_owned)), "{statement}");
        }
        for statement in [
            "ALTER DATABASE a SET TABLESPACE t",
            "ALTER DATABASE a OWNER TO b",
            "ALTER ROLE kim PASSWORD 'x'",
            "ALTER USER MAPPING FOR kim SERVER s OPTIONS (SET a 'b')",
            "ALTER TABLE a SET LOGGED",
            "SET work_mem = 1",
        ] {
            assert_eq!(redefined_defaults(statement), None, "{statement}");
        }
    }
}
