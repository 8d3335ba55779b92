//! Refusals of INSERT and COPY, with the reason codes that golden cases and `route` show.

use crate::types::{Refusal, SqlState};

/// The key is left out, DEFAULT or NULL.
pub const MISSING_SHARDING_KEY: &str = "missing_sharding_key";
/// The key is an expression that only a server can evaluate.
pub const COMPUTED_SHARDING_KEY: &str = "computed_sharding_key";

/// The group's algorithm has no place for the key.
pub const UNMAPPED_SHARDING_KEY: &str = "unmapped_sharding_key";

/// Returns the reason code of a refusal made here.
pub fn reason(refusal: &Refusal) -> Option<&str> {
    refusal.detail.as_deref()?.strip_prefix("Reason: ")?.strip_suffix('.')
}

fn with_reason(refusal: Refusal, reason: &str) -> Refusal {
    refusal.with_detail(format!("Reason: {reason}."))
}

pub(in crate::plan) fn missing_key(table: &str, key: &str) -> Refusal {
    let message = format!("rows for table \"{table}\" need a value for the sharding key \"{key}\"");
    let hint = format!("Name the column \"{key}\" and give it a constant or a parameter.");
    with_reason(Refusal::new(SqlState::NOT_NULL_VIOLATION, message).with_hint(hint), MISSING_SHARDING_KEY)
}

pub(super) fn null_key(table: &str, key: &str) -> Refusal {
    let message = format!("null value for the sharding key \"{key}\" of table \"{table}\"");
    let hint = format!("Give \"{key}\" a value: it says on which shard the row lives.");
    with_reason(Refusal::new(SqlState::NOT_NULL_VIOLATION, message).with_hint(hint), MISSING_SHARDING_KEY)
}

/// The refusal of a row whose key the algorithm of its group has no place for: 23514, as of a row without a partition.
pub fn no_place(table: &str, key: &str, group: &str) -> Refusal {
    let message = format!("no shard is declared for this value of the sharding key \"{key}\" of table \"{table}\"");
    let hint = format!("Send another value, or give it a place in the rules of group \"{group}\".");
    with_reason(Refusal::new(SqlState::CHECK_VIOLATION, message).with_hint(hint), UNMAPPED_SHARDING_KEY)
}

pub(super) fn computed_key(table: &str, key: &str) -> Refusal {
    let message = format!("the sharding key \"{key}\" of table \"{table}\" is computed in the statement");
    let hint = "Compute the value in the application and send it as a constant or a parameter.";
    with_reason(Refusal::unsupported(message, hint), COMPUTED_SHARDING_KEY)
}

/// Tells whether the refusal is one of a key that PostgreSQL could compute.
pub(super) fn is_computed(refusal: &Refusal) -> bool {
    reason(refusal) == Some(COMPUTED_SHARDING_KEY)
}

/// A form of a date or time that means one thing or another by the session's settings.
pub fn unclear_time(type_name: &str, value: &str) -> Refusal {
    let message = format!("the sharding key \"{value}\" of type {type_name} is not in a form that is read here");
    let hint = "Write it as 2026-01-31, a timestamp as 2026-01-31 08:00:00, with time zone as 2026-01-31 08:00:00+00.";
    with_reason(Refusal::unsupported(message, hint), COMPUTED_SHARDING_KEY)
}

pub(super) fn bad_text(type_name: &str, value: &str) -> Refusal {
    let message = format!("invalid input syntax for type {type_name}: \"{value}\"");
    Refusal::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

pub(super) fn out_of_range(type_name: &str) -> Refusal {
    Refusal::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
}

pub(in crate::plan) fn numbered(table: &str, column: &str) -> Refusal {
    let message =
        format!("column \"{column}\" of table \"{table}\" is numbered by a sequence, of which each shard has its own");
    let hint = format!("Give \"{column}\" a value, or let the shard rules make it (id).");
    Refusal::unsupported(message, hint).with_reason("numbered_by_shard")
}

/// The rest of the transaction has another moment than this shard.
pub(super) fn time_of_query(table: &str, column: &str) -> Refusal {
    let message = format!(
        "the default of column \"{column}\" of table \"{table}\" would be another moment than that of this transaction, \
         which began on another shard"
    );
    let hint = format!("Name \"{column}\" among the columns, and give it now() in the query.");
    Refusal::unsupported(message, hint).with_reason("time_of_shard")
}

pub(super) fn drawn(table: &str) -> Refusal {
    let message = format!("what an INSERT into table \"{table}\" draws from a sequence on home cannot be read first");
    Refusal::unsupported(message, "Call nextval() in a statement of its own, and send its value.")
}

pub(super) fn too_many_cells(cells: usize, most: usize) -> Refusal {
    let message = format!("{cells} values of an INSERT have to be computed first, of at most {most}");
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).with_hint("Insert fewer rows in one statement.")
}

pub(in crate::plan) fn unnamed_columns(table: &str) -> Refusal {
    let message = format!("the columns of table \"{table}\" are not known to the proxy");
    Refusal::unsupported(message, "Name the columns in the statement.")
}
