//! The clause of a SELECT that locks rows, by the words of the text.

use std::ops::Range;

use super::scan::{Scanner, Token};

/// The one locking clause of a statement.
#[derive(Debug, PartialEq, Eq)]
pub struct LockClause {
    /// From FOR to its last word.
    pub span: Range<usize>,
    /// Whether rows that somebody else has locked are passed by: SKIP LOCKED.
    pub skips: bool,
}

/// Finds it outside of all parentheses; `None` where there is none, or more than one.
pub fn lock_clause(text: &str) -> Option<LockClause> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    let mut depth = 0usize;
    let mut found = None;
    for at in 0..tokens.len() {
        if tokens[at].is_mark(text, "(") {
            depth += 1;
        } else if tokens[at].is_mark(text, ")") {
            depth = depth.saturating_sub(1);
        }
        if depth > 0 || !is(at, "for") {
            continue;
        }
        let strength = [&["update"][..], &["no", "key", "update"], &["share"], &["key", "share"]]
            .into_iter()
            .find(|words| words.iter().enumerate().all(|(number, word)| is(at + 1 + number, word)));
        let Some(words) = strength else { continue };
        let mut end = at + 1 + words.len();
        if is(end, "of") {
            end += 2;
            while tokens.get(end).is_some_and(|token| token.is_mark(text, ",") || token.is_mark(text, ".")) {
                end += 2;
            }
        }
        let skips = is(end, "skip") && is(end + 1, "locked");
        end += if skips { 2 } else { usize::from(is(end, "nowait")) };
        let clause = LockClause { span: tokens[at].start..tokens.get(end - 1)?.end, skips };
        if found.replace(clause).is_some() {
            return None;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clause_is_found_wherever_it_stands() {
        let found = |text: &str| lock_clause(text).map(|clause| (text[clause.span].to_owned(), clause.skips));
        let is = |text: &str, skips| Some((text.to_owned(), skips));
        assert_eq!(found("select a from t order by a limit 1 for update"), is("for update", false));
        assert_eq!(
            found("select a from t FOR NO KEY UPDATE OF t, s.u NOWAIT limit 1"),
            is("FOR NO KEY UPDATE OF t, s.u NOWAIT", false)
        );
        assert_eq!(
            found("select substring(a for 2) from t for key share skip locked;"),
            is("for key share skip locked", true)
        );
        assert_eq!(found("select a from (select 1 for update) t"), None);
        assert_eq!(found("select a from t for update of t for share of u"), None);
    }
}
