//! ALTER TABLE over several shards fills rows that are there: the present is one moment for all of them, and what each
//! server would make up by itself must not differ where it must be the same.

use super::classify::{freezes, redo};
use super::context::Context;
use super::hidden;
use super::insert::quoted;
use super::{Freeze, Redo};
use crate::rules::Distribution;
use crate::sql::{self, Filled, Filling, How};
use crate::types::Refusal;

/// The present in a text, and what makes it a default for later rows again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moments {
    /// The calls that are to become one moment, in text order.
    pub spans: Vec<Freeze>,
    /// Where `again` is put in.
    pub end: usize,
    /// Further actions, each with the comma before it.
    pub again: String,
}

/// Words of the present that no moment can be put in the place of.
const OF_EACH_SERVER: [&str; 1] = ["statement_timestamp"];

/// Words that say the present beside others that are not the same twice.
const PRESENT: [&str; 7] = [
    "now",
    "transaction_timestamp",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
];

/// Refuses what would be different on each shard and is not on one server.
pub(super) fn check(text: &str, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(filling) = shared(text, context) else { return Ok(()) };
    let is_reference = is_reference(&filling, context);
    for column in &filling.columns {
        if is_there(&filling, column, context) {
            continue;
        }
        let expression = match &column.how {
            How::Else => continue,
            How::Numbered { .. } => return Err(numbered(&filling, column)),
            How::Default { expression, .. } | How::Using(expression) => &text[expression.clone()],
        };
        hidden::called(expression, context)?.check(None, context.rules)?;
        match redo(expression, context.catalog) {
            Redo::Exact => {}
            Redo::AfterFreeze => {
                let said = filling.columns.iter().filter(|other| other.name == column.name).count();
                if said > 1 && matches!(column.how, How::Default { .. }) {
                    return Err(said_twice(&filling, column));
                }
            }
            Redo::Never(_) if says(expression, &["nextval"]) => return Err(numbered(&filling, column)),
            Redo::Never(reason) => {
                let is_own_moment = says(expression, &OF_EACH_SERVER) || says(expression, &PRESENT);
                if is_reference || is_own_moment || reason.starts_with("the text") {
                    return Err(different(&filling, column, &reason));
                }
            }
        }
    }
    Ok(())
}

/// Returns what of an ALTER TABLE is to be one moment; `None` where nothing is.
pub fn moments(text: &str, context: &Context<'_>) -> Option<Moments> {
    let filling = shared(text, context)?;
    let mut moments = Moments { spans: Vec::new(), end: filling.end, again: String::new() };
    for column in filling.columns.iter().filter(|column| !is_there(&filling, column, context)) {
        let (How::Default { expression, .. } | How::Using(expression)) = &column.how else { continue };
        let part = &text[expression.clone()];
        if redo(part, context.catalog) != Redo::AfterFreeze {
            continue;
        }
        let shifted = |freeze: Freeze| {
            let span = freeze.span.start + expression.start..freeze.span.end + expression.start;
            Freeze { span, ..freeze }
        };
        moments.spans.extend(freezes(part, context.catalog).into_iter().map(shifted));
        if matches!(column.how, How::Default { .. }) {
            moments.again.push_str(&format!(", ALTER COLUMN {} SET DEFAULT {part}", quoted(&column.name)));
        }
    }
    (!moments.spans.is_empty()).then_some(moments)
}

/// Reads what fills rows on several shards.
fn shared(text: &str, context: &Context<'_>) -> Option<Filling> {
    let filling = sql::filling(text)?;
    let rule = context.rules.table(&filling.table.rule_key())?;
    let is_single = matches!(rule.distribution, Distribution::Single { .. });
    (!is_single && context.rules.shards.len() > 1).then_some(filling)
}

fn is_reference(filling: &Filling, context: &Context<'_>) -> bool {
    context.rules.reference_home(&filling.table.rule_key()).is_some()
}

/// Tells whether nothing happens, as there is such a column.
fn is_there(filling: &Filling, column: &Filled, context: &Context<'_>) -> bool {
    let (How::Default { unless_there: true, .. } | How::Numbered { unless_there: true }) = column.how else {
        return false;
    };
    let table = context.catalog.table(&filling.table.rule_key());
    table.is_some_and(|table| table.column(&column.name).is_some())
}

fn says(expression: &str, words: &[&str]) -> bool {
    sql::Scanner::new(expression)
        .filter_map(|token| sql::identifier(expression, token))
        .any(|name| words.contains(&name.as_str()))
}

fn numbered(filling: &Filling, column: &Filled) -> Refusal {
    let (table, name) = (&filling.table, &column.name);
    Refusal::unsupported(
        format!("each shard would number column \"{name}\" of table \"{table}\" by a sequence of its own"),
        "Add it without a sequence, and fill it with UPDATE; ids of the rules number new rows.",
    )
    .with_reason("numbered_by_shard")
}

fn different(filling: &Filling, column: &Filled, reason: &str) -> Refusal {
    let (table, name) = (&filling.table, &column.name);
    Refusal::unsupported(
        format!("each shard would fill column \"{name}\" of table \"{table}\" with values of its own: {reason}"),
        "Add it without a default, fill it with UPDATE, then SET DEFAULT.",
    )
    .with_reason("filled_by_shard")
}

fn said_twice(filling: &Filling, column: &Filled) -> Refusal {
    let (table, name) = (&filling.table, &column.name);
    Refusal::unsupported(
        format!("column \"{name}\" of table \"{table}\" is filled with the present and changed in one statement"),
        "Write a statement for each.",
    )
    .with_reason("filled_by_shard")
}
