//! What a subquery gives out: columns by which conditions from outside reach what is inside, and `*`.

use std::collections::BTreeSet;

use sqlparser::ast::{Expr, Select, SelectItem, SelectItemQualifiedWildcardKind};

use super::facts::{Column, RelationIndex, Slot};
use super::read::{fold, table_name};
use super::scope::Reader;

/// The columns that a subquery gives out, as far as conditions may pass through.
#[derive(Clone, Default)]
pub(super) struct Outputs {
    /// In their order; none where that is not known.
    pub(super) columns: Vec<Output>,
    /// Those that have a name of their own beside `*`, whose places are not known.
    pub(super) beside: Vec<Output>,
    /// What `*` gives out: a column without its name each.
    pub(super) stars: Vec<Column>,
    /// Whether conditions from outside are kept outside, those on columns behind `*` among them.
    pub(super) barred: bool,
    /// The relation all of whose columns are given out, and nothing else.
    pub(super) all: Option<RelationIndex>,
    /// The subquery's scope, if its rows are read in one place only.
    pub(super) scope: Option<usize>,
}

/// One column: the inner column, and whether conditions from outside may be moved inside.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) inner: Column,
    pub(super) pushable: bool,
    /// All values that it has, if they are constants.
    pub(super) values: Option<Vec<Slot>>,
}

impl Output {
    /// Makes a column that is none of a relation inside.
    pub(super) fn of_values(name: String, values: Option<Vec<Slot>>) -> Self {
        let inner = Column { relation: None, scope: usize::MAX, name: String::new() };
        Self { name, inner, pushable: false, values }
    }
}

impl Outputs {
    /// Keeps conditions outside.
    pub(super) fn bar(&mut self) {
        self.columns.iter_mut().chain(&mut self.beside).for_each(|column| column.pushable = false);
        self.barred = true;
    }
}

/// `*` in the select list of a subquery.
pub(super) struct Star {
    /// The subquery, as FROM has it.
    pub(super) derived: RelationIndex,
    /// What is given out: a column without its name.
    pub(super) inner: Column,
    /// Whether conditions from outside are kept outside.
    pub(super) barred: bool,
}

impl Reader<'_> {
    /// Returns the plain columns of a select list.
    pub(super) fn outputs(&self, select: &Select, scope: usize) -> Outputs {
        let (mut outputs, mut placed) = (Outputs::default(), true);
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => outputs.columns.push(self.output(expr, None, scope)),
                SelectItem::ExprWithAlias { expr, alias } => {
                    outputs.columns.push(self.output(expr, Some(fold(alias)), scope));
                }
                SelectItem::Wildcard(_) => {
                    outputs.stars.push(Column { relation: None, scope, name: String::new() });
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let relation = table_name(name).and_then(|name| self.relation(&name.name, scope));
                    let star = Column { relation, scope, name: String::new() };
                    outputs.stars.extend(relation.is_some().then_some(star));
                    placed = false;
                }
                SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => placed = false,
            }
        }
        if !placed || !outputs.stars.is_empty() {
            outputs.beside = std::mem::take(&mut outputs.columns);
            let all = matches!(select.projection[..], [SelectItem::Wildcard(_)]);
            outputs.all = self.alone(scope).filter(|_| all);
        }
        outputs
    }

    /// Connects the columns that `*` of subqueries gives out, as far as anything else names them. One that it has not would be no
    /// column outside either; one that stands beside it, too, PostgreSQL takes for ambiguous.
    pub(super) fn connect_stars(&mut self) {
        let stars = std::mem::take(&mut self.stars);
        if stars.is_empty() {
            return;
        }
        let names = self.named_columns();
        for (star, name) in stars.iter().flat_map(|star| names.iter().map(move |name| (star, name))) {
            let inner = Column { name: name.clone(), ..star.inner.clone() };
            let is = |key: &Column| key.name == inner.name && (key.relation == inner.relation || self.is_alone(key));
            let together = &self.facts.scopes[inner.scope].together;
            let pushable = !star.barred && together.iter().all(|keys| keys.iter().any(is));
            let scope = self.facts.relations[star.derived].scope;
            let outer = Column { relation: Some(star.derived), scope, name: name.clone() };
            let output = Output { name: name.clone(), inner, pushable, values: None };
            self.connect(outer, &output, vec![star.derived], true);
        }
    }

    /// Returns the names of all columns that say something of which rows matter, each once.
    fn named_columns(&self) -> BTreeSet<String> {
        let facts = &self.facts;
        let bound = facts.bindings.iter().map(|binding| &binding.column);
        let compared = facts.bounds.iter().map(|bound| &bound.column);
        let equal = facts.edges.iter().flat_map(|edge| [&edge.source, &edge.target]);
        let together = facts.scopes.iter().flat_map(|scope| scope.together.iter().flatten());
        let all = bound.chain(compared).chain(equal).chain(together).chain(&self.selected);
        all.map(|column| column.name.clone()).collect()
    }

    /// Tells whether the column's scope has no relation but the column's.
    fn is_alone(&self, column: &Column) -> bool {
        self.alone(column.scope).is_some_and(|alone| column.relation.is_none_or(|relation| relation == alone))
    }

    fn output(&self, expr: &Expr, alias: Option<String>, scope: usize) -> Output {
        let Some(inner) = self.column(expr, scope) else {
            return Output::of_values(alias.unwrap_or_default(), self.constants_of(expr));
        };
        let name = alias.unwrap_or_else(|| inner.name.clone());
        let pushable = self.facts.scopes[scope].together.iter().all(|keys| keys.contains(&inner));
        Output { name, inner, pushable, values: None }
    }
}

pub(super) fn rename(outputs: &mut Outputs, names: impl Iterator<Item = String>) {
    outputs.all = None;
    outputs.beside.clear();
    outputs.stars.clear();
    for (column, name) in outputs.columns.iter_mut().zip(names) {
        column.name = name;
    }
}
