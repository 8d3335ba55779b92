//! Aggregate calls, and of which query's rows they are.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Function, Query, TableFactor, Visit, Visitor};

use super::read::{fold, function_name, table_name};

/// PostgreSQL's aggregate functions; any of them makes a query grouped. User-defined ones are not known here: `plan`
/// refuses functions that it does not know where it matters.
const AGGREGATES: [&str; 47] = [
    "array_agg",
    "any_value",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "dense_rank",
    "every",
    "grouping",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "mode",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "rank",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

/// Tells whether PostgreSQL has an aggregate function of this name.
pub fn is_aggregate_name(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Tells whether a call is one of an aggregate, and none of a window.
pub(super) fn is_aggregate(function: &Function) -> bool {
    function.over.is_none() && function_name(&function.name).is_some_and(|name| is_aggregate_name(&name))
}

/// Tells whether an aggregate is called that makes one row of this query's rows: outside of subqueries, or in one whose own
/// tables have none of the columns that it is of.
pub(super) fn has_aggregate(node: &impl Visit) -> bool {
    struct Search {
        /// The names of the tables in each subquery around.
        inside: Vec<Vec<String>>,
        found: bool,
    }
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.inside.push(tables_in(query));
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.inside.pop();
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr {
                self.found |= is_aggregate(function) && is_of_outside(function, &self.inside);
            }
            ControlFlow::Continue(())
        }
    }
    let mut search = Search { inside: Vec::new(), found: false };
    let _ = node.visit(&mut search);
    search.found
}

/// Tells whether an aggregate in subqueries with these tables is one of the query around them: where it has columns, and none
/// that the tables may have.
fn is_of_outside(function: &Function, inside: &[Vec<String>]) -> bool {
    struct Columns<'i> {
        inside: &'i [Vec<String>],
        own: bool,
        outer: bool,
    }
    impl Visitor for Columns<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let qualifier = match expr {
                Expr::Identifier(_) => None,
                Expr::CompoundIdentifier(parts) => parts.iter().rev().nth(1).map(fold),
                _ => return ControlFlow::Continue(()),
            };
            let is_own = |tables: &Vec<String>| match &qualifier {
                Some(name) => tables.contains(name),
                None => !tables.is_empty(),
            };
            match self.inside.iter().any(is_own) {
                true => self.own = true,
                false => self.outer = true,
            }
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns { inside, own: false, outer: false };
    let _ = function.visit(&mut columns);
    inside.is_empty() || columns.outer && !columns.own
}

/// Returns the names of what a query's own FROM lists have.
fn tables_in(query: &Query) -> Vec<String> {
    struct Names {
        depth: usize,
        found: Vec<String>,
    }
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            let alias = match factor {
                TableFactor::Table { name, alias, .. } => match alias {
                    Some(alias) => Some(fold(&alias.name)),
                    None => table_name(name).map(|table| table.name),
                },
                TableFactor::Derived { alias, .. }
                | TableFactor::Function { alias, .. }
                | TableFactor::TableFunction { alias, .. }
                | TableFactor::UNNEST { alias, .. }
                | TableFactor::NestedJoin { alias, .. } => alias.as_ref().map(|alias| fold(&alias.name)),
                _ => None,
            };
            self.found.extend(alias.filter(|_| self.depth == 1));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names { depth: 0, found: Vec::new() };
    let _ = query.visit(&mut names);
    names.found
}
