//! Which rows of a query block depend on each other: groups, windows, DISTINCT.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderBy, Query, Select, SelectItem,
    Value, Visit, Visitor, WindowSpec, WindowType,
};

use super::aggregates::{has_aggregate, unsure_aggregates};
use super::condition::plain;
use super::facts::Column;
use super::read::fold;
use super::scope::Reader;

/// How many windows may be made of each other (`WINDOW b AS (a ORDER BY x)`).
const WINDOWS_MAX: usize = 8;

impl Reader<'_> {
    /// Notes the keys of GROUP BY and DISTINCT.
    pub(super) fn held_together(&mut self, select: &Select, order: Option<&OrderBy>, scope: usize) {
        let mut lists = Vec::new();
        let nodes = [unsure_aggregates(&select.projection), unsure_aggregates(&select.having)];
        self.facts.unsure.extend(nodes.into_iter().flatten().chain(order.into_iter().flat_map(unsure_aggregates)));
        self.facts.by_position |= scope > 0 && has_position(select);
        match &select.group_by {
            GroupByExpr::Expressions(keys, modifiers) => {
                let grouped = !keys.is_empty() || select.having.is_some() || aggregates(select, order);
                if grouped && modifiers.is_empty() && !keys.iter().any(is_sets) {
                    lists.push(self.keys(keys, select, scope));
                } else if grouped {
                    // A row of a wider set has nothing of the keys that the set leaves out.
                    lists.push(Vec::new());
                }
            }
            GroupByExpr::All(_) => lists.push(Vec::new()),
        }
        match &select.distinct {
            Some(Distinct::On(keys)) => lists.push(self.outputs_named(keys, select, scope)),
            Some(Distinct::Distinct) => {
                let columns = select.projection.iter().filter_map(|item| self.column(expression(item)?, scope));
                lists.push(columns.collect());
            }
            Some(Distinct::All) | None => {}
        }
        self.facts.scopes[scope].together.extend(lists);
    }

    /// Notes the keys of each window that is used in `node`.
    pub(super) fn windows(&mut self, node: &impl Visit, select: &Select, scope: usize) {
        for window in used(node) {
            let keys = partition(&window, &select.named_window, WINDOWS_MAX);
            let columns = keys.iter().filter_map(|key| self.column(key, scope)).collect();
            self.facts.scopes[scope].together.push(columns);
        }
    }

    /// Returns the columns that the keys of DISTINCT ON mean: a bare name is that of an output first.
    fn outputs_named(&self, keys: &[Expr], select: &Select, scope: usize) -> Vec<Column> {
        let columns = keys.iter().map(plain).filter_map(|key| match key {
            Expr::Identifier(name) => output_named(&fold(name), select)
                .map_or_else(|| self.column(key, scope), |meant| meant.and_then(|expr| self.column(expr, scope))),
            _ => self.keys(std::slice::from_ref(key), select, scope).pop(),
        });
        columns.collect()
    }

    /// Returns those of the expressions that are columns, or positions of columns in the select list.
    fn keys(&self, keys: &[Expr], select: &Select, scope: usize) -> Vec<Column> {
        let meant = |key| position(key).map_or(Some(key), |at| expression(items_before_star(select).get(at - 1)?));
        keys.iter().filter_map(|key| self.column(meant(key)?, scope)).collect()
    }
}

/// Finds the select item that has this name: `Some(None)` for one that may have it and is no column.
fn output_named<'s>(name: &str, select: &'s Select) -> Option<Option<&'s Expr>> {
    select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if fold(alias) == name => Some(Some(expr)),
        // A cast or a call is named by what is in it.
        SelectItem::UnnamedExpr(expr) => match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => None,
            _ => expr.to_string().to_lowercase().contains(&name.to_lowercase()).then_some(None),
        },
        _ => None,
    })
}

/// Tells whether a SELECT without GROUP BY makes one row of all, wherever it says so.
fn aggregates(select: &Select, order: Option<&OrderBy>) -> bool {
    has_aggregate(&select.projection)
        || has_aggregate(&select.distinct)
        || has_aggregate(&select.named_window)
        || order.is_some_and(has_aggregate)
}

/// Tells whether an aggregate or a window is used.
pub(super) fn computes_over_rows(node: &impl Visit) -> bool {
    has_aggregate(node) || has_window(node)
}

/// Tells whether a window is used outside of subqueries.
pub(super) fn has_window(node: &impl Visit) -> bool {
    !used(node).is_empty()
}

/// Returns the windows that are used outside of subqueries.
fn used(node: &impl Visit) -> Vec<WindowType> {
    let mut search = Windows { depth: 0, found: Vec::new() };
    let _ = node.visit(&mut search);
    search.found
}

/// Returns the items whose positions are known.
fn items_before_star(select: &Select) -> &[SelectItem] {
    let known = select.projection.iter().take_while(|item| expression(item).is_some()).count();
    &select.projection[..known]
}

fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
    }
}

/// Returns a position in the select list, from 1.
fn position(key: &Expr) -> Option<usize> {
    match key {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok().filter(|position| *position > 0),
            _ => None,
        },
        _ => None,
    }
}

fn has_position(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, _) => keys.as_slice(),
        GroupByExpr::All(_) => &[],
    };
    let distinct = match &select.distinct {
        Some(Distinct::On(keys)) => keys.as_slice(),
        Some(Distinct::Distinct | Distinct::All) | None => &[],
    };
    grouped.iter().chain(distinct).any(|key| position(key).is_some())
}

fn is_sets(key: &Expr) -> bool {
    matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_))
}

/// Returns what a window is partitioned by; nothing where that cannot be told.
fn partition<'w>(window: &'w WindowType, named: &'w [NamedWindowDefinition], depth: usize) -> &'w [Expr] {
    match window {
        WindowType::WindowSpec(window) => of_window(window, named, depth),
        WindowType::NamedWindow(name) => of_name(name, named, depth),
    }
}

/// A window that is made of another has its partitions.
fn of_window<'w>(window: &'w WindowSpec, named: &'w [NamedWindowDefinition], depth: usize) -> &'w [Expr] {
    window.window_name.as_ref().map_or(&window.partition_by, |name| of_name(name, named, depth))
}

fn of_name<'w>(name: &Ident, named: &'w [NamedWindowDefinition], depth: usize) -> &'w [Expr] {
    let Some(depth) = depth.checked_sub(1) else { return &[] };
    match named.iter().find(|window| fold(&window.0) == fold(name)).map(|window| &window.1) {
        Some(NamedWindowExpr::WindowSpec(window)) => of_window(window, named, depth),
        Some(NamedWindowExpr::NamedWindow(other)) => of_name(other, named, depth),
        None => &[],
    }
}

struct Windows {
    depth: usize,
    found: Vec<WindowType>,
}

impl Visitor for Windows {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && self.depth == 0
        {
            self.found.extend(function.over.clone());
        }
        ControlFlow::Continue(())
    }
}
