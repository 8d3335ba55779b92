//! Statements that write inside of another, or behind WITH: `WITH x AS (DELETE … RETURNING *) INSERT … SELECT * FROM x`.
//!
//! Each is read in a scope of its own. What it inserts is told apart as far as a sharding key asks.

use std::mem;

use sqlparser::ast::{
    ConflictTarget, Expr, FromTable, Insert, OnConflict, OnConflictAction, OnInsert, Query, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableObject, TableWithJoins, UpdateTableFromKind,
};

use super::facts::{Column, RelationIndex, Slot};
use super::outputs::{Output, Outputs};
use super::read::{assignments, column_name, fold, table_name};
use super::scope::Reader;

/// A table that is written by a part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The table among the relations.
    pub relation: RelationIndex,
    /// The columns that are set, those of DO UPDATE included.
    pub sets: Vec<String>,
    /// What is inserted, if it is an INSERT.
    pub insert: Option<InsertedRows>,
}

/// The rows of an INSERT inside of another statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertedRows {
    /// The columns; empty for all columns of the table.
    pub columns: Vec<String>,
    /// The values: those of each row of VALUES, or the select list of a query.
    pub rows: Vec<Vec<InsertedValue>>,
    /// The columns of ON CONFLICT, if it stands there; empty for another target or none.
    pub conflict: Option<Vec<String>>,
}

/// A value that is inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertedValue {
    /// `DEFAULT`
    Default,
    /// A constant or parameter.
    Constant(Slot),
    /// A column of what is selected from.
    Column(Column),
    /// All columns of a relation (`*`).
    All(RelationIndex),
    /// Anything else, of one column.
    Computed,
    /// What may be several columns, or none.
    Unknown,
}

/// The columns of a derived relation, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// Those of another relation.
    All(RelationIndex),
    /// These.
    Named(Vec<String>),
}

impl Reader<'_> {
    /// Reads a statement that writes; what it returns has the columns of its own scope.
    pub(super) fn nested(&mut self, statement: &Statement, scope: usize) -> Outputs {
        self.facts.nested_write = true;
        let scope = self.new_scope(scope);
        self.facts.scopes[scope].whole = true;
        match statement {
            Statement::Update(update) => {
                let from = match &update.from {
                    Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
                    None => &[],
                };
                let relation = self.facts.relations.len();
                self.modify(&[&update.table], from, update.selection.as_ref(), scope);
                let outer = mem::take(&mut self.facts.assignments);
                assignments(self, &update.assignments, relation, scope);
                let sets = mem::replace(&mut self.facts.assignments, outer);
                let sets = sets.into_iter().map(|(name, _)| name).collect();
                self.facts.writes.push(Write { relation, sets, insert: None });
                self.returned(update.returning.as_deref(), scope)
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
                let targets: Vec<&TableWithJoins> = tables.iter().collect();
                let relation = self.facts.relations.len();
                self.modify(&targets, delete.using.as_deref().unwrap_or(&[]), delete.selection.as_ref(), scope);
                self.misread |= targets.len() != 1;
                self.facts.writes.push(Write { relation, sets: Vec::new(), insert: None });
                self.returned(delete.returning.as_deref(), scope)
            }
            Statement::Insert(insert) => self.insert(insert, scope),
            // MERGE among them: read by itself only.
            _ => {
                self.misread = true;
                Outputs::default()
            }
        }
    }

    fn insert(&mut self, insert: &Insert, scope: usize) -> Outputs {
        let TableObject::TableName(name) = &insert.table else {
            self.misread = true;
            return Outputs::default();
        };
        let (Some(table), Some(columns)) =
            (table_name(name), insert.columns.iter().map(column_name).collect::<Option<Vec<String>>>())
        else {
            self.misread = true;
            return Outputs::default();
        };
        // What is inserted cannot see the table.
        let rows = match &insert.source {
            Some(query) => self.inserted(query, scope),
            None => vec![vec![InsertedValue::Default]],
        };
        let alias = insert.table_alias.as_ref().map_or_else(|| table.name.clone(), |alias| fold(&alias.alias));
        let relation = self.add(Some(table), alias, scope, false);
        self.facts.relations[relation].target = true;
        let mut sets = Vec::new();
        let conflict = match &insert.on {
            Some(OnInsert::OnConflict(conflict)) => Some(self.conflict(conflict, relation, &mut sets, scope)),
            Some(_) => {
                self.misread = true;
                None
            }
            None => None,
        };
        self.misread |= !insert.assignments.is_empty() || insert.output.is_some() || insert.overwrite;
        self.facts.writes.push(Write { relation, sets, insert: Some(InsertedRows { columns, rows, conflict }) });
        self.returned(insert.returning.as_deref(), scope)
    }

    fn conflict(
        &mut self,
        conflict: &OnConflict,
        relation: RelationIndex,
        sets: &mut Vec<String>,
        scope: usize,
    ) -> Vec<String> {
        if let OnConflictAction::DoUpdate(update) = &conflict.action {
            let outer = mem::take(&mut self.facts.assignments);
            assignments(self, &update.assignments, relation, scope);
            sets.extend(mem::replace(&mut self.facts.assignments, outer).into_iter().map(|(name, _)| name));
            update.selection.iter().for_each(|selection| self.expression(selection, scope));
        }
        match &conflict.conflict_target {
            Some(ConflictTarget::Columns(columns)) => columns.iter().map(fold).collect(),
            Some(ConflictTarget::OnConstraint(_)) | None => Vec::new(),
        }
    }

    /// Reads the source of an INSERT.
    fn inserted(&mut self, query: &Query, scope: usize) -> Vec<Vec<InsertedValue>> {
        let inner = self.parents.len();
        self.subquery(query, scope);
        match query.body.as_ref() {
            SetExpr::Values(values) => {
                values.rows.iter().map(|row| row.iter().map(|cell| self.value_of(cell, inner)).collect()).collect()
            }
            SetExpr::Select(select) => vec![select.projection.iter().map(|item| self.item_of(item, inner)).collect()],
            _ => vec![vec![InsertedValue::Unknown]],
        }
    }

    fn item_of(&self, item: &SelectItem, scope: usize) -> InsertedValue {
        let star = |relation: Option<RelationIndex>| relation.map_or(InsertedValue::Unknown, InsertedValue::All);
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => self.value_of(expr, scope),
            SelectItem::Wildcard(_) => star(self.alone(scope)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                star(table_name(name).and_then(|name| self.relation(&name.name, scope)))
            }
            SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => InsertedValue::Unknown,
        }
    }

    fn value_of(&self, expr: &Expr, scope: usize) -> InsertedValue {
        if is_default(expr) {
            return InsertedValue::Default;
        }
        match (self.slot(expr), self.column(expr, scope)) {
            (Some(slot), _) => InsertedValue::Constant(slot),
            (None, Some(column)) => InsertedValue::Column(column),
            (None, None) if is_star(expr) => InsertedValue::Unknown,
            (None, None) => InsertedValue::Computed,
        }
    }

    /// Returns the only relation of a scope.
    pub(super) fn alone(&self, scope: usize) -> Option<RelationIndex> {
        match self.relations_of(scope)[..] {
            [relation] => Some(relation),
            _ => None,
        }
    }

    /// Reads RETURNING: its rows are there whatever is asked of them outside.
    fn returned(&mut self, items: Option<&[SelectItem]>, scope: usize) -> Outputs {
        let items = items.unwrap_or(&[]);
        self.items(items, scope);
        if let [SelectItem::Wildcard(_)] = items {
            return Outputs { all: self.alone(scope), ..Outputs::default() };
        }
        let unknown = || Column { relation: None, scope: usize::MAX, name: String::new() };
        let mut columns = Vec::new();
        for item in items {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias))),
                SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                    return Outputs::default();
                }
            };
            let inner = self.column(expr, scope);
            let name = alias.or_else(|| inner.as_ref().map(|inner| inner.name.clone())).unwrap_or_default();
            columns.push(Output { name, inner: inner.unwrap_or_else(unknown), pushable: false, values: None });
        }
        Outputs { columns, ..Outputs::default() }
    }
}

/// Tells whether an expression is the word DEFAULT.
pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}

/// Tells whether an expression stands for the columns of a row (`(row).*`, `table.*`).
pub(super) fn is_star(expr: &Expr) -> bool {
    expr.to_string().ends_with('*')
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;

    #[test]
    fn each_write_is_read_in_a_scope_of_its_own() {
        let text = "with d as (delete from t where k = 1 returning *), u as (update v set a = 1 where k = 2 returning k) \
                    insert into w (k, x) select d.* from d";
        let facts = read(text).expect("facts");
        assert!(facts.nested_write);
        let written: Vec<&str> =
            facts.writes.iter().map(|write| facts.relations[write.relation].alias.as_str()).collect();
        assert_eq!(written, ["t", "v", "w"]);
        assert_eq!(facts.writes[1].sets, ["a"]);
        assert_eq!(facts.bindings.len(), 2);
        assert!(facts.bindings.iter().all(|binding| binding.reach.len() == 1));
        let insert = facts.writes[2].insert.as_ref().expect("an INSERT");
        let [[InsertedValue::All(star)]] = &insert.rows.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] else {
            panic!("{insert:?}")
        };
        assert!(facts.passed.contains(&(*star, Passed::All(facts.writes[0].relation))));
    }

    #[test]
    fn what_is_inserted_is_told_apart() {
        let text = "with i as (insert into t (a, b, c, d) values (1, default, f(), x) on conflict (a) do update set b = 1 \
                    returning a) select * from i";
        let insert = read(text).expect("facts").writes[0].clone();
        assert_eq!(insert.sets, ["b"]);
        let rows = insert.insert.expect("an INSERT");
        assert_eq!(rows.conflict, Some(vec!["a".to_owned()]));
        assert!(matches!(
            &rows.rows[0][..],
            [InsertedValue::Constant(_), InsertedValue::Default, InsertedValue::Computed, InsertedValue::Column(_)]
        ));
    }

    #[test]
    fn merge_inside_of_with_is_not_read() {
        assert!(read("with s as (select 1 as a) merge into t using s on t.a = s.a when matched then delete").is_err());
    }
}
