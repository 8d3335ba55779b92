//! The heads of DDL statements: verb, sort of object, and every relation they name.

use super::cursor::Cursor;
use super::name::TableName;
use super::scan::Token;
use super::utility::{Ddl, DdlObject, DdlVerb};

/// Reads what follows the first word.
pub(super) fn read(first: &str, cursor: &mut Cursor<'_>) -> Option<Ddl> {
    let verb = match first {
        "create" => DdlVerb::Create,
        "alter" => DdlVerb::Alter,
        "drop" => DdlVerb::Drop,
        "comment" => DdlVerb::Comment,
        "security" => DdlVerb::SecurityLabel,
        "grant" => DdlVerb::Grant,
        "revoke" => DdlVerb::Revoke,
        "reindex" => DdlVerb::Reindex,
        "cluster" => DdlVerb::Cluster,
        "refresh" => DdlVerb::Refresh,
        "import" | "reassign" => DdlVerb::Other,
        _ => return None,
    };
    let mut ddl =
        Ddl { verb, object: DdlObject::Other, tables: Vec::new(), concurrently: false, temporary: false, query: None };
    match verb {
        DdlVerb::Create => create(cursor, &mut ddl)?,
        DdlVerb::Alter => alter(cursor, &mut ddl)?,
        DdlVerb::Drop => drop_object(cursor, &mut ddl)?,
        DdlVerb::Comment | DdlVerb::SecurityLabel => comment(cursor, &mut ddl)?,
        DdlVerb::Grant | DdlVerb::Revoke => grant(cursor, &mut ddl)?,
        DdlVerb::Reindex | DdlVerb::Cluster => reindex(cursor, &mut ddl)?,
        DdlVerb::Refresh => refresh(cursor, &mut ddl)?,
        DdlVerb::Other => {}
    }
    Some(ddl)
}

/// Returns the name that CREATE INDEX gives, without schema: an index lives in that of its table.
pub fn index_name(text: &str) -> Option<String> {
    let mut cursor = Cursor::new(text);
    if !cursor.word("create") {
        return None;
    }
    cursor.word("unique");
    if !cursor.word("index") {
        return None;
    }
    cursor.word("concurrently");
    cursor.words(&["if", "not", "exists"]);
    if cursor.is_word("on") { None } else { cursor.name() }
}

/// Reads the words that say the sort of object.
fn object(cursor: &mut Cursor<'_>) -> DdlObject {
    const SORTS: [(&[&str], DdlObject); 33] = [
        (&["table"], DdlObject::Table),
        (&["foreign", "table"], DdlObject::Table),
        (&["unique", "index"], DdlObject::Index),
        (&["index"], DdlObject::Index),
        (&["sequence"], DdlObject::Sequence),
        (&["materialized", "view"], DdlObject::View),
        (&["recursive", "view"], DdlObject::View),
        (&["view"], DdlObject::View),
        (&["schema"], DdlObject::Schema),
        (&["type"], DdlObject::Type),
        (&["domain"], DdlObject::Type),
        (&["function"], DdlObject::Function),
        (&["procedure"], DdlObject::Function),
        (&["routine"], DdlObject::Function),
        (&["aggregate"], DdlObject::Function),
        (&["constraint", "trigger"], DdlObject::OnTable),
        (&["event", "trigger"], DdlObject::Other),
        (&["trigger"], DdlObject::OnTable),
        (&["rule"], DdlObject::Rule),
        (&["policy"], DdlObject::OnTable),
        (&["constraint"], DdlObject::OnTable),
        (&["statistics"], DdlObject::Other),
        (&["extension"], DdlObject::Extension),
        (&["database"], DdlObject::Database),
        (&["role"], DdlObject::Role),
        (&["user", "mapping"], DdlObject::Other),
        (&["user"], DdlObject::Role),
        (&["group"], DdlObject::Role),
        (&["tablespace"], DdlObject::Cluster),
        (&["system"], DdlObject::Cluster),
        (&["publication"], DdlObject::Other),
        (&["subscription"], DdlObject::Other),
        (&["column"], DdlObject::Table),
    ];
    SORTS.into_iter().find(|(words, _)| cursor.words(words)).map_or(DdlObject::Other, |(_, object)| object)
}

fn create(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    cursor.words(&["or", "replace"]);
    cursor.any_word(&["global", "local"]);
    ddl.temporary = cursor.any_word(&["temp", "temporary"]);
    cursor.any_word(&["unlogged", "trusted", "procedural", "default"]);
    ddl.object = object(cursor);
    ddl.concurrently = cursor.word("concurrently");
    cursor.words(&["if", "not", "exists"]);
    match ddl.object {
        DdlObject::Table => create_table(cursor, ddl),
        DdlObject::View => {
            ddl.tables.push(cursor.table()?);
            ddl.query = query_start(cursor);
            Some(())
        }
        DdlObject::Index | DdlObject::OnTable => {
            ddl.tables.extend(table_after_on(cursor));
            Some(())
        }
        DdlObject::Rule => {
            // `AS ON event TO table`
            while !cursor.at_end() && !cursor.word("to") {
                cursor.next();
            }
            ddl.tables.extend(cursor.table());
            Some(())
        }
        DdlObject::Sequence => {
            ddl.tables.push(cursor.table()?);
            Some(())
        }
        DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::Extension
        | DdlObject::Database
        | DdlObject::Role
        | DdlObject::Cluster
        | DdlObject::Other => Some(()),
    }
}

/// The table, what it is a partition of, likes, inherits or refers to, and the query of `AS`.
fn create_table(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    ddl.tables.push(cursor.table()?);
    let mut depth = 0usize;
    while let Some(token) = cursor.peek() {
        depth += usize::from(token.is_mark(cursor.text, "("));
        depth = depth.saturating_sub(usize::from(token.is_mark(cursor.text, ")")));
        if cursor.words(&["partition", "of"]) || cursor.word("references") || cursor.word("like") {
            ddl.tables.extend(cursor.table());
        } else if cursor.word("inherits") {
            if cursor.mark("(") {
                ddl.tables.extend(super::utility::tables(cursor)?);
            }
        } else if cursor.word("as") {
            // Behind the name of a column that is generated, parentheses hold an expression.
            let query = cursor.peek().filter(|token| {
                starts_query(cursor.text, *token) && (token.is_name() || depth == 0 && opens_query(cursor))
            });
            ddl.query = ddl.query.or(query.map(|token| token.start));
        } else if token.is_mark(cursor.text, "(") && ddl.query.is_none() && cursor_is_query(cursor) {
            ddl.query = Some(token.start);
            cursor.next();
        } else {
            cursor.next();
        }
    }
    Some(())
}

/// Tells whether a query stands in the parentheses that follow, however many there are.
fn opens_query(cursor: &Cursor<'_>) -> bool {
    let mut inside = cursor.clone();
    while inside.mark("(") {}
    inside.peek().is_some_and(|token| token.is_name() && starts_query(cursor.text, token))
}

fn cursor_is_query(cursor: &Cursor<'_>) -> bool {
    let mut inside = cursor.clone();
    inside.next();
    inside.peek().is_some_and(|token| token.is_word(cursor.text, "select"))
}

fn starts_query(text: &str, token: Token) -> bool {
    let words = ["select", "with", "values", "table", "execute"];
    words.iter().any(|word| token.is_word(text, word)) || token.is_mark(text, "(")
}

/// Returns where the query after `AS` starts.
fn query_start(cursor: &mut Cursor<'_>) -> Option<usize> {
    while !cursor.at_end() {
        if cursor.word("as")
            && let Some(token) = cursor.peek()
            && starts_query(cursor.text, token)
        {
            return Some(token.start);
        }
        cursor.next();
    }
    None
}

fn table_after_on(cursor: &mut Cursor<'_>) -> Option<TableName> {
    while !cursor.at_end() {
        if cursor.any_word(&["on", "to"]) {
            cursor.word("only");
            return cursor.table();
        }
        cursor.next();
    }
    None
}

fn alter(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    ddl.object = object(cursor);
    match ddl.object {
        DdlObject::Table | DdlObject::View | DdlObject::Sequence | DdlObject::Index => {
            cursor.words(&["if", "exists"]);
            cursor.word("only");
            ddl.tables.push(cursor.table()?);
            while !cursor.at_end() {
                let attached = cursor.words(&["attach", "partition"]) || cursor.words(&["detach", "partition"]);
                if attached || cursor.any_word(&["references", "inherit"]) || cursor.words(&["rename", "to"]) {
                    ddl.tables.extend(cursor.table());
                } else if cursor.word("concurrently") {
                    ddl.concurrently = true;
                } else {
                    cursor.next();
                }
            }
        }
        DdlObject::OnTable | DdlObject::Rule => ddl.tables.extend(table_after_on(cursor)),
        DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::Extension
        | DdlObject::Database
        | DdlObject::Role
        | DdlObject::Cluster
        | DdlObject::Other => {}
    }
    Some(())
}

fn drop_object(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    ddl.object = object(cursor);
    ddl.concurrently = cursor.word("concurrently");
    cursor.words(&["if", "exists"]);
    match ddl.object {
        DdlObject::Table | DdlObject::View | DdlObject::Sequence | DdlObject::Index => {
            ddl.tables = super::utility::tables(cursor)?;
        }
        DdlObject::OnTable | DdlObject::Rule => ddl.tables.extend(table_after_on(cursor)),
        DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::Extension
        | DdlObject::Database
        | DdlObject::Role
        | DdlObject::Cluster
        | DdlObject::Other => {}
    }
    Some(())
}

fn comment(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    while !cursor.word("on") {
        cursor.next()?;
    }
    let column = cursor.is_word("column");
    ddl.object = object(cursor);
    match ddl.object {
        DdlObject::Table if column => ddl.tables.push(table_of_column(cursor)?),
        DdlObject::Table | DdlObject::View | DdlObject::Sequence | DdlObject::Index => {
            ddl.tables.push(cursor.table()?);
        }
        DdlObject::OnTable | DdlObject::Rule => ddl.tables.extend(table_after_on(cursor)),
        DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::Extension
        | DdlObject::Database
        | DdlObject::Role
        | DdlObject::Cluster
        | DdlObject::Other => {}
    }
    Some(())
}

/// Reads `[schema.]table.column`, returns the table.
fn table_of_column(cursor: &mut Cursor<'_>) -> Option<TableName> {
    let mut parts = vec![cursor.name()?];
    while cursor.mark(".") {
        parts.push(cursor.name()?);
    }
    parts.pop()?;
    let name = parts.pop()?;
    Some(TableName { schema: parts.pop(), name })
}

/// `GRANT … ON [TABLE] a, b TO`: without a word for another sort of object the names are relations.
fn grant(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    while !cursor.at_end() {
        if cursor.word("on") {
            if cursor.word("all") {
                ddl.object = DdlObject::Other;
                return Some(());
            }
            let explicit = object(cursor);
            let other = cursor.any_word(&["language", "large", "parameter", "foreign"]);
            if matches!(explicit, DdlObject::Table | DdlObject::Sequence) || (explicit == DdlObject::Other && !other) {
                ddl.object = if explicit == DdlObject::Other { DdlObject::Table } else { explicit };
                ddl.tables = super::utility::tables(cursor)?;
            } else {
                ddl.object = explicit;
            }
            return Some(());
        }
        cursor.next();
    }
    ddl.object = DdlObject::Role;
    Some(())
}

/// `REINDEX [(options)] TABLE t`, `CLUSTER [VERBOSE] t [USING index]`.
fn reindex(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    cursor.skip_parentheses();
    cursor.word("verbose");
    ddl.object = object(cursor);
    ddl.concurrently = cursor.word("concurrently");
    match ddl.object {
        DdlObject::Table | DdlObject::Index => ddl.tables.push(cursor.table()?),
        DdlObject::Other if ddl.verb == DdlVerb::Cluster => ddl.tables.extend(cursor.table()),
        DdlObject::Other
        | DdlObject::View
        | DdlObject::Sequence
        | DdlObject::OnTable
        | DdlObject::Rule
        | DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::Extension
        | DdlObject::Database
        | DdlObject::Role
        | DdlObject::Cluster => {}
    }
    Some(())
}

fn refresh(cursor: &mut Cursor<'_>, ddl: &mut Ddl) -> Option<()> {
    ddl.object = object(cursor);
    ddl.concurrently = cursor.word("concurrently");
    ddl.tables.push(cursor.table()?);
    Some(())
}

/// `SELECT … INTO [TEMP] [TABLE] target`, also in parentheses.
pub(super) fn select_into(cursor: &mut Cursor<'_>) -> Option<Ddl> {
    let text = cursor.text;
    let mut before: Option<Token> = None;
    while let Some(token) = cursor.next() {
        // Else it is a name, or that of a part that inserts.
        let names = ["as", "insert", "merge"];
        let is_into = token.is_word(text, "into")
            && before.is_none_or(|before| {
                !before.is_mark(text, ".") && !names.iter().any(|word| before.is_word(text, word))
            });
        if is_into {
            cursor.any_word(&["local", "global"]);
            let temporary = cursor.any_word(&["temp", "temporary"]);
            cursor.any_word(&["unlogged"]);
            cursor.word("table");
            let tables = vec![cursor.table()?];
            let (verb, object) = (DdlVerb::Create, DdlObject::Table);
            return Some(Ddl { verb, object, tables, concurrently: false, temporary, query: Some(0) });
        }
        before = Some(token);
    }
    None
}
