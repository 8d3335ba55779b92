//! `SET`, `RESET`, `SHOW`: parameters and transaction modes.

use super::control::{Isolation, SetScope, Setting};
use super::cursor::Cursor;

/// A parameter's name, lower case.
pub(super) struct Parameter(pub(super) String);

impl Parameter {
    /// Returns the name, `None` for `ALL`.
    pub(super) fn filter_all(self) -> Option<String> {
        (self.0 != "all").then_some(self.0)
    }
}

/// Reads what follows `SET`.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Setting> {
    if cursor.words(&["session", "characteristics", "as", "transaction"]) {
        return Some(modes(cursor, SetScope::SessionCharacteristics));
    }
    if cursor.word("transaction") {
        return Some(modes(cursor, SetScope::Transaction));
    }
    if cursor.word("constraints") {
        let value_text = cursor.rest().to_owned();
        return Some(Setting { scope: SetScope::Transaction, name: "constraints".into(), value_text, isolation: None });
    }
    let scope = scope(cursor);
    let name = parameter(cursor)?.0;
    if !matches!(
        name.as_str(),
        "timezone" | "client_encoding" | "role" | "session_authorization" | "search_path" | "xmloption" | "seed"
    ) {
        if !(cursor.mark("=") || cursor.word("to")) {
            return None;
        }
    } else if !cursor.mark("=") {
        cursor.word("to");
    }
    let value_text = cursor.rest().to_owned();
    let isolation = match name.as_str() {
        "transaction_isolation" | "default_transaction_isolation" => isolation(&value_text),
        _ => None,
    };
    Some(Setting { scope, name, value_text, isolation })
}

/// `SESSION` is a scope unless `SESSION AUTHORIZATION` follows, which is a parameter.
fn scope(cursor: &mut Cursor<'_>) -> SetScope {
    if cursor.word("local") {
        return SetScope::Local;
    }
    let mut ahead = cursor.clone();
    if ahead.word("session") && !ahead.is_word("authorization") {
        *cursor = ahead;
    }
    SetScope::Session
}

fn modes(cursor: &mut Cursor<'_>, scope: SetScope) -> Setting {
    let value_text = cursor.rest().to_owned();
    let isolation = isolation(&value_text);
    Setting { scope, name: String::new(), value_text, isolation }
}

/// Reads a parameter's name, the ones with SQL names by their PostgreSQL names.
pub(super) fn parameter(cursor: &mut Cursor<'_>) -> Option<Parameter> {
    let sql_name = [
        (&["session", "authorization"][..], "session_authorization"),
        (&["time", "zone"], "timezone"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
        (&["xml", "option"], "xmloption"),
        (&["names"], "client_encoding"),
        (&["schema"], "search_path"),
    ]
    .into_iter()
    .find(|(words, _)| cursor.words(words));
    if let Some((_, name)) = sql_name {
        return Some(Parameter(name.to_owned()));
    }
    let mut name = cursor.name()?.to_ascii_lowercase();
    loop {
        if cursor.mark(".") {
            name.push('.');
            name.push_str(&cursor.name()?.to_ascii_lowercase());
        } else if cursor.peek().is_some_and(|token| token.is_name()) && !cursor.is_word("to") && name != "role" {
            // The console's and the proxy's own names have several words: SHOW DEAD LETTERS.
            if name == "all" || name == "seed" {
                return Some(Parameter(name));
            }
            name.push(' ');
            name.push_str(&cursor.name()?.to_ascii_lowercase());
        } else {
            return Some(Parameter(name));
        }
    }
}

/// Finds the isolation level in transaction modes or in a setting's value.
pub(super) fn isolation(modes: &str) -> Option<Isolation> {
    let value = modes.trim().trim_matches('\'').to_ascii_lowercase();
    if contains_words(&value, &["serializable"]) {
        Some(Isolation::Serializable)
    } else if contains_words(&value, &["repeatable", "read"]) {
        Some(Isolation::RepeatableRead)
    } else if contains_words(&value, &["committed"]) || contains_words(&value, &["uncommitted"]) {
        Some(Isolation::ReadCommitted)
    } else {
        None
    }
}

/// Returns the settings that `SET SESSION CHARACTERISTICS AS TRANSACTION modes` sets, and their values as SQL.
pub fn transaction_defaults(modes: &str) -> Vec<(&'static str, &'static str)> {
    const MODES: [(&[&str], &str, &str); 8] = [
        (&["isolation", "level", "serializable"], "default_transaction_isolation", "'serializable'"),
        (&["isolation", "level", "repeatable", "read"], "default_transaction_isolation", "'repeatable read'"),
        (&["isolation", "level", "read", "committed"], "default_transaction_isolation", "'read committed'"),
        (&["isolation", "level", "read", "uncommitted"], "default_transaction_isolation", "'read uncommitted'"),
        (&["read", "only"], "default_transaction_read_only", "on"),
        (&["read", "write"], "default_transaction_read_only", "off"),
        (&["not", "deferrable"], "default_transaction_deferrable", "off"),
        (&["deferrable"], "default_transaction_deferrable", "on"),
    ];
    let mut cursor = Cursor::new(modes);
    let mut defaults = Vec::new();
    while !cursor.at_end() {
        match MODES.iter().find(|(words, ..)| cursor.words(words)) {
            Some((_, name, value)) => defaults.push((*name, *value)),
            None => drop(cursor.next()),
        }
    }
    defaults
}

/// Tells whether the words follow one another somewhere in `text`.
pub(super) fn contains_words(text: &str, words: &[&str]) -> bool {
    let mut cursor = Cursor::new(text);
    while !cursor.at_end() {
        if cursor.words(words) {
            return true;
        }
        cursor.next();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_become_defaults() {
        let defaults = transaction_defaults("ISOLATION LEVEL REPEATABLE READ, read only, NOT DEFERRABLE");
        let expected = [
            ("default_transaction_isolation", "'repeatable read'"),
            ("default_transaction_read_only", "on"),
            ("default_transaction_deferrable", "off"),
        ];
        assert_eq!(defaults, expected);
        assert!(transaction_defaults("nonsense").is_empty());
    }
}
