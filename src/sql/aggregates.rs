//! Aggregate calls, and of which query's rows they are.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, TableAlias, TableFactor, Visit, Visitor,
};

use super::name::TableName;
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

/// An aggregate in a subquery that is one of the query around it if none of the subquery's tables has its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsureAggregate {
    /// The tables; `None` where the subquery reads what is no table.
    pub tables: Option<Vec<TableName>>,
    /// The columns, none of them qualified.
    pub columns: Vec<String>,
}

/// Tells whether an aggregate is called that makes one row of this query's rows: outside of subqueries, or in one whose own
/// tables have none of the columns that it is of.
pub(super) fn has_aggregate(node: &impl Visit) -> bool {
    Search::of(node).found
}

/// Returns the aggregates in subqueries of which only the tables tell whose they are.
pub(super) fn unsure_aggregates(node: &impl Visit) -> Vec<UnsureAggregate> {
    Search::of(node).unsure
}

/// What a FROM list has.
struct Source {
    name: String,
    table: Option<TableName>,
}

#[derive(Default)]
struct Search {
    /// What the subqueries around have in FROM.
    inside: Vec<Vec<Source>>,
    found: bool,
    unsure: Vec<UnsureAggregate>,
}

impl Search {
    fn of(node: &impl Visit) -> Self {
        let mut search = Self::default();
        let _ = node.visit(&mut search);
        search
    }

    fn aggregate(&mut self, function: &Function) {
        let mut columns = Columns { inside: &self.inside, own: false, outer: false, bare: Vec::new() };
        let _ = function.visit(&mut columns);
        columns.rows_of(function);
        let Columns { own, outer, bare, .. } = columns;
        if self.inside.is_empty() || outer && !own && bare.is_empty() {
            self.found = true;
        } else if !own && !bare.is_empty() {
            let tables = self.inside.iter().flatten().map(|source| source.table.clone()).collect();
            self.unsure.push(UnsureAggregate { tables, columns: bare });
        }
    }
}

impl Visitor for Search {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut sources = Sources { depth: 0, found: Vec::new() };
        let _ = query.visit(&mut sources);
        self.inside.push(sources.found);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.inside.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if is_aggregate(function) => self.aggregate(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whose columns an aggregate is of.
struct Columns<'i> {
    inside: &'i [Vec<Source>],
    own: bool,
    outer: bool,
    /// Those that may be of a table inside.
    bare: Vec<String>,
}

impl Columns<'_> {
    fn qualified(&mut self, qualifier: &str) {
        match self.inside.iter().flatten().any(|source| source.name == qualifier) {
            true => self.own = true,
            false => self.outer = true,
        }
    }

    /// `count(table.*)`
    fn rows_of(&mut self, function: &Function) {
        let FunctionArguments::List(list) = &function.args else { return };
        for argument in &list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = argument
                && let Some(table) = table_name(name)
            {
                self.qualified(&table.name);
            }
        }
    }
}

impl Visitor for Columns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) if self.inside.iter().flatten().next().is_some() => self.bare.push(fold(name)),
            Expr::Identifier(_) => self.outer = true,
            Expr::CompoundIdentifier(parts) => {
                self.qualified(&parts.iter().rev().nth(1).map(fold).unwrap_or_default());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What a query's own FROM lists have.
struct Sources {
    depth: usize,
    found: Vec<Source>,
}

impl Visitor for Sources {
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
        if self.depth == 1 {
            self.found.extend(source(factor));
        }
        ControlFlow::Continue(())
    }
}

fn source(factor: &TableFactor) -> Option<Source> {
    let named = |alias: &Option<TableAlias>| alias.as_ref().map(|alias| fold(&alias.name));
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let table = table_name(name);
            let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
            let name = named(alias).or_else(|| table.as_ref().map(|table| table.name.clone())).unwrap_or_default();
            Some(Source { name, table: table.filter(|_| !renamed) })
        }
        TableFactor::NestedJoin { alias: None, .. } => None,
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => Some(Source { name: named(alias).unwrap_or_default(), table: None }),
        _ => Some(Source { name: String::new(), table: None }),
    }
}
