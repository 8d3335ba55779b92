//! The ids of rows that a MERGE inserts: each row of its source is given one, in a column of its own, for the case that it is
//! inserted.

use std::ops::Range;

use super::Merging;
use super::keys::InsertedKey;
use crate::plan::catalog::Catalog;
use crate::plan::colocate::Keyed;
use crate::plan::context::{Context, Values};
use crate::plan::insert::{self, IdValue, IdsWanted, MakeIds};
use crate::plan::partial_words::closing;
use crate::plan::prepare::{PrepareError, prepare};
use crate::plan::{Plan, apart, given_id, view};
use crate::rules::{IdRule, IdSource};
use crate::sql::{self, MergeCell, MergeInsert, Scanner, Slot, Token, identifier, merge_source, splice};
use crate::types::{BucketId, Refusal};

type Edits = Vec<(Range<usize>, String)>;

/// The name of the column in a source that is a SELECT; in VALUES it is what PostgreSQL calls it.
const COLUMN: &str = "shardloom_id";

/// Where the constants of a source stand.
enum Constants {
    /// Behind the last value of each row, of so many columns.
    Rows(Vec<usize>, usize),
    /// Behind SELECT.
    Select(usize),
}

impl Merging {
    /// Returns the rule of the ids that some rows are inserted without.
    pub(super) fn lacking<'a>(&self, context: &Context<'a>) -> Option<&'a IdRule> {
        let rule = context.rules.table(&self.modify.target().rule_key())?;
        let lacks = |insert: &MergeInsert, id: &IdRule| self.cell(insert, &id.column, context).is_none();
        rule.id.as_ref().filter(|id| self.merge.inserts.iter().any(|insert| lacks(insert, id)))
    }

    /// Plans it with ids for the rows of its source; where those are not constants, they are read first.
    pub(super) fn with_ids(
        &self,
        id: &IdRule,
        context: &Context<'_>,
        values: &Values<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Plan, Refusal> {
        given_id::check_width(&self.modify.target().rule_key(), id, context.catalog)?;
        let source = self.merge.facts.relations.get(self.merge.source);
        if source.is_none_or(|source| names_whole_row(values.text, &source.alias)) {
            return Err(self.no_ids(id));
        }
        let Some(constants) = constants(values.text, context.catalog) else {
            let refusal = self.no_ids(id);
            return match source {
                Some(source) => apart::merge((&self.modify, &source.alias), context, values, refusal),
                None => Err(refusal),
            };
        };
        let text = self.text_with_ids(id, &constants, (context, values), ids)?.ok_or_else(|| self.no_ids(id))?;
        let prepared = match prepare(&text, context) {
            Ok(prepared) => prepared,
            Err(PrepareError::Refused(refusal) | PrepareError::Unreadable(refusal)) => return Err(refusal),
        };
        view::Expanded::reworded(text, prepared).plan(context, values, ids)
    }

    fn text_with_ids(
        &self,
        id: &IdRule,
        constants: &Constants,
        (context, values): (&Context<'_>, &Values<'_>),
        ids: &mut MakeIds<'_>,
    ) -> Result<Option<String>, Refusal> {
        let (Some(alias), Some(clauses)) = (self.alias(), clauses(values.text)) else { return Ok(None) };
        if clauses.len() != self.merge.inserts.len() {
            return Ok(None);
        }
        let mut edits = Edits::new();
        let mut more = 0;
        for (at, (insert, clause)) in self.merge.inserts.iter().zip(&clauses).enumerate() {
            if self.cell(insert, &id.column, context).is_some() {
                continue;
            }
            let made = self.made(id, at, constants, (context, values), ids)?;
            more += 1;
            let name = constants.add(&made, more, &mut edits);
            if values.text.contains(&name) {
                return Ok(None);
            }
            if !clause.add(
                (id, self.position(insert, &id.column, context)),
                insert,
                &format!("{alias}.{name}"),
                &mut edits,
            ) {
                return Ok(None);
            }
        }
        Ok(Some(splice(values.text, &edits)))
    }

    /// Makes an id for each row of the source, as one clause would insert it.
    fn made(
        &self,
        id: &IdRule,
        clause: usize,
        constants: &Constants,
        (context, values): (&Context<'_>, &Values<'_>),
        ids: &mut MakeIds<'_>,
    ) -> Result<Vec<IdValue>, Refusal> {
        let count = constants.rows();
        let mut wanted = |bucket, count| ids(IdsWanted { source: id.source, bucket, count });
        match id.source {
            IdSource::Snowflake { layout, .. } if layout.has_bucket => {
                let buckets = self.buckets(clause, count, context, values).ok_or_else(|| self.no_ids(id))?;
                let made: Result<Vec<Vec<IdValue>>, Refusal> =
                    buckets.into_iter().map(|bucket| wanted(Some(bucket), 1)).collect();
                Ok(made?.into_iter().flatten().collect())
            }
            // Their rows' shards are not known before the statement is planned.
            IdSource::Uuid { prefixed: true } => Err(self.no_ids(id)),
            IdSource::Snowflake { .. } | IdSource::Segment(_) | IdSource::Uuid { prefixed: false } => {
                wanted(None, count)
            }
        }
    }

    /// Returns the bucket that each row of the source has if a clause inserts it.
    fn buckets(
        &self,
        clause: usize,
        count: usize,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Option<Vec<BucketId>> {
        let target: &Keyed = self.target()?;
        let of = |slot: &Slot| context.rules.bucket_of(target.group, &self.value(slot, target, context, values)?);
        let slots = match self.keys.get(clause)? {
            InsertedKey::Rows(index) => self.merge.constants.get(*index)?.slots.clone(),
            InsertedKey::Constant(slot) => vec![slot.clone(); count],
            InsertedKey::Handed(_) | InsertedKey::Unknown => return None,
        };
        slots.iter().map(of).collect::<Option<Vec<_>>>().filter(|buckets| buckets.len() == count)
    }

    fn no_ids(&self, id: &IdRule) -> Refusal {
        self.refused(
            &format!("would insert rows without the id \"{}\"", id.column),
            "Name the columns behind INSERT and give each row of the source its sharding key as a constant, give the id a \
             value from shardloom.next_id, or use INSERT … ON CONFLICT.",
        )
    }
}

impl Constants {
    fn rows(&self) -> usize {
        match self {
            Self::Rows(ends, _) => ends.len(),
            Self::Select(_) => 1,
        }
    }

    /// Adds a column of ids, the `more`th; returns its name.
    fn add(&self, made: &[IdValue], more: usize, edits: &mut Edits) -> String {
        match self {
            Self::Rows(ends, width) => {
                edits.extend(ends.iter().zip(made).map(|(end, id)| (*end..*end, format!(", {}", typed(id)))));
                format!("column{}", width + more)
            }
            Self::Select(at) => {
                let name = format!("{COLUMN}{more}");
                edits.extend(made.first().map(|id| (*at..*at, format!(" {} AS {name},", typed(id)))));
                name
            }
        }
    }
}

/// Writes an id so that its column is of its type, and reads as a constant.
fn typed(id: &IdValue) -> String {
    match id {
        IdValue::Bigint(id) => format!("{id}::bigint"),
        IdValue::Uuid(_) => format!("'{id}'::uuid"),
        IdValue::Text(_) => format!("'{id}'"),
    }
}

/// What makes of a SELECT without FROM something else than one row, or says something behind its items.
const NOT_ONE_ROW: [&str; 18] = [
    "all",
    "distinct",
    "except",
    "fetch",
    "for",
    "from",
    "group",
    "having",
    "intersect",
    "into",
    "limit",
    "offset",
    "order",
    "union",
    "where",
    "window",
    "with",
    "values",
];

/// Finds the constants of a source that is VALUES and nothing else, or one row of a SELECT without FROM.
fn constants(text: &str, catalog: &Catalog) -> Option<Constants> {
    let span = merge_source(text)?;
    let all = Scanner::new(text).filter(|token| span.start <= token.start && token.end <= span.end);
    let tokens: Vec<Token> = all.collect();
    let [open, first, rest @ ..] = tokens.as_slice() else { return None };
    if !open.is_mark(text, "(") {
        return None;
    }
    if first.is_word(text, "select") {
        let says = |word: &&str| rest.iter().any(|token| token.is_word(text, word));
        let one_row = !NOT_ONE_ROW.iter().any(says) && !insert::calls_set(text, span, catalog);
        // With names of its own for the columns, one more in front would take another's.
        return (one_row && rest.last()?.is_name()).then_some(Constants::Select(first.end));
    }
    let (mut ends, mut width, mut depth) = (Vec::new(), 1, 0usize);
    for (at, token) in rest.iter().enumerate() {
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") && depth > 0 {
            depth -= 1;
            ends.extend((depth == 0).then_some(token.start));
        } else if token.is_mark(text, ")") {
            let values = first.is_word(text, "values") && !insert::calls_set(text, span, catalog);
            return (values && !ends.is_empty()).then_some(Constants::Rows(ends, width));
        } else if depth == 1 && ends.is_empty() && token.is_mark(text, ",") {
            width += 1;
        } else if depth == 0
            && !(token.is_mark(text, ",") && rest.get(at + 1).is_some_and(|next| next.is_mark(text, "(")))
        {
            // Only rows stand side by side: no EXCEPT, no ORDER BY.
            return None;
        }
    }
    None
}

/// Tells whether the source is spoken of as a whole row, or by all its columns: then one more would be seen.
fn names_whole_row(text: &str, alias: &str) -> bool {
    let Some(from) = merge_source(text).map(|source| source.end) else { return true };
    let tokens: Vec<Token> = Scanner::new(text).filter(|token| token.start >= from).collect();
    tokens.iter().enumerate().any(|(at, token)| {
        let mark = |at: Option<usize>, mark: &str| {
            at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is_mark(text, mark))
        };
        let named = identifier(text, *token).is_some_and(|name| name == alias) && !mark(at.checked_sub(1), ".");
        let column = mark(Some(at + 1), ".") && !mark(Some(at + 2), "*");
        token.is_word(text, "returning") || named && !column
    })
}

/// `INSERT [(columns)] … VALUES (cells)` of a clause.
struct Clause {
    /// Where the list of columns ends.
    columns_end: Option<usize>,
    /// The bytes of each cell, and where they end.
    cells: Vec<Range<usize>>,
    end: usize,
}

impl Clause {
    /// Puts a value into the place of the id; `false` if nobody can tell where that is.
    fn add(&self, (id, place): (&IdRule, Option<usize>), insert: &MergeInsert, value: &str, edits: &mut Edits) -> bool {
        match place {
            Some(place) => match (insert.cells.get(place), self.cells.get(place)) {
                (Some(MergeCell::Default), Some(span)) => edits.push((span.clone(), value.to_owned())),
                _ => return false,
            },
            None => {
                let Some(end) = self.columns_end else { return false };
                edits.push((end..end, format!(", {}", insert::quoted(&id.column))));
                edits.push((self.end..self.end, format!(", {value}")));
            }
        }
        true
    }
}

/// Finds the clauses that insert, behind the source.
fn clauses(text: &str) -> Option<Vec<Clause>> {
    let from = merge_source(text)?.end;
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let depths = sql::depths(text, &tokens);
    let inserts = |at: &usize| {
        let is = |at: Option<usize>, word: &str| at.is_some_and(|at| tokens[at].is_word(text, word));
        tokens[*at].start >= from && depths[*at] == 0 && is(Some(*at), "insert") && is(at.checked_sub(1), "then")
    };
    (0..tokens.len()).filter(inserts).map(|at| clause(text, &tokens[at + 1..])).collect()
}

fn clause(text: &str, tokens: &[Token]) -> Option<Clause> {
    let listed = tokens.first()?.is_mark(text, "(");
    let columns = if listed { Some(closing(text, tokens, 0)?) } else { None };
    let behind = columns.map_or(0, |at| at + 1);
    let values = (behind..tokens.len()).find(|at| tokens[*at].is_word(text, "values"))?;
    let end = closing(text, tokens, values + 1).filter(|end| *end > values + 2)?;
    let cells = sql::insert::split_commas(text, &tokens[values + 2..end]);
    let cells = cells.iter().map(|cell| Some(cell.first()?.start..cell.last()?.end)).collect::<Option<Vec<_>>>()?;
    Some(Clause { columns_end: columns.map(|at| tokens[at].start), cells, end: tokens[end].start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_found_in_values_and_in_a_select() {
        let catalog = Catalog { sets: ["unnest".to_owned()].into(), ..Catalog::default() };
        let of = |source: &str| {
            constants(&format!("MERGE INTO t USING {source} ON a = b WHEN MATCHED THEN DELETE"), &catalog)
        };
        assert!(matches!(of("(VALUES (1, f(2, 3)), (2, 4)) s(a)"), Some(Constants::Rows(ends, 2)) if ends.len() == 2));
        assert!(matches!(of("(SELECT 1 AS a) AS s"), Some(Constants::Select(_))));
        for source in [
            "s",
            "(SELECT a FROM u) s",
            "(SELECT 1 AS a) s(b)",
            "(SELECT unnest(b) AS a) s",
            "(SELECT 1 AS a EXCEPT SELECT 2) s",
            "(VALUES (1) UNION SELECT 2) s",
            "(VALUES (1), (2) EXCEPT VALUES (2)) s",
            "(VALUES (1), (2) ORDER BY (1)) s",
            "(VALUES (unnest(b))) s",
            "f(1) s",
        ] {
            assert!(of(source).is_none(), "{source}");
        }
    }

    #[test]
    fn a_source_that_is_named_as_a_whole_is_told() {
        let whole =
            |clause: &str| names_whole_row(&format!("MERGE INTO t USING (VALUES (1)) s(u) ON t.a = s.u {clause}"), "s");
        for clause in [
            "WHEN MATCHED THEN UPDATE SET b = s::text",
            "WHEN MATCHED AND f(\"s\") THEN DELETE",
            "AND s.* IS NULL",
            "RETURNING *",
        ] {
            assert!(whole(clause), "{clause}");
        }
        for clause in
            ["WHEN MATCHED THEN UPDATE SET b = s.u", "AND t.s = 1", "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.u * 2)"]
        {
            assert!(!whole(clause), "{clause}");
        }
    }

    #[test]
    fn clauses_have_their_columns_and_cells() {
        let text = "MERGE INTO t USING (VALUES (1)) s(a) ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = (1) \
                    WHEN NOT MATCHED AND s.a > 1 THEN INSERT (a, \"b\") VALUES (s.a, f(1, 2)) WHEN NOT MATCHED THEN INSERT VALUES (1)";
        let found = clauses(text).expect("clauses");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].cells.iter().map(|cell| &text[cell.clone()]).collect::<Vec<_>>(), ["s.a", "f(1, 2)"]);
        assert!(found[0].columns_end.is_some() && found[1].columns_end.is_none());
    }
}
