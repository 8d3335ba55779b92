//! Queries in parentheses, and what a query names: whether it means the same by itself.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, TableFactor, Visit, Visitor};

use super::name::TableName;
use super::read::{self, fold, table_name};
use super::scan::{Scanner, Token};

/// The words that begin a query.
const HEADS: [&str; 4] = ["select", "with", "values", "table"];

/// The columns that a query names, and what they may be of. Scopes are numbered; 0 is the statement itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryNames {
    /// The columns.
    pub columns: Vec<NamedColumn>,
    /// The aliases of columns, wherever they are.
    pub aliases: Vec<String>,
    /// Whether `*` stands for columns somewhere.
    pub all: bool,
    tables: Vec<(TableName, usize)>,
    /// The scope around each, and whether that sees what the inner one gives: it stands in FROM or WITH.
    parents: Vec<(usize, bool)>,
}

/// A column as it stands in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedColumn {
    /// What stands before its dot.
    pub qualifier: Option<String>,
    /// Its name.
    pub name: String,
    /// The scope in which it stands.
    pub scope: usize,
}

impl QueryNames {
    /// Returns the tables of which a column without qualifier may be in a scope.
    pub fn tables_seen(&self, scope: usize) -> impl Iterator<Item = &TableName> {
        self.tables.iter().filter(move |(_, at)| self.sees(scope, *at)).map(|(table, _)| table)
    }

    /// Tells whether `scope`, or one around it, sees what is in `other`: it is that scope, or gives it its columns.
    fn sees(&self, scope: usize, other: usize) -> bool {
        let around = |from: usize| {
            std::iter::successors(Some(from), |at| self.parents.get(*at).map(|parent| parent.0).filter(|_| *at > 0))
        };
        let mut at = other;
        loop {
            if around(scope).any(|seen| seen == at) {
                return true;
            }
            match self.parents.get(at) {
                Some((parent, true)) if at > 0 => at = *parent,
                _ => return false,
            }
        }
    }
}

/// Returns the outermost queries in parentheses within a part of a text, parentheses included.
pub fn subqueries(text: &str, within: Range<usize>) -> Vec<Range<usize>> {
    let tokens: Vec<Token> = Scanner::new(&text[within.clone()]).collect();
    let part = &text[within.clone()];
    let mut found = Vec::new();
    let (mut depth, mut open) = (0usize, None);
    for (at, token) in tokens.iter().enumerate() {
        if token.is_mark(part, "(") {
            let heads = |next: &Token| HEADS.iter().any(|head| next.is_word(part, head));
            if open.is_none() && tokens.get(at + 1).is_some_and(heads) {
                open = Some((depth, token.start));
            }
            depth += 1;
        } else if token.is_mark(part, ")") {
            depth = depth.saturating_sub(1);
            if let Some((_, start)) = open.take_if(|(outside, _)| *outside == depth) {
                found.push(within.start + start..within.start + token.end);
            }
        }
    }
    found
}

/// Returns the names in a query or another statement; `None` if it cannot be read, or where a column stands behind a schema's name.
pub fn query_names(text: &str) -> Option<QueryNames> {
    let statement = read::statement(text).ok()?;
    let found = QueryNames { parents: vec![(0, false)], ..QueryNames::default() };
    let mut names = Names { found, scopes: vec![0], giving: HashSet::new(), unclear: false };
    let _ = statement.visit(&mut names);
    (!names.unclear).then_some(names.found)
}

struct Names {
    found: QueryNames,
    /// The scopes around what is visited.
    scopes: Vec<usize>,
    /// Where the queries of FROM and WITH are, which are still to come.
    giving: HashSet<*const Query>,
    unclear: bool,
}

impl Names {
    fn scope(&self) -> usize {
        self.scopes.last().copied().unwrap_or(0)
    }

    fn column(&mut self, qualifier: Option<String>, name: String) {
        let scope = self.scope();
        self.found.columns.push(NamedColumn { qualifier, name, scope });
    }

    fn outputs(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                let alias = |item: &SelectItem| match item {
                    SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                    _ => None,
                };
                self.found.aliases.extend(select.projection.iter().filter_map(alias));
                let stands_for_all =
                    |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
                self.found.all |= select.projection.iter().any(stands_for_all);
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.outputs(left);
                self.outputs(right);
            }
            _ => {}
        }
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let gives = self.giving.remove(&std::ptr::from_ref(query));
        self.found.parents.push((self.scope(), gives));
        self.scopes.push(self.found.parents.len() - 1);
        self.outputs(&query.body);
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.giving.extend(ctes.map(|cte| std::ptr::from_ref(&*cte.query)));
        let named = query.with.iter().flat_map(|with| &with.cte_tables).flat_map(|cte| &cte.alias.columns);
        self.found.aliases.extend(named.map(|column| fold(&column.name)));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, .. } => {
                let scope = self.scope();
                self.found.tables.extend(table_name(name).map(|table| (table, scope)));
            }
            TableFactor::Derived { subquery, .. } => {
                self.giving.insert(std::ptr::from_ref(&**subquery));
            }
            _ => {}
        }
        let alias = match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias.as_ref(),
            TableFactor::UNNEST { alias, .. } => alias.as_ref(),
            _ => None,
        };
        let columns = alias.into_iter().flat_map(|alias| &alias.columns);
        self.found.aliases.extend(columns.map(|column| fold(&column.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.column(None, fold(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [qualifier, name] => self.column(Some(fold(qualifier)), fold(name)),
                _ => self.unclear = true,
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_queries_are_found_by_their_parentheses() {
        let text =
            "delete from t where a in (select b from u where c = (select 1)) and ((values (2)) = d) and f(g, (h))";
        let found: Vec<&str> = subqueries(text, 0..text.len()).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, ["(select b from u where c = (select 1))", "(values (2))"]);
        let inner = text.find("(select b").expect("there") + 1;
        let found: Vec<&str> = subqueries(text, inner..text.len()).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, ["(select 1)", "(values (2))"]);
    }

    #[test]
    fn columns_keep_their_qualifiers_and_aliases_are_told_apart() {
        let names = query_names("select a as x, t.\"B\" from (select c from u) as v (w) order by x").expect("read");
        let columns: Vec<String> = names
            .columns
            .iter()
            .map(|column| format!("{}.{}", column.qualifier.as_deref().unwrap_or_default(), column.name))
            .collect();
        assert_eq!(columns, [".a", "t.B", ".c", ".x"]);
        assert_eq!(names.aliases, ["x", "w"]);
        assert_eq!(query_names("select s.t.a from s.t"), None);
    }

    #[test]
    fn a_column_may_be_of_the_tables_around_it_and_of_those_that_give_theirs() {
        let text = "with w as (select a from cte) select b from t, (select c from derived) v \
                    where d in (select e from inner_one where f = 1)";
        let names = query_names(text).expect("read");
        let seen = |name: &str| {
            let column = names.columns.iter().find(|column| column.name == name).expect("named");
            names.tables_seen(column.scope).map(|table| table.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(seen("b"), ["cte", "t", "derived"]);
        assert_eq!(seen("a"), ["cte", "t", "derived"]);
        assert_eq!(seen("f"), ["cte", "t", "derived", "inner_one"]);
        assert_eq!(query_names("select ("), None);
    }
}
