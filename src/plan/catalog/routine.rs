//! What functions of the user's do unseen, read from the words of their bodies: which relations and functions they
//! name, and whether they may write.
//!
//! Words are all that is looked at: a name that dynamic SQL puts together at run time is not found.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::Table;
use crate::sql::{Scanner, Token, TokenKind, identifier};

/// All functions of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routine {
    /// The words of its bodies that are names of relations or of users' functions, without schema, in order.
    pub names: Vec<String>,
    /// Whether it may write: it is volatile, and has a word that writes.
    pub writes: bool,
    /// Whether one of that name is volatile.
    pub volatile: bool,
    /// Whether it calls what lives on home alone: sequences, notifications, advisory locks, large objects.
    pub at_home: bool,
    /// Whether it takes one row, so that `row.name` calls it.
    pub of_row: bool,
    /// Whether it may make temporary objects, which outlive it.
    pub temporary: bool,
}

/// One function as the catalog query gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    name: String,
    language: String,
    source: Option<String>,
    /// What a body of the SQL standard depends on; its text is printed anew by the server.
    uses: Option<Vec<String>>,
    volatile: bool,
    #[serde(default)]
    extension: bool,
    of_row: bool,
}

/// Returns the names of all that is no extension's, without schema.
pub(super) fn own_names(sources: &[Source]) -> HashSet<String> {
    let own = sources.iter().filter(|source| !source.extension);
    own.filter_map(|source| source.name.rsplit('.').next()).map(str::to_owned).collect()
}

/// Words without which nothing is written; `execute` may run anything.
const WRITING: [&str; 8] = ["insert", "update", "delete", "merge", "truncate", "copy", "execute", "lock"];

/// Words without which nothing temporary is made.
const TEMPORARY: [&str; 3] = ["temp", "temporary", "pg_temp"];

/// Words after which a string of the body may be SQL.
const DYNAMIC: [&str; 5] = ["execute", "query_to_xml", "table_to_xml", "dblink", "dblink_exec"];

/// Tells whether the function of PostgreSQL's own works on what lives on one server.
pub fn is_of_one_server(name: &str) -> bool {
    const STARTS: [&str; 7] = [
        "pg_advisory",
        "pg_try_advisory",
        "lo_",
        "txid_",
        "pg_current_xact",
        "pg_current_snapshot",
        "pg_logical_emit_message",
    ];
    const NAMES: [&str; 9] = [
        "nextval",
        "setval",
        "currval",
        "lastval",
        "pg_notify",
        "setseed",
        "loread",
        "lowrite",
        "pg_sequence_last_value",
    ];
    NAMES.contains(&name) || STARTS.iter().any(|start| name.starts_with(start))
}

/// Reads the bodies; of their words only those count that name something in `tables`, or another function.
pub(super) fn routines(sources: Vec<Source>, tables: &HashMap<String, Table>) -> HashMap<String, Routine> {
    let bare = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let mut known: HashSet<String> = tables.keys().map(|name| bare(name)).collect();
    known.extend(sources.iter().map(|source| bare(&source.name)));
    let mut routines: HashMap<String, Routine> = HashMap::new();
    for source in sources {
        let words = words(&source);
        let routine = routines.entry(source.name).or_default();
        routine.writes |= source.volatile && WRITING.iter().any(|word| words.contains(*word));
        routine.temporary |= source.volatile && TEMPORARY.iter().any(|word| words.contains(*word));
        routine.volatile |= source.volatile;
        routine.at_home |= words.iter().any(|word| is_of_one_server(word));
        routine.of_row |= source.of_row;
        let named = source.uses.map_or(words, |uses| uses.into_iter().collect());
        routine.names.extend(named.into_iter().filter(|word| known.contains(word)));
        routine.names.sort();
        routine.names.dedup();
    }
    routines
}

fn words(source: &Source) -> HashSet<String> {
    let text = source.source.as_deref().unwrap_or("");
    if !matches!(source.language.as_str(), "sql" | "plpgsql" | "internal") {
        return body_words(text).collect();
    }
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let mut words: HashSet<String> = HashSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let name = identifier(text, *token).filter(|_| !is_type(text, &tokens, at));
        words.extend(name);
        if token.kind == TokenKind::UnicodeIdentifier {
            words.extend(body_words(token.text(text)));
        }
    }
    if DYNAMIC.iter().any(|word| words.contains(*word)) {
        let strings = tokens.iter().filter(|token| token.is_string());
        words.extend(strings.flat_map(|token| body_words(token.text(text))));
    }
    words
}

/// Tells whether a body may make temporary objects.
pub fn may_make_temporary(body: &str) -> bool {
    body_words(body).any(|word| TEMPORARY.contains(&word.as_str()))
}

/// Returns everything that could be a name.
pub fn body_words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '$')).map(str::to_lowercase)
}

/// `name%ROWTYPE`, `name.column%TYPE`: says a type, and reads nothing.
fn is_type(text: &str, tokens: &[Token], at: usize) -> bool {
    let is_mark = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
    let is_word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    let behind = if is_mark(at + 1, ".") { at + 3 } else { at + 1 };
    is_mark(behind, "%") && ["type", "rowtype"].iter().any(|word| is_word(behind + 1, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, language: &str, text: &str) -> Source {
        Source {
            name: name.into(),
            language: language.into(),
            source: Some(text.into()),
            uses: None,
            volatile: true,
            extension: false,
            of_row: false,
        }
    }

    fn read(sources: Vec<Source>) -> HashMap<String, Routine> {
        let table = |name: &str| (name.to_owned(), crate::plan::insert::fixture::catalog().tables["carts"].clone());
        routines(sources, &["orders", "app.visits", "Odd"].map(table).into())
    }

    #[test]
    fn names_are_words_of_the_body() {
        let found = read(vec![
            source("f", "sql", "select count(*) from public.orders -- visits\n where note = 'visits'"),
            source("g", "plpgsql", "declare r orders%rowtype; n orders.note%TYPE; begin return f(1); end"),
            source("dyn", "plpgsql", "begin execute 'select 1 from visits'; end"),
            source("scratch", "plpgsql", "begin create temp table t (a int); end"),
            source("dynamic", "plpgsql", "begin execute format('CREATE TEMPORARY TABLE %I (a int)', n); end"),
            source("py", "plpython3u", "plpy.execute('select * from orders')"),
            source("quoted", "sql", "insert into \"Odd\" values (nextval('s'))"),
        ]);
        assert_eq!(found["f"].names, ["orders"]);
        assert_eq!(found["g"].names, ["f"]);
        assert_eq!(found["dyn"].names, ["visits"]);
        assert_eq!(found["py"].names, ["orders"]);
        assert_eq!(found["quoted"].names, ["Odd"]);
        assert!(found["scratch"].temporary && found["dynamic"].temporary && !found["dyn"].temporary);
        let writes = |name: &str| found[name].writes;
        assert!(!writes("f") && !writes("g") && writes("dyn") && writes("quoted"));
        assert!(found["quoted"].at_home && !found["f"].at_home);
    }

    #[test]
    fn overloads_add_up_and_standard_bodies_tell_their_needs() {
        let mut standard = source("f", "sql", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END");
        standard.uses = Some(vec!["orders".into(), "nothing".into()]);
        let mut steady = source("f", "sql", "select 1 from visits");
        steady.volatile = false;
        steady.of_row = true;
        let found = read(vec![standard, steady]);
        assert_eq!(found["f"].names, ["orders", "visits"]);
        assert!(found["f"].of_row && found["f"].volatile && !found["f"].writes);
    }
}
