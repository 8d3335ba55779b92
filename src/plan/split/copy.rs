//! COPY of a split table: out of all its physical tables at once, and into each of them by a statement of its own.

use std::ops::Range;

use super::places::Named;
use crate::plan::context::Context;
use crate::plan::insert::{quoted, unnamed_columns};
use crate::plan::key::binary_fits;
use crate::plan::plan_types::{CopyPlan, CopySplit, Statement};
use crate::sql::{CopyHead, Scanner, Token, splice};
use crate::types::{Refusal, SqlState, type_modifier};

/// Returns what each shard runs for a `COPY table TO STDOUT`: the original text of a table that is not split.
///
/// # Errors
/// 0A000 if the columns are not known.
pub(in crate::plan) fn copy_out(text: &str, head: &CopyHead, context: &Context<'_>) -> Result<Statement, Refusal> {
    let Some(table) = named(head, context) else { return Ok(Statement::Original) };
    let columns: Vec<String> = match &head.columns {
        Some(columns) => columns.clone(),
        None => {
            let known = context.catalog.table(&table.key).ok_or_else(|| unnamed_columns(&table.key))?;
            known.columns.iter().filter(|column| !column.generated).map(|column| column.name.clone()).collect()
        }
    };
    let Some((schema, name)) = name_of(text) else { return Err(unnamed_columns(&table.key)) };
    let columns = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let schema = &text[schema];
    let each = table.split.names.iter().map(|name| format!("SELECT {columns} FROM {schema}{}", quoted(name)));
    let query = format!("({}) ", each.collect::<Vec<_>>().join(" UNION ALL "));
    let span = name.start..head.columns_span.end.max(name.end);
    Ok(Statement::Rewritten { sql: splice(text, &[(span, query)]), parameters: Vec::new() })
}

/// Says how the rows of a COPY FROM find their physical tables, where the table is split: the plan's statement then is
/// that of the first.
///
/// # Errors
/// 23502 if the column by which the table is split is not among those copied, 0A000 if its type is not what the rules say.
pub(in crate::plan) fn copy_in(
    text: &str,
    head: &CopyHead,
    plan: &mut CopyPlan,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let Some(table) = named(head, context) else { return Ok(()) };
    let by = &table.split.by;
    let known = context.catalog.table(&table.key);
    let position = plan.columns.iter().position(|column| column == by).ok_or_else(|| missing(&table.key, by))?;
    let column = known.and_then(|known| known.column(by));
    let exact = plan.binary || table.split.by_type.is_time();
    if let Some(column) = column.filter(|column| exact && !binary_fits(table.split.by_type, column.type_oid)) {
        return Err(Refusal::unsupported(
            format!("COPY FROM into table \"{}\", which is split by a column of type {}", table.key, column.type_name),
            format!("The rules say {}; give the column or the rules the other's type.", table.split.by_type.name()),
        ));
    }
    let text = match &plan.statement {
        Statement::Original => text,
        Statement::Rewritten { sql, .. } => sql,
    };
    let Some((schema, name)) = name_of(text) else { return Err(unnamed_columns(&table.key)) };
    let of_slot = |physical: &String| splice(text, &[(schema.end..name.end, quoted(physical))]);
    let statements: Vec<String> = table.split.names.iter().map(of_slot).collect();
    plan.statement = Statement::Rewritten { sql: statements[0].clone(), parameters: Vec::new() };
    let modifier = column.and_then(|column| type_modifier(&column.type_name));
    plan.split = Some(Box::new(CopySplit { split: table.split, position, modifier, statements }));
    Ok(())
}

fn missing(table: &str, by: &str) -> Refusal {
    let message = format!("rows for table \"{table}\" need a value for the split column \"{by}\"");
    Refusal::new(SqlState::NOT_NULL_VIOLATION, message)
        .with_hint(format!("Name the column \"{by}\" and send its values."))
}

/// Returns the split table that a COPY names, if it does.
fn named(head: &CopyHead, context: &Context<'_>) -> Option<Named> {
    let key = head.table.as_ref()?.rule_key().into_owned();
    let split = context.rules.table(&key)?.split.clone()?;
    Some(Named { key, split })
}

/// Returns where the schema with its dot and the whole name stand.
fn name_of(text: &str) -> Option<(Range<usize>, Range<usize>)> {
    let tokens: Vec<Token> = Scanner::new(text).take(5).collect();
    let first = if tokens.get(1)?.is_word(text, "binary") { 2 } else { 1 };
    let start = tokens.get(first)?.start;
    let dotted = tokens.get(first + 1).is_some_and(|token| token.is_mark(text, "."));
    let last = tokens.get(if dotted { first + 2 } else { first })?;
    Some((start..last.start, start..last.end))
}
