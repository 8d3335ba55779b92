//! FROM lists: relations, joins and what a join's condition restricts.

use sqlparser::ast::{Join, JoinConstraint, JoinOperator, TableFactor, TableWithJoins, Visit};

use super::facts::{Column, Edge, RelationIndex};
use super::nested::Passed;
use super::outputs::{Output, Outputs, Star, rename};
use super::read::{fold, function_name, table_name};
use super::reserved::is_reserved;
use super::scope::{Reader, Walk};

impl Reader<'_> {
    /// Reads one FROM item with its joins; returns its relations.
    pub(super) fn from(&mut self, table: &TableWithJoins, scope: usize) -> Vec<RelationIndex> {
        let mut relations = self.factor(&table.relation, scope);
        for join in &table.joins {
            let right = self.factor(&join.relation, scope);
            self.join(join, &mut relations, right, scope);
        }
        relations
    }

    fn join(&mut self, join: &Join, left: &mut Vec<RelationIndex>, right: Vec<RelationIndex>, scope: usize) {
        use JoinOperator as Op;
        let before = left.clone();
        let both: Vec<RelationIndex> = before.iter().chain(&right).copied().collect();
        let (constraint, reach, nullable) = match &join.join_operator {
            Op::Join(on) | Op::Inner(on) | Op::CrossJoin(on) => (Some(on), both.clone(), Vec::new()),
            Op::Left(on) | Op::LeftOuter(on) => (Some(on), right.clone(), right.clone()),
            Op::Right(on) | Op::RightOuter(on) => (Some(on), before.clone(), before.clone()),
            Op::FullOuter(on) => (Some(on), Vec::new(), both.clone()),
            // No PostgreSQL: nothing is known of it, and nothing restricts.
            _ => (None, Vec::new(), both.clone()),
        };
        // ON sees what it joins, and nothing else that stands beside.
        let unseen = self.unseen.len();
        let beside = self.relations_of(scope).into_iter().filter(|relation| !both.contains(relation));
        self.unseen.extend(beside);
        if let Some(JoinConstraint::On(expr)) = constraint {
            self.collect(expr, scope, &reach);
        }
        for relation in nullable {
            self.facts.relations[relation].nullable = true;
        }
        match constraint {
            Some(JoinConstraint::On(expr)) => self.condition(expr, scope, &reach),
            Some(JoinConstraint::Using(names)) => {
                for name in names.iter().filter_map(table_name) {
                    self.using(&name.name, &before, &right, &reach, scope);
                }
            }
            Some(JoinConstraint::Natural | JoinConstraint::None) | None => {}
        }
        self.unseen.truncate(unseen);
        left.extend(right);
    }

    /// `USING (name)`: known where each side has one relation that can have the column.
    fn using(
        &mut self,
        name: &str,
        left: &[RelationIndex],
        right: &[RelationIndex],
        reach: &[RelationIndex],
        scope: usize,
    ) {
        let ([left], [right]) = (left, right) else { return };
        let column = |relation: &usize| Column { relation: Some(*relation), scope, name: name.to_owned() };
        self.equal(column(left), column(right), reach);
    }

    pub(super) fn factor(&mut self, factor: &TableFactor, scope: usize) -> Vec<RelationIndex> {
        if !matches!(factor, TableFactor::NestedJoin { .. }) {
            self.factors += 1;
        }
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                let words = last.into_iter().chain(alias.as_ref().map(|alias| &alias.name));
                self.misread |= words.into_iter().any(is_reserved);
                let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                let Some(table) = table_name(name) else {
                    return vec![self.add(None, String::new(), scope, true)];
                };
                let shown = alias.as_ref().map_or_else(|| table.name.clone(), |alias| fold(&alias.name));
                if let Some(args) = args {
                    self.facts.functions.extend(function_name(name));
                    let mut walk = Walk { reader: self, scope, depth: 0 };
                    let _ = args.visit(&mut walk);
                    return vec![self.add(None, shown, scope, true)];
                }
                let named = self.named.iter().rev().find(|named| table.schema.is_none() && named.name == table.name);
                match named.map(|named| named.outputs.clone()) {
                    Some(outputs) => vec![self.derived(shown, outputs, scope, renamed)],
                    None => vec![self.add(Some(table), shown, scope, renamed)],
                }
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let unseen = self.unseen.len();
                let beside = if *lateral { Vec::new() } else { self.relations_of(scope) };
                self.unseen.extend(beside);
                let mut outputs = self.subquery(subquery, scope);
                self.unseen.truncate(unseen);
                let shown = alias.as_ref().map(|alias| fold(&alias.name)).unwrap_or_default();
                if let Some(alias) = alias.as_ref().filter(|alias| !alias.columns.is_empty()) {
                    rename(&mut outputs, alias.columns.iter().map(|column| fold(&column.name)));
                }
                vec![self.derived(shown, outputs, scope, false)]
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let relations = self.from(table_with_joins, scope);
                if alias.is_some() {
                    // The names inside are hidden behind the alias, so no condition outside names them.
                    relations.iter().for_each(|relation| self.facts.relations[*relation].renamed = true);
                    self.behind_alias.extend(&relations);
                }
                relations
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.facts.functions.extend(function_name(name));
                let mut walk = Walk { reader: self, scope, depth: 0 };
                let _ = args.visit(&mut walk);
                let shown = alias.as_ref().map(|alias| fold(&alias.name)).unwrap_or_default();
                vec![self.add(None, shown, scope, true)]
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                array_exprs.iter().for_each(|array| self.expression(array, scope));
                let shown = alias.as_ref().map_or_else(|| "unnest".to_owned(), |alias| fold(&alias.name));
                let relation = self.add(None, shown, scope, true);
                self.unnested(array_exprs, alias.as_ref(), relation, scope);
                vec![relation]
            }
            other => {
                let mut walk = Walk { reader: self, scope, depth: 0 };
                let _ = other.visit(&mut walk);
                vec![self.add(None, String::new(), scope, true)]
            }
        }
    }

    /// Adds a derived relation whose columns equal the inner ones.
    fn derived(&mut self, alias: String, outputs: Outputs, scope: usize, renamed: bool) -> RelationIndex {
        let index = self.add(None, alias, scope, renamed);
        if let Some(inner) = outputs.scope {
            self.facts.scopes[inner].read_as = Some(index);
        }
        if renamed {
            return index;
        }
        if self.facts.nested_write {
            let names = || outputs.columns.iter().map(|output| output.name.clone()).collect::<Vec<String>>();
            let named = (!outputs.columns.is_empty()).then(|| Passed::Named(names()));
            self.facts.passed.extend(outputs.all.map(Passed::All).or(named).map(|passed| (index, passed)));
        }
        let barred = outputs.barred;
        self.stars.extend(outputs.stars.into_iter().map(|inner| Star { derived: index, inner, barred }));
        for output in outputs.columns.into_iter().chain(outputs.beside) {
            let outer = Column { relation: Some(index), scope, name: output.name.clone() };
            self.connect(outer, &output, vec![index], true);
            if let Some(slots) = output.values {
                self.list(index, scope, output.name, slots);
            }
        }
        index
    }

    /// Connects a column of a subquery with what it equals outside.
    pub(super) fn connect(&mut self, outer: Column, output: &Output, reach: Vec<RelationIndex>, handed: bool) {
        let inner = &output.inner;
        if inner.scope == usize::MAX {
            return;
        }
        if output.pushable {
            let inside = self.relations_of(inner.scope);
            self.facts.edges.push(Edge { source: outer.clone(), target: inner.clone(), reach: inside, handed: false });
        }
        self.facts.edges.push(Edge { source: inner.clone(), target: outer, reach, handed });
    }
}
