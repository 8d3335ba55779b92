//! Printing: JSON as it is, or tables for people.

use std::io::Write;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::Value;

/// Prints one line on standard output. A reader that went away (`| head`) is no error.
pub fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints `value` as JSON.
pub fn json(value: &Value) {
    line(serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()));
}

/// Prints an array of objects as a table with these columns, or `empty` when there is none.
pub fn table(columns: &[&str], rows: &Value, empty: &str) {
    match rows.as_array() {
        Some(rows) if !rows.is_empty() => line(render(columns, rows)),
        Some(_) | None => line(empty),
    }
}

fn render(columns: &[&str], rows: &[Value]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(columns.to_vec());
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(row.get(column).unwrap_or(&Value::Null))));
    }
    table.to_string()
}

/// Shows one value without quotes; NULL is nothing.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_shows_the_columns_asked_for_and_nothing_for_null() {
        let rows = [json!({"name": "s0", "state": null, "hidden": "x", "targets": ["a", "b"]})];
        let text = render(&["name", "state", "targets"], &rows);
        assert!(text.contains("s0") && text.contains("a, b"), "{text}");
        assert!(!text.contains("null") && !text.contains('x'), "{text}");
    }
}
