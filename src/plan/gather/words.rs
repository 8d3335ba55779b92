//! The names in a statement's text, by its tokens alone.

use std::collections::HashMap;

use crate::sql::{Scanner, Token, TokenKind, identifier};

/// Words that end a select list's `*`, and never begin an operand.
const BEHIND_STAR: [&str; 16] = [
    "from",
    "into",
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
    "as",
];

/// What TABLESAMPLE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    /// It is not there.
    None,
    /// Some rows, each as likely as any other: a copy's do as well.
    Some,
    /// The same rows each time, or what a method of one's own says.
    Others,
}

/// The names in a text.
pub(super) struct Words<'a> {
    /// How often each stands there, and how often without a dot behind it.
    counts: HashMap<String, (usize, usize)>,
    /// Whether a `*` may stand for columns.
    pub(super) star: bool,
    pub(super) samples: Samples,
    /// Where `public` qualifies a name, and which.
    pub(super) qualified: Vec<(std::ops::Range<usize>, String)>,
    text: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let tokens: Vec<Token> = Scanner::new(text).collect();
        let mut words =
            Self { counts: HashMap::new(), star: false, samples: Samples::None, qualified: Vec::new(), text };
        for at in 0..tokens.len() {
            words.take(&tokens, at);
        }
        // EXISTS counts rows, but not before a set operation has compared them.
        let compared = ["union", "intersect", "except"].iter().any(|word| words.has(word));
        if words.samples == Samples::Some && words.has("repeatable") {
            words.samples = Samples::Others;
        }
        words.star |= compared && (0..tokens.len()).any(|at| is_counted(text, &tokens, at));
        words
    }

    fn take(&mut self, tokens: &[Token], at: usize) {
        let text = self.text;
        if tokens[at].text(text) == "*" {
            self.star |= selects_columns(text, tokens, at) && !is_counted(text, tokens, at);
        }
        let Some(name) = identifier(text, tokens[at]) else { return };
        // FETCH FIRST n ROWS ONLY says nothing of a table.
        if name == "only" && at > 0 && ["row", "rows"].iter().any(|word| tokens[at - 1].is_word(text, word)) {
            return;
        }
        if name == "tablesample" && self.samples != Samples::Others {
            let own = ["bernoulli", "system"];
            let plain = tokens.get(at + 1).is_some_and(|next| own.iter().any(|method| next.is_word(text, method)));
            self.samples = if plain { Samples::Some } else { Samples::Others };
        }
        let dotted = tokens.get(at + 1).is_some_and(|next| next.is_mark(text, "."));
        if dotted
            && name == "public"
            && let Some(table) = tokens.get(at + 2).and_then(|table| identifier(text, *table))
        {
            self.qualified.push((tokens[at].span(), table));
        }
        let count = self.counts.entry(name).or_default();
        count.0 += 1;
        count.1 += usize::from(!dotted);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.counts.contains_key(name)
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.counts.get(name).map_or(0, |count| count.0)
    }

    pub(super) fn alone(&self, name: &str) -> usize {
        self.counts.get(name).map_or(0, |count| count.1)
    }
}

/// Tells whether a token is the `*` of `EXISTS (SELECT *`.
fn is_counted(text: &str, tokens: &[Token], at: usize) -> bool {
    let word = |back: usize, word: &str| at.checked_sub(back).is_some_and(|at| tokens[at].is_word(text, word));
    tokens[at].text(text) == "*" && word(1, "select") && word(3, "exists")
}

/// Tells whether a `*` may stand for columns: in doubt it does. `count(*)` and a product do not.
fn selects_columns(text: &str, tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).map(|index| tokens[index]);
    let next = tokens.get(at + 1);
    let counts =
        before.is_some_and(|before| before.is_mark(text, "(")) && next.is_some_and(|next| next.is_mark(text, ")"));
    if counts {
        return false;
    }
    let ends_operand = before.is_some_and(|before| match before.kind {
        TokenKind::Word => !["select", "distinct", "all"].iter().any(|word| before.is_word(text, word)),
        TokenKind::QuotedIdentifier | TokenKind::Parameter | TokenKind::Number => true,
        _ => before.is_string() || before.is_mark(text, ")") || before.is_mark(text, "]"),
    });
    let begins_operand = next.is_some_and(|next| match next.kind {
        TokenKind::Word => !BEHIND_STAR.iter().any(|word| next.is_word(text, word)),
        TokenKind::QuotedIdentifier | TokenKind::Parameter | TokenKind::Number => true,
        _ => next.is_string() || next.is_mark(text, "("),
    });
    !(ends_operand && begins_operand)
}
