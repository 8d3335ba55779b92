//! The rows of a query or a table as SQL that stands in its place.

use std::borrow::Cow;

use postgres_protocol::escape::escape_identifier;

use crate::plan::{Brought, CARRIED, KeyOperator};
use crate::types::USER_TYPES;
use crate::wire::backend::{DataRow, Field};

use super::carry_values::{Unclear, type_name};

/// Types beside those that a constant is cast from: `text`, `varchar`, arrays.
const MORE_NAMES: [(u32, &str); 19] = [
    (25, "text"),
    (1043, "varchar"),
    (1000, "bool[]"),
    (1001, "bytea[]"),
    (1005, "int2[]"),
    (1007, "int4[]"),
    (1009, "text[]"),
    (1014, "bpchar[]"),
    (1015, "varchar[]"),
    (1016, "int8[]"),
    (1021, "float4[]"),
    (1022, "float8[]"),
    (1115, "timestamp[]"),
    (1182, "date[]"),
    (1185, "timestamptz[]"),
    (1231, "numeric[]"),
    (2951, "uuid[]"),
    (199, "json[]"),
    (3807, "jsonb[]"),
];

/// Types of keys whose values an array's text says exactly: `int8`, `int2`, `int4`, `text`, `varchar`, `uuid`.
const KEY_TYPES: [u32; 6] = [20, 21, 23, 25, 1043, 2950];

/// Returns SQL that gives the same rows, of the same types and names.
pub(super) fn query(brought: &Brought, fields: &[Field], rows: &[DataRow<'_>]) -> Result<String, Unclear> {
    if brought.listed {
        return listed(brought, fields, rows);
    }
    let Some(operator) = brought.key else {
        let rows = derived(brought, fields, rows)?;
        return Ok(match &brought.alias {
            Some(alias) => format!("{rows} AS {alias}"),
            None => rows,
        });
    };
    if let Some(array) = key_array(operator, fields, rows) {
        return Ok(format!("= ANY ({array})"));
    }
    let rows = derived(brought, fields, rows)?;
    Ok(match operator {
        KeyOperator::In => format!("IN {rows}"),
        KeyOperator::Equal => format!("= {rows}"),
    })
}

/// Returns an array that a key equals an element of where it is in the query, or equals it: of one without rows NULL. None
/// where PostgreSQL would have to say that a comparison has several rows, and for other types.
fn key_array(operator: KeyOperator, fields: &[Field], rows: &[DataRow<'_>]) -> Option<String> {
    let [field] = fields else { return None };
    let name = Some(field.type_oid).filter(|oid| KEY_TYPES.contains(oid)).and_then(name)?;
    let mut elements = Vec::with_capacity(rows.len().max(1));
    for row in rows {
        elements.push(match row.clone().next()? {
            None => "NULL".to_owned(),
            Some(value) => format!("'{}'", std::str::from_utf8(value).ok()?.replace('\'', "''")),
        });
    }
    match (operator, elements.len()) {
        (KeyOperator::Equal, 0) => elements.push("NULL".to_owned()),
        (KeyOperator::Equal, 2..) => return None,
        (KeyOperator::Equal | KeyOperator::In, _) => {}
    }
    // Not as the text of an array, in which array_nulls would say what NULL means.
    Some(format!("ARRAY[{}]::{name}[]", elements.join(", ")))
}

/// Returns the rows as the source of a MERGE, each value with its type: so constants are read.
fn listed(brought: &Brought, fields: &[Field], rows: &[DataRow<'_>]) -> Result<String, Unclear> {
    let (types, names) = (types(brought, fields)?, names(fields));
    let alias = brought.alias.as_deref().unwrap_or(CARRIED);
    let source =
        if rows.is_empty() { none(&types, &names) } else { format!("({})", values(rows, &types, |_, _| true)?) };
    Ok(format!(" {source} AS {alias} ({}) ", names.join(", ")))
}

/// Returns the rows as a query in parentheses. The first row has the types; the others follow it, but for the modifier of a
/// type, which is kept where all rows have it.
fn derived(brought: &Brought, fields: &[Field], rows: &[DataRow<'_>]) -> Result<String, Unclear> {
    let (types, names) = (types(brought, fields)?, names(fields));
    // EXISTS may be asked of rows without columns.
    if fields.is_empty() {
        let ones = vec!["(1)"; rows.len().max(1)].join(", ");
        let filter = if rows.is_empty() { " WHERE false" } else { "" };
        return Ok(format!("(SELECT FROM (VALUES {ones}) AS {CARRIED} (c){filter})"));
    }
    if rows.is_empty() {
        return Ok(none(&types, &names));
    }
    let values = values(rows, &types, |number, kind| number == 0 || kind.contains('('))?;
    Ok(format!("(SELECT * FROM ({values}) AS {CARRIED} ({}))", names.join(", ")))
}

fn names(fields: &[Field]) -> Vec<String> {
    fields.iter().map(|field| escape_identifier(&field.name)).collect()
}

fn types<'a>(brought: &'a Brought, fields: &[Field]) -> Result<Vec<Cow<'a, str>>, Unclear> {
    let known = |at: usize| brought.table.as_ref().and_then(|table| table.types.get(at)).map(Cow::from);
    // The table that is made would have another type.
    let lost =
        |field: &Field| brought.alone && field.type_modifier >= 0 && modified(field).as_deref() == name(field.type_oid);
    if fields.iter().any(lost) {
        return Err(Unclear);
    }
    // Of types of one's own only the catalog has the name.
    let of = |(at, field): (usize, &Field)| {
        let named = || known(at).filter(|_| field.type_oid >= USER_TYPES);
        modified(field).or_else(named).ok_or(Unclear)
    };
    fields.iter().enumerate().map(of).collect()
}

/// Returns a query of these columns that gives nothing.
fn none(types: &[Cow<'_, str>], names: &[String]) -> String {
    let nulls = types.iter().zip(names).map(|(kind, name)| format!("NULL::{kind} AS {name}"));
    format!("(SELECT * FROM (SELECT {} WHERE false) AS {CARRIED})", nulls.collect::<Vec<_>>().join(", "))
}

/// Returns `VALUES` with all rows; `typed` tells by row and type which values say their type.
fn values(
    rows: &[DataRow<'_>],
    types: &[Cow<'_, str>],
    typed: impl Fn(usize, &str) -> bool,
) -> Result<String, Unclear> {
    let mut text = "VALUES ".to_owned();
    for (number, row) in rows.iter().enumerate() {
        text.push_str(if number == 0 { "(" } else { ", (" });
        for (at, (value, kind)) in row.clone().zip(types).enumerate() {
            text.push_str(if at == 0 { "" } else { ", " });
            match value {
                None => text.push_str("NULL"),
                Some(value) => {
                    let value = std::str::from_utf8(value).map_err(|_| Unclear)?;
                    text.push('\'');
                    text.push_str(&value.replace('\'', "''"));
                    text.push('\'');
                }
            }
            if typed(number, kind) {
                text.push_str("::");
                text.push_str(kind);
            }
        }
        text.push(')');
    }
    Ok(text)
}

/// Returns the type with its modifier.
fn modified(field: &Field) -> Option<Cow<'static, str>> {
    let name = name(field.type_oid)?;
    // The four bytes of a length are counted in.
    let Some(modifier) = field.type_modifier.checked_sub(4).filter(|modifier| *modifier >= 0) else {
        return Some(name.into());
    };
    match name {
        "numeric" => {
            // Eleven bits, with a sign.
            let scale = ((modifier & 0x7ff) ^ 1024) - 1024;
            Some(format!("numeric({}, {scale})", modifier >> 16).into())
        }
        "bpchar" | "varchar" => Some(format!("{name}({modifier})").into()),
        _ => Some(name.into()),
    }
}

fn name(oid: u32) -> Option<&'static str> {
    type_name(oid).or_else(|| MORE_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name))
}
