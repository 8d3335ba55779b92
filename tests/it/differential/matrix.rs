//! docs/sql-support.md: what the statement files and the generators find, as they find it.
//!
//! Each file's test holds its blocks to what they expect, so counting the blocks is counting what was found.
//! `UPDATE_MATRIX=1` writes the tables anew; with `GENERATED` or `GENERATED_WRITES`, those of the generators too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::blocks::{Block, Expectation, blocks};
use super::passes::Pass;

/// What came of a group of statements.
#[derive(Debug, Default)]
struct Tally {
    statements: usize,
    runs: usize,
    equal: usize,
    refused: usize,
}

impl Tally {
    fn add(&mut self, block: &Block) {
        self.statements += 1;
        self.runs += [Pass::Simple, Pass::Text, Pass::Binary].iter().filter(|pass| pass.runs(block)).count();
        match block.expectation {
            Expectation::Refused(_) => self.refused += 1,
            Expectation::Same | Expectation::SameCount | Expectation::OwnWords => self.equal += 1,
            Expectation::PlainOnly | Expectation::ProxyOnly => {}
        }
    }

    fn row(&self, name: &str) -> String {
        format!("| {name} | {} | {} | {} | {} |", self.statements, self.runs, self.equal, self.refused)
    }
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/sql-support.md")
}

fn wanted() -> bool {
    std::env::var_os("UPDATE_MATRIX").is_some()
}

/// Puts lines between a section's marks.
fn with_section(text: &str, name: &str, lines: &[String]) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no section {name}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no end of {name}"));
    format!("{before}{begin}{}\n{end}{after}", lines.join("\n"))
}

/// Writes what a generator has found, if that is wanted.
pub fn publish(name: &str, lines: &[String]) {
    if wanted() {
        let text = std::fs::read_to_string(document()).expect("the document");
        std::fs::write(document(), with_section(&text, name, lines)).expect("the document is written");
    }
}

/// Holds the tables of the statement files against the document.
pub fn is_current(files: &[(&str, &str)]) {
    let mut by_file = Vec::new();
    let mut by_kind: BTreeMap<String, Tally> = BTreeMap::new();
    let mut refused = Vec::new();
    let mut all = Tally::default();
    for (name, text) in files {
        let mut tally = Tally::default();
        for block in blocks(text) {
            tally.add(&block);
            all.add(&block);
            by_kind.entry(kind(&block.sql)).or_default().add(&block);
            if let Expectation::Refused(state) = &block.expectation {
                let sql = block.sql.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
                refused.push(format!("| {state} | `{sql}` |"));
            }
        }
        by_file.push(tally.row(&name.replace('_', " ")));
    }
    by_file.push(all.row("**all**"));
    let by_kind: Vec<String> = by_kind.iter().map(|(kind, tally)| tally.row(kind)).collect();
    refused.sort();
    refused.dedup();
    let by_file = table("file | statements | runs | equal | refused", by_file);
    let by_kind = table("statement | statements | runs | equal | refused", by_kind);
    let refused = table("SQLSTATE | statement", refused);
    let text = std::fs::read_to_string(document()).expect("the document");
    let mut current = text.clone();
    for (name, lines) in [("files", &by_file), ("kinds", &by_kind), ("refused", &refused)] {
        current = with_section(&current, name, lines);
    }
    if wanted() {
        std::fs::write(document(), &current).expect("the document is written");
    }
    assert!(
        wanted() || current == text,
        "docs/sql-support.md is not what the files say; UPDATE_MATRIX=1 writes it anew"
    );
}

/// Puts a head on rows.
pub fn table(head: &str, rows: Vec<String>) -> Vec<String> {
    let rule = head.split('|').map(|_| "|---").collect::<String>() + "|";
    [format!("| {head} |"), rule].into_iter().chain(rows).collect()
}

fn kind(sql: &str) -> String {
    let first = sql.trim_start_matches('(').split_whitespace().next().unwrap_or_default();
    let word: String = first.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase();
    let known = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "COPY", "CREATE", "ALTER", "DROP", "EXPLAIN"];
    if known.contains(&word.as_str()) { word } else { "other".to_owned() }
}
