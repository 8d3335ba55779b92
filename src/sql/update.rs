//! The clauses of an UPDATE with their bytes, where it has only such as another statement could be made of.

use std::ops::Range;

use super::insert::{Cursor, split_commas};
use super::name::TableName;
use super::scan::{Scanner, Token};

/// An UPDATE, clause by clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateClauses {
    /// The table.
    pub table: TableName,
    /// Its name as written.
    pub name: Range<usize>,
    /// The name by which columns refer to it, as SQL.
    pub alias: Range<usize>,
    /// The columns set, with their expressions; `None` is DEFAULT.
    pub sets: Vec<(String, Option<Range<usize>>)>,
    /// What stands behind FROM.
    pub from: Option<Range<usize>>,
    /// What stands behind WHERE.
    pub condition: Option<Range<usize>>,
    /// RETURNING, keyword included.
    pub returning: Option<Range<usize>>,
}

/// Reads `UPDATE table [[AS] alias] SET column = expression, … [FROM …] [WHERE …] [RETURNING …]`; `None` for all that is
/// more: WITH, ONLY, `(a, b) = …`, parts of columns, cursors.
pub fn update_clauses(text: &str) -> Option<UpdateClauses> {
    let mut tokens: Vec<Token> = Scanner::new(text).collect();
    while tokens.last().is_some_and(|token| token.is_mark(text, ";")) {
        tokens.pop();
    }
    let mut cursor = Cursor::new(text, &tokens);
    if !cursor.eat("update") || cursor.sees("only") {
        return None;
    }
    let start = cursor.peek()?.start;
    let table = cursor.table_name()?;
    let name = start..cursor.end();
    let last = cursor.tokens[cursor.at - 1].span();
    let alias = if cursor.sees("set") {
        last
    } else {
        cursor.eat("as");
        cursor.identifier()?;
        cursor.tokens[cursor.at - 1].span()
    };
    if !cursor.eat("set") {
        return None;
    }
    let rest = &tokens[cursor.at..];
    let [from, condition, returning] = starts(text, rest);
    let end = |at: usize| [from, condition, returning].into_iter().flatten().filter(|next| *next > at).min();
    let clause = |at: Option<usize>, keyword: usize| {
        let tokens = &rest[at? + keyword..end(at?).unwrap_or(rest.len())];
        Some(tokens.first()?.start..tokens.last()?.end)
    };
    let first = [from, condition, returning].into_iter().flatten().min().unwrap_or(rest.len());
    let sets =
        split_commas(text, &rest[..first]).into_iter().map(|part| set(text, part)).collect::<Option<Vec<_>>>()?;
    let current = |span: &Range<usize>| text[span.clone()].to_ascii_lowercase().starts_with("current");
    let condition_span = clause(condition, 1);
    if sets.is_empty() || condition_span.as_ref().is_some_and(current) {
        return None;
    }
    let returning = clause(returning, 0);
    Some(UpdateClauses { table, name, alias, sets, from: clause(from, 1), condition: condition_span, returning })
}

/// Finds FROM, WHERE and RETURNING outside of parentheses.
fn starts(text: &str, tokens: &[Token]) -> [Option<usize>; 3] {
    let (mut depth, mut found) = (0_i32, [None; 3]);
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is_mark(text, "(")) - i32::from(token.is_mark(text, ")"));
        if depth > 0 {
            continue;
        }
        let distinct = at > 0 && tokens[at - 1].is_word(text, "distinct");
        for (clause, word) in found.iter_mut().zip(["from", "where", "returning"]) {
            if clause.is_none() && token.is_word(text, word) && !distinct {
                *clause = Some(at);
            }
        }
    }
    found
}

/// `column = expression`
fn set(text: &str, tokens: &[Token]) -> Option<(String, Option<Range<usize>>)> {
    let mut cursor = Cursor::new(text, tokens);
    let column = cursor.identifier()?;
    let equals = cursor.next()?;
    if &text[equals.span()] != "=" {
        return None;
    }
    let expression = &tokens[cursor.at..];
    match expression {
        [only] if only.is_word(text, "default") => Some((column, None)),
        [first, .., last] => Some((column, Some(first.start..last.end))),
        [only] => Some((column, Some(only.span()))),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_is_found() {
        let text = "update public.t as x set a = b is distinct from 1, \"K\" = (select 2 from u where true), c = default \
                    from v where x.a = v.a returning x.*, (select 1 from w);";
        let clauses = update_clauses(text).expect("an update");
        let cut = |span: &Range<usize>| &text[span.clone()];
        assert_eq!((cut(&clauses.name), cut(&clauses.alias)), ("public.t", "x"));
        let sets: Vec<_> = clauses.sets.iter().map(|(name, value)| (name.as_str(), value.as_ref().map(cut))).collect();
        let query = "(select 2 from u where true)";
        assert_eq!(sets, [("a", Some("b is distinct from 1")), ("K", Some(query)), ("c", None)]);
        assert_eq!(clauses.from.as_ref().map(cut), Some("v"));
        assert_eq!(clauses.condition.as_ref().map(cut), Some("x.a = v.a"));
        assert_eq!(clauses.returning.as_ref().map(cut), Some("returning x.*, (select 1 from w)"));
    }

    #[test]
    fn what_is_more_is_not_read() {
        let more = [
            "with w as (select 1) update t set a = 1",
            "update only t set a = 1",
            "update t set (a, b) = (1, 2)",
            "update t set a[1] = 2",
            "update t set a = 1 where current of c",
            "update t set",
            "delete from t",
        ];
        assert!(more.iter().all(|text| update_clauses(text).is_none()));
        assert_eq!(update_clauses("update t set a = 1").map(|clauses| clauses.alias), Some(7..8));
    }
}
