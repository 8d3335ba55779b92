//! Reads whose rows only PostgreSQL can compare: text in other collations than by bytes, and types of all sorts.

use crate::protocol::both;
use crate::support::{Differential, Pipeline, ProxyOptions, Reply};

/// Columns that no merge of the proxy compares.
const COLUMNS: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy')",
    "ALTER TABLE customers ADD COLUMN label text COLLATE \"en-x-icu\", ADD COLUMN mood mood, ADD COLUMN seen inet, \
     ADD COLUMN span interval, ADD COLUMN tags text[]",
];
const LABELS: [&str; 6] = ["apple", "Apple", "zebra", "Äpfel", "ápple", "Zoo"];

fn fill(row: usize) -> String {
    let label = format!("'{}{}'", LABELS[row % 6], row / 6);
    let mood = ["sad", "happy", "fine"][row % 3];
    let label = if row == 7 { "NULL" } else { &label };
    format!(
        "UPDATE customers SET label = {label}, mood = '{mood}', seen = '10.0.{}.1', span = '{} hours', \
         tags = ARRAY['t{}'] WHERE customer_id = {row}",
        row * 37 % 30,
        row * 11 % 17,
        row * 7 % 10
    )
}

const READS: &[&str] = &[
    "SELECT customer_id, label FROM customers ORDER BY label",
    "SELECT label FROM customers ORDER BY label DESC NULLS LAST LIMIT 7 OFFSET 2;",
    "SELECT label AS other, label AS other, customer_id + 1 FROM customers ORDER BY customer_id % 3, label -- end",
    "SELECT customer_id, balance, tags FROM customers ORDER BY label COLLATE \"C\" DESC, customer_id",
    "SELECT customer_id FROM customers ORDER BY lower(label), customer_id",
    "SELECT DISTINCT upper(left(label, 2)) AS start FROM customers ORDER BY start",
    "SELECT min(label), max(label), max(seen), count(*) FROM customers",
    "SELECT left(label, 1) AS mood, count(*), sum(balance), avg(balance), avg(customer_id), max(label), avg(span) FROM customers GROUP BY left(label, 1) ORDER BY mood",
    "SELECT left(label, 1) AS l, count(*) FROM customers GROUP BY left(label, 1) ORDER BY l",
    "SELECT min(label), avg(span), sum(customer_id), bool_and(balance > 0) FROM customers WHERE false",
    "SELECT customer_id, seen, tags FROM customers ORDER BY seen, customer_id LIMIT 4",
    "SELECT span, tags FROM customers WHERE customer_id IN (3, 8, 11, 19) ORDER BY span DESC, tags",
    "SELECT customer_id FROM customers ORDER BY name, customer_id LIMIT 3",
    "SELECT count(*), sum(balance) FROM customers",
];
/// Reads that return a type of the users' own, whose number differs from server to server.
const OWN_TYPE_READS: &[&str] = &[
    "SELECT * FROM customers ORDER BY label COLLATE \"C\" DESC, customer_id",
    "SELECT DISTINCT mood FROM customers ORDER BY mood DESC",
    "SELECT mood, min(mood), max(span), count(*) FROM customers GROUP BY mood ORDER BY mood",
];

#[tokio::test]
async fn text_and_types_of_all_sorts_are_merged_as_by_postgres() {
    let (_database, proxy, mut both) = both("home_merge", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    for sql in COLUMNS {
        both.same(sql);
    }
    for row in 1..=30 {
        both.same(&fill(row));
    }
    for sql in READS {
        answered(&both.same(sql), sql);
    }
    for sql in OWN_TYPE_READS {
        assert_eq!(both.other.simple(sql).rows(), both.plain.simple(sql).rows(), "{sql}");
    }
    both.same("BEGIN");
    both.same("INSERT INTO customers (customer_id, name, label, mood) VALUES (31, 'new', 'Banana', 'fine')");
    for sql in READS {
        answered(&both.same(sql), sql);
    }
    both.same("SAVEPOINT here");
    both_fail(&mut both, "SELECT label, 1 / (customer_id - 5) FROM customers ORDER BY label");
    both.same("ROLLBACK TO here");
    both.same("SELECT label FROM customers ORDER BY label LIMIT 2");
    both.same("ROLLBACK");
    both_fail(&mut both, "SELECT label, 1 / (customer_id - 5) FROM customers ORDER BY label");
    let left = "/* shardloom: shard=s0 */ SELECT count(*) FROM pg_class WHERE relname = 'shardloom_rows'";
    assert_eq!(proxy.raw().simple(left).rows(), [[Some("0".to_owned())]], "nothing is left behind");
}

#[tokio::test]
async fn bound_statements_get_each_column_in_its_format() {
    let (_database, _proxy, mut both) =
        both("home_merge_bound", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    for sql in COLUMNS {
        both.same(sql);
    }
    for row in 1..=30 {
        both.same(&fill(row));
    }
    for (sql, values, formats) in [
        ("SELECT customer_id, label FROM customers WHERE customer_id > $1 ORDER BY label", vec![Some("4")], vec![]),
        ("SELECT customer_id, label FROM customers WHERE customer_id > $1 ORDER BY label", vec![Some("4")], vec![1]),
        (
            "SELECT customer_id, label FROM customers WHERE label > $1 ORDER BY label LIMIT $2",
            vec![Some("b"), Some("3")],
            vec![1, 0],
        ),
        ("SELECT label FROM customers ORDER BY balance DESC, customer_id LIMIT 3", vec![], vec![1]),
        // Hidden columns, sums behind averages: the formats belong to what the client sees.
        ("SELECT customer_id, balance FROM customers ORDER BY customer_id % 4, customer_id", vec![], vec![1, 0]),
        ("SELECT avg(customer_id), count(*) FROM customers", vec![], vec![0, 1]),
        ("SELECT tags, avg(span), avg(balance) FROM customers GROUP BY tags ORDER BY tags", vec![], vec![0, 1, 0]),
    ] {
        let pipeline = Pipeline::new()
            .parse("", sql)
            .bind_for("", "", &values, &formats)
            .describe_portal("")
            .execute("", 0)
            .sync();
        let replies = both.same_pipeline(sql, &pipeline, 1);
        answered(&replies[0], sql);
    }
}

#[tokio::test]
async fn more_rows_than_may_be_gathered_are_refused() {
    let options =
        ProxyOptions { workers: 1, config: "limits: {gather_rows: 30}".to_owned(), ..ProxyOptions::default() };
    let (_database, proxy, mut both) = both("home_merge_bound_rows", options).await;
    for sql in COLUMNS {
        both.same(sql);
    }
    both.same("SELECT customer_id FROM customers ORDER BY label, customer_id");
    both.same("INSERT INTO customers (customer_id) VALUES (31)");
    both.same("SELECT customer_id FROM customers ORDER BY label, customer_id LIMIT 9");
    let reply = proxy.raw().simple("SELECT customer_id FROM customers ORDER BY label, customer_id");
    let (state, message) = reply.error().expect("31 rows are one too many");
    assert_eq!((state.as_str(), reply.status), ("54000", 'I'), "{message}");
    both.same("SELECT customer_id FROM customers ORDER BY label, customer_id LIMIT 9");
}

fn answered(reply: &Reply, sql: &str) {
    assert_eq!(reply.error(), None, "{sql}");
}

/// PostgreSQL has told the columns when the first row fails.
fn both_fail(both: &mut Differential, sql: &str) {
    let (expected, found) = (both.plain.simple(sql), both.other.simple(sql));
    assert!(expected.error().is_some(), "{sql}");
    assert_eq!((found.error(), found.status), (expected.error(), expected.status), "{sql}");
}
