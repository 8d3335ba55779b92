//! `tables.NAME.undo`: the statements that take back what was written.

use super::Undo;
use crate::yaml::{Findings, Node};

/// The statements that may take something back.
const VERBS: [&str; 3] = ["delete", "update", "insert"];

/// Reads `undo` of a table whose shape was checked; what is wrong with it is reported.
pub fn read(node: &Node, is_split: bool, findings: &mut Findings) -> Option<Undo> {
    if is_split {
        findings.report(&node.place, "undo is not available yet with split");
        return None;
    }
    let statement = node.get("insert")?;
    let insert = statement.text()?;
    let first = insert.split_whitespace().next().unwrap_or_default();
    if !VERBS.iter().any(|verb| first.eq_ignore_ascii_case(verb)) {
        findings.report(&statement.place, format!("undo is a DELETE, UPDATE or INSERT, found {first:?}"));
    }
    if !names_column(insert) {
        findings.report(&statement.place, "undo names no column of the row: write column = :column");
    }
    Some(Undo { insert: insert.to_owned() })
}

/// Tells whether a single colon stands before a name.
fn names_column(text: &str) -> bool {
    let begins_name = |next: char| next.is_alphabetic() || next == '_' || next == '"';
    text.match_indices(':').any(|(at, _)| {
        let behind = text[at + 1..].chars().next();
        !text[..at].ends_with(':') && behind.is_some_and(begins_name)
    })
}
