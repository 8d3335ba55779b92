//! `algorithm: range`.

use super::*;

const GROUPS: &str = "kind: TableGroup
name: orders
key: {type: bigint}
algorithm: range
range:
- {to: 0, shard: s0}
- {from: 0, to: 1000, shard: s1}
- {from: 1000, to: 2000, shard: s2}
tables: {orders: {key: id}, items: {key: order_id}}
missing_key: {read: reject, write: reject}
---
kind: TableGroup
name: names
key: {type: text}
algorithm: range
range: [{to: m, shard: s1}, {from: m, shard: s2}]
tables: {names: {key: name}}
";

#[test]
fn conditions_leave_only_the_ranges_that_they_meet() {
    routes(
        &parsed(GROUPS),
        "
        select * from orders where id = 5 => direct s1
        select * from orders where id in (5, 1500) => scatter s1+s2: =
        select * from orders where id < 0 => direct s0
        select * from orders where id <= 0 => scatter s0+s1: =
        select * from orders where id > 999 => direct s2
        select * from orders where id >= 999 => scatter s1+s2: =
        select * from orders where 999 < id => direct s2
        select * from orders where 0 > id => direct s0
        select * from orders where id between 0 and 999 => direct s1
        select * from orders where id between 0 and 1000 => scatter s1+s2: =
        select * from orders where id between -5 and -1 and x = 1 => direct s0
        select * from orders where id >= 0 and id < 1000 => direct s1
        select * from orders where (id >= '0' and (id < 1000::bigint)) => direct s1
        select * from orders where id >= 10 and id in (5, 1500) => scatter s1+s2: =
        select * from orders where id >= 1010 and id in (5, 1500) => direct s2
        select * from orders where id > 5000 => direct s0
        select * from orders where id > 10 and id < 5 => direct s0
        select * from orders where id < 999.5 => refused missing_sharding_key
        select * from orders where id < 1000.0 => scatter s0+s1: =
        select * from orders where id > 99999999999999999999 => refused missing_sharding_key
        select * from orders where (id, x) > (1000, 5) => direct s2
        select * from orders where (id, x) < (0, 5) => scatter s0+s1: =
        select * from orders where id not between 0 and 999 => refused missing_sharding_key
        select * from orders where not id < 1000 => refused missing_sharding_key
        select * from orders where id < 0 or x = 1 => refused missing_sharding_key
        select * from orders where id < x => refused missing_sharding_key
        select * from orders where id < 5 + 5 => refused missing_sharding_key
        select * from orders where id between symmetric 999 and 0 => refused missing_sharding_key
        select count(*) from orders where id < 0 having count(*) > 1 => direct s0
        ",
    );
}

#[test]
fn bounds_follow_equal_keys() {
    routes(
        &parsed(GROUPS),
        "
        select * from orders o join items i on i.order_id = o.id where o.id < 0 => direct s0
        select * from orders o join items i on i.order_id = o.id and i.order_id >= 1000 => direct s2
        select * from orders o left join items i on i.order_id = o.id and i.order_id < 0 where o.id < 1000 => scatter s0+s1: =
        select * from orders o, items i where o.id < 0 and i.order_id < 0 => direct s0
        select * from (select id as n from orders) s where n < 0 => direct s0
        ",
    );
}

#[test]
fn writes_stay_within_their_ranges() {
    routes(
        &parsed(GROUPS),
        "
        insert into orders (id) values (999) => direct s1 write
        insert into orders (id) values (-1), (1000) => writes s0+s2 eager None
        insert into orders (id) values (2000) => refused unmapped_sharding_key
        update orders set x = 1 where id between 10 and 20 => direct s1 write
        update orders set x = 1 where id >= 10 => writes s1+s2 eager None
        update orders set x = 1 where id >= 2000 => direct s0 write
        update orders set x = 1 where x < 5 => refused missing_sharding_key
        update orders set id = 7 where id between 10 and 20 => direct s1 write
        update orders set id = 1007 where id between 10 and 20 => refused sharding_key_update
        update orders set id = 7 where id > 10 => refused sharding_key_update
        delete from orders where id < 1000 and id >= 0 => direct s1 write
        delete from orders where id < 1000 => writes s0+s1 eager None
        ",
    );
}

#[test]
fn texts_are_found_by_equality_alone() {
    routes(
        &parsed(GROUPS),
        "
        select * from names where name = 'lima' => direct s1
        select * from names where name = 'mike' => direct s2
        select * from names where name < 'b' => scatter s1+s2: =
        insert into names (name) values ('Zed') => direct s1 write
        ",
    );
}

#[test]
fn parameters_bound_as_constants_do() {
    let rules = parsed(GROUPS);
    let number = 1000i64.to_be_bytes();
    let cases: [(&str, &[u8], u32, bool, &str); 5] = [
        ("select * from orders where id >= $1", b"1000", 0, false, "direct s2"),
        ("select * from orders where id >= $1", &number, 20, true, "direct s2"),
        ("select * from orders where id < $1", b"0", 20, false, "direct s0"),
        ("select * from orders where id < $1", b"0", 1700, false, "refused missing_sharding_key"),
        ("select * from orders where id < $1 and x < $1", b"0", 0, false, "refused missing_sharding_key"),
    ];
    for (text, value, oid, binary, expected) in cases {
        let (values, types, formats) = ([Some(value)], [oid], [i16::from(binary)]);
        let parameters = Parameters { is_extended: true, values: &values, types: &types, formats: &formats };
        assert_eq!(render(plan_of(text, parameters, &rules), &rules), expected, "{text} {oid}");
    }
}

#[test]
fn one_plan_serves_texts_that_differ_in_bounds() {
    let rules = parsed(GROUPS);
    let context = Context { rules: &rules, catalog: &catalog::Catalog::empty() };
    let prepared = prepare("select * from orders where id between 1 and 2", &context).expect("it is read");
    assert!(prepared.is_template());
    for (text, expected) in [
        ("select * from orders where id between 1001 and 1002", "direct s2"),
        ("select * from orders where id between 1 and 1002", "scatter s1+s2: ="),
        ("select * from orders where id between -9 and -2", "direct s0"),
    ] {
        let values = Values { text, literals: &literals(text), parameters: Parameters::default() };
        let plan = prepared.plan(&context, &values, &mut no_ids).expect("it has a plan");
        assert_eq!(shown(plan, &rules), expected, "{text}");
    }
}

#[test]
fn the_hint_about_a_missing_key_can_be_put_into_the_rules_as_it_stands() {
    for text in ["select * from orders", "update orders set x = 1", "delete from orders where x = 1"] {
        let planned = |groups: &str| plan_of(text, Parameters::default(), &parsed(groups));
        let Err(PrepareError::Refused(refusal)) = planned(GROUPS) else { panic!("{text} is not refused") };
        let hint = refusal.hint.expect("it tells what to do");
        let said = hint.split(" say ").nth(1).and_then(|said| said.strip_suffix('.')).expect("it says a rule");
        let followed = GROUPS.replace("missing_key: {read: reject, write: reject}", said);
        assert!(planned(&followed).is_ok(), "{text}: {said}");
    }
}
