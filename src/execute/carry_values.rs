//! A value that a server printed, as a constant that another reads as the same in the same place.

use crate::plan::Carried;
use crate::types::USER_TYPES;
use crate::wire::backend::Field;

/// There is no constant of which that is sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclear;

/// `text`, `varchar`, `unknown`: what stands in quotes is read as them, and as whatever the column is. A column that is
/// none of text came from an untyped constant, or the statement would have been refused.
const TEXTS: [u32; 3] = [25, 1043, 705];
const NUMERIC: u32 = 1700;

/// The types that a constant is cast from where its column has another, by oid.
const NAMES: [(u32, &str); 26] = [
    (16, "bool"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "int8"),
    (21, "int2"),
    (23, "int4"),
    (26, "oid"),
    (114, "json"),
    (142, "xml"),
    (650, "cidr"),
    (700, "float4"),
    (701, "float8"),
    (790, "money"),
    (829, "macaddr"),
    (869, "inet"),
    (1042, "bpchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1184, "timestamptz"),
    (1186, "interval"),
    (1266, "timetz"),
    (NUMERIC, "numeric"),
    (2950, "uuid"),
    (3802, "jsonb"),
];

/// Tells whether every value is of the very type of its column, so that nothing is left to check.
pub(super) fn is_plain(fields: &[Field], columns: &[Carried]) -> bool {
    let same = |(field, column): (&Field, &Carried)| {
        field.type_oid == column.type_oid && field.type_oid < USER_TYPES && field.type_oid != 0
    };
    fields.len() <= columns.len() && fields.iter().zip(columns).all(same)
}

/// Returns the constant for a value of type `from` as a server printed it.
pub(super) fn constant(value: Option<&[u8]>, from: u32, column: &Carried) -> Result<String, Unclear> {
    if let Some(call) = &column.call {
        return Ok(call.clone());
    }
    let Some(value) = value else { return Ok("NULL".to_owned()) };
    let value = std::str::from_utf8(value).map_err(|_| Unclear)?;
    let quoted = format!("'{}'", value.replace('\'', "''"));
    if from == NUMERIC && column.key && is_decimal(value) {
        return Ok(value.to_owned());
    }
    // A domain's values come as those of the type below it, and are cast from that as an assignment does.
    let own = from == column.type_oid || from >= USER_TYPES && column.type_oid >= USER_TYPES;
    if own || TEXTS.contains(&from) {
        return Ok(quoted);
    }
    match type_name(from) {
        Some(name) => Ok(format!("{quoted}::{name}")),
        None => Err(Unclear),
    }
}

/// Returns the name of a type that a constant is cast from.
pub(super) fn type_name(oid: u32) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// Tells whether it is a number that stands for itself in SQL.
fn is_decimal(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_oid: u32) -> Carried {
        Carried { type_oid, ..Carried::default() }
    }

    #[test]
    fn a_value_of_the_columns_type_is_a_plain_text() {
        assert_eq!(constant(Some(b"it's"), 25, &column(25)).as_deref(), Ok("'it''s'"));
        assert_eq!(constant(Some(b"5"), 23, &column(23)).as_deref(), Ok("'5'"));
        assert_eq!(constant(None, 23, &column(20)).as_deref(), Ok("NULL"));
    }

    #[test]
    fn a_value_of_another_type_is_cast_from_its_own() {
        assert_eq!(constant(Some(b"2.5"), 1700, &column(23)).as_deref(), Ok("'2.5'::numeric"));
        assert_eq!(constant(Some(b"a  "), 1042, &column(25)).as_deref(), Ok("'a  '::bpchar"));
        assert_eq!(constant(Some(b"1"), 25, &column(23)).as_deref(), Ok("'1'"), "it was an untyped constant");
        assert_eq!(constant(Some(b"x"), 99_999, &column(99_998)).as_deref(), Ok("'x'"));
        assert_eq!(constant(Some(b"x"), 99_999, &column(25)), Err(Unclear));
    }

    #[test]
    fn a_numeric_key_is_a_number() {
        let key = Carried { type_oid: 20, key: true, ..Carried::default() };
        assert_eq!(constant(Some(b"-2.5"), 1700, &key).as_deref(), Ok("-2.5"));
        assert_eq!(constant(Some(b"NaN"), 1700, &key).as_deref(), Ok("'NaN'::numeric"));
    }
}
