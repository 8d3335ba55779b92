//! What the matrix says, in files: one per driver, and the tables of docs/drivers.md made of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::matrix::{Results, root};

/// The drivers, in the order of the tables' columns.
pub const DRIVERS: [&str; 9] = ["psycopg", "jdbc", "asyncpg", "node", "pgx", "sqlx", "psql", "sqlalchemy", "django"];

/// The features in the order of the tables' rows; a program may say nothing of a feature that its driver lacks.
const FEATURES: [(&str, &str); 37] = [
    ("simple", "simple queries, several statements in one"),
    ("extended", "extended queries"),
    ("prepared", "named prepared statements over many transactions"),
    ("binary", "binary parameters and results"),
    ("nulls", "NULL in and out"),
    ("arrays", "arrays"),
    ("numeric", "numeric"),
    ("timestamptz", "timestamptz"),
    ("bytea", "bytea"),
    ("json", "json and jsonb"),
    ("errors", "errors with SQLSTATE, and going on after them"),
    ("notices", "notices"),
    ("transactions", "commit and rollback"),
    ("savepoints", "savepoints"),
    ("isolation", "isolation levels"),
    ("batch", "batches, pipelines"),
    ("batch_error", "an error in the middle of a batch"),
    ("fetch_size", "results in portions (portals)"),
    ("server_cursor", "cursors in SQL"),
    ("hold_cursor", "cursors WITH HOLD"),
    ("copy_in", "COPY in"),
    ("copy_out", "COPY out"),
    ("copy_fail", "COPY given up and COPY refused"),
    ("listen", "LISTEN and NOTIFY"),
    ("cancel", "cancel"),
    ("timeout", "statement timeout"),
    ("set_reset", "SET, SHOW, RESET"),
    ("large_row", "rows of 1 MB"),
    ("many_rows", "results of 10,000 rows"),
    ("pool", "the driver's pool"),
    ("ddl", "DDL between executions of a prepared statement"),
    ("ddl_columns", "the same, where it changes the columns of the result (`SELECT *`)"),
    ("returning", "RETURNING, generated keys"),
    ("two_phase", "two-phase commit of the client's own"),
    ("describe", "the \\d family"),
    ("orm", "ORM models"),
    ("migrations", "migrations"),
];

/// Only one test writes at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// Holds what `driver` says against its file; with `UPDATE_DRIVERS` writes it, and the document, anew.
pub fn hold(driver: &str, version: &str, sharded: &Results, unsharded: &Results) {
    let text = render(version, sharded, unsharded);
    let path = file(driver);
    if std::env::var_os("UPDATE_DRIVERS").is_some() {
        let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(&path, &text).unwrap();
        std::fs::write(document(), with_tables(&std::fs::read_to_string(document()).unwrap())).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, held, "{} (UPDATE_DRIVERS=1 writes it anew)", path.display());
}

#[test]
fn the_document_shows_the_matrix() {
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(document()).unwrap();
    assert!(text == with_tables(&text), "docs/drivers.md is not what the matrix says; UPDATE_DRIVERS=1 writes it anew");
}

/// Returns the lines of a driver's file: its version, then `feature: sharded, unsharded`.
fn render(version: &str, sharded: &Results, unsharded: &Results) -> String {
    let known: BTreeSet<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
    let said: BTreeSet<&str> = sharded.keys().chain(unsharded.keys()).map(String::as_str).collect();
    assert_eq!(said.difference(&known).next(), None, "a feature without a row in the document");
    let result = |results: &Results, name: &str| results.get(name).map_or("-".to_owned(), String::clone);
    let mut text = format!("{version}\n");
    for (name, _) in FEATURES.iter().filter(|(name, _)| said.contains(name)) {
        text.push_str(&format!("{name}: {}, {}\n", result(sharded, name), result(unsharded, name)));
    }
    text
}

/// Returns the document's text with its tables made anew.
fn with_tables(text: &str) -> String {
    const BEGIN: &str = "<!-- matrix: made by the tests -->\n";
    const END: &str = "<!-- end of matrix -->\n";
    let (head, rest) = text.split_once(BEGIN).expect("the matrix's begin");
    let (_, tail) = rest.split_once(END).expect("the matrix's end");
    format!("{head}{BEGIN}{}{END}{tail}", tables())
}

/// Returns one table: a row per feature, a column per driver, `sharded / unsharded` in each cell.
fn tables() -> String {
    let texts: Vec<String> =
        DRIVERS.iter().map(|name| std::fs::read_to_string(file(name)).unwrap_or_default()).collect();
    let columns: Vec<&str> = texts.iter().filter(|text| !text.is_empty()).map(String::as_str).collect();
    let heads: Vec<&str> = columns.iter().filter_map(|text| text.lines().next()).collect();
    let mut table = format!("| feature | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for (name, title) in FEATURES {
        let cells: Vec<String> = columns.iter().map(|text| cell(text, name)).collect();
        if cells.iter().any(|cell| cell != "–") {
            table.push_str(&format!("| {title} | {} |\n", cells.join(" | ")));
        }
    }
    table
}

/// Returns the cell of one driver and feature.
fn cell(text: &str, name: &str) -> String {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let Some((sharded, unsharded)) = found.and_then(|found| found.split_once(", ")) else { return "–".to_owned() };
    let sign = |result: &str| match result {
        "ok" => "✓".to_owned(),
        "-" => "–".to_owned(),
        refused => refused.replace("refused ", ""),
    };
    format!("{} / {}", sign(sharded), sign(unsharded))
}

fn file(driver: &str) -> PathBuf {
    root().join("tests/drivers").join(driver).join("matrix.txt")
}

fn document() -> PathBuf {
    root().join("docs/drivers.md")
}
