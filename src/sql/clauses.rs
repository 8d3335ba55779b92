//! Where the clauses of one plain SELECT stand, by its tokens: composite expressions have exact bytes only here.

use std::ops::Range;

use super::scan::{Scanner, Token};

/// The byte ranges of a SELECT's clauses; lists are split at their commas.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    /// Where SELECT stands.
    pub(super) start: usize,
    pub(super) items: Vec<Range<usize>>,
    pub(super) group: Vec<Range<usize>>,
    pub(super) order: Vec<Range<usize>>,
    /// LIMIT, OFFSET and FETCH with their keywords.
    pub(super) limits: Vec<Range<usize>>,
    /// HAVING without its keyword; several parts if commas stand there outside of parentheses.
    pub(super) having: Vec<Range<usize>>,
    /// Where FROM and WHERE end, if something stands behind them.
    pub(super) body_end: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    Items,
    Group,
    Order,
    Limit,
    Having,
    Other,
}

/// Finds the clauses of `text`, which is one SELECT without set operations, with or without WITH.
pub(super) fn find(text: &str) -> Option<Clauses> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let select = match tokens.first()?.is_word(text, "with") {
        true => outside(text, &tokens, 1, |token| token.is_word(text, "select"))?,
        false => 0,
    };
    if !tokens.get(select)?.is_word(text, "select") {
        return None;
    }
    let mut clauses = Clauses { start: tokens[select].start, ..Clauses::default() };
    let mut clause = Clause::Items;
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    let mut from = select + 1;
    if is(from, "distinct") && is(from + 1, "on") {
        // The list in parentheses is not the first item's.
        from = outside(text, &tokens, from + 3, |token| token.is_mark(text, ")"))? + 1;
    } else if is(from, "distinct") || is(from, "all") {
        from += 1;
    }
    let (mut depth, mut at) = (0usize, from);
    while let Some(token) = tokens.get(at) {
        if token.is_mark(text, "(") || token.is_mark(text, "[") {
            depth += 1;
        } else if token.is_mark(text, ")") || token.is_mark(text, "]") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.is_mark(text, ",") {
            clauses.take(clause, &tokens, from, at);
            from = at + 1;
        } else if depth == 0
            && let Some((next, words)) = keyword(text, &tokens, at)
        {
            clauses.take(clause, &tokens, from, at);
            if !token.is_word(text, "from") && !token.is_word(text, "where") {
                clauses.body_end.get_or_insert(token.start);
            }
            clause = next;
            from = if next == Clause::Limit { at } else { at + words };
            at += words;
            continue;
        }
        at += 1;
    }
    clauses.take(clause, &tokens, from, tokens.len());
    Some(clauses)
}

impl Clauses {
    fn take(&mut self, clause: Clause, tokens: &[Token], from: usize, to: usize) {
        let Some(range) = tokens.get(from..to).and_then(|part| Some(part.first()?.start..part.last()?.end)) else {
            return;
        };
        match clause {
            Clause::Items => self.items.push(range),
            Clause::Group => self.group.push(range),
            Clause::Order => self.order.push(range),
            Clause::Limit => self.limits.push(range),
            Clause::Having => self.having.push(range),
            Clause::Other => {}
        }
    }
}

/// Finds a token behind `from` that stands in no parentheses but those around it.
fn outside(text: &str, tokens: &[Token], from: usize, found: impl Fn(&Token) -> bool) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        if depth == 0 && found(token) {
            return Some(at);
        }
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") {
            depth = depth.checked_sub(1)?;
        }
    }
    None
}

/// Tells whether a clause starts at a token, and by how many words.
fn keyword(text: &str, tokens: &[Token], at: usize) -> Option<(Clause, usize)> {
    let word = |offset: usize, word: &str| tokens.get(at + offset).is_some_and(|token| token.is_word(text, word));
    let before = |offset: usize, word: &str| {
        at.checked_sub(offset).and_then(|at| tokens.get(at)).is_some_and(|token| token.is_word(text, word))
    };
    let dotted = at > 0 && tokens[at - 1].is_mark(text, ".");
    if before(1, "as") || dotted {
        return None;
    }
    if word(0, "from") && !before(1, "distinct") {
        return Some((Clause::Other, 1));
    }
    if word(0, "group") && word(1, "by") {
        return Some((Clause::Group, 2));
    }
    if word(0, "order") && word(1, "by") {
        return Some((Clause::Order, 2));
    }
    if word(0, "limit") || word(0, "offset") || word(0, "fetch") {
        return Some((Clause::Limit, 1));
    }
    if word(0, "having") {
        return Some((Clause::Having, 1));
    }
    let others = ["where", "window", "for", ";"];
    let other = others.iter().any(|other| word(0, other)) || tokens[at].is_mark(text, ";");
    other.then_some((Clause::Other, 1))
}
