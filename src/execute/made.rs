//! Views and functions that the open transaction has made: the catalog does not have them yet, so a statement that reads
//! sharded tables through one would be taken for one of home's own tables.

use std::collections::HashSet;

use crate::plan::{Context, reads_tables_of_rules};
use crate::sql::{self, Scanner, Token};
use crate::types::Refusal;

use super::link::Link;

/// What begins a statement that changes or describes them, and reads nothing through them.
const ABOUT_OBJECTS: [&str; 7] = ["alter", "comment", "drop", "grant", "reassign", "revoke", "security"];
/// What CREATE makes that is read through later; a table is filled at once.
const READ_LATER: [&str; 5] = ["view", "function", "procedure", "trigger", "rule"];

impl Link {
    /// Notes what a successful change of the catalog has made that may read tables of the rules.
    pub(super) fn note_made(&mut self, text: &str) {
        let tokens: Vec<Token> = Scanner::new(text).collect();
        let first = |word: &str| tokens.first().is_some_and(|token| token.is_word(text, word));
        let reads = || self.reads_rules(text);
        let name = match (first("create"), first("alter")) {
            (true, _) => created(text, &tokens).filter(|_| reads()),
            (_, true) => renamed(text, &tokens).filter(|_| self.names_made(text).is_some()),
            _ => None,
        };
        self.transaction.made.extend(name);
    }

    /// Refuses a statement that reads through what this transaction has made.
    pub(super) fn check_made(&self, text: &str) -> Result<(), Refusal> {
        let Some(name) = self.names_made(text) else { return Ok(()) };
        let tokens: Vec<Token> = Scanner::new(text).collect();
        let first = |word: &str| tokens.first().is_some_and(|token| token.is_word(text, word));
        if ABOUT_OBJECTS.iter().any(|word| first(word)) || first("create") && kind(text, &tokens).is_some() {
            return Ok(());
        }
        Err(Refusal::unsupported(
            format!("\"{name}\" reads tables of the rules and was made in this transaction"),
            "Commit first: then the proxy knows what it reads.",
        )
        .with_reason("hidden_table"))
    }

    fn names_made(&self, text: &str) -> Option<String> {
        words(text).find(|name| self.transaction.made.contains(name))
    }

    /// Tells whether a text, strings in it included, names a table of the rules, or what reads one.
    fn reads_rules(&self, text: &str) -> bool {
        let context = Context { rules: &self.snapshot.rules, catalog: &self.snapshot.catalog };
        // A body is a string, in quotes of one kind or another.
        let all: String = text.chars().map(|c| if matches!(c, '\'' | '$') { ' ' } else { c }).collect();
        let words: HashSet<String> = words(&all).collect();
        self.transaction.made.iter().any(|name| words.contains(name)) || reads_tables_of_rules(&words, &context)
    }
}

/// Returns the words of a text that may be names, folded.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    Scanner::new(text).filter_map(|token| sql::identifier(text, token))
}

/// Returns where CREATE says what it makes, if that is read through later.
fn kind(text: &str, tokens: &[Token]) -> Option<usize> {
    let is = |at: &usize, words: &[&str]| words.iter().any(|word| tokens[*at].is_word(text, word));
    let at = (1..tokens.len().min(8)).find(|at| is(at, &READ_LATER))?;
    // Its query runs at once.
    (!is(&(at - 1), &["materialized"])).then_some(at)
}

/// Returns the name that a CREATE gives, without its schema.
fn created(text: &str, tokens: &[Token]) -> Option<String> {
    let mut at = kind(text, tokens)? + 1;
    while tokens.get(at + 1).is_some_and(|token| token.is_mark(text, ".")) {
        at += 2;
    }
    sql::identifier(text, *tokens.get(at)?)
}

/// Returns the name that an ALTER … RENAME TO gives.
fn renamed(text: &str, tokens: &[Token]) -> Option<String> {
    let at = tokens.iter().position(|token| token.is_word(text, "rename"))?;
    tokens.get(at + 1).filter(|token| token.is_word(text, "to"))?;
    sql::identifier(text, *tokens.get(at + 2)?)
}
