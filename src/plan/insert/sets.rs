//! `INSERT … VALUES (1, unnest(…))`: with one row, PostgreSQL reads it as a select list, of which a function may make several
//! rows.

use std::ops::Range;

use crate::plan::catalog::Catalog;
use crate::sql::insert::{CellValue, InsertFacts, Row, Source, read};
use crate::sql::{Scanner, Token, identifier, splice};
use crate::types::Refusal;

/// Returns an INSERT of such a row as an INSERT of the query that it is; `None` for any other text.
///
/// # Errors
/// 0A000 for DEFAULT in such a row: in a query it has no meaning.
pub(in crate::plan) fn rows_of_functions(text: &str, catalog: &Catalog) -> Result<Option<String>, Refusal> {
    let first = Scanner::new(text).next();
    let may_be = first.is_some_and(|first| first.is_word(text, "insert") || first.is_word(text, "with"));
    if !may_be || !calls_set(text, 0..text.len(), catalog) {
        return Ok(None);
    }
    let Ok(facts) = read(text) else { return Ok(None) };
    let Some(row) = row_of_sets(text, &facts, catalog) else { return Ok(None) };
    if row.cells.iter().any(|cell| cell.value == CellValue::Default) {
        return Err(Refusal::unsupported(
            "DEFAULT beside a function that returns several rows",
            "Leave the column out, and insert the rows by SELECT.",
        ));
    }
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let open = tokens.partition_point(|token| token.start < row.span.start);
    let Some(values) = open.checked_sub(1).map(|at| tokens[at]) else { return Ok(None) };
    let edits = [
        (values.start..values.end, "SELECT".to_owned()),
        (row.span.start..row.span.start + 1, String::new()),
        (row.span.end - 1..row.span.end, String::new()),
    ];
    Ok(Some(splice(text, &edits)))
}

/// Returns the only row of an INSERT if a function in it may make several of it.
pub(super) fn row_of_sets<'a>(text: &str, facts: &'a InsertFacts, catalog: &Catalog) -> Option<&'a Row> {
    let Source::Values(rows) = &facts.source else { return None };
    let [row] = rows.as_slice() else { return None };
    calls_set(text, row.span.clone(), catalog).then_some(row)
}

/// Tells whether a function that may return several rows is called in these bytes.
pub(in crate::plan) fn calls_set(text: &str, within: Range<usize>, catalog: &Catalog) -> bool {
    let mut name = None;
    for token in Scanner::new(&text[within.clone()]) {
        let part = &text[within.clone()];
        if token.is_mark(part, "(") && name.take().is_some_and(|name: String| catalog.sets.contains(&name)) {
            return true;
        }
        name = identifier(part, token);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_which_a_function_makes_several_is_a_query() {
        let catalog = Catalog { sets: ["unnest".to_owned()].into(), ..Catalog::default() };
        let reworded = |text: &str| rows_of_functions(text, &catalog);
        assert_eq!(
            reworded("INSERT INTO t (a, b) VALUES (1, Unnest(ARRAY[f(2), 3])) RETURNING a").unwrap().as_deref(),
            Some("INSERT INTO t (a, b) SELECT 1, Unnest(ARRAY[f(2), 3]) RETURNING a")
        );
        for text in [
            "INSERT INTO t VALUES (1, f(2))",
            "INSERT INTO t VALUES (1), (unnest(b))",
            "INSERT INTO t SELECT unnest(a)",
            "INSERT INTO t VALUES (1, unnest)",
            "SELECT unnest(a)",
        ] {
            assert_eq!(reworded(text), Ok(None), "{text}");
        }
        assert!(reworded("INSERT INTO t VALUES (DEFAULT, unnest(b))").is_err());
    }
}
