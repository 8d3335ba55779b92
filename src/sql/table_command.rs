//! `TABLE t`, which is `SELECT * FROM t`.

use super::scan::{Scanner, Token};
use super::splice::splice;

/// The words that begin a query.
const QUERIES: [&str; 4] = ["table", "select", "with", "values"];
/// The words behind which a query's next part begins.
const BEFORE_PARTS: [&str; 5] = ["union", "intersect", "except", "all", "distinct"];

/// Returns a query that says `SELECT * FROM` where this one says `TABLE`; `None` if it does not, or is no query.
pub fn without_table_commands(text: &str) -> Option<String> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let is = |at: usize, words: &[&str]| words.iter().any(|word| tokens[at].is_word(text, word));
    let insert = !tokens.is_empty() && is(0, &["insert"]);
    if tokens.is_empty() || !(insert || is(0, &QUERIES) || tokens[0].is_mark(text, "(")) {
        return None;
    }
    // The word is reserved: behind the name and the columns of an INSERT it is nothing else.
    let begins = |at: usize| insert || at == 0 || tokens[at - 1].is_mark(text, "(") || is(at - 1, &BEFORE_PARTS);
    let edits: Vec<_> = (0..tokens.len())
        .filter(|at| is(*at, &["table"]) && begins(*at))
        .map(|at| (tokens[at].span(), "SELECT * FROM".to_owned()))
        .collect();
    (!edits.is_empty()).then(|| splice(text, &edits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_command_is_a_select() {
        let cases = [
            ("TABLE t", "SELECT * FROM t"),
            ("table only s.t order by 1 limit 2", "SELECT * FROM only s.t order by 1 limit 2"),
            (
                "(TABLE a UNION ALL TABLE b) EXCEPT TABLE c",
                "(SELECT * FROM a UNION ALL SELECT * FROM b) EXCEPT SELECT * FROM c",
            ),
            ("INSERT INTO t (a) TABLE u", "INSERT INTO t (a) SELECT * FROM u"),
            ("WITH w AS (TABLE a) SELECT (TABLE w)", "WITH w AS (SELECT * FROM a) SELECT (SELECT * FROM w)"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_table_commands(text).as_deref(), Some(expected));
        }
        for text in ["LOCK TABLE t", "CREATE TABLE t (a int)", "SELECT 'TABLE t' FROM t AS \"table\"", "SELECT 1"] {
            assert_eq!(without_table_commands(text), None, "{text}");
        }
    }
}
