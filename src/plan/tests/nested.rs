//! WITH that writes: on one shard, one part after another, or refused.

use super::*;
use crate::plan::catalog::{ForeignKey, Table};
use crate::plan::insert::fixture;
use crate::plan::write_first;
use crate::rules::List;

fn shown_as(text: &str) -> String {
    let mut catalog = fixture::catalog();
    let log = catalog.tables.get("orders").expect("orders").clone();
    catalog.tables.insert("audit.log".to_owned(), log.clone());
    let mut numbered = log;
    numbered.columns[0].identity = true;
    catalog.tables.insert("order_items".to_owned(), numbered);
    let rules = rules();
    let [a, b, c] = keys(&rules);
    let text = text.replace("{a}", &a.to_string()).replace("{b}", &b.to_string()).replace("{c}", &c.to_string());
    let context = Context { rules: &rules, catalog: &catalog };
    let plan = prepare(&text, &context).and_then(|prepared| {
        let values = Values { text: &text, literals: &literals(&text), parameters: Parameters::default() };
        Ok(prepared.plan(&context, &values, &mut no_ids)?)
    });
    render(plan, &rules)
}

#[test]
fn parts_that_are_bound_to_one_shard_run_there() {
    for text in [
        "with d as (delete from orders where user_id = {a} returning *) select * from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log select * from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log select d.* from d where note is null",
        "with d as (delete from orders o where o.user_id = {a} returning order_id, user_id as u) insert into audit.log (user_id, order_id) select u, order_id from d",
        "with d as (delete from orders where user_id = {a} returning order_id, user_id) insert into audit.log (order_id, user_id) select * from d",
        "with d as (delete from orders where user_id = {a} returning *), e as (select * from d) insert into audit.log select * from e",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (user_id, order_id) select {c}, order_id from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (user_id) values ({a}), ({c})",
        "with d as (delete from orders where user_id = {a}) update audit.log set note = 'x' where user_id = {c}",
        "with w as (select 1 as x) update orders set note = w.x from w where user_id = {a}",
        "with r as (select * from regions) delete from orders using r where user_id = {a} and r.id = 1",
        "with i as (insert into orders (user_id, order_id) values ({a}, 1) returning user_id) select * from i",
        "with i as (insert into orders (user_id, order_id) values ({a}, 1) on conflict (user_id, order_id) do update set note = 'x' returning user_id) select * from i",
        "with u as (update orders set note = 'y' where user_id = {a} returning *) insert into audit.log table u",
        "with s as (select user_id, order_id from orders where user_id = {a}) , x as (delete from audit.log where user_id = {a}) insert into audit.log (user_id, order_id) select user_id, order_id from s",
    ] {
        let found = shown_as(text);
        let table = text.contains("table u");
        let expected = if table { "unreadable" } else { "direct s1 write" };
        assert!(found.replace(" ref", "").replace("refused insert_shape", "unreadable") == expected, "{text}: {found}");
    }
}

#[test]
fn parts_that_could_see_what_another_wrote_are_refused() {
    for text in [
        "with d as (delete from orders where user_id = {a} returning *) select * from d, orders o where o.order_id = d.order_id",
        "with d as (delete from orders where user_id = {a} returning *) select * from d where d.user_id = {b} and exists (select 1 from orders)",
        "with d as (update orders set note = 'x' where user_id = {a}) update audit.log l set user_id = orders.user_id from orders where l.user_id = {a} and orders.user_id = {a}",
        "with d as (delete from orders where user_id = {a} returning *), s as (select * from orders o(user_id, order_id) where o.order_id = {a}) insert into audit.log (user_id) select user_id from s",
        // Of the one DELETE the other would see the rows that are left.
        "with d as (delete from orders where order_id = 1 returning *), e as (delete from orders where order_id = 2 returning *) select * from d, e",
        "with d as (delete from orders where order_id = 1) select * from d",
        "with d as (delete from orders where order_id = 1 returning *) select * from d, pg_locks l where l.relation = 'orders'::regclass and \"orders\" is null",
    ] {
        assert_eq!(shown_as(text), "refused nested_write", "{text}");
    }
}

#[test]
fn parts_that_may_reach_other_shards_run_first() {
    for text in [
        "with d as (delete from orders returning *) select * from d where user_id = {a}",
        "with d as (delete from orders where order_id = 1 returning *) insert into audit.log select * from d",
        "with d as (delete from orders where user_id = {a} returning *) update audit.log set note = 'x' where user_id = {b}",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (user_id) values ({b})",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (order_id) select order_id from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (user_id) select order_id from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (user_id) select user_id + 0 from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log (user_id, order_id) select * from d",
        "with d as (delete from orders where user_id = {a} returning order_id, user_id) insert into audit.log (user_id, order_id) select * from d",
        "with d(a, b) as (delete from orders where user_id = {a} returning *) insert into audit.log select * from d",
        "with d as (delete from orders where user_id = {a} returning *) insert into audit.log select * from d union select * from d",
        "with d as (update orders set user_id = {b} where user_id = {a} returning *) select * from d",
        "with d as (delete from regions returning *) delete from orders where user_id = {a}",
        "with d as (delete from orders where user_id = {a} returning *) insert into regions select order_id, note from d",
        "with d as (delete from settings returning *) delete from orders where user_id = {b}",
        "with i as (insert into orders (user_id, order_id) values ({a}, 1) on conflict do nothing returning user_id) select * from i",
        "with i as (insert into orders (user_id, order_id) values ({a}, 1) on conflict (order_id) do nothing returning user_id) select * from i",
        "with i as (insert into orders (user_id, order_id) values ({a}, 1), ({b}, 1) returning user_id) select * from i",
        "with i as (insert into orders (user_id, order_id) values (null, 1) returning user_id) select * from i",
        "with i as (insert into orders default values returning user_id) select * from i",
        "with d as (delete from orders where user_id = {a} returning note) insert into audit.log (order_id, user_id) select *, {a} from d, regions r",
        "with d as (delete from orders where user_id = {a} returning user_id, order_id as user_id) insert into audit.log (order_id, user_id) select * from d",
    ] {
        let found = shown_as(text);
        let name = text.split(['(', ' ']).nth(1).expect("a name");
        let body = text.split(" as (").nth(1).expect("a query").split(" returning").next().expect("its head");
        let body = body.replace("{a}", "3").replace("{b}", "1");
        assert!(found.starts_with(&format!("carry {body}")), "{name}: {text}: {found}");
    }
}

/// Goal: what a write sets off elsewhere counts as what it writes.
#[test]
fn what_refers_to_a_table_is_near_to_it() {
    let mut catalog = fixture::catalog();
    let log = catalog.tables.get("orders").expect("orders").clone();
    let refers = ForeignKey {
        name: "key".into(),
        columns: vec!["user_id".into()],
        table: "orders".into(),
        referenced: vec!["user_id".into()],
        strict: true,
    };
    let child = Table { foreign_keys: vec![refers], ..log.clone() };
    catalog.tables.insert("children".to_owned(), child);
    catalog.tables.insert("noted".to_owned(), Table { user_triggers: true, ..log.clone() });
    let rules = rules();
    let first = |text: &str| write_first::is_possible(text, &Context { rules: &rules, catalog: &catalog });
    let of = |write: &str, main: &str| first(&format!("with d as ({write} returning *) {main}"));
    assert!(of("delete from orders", "insert into settings select note from d"));
    // A cascade, or a check at the statement's end.
    assert!(!of("delete from orders", "select count(*) from children"));
    assert!(!of("update orders set note = 'x'", "delete from children where note in (select note from d)"));
    assert!(of("insert into orders select 1", "insert into children select user_id from d"));
    assert!(!of("insert into children select 1", "insert into orders select user_id from d"));
    assert!(of("delete from children", "delete from orders where user_id in (select user_id from d)"));
    // A cascade goes on, and its triggers fire; an upsert updates.
    let refers = ForeignKey {
        name: "key".into(),
        columns: vec!["user_id".into()],
        table: "children".into(),
        referenced: vec!["user_id".into()],
        strict: true,
    };
    let grandchild = Table { foreign_keys: vec![refers], user_triggers: false, ..log.clone() };
    catalog.tables.insert("grandchildren".to_owned(), grandchild);
    catalog.tables.insert("leaf".to_owned(), Table { parents: vec!["branch".to_owned()], ..log.clone() });
    catalog.tables.insert("branch".to_owned(), Table { parents: vec!["root".to_owned()], ..log.clone() });
    catalog.tables.insert("root".to_owned(), log.clone());
    let first = |text: &str| write_first::is_possible(text, &Context { rules: &rules, catalog: &catalog });
    let of = |write: &str, main: &str| first(&format!("with d as ({write} returning *) {main}"));
    assert!(!of("delete from orders", "select count(*) from grandchildren"));
    assert!(!of(
        "insert into orders values (1) on conflict (user_id) do update set note = 'x'",
        "select count(*) from children"
    ));
    assert!(!of("delete from leaf", "select count(*) from root"));
    assert!(!of("delete from root", "select count(*) from leaf"));
    // What another part sets off may look.
    assert!(!of("delete from settings", "insert into noted select 1"));
    // Nobody knows what a trigger writes.
    assert!(of("delete from noted", "select count(*) from d"));
    assert!(!of("delete from noted", "select count(*) from d, settings"));
}

#[test]
fn a_part_on_the_shard_of_a_single_table_runs_there() {
    let text = "with d as (delete from settings returning *) delete from orders where user_id = {a}";
    assert_eq!(shown_as(text), "direct s1 write");
    let text = "with d as (delete from nowhere returning *) insert into nowhere select * from d";
    assert_eq!(shown_as(text), "direct s0 write");
}

#[test]
fn numbers_are_given_or_refused() {
    // The table's key is no column of it: all that it is asked here is whether its numbers are given.
    // Another part names what is deleted, so that it does not run first.
    let beside = "with d as (delete from orders where user_id = {a} returning *), o as (select from orders where user_id = {a}) insert into order_items";
    for (rows, given) in [
        ("select * from d", true),
        ("select order_id from d", true),
        ("values (1)", true),
        ("values (1, default)", true),
        ("values (default, 1)", false),
        ("select d.* from d, regions r", true),
        ("select * from d, regions r", false),
        ("default values", false),
    ] {
        let found = shown_as(&format!("{beside} {rows}"));
        assert_eq!(found == "refused nested_write", given, "{rows}: {found}");
    }
}

#[test]
fn times_are_read_as_the_rules_say_or_not_at_all() {
    let mut rules = rules();
    rules.groups[0].key_type = KeyType::Timestamp;
    rules.groups[0].algorithm = Algorithm::List(List { default: Some(ShardId(1)), ..List::default() });
    let mut catalog = fixture::catalog();
    let text =
        "with i as (insert into orders (user_id) values (timestamp '2020-01-01') returning note) select * from i";
    let mut plan = |oid| {
        catalog.tables.get_mut("orders").expect("orders").columns[1].type_oid = oid;
        render(plan_beside(text, Parameters::default(), &rules, &catalog), &rules)
    };
    assert!(plan(1114).starts_with("direct"), "{}", plan(1114));
    assert!(plan(1184).starts_with("carry insert"), "{}", plan(1184));
}
