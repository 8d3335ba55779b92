//! Columns that every table has of its own: a row has others in another table, and constants have none.

/// Their names.
pub(super) const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

/// Tells whether a column has one of these names.
pub(super) fn is_system_column(name: &str) -> bool {
    SYSTEM_COLUMNS.contains(&name)
}
