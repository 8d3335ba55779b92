//! `COPY (query) TO STDOUT` over tables of the rules: where one shard answers the query, or each of several its rows.
//!
//! What has to be merged or gathered no server copies: the proxy reads it as the query by itself and writes the format.

use std::ops::Range;

use super::context::{Context, Values};
use super::copy::{one_byte, quoting};
use super::plan_types::{CopyOut, Direct, MergedCopy, Plan, Statement};
use super::prepare::{PrepareError, prepare};
use super::{IdsWanted, Parameters, Redo, route_json};
use crate::sql::{CopyDirection, CopyFormat, CopyHead, CopyOptions, ForceColumns, literals, splice};
use crate::types::Refusal;
use crate::wire::copy_out::{Csv, Forced, Layout, Text};

/// Plans it; `table` is the first that it names.
///
/// # Errors
/// 0A000 for a query that needs more than its shards' rows as they are, and what its own plan refuses.
pub(super) fn plan(text: &str, head: &CopyHead, table: &str, context: &Context<'_>) -> Result<Plan, Refusal> {
    let span = head.query.clone().unwrap_or(0..0);
    let inner = text.get(span.clone()).unwrap_or("");
    if head.direction != CopyDirection::ToStdout {
        return Err(refused(table, "with a file"));
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
            Ok(Plan::CopyOut(CopyOut { shards: scatter.shards, statement, format, header, merged: None }))
        }
        plan @ (Plan::Scatter(_) | Plan::Gather(_)) => {
            let Some(layout) = layout(&head.options)? else { return Err(refused(table, "with these options")) };
            let shards = route_json::shards(&plan);
            let merged = Some(Box::new(MergedCopy { plan, text: inner.to_owned(), layout }));
            Ok(Plan::CopyOut(CopyOut { shards, statement: Statement::Original, format, header, merged }))
        }
        Plan::MultiWrite(_) | Plan::Carry(_) | Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => {
            Err(refused(table, "which writes on several shards"))
        }
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

/// Returns how the rows are to be written; `None` for options that PostgreSQL refuses, or that are not known here.
fn layout(options: &CopyOptions) -> Result<Option<Layout>, Refusal> {
    let unknown = !options.others.is_empty()
        || options.freeze
        || options.force_null != ForceColumns::None
        || options.force_not_null != ForceColumns::None
        || options.where_clause
        || options.encoding.as_ref().is_some_and(|name| name.to_ascii_lowercase().replace('-', "") != "utf8");
    let quotes = options.quote.is_some() || options.escape.is_some() || options.force_quote != ForceColumns::None;
    let delimiter = one_byte(&options.delimiter, "delimiter")?;
    let text = |delimiter: u8, null: &str| Text {
        delimiter,
        null: options.null.clone().unwrap_or_else(|| null.to_owned()),
        header: options.header,
    };
    let layout = match options.format {
        CopyFormat::Binary if quotes || delimiter.is_some() || options.null.is_some() || options.header => {
            return Ok(None);
        }
        CopyFormat::Binary => Layout::Binary,
        CopyFormat::Text if quotes => return Ok(None),
        CopyFormat::Text => Layout::Text(text(delimiter.unwrap_or(b'\t'), "\\N")),
        CopyFormat::Csv => {
            let Some(quoting) = quoting(options)? else { return Ok(None) };
            let forced = match &options.force_quote {
                ForceColumns::None => Forced::Named(Vec::new()),
                ForceColumns::All => Forced::All,
                ForceColumns::Columns(names) => Forced::Named(names.clone()),
            };
            Layout::Csv(Csv { text: text(delimiter.unwrap_or(b','), ""), quoting, forced })
        }
    };
    Ok(Some(layout).filter(|layout| !unknown && is_readable(layout)))
}

/// Tells whether what stands between and for values cannot be taken for something else, as PostgreSQL asks.
fn is_readable(layout: &Layout) -> bool {
    let (text, taken): (&Text, &[u8]) = match layout {
        Layout::Binary => return true,
        Layout::Text(text) => (text, b"\\.abcdefghijklmnopqrstuvwxyz0123456789"),
        Layout::Csv(csv) => (&csv.text, &[csv.quoting.quote]),
    };
    let is_quote = |byte: u8| matches!(layout, Layout::Csv(csv) if csv.quoting.quote == byte);
    let ends_rows = |byte: u8| matches!(byte, b'\n' | b'\r' | 0);
    !taken.contains(&text.delimiter)
        && !ends_rows(text.delimiter)
        && text.null.bytes().all(|byte| !ends_rows(byte) && byte != text.delimiter && !is_quote(byte))
}

fn refused(table: &str, why: &str) -> Refusal {
    Refusal::unsupported(
        format!("COPY of a query over table \"{table}\", {why}"),
        "Use SELECT, or say the shard in a comment before the statement: /* shardloom: shard=NAME */.",
    )
    .with_reason("copy_query")
}
