//! Where a text names split tables: by its tokens, so that a text of the same skeleton has them in the same order.
//!
//! Whether all of them were found, and nothing else, is checked against what the parser says, once per statement.

use std::sync::Arc;

use crate::plan::mention::{Mention, mentions};
use crate::plan::system_columns::is_system_column;
use crate::rules::{RuleSet, Split};
use crate::sql::{Scanner, TableName, Token, identifier};
use crate::types::Refusal;

/// A split table that a statement names.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Named {
    /// Its name as the rules have it.
    pub(in crate::plan) key: String,
    /// Its physical tables.
    pub(in crate::plan) split: Arc<Split>,
}

/// Refuses a physical table: statements name the logical one.
pub(in crate::plan) fn named(table: &TableName, rules: &RuleSet) -> Refusal {
    let key = table.rule_key();
    let logical = rules.logical_of(&key).unwrap_or_default();
    Refusal::unsupported(
        format!("table \"{table}\" is a physical table of \"{logical}\""),
        format!("Name \"{logical}\", or say the shard in a leading comment: /* shardloom: shard=NAME */."),
    )
    .with_reason("physical_table")
}

/// Returns the physical tables that a text names, in the order of the text, each once.
pub(in crate::plan) fn physical_tables(text: &str, rules: &RuleSet) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    if rules.physical.is_empty() {
        return found;
    }
    for name in Scanner::new(text).filter_map(|token| identifier(text, token)) {
        if !found.contains(&name) && rules.names_physical(&name) {
            found.push(name);
        }
    }
    found
}

/// Finds the places of these tables, in the order of the text; [`Mention::known`] counts in `tables`.
///
/// # Errors
/// Refuses what a physical table cannot stand in for: ONLY, TABLESAMPLE, system columns, columns behind a schema's name.
pub(super) fn places(text: &str, tables: &[Named]) -> Result<Vec<Mention>, Refusal> {
    let keys: Vec<&str> = tables.iter().map(|table| table.key.as_str()).collect();
    let found = mentions(text, &keys);
    for mention in &found {
        let key = keys[mention.known];
        if mention.children {
            return Err(unsplittable(key, "ONLY and *"));
        }
        if mention.sampled {
            return Err(unsplittable(key, "TABLESAMPLE"));
        }
    }
    if let Some(first) = found.first() {
        check_columns(text, keys[first.known], &keys)?;
    }
    Ok(found)
}

/// Refuses columns that are qualified by a schema, and system columns.
fn check_columns(text: &str, first: &str, keys: &[&str]) -> Result<(), Refusal> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = identifier(text, *token) else { continue };
        if is_system_column(&name) {
            return Err(unsplittable(first, &format!("the system column {name}")));
        }
        let dot = |at: usize| tokens.get(at).is_some_and(|token| token.is_mark(text, "."));
        let inner = at >= 2 && dot(at - 1) && dot(at + 1);
        if inner && keys.iter().any(|key| key.rsplit('.').next() == Some(name.as_str())) {
            let column = "a column behind the name of a schema";
            return Err(unsplittable(&name, column));
        }
    }
    Ok(())
}

fn unsplittable(table: &str, what: &str) -> Refusal {
    Refusal::unsupported(
        format!("{what} with table \"{table}\", which is split into physical tables, is not available"),
        "Name the table plainly, its columns by the table's name or alias alone.",
    )
    .with_reason("split_table")
}
