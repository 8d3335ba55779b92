//! Key columns of another type than the rules say: values that PostgreSQL calls equal there must not live apart.

use super::{Sharded, copy_in};

const RULES: &str = r#"
kind: TableGroup
name: texts
key: {type: text}
tables:
  padded: {key: k}
  ids: {key: k}
  numbers: {key: k}
  coded: {key: k}
  short: {key: k}
  loose: {key: k}
missing_key: {read: scatter, write: scatter}
"#;

const SCHEMA: [&str; 8] = [
    "CREATE DOMAIN code AS text",
    "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "CREATE TABLE loose (k text COLLATE any_case PRIMARY KEY, v int)",
    "CREATE TABLE padded (k char(5) PRIMARY KEY, v int)",
    "CREATE TABLE ids (k uuid PRIMARY KEY, v int)",
    "CREATE TABLE numbers (k int PRIMARY KEY, v int)",
    "CREATE TABLE coded (k code PRIMARY KEY, v int)",
    "CREATE TABLE short (k varchar(5) PRIMARY KEY, v int)",
];

#[tokio::test]
async fn rows_are_not_placed_by_keys_that_compare_otherwise() {
    let mut test = Sharded::start("algorithm_key_types", RULES, &SCHEMA).await;
    for (table, key) in
        [("padded", "a "), ("ids", "AAAAAAAA-0000-0000-0000-000000000001"), ("numbers", "01"), ("loose", "A")]
    {
        test.refused(&format!("INSERT INTO {table} VALUES ('{key}', 1)"), "0A000");
        let copied = copy_in(&mut test.both, &format!("COPY {table} FROM STDIN"), &format!("{key}\t1\n"));
        assert_eq!(copied, ["COPY 1", "0A000"], "{table}");
        // Whoever has put rows there finds them all.
        let found = test.route(&format!("SELECT * FROM {table} WHERE k = '{key}'"));
        assert_eq!(found, "Scatter over s0, s1, s2", "{table}");
    }
    for table in ["coded", "short"] {
        test.both.same(&format!("INSERT INTO {table} VALUES ('a', 1), ('b', 2)"));
        test.both.same(&format!("SELECT * FROM {table} WHERE k = 'a'"));
        assert!(test.route(&format!("SELECT * FROM {table} WHERE k = 'a'")).starts_with("Direct on "), "{table}");
    }
}
