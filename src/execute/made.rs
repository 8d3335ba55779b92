//! Views and functions that the open transaction has made: the catalog does not have them yet, so a statement that reads
//! sharded tables through one would be taken for one of home's own tables.

use crate::rules::RuleSet;
use crate::sql::{self, Scanner, Token};
use crate::types::Refusal;

use super::link::Link;

/// What begins a statement that changes or describes them, and reads nothing through them.
const ABOUT_OBJECTS: [&str; 8] = ["alter", "comment", "create", "drop", "grant", "reassign", "revoke", "security"];

impl Link {
    /// Notes what a successful change of the catalog has made that may read tables of the rules.
    pub(super) fn note_made(&mut self, text: &str) {
        if let Some(name) = made(text, &self.snapshot.rules) {
            self.made.push(name);
        }
    }

    /// Refuses a statement that names what this transaction has made.
    pub(super) fn check_made(&self, text: &str) -> Result<(), Refusal> {
        let mut tokens = Scanner::new(text);
        let first = tokens.next();
        if first.is_some_and(|first| ABOUT_OBJECTS.iter().any(|word| first.is_word(text, word))) {
            return Ok(());
        }
        let named = first.into_iter().chain(tokens).filter_map(|token| sql::identifier(text, token));
        match named.into_iter().find(|name| self.made.contains(name)) {
            Some(name) => Err(Refusal::unsupported(
                format!("\"{name}\" reads tables of the rules and was made in this transaction"),
                "Commit first: then the proxy knows what it reads.",
            )
            .with_reason("hidden_table")),
            None => Ok(()),
        }
    }
}

/// Returns the name of the view, rule or function that a statement makes and whose text names a table of the rules.
fn made(text: &str, rules: &RuleSet) -> Option<String> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    if !is(0, "create") {
        return None;
    }
    let kind =
        (1..tokens.len().min(6)).find(|at| ["view", "function", "procedure"].iter().any(|word| is(*at, word)))?;
    let mut at = kind + 1;
    while tokens.get(at + 1).is_some_and(|token| token.is_mark(text, ".")) {
        at += 2;
    }
    let name = sql::identifier(text, *tokens.get(at)?)?;
    // A body is a string: its words are looked for in the text as a whole.
    let lower = text.to_ascii_lowercase();
    let bare = |table: &String| table.rsplit('.').next().unwrap_or(table).to_ascii_lowercase();
    rules.tables.keys().any(|table| lower.contains(&bare(table))).then_some(name)
}
