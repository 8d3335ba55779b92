//! Where a text names split tables: by its tokens, so that a text of the same skeleton has them in the same order.
//!
//! Whether all of them were found, and nothing else, is checked against what the parser says, once per statement.

use std::ops::Range;
use std::sync::Arc;

use crate::plan::alias::has_alias;
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

/// One place where a split table is read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The table, as the rules name it.
    pub(super) key: String,
    /// Its name, with the schema if that is said.
    pub(super) span: Range<usize>,
    /// The schema, with its dot.
    pub(super) schema: Range<usize>,
    /// The name by which columns refer to the table.
    pub(super) alias: Option<String>,
    /// Whether rows are written here.
    pub(super) target: bool,
}

/// Words that end a list of tables.
const BEHIND_LIST: [&str; 16] = [
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "intersect",
    "except",
    "returning",
    "set",
    "values",
    "select",
];

/// Columns that every table has of its own: a row has others in another physical table.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

/// A pair of parentheses, or the statement.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// Whether a list of tables stands here.
    list: bool,
    /// Whether a table may come next.
    open: bool,
    /// Whether the next table is written.
    target: bool,
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

/// Finds the places of these tables, in the order of the text.
///
/// # Errors
/// Refuses what a physical table cannot stand in for: ONLY, TABLESAMPLE, system columns, columns behind a schema's name.
pub(super) fn places(text: &str, tables: &[Named]) -> Result<Vec<Place>, Refusal> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let mut walk = Walk { text, tokens: &tokens, tables, levels: vec![Level::default()], found: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        at += walk.take(at)?;
    }
    if !walk.found.is_empty() {
        walk.check_columns()?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    text: &'a str,
    tokens: &'a [Token],
    tables: &'a [Named],
    levels: Vec<Level>,
    found: Vec<Place>,
}

impl Walk<'_> {
    /// Takes what stands at a token; returns how many tokens that was.
    fn take(&mut self, at: usize) -> Result<usize, Refusal> {
        let text = self.text;
        let token = self.tokens[at];
        let level = self.levels.last().copied().unwrap_or_default();
        if token.is_mark(text, "(") {
            let columns = at > 0 && self.tokens[at - 1].is_word(text, "using");
            let inner = level.open && !columns;
            self.set(Level { open: false, ..level });
            self.levels.push(Level { list: inner, open: inner, target: false });
        } else if token.is_mark(text, ")") {
            if self.levels.len() > 1 {
                self.levels.pop();
            }
        } else if token.is_mark(text, ",") {
            self.set(Level { open: level.list, ..level });
        } else if token.is_name() {
            return self.word(at, level);
        } else if !token.is_mark(text, ";") {
            self.set(Level { open: false, ..level });
        }
        Ok(1)
    }

    fn set(&mut self, level: Level) {
        if let Some(last) = self.levels.last_mut() {
            *last = level;
        }
    }

    fn word(&mut self, at: usize, level: Level) -> Result<usize, Refusal> {
        let (text, token) = (self.text, self.tokens[at]);
        let is = |word: &str| token.is_word(text, word);
        let behind = |word: &str| at > 0 && self.tokens[at - 1].is_word(text, word);
        if is("from") && !behind("distinct") {
            let target = behind("delete");
            self.set(Level { list: !target, open: true, target });
        } else if is("using") {
            self.set(Level { list: true, open: true, target: false });
        } else if is("join") || is("table") {
            self.set(Level { open: true, target: false, ..level });
        } else if is("into") || is("update") && !["for", "key", "do"].iter().any(|word| behind(word)) {
            self.set(Level { list: false, open: true, target: true });
        } else if (is("only") || is("lateral")) && level.open {
        } else if BEHIND_LIST.iter().any(|word| is(word)) {
            self.set(Level::default());
        } else if level.open {
            self.set(Level { open: false, ..level });
            return self.table(at, level.target);
        }
        Ok(1)
    }

    fn table(&mut self, at: usize, target: bool) -> Result<usize, Refusal> {
        let text = self.text;
        let mark = |at: usize, mark: &str| self.tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
        let name = |at: usize| self.tokens.get(at).and_then(|token| identifier(text, *token));
        let (schema, last) = if mark(at + 1, ".") { (name(at), at + 2) } else { (None, at) };
        let Some(bare) = name(last) else { return Ok(1) };
        let table = TableName { schema, name: bare.clone() };
        let length = last - at + 1;
        let known = self.tables.iter().find(|known| known.key == table.rule_key());
        // A function's name is followed by its arguments, a table's only where its columns are listed.
        let Some(known) = known.filter(|_| target || !mark(last + 1, "(")) else { return Ok(length) };
        let start = self.tokens[at].start;
        let next = self.tokens.get(last + 1).copied();
        if at > 0 && self.tokens[at - 1].is_word(text, "only") || mark(last + 1, "*") {
            return Err(unsplittable(&known.key, "ONLY and *"));
        }
        let sampled = |at: usize| self.tokens.get(at).is_some_and(|token| token.is_word(text, "tablesample"));
        if (last + 1..last + 4).any(sampled) {
            return Err(unsplittable(&known.key, "TABLESAMPLE"));
        }
        let place = Place {
            key: known.key.clone(),
            span: start..self.tokens[last].end,
            schema: start..self.tokens[last].start,
            alias: (!has_alias(text, next)).then_some(bare),
            target,
        };
        self.found.push(place);
        Ok(length)
    }

    /// Refuses columns that are qualified by a schema, and system columns.
    fn check_columns(&self) -> Result<(), Refusal> {
        let text = self.text;
        for (at, token) in self.tokens.iter().enumerate() {
            let Some(name) = identifier(text, *token) else { continue };
            if SYSTEM_COLUMNS.contains(&name.as_str()) {
                return Err(unsplittable(&self.found[0].key, &format!("the system column {name}")));
            }
            let dot = |at: usize| self.tokens.get(at).is_some_and(|token| token.is_mark(text, "."));
            let inner = at >= 2 && dot(at - 1) && dot(at + 1);
            if inner && self.tables.iter().any(|known| known.key.rsplit('.').next() == Some(name.as_str())) {
                let column = "a column behind the name of a schema";
                return Err(unsplittable(&name, column));
            }
        }
        Ok(())
    }
}

fn unsplittable(table: &str, what: &str) -> Refusal {
    Refusal::unsupported(
        format!("{what} with table \"{table}\", which is split into physical tables, is not available"),
        "Name the table plainly, its columns by the table's name or alias alone.",
    )
    .with_reason("split_table")
}
