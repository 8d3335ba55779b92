//! MERGE: on one shard, on several, and what is refused.

use super::*;

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
        merge into regions r using settings s on r.id = s.v when matched then delete => refused different_shards
        merge into regions r using nowhere s on r.id = s.v when matched then delete => direct s0 copies
        merge into regions r using (values (1, 2)) s(id, tax) on r.id = s.id when not matched then insert values (s.id, s.tax) => direct s0 copies
        merge into nowhere o using regions r on o.a = r.a when matched then delete => direct s0 ref write
        merge into nowhere o using orders r on o.a = r.a when matched then delete => refused different_shards
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
        merge into loose l using (select k from loose limit 5) s on l.k = s.k when not matched then insert (k) values (s.k) => refused not_colocated
        merge into loose l using (select k from loose limit 5) s on l.k = s.k when matched then delete => refused not_colocated
        merge into loose l using (select max(k) as k from loose) s on l.k = s.k when matched then delete => refused not_colocated
        merge into loose l using (select a.k from loose a full join loose b on a.k = b.k) s on l.k = s.k when not matched then insert (k) values (s.k) => refused not_colocated
        merge into loose l using (select b.k from regions a left join loose b on a.k = b.k) s on l.k = s.k when not matched then insert (k) values (s.k) => refused not_colocated
        merge into loose l using loose s on l.k = s.id when not matched then insert (k) values (s.k) => refused not_colocated
        merge into loose l using loose s on l.k = s.k when not matched then insert (k) values (s.id) => refused merge
        merge into loose l using loose s on l.k = s.k when not matched then insert (k) values (5) => refused merge
        merge into loose l using regions r on l.id = r.id when matched then delete => writes s0+s1+s2 two_phase None
        merge into loose l using regions r on l.k = r.id when not matched then insert (k) values (r.id) => refused merge
        merge into loose l using regions r on l.k = r.id when not matched then do nothing => writes s0+s1+s2 two_phase None
        merge into loose l using loose s on l.k = s.k when not matched by source then delete => refused merge
        merge into orders o using order_items i on i.buyer = o.user_id when matched then delete => refused missing_sharding_key
        merge into orders o using order_items i on i.buyer = o.user_id when not matched then insert (user_id) values (i.buyer) => refused missing_sharding_key
        merge into orders o using (select * from order_items where buyer in ({a}, {b})) i on i.buyer = o.user_id when not matched then insert (user_id) values (i.buyer) => refused not_colocated
        merge into orders o using (select buyer from order_items where buyer in ({a}, {b})) i on i.buyer = o.user_id when not matched then insert (user_id) values (i.buyer) => writes s1+s2 eager None
        merge into orders o using (select k from loose where k = 1) s on s.k = o.user_id when not matched then insert (user_id) values (s.k) => refused not_colocated
        ",
    );
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
