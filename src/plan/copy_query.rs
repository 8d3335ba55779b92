//! `COPY (query) TO STDOUT` over tables of the rules: where one shard answers the query, or each of several its rows.
//!
//! What would be merged or gathered has no COPY: the servers write its format, not the proxy.

use std::ops::Range;

use super::context::{Context, Values};
use super::plan_types::{CopyOut, Direct, Plan, Statement};
use super::prepare::{PrepareError, prepare};
use super::{IdsWanted, Parameters, Redo, hidden};
use crate::sql::{CopyDirection, CopyHead, CopyOptions, Scanner, identifier, literals, splice};
use crate::types::Refusal;

/// Plans it; `table` is the first that it names.
///
/// # Errors
/// 0A000 for a query that needs more than its shards' rows as they are, and what its own plan refuses.
pub(super) fn plan(text: &str, head: &CopyHead, table: &str, context: &Context<'_>) -> Result<Plan, Refusal> {
    let span = head.query.clone().unwrap_or(0..0);
    let inner = text.get(span.clone()).unwrap_or("");
    let view =
        Scanner::new(inner).filter_map(|token| identifier(inner, token)).find(|name| hidden::named(name, context));
    if head.direction != CopyDirection::ToStdout || view.is_some() {
        return Err(refused(view.as_deref().unwrap_or(table), "with a file, or of a view"));
    }
    let prepared = prepare(inner, context).map_err(|error| match error {
        PrepareError::Refused(refusal) | PrepareError::Unreadable(refusal) => refusal,
    })?;
    let values = Values { text: inner, literals: &literals(inner), parameters: Parameters::default() };
    let mut no_ids = |_: IdsWanted| Err(refused(table, "whose ids the rules make"));
    let CopyOptions { format, header, .. } = head.options;
    match prepared.plan(context, &values, &mut no_ids)? {
        Plan::Direct(direct) => of_one(text, span, direct).ok_or_else(|| refused(table, "whose copies would follow")),
        Plan::Scatter(scatter) if scatter.merge.is_plain() && !scatter.locks && !scatter.reads_reference => {
            let statement = inside(text, span, scatter.statement);
            Ok(Plan::CopyOut(CopyOut { shards: scatter.shards, statement, format, header }))
        }
        Plan::Scatter(_)
        | Plan::Gather(_)
        | Plan::MultiWrite(_)
        | Plan::Carry(_)
        | Plan::Copy(_)
        | Plan::CopyOut(_)
        | Plan::Everywhere { .. } => Err(refused(table, "whose rows come from several shards and have to be merged")),
    }
}

/// One shard; `None` for a write of a reference table.
fn of_one(text: &str, span: Range<usize>, direct: Direct) -> Option<Plan> {
    let mut direct = Direct { statement: inside(text, span, direct.statement), ..direct };
    if let Some(effect) = &mut direct.effect {
        if effect.reference {
            return None;
        }
        effect.redo = Redo::Never("a COPY is not run again".to_owned());
        effect.deferrable = false;
    }
    Some(Plan::Direct(direct))
}

/// Puts what the query became into its place.
fn inside(text: &str, span: Range<usize>, statement: Statement) -> Statement {
    match statement {
        Statement::Original => Statement::Original,
        Statement::Rewritten { sql, parameters } => {
            Statement::Rewritten { sql: splice(text, &[(span, sql)]), parameters }
        }
    }
}

fn refused(table: &str, why: &str) -> Refusal {
    Refusal::unsupported(
        format!("COPY of a query over table \"{table}\", {why}"),
        "Use SELECT, or say the shard in a comment before the statement: /* shardloom: shard=NAME */.",
    )
    .with_reason("copy_query")
}
