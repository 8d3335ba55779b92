//! Rows that one statement gives and another writes: a query's into INSERT, a key that PostgreSQL computes, a moved row.
//!
//! Only texts are made here. The first statement is planned and run by itself; what it returns is written into the
//! second one as constants, which is planned as any INSERT of constants is: its keys, modes and redo are the same.

use std::ops::Range;

use super::insert::HomeNumber;
use crate::sql::Scanner;
use crate::types::{Refusal, ShardId};

/// A statement in two steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carry {
    /// What gives the rows, with the client's parameters under their own numbers.
    pub source: String,
    /// What the source's columns are for, in their order; it may have fewer.
    pub columns: Vec<Carried>,
    /// The second statement.
    pub form: CarryForm,
    /// Where the client's own text is checked before constants take the place of its expressions; `None` if no shard has all
    /// tables that it names.
    pub checked_on: Option<ShardId>,
    /// What is checked in the place of the client's text, where that names tables that no server has.
    pub checked: Option<String>,
    /// The text that the places of the form are in, if that is not the client's.
    pub within: Option<String>,
    /// The table written, as the rules have it.
    pub table: String,
    /// Whether both statements are one transaction.
    pub together: bool,
    /// What home's sequences number in the rows of [`CarryForm::Rows`]: the last columns of its head, then those that are
    /// [`Carried::drawn`].
    pub numbers: Vec<HomeNumber>,
}

/// What one column of the source is for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The oid of the type of the column that it is written to; 0 if that is not known.
    pub type_oid: u32,
    /// Whether it is a sharding key, whose constant the proxy reads.
    pub key: bool,
    /// The call of `shardloom.next_id` that is written in the place of the value.
    pub call: Option<String>,
    /// Whether a number that is drawn on home is written in the place of the value.
    pub drawn: bool,
}

/// How the rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarryForm {
    /// `head VALUES (row), (row) tail`
    Rows {
        /// INSERT up to its source.
        head: String,
        /// ON CONFLICT and RETURNING.
        tail: String,
    },
    /// The values of the one row stand in place of these bytes of the client's text, in the order of the columns.
    Cells(Vec<Range<usize>>),
    /// The rows were deleted where they were; `head VALUES (row), (row) tail` has them where they belong.
    Move {
        /// INSERT up to its source.
        head: String,
        /// RETURNING.
        tail: String,
        /// By column of the INSERT: whether the source gives it; DEFAULT is written for the others.
        given: Vec<bool>,
        /// Which of the columns is the key.
        key: usize,
        /// All columns of the table, which the source returns behind those that are given: others than these are not
        /// known here, and would be lost.
        all: Vec<String>,
    },
    /// The rows stand in the client's text, in the place of what was read.
    Query {
        /// The place.
        brought: Brought,
        /// Why they must be read first: if that cannot be done by itself after all, this is told.
        refusal: Refusal,
    },
}

/// A query in parentheses, or a table, whose rows are constants from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Its bytes in the client's text, with the operator where it is compared with a sharding key.
    pub span: Range<usize>,
    /// How it is compared with a sharding key, which the values then bind.
    pub key: Option<KeyOperator>,
    /// The name that the rows need in its place, quoted; none where the text goes on with one, or needs none.
    pub alias: Option<String>,
    /// What is known of it, if it is a table.
    pub table: Option<BroughtTable>,
    /// Whether it is the source of a MERGE, which is read as a list of constants.
    pub listed: bool,
    /// Whether nothing stands around it that it could name.
    pub alone: bool,
    /// Whether it writes or locks rows, and these are those that it returns.
    pub written: bool,
}

/// A table as the catalog had it when the statement was planned: it must still be like that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtTable {
    /// Its name as servers know it.
    pub name: String,
    /// All its columns with the oids of their types.
    pub columns: Vec<(String, u32)>,
    /// The types of those that are brought.
    pub types: Vec<String>,
}

/// What stands between a sharding key and a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOperator {
    /// `IN`
    In,
    /// `=`
    Equal,
}

/// A text whose parameters are numbered anew, and which of the client's they are (0-based).
pub fn renumbered(text: &str) -> (String, Vec<usize>) {
    let (mut out, mut from, mut used) = (String::with_capacity(text.len()), 0, Vec::new());
    for token in Scanner::new(text) {
        let Some(index) = crate::sql::insert::parameter_index(text, &token) else { continue };
        let number = used.iter().position(|known| *known == index).unwrap_or_else(|| {
            used.push(index);
            used.len() - 1
        });
        out.push_str(&text[from..token.start]);
        out.push_str(&format!("${}", number + 1));
        from = token.end;
    }
    out.push_str(&text[from..]);
    (out, used)
}

/// The name of rows that stand in a text as constants; no client has such a one.
pub const CARRIED: &str = "shardloom_carried";

/// Tells whether a text has such rows: they are not carried again.
pub(super) fn is_carried(text: &str) -> bool {
    Scanner::new(text).any(|token| token.is_word(text, CARRIED))
}

/// Tells whether a query stands in the text.
pub(super) fn has_query(text: &str) -> bool {
    Scanner::new(text).any(|token| ["select", "table", "values", "with"].iter().any(|word| token.is_word(text, word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_by_their_first_use() {
        assert_eq!(renumbered("select $3, '$1', $2 + $3"), ("select $1, '$1', $2 + $1".to_owned(), vec![2, 1]));
        assert_eq!(renumbered("select 1"), ("select 1".to_owned(), vec![]));
    }

    #[test]
    fn a_query_is_seen_inside_of_an_expression_and_not_in_a_text() {
        assert!(has_query("returning (select 1)"));
        assert!(!has_query("returning 'select', a.values_1"));
    }
}
