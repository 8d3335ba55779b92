//! A console answer before it becomes messages: text columns only.

use serde::Serialize;
use serde_json::Value;

use crate::types::{Refusal, SqlState};

/// What the session sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleReply {
    /// Rows; every column is `text`.
    Table {
        /// Column names.
        columns: Vec<&'static str>,
        /// As many values per row as there are columns; `None` is NULL.
        rows: Vec<Vec<Option<String>>>,
        /// The command tag.
        tag: String,
    },
    /// No rows.
    Done {
        /// The command tag.
        tag: String,
    },
}

/// Makes a table of `rows`: each column is the field of that name, a missing one is NULL.
pub fn table<R: Serialize>(columns: &[&'static str], rows: &[R]) -> Result<ConsoleReply, Refusal> {
    let rows = rows.iter().map(|row| cells(columns, row)).collect::<Result<_, _>>()?;
    Ok(ConsoleReply::Table { columns: columns.to_vec(), rows, tag: "SHOW".to_owned() })
}

fn cells<R: Serialize>(columns: &[&'static str], row: &R) -> Result<Vec<Option<String>>, Refusal> {
    let value = serde_json::to_value(row)
        .map_err(|error| Refusal::new(SqlState::INTERNAL_ERROR, format!("a row cannot be shown: {error}")))?;
    Ok(columns.iter().map(|column| value.get(column).and_then(cell)).collect())
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(cell).collect::<Vec<_>>().join(", ")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        count: u32,
        since: Option<String>,
        targets: Vec<&'static str>,
    }

    #[test]
    fn a_table_takes_the_named_fields_in_order_and_shows_missing_ones_as_null() {
        let rows = [Row { name: "s0", count: 3, since: None, targets: vec!["s1", "s2"] }];
        let reply = table(&["count", "name", "since", "targets", "no_such"], &rows).unwrap();
        let ConsoleReply::Table { columns, rows, tag } = reply else { panic!("a table") };
        assert_eq!(columns.len(), rows[0].len());
        assert_eq!(rows[0], [Some("3".into()), Some("s0".into()), None, Some("s1, s2".into()), None]);
        assert_eq!(tag, "SHOW");
    }

    #[test]
    fn a_table_without_rows_keeps_its_columns() {
        let reply = table::<Row>(&["name"], &[]).unwrap();
        assert_eq!(reply, ConsoleReply::Table { columns: vec!["name"], rows: vec![], tag: "SHOW".into() });
    }
}
