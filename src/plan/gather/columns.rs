//! Whose column a name is, as the catalog tells: where two tables could have it, nobody's.

use super::super::catalog::{self, Catalog};
use super::words::Words;
use crate::sql::{Column, Edge, Facts, Relation, RelationIndex};
use crate::types::USER_TYPES;

/// The deepest chain of equal columns that is followed.
const CHAIN_MAX: usize = 8;
/// Types whose values a list in a statement's text says exactly, and which are equal where their bytes are.
const LISTED: [u32; 5] = [20, 21, 23, 2950, 25];
const INTEGERS: [u32; 3] = [20, 21, 23];
/// A column of one relation.
pub(super) type Node = (RelationIndex, String);

/// What is needed to find columns.
pub(super) struct Columns<'a> {
    facts: &'a Facts,
    parents: &'a [Option<usize>],
    catalog: &'a Catalog,
    /// Whether joins merge columns (`USING`, `NATURAL`), so that a bare name may be of two tables.
    merged: bool,
}

impl<'a> Columns<'a> {
    pub(super) fn new(facts: &'a Facts, parents: &'a [Option<usize>], catalog: &'a Catalog, words: &Words<'_>) -> Self {
        let merged = ["using", "natural"].iter().any(|word| words.has(word));
        Self { facts, parents, catalog, merged }
    }

    /// Returns the relation that a column is of.
    pub(super) fn node(&self, column: &Column) -> Option<Node> {
        let relation = match column.relation {
            Some(relation) => Some(relation).filter(|relation| self.is_sure(*relation, column.scope)),
            None if self.merged => None,
            None => self.bare(column),
        }?;
        let known = !self.facts.relations[relation].renamed;
        known.then(|| (relation, column.name.clone()))
    }

    /// A qualifier from further out: a relation between may have the same name, or stand where it cannot be seen.
    fn is_sure(&self, relation: RelationIndex, scope: usize) -> bool {
        let found = &self.facts.relations[relation];
        let mut named = self.facts.relations.iter().filter(|other| other.alias == found.alias);
        // Behind a comma, ON sees less than its whole scope: an outer relation of that name could be meant.
        let outer = |at: usize| std::iter::successors(self.parents[at], |at| self.parents.get(*at).copied().flatten());
        match found.scope == scope {
            true => !named.any(|other| outer(scope).any(|around| around == other.scope)),
            false => named.count() == 1,
        }
    }

    /// A bare name is the innermost scope's that has it; further out only one table may.
    fn bare(&self, column: &Column) -> Option<RelationIndex> {
        let all = 0..self.facts.relations.len();
        let of = |scope: usize| all.clone().filter(move |index| self.facts.relations[*index].scope == scope);
        let has = |index: &RelationIndex| self.table(*index).is_some_and(|table| table.column(&column.name).is_some());
        let mut own = of(column.scope).filter(has);
        if let Some(found) = own.next() {
            return own.next().is_none().then_some(found);
        }
        let mut around = Vec::new();
        let mut scope = column.scope;
        loop {
            if of(scope).any(|index| self.table(index).is_none()) {
                return None;
            }
            let Some(parent) = self.parents.get(scope).copied().flatten() else { break };
            around.extend(of(parent).filter(has));
            scope = parent;
        }
        match around.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    fn table(&self, relation: RelationIndex) -> Option<&'a catalog::Table> {
        let relation: &Relation = &self.facts.relations[relation];
        let table = relation.table.as_ref().filter(|_| !relation.renamed)?;
        self.catalog.table(&table.rule_key())
    }

    /// Returns what the catalog says of a table's column.
    pub(super) fn known(&self, (relation, name): &Node) -> Option<&'a catalog::Column> {
        self.table(*relation)?.column(name)
    }

    /// Tells whether a condition on this column does on any server what PostgreSQL's own operators do.
    pub(super) fn is_plain(&self, node: &Node) -> bool {
        self.known(node).is_some_and(|column| column.type_oid < USER_TYPES)
    }

    /// Returns the columns of tables that a column must equal: rows with other values do not matter.
    pub(super) fn equals(&self, start: &Node) -> Vec<Node> {
        let Some(own) = self.known(start).filter(|column| is_listed(column)) else { return Vec::new() };
        let mut found: Vec<Node> = Vec::new();
        let mut open = vec![(start.clone(), 0)];
        let mut seen = vec![start.clone()];
        while let Some((node, depth)) = open.pop() {
            let derived = self.facts.relations[node.0].table.is_none();
            for edge in self.facts.edges.iter().filter(|edge| !derived || edge.handed) {
                let Some(source) = self.source(edge, &node).filter(|source| !seen.contains(source)) else { continue };
                let table = self.facts.relations[source.0].table.is_some();
                let same = self.known(&source).is_some_and(|other| is_same(own, other));
                if depth > CHAIN_MAX || table && !same {
                    continue;
                }
                seen.push(source.clone());
                if table {
                    found.push(source.clone());
                }
                open.push((source, depth + 1));
            }
        }
        found
    }

    fn source(&self, edge: &Edge, node: &Node) -> Option<Node> {
        let restricts = edge.reach.contains(&node.0) && self.node(&edge.target).as_ref() == Some(node);
        restricts.then(|| self.node(&edge.source)).flatten()
    }
}

/// Tells whether equality of this column's values is equality of bytes.
fn is_listed(column: &catalog::Column) -> bool {
    LISTED.contains(&column.type_oid) && column.collation_is_default
}

fn is_same(left: &catalog::Column, right: &catalog::Column) -> bool {
    let integers = |column: &catalog::Column| INTEGERS.contains(&column.type_oid);
    is_listed(right) && (left.type_oid == right.type_oid || integers(left) && integers(right))
}
