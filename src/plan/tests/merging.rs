//! MERGE: on one shard, on several, and what is refused.

use super::*;
use crate::plan::insert::fixture;
use crate::rules::List;

/// Knows the sharded tables of the cases, as they insert keys that others hand out.
fn catalog() -> catalog::Catalog {
    let mut catalog = fixture::catalog();
    let mut add = |name: &str, columns: [&str; 2], key: &str| {
        let mut table = catalog.tables["orders"].clone();
        let types = if key == "loose" { "smallint" } else { "bigint" };
        for (column, name) in table.columns.iter_mut().zip(columns) {
            (column.name, column.type_name) = (name.to_owned(), types.to_owned());
        }
        table.columns.truncate(2);
        catalog.tables.insert(name.to_owned(), table);
    };
    add("orders", ["id", "user_id"], "orders");
    add("order_items", ["x", "buyer"], "orders");
    add("loose", ["id", "k"], "loose");
    catalog
}

/// As the cases elsewhere, beside a catalog.
fn check(cases: &str) {
    check_beside(cases, &catalog());
}

#[test]
fn a_bound_target_goes_to_one_shard() {
    check(
        "
        merge into orders o using regions r on o.user_id = {b} and o.region = r.id when matched then delete => direct s2 ref write
        merge into orders o using (values ({b}, 1)) s(u, n) on o.user_id = s.u when matched then update set total = s.n => direct s2 write
        merge into orders using (select {b} as u) s on user_id = u when matched then delete => direct s2 write
        merge into orders o using (select {b}::bigint) s(u) on o.user_id = s.u when matched then delete when not matched then insert (user_id) values (s.u) => direct s2 write
        merge into orders o using (values ({a}), ({c})) s(u) on o.user_id = s.u when not matched then insert (user_id) values (u) => direct s1 write
        merge into orders o using order_items i on i.buyer = o.user_id and o.user_id = {b} when matched then delete => direct s2 write
        merge into orders o using (select buyer from order_items where buyer = {b}) i on i.buyer = o.user_id when matched then delete => direct s2 write
        merge into orders o using (select buyer, sum(x) as x from order_items where buyer = {b} group by buyer) i on i.buyer = o.user_id when not matched then insert (user_id, total) values (i.buyer, i.x) => direct s2 write
        merge into orders o using regions r on o.user_id = {b} and o.region = r.id when not matched then insert (user_id, region) values ({b}, r.id) => direct s2 ref write
        merge into orders o using regions r on o.user_id = {b} and o.region = r.id when not matched then do nothing when matched then delete => direct s2 ref write
        merge into orders o using (select {b} as u) s on o.user_id = s.u when matched then update set user_id = {b} => direct s2 write
        merge into orders o using (select null::bigint as u) s on o.user_id = s.u when matched then delete => direct s0 write
        merge into people p using (values ('x')) s(n) on p.name = s.n when not matched then insert (name) values (s.n) => direct s1 write
        merge into docs d using (select '00000000-0000-0000-0000-000000000001'::uuid as u) s on d.id = s.u when not matched then insert (id) values (s.u) => direct s2 write
        merge into settings s using (select 1 as v) n on s.v = n.v when matched then delete => direct s1 write
        merge into regions r using settings s on r.id = s.v when matched then delete => carry SELECT * FROM settings s
        merge into regions r using nowhere s on r.id = s.v when matched then delete => direct s0 copies
        merge into regions r using (values (1, 2)) s(id, tax) on r.id = s.id when not matched then insert values (s.id, s.tax) => direct s0 copies
        merge into nowhere o using regions r on o.a = r.a when matched then delete => direct s0 ref write
        merge into nowhere o using orders r on o.a = r.a when matched then delete => carry SELECT * FROM orders r
        ",
    );
}

#[test]
fn rows_of_constants_go_to_the_shards_of_their_keys() {
    check(
        "
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when matched then update set total = s.n => writes s1+s2 eager None
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert (user_id, total) values (s.u, s.n) => writes s1+s2 eager None
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u and o.user_id = {a} when not matched then insert (user_id) values (s.u) => writes s1+s2 eager None
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert (user_id) values (s.u) returning o.* => writes s1+s2 eager ByShard
        merge into orders o using (values ({a}), (null)) s(u) on o.user_id = s.u when not matched then insert (user_id) values (s.u) => refused merge
        merge into orders o using (values ({a}), ({b}.5)) s(u) on o.user_id = s.u when not matched then insert (user_id) values (s.u) => refused merge
        merge into orders o using (values ({a}), (null)) s(u) on o.user_id = s.u when matched then delete => direct s1 write
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.id = s.n when not matched then insert (user_id) values (s.u) => refused merge
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert (user_id) values (s.n) => refused merge
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert (user_id) values ({a}) => refused merge
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert (user_id) values (s.u + 0) => refused merge
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert (total) values (s.n) => refused merge
        merge into orders o using (values ({a}, 1), ({b}, 2)) s(u, n) on o.user_id = s.u when not matched then insert values (s.u, s.n) => refused merge
        merge into orders o using (values ({a}), ({b})) s(u) on o.user_id = s.u when matched then update set total = random() => refused unknown_function
        merge into orders o using (values ({a}), ({b})) s(u) on o.user_id = s.u when matched then update set total = (select count(*) from order_items i where i.buyer = o.user_id) => writes s1+s2 eager None
        merge into orders o using (values ({a}), ({b})) s(u) on o.user_id = s.u when matched then update set total = (select count(*) from order_items) => refused not_colocated
        merge into orders o using (values ({a}), ({b})) s(u) on o.user_id = s.u when matched then update set total = (select count(*) from settings) => refused different_shards
        merge into orders o using (values ({a}), ({b})) s(u) on o.user_id = s.u when matched then update set user_id = s.u => refused sharding_key_update
        merge into strict t using (values (1), (2), (3), (4), (5), (6)) s(u) on t.k = s.u when matched then delete => refused multi_shard_rejected
        ",
    );
}

#[test]
fn a_source_that_is_sharded_alike_is_merged_shard_by_shard() {
    check(
        "
        merge into loose l using (select k from loose where k > 5) s on l.k = s.k when matched then delete => writes s0+s1+s2 two_phase None
        merge into loose l using loose s on l.k = s.k when not matched then insert (k) values (s.k) => writes s0+s1+s2 two_phase None
        merge into loose l using (select k, count(*) from loose group by k) s(a, b) on l.k = s.a when not matched then insert (k) values (s.a) => writes s0+s1+s2 two_phase None
        merge into loose l using (select k from loose limit 5) s on l.k = s.k when not matched then insert (k) values (s.k) => carry SELECT * FROM (select k from loose limit 5) s
        merge into loose l using (select k from loose limit 5) s on l.k = s.k when matched then delete => carry SELECT * FROM (select k from loose limit 5) s
        merge into loose l using (select max(k) as k from loose) s on l.k = s.k when matched then delete => carry SELECT * FROM (select max(k) as k from loose) s
        merge into loose l using (select a.k from loose a full join loose b on a.k = b.k) s on l.k = s.k when not matched then insert (k) values (s.k) => carry SELECT * FROM (select a.k from loose a full join loose b on a.k = b.k) s
        merge into loose l using (select b.k from regions a left join loose b on a.k = b.k) s on l.k = s.k when not matched then insert (k) values (s.k) => carry SELECT * FROM (select b.k from regions a left join loose b on a.k = b.k) s
        merge into loose l using loose s on l.k = s.id when not matched then insert (k) values (s.k) => carry SELECT * FROM loose s
        merge into loose l using loose s on l.k = s.k when not matched then insert (k) values (s.id) => carry SELECT * FROM loose s
        merge into loose l using loose s on l.k = s.k when not matched then insert (k) values (5) => carry SELECT * FROM loose s
        merge into loose l using regions r on l.id = r.id when matched then delete => writes s0+s1+s2 two_phase None
        merge into loose l using regions r on l.k = r.id when not matched then insert (k) values (r.id) => carry SELECT * FROM regions r
        merge into loose l using regions r on l.k = r.id when not matched then do nothing => writes s0+s1+s2 two_phase None
        merge into loose l using loose s on l.k = s.k when not matched by source then delete => refused merge
        merge into orders o using order_items i on i.buyer = o.user_id when matched then delete => carry SELECT * FROM order_items i
        merge into orders o using order_items i on i.buyer = o.user_id when not matched then insert (user_id) values (i.buyer) => carry SELECT * FROM order_items i
        merge into orders o using (select * from order_items where buyer in ({a}, {b})) i on i.buyer = o.user_id when not matched then insert (user_id) values (i.buyer) => writes s1+s2 eager None
        merge into orders o using (select buyer from order_items where buyer in ({a}, {b})) i on i.buyer = o.user_id when not matched then insert (user_id) values (i.buyer) => writes s1+s2 eager None
        merge into orders o using (select k from loose where k = 1) s on s.k = o.user_id when not matched then insert (user_id) values (s.k) => carry SELECT * FROM (select k from loose where k = 1) s
        ",
    );
}

#[test]
fn rows_without_partner_are_inserted_only_where_all_their_parts_are() {
    check(
        "
        merge into loose l using (select a.k as ak, b.k as bk from loose a join loose b on a.x = b.x) s on l.k = s.ak and l.k = s.bk when not matched then insert (k) values (s.ak) => carry SELECT * FROM (select a.k as ak, b.k as bk from loose a join loose b on a.x = b.x) s
        merge into loose l using (select a.k as ak, b.k as bk from loose a join loose b on a.x = b.x) s on l.k = s.ak and l.k = s.bk when matched then delete => writes s0+s1+s2 two_phase None
        merge into loose l using (select a.k from loose a join loose b on a.k = b.k) s on l.k = s.k when not matched then insert (k) values (s.k) => writes s0+s1+s2 two_phase None
        merge into public.loose l using public.loose s on l.k = s.k when not matched then insert (k) values (s.k) => writes s0+s1+s2 two_phase None
        merge into loose l using loose s on l.k = s.k when not matched and exists (select 1 from loose z where z.k = s.k) then insert (k) values (s.k) => writes s0+s1+s2 two_phase None
        merge into loose l using loose s on l.k = s.k when not matched and exists (select 1 from loose z where z.id = s.id) then insert (k) values (s.k) => carry SELECT * FROM loose s
        merge into orders o using (values ({a}, {b}), ({b}, {a})) s(u, n) on o.user_id = s.u and o.user_id = s.n when not matched then insert (user_id) values (s.u) => refused merge
        merge into orders o using (values ({a}), ({b})) s(u) on o.user_id = s.u when not matched and exists (select 1 from order_items i where i.buyer = s.u) then insert (user_id) values (s.u) => refused merge
        ",
    );
}

#[test]
fn keys_that_an_outer_join_may_make_null_are_not_inserted() {
    check(
        "
        merge into loose l using (select b.k from regions r left join (select k, c from loose) b on r.id = b.c) s on l.k = s.k when not matched then insert (k) values (s.k) => carry SELECT * FROM (select b.k from regions r left join (select k, c from loose) b on r.id = b.c) s
        merge into loose l using (select b.k from regions r left join (select k, c from loose where k = 1) b on r.id = b.c) s on l.k = s.k when not matched then insert (k) values (s.k) => carry SELECT * FROM (select b.k from regions r left join (select k, c from loose where k = 1) b on r.id = b.c) s
        merge into loose l using (select a.k from loose a left join regions r on r.id = a.id) s on l.k = s.k when not matched then insert (k) values (s.k) => writes s0+s1+s2 two_phase None
        ",
    );
    let mut catalog = catalog();
    let loose = catalog.tables.get_mut("loose").expect("loose");
    loose.columns[1].nullable = true;
    let case = "merge into loose l using loose s on l.k = s.k when not matched then insert (k) values (s.k) => carry SELECT * FROM loose s";
    check_beside(case, &catalog);
}

#[test]
fn times_are_read_as_the_rules_say_or_not_at_all() {
    let mut rules = rules();
    rules.groups[0].key_type = KeyType::Timestamp;
    rules.groups[0].algorithm = Algorithm::List(List { default: Some(ShardId(1)), ..List::default() });
    let mut catalog = catalog();
    let text = "merge into orders o using (select timestamp '2020-01-01' as u) s on o.user_id = s.u and o.user_id = \
                timestamp '2020-01-01' when not matched then insert (user_id) values (timestamp '2020-01-01')";
    let mut plan = |oid| {
        catalog.tables.get_mut("orders").expect("orders").columns[1].type_oid = oid;
        render(plan_beside(text, Parameters::default(), &rules, &catalog), &rules)
    };
    assert!(plan(1114).starts_with("direct"), "{}", plan(1114));
    assert!(plan(1184).starts_with("refused"), "{}", plan(1184));
}

#[test]
fn columns_behind_a_star_are_not_told() {
    check(
        "merge into orders o using (values ({a}, 1)) s(u, n) on o.user_id = s.u when not matched then insert values (s.*, {a}) => unreadable",
    );
}

#[test]
fn a_default_that_changes_is_never_set_again() {
    let rules = rules();
    let [a, ..] = keys(&rules);
    let mut catalog = catalog();
    for (default, exact) in [("now()", false), ("random()", false), ("5", true)] {
        catalog.tables.get_mut("orders").expect("orders").columns[0].default = Some(default.to_owned());
        for text in [
            format!("update orders set id = default where user_id = {a}"),
            format!("update orders set (id, total) = (default, 1) where user_id = {a}"),
            format!(
                "merge into orders o using (select {a} as u) s on o.user_id = s.u when matched then update set id = default"
            ),
        ] {
            let plan = plan_beside(&text, Parameters::default(), &rules, &catalog);
            let Ok(Plan::Direct(direct)) = plan else { panic!("{text}: {plan:?}") };
            assert_eq!(direct.effect.expect("a write").redo == Redo::Exact, exact, "{text}: {default}");
        }
    }
}

#[test]
fn each_shard_is_given_its_own_rows() {
    let rules = rules();
    let [a, b, _] = keys(&rules);
    let text = format!(
        "merge into orders o using (values ({a}, null), ({b}, 2)) as s(u, n) on o.user_id = s.u \
         when not matched then insert (user_id, total) values (s.u, s.n)"
    );
    let plan = plan_of(&text, Parameters::default(), &rules);
    let Ok(Plan::MultiWrite(write)) = plan else { panic!("{plan:?}") };
    let source = |key: i64| {
        format!("(SELECT * FROM (values ({a}, null), ({b}, 2)) as s(u, n)\nWHERE \"s\".\"u\" IN ({key})) AS \"s\" on")
    };
    for (part, key) in write.parts.iter().zip([a, b]) {
        let Statement::Rewritten { sql, parameters } = &part.statement else { panic!("{part:?}") };
        assert!(sql.contains(&source(key)), "{sql}");
        assert!(parameters.is_empty());
    }
    // The columns' defaults are not known here.
    assert!(matches!(write.effect.redo, Redo::Never(_)), "{:?}", write.effect.redo);
}

#[test]
fn updates_and_deletes_by_merge_are_redone_from_their_text() {
    let rules = rules();
    let [a, ..] = keys(&rules);
    let text = format!(
        "merge into orders o using (values ({a}, 2)) s(u, n) on o.user_id = s.u when matched and (o.total > 1) then update set total = n"
    );
    let Ok(Plan::Direct(direct)) = plan_of(&text, Parameters::default(), &rules) else { panic!("direct") };
    assert_eq!(direct.effect.expect("a write").redo, Redo::Exact);
}
