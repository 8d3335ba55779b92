//! The columns that a text names outside of strings, whatever they are of.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Visit, Visitor};

use super::read;

/// Returns the names that stand as columns in a statement, each as it is written with its qualifiers; `None` if it cannot
/// be read.
pub fn columns_named(text: &str) -> Option<Vec<String>> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. }) {
                self.0.push(expr.to_string());
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let statements = read::parser().try_with_sql(text).and_then(|mut parser| parser.parse_statements()).ok()?;
    let [statement] = statements.as_slice() else { return None };
    let _ = statement.visit(&mut names);
    Some(names.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_and_functions_types_and_aliases_are_not() {
        let named =
            columns_named("SELECT f(a)::text AS x, t.b + 1 FROM t GROUP BY a HAVING max(\"C\") > 'd' ORDER BY x");
        assert_eq!(named.unwrap(), ["a", "t.b", "a", "\"C\"", "x"]);
        assert_eq!(columns_named("SELECT ("), None);
        assert_eq!(columns_named("SELECT 1; SELECT 2"), None);
    }
}
