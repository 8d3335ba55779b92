//! Where a text names tables: by its tokens, so that a text of the same skeleton has them in the same order.
//!
//! Whether all of them were found, and nothing else, is for the caller to check against what the parser says: a name may
//! stand for a column, too.

use std::ops::Range;

use super::alias::has_alias;
use crate::sql::{Scanner, TableName, Token, identifier};

/// One place where a table is read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Which of the tables that were looked for.
    pub(super) known: usize,
    /// Its name, with the schema if that is said.
    pub(super) span: Range<usize>,
    /// The schema, with its dot.
    pub(super) schema: Range<usize>,
    /// The name by which columns refer to the table, if no alias is said.
    pub(super) alias: Option<String>,
    /// Whether rows are written here.
    pub(super) target: bool,
    /// Whether ONLY or `*` says something of its children.
    pub(super) children: bool,
    /// Whether TABLESAMPLE follows.
    pub(super) sampled: bool,
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

/// Finds the places of tables by their names in the rules, in the order of the text.
pub(super) fn mentions(text: &str, keys: &[&str]) -> Vec<Mention> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let mut walk = Walk { text, tokens: &tokens, keys, levels: vec![Level::default()], found: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        at += walk.take(at);
    }
    walk.found
}

struct Walk<'a> {
    text: &'a str,
    tokens: &'a [Token],
    keys: &'a [&'a str],
    levels: Vec<Level>,
    found: Vec<Mention>,
}

impl Walk<'_> {
    /// Takes what stands at a token; returns how many tokens that was.
    fn take(&mut self, at: usize) -> usize {
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
        1
    }

    fn set(&mut self, level: Level) {
        if let Some(last) = self.levels.last_mut() {
            *last = level;
        }
    }

    fn word(&mut self, at: usize, level: Level) -> usize {
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
        1
    }

    fn table(&mut self, at: usize, target: bool) -> usize {
        let text = self.text;
        let mark = |at: usize, mark: &str| self.tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
        let name = |at: usize| self.tokens.get(at).and_then(|token| identifier(text, *token));
        let (schema, last) = if mark(at + 1, ".") { (name(at), at + 2) } else { (None, at) };
        let Some(bare) = name(last) else { return 1 };
        let table = TableName { schema, name: bare.clone() };
        let length = last - at + 1;
        let known = self.keys.iter().position(|key| *key == table.rule_key());
        // A function's name is followed by its arguments, a table's only where its columns are listed.
        let Some(known) = known.filter(|_| target || !mark(last + 1, "(")) else { return length };
        let next = self.tokens.get(last + 1).copied();
        let sampled = |at: usize| self.tokens.get(at).is_some_and(|token| token.is_word(text, "tablesample"));
        let start = self.tokens[at].start;
        self.found.push(Mention {
            known,
            span: start..self.tokens[last].end,
            schema: start..self.tokens[last].start,
            alias: (!has_alias(text, next)).then_some(bare),
            target,
            children: self.is_alone(at) || mark(last + 1, "*"),
            sampled: (last + 1..last + 4).any(sampled),
        });
        length
    }

    /// Tells whether ONLY stands before a table, which may be in parentheses.
    fn is_alone(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).map(|at| self.tokens[at]);
        let only = |back: usize| before(back).is_some_and(|token| token.is_word(self.text, "only"));
        only(1) || only(2) && before(1).is_some_and(|token| token.is_mark(self.text, "("))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of `t` in a text, as the bytes where they start.
    fn starts(text: &str) -> Vec<usize> {
        mentions(text, &["t"]).into_iter().map(|mention| mention.span.start).collect()
    }

    #[test]
    fn tables_are_found_where_lists_of_them_stand() {
        for (text, count) in [
            ("SELECT t FROM t", 1),
            ("SELECT a, t FROM u, t x JOIN t USING (t), LATERAL (SELECT t FROM t)", 3),
            ("SELECT a IS DISTINCT FROM t, (t), t.a FROM u ORDER BY a, t", 0),
            ("DELETE FROM t USING public.t AS y WHERE (t, a) IN (SELECT 1, t FROM t)", 3),
            ("UPDATE t SET a = coalesce(b, t), t = 1 FROM t z WHERE a IN (b, t)", 2),
            ("MERGE INTO t USING (SELECT a, t FROM t) s ON (t IS NULL) WHEN MATCHED THEN DELETE", 2),
            ("SELECT t(1) FROM t(2)", 0),
            ("SELECT 1 FROM s.t", 0),
        ] {
            assert_eq!(starts(text).len(), count, "{text}: {:?}", starts(text));
        }
    }
}
