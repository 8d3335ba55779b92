//! PREPARE, EXECUTE and DEALLOCATE over sharded tables, beside the protocol's own statements.

use crate::protocol::both;
use crate::support::{Differential, Pipeline, ProxyOptions};

const BY_KEY: &str = "SELECT customer_id, name, balance FROM customers WHERE customer_id = $1";

#[tokio::test]
async fn statements_are_prepared_and_executed_as_by_postgresql() {
    let (_database, _proxy, mut both) = both("sql_prepared", ProxyOptions::default()).await;
    for sql in [
        &*format!("PREPARE one (bigint) AS {BY_KEY}"),
        &*format!("PREPARE untyped AS {BY_KEY}"),
        "PREPARE \"Quoted\"(numeric(10,2), text) AS SELECT name FROM customers WHERE balance < $1 AND name <> $2",
        "PREPARE every AS SELECT customer_id FROM customers ORDER BY customer_id DESC LIMIT 3",
        "PREPARE add (bigint, text, numeric) AS INSERT INTO customers VALUES ($1, $2, $3)",
        "PREPARE back AS INSERT INTO customers (customer_id, name) VALUES ($1, $2) RETURNING *",
        "PREPARE change AS UPDATE customers SET balance = $2 WHERE customer_id = $1",
        "PREPARE gone AS DELETE FROM customers WHERE customer_id = $1",
        "PREPARE nothing AS SELECT 1 AS one",
        "PREPARE values_only AS VALUES ($1::int, $2::text)",
    ] {
        assert_eq!(both.same(sql).error(), None, "{sql}");
    }
    for sql in [
        "EXECUTE one(7)",
        "EXECUTE one('7')",
        "EXECUTE one(7::smallint)",
        "EXECUTE one(3 + 4)",
        "EXECUTE one((7))",
        "EXECUTE untyped(8);",
        "execute ONE ( 9 ) ;",
        "EXECUTE one(1000)",
        "EXECUTE \"Quoted\"(5, 'name 9')",
        "EXECUTE every",
        "EXECUTE nothing",
        "EXECUTE values_only(-3, NULL)",
        "EXECUTE values_only(007, 5)",
        "EXECUTE values_only('12', E'a\\nb')",
        "EXECUTE values_only(length('abc'), upper('x') || 'y')",
        "EXECUTE add(101, 'new', 1.25)",
        "EXECUTE add(102, NULL, NULL)",
        "EXECUTE add(103, 'it''s', 1e2)",
        "EXECUTE back(104, 'back')",
        "EXECUTE change(101, 7)",
        "EXECUTE change(101, -7)",
        "EXECUTE gone(102)",
    ] {
        assert_eq!(both.same(sql).error(), None, "{sql}");
        both.same("SELECT * FROM customers WHERE customer_id > 100 ORDER BY customer_id");
    }
    both.same("BEGIN; EXECUTE one(1); EXECUTE add(120, 'x', 1); EXECUTE add(121, 'y', 2); ROLLBACK; EXECUTE one(120)");
    both.same("BEGIN");
    both.same("EXECUTE add(120, 'x', 1)");
    both.same("EXECUTE one(100 + 20)");
    both.same("EXECUTE one(1/0)");
    both.same("EXECUTE one(1)");
    both.same("ROLLBACK");
    both.same("EXECUTE one(120)");
}

#[tokio::test]
async fn what_is_wrong_with_them_is_told_as_by_postgresql() {
    let (_database, _proxy, mut both) = both("sql_prepared_errors", ProxyOptions::default()).await;
    both.same(&format!("PREPARE one (bigint) AS {BY_KEY}"));
    both.same("PREPARE two (int, boolean, date) AS SELECT $1, $2, $3");
    for (sql, state) in [
        (&*format!("PREPARE one AS {BY_KEY}"), "42P05"),
        ("PREPARE bad AS SELECT missing FROM customers WHERE customer_id = $1", "42703"),
        ("PREPARE bad AS SELECT * FROM missing", "42P01"),
        ("PREPARE bad (nonsense) AS SELECT $1", "42704"),
        ("PREPARE bad AS SELEC 1", "42601"),
        ("PREPARE bad AS BEGIN", "42601"),
        ("PREPARE bad AS", "42601"),
        ("PREPARE bad () AS SELECT 1", "42601"),
        ("EXECUTE bad", "26000"),
        ("EXECUTE missing(1)", "26000"),
        ("EXECUTE one", "42601"),
        ("EXECUTE one(1, 2)", "42601"),
        ("EXECUTE one(1) more", "42601"),
        ("EXECUTE one()", "42601"),
        ("EXECUTE one('x')", "22P02"),
        ("EXECUTE one(true)", "42804"),
        ("EXECUTE one(99999999999999999999)", "22003"),
        ("EXECUTE one($1)", "42P02"),
        ("EXECUTE one(nonsense)", "42703"),
        ("EXECUTE one(1/0)", "22012"),
        ("EXECUTE two(99999999999, true, '2026-01-01')", "22003"),
        ("EXECUTE two(1, 1, '2026-01-01')", "42804"),
        ("EXECUTE two(1, true, 20260101)", "42804"),
        ("DEALLOCATE missing", "26000"),
    ] {
        assert_eq!(both.same_error(sql).0, state, "{sql}");
    }
    assert_eq!(both.same("EXECUTE two(1, true, '2026-01-01')").error(), None);
    assert_eq!(both.same("EXECUTE two(1, 't', date '2026-01-01' + 1)").error(), None);
    for sql in ["EXECUTE one((SELECT max(customer_id) FROM customers))", "EXECUTE one(nextval('missing'))"] {
        assert!(both.other.simple(sql).error().is_some(), "{sql}");
    }
    // A failed evaluation leaves nothing on the server that the next one stumbles over.
    for _ in 0..10 {
        assert!(both.other.simple("EXECUTE one(1/0)").error().is_some());
        assert_eq!(both.other.simple("EXECUTE one(0 + 1)").rows().len(), 1);
    }
}

#[tokio::test]
async fn sql_and_the_protocol_find_each_others_statements() {
    let (_database, _proxy, mut both) = both("sql_prepared_both", ProxyOptions::default()).await;
    both.same_pipeline("parse", &Pipeline::new().parse("p", BY_KEY).sync(), 1);
    both.same("EXECUTE p(7)");
    assert_eq!(both.same_error("PREPARE p AS SELECT 1").0, "42P05");
    both.same(&format!("PREPARE s AS {BY_KEY}"));
    let new = Pipeline::new;
    for (what, pipeline, replies) in [
        ("bind", new().bind("", "s", &[Some("7")]).describe_portal("").execute("", 0).sync(), 1),
        ("describe", new().describe_statement("s").sync(), 1),
        ("taken", new().parse("s", "SELECT 1").sync(), 1),
        ("execute", new().run("EXECUTE s(7)", &[]).sync(), 1),
        ("described first", new().parse("e", "EXECUTE s(8)").describe_statement("e").sync(), 1),
        ("then run", new().bind("", "e", &[]).execute("", 0).sync(), 1),
        ("in portions", new().bind("", "e", &[]).execute("", 1).execute("", 1).sync(), 1),
        ("prepare", new().run("PREPARE t AS INSERT INTO customers VALUES ($1, 'by t')", &[]).sync(), 1),
        ("write", new().run("EXECUTE t(301)", &[]).run("EXECUTE t(302)", &[]).run("EXECUTE t(303)", &[]).sync(), 1),
        ("undone", new().run("EXECUTE t(304)", &[]).run("EXECUTE t(301)", &[]).sync(), 1),
        ("missing", new().run("EXECUTE missing(1)", &[]).sync(), 1),
        ("a value", new().run("EXECUTE s($1)", &[Some("1")]).sync(), 1),
        ("closed", new().close_statement("s").run("EXECUTE s(7)", &[]).sync(), 1),
    ] {
        both.same_pipeline(what, &pipeline, replies);
        both.same("SELECT customer_id FROM customers WHERE customer_id > 300 ORDER BY customer_id");
    }
    forgets(&mut both, "DEALLOCATE p");
    forgets(&mut both, "DEALLOCATE ALL");
    forgets(&mut both, "DISCARD ALL");
}

fn forgets(both: &mut Differential, sql: &str) {
    both.same(&format!("PREPARE x AS {BY_KEY}"));
    both.same(sql);
    both.same("EXECUTE p(1)");
    both.same("EXECUTE x(1)");
    both.same("DEALLOCATE ALL");
}

#[tokio::test]
async fn explain_execute_says_the_plan_of_the_statement() {
    let (_database, _proxy, mut both) = both("sql_prepared_explain", ProxyOptions::default()).await;
    both.other.simple(&format!("PREPARE one AS {BY_KEY}"));
    both.other.simple("PREPARE add AS INSERT INTO customers (customer_id) VALUES ($1)");
    let plan = both.other.simple("EXPLAIN (COSTS OFF) EXECUTE one(7)");
    let lines: Vec<String> = plan.rows().into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert!(lines.concat().contains("customers"), "{plan:?}");
    assert_eq!(plan.tags(), ["EXPLAIN"]);
    let route = both.other.simple("EXPLAIN (ROUTE) EXECUTE one(7)");
    let same = both.other.simple("EXPLAIN (ROUTE) SELECT customer_id FROM customers WHERE customer_id = 7");
    assert_eq!(route.rows()[0], same.rows()[0]);
    // Only ANALYZE runs it.
    assert_eq!(both.other.simple("EXPLAIN EXECUTE add(500)").error(), None);
    assert_eq!(both.other.simple("EXECUTE one(500)").rows().len(), 0);
    assert_eq!(both.other.simple("EXPLAIN ANALYZE EXECUTE add(500)").error(), None);
    assert_eq!(both.other.simple("EXECUTE one(500)").rows().len(), 1);
    assert_eq!(both.other.simple("EXPLAIN EXECUTE missing(1)").error().unwrap().0, "26000");
    let extended = Pipeline::new().run("EXPLAIN EXECUTE one(7)", &[]).sync().send(&mut both.other, 1).remove(0);
    assert_eq!((extended.error(), extended.tags()), (None, vec!["EXPLAIN".to_owned()]));
}

#[tokio::test]
async fn a_statement_of_sql_fails_too_where_its_columns_changed() {
    let (_database, _proxy, mut both) = both("sql_prepared_columns", ProxyOptions::default()).await;
    both.same("PREPARE star AS SELECT * FROM customers WHERE customer_id = $1");
    both.same("PREPARE names AS SELECT name FROM customers WHERE customer_id = $1");
    both.same("EXECUTE star(1)");
    both.same("ALTER TABLE customers ADD COLUMN extra int DEFAULT 3");
    assert_eq!(both.same_error("EXECUTE star(1)").0, "0A000");
    assert_eq!(both.same("EXECUTE names(1)").error(), None);
    both.same("DEALLOCATE star");
    both.same("PREPARE star AS SELECT * FROM customers WHERE customer_id = $1");
    assert_eq!(both.same("EXECUTE star(1)").rows()[0].len(), 4);
}
