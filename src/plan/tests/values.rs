//! Plans that depend on the values at hand: parameters, LIMIT, templates.

use super::*;

/// Binds `values` in the given formats and types and tells where `text` goes.
fn bound(text: &str, values: &[Option<&[u8]>], formats: &[i16], types: &[u32]) -> String {
    let rules = rules();
    render(plan_of(text, Parameters { is_extended: true, values, formats, types }, &rules), &rules)
}

#[test]
fn parameters_are_keys_in_every_form() {
    let key = keys(&rules())[1];
    let text = "select * from orders where user_id = $1";
    let written = key.to_string();
    assert_eq!(bound(text, &[Some(written.as_bytes())], &[], &[]), "direct s2");
    assert_eq!(bound(text, &[Some(&key.to_be_bytes())], &[1], &[20]), "direct s2");
    assert_eq!(bound(text, &[Some(&(key as i32).to_be_bytes())], &[1], &[23]), "direct s2");
    assert_eq!(bound(text, &[Some(&(key as i16).to_be_bytes())], &[1], &[0]), "direct s2");
    assert_eq!(bound(text, &[None], &[1], &[0]), "direct s0");
    assert_eq!(bound(text, &[Some(&[1, 2, 3])], &[1], &[20]), "scatter s0+s1+s2: =");
    assert_eq!(bound(text, &[Some(&key.to_be_bytes())], &[1], &[701]), "scatter s0+s1+s2: =");
    let shared = "select * from orders where total = $1 and user_id = $1";
    assert_eq!(bound(shared, &[Some(&key.to_be_bytes())], &[1], &[0]), "scatter s0+s1+s2: =");
    assert_eq!(bound(shared, &[Some(&key.to_be_bytes())], &[1], &[20]), "direct s2");
}

#[test]
fn array_parameters_are_sets_of_keys() {
    let [a, b, _] = keys(&rules());
    let text = "select * from orders where user_id = any($1)";
    let written = |keys: &[i64]| format!("{{{}}}", keys.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
    assert_eq!(bound(text, &[Some(written(&[b]).as_bytes())], &[], &[1016]), "direct s2");
    assert_eq!(bound(text, &[Some(written(&[a, b]).as_bytes())], &[], &[0]), "scatter s1+s2: =");
    assert_eq!(bound(text, &[Some(b"{}")], &[], &[0]), "direct s0");
    assert_eq!(bound(text, &[Some(b"{{1},{2}}")], &[], &[0]), "scatter s0+s1+s2: =");
    let mut packed: Vec<u8> = Vec::new();
    for word in [1i32, 0, 20, 1, 1, 8] {
        packed.extend(word.to_be_bytes());
    }
    packed.extend(b.to_be_bytes());
    assert_eq!(bound(text, &[Some(&packed)], &[1], &[1016]), "direct s2");
    assert_eq!(bound(text, &[Some(&packed[..packed.len() - 1])], &[1], &[1016]), "scatter s0+s1+s2: =");
}

#[test]
fn limit_parameters_become_numbers_and_the_rest_is_renumbered() {
    let text = "select id from orders where total > $3 order by id limit $1 offset $2";
    let found = bound(text, &[Some(b"5"), Some(b"10"), Some(b"7")], &[], &[]);
    let sql = "select id from orders where total > $1 order by id LIMIT 15  [Client(2)]";
    assert_eq!(found, format!("scatter s0+s1+s2: {sql} | by 0 asc | limit 5 | offset 10"));
    assert_eq!(bound("select id from orders limit $1", &[Some(b"-1")], &[], &[]), "refused limit_value");
}

#[test]
fn templates_serve_every_text_with_their_skeleton() {
    let rules = rules();
    let catalog = catalog::Catalog::empty();
    let context = Context { rules: &rules, catalog: &catalog };
    let [a, b, _] = keys(&rules);
    let prepared = prepare(&format!("select * from orders where user_id = {a} limit 3"), &context).expect("a plan");
    assert!(prepared.is_template());
    let text = format!("select * from orders where user_id = {b} limit 44");
    let values = Values { text: &text, literals: &literals(&text), parameters: Parameters::default() };
    assert_eq!(shown(prepared.plan(&context, &values, &mut no_ids).expect("a plan"), &rules), "direct s2");

    let prepared =
        prepare(&format!("select id from orders where user_id in ({a}, {a}) limit 3"), &context).expect("a plan");
    let text = format!("select id from orders where user_id in ({a}, {b}) limit 44");
    let values = Values { text: &text, literals: &literals(&text), parameters: Parameters::default() };
    assert_eq!(
        shown(prepared.plan(&context, &values, &mut no_ids).expect("a plan"), &rules),
        "scatter s1+s2: = | limit 44"
    );
    for text in ["select * from orders limit 3", "update orders set user_id = 1 where user_id = 1", "truncate orders"] {
        assert!(!prepare(text, &context).expect("a plan").is_template(), "{text}");
    }
}

#[test]
fn unlisted_tables_can_be_rejected() {
    let mut rules = rules();
    rules.unlisted = UnlistedTables::Reject;
    let place = |text: &str| render(plan_of(text, Parameters::default(), &rules), &rules);
    assert_eq!(place("select * from nowhere"), "refused unlisted_table");
    assert_eq!(place("select * from pg_class"), "direct s0");
    assert_eq!(place("create table nowhere (a int)"), "refused unlisted_table");
}

#[test]
fn long_chains_are_bounded() {
    let rules = rules();
    let place = |text: &str| render(plan_of(text, Parameters::default(), &rules), &rules);
    let chain = |count: usize| format!("select * from orders where total = 1{}", " and total = 1".repeat(count));
    assert_eq!(place(&chain(10_000)), "scatter s0+s1+s2: =");
    assert_eq!(place(&chain(10_001)), "unreadable");
    assert_eq!(place(&chain(200_000)), "unreadable");
    assert_eq!(place(&format!("select 1 from orders where {}", "a = ".repeat(100_000))), "unreadable");
    assert_eq!(place(&format!("select 1 from orders where {}1", "(".repeat(100_000))), "unreadable");
    assert_eq!(place(&format!("{} select 1", "explain ".repeat(100_000))), "unreadable");
    let keys = (0..5_000).map(|key| key.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(place(&format!("select * from orders where user_id in ({keys})")), "scatter s0+s1+s2: =");
}
