//! Right or refused: the same statements on one plain PostgreSQL and through the proxy over three shards give the same
//! rows, tags and errors, or the proxy refuses with a SQLSTATE, a reason and a hint.
//!
//! The statements are blocks in `differential/*.sql` (`blocks.rs` says how they are written): a new case is a new
//! block. Each file runs through the simple protocol and through the extended one, with values in text and in binary.

mod blocks;
mod compare;
mod extended;
mod generated;
mod matrix;
mod passes;
mod random;
mod split;

use passes::{Pass, run};

/// Declares one test per statement file.
macro_rules! statement_files {
    ($($name:ident)*) => {
        $(
        #[tokio::test]
        async fn $name() {
            let text = include_str!(concat!("differential/", stringify!($name), ".sql"));
            for pass in [Pass::Simple, Pass::Text, Pass::Binary] {
                run(stringify!($name), text, pass).await;
            }
        }
        )*

        #[test]
        fn the_published_matrix_is_current() {
            matrix::is_current(&[$((stringify!($name), include_str!(concat!("differential/", stringify!($name), ".sql")))),*]);
        }
    };
}

statement_files! {
    direct_reads
    merged_reads
    gathered_reads
    rows_by_key
    questions
    puzzles
    known_wrong_answers
    hidden
    inserts
    changes
    reads_first
    merges
    with_writes
    schema_changes
    transactions
    query_strings
    errors
    other_tables
    settings
}
