//! Utility statements and DDL, read by their tokens: what they do and to which tables.

use super::copy::{self, CopyHead};
use super::cursor::Cursor;
use super::ddl;
use super::name::TableName;

/// A statement that the parser crate is not asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Utility {
    /// `COPY`
    Copy(Box<CopyHead>),
    /// `TRUNCATE`
    Truncate {
        /// The tables.
        tables: Vec<TableName>,
    },
    /// `VACUUM`; no table means all.
    Vacuum {
        /// The tables.
        tables: Vec<TableName>,
    },
    /// `ANALYZE`; no table means all.
    Analyze {
        /// The tables.
        tables: Vec<TableName>,
    },
    /// `LOCK TABLE`
    Lock {
        /// The tables.
        tables: Vec<TableName>,
        /// The mode, lower case; empty for the default, `access exclusive`.
        mode: String,
    },
    /// `CREATE`, `ALTER`, `DROP`, `COMMENT`, `GRANT`, `REVOKE`, `REINDEX`, `CLUSTER`, `REFRESH` …
    Ddl(Ddl),
    /// `DO`
    Do,
    /// `CALL`
    Call,
    /// `CHECKPOINT`, `LOAD`: concerns one server.
    Server,
}

/// A change of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ddl {
    /// What it does.
    pub verb: DdlVerb,
    /// To what.
    pub object: DdlObject,
    /// The relations it concerns, in order of appearance: the table of an index, the target, what it refers to.
    pub tables: Vec<TableName>,
    /// `CONCURRENTLY`: not in a transaction block.
    pub concurrently: bool,
    /// A temporary object.
    pub temporary: bool,
    /// `CREATE TABLE … AS`, `CREATE MATERIALIZED VIEW`, `SELECT … INTO`: the query's first byte.
    pub query: Option<usize>,
}

/// What a DDL statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DdlVerb {
    /// `CREATE`
    Create,
    /// `ALTER`
    Alter,
    /// `DROP`
    Drop,
    /// `COMMENT ON`
    Comment,
    /// `SECURITY LABEL`
    SecurityLabel,
    /// `GRANT`
    Grant,
    /// `REVOKE`
    Revoke,
    /// `REINDEX`
    Reindex,
    /// `CLUSTER`
    Cluster,
    /// `REFRESH MATERIALIZED VIEW`
    Refresh,
    /// `IMPORT FOREIGN SCHEMA`, `REASSIGN OWNED`
    Other,
}

/// What a DDL statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DdlObject {
    /// A table.
    Table,
    /// An index.
    Index,
    /// A sequence.
    Sequence,
    /// A view or materialized view.
    View,
    /// A schema.
    Schema,
    /// A type or domain.
    Type,
    /// A function, procedure or aggregate.
    Function,
    /// A trigger or policy on a table.
    OnTable,
    /// A rule on a table.
    Rule,
    /// An extension.
    Extension,
    /// A database.
    Database,
    /// A role or user: cluster-wide.
    Role,
    /// A tablespace or `ALTER SYSTEM`: cluster-wide.
    Cluster,
    /// Anything else.
    Other,
}

/// Reads `text` if it is a utility statement.
pub fn utility(text: &str) -> Option<Utility> {
    let mut cursor = Cursor::new(text);
    let first = cursor.next()?.text(text).to_ascii_lowercase();
    match first.as_str() {
        "copy" => copy::read(&mut cursor).map(|head| Utility::Copy(Box::new(head))),
        "truncate" => {
            cursor.word("table");
            Some(Utility::Truncate { tables: tables(&mut cursor)? })
        }
        "vacuum" => Some(Utility::Vacuum { tables: maintained(&mut cursor)? }),
        "analyze" | "analyse" => Some(Utility::Analyze { tables: maintained(&mut cursor)? }),
        "lock" => lock(&mut cursor),
        "do" => Some(Utility::Do),
        "call" => Some(Utility::Call),
        "checkpoint" | "load" => Some(Utility::Server),
        "select" | "with" | "(" => ddl::select_into(&mut cursor).map(Utility::Ddl),
        other => ddl::read(other, &mut cursor).map(Utility::Ddl),
    }
}

/// Reads `[ONLY] name [*] [(columns)], …`.
pub(super) fn tables(cursor: &mut Cursor<'_>) -> Option<Vec<TableName>> {
    let mut tables = Vec::new();
    loop {
        cursor.word("only");
        tables.push(cursor.table()?);
        cursor.mark("*");
        cursor.skip_parentheses();
        if !cursor.mark(",") {
            return Some(tables);
        }
    }
}

/// `VACUUM` and `ANALYZE`: options of both syntaxes, then tables or nothing.
fn maintained(cursor: &mut Cursor<'_>) -> Option<Vec<TableName>> {
    cursor.skip_parentheses();
    while cursor.any_word(&["full", "freeze", "verbose", "analyze", "analyse"]) {}
    if cursor.at_end() || cursor.mark(";") {
        return Some(Vec::new());
    }
    tables(cursor)
}

fn lock(cursor: &mut Cursor<'_>) -> Option<Utility> {
    cursor.word("table");
    let tables = tables(cursor)?;
    let mut mode = String::new();
    if cursor.word("in") {
        while !cursor.is_word("mode") {
            let word = cursor.name()?;
            if !mode.is_empty() {
                mode.push(' ');
            }
            mode.push_str(&word);
        }
    }
    Some(Utility::Lock { tables, mode })
}
