//! Calls of `set_config`: SET in the clothes of a function, which drivers and row-level security policies like.
//!
//! Reads `SELECT set_config(name, value, is_local), …` with constants and parameters. Whatever else calls it may set
//! anything at any time: then the session keeps its server, unless every call says `true`.

use crate::plan::Plan;
use crate::proxy::Pinned;
use crate::sql::insert::{parameter_index, string_value};
use crate::sql::{self, Scanner, Token};

use super::call::{Arguments, Call};
use super::failure::Failure;
use super::link::Link;
use super::pinned;
use super::pins::calls;
use super::readable::check_setting;
use super::settings::{quoted_name, set_value};

/// What a text sets through `set_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sets {
    /// These, one after the other.
    These(Vec<SetConfig>),
    /// Nobody knows what, but only until the end of the transaction.
    UnknownLocal,
    /// Nobody knows what.
    Unknown,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetConfig {
    /// Lower case.
    pub name: String,
    /// As SQL text; `None` takes it back to its default.
    pub value: Option<String>,
    /// Whether it ends with the transaction.
    pub local: bool,
}

impl SetConfig {
    /// Returns the statement that says the same.
    pub fn statement(&self) -> String {
        let scope = if self.local { "LOCAL" } else { "SESSION" };
        format!("SET {scope} {} TO {}", quoted_name(&self.name), self.value.as_deref().unwrap_or("DEFAULT"))
    }
}

impl Link {
    /// Reads what a statement is about to set; where nobody knows, the session keeps the server that does.
    pub(super) fn foresee_settings(&mut self, call: &Call, plan: &Plan) -> Result<Vec<SetConfig>, Failure> {
        match read(&call.text, call.arguments.as_deref()) {
            Sets::These(sets) => {
                for set in &sets {
                    let value = set.value.as_deref().unwrap_or("DEFAULT");
                    check_setting(&set.name, value)?;
                }
                self.remember_settings();
                Ok(sets)
            }
            Sets::UnknownLocal => Ok(Vec::new()),
            Sets::Unknown => {
                self.keep_servers(Pinned::Setting, pinned::shards_of(plan));
                Ok(Vec::new())
            }
        }
    }

    /// Remembers what a statement has set, and says it to the transaction's shards.
    pub(super) async fn note_settings(&mut self, sets: Vec<SetConfig>) -> Result<(), Failure> {
        for set in sets {
            if self.transaction.is_open() {
                let statement = set.statement();
                for position in 0..self.transaction.members.len() {
                    self.member_simple(position, &statement).await?;
                }
                if set.local {
                    self.transaction.local_statements.push(statement);
                }
            }
            match set.value {
                _ if set.local => {}
                Some(value) => self.settings.set(&set.name, &value),
                None => self.settings.reset(&set.name),
            }
        }
        Ok(())
    }

    /// Remembers what to go back to if the transaction rolls back.
    pub fn remember_settings(&mut self) {
        if self.transaction.is_open() && self.settings_before.is_none() {
            self.settings_before = Some(self.settings.clone());
        }
    }
}

/// Reads what `text` sets with these values.
pub(super) fn read(text: &str, arguments: Option<&Arguments>) -> Sets {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    if let Some(sets) = simple(text, &tokens, arguments) {
        return Sets::These(sets);
    }
    if is_local(text, &tokens) { Sets::UnknownLocal } else { Sets::Unknown }
}

/// Tells whether a text calls `set_config` in a way that may outlive the transaction.
pub(super) fn outlives_transaction(text: &str) -> bool {
    !is_local(text, &Scanner::new(text).collect::<Vec<_>>())
}

/// Tells whether a text calls `set_config` for a setting that is not `harmless`, for the transaction or for good.
pub(super) fn sets_locally(text: &str, harmless: fn(&str) -> bool) -> bool {
    if !calls(text, "set_config") {
        return false;
    }
    let tokens: Vec<Token> = Scanner::new(text).collect();
    tokens.windows(3).any(|window| {
        let [function, open, name] = window else { return false };
        let is_call = sql::identifier(text, *function).as_deref() == Some("set_config") && open.is_mark(text, "(");
        is_call && !string_value(text, name).is_some_and(|name| harmless(&name.to_ascii_lowercase()))
    })
}

/// Tells whether every call says `true` in its last place.
fn is_local(text: &str, tokens: &[Token]) -> bool {
    let is_call = |at: &usize| {
        sql::identifier(text, tokens[*at]).as_deref() == Some("set_config")
            && tokens.get(at + 1).is_some_and(|token| token.is_mark(text, "("))
    };
    (0..tokens.len()).filter(is_call).all(|at| last_is_true(text, &tokens[at + 1..]))
}

/// Tells whether the last token within the parentheses at the front is `true`.
fn last_is_true(text: &str, tokens: &[Token]) -> bool {
    let mut depth = 0_usize;
    let mut last = None;
    for token in tokens {
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") {
            depth -= 1;
        }
        if depth == 0 {
            break;
        }
        last = Some(token);
    }
    last.is_some_and(|token| token.is_word(text, "true"))
}

fn simple(text: &str, tokens: &[Token], arguments: Option<&Arguments>) -> Option<Vec<SetConfig>> {
    let (select, mut rest) = tokens.split_first()?;
    if !select.is_word(text, "select") {
        return None;
    }
    let mut sets = Vec::new();
    loop {
        if let [schema, dot, behind @ ..] = rest
            && schema.is_word(text, "pg_catalog")
            && dot.is_mark(text, ".")
        {
            rest = behind;
        }
        let [function, open, name, comma, value, second, local, close, behind @ ..] = rest else { return None };
        let marks = [(open, "("), (comma, ","), (second, ","), (close, ")")];
        if !function.is_word(text, "set_config") || !marks.iter().all(|(token, mark)| token.is_mark(text, mark)) {
            return None;
        }
        let name = string(text, name, arguments)??.to_ascii_lowercase();
        let value = string(text, value, arguments)?.map(|value| set_value(&name, &value));
        sets.push(SetConfig { name, value, local: boolean(text, local, arguments)? });
        rest = behind;
        if let [word, label, behind @ ..] = rest
            && word.is_word(text, "as")
            && label.is_name()
        {
            rest = behind;
        }
        match rest {
            [] => return Some(sets),
            [end] if end.is_mark(text, ";") => return Some(sets),
            [comma, behind @ ..] if comma.is_mark(text, ",") => rest = behind,
            _ => return None,
        }
    }
}

/// Returns a constant's or a parameter's text, `Some(None)` for NULL; `None` if it is neither.
fn string(text: &str, token: &Token, arguments: Option<&Arguments>) -> Option<Option<String>> {
    if token.is_word(text, "null") {
        return Some(None);
    }
    if let Some(value) = string_value(text, token) {
        return Some(Some(value));
    }
    match arguments?.values.get(parameter_index(text, token)?)? {
        Some(value) => Some(Some(std::str::from_utf8(value).ok()?.to_owned())),
        None => Some(None),
    }
}

fn boolean(text: &str, token: &Token, arguments: Option<&Arguments>) -> Option<bool> {
    if token.is_word(text, "true") {
        return Some(true);
    }
    if token.is_word(text, "false") {
        return Some(false);
    }
    if let (Some(arguments), Some(index)) = (arguments, parameter_index(text, token))
        && arguments.formats.get(index) == Some(&1)
    {
        return Some(arguments.values.get(index)?.as_deref()? != [0]);
    }
    let word = string(text, token, arguments)??.trim().to_ascii_lowercase();
    match word.as_str() {
        "t" | "true" | "on" | "yes" | "1" => Some(true),
        "f" | "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn set(name: &str, value: &str, local: bool) -> SetConfig {
        SetConfig { name: name.into(), value: Some(value.into()), local }
    }

    #[test]
    fn constants_are_read() {
        let sets = read(
            "select set_config('App.User', 'o''brien', false), pg_catalog.set_config('b', E'\\n', true) as x;",
            None,
        );
        let Sets::These(sets) = sets else { panic!("{sets:?}") };
        assert_eq!(sets[0], set("app.user", "'o''brien'", false));
        assert_eq!((sets[1].name.as_str(), sets[1].local), ("b", true));
        assert_eq!(sets[0].statement(), "SET SESSION \"app\".\"user\" TO 'o''brien'");
    }

    #[test]
    fn parameters_are_read_in_both_formats() {
        let arguments = Arguments {
            formats: vec![0, 1, 1],
            values: vec![Some(Bytes::from("a.b")), Some(Bytes::from("c")), Some(Bytes::from_static(&[0]))],
            ..Arguments::default()
        };
        assert_eq!(
            read("SELECT set_config($1, $2, $3)", Some(&arguments)),
            Sets::These(vec![set("a.b", "'c'", false)])
        );
        let null = Arguments { values: vec![None], formats: vec![0], ..Arguments::default() };
        let sets = read("SELECT set_config('a.b', $1, true)", Some(&null));
        assert_eq!(sets, Sets::These(vec![SetConfig { name: "a.b".into(), value: None, local: true }]));
    }

    #[test]
    fn what_is_computed_or_conditional_is_not_known() {
        for text in [
            "SELECT set_config('a.b', x, false) FROM t",
            "SELECT set_config('a.b', 'c' || 'd', false)",
            "SELECT CASE WHEN true THEN set_config('a.b', 'c', false) END",
            "SELECT set_config('a.b', 'c', $1)",
            "SELECT set_config('a.b', 'c', true), set_config('a.b', lower('C'), false)",
        ] {
            assert_eq!(read(text, None), Sets::Unknown, "{text}");
        }
        assert_eq!(read("SELECT set_config('a.b', x, true) FROM t", None), Sets::UnknownLocal);
    }
}
