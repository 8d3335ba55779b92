//! Columns that every table has of its own: a row has others in another table, and constants have none.

/// Tells whether a column has one of these names.
pub(super) fn is_system_column(name: &str) -> bool {
    ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"].contains(&name)
}
