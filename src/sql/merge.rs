//! `MERGE INTO table USING source ON condition WHEN …`: what it joins, and what its clauses insert.
//!
//! Rows of the source without a partner matter where a clause inserts: then the condition restricts the target only.

use std::ops::Range;

use sqlparser::ast::{
    Expr, Merge, MergeAction, MergeClauseKind, MergeInsertExpr, MergeInsertKind, MergeUpdateKind, OutputClause, Query,
    SelectItem, SetExpr, Statement, TableAlias, TableFactor,
};

use super::facts::{Binding, Column, Edge, Facts, RelationIndex, Slot, StatementKind};
use super::nested::{is_default, is_star};
use super::read::{Unreadable, column_name, fold, statement};
use super::scan::{Scanner, Token};
use super::scope::Reader;

/// A MERGE that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeFacts {
    /// What it touches and what restricts it.
    pub facts: Facts,
    /// The same, if rows of the source without a partner did not matter.
    pub joined: Facts,
    /// The source among the relations.
    pub source: RelationIndex,
    /// The columns of a source that is a list of constants.
    pub constants: Vec<ConstantColumn>,
    /// Columns that ON equates with such a column, by its index.
    pub equated: Vec<(Column, usize)>,
    /// The rows that it may insert.
    pub inserts: Vec<MergeInsert>,
    /// Whether it acts on rows of the target that the source has not (`NOT MATCHED BY SOURCE`).
    pub by_source: bool,
}

/// A column whose values all stand in the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstantColumn {
    /// Its name.
    pub name: String,
    /// Its value in each row.
    pub slots: Vec<Slot>,
}

/// `INSERT [(columns)] VALUES (cells)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeInsert {
    /// The columns; empty for all columns of the table.
    pub columns: Vec<String>,
    /// A value for each.
    pub cells: Vec<MergeCell>,
}

/// A value that is inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeCell {
    /// `DEFAULT`
    Default,
    /// A constant or parameter.
    Constant(Slot),
    /// A column of the source.
    Column(String),
    /// Anything else.
    Computed,
}

/// Reads a MERGE.
///
/// # Errors
/// [`Unreadable`] where not all relations and conditions could be told for sure.
pub fn merge(text: &str) -> Result<MergeFacts, Unreadable> {
    let parsed = statement(text)?;
    let Statement::Merge(merge) = &parsed else { return Err(Unreadable::Statement) };
    let read = Read::new(text, merge, false).filter(|read| read.reader.is_complete(&parsed));
    let joined = Read::new(text, merge, true);
    let (Some(read), Some(joined)) = (read, joined) else { return Err(Unreadable::Statement) };
    Ok(MergeFacts {
        facts: read.reader.facts,
        joined: joined.reader.facts,
        source: read.source,
        constants: read.constants,
        equated: read.equated,
        inserts: read.inserts,
        by_source: acts(merge, |kind| kind == MergeClauseKind::NotMatchedBySource),
    })
}

/// Returns the bytes of a MERGE's source with its alias: what stands between its USING and its ON.
pub fn merge_source(text: &str) -> Option<Range<usize>> {
    let mut depth = 0usize;
    let (mut using, mut last): (Option<Token>, Option<Token>) = (None, None);
    for token in Scanner::new(text) {
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && using.is_none() && token.is_word(text, "using") {
            using = Some(token);
        } else if depth == 0 && token.is_word(text, "on") {
            return Some(using?.end..last?.end);
        }
        last = Some(token);
    }
    None
}

/// Tells whether a clause of this kind does anything.
fn acts(merge: &Merge, kind: impl Fn(MergeClauseKind) -> bool) -> bool {
    let nothing = |action: &MergeAction| matches!(action, MergeAction::DoNothing { .. });
    merge.clauses.iter().any(|clause| kind(clause.clause_kind) && !nothing(&clause.action))
}

struct Read<'a> {
    reader: Reader<'a>,
    source: RelationIndex,
    constants: Vec<ConstantColumn>,
    equated: Vec<(Column, usize)>,
    inserts: Vec<MergeInsert>,
}

impl<'a> Read<'a> {
    /// Reads all clauses; `None` for what is no PostgreSQL.
    fn new(text: &'a str, merge: &Merge, joined: bool) -> Option<Self> {
        let mut reader = Reader::new(text);
        reader.facts.kind = StatementKind::Merge;
        let [target] = reader.factor(&merge.table, 0)[..] else { return None };
        reader.facts.relations[target].target = true;
        let [source] = reader.factor(&merge.source, 0)[..] else { return None };
        let constants = constants(&reader, &merge.source);
        let mut read = Self { reader, source, constants, equated: Vec::new(), inserts: Vec::new() };
        let by_source = acts(merge, |kind| kind == MergeClauseKind::NotMatchedBySource);
        let unmatched = |kind| matches!(kind, MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget);
        let mut reach = Vec::new();
        reach.extend((!by_source).then_some(target));
        reach.extend((joined || !acts(merge, unmatched)).then_some(source));
        read.on(&merge.on, &reach);
        for clause in &merge.clauses {
            clause.predicate.iter().for_each(|predicate| read.reader.expression(predicate, 0));
            read.action(&clause.action)?;
        }
        match &merge.output {
            Some(OutputClause::Returning { select_items, .. }) => {
                read.reader.facts.returning = true;
                read.reader.items(select_items, 0);
            }
            Some(OutputClause::Output { .. }) => return None,
            None => {}
        }
        read.reader.connect_stars();
        Some(read)
    }

    /// Reads ON; what must equal a column of constants must be one of them.
    fn on(&mut self, on: &Expr, reach: &[RelationIndex]) {
        let before = self.reader.facts.edges.len();
        self.reader.condition(on, 0, reach);
        let edges: Vec<Edge> = self.reader.facts.edges[before..].to_vec();
        for edge in edges.into_iter().filter(|edge| edge.source.scope == 0 && edge.target.scope == 0) {
            let Some(index) = self.constant(&edge.source) else { continue };
            let slots = self.constants[index].slots.clone();
            self.reader.facts.bindings.push(Binding { column: edge.target.clone(), slots, reach: edge.reach });
            self.equated.push((edge.target, index));
        }
    }

    /// Finds the column of constants that is meant. A name that stands alone is the source's, if that has such a
    /// column: were it the target's too, PostgreSQL would not know which.
    fn constant(&self, column: &Column) -> Option<usize> {
        let here = column.relation.is_none_or(|relation| relation == self.source);
        self.constants.iter().position(|constant| here && constant.name == column.name)
    }

    fn action(&mut self, action: &MergeAction) -> Option<()> {
        match action {
            MergeAction::Update(update) => {
                let MergeUpdateKind::Set(assignments) = &update.kind else { return None };
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return None;
                }
                // The target is what is read first.
                super::read::assignments(&mut self.reader, assignments, 0, 0);
            }
            MergeAction::Insert(insert) => {
                let insert = self.insert(insert)?;
                self.inserts.push(insert);
            }
            MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => {}
        }
        Some(())
    }

    fn insert(&mut self, insert: &MergeInsertExpr) -> Option<MergeInsert> {
        let MergeInsertKind::Values(values) = &insert.kind else { return None };
        let ([row], None) = (values.rows.as_slice(), &insert.insert_predicate) else { return None };
        // The columns behind it would stand elsewhere.
        if row.iter().any(is_star) {
            return None;
        }
        row.iter().for_each(|cell| self.reader.expression(cell, 0));
        let columns: Option<Vec<String>> = insert.columns.iter().map(column_name).collect();
        let cells = row.iter().map(|cell| self.cell(cell)).collect();
        Some(MergeInsert { columns: columns?, cells })
    }

    fn cell(&self, cell: &Expr) -> MergeCell {
        if is_default(cell) {
            return MergeCell::Default;
        }
        if let Some(slot) = self.reader.slot(cell) {
            return MergeCell::Constant(slot);
        }
        // Only the source can be seen here.
        match self.reader.column(cell, 0) {
            Some(column) if column.relation.is_none_or(|relation| relation == self.source) => {
                MergeCell::Column(column.name)
            }
            Some(_) | None => MergeCell::Computed,
        }
    }
}

/// Returns the columns of a source that is nothing but constants: VALUES, or a SELECT without FROM.
fn constants(reader: &Reader<'_>, source: &TableFactor) -> Vec<ConstantColumn> {
    let TableFactor::Derived { lateral: false, subquery, alias: Some(alias), .. } = source else { return Vec::new() };
    let Some((names, rows)) = rows(subquery) else { return Vec::new() };
    let width = rows.first().map_or(0, Vec::len);
    let column = |position: usize| {
        let slots: Option<Vec<Slot>> = rows.iter().map(|row| reader.slot(row.get(position)?)).collect();
        let name = name_of(alias, &names, position)?;
        Some(ConstantColumn { name, slots: slots.filter(|slots| is_of_one_cast(slots))? })
    };
    let columns: Vec<ConstantColumn> = (0..width).filter_map(column).collect();
    // Of two columns with one name, neither can be meant.
    let alone = |name: &str| (0..width).filter(|at| name_of(alias, &names, *at).as_deref() == Some(name)).count() == 1;
    columns.into_iter().filter(|column| alone(&column.name)).collect()
}

fn name_of(alias: &TableAlias, names: &[Option<String>], position: usize) -> Option<String> {
    let renamed = alias.columns.get(position).map(|column| fold(&column.name));
    renamed.or_else(|| names.get(position)?.clone())
}

/// The names of columns, as far as they have one.
type ColumnNames = Vec<Option<String>>;

/// Returns the names and the cells of a query of constants.
fn rows(query: &Query) -> Option<(ColumnNames, Vec<Vec<&Expr>>)> {
    let plain = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    match query.body.as_ref() {
        SetExpr::Values(values) if plain => {
            let width = values.rows.first().map_or(0, |row| row.len());
            let names = (1..=width).map(|number| Some(format!("column{number}"))).collect();
            Some((names, values.rows.iter().map(|row| row.iter().collect()).collect()))
        }
        SetExpr::Select(select) if plain && select.from.is_empty() => {
            let (mut names, mut cells) = (Vec::new(), Vec::new());
            for item in &select.projection {
                let (name, cell) = match item {
                    SelectItem::UnnamedExpr(cell) => (None, cell),
                    SelectItem::ExprWithAlias { expr, alias } => (Some(fold(alias)), expr),
                    SelectItem::ExprWithAliases { .. }
                    | SelectItem::QualifiedWildcard(..)
                    | SelectItem::Wildcard(_) => return None,
                };
                names.push(name);
                cells.push(cell);
            }
            Some((names, vec![cells]))
        }
        _ => None,
    }
}

/// Tells whether all constants take one type: beside a date, the text of a timestamp would be read as a date.
fn is_of_one_cast(slots: &[Slot]) -> bool {
    slots.iter().all(|slot| slot.cast == slots[0].cast && !slot.any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> MergeFacts {
        merge(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn on_restricts_the_target_and_the_source_only_if_nothing_is_inserted() {
        let facts = read("merge into t using u s on t.k = s.k when matched then delete").facts;
        assert!(facts.edges.iter().all(|edge| edge.reach == [0, 1]));
        let text = "merge into t using u s on t.k = s.k when not matched then insert (k) values (s.k)";
        let merge = read(text);
        assert!(merge.facts.edges.iter().all(|edge| edge.reach == [0]));
        assert!(merge.joined.edges.iter().all(|edge| edge.reach == [0, 1]));
        let text = "merge into t using u s on t.k = s.k when not matched then do nothing when matched then delete";
        assert!(read(text).facts.edges.iter().all(|edge| edge.reach == [0, 1]));
        let text = "merge into t using u s on t.k = s.k when not matched by source then delete";
        assert!(read(text).by_source);
        assert!(read(text).facts.edges.iter().all(|edge| edge.reach == [1]));
    }

    #[test]
    fn constants_of_the_source_bind_what_they_are_equated_with() {
        let merge = read("merge into t using (values (1, 'a'), (2, f())) s(k, v) on k = t.id when matched then delete");
        assert_eq!(merge.constants.len(), 1);
        assert_eq!(merge.constants[0].slots.len(), 2);
        let equated = Column { relation: Some(0), scope: 0, name: "id".into() };
        assert_eq!(merge.equated, [(equated, 0)]);
        assert_eq!(merge.facts.bindings.len(), 1);
    }

    #[test]
    fn what_is_no_list_of_constants_has_none() {
        for source in [
            "(values (1), (2) limit 1) s(k)",
            "(values (date '2020-01-01'), ('2020-01-01 10:00')) s(k)",
            "(select 1 as k, 2 as k) s",
            "(select k from u) s(k)",
            "(select 1 union all select 2) s(k)",
            "u s(k)",
        ] {
            let text = format!("merge into t using {source} on t.id = s.k when matched then delete");
            assert_eq!(read(&text).constants, [], "{source}");
        }
    }

    #[test]
    fn the_cells_that_are_inserted_are_told_apart() {
        let text = "merge into t using u s on t.k = s.k \
                    when not matched then insert (a, b, c, d, e) values (default, 5, s.x, y, s.x + 1)";
        let [insert] = &read(text).inserts[..] else { panic!("one insert") };
        assert_eq!(insert.columns, ["a", "b", "c", "d", "e"]);
        assert!(matches!(
            &insert.cells[..],
            [MergeCell::Default, MergeCell::Constant(_), MergeCell::Column(x), MergeCell::Column(y), MergeCell::Computed]
                if x == "x" && y == "y"
        ));
    }

    #[test]
    fn the_source_is_found_where_it_stands() {
        let source = |text: &'static str| &text[merge_source(text).expect("a source")];
        assert_eq!(source("merge into t using u on t.a = u.a when matched then delete"), " u");
        let text =
            "MERGE INTO t USING (SELECT * FROM a JOIN b USING (x) ON true) AS s ON t.a = s.a WHEN MATCHED THEN DELETE";
        assert_eq!(source(text), " (SELECT * FROM a JOIN b USING (x) ON true) AS s");
    }

    #[test]
    fn other_dialects_are_not_read() {
        for text in [
            "merge into only t using u on t.a = u.a when matched then delete",
            "merge into t using u on t.a = u.a when matched then update set *",
            "merge into t using u on t.a = u.a when matched then update set a = 1 where b = 2",
            "merge into t using u on t.a = u.a when not matched then insert *",
            "merge into t using u on t.a = u.a when matched then delete output inserted.a",
        ] {
            assert!(merge(text).is_err(), "{text}");
        }
    }
}
