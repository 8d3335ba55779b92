//! Nesting that no statement of an application has must not cost the process its stack, nor quadratic time.

use super::*;

/// As many as 64 KiB of text hold; longer texts nest no deeper than that either way.
const DEPTH: usize = 30_000;

/// Reads a statement on a stack of a worker's size.
fn read(text: String) {
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
        let rules = rules();
        render(plan_of(&text, Parameters::default(), &rules), &rules)
    });
    thread.expect("a thread").join().expect("it neither panics nor overflows");
}

#[test]
fn nesting_costs_no_stack() {
    let nested = |open: &str, inner: &str, close: &str| [&open.repeat(DEPTH), inner, &close.repeat(DEPTH)].concat();
    for text in [
        format!("insert into orders (user_id) values ({})", nested("(", "1", ")")),
        format!("insert into orders (user_id) values ({})", nested("cast(", "1", " as int)")),
        format!("insert into orders (user_id) values (1{})", "::int".repeat(DEPTH)),
        format!("insert into orders (user_id) values ({}1)", "- ".repeat(DEPTH)),
        format!("insert into orders (user_id) {}", nested("(", "select 1", ")")),
        format!("select * from orders where user_id = {}", nested("(", "1", ")")),
        format!("select * from {} o where user_id = 1", nested("(", "select * from orders", ")")),
        format!("select * from orders where {} user_id = 1", "not ".repeat(DEPTH)),
        format!("select * from orders where user_id = 1{}", " and true".repeat(DEPTH)),
        format!("select * from orders where user_id = 1{}", " or user_id = 1".repeat(DEPTH)),
        format!("select 1{} from orders", " + 1".repeat(DEPTH)),
        format!("select case {} end from orders", "when true then 1 ".repeat(DEPTH)),
        format!("select * from orders where user_id = {}1{}", "array[".repeat(DEPTH), "]".repeat(DEPTH)),
        format!("select 1 from orders{}", " union select 1 from orders".repeat(DEPTH / 10)),
        format!("{} select 1", "explain ".repeat(DEPTH)),
        format!("select /*{}*/ 1 from orders", nested("/*", "", "*/")),
        format!("select * from {}", nested("(", "orders", ")")),
        nested("(", "select * from orders", ")"),
        nested("begin;", "", "commit;"),
    ] {
        read(text);
    }
}

#[test]
fn no_depth_ends_the_stack_between_two_looks() {
    for depth in 1..50 {
        read(format!("select * from {}'now' h{}orders", "(".repeat(depth), "(".repeat(50 - depth)));
        read(format!("select * from {}orders", "(".repeat(depth)));
        read(format!("select {}1", "(".repeat(depth)));
        read(format!("{}select 1", "(".repeat(depth)));
    }
}

#[test]
fn long_and_deep_statements_are_read_as_postgresql_reads_them() {
    let rules = rules();
    let ways = |text: String| plan_of(&text, Parameters::default(), &rules).map(|_| ());
    let nested =
        |depth: usize| format!("select * from orders where {}user_id = 1{}", "(".repeat(depth), ")".repeat(depth));
    let chained = |count: usize| format!("select * from orders where user_id = 1{}", " or user_id = 1".repeat(count));
    for text in
        [chained(9_000), nested(390), format!("select {}1{}", "case when true then ".repeat(300), " end".repeat(300))]
    {
        assert!(ways(text).is_ok());
    }
    for text in [chained(11_000), nested(410)] {
        let Err(PrepareError::Unreadable(refusal)) = ways(text) else { panic!("it is too deep") };
        assert_eq!(refusal.state.code(), "54001");
    }
}

#[test]
fn many_values_take_no_longer_each() {
    let rules = rules();
    // Quadratic time would take minutes.
    for letter in ["", "ä"] {
        let values: Vec<String> = (0..60_000).map(|value| value.to_string()).collect();
        let text = format!("select '{letter}' from orders where user_id in ({})", values.join(","));
        assert!(plan_of(&text, Parameters::default(), &rules).is_ok());
        let places: Vec<String> = (1..=60_000).map(|place| format!("${place}")).collect();
        let text = format!("select '{letter}' from orders where user_id in ({})", places.join(","));
        assert!(plan_of(&text, Parameters::default(), &rules).is_ok());
    }
}
