//! What UPDATE and DELETE read first, and what they leave refused.

use super::gathered::catalog;
use super::*;

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let (rules, catalog) = (rules(), catalog());
    for (text, expected) in cases {
        let found = match plan_beside(text, Parameters::default(), &rules, &catalog) {
            Ok(Plan::Carry(carry)) => {
                let CarryForm::Query { brought, refusal } = carry.form else { panic!("{text}: not a query's rows") };
                assert!(!refusal.reason.is_empty(), "{text}");
                format!("{} -> {}", &text[brought.span], carry.source)
            }
            other => render(other, &rules),
        };
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn a_query_that_means_the_same_by_itself_is_read_first() {
    check(&[
        (
            "DELETE FROM loose WHERE v IN (SELECT region FROM orders WHERE total > 5)",
            "(SELECT region FROM orders WHERE total > 5) -> SELECT region FROM orders WHERE total > 5",
        ),
        (
            "DELETE FROM loose WHERE k IN (SELECT age FROM people)",
            "IN (SELECT age FROM people) -> SELECT age FROM people",
        ),
        (
            "UPDATE loose l SET v = 1 WHERE v > 2 AND l.k = (SELECT max(age) FROM people)",
            "= (SELECT max(age) FROM people) -> SELECT max(age) FROM people",
        ),
        // Not a condition by itself: it may bind nothing.
        (
            "UPDATE loose SET v = 1 WHERE k + k IN (SELECT age FROM people)",
            "(SELECT age FROM people) -> SELECT age FROM people",
        ),
        (
            "UPDATE orders SET total = 1 WHERE user_id IN (SELECT age FROM people)",
            "IN (SELECT age FROM people) -> SELECT age FROM people",
        ),
        // The inner one, where the outer one names a column from around it.
        (
            "DELETE FROM loose WHERE EXISTS (SELECT FROM people p WHERE p.age = loose.v AND p.name IN (SELECT note FROM orders))",
            "(SELECT note FROM orders) -> SELECT note FROM orders",
        ),
    ]);
}

#[test]
fn else_a_table_is_read_first_with_the_columns_that_matter() {
    check(&[
        (
            "UPDATE loose SET v = o.total FROM orders o WHERE o.region = loose.v",
            "orders -> SELECT \"total\", \"region\" FROM orders",
        ),
        ("DELETE FROM loose USING people WHERE people.age = v", "people -> SELECT \"age\" FROM people"),
        (
            "UPDATE loose SET v = (SELECT max(p.age) FROM public.people p WHERE p.name = loose.w)",
            "public.people -> SELECT \"name\", \"age\" FROM public.people",
        ),
        ("DELETE FROM loose a USING loose b WHERE a.v = b.v", "loose -> SELECT \"v\" FROM loose"),
    ]);
}

#[test]
fn what_would_mean_something_else_is_refused() {
    check(&[
        (
            "DELETE FROM loose WHERE v IN (SELECT total FROM orders FOR UPDATE)",
            "(SELECT total FROM orders FOR UPDATE) -> SELECT total FROM orders FOR UPDATE",
        ),
        ("UPDATE loose SET w = (SELECT max(p::text) FROM people p WHERE p.age = v)", "refused not_colocated"),
        ("UPDATE loose SET w = (SELECT max(p.ctid) FROM people p WHERE p.age = v)", "refused not_colocated"),
        ("UPDATE loose SET w = (SELECT max(public.people.name) FROM people WHERE age = v)", "refused not_colocated"),
        ("UPDATE loose SET w = (SELECT max(name COLLATE \"C\") FROM people)", "people -> SELECT \"name\" FROM people"),
        ("UPDATE loose SET w = (SELECT max(sorted) FROM regions2)", "refused different_shards"),
        (
            "DELETE FROM loose WHERE EXISTS (WITH people AS (SELECT 1) SELECT FROM orders o WHERE o.total = loose.v)",
            "refused not_colocated",
        ),
        ("DELETE FROM loose WHERE v IN (SELECT nothing FROM orders)", "orders -> SELECT user_id FROM orders"),
        // Only a query of the key makes it known.
        (
            "DELETE FROM orders WHERE total IN (SELECT age FROM people)",
            "(SELECT age FROM people) -> SELECT age FROM people",
        ),
        ("DELETE FROM orders WHERE total > 5", "refused missing_sharding_key"),
        (
            "DELETE FROM strict WHERE v IN (SELECT age FROM people)",
            "(SELECT age FROM people) -> SELECT age FROM people",
        ),
    ]);
}
