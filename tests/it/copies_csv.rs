//! COPY FROM STDIN in csv and with header lines, beside one PostgreSQL: the same data give the same rows or fail in both.

use crate::support::{Differential, Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: rows
key: {type: bigint}
tables:
  rows: {key: id}
  tickets: {key: owner, id: {column: ticket, tag: ticket}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: names
key: {type: text}
tables:
  names: {key: name}
missing_key: {read: scatter, write: scatter}
---
kind: Ids
tags: {ticket: 1}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

/// The same tables, split inside of each shard.
const SPLIT_RULES: &str = r#"
kind: TableGroup
name: rows
key: {type: bigint}
tables:
  rows: {key: id, split: {into: 3, pattern: "rows_{0}"}}
  tickets: {key: owner, id: {column: ticket, tag: ticket}, split: {by: ticket, into: 3, pattern: "tickets_{0}"}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: names
key: {type: text}
tables:
  names: {key: name, split: {into: 2, pattern: "names_{0}"}}
missing_key: {read: scatter, write: scatter}
---
kind: Ids
tags: {ticket: 1}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

const SCHEMA: [&str; 3] = [
    "CREATE TABLE rows (id bigint NOT NULL, n int, t text)",
    "CREATE TABLE tickets (ticket bigint NOT NULL, owner bigint NOT NULL, title text)",
    "CREATE TABLE names (name text NOT NULL, v text)",
];

async fn start(label: &str, rules: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let proxy = Proxy::start(&database, rules, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let mut both = Differential::through(&proxy, &database);
    for sql in SCHEMA {
        both.same(sql);
    }
    (database, proxy, both)
}

/// Copies data in messages of this length; returns the tag or the SQLSTATE.
fn feed(client: &mut RawClient, sql: &str, data: &str, length: usize) -> String {
    Pipeline::new().query(sql).send_only(client);
    let mut end = String::new();
    loop {
        match client.message() {
            ('G', body) => {
                assert_eq!(body[0], 0, "text");
                let parts = data.as_bytes().chunks(length);
                let messages = parts.fold(Pipeline::new(), |all, part| all.message(b'd', part));
                messages.message(b'c', &[]).send_only(client);
            }
            ('C', body) => end.push_str(&String::from_utf8_lossy(&body)),
            ('E', body) => {
                let fields = String::from_utf8_lossy(&body).into_owned();
                end.push_str(fields.split('\0').find_map(|field| field.strip_prefix('C')).unwrap_or_default());
            }
            ('Z', _) => return end,
            (_, _) => {}
        }
    }
}

/// Copies the same data both ways and compares what the tables have then.
fn same_rows(both: &mut Differential, sql: &str, data: &str, length: usize) -> [String; 2] {
    let ends = [&mut both.plain, &mut both.other].map(|client| feed(client, sql, data, length));
    let failed = ends.each_ref().map(|end| !end.starts_with("COPY"));
    assert_eq!(failed[0], failed[1], "{sql} of {data:?} in {length}: {ends:?}");
    if !failed[0] {
        assert_eq!(ends[0], ends[1], "{sql} of {data:?}");
        both.same("SELECT id, n, t FROM rows ORDER BY id, n, t");
        both.same("SELECT name, v FROM names ORDER BY name COLLATE \"C\", v COLLATE \"C\"");
        both.same("TRUNCATE rows, names");
    }
    ends
}

/// Options, data, and the SQLSTATE of data that fail.
const CASES: [(&str, &str, &str); 32] = [
    ("rows FROM STDIN CSV", "1,2,a\n2,3,b\n3,4,c\n", ""),
    ("rows FROM STDIN CSV", "1,2,a\n2,3,b", ""),
    ("rows FROM STDIN CSV", "1,2,\"a\nb\"\n2,3,\"x\"\"y,z\"\n5,,\n6,,\"\"\n", ""),
    ("rows FROM STDIN CSV", "\"1\",\"2\",a\"b\"c\n 2 , 3 , d \n", ""),
    ("rows FROM STDIN CSV", "1,2,a\r\n2,3,\"b\nc\r\n\"\r\n4,5,d", ""),
    ("rows FROM STDIN CSV", "1,2,a\r2,3,b\r", ""),
    ("rows FROM STDIN CSV", "1,2,a\n2,3,b\r\n", "22P04"),
    ("rows FROM STDIN CSV", "1,2,a\r\n2,3,b\n", "22P04"),
    ("rows FROM STDIN CSV", "1,2,\"a\n2,3,b\n", "22P04"),
    ("rows FROM STDIN CSV", "1,2,a\n2,3\n", "22P04"),
    ("rows FROM STDIN CSV", "1,2,a\n2,3,b,c\n", "22P04"),
    ("rows FROM STDIN CSV", "1,2,a\nx,3,b\n", "22P02"),
    ("rows FROM STDIN CSV", "1,2,a\n,3,b\n", "23502"),
    ("rows FROM STDIN CSV", "1,2,a\n\\.\nnothing of this\n", ""),
    ("rows FROM STDIN CSV", "1,2,\"\\.\"\n2,3,\\.\n", ""),
    ("rows FROM STDIN CSV", "", ""),
    ("rows FROM STDIN CSV HEADER", "id,n,t\n1,2,a\n2,3,b\n", ""),
    ("rows FROM STDIN CSV HEADER", "\"i\nd\",what,ever\n1,2,a\n9,3,b\n", ""),
    ("rows FROM STDIN CSV HEADER", "id,n,t", ""),
    ("rows FROM STDIN (FORMAT csv, HEADER match)", "id,n,t\n1,2,a\n2,3,b\n", ""),
    ("rows FROM STDIN (FORMAT csv, HEADER match)", "id,t,n\n1,2,a\n", "22P04"),
    ("rows (t, id) FROM STDIN (FORMAT csv, HEADER match, DELIMITER ';')", "t;id\na;1\n\"b;c\";2\n", ""),
    (
        "rows FROM STDIN (FORMAT csv, QUOTE '''', ESCAPE '!', NULL 'nil')",
        "1,nil,'a!'b!!'\n2,'3','nil'\n3,nil,nil\n",
        "",
    ),
    ("rows FROM STDIN (FORMAT csv, NULL '7', FORCE_NULL (n))", "1,\"7\",7\n2,7,\"7\"\n", ""),
    ("rows FROM STDIN (FORMAT csv, NULL '7', FORCE_NOT_NULL (id, n))", "7,7,7\n2,1,\"7\"\n", ""),
    ("rows FROM STDIN (FORMAT csv, NULL '7', FORCE_NULL (id))", "1,1,7\n\"7\",1,a\n", "23502"),
    ("names FROM STDIN CSV", "a,1\n\"\",2\n\"b\nc\",3\n é ,4\n", ""),
    ("names FROM STDIN CSV FORCE NOT NULL name, v", "a,1\n,2\n", ""),
    ("rows FROM STDIN (HEADER)", "id\tn\tt\n1\t2\ta\\nb\n2\t\\N\t\\N\n", ""),
    ("rows FROM STDIN (HEADER match, DELIMITER '|', NULL '')", "id|n|t\n1|2|a\n2||b\n", ""),
    ("rows FROM STDIN (HEADER match)", "id\tx\tt\n1\t2\ta\n", "22P04"),
    ("rows FROM STDIN (FORMAT csv, QUOTE 'ab')", "1\n", "0A000"),
];

async fn cases(label: &str, rules: &str) {
    let (_database, _proxy, mut both) = start(label, rules).await;
    for (head, data, state) in CASES {
        for length in [1, 5, 1000] {
            let ends = same_rows(&mut both, &format!("COPY {head}"), data, length);
            let wanted = |end: &String| if state.is_empty() { end.starts_with("COPY") } else { end == state };
            assert!(ends.iter().all(wanted), "{head} of {data:?}: {ends:?}");
        }
    }
}

#[tokio::test]
async fn csv_and_headers_are_split_as_one_server_reads_them() {
    cases("copy_csv", RULES).await;
}

#[tokio::test]
async fn csv_goes_into_split_tables() {
    cases("copy_csv_split", SPLIT_RULES).await;
}

/// A row of numbers that is the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Fields that may be anything, in rows that mostly have three.
fn random_data(numbers: &mut Numbers) -> String {
    let end = numbers.one(&["\n", "\n", "\r\n", "\r"]);
    let mut data = String::new();
    for row in 0..numbers.below(5) {
        let key = ["1", "\"2\"", "'3'", "44", " 5", "\"6", "7\"\"", ""][numbers.below(if row == 0 { 5 } else { 8 })];
        let values = ["", "8", "\"9\"", "'1'", "x", "\"\"", "\\"];
        let texts =
            ["a", "\"b\nc\"", "'d\n,e'", "\"f\"\"g\"", "'h!'i'", "\\.", "", "\"", "!", "\"j!\"", "k\rl", "\"m,\""];
        data.push_str(&format!("{key},{},{}", numbers.one(&values[..4]), numbers.one(&texts)));
        data.push_str(if numbers.below(30) == 0 { numbers.one(&["", ",", "\n", "\r", "\\.\n"]) } else { end });
    }
    data
}

#[tokio::test]
async fn random_csv_is_read_alike() {
    let (_database, _proxy, mut both) = start("copy_csv_random", RULES).await;
    let mut numbers = Numbers(7);
    let mut copied = 0;
    for _ in 0..300 {
        let options =
            numbers.one(&["", ", QUOTE ''''", ", ESCAPE '!'", ", QUOTE '''', ESCAPE '!'", ", HEADER", ", NULL 'x'"]);
        let sql = format!("COPY rows FROM STDIN (FORMAT csv{options})");
        let data = random_data(&mut numbers);
        let length = 1 + numbers.below(20);
        copied += usize::from(same_rows(&mut both, &sql, &data, length)[0].starts_with("COPY"));
    }
    assert!((60..280).contains(&copied), "{copied} of 300 were copied");
}

#[tokio::test]
async fn ids_are_made_for_csv_rows() {
    for (label, rules) in [("copy_csv_ids", RULES), ("copy_csv_ids_split", SPLIT_RULES)] {
        let (_database, _proxy, mut both) = start(label, rules).await;
        for (head, data) in [
            ("FROM STDIN CSV", "1,a\n2,\"b\nc\"\n3,\"\"\n"),
            ("FROM STDIN (FORMAT csv, HEADER match, DELIMITER ';')", "owner;title\r\n4;d\r\n5;e\r\n"),
            ("FROM STDIN (FORMAT csv, DELIMITER '1', QUOTE '''')", "61f\n71'g'"),
            ("FROM STDIN (HEADER match)", "owner\ttitle\n8\th\n9\ti\n"),
        ] {
            let end = feed(&mut both.other, &format!("COPY tickets (owner, title) {head}"), data, 3);
            assert!(end.starts_with("COPY "), "{head}: {end}");
        }
        let found = both.other.simple("SELECT owner, title FROM tickets WHERE ticket > 1000 ORDER BY owner").rows();
        assert_eq!(found.len(), 9, "{found:?}");
        assert_eq!(found[1][1].as_deref(), Some("b\nc"));
        assert_eq!(found[2][1].as_deref(), Some(""));
        for data in ["1\n", "1,a,b\n", "1,\"a\n"] {
            let state = feed(&mut both.other, "COPY tickets (owner, title) FROM STDIN CSV", data, 9);
            assert!(state.starts_with("22P0"), "{data:?}: {state}");
        }
    }
}
