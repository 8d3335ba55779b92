//! The walk over query blocks: relations, joins, subqueries and what each condition restricts.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, LimitClause, OrderBy,
    OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableWithJoins, Visit, Visitor,
};

use super::facts::{Binding, Column, Facts, Relation, RelationIndex, Scope, StatementKind};
use super::filter::Filters;
use super::listed::{Casted, Listed};
use super::mask::{Literal, literals};
use super::name::TableName;
use super::outputs::{Outputs, Star, rename};
use super::place::Places;
use super::read::{count_factors, fold, function_name, table_name};
use super::scan::{Scanner, TokenKind};
use super::together::computes_over_rows;

/// A name that FROM may use for a query: a CTE.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) outputs: Outputs,
}

/// Collects [`Facts`].
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) facts: Facts,
    pub(super) literals: Vec<Literal>,
    pub(super) places: Places,
    /// The numbers of parameters that stand in the text more than once.
    pub(super) shared: HashSet<usize>,
    /// Parent of each scope.
    pub(super) parents: Vec<Option<usize>>,
    pub(super) named: Vec<Named>,
    pub(super) factors: usize,
    /// Conditions on single relations, where they are asked for.
    pub(super) filters: Option<Filters>,
    /// The parser crate read something else than PostgreSQL would: a reserved word as a table (`UPDATE ONLY t`), `TABLE t`.
    pub(super) misread: bool,
    /// Relations that what is being read cannot see, though they stand in a scope around it.
    pub(super) unseen: Vec<RelationIndex>,
    /// What `*` of subqueries gives out.
    pub(super) stars: Vec<Star>,
    /// The columns that the top query selects.
    pub(super) selected: Vec<Column>,
    /// The columns of lists.
    pub(super) listed: Vec<Listed>,
    /// Relations in parenthesized joins that have an alias: nothing outside names them.
    pub(super) behind_alias: Vec<RelationIndex>,
    /// Columns that equal others in another type.
    pub(super) casted: Vec<Casted>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let facts = Facts {
            kind: StatementKind::Select,
            by_position: false,
            relations: Vec::new(),
            scopes: vec![Scope::default()],
            bindings: Vec::new(),
            bounds: Vec::new(),
            edges: Vec::new(),
            unsure: Vec::new(),
            functions: Vec::new(),
            locks: false,
            block: None,
            assignments: Vec::new(),
            delta: None,
            returning: false,
            nested_write: false,
            writes: Vec::new(),
            passed: Vec::new(),
        };
        Self {
            text,
            facts,
            literals: literals(text),
            places: Places::of(text),
            shared: shared(text),
            parents: vec![None],
            named: Vec::new(),
            factors: 0,
            filters: None,
            misread: false,
            unseen: Vec::new(),
            stars: Vec::new(),
            selected: Vec::new(),
            listed: Vec::new(),
            behind_alias: Vec::new(),
            casted: Vec::new(),
        }
    }

    /// Tells whether the walk saw every relation that the tree has.
    pub(super) fn is_complete(&self, statement: &Statement) -> bool {
        !self.misread && self.factors == count_factors(statement)
    }

    pub(super) fn top_query(&mut self, query: &Query) {
        let outputs = self.query_in(query, 0);
        self.selected = outputs.columns.into_iter().chain(outputs.beside).map(|output| output.inner).collect();
    }

    /// UPDATE and DELETE: targets first, then the other relations, then the condition.
    pub(super) fn modify(
        &mut self,
        targets: &[&TableWithJoins],
        others: &[TableWithJoins],
        filter: Option<&Expr>,
        scope: usize,
    ) {
        for table in targets {
            for relation in self.from(table, scope) {
                self.facts.relations[relation].target = true;
            }
        }
        for table in others {
            self.from(table, scope);
        }
        self.filter(filter, scope);
    }

    /// Takes every relation of a statement that is not read closely.
    pub(super) fn loose(&mut self, statement: &Statement) {
        struct Tables<'r, 'a>(&'r mut Reader<'a>);
        impl Visitor for Tables<'_, '_> {
            type Break = ();
            fn pre_visit_relation(&mut self, name: &sqlparser::ast::ObjectName) -> ControlFlow<()> {
                if let Some(table) = table_name(name) {
                    let alias = table.name.clone();
                    self.0.add(Some(table), alias, 0, true);
                }
                ControlFlow::Continue(())
            }
        }
        let _ = statement.visit(&mut Tables(self));
    }

    pub(super) fn new_scope(&mut self, parent: usize) -> usize {
        self.parents.push(Some(parent));
        self.facts.scopes.push(Scope::default());
        self.parents.len() - 1
    }

    pub(super) fn add(
        &mut self,
        table: Option<TableName>,
        alias: String,
        scope: usize,
        renamed: bool,
    ) -> RelationIndex {
        let relation = Relation { table, alias, renamed, scope, nullable: false, target: false };
        self.facts.relations.push(relation);
        self.facts.relations.len() - 1
    }

    /// Reads a subquery that stands in `parent`.
    pub(super) fn subquery(&mut self, query: &Query, parent: usize) -> Outputs {
        let scope = self.new_scope(parent);
        let outputs = self.query_in(query, scope);
        Outputs { scope: Some(scope), ..outputs }
    }

    fn query_in(&mut self, query: &Query, scope: usize) -> Outputs {
        let visible = self.named.len();
        if let Some(with) = &query.with {
            // Each sees all of them.
            for cte in with.cte_tables.iter().filter(|_| with.recursive) {
                self.named.push(Named { name: fold(&cte.alias.name), outputs: Outputs::default() });
            }
            for cte in &with.cte_tables {
                self.cte(cte, scope, with.recursive, query);
            }
        }
        let mut outputs = self.body(&query.body, query.order_by.as_ref(), scope);
        let mut whole = query.limit_clause.is_some() || query.fetch.is_some();
        match &*query.body {
            SetExpr::Select(select) => self.windows(&query.order_by, select, scope),
            // It may belong to a SELECT in parentheses.
            _ => whole |= query.order_by.as_ref().is_some_and(computes_over_rows),
        }
        if whole || !query.locks.is_empty() {
            outputs.bar();
        }
        self.facts.scopes[scope].whole |= whole;
        self.facts.scopes[scope].ordered |= query.order_by.is_some();
        self.tail(query, scope);
        self.named.truncate(visible);
        outputs
    }

    /// ORDER BY, LIMIT, locks.
    fn tail(&mut self, query: &Query, scope: usize) {
        self.facts.locks |= !query.locks.is_empty();
        if let Some(order) = &query.order_by
            && let OrderByKind::Expressions(keys) = &order.kind
        {
            keys.iter().for_each(|key| self.expression(&key.expr, scope));
        }
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter().for_each(|limit| self.expression(limit, scope));
                offset.iter().for_each(|offset| self.expression(&offset.value, scope));
            }
            Some(LimitClause::OffsetCommaLimit { .. }) | None => {}
        }
        if let Some(quantity) = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()) {
            self.expression(quantity, scope);
        }
    }

    fn cte(&mut self, cte: &Cte, scope: usize, recursive: bool, user: &Query) {
        let name = fold(&cte.alias.name);
        if recursive {
            self.named.push(Named { name: name.clone(), outputs: Outputs::default() });
        }
        let mut outputs = self.subquery(&cte.query, scope);
        if recursive {
            self.named.pop();
        }
        if !cte.alias.columns.is_empty() {
            rename(&mut outputs, cte.alias.columns.iter().map(|column| fold(&column.name)));
        }
        if references(user, &name) != 1 || recursive {
            outputs.bar();
            outputs.scope = None;
        }
        self.named.push(Named { name, outputs });
    }

    fn body(&mut self, body: &SetExpr, order: Option<&OrderBy>, scope: usize) -> Outputs {
        match body {
            SetExpr::Select(select) => self.select(select, order, scope),
            SetExpr::Query(query) => self.query_in(query, scope),
            SetExpr::SetOperation { left, right, .. } => {
                self.facts.scopes[scope].whole = true;
                for arm in [left, right] {
                    let arm_scope = self.new_scope(scope);
                    self.body(arm, None, arm_scope);
                }
                Outputs::default()
            }
            SetExpr::Values(values) => {
                for row in &values.rows {
                    row.iter().for_each(|cell| self.expression(cell, scope));
                }
                self.values_outputs(values)
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.nested(statement, scope),
            // The parser crate drops quotes of the name and what stands behind it (`FOR UPDATE`, LIMIT).
            SetExpr::Table(_) => {
                self.misread = true;
                Outputs::default()
            }
        }
    }

    fn select(&mut self, select: &Select, order: Option<&OrderBy>, scope: usize) -> Outputs {
        for table in &select.from {
            self.from(table, scope);
        }
        self.filter(select.selection.as_ref(), scope);
        self.items(&select.projection, scope);
        if let Some(Distinct::On(keys)) = &select.distinct {
            keys.iter().for_each(|key| self.expression(key, scope));
        }
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            keys.iter().for_each(|key| self.expression(key, scope));
        }
        select.having.iter().for_each(|having| self.expression(having, scope));
        self.windows(&select.projection, select, scope);
        self.held_together(select, order, scope);
        self.outputs(select, scope)
    }

    /// Walks expressions of a select list.
    pub(super) fn items(&mut self, items: &[SelectItem], scope: usize) {
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr)
                | SelectItem::ExprWithAlias { expr, .. }
                | SelectItem::ExprWithAliases { expr, .. } => self.expression(expr, scope),
                SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {}
            }
        }
    }

    /// `column IN (subquery)`: the column equals the subquery's first one.
    pub(super) fn in_subquery(&mut self, column: Option<Column>, query: &Query, scope: usize, reach: &[RelationIndex]) {
        let outputs = self.subquery(query, scope);
        if let (Some(column), [output]) = (column, outputs.columns.as_slice()) {
            self.connect(column.clone(), output, reach.to_vec(), false);
            let slots = output.values.clone();
            self.facts.bindings.extend(slots.map(|slots| Binding { column, slots, reach: reach.to_vec() }));
        }
    }

    pub(super) fn relations_of(&self, scope: usize) -> Vec<RelationIndex> {
        (0..self.facts.relations.len()).filter(|index| self.facts.relations[*index].scope == scope).collect()
    }

    fn filter(&mut self, filter: Option<&Expr>, scope: usize) {
        if let Some(filter) = filter {
            let reach = self.relations_of(scope);
            self.collect(filter, scope, &reach);
            self.condition(filter, scope, &reach);
        }
    }

    /// Finds the relation that a qualifier names, from the inside out.
    pub(super) fn relation(&self, alias: &str, scope: usize) -> Option<RelationIndex> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            let named = |index: &usize| {
                let relation = &self.facts.relations[*index];
                relation.scope == scope && relation.alias == alias && !self.unseen.contains(index)
            };
            if let Some(found) = (0..self.facts.relations.len()).find(named) {
                return Some(found);
            }
            at = self.parents[scope];
        }
        None
    }

    /// Walks an expression that restricts nothing: its subqueries and functions.
    pub(super) fn expression(&mut self, expr: &Expr, scope: usize) {
        let mut walk = Walk { reader: self, scope, depth: 0 };
        let _ = expr.visit(&mut walk);
    }
}

/// Finds the subqueries and functions of an expression.
pub(super) struct Walk<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) scope: usize,
    pub(super) depth: usize,
}

impl Visitor for Walk<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.reader.subquery(query, self.scope);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && !is_own_setting(function)
        {
            self.reader.facts.functions.extend(function_name(&function.name));
        }
        ControlFlow::Continue(())
    }
}

/// Tells whether it reads a setting of the client's own making, which has one value on all shards: `current_setting('app.tenant')`.
fn is_own_setting(function: &Function) -> bool {
    let FunctionArguments::List(arguments) = &function.args else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name)))) = arguments.args.first() else {
        return false;
    };
    function_name(&function.name).is_some_and(|function| function == "current_setting")
        && name.value.clone().into_string().is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name.contains('.') && !name.starts_with("shardloom.")
        })
}

/// Counts the uses of a CTE's name in its query; each use would need conditions of its own.
fn references(query: &Query, name: &str) -> usize {
    struct Uses<'n>(&'n str, usize);
    impl Visitor for Uses<'_> {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &sqlparser::ast::ObjectName) -> ControlFlow<()> {
            self.1 += usize::from(table_name(relation).is_some_and(|table| table.name == self.0));
            ControlFlow::Continue(())
        }
    }
    let mut uses = Uses(name, 0);
    let _ = query.visit(&mut uses);
    uses.1
}

/// Returns the numbers of the parameters that a text has more than once.
fn shared(text: &str) -> HashSet<usize> {
    let mut seen = HashSet::new();
    Scanner::new(text)
        .filter(|token| token.kind == TokenKind::Parameter)
        .filter_map(|token| token.text(text)[1..].parse().ok())
        .filter(|number| !seen.insert(*number))
        .collect()
}
