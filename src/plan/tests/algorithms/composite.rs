//! `algorithm: composite`: all columns of a key together say where a row lives.

use super::*;
use crate::rules::GroupId;
use crate::types::{KeyValue, ShardId};

const GROUPS: &str = "kind: TableGroup
name: sales
key: {type: [int, text]}
algorithm: composite
tables: {sales: {key: [tenant, region]}, visits: {key: [owner, place]}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: strict
key: {type: [bigint, bigint]}
algorithm: composite
tables: {strict: {key: [a, b]}}
missing_key: {read: reject, write: reject}
---
kind: ReferenceTables
tables: [regions]
";

#[test]
fn reads_with_all_columns_bound_go_to_one_shard_and_others_to_all() {
    routes(
        &parsed(GROUPS),
        "
        select * from sales where tenant = 1 and region = 'eu' => direct s0
        select * from sales where tenant = 1 and region = 'us' => direct s2
        select * from sales where tenant = 2 and region = 'eu' => direct s0
        select * from sales where (tenant, region) = (1, 'eu') => direct s0
        select * from sales where region = 'eu' and x = 3 and 1 = tenant => direct s0
        select * from sales where tenant = 1 => scatter s0+s1+s2: =
        select * from sales where region = 'eu' => scatter s0+s1+s2: =
        select * from sales => scatter s0+s1+s2: =
        select * from sales where tenant = 1 or region = 'eu' => scatter s0+s1+s2: =
        select * from sales where tenant = null and region = 'eu' => direct s0
        select * from sales where tenant in (1, 2) and region = 'eu' => direct s0
        select * from sales where tenant in (1, 5) and region in ('eu', 'us') => scatter s0+s1+s2: =
        select * from sales where (tenant, region) in ((1, 'eu'), (2, 'eu')) => direct s0
        select * from sales where tenant = 1 and tenant in (1, 2, 3) and region = 'eu' => direct s0
        select * from sales s join visits v on v.owner = s.tenant and v.place = s.region => scatter s0+s1+s2: =
        select * from sales s join visits v on v.owner = s.tenant and v.place = s.region where s.tenant = 1 and v.place = 'eu' => direct s0
        select * from sales s join visits v on v.owner = s.tenant => gather s0 sales() s0+s1+s2 visits() s0+s1+s2
        select * from sales s join visits v on v.owner = s.tenant where s.tenant = 1 and s.region = 'eu' => gather s0 sales() s0 visits() s0+s1+s2
        select * from sales s join visits v on v.owner = s.region and v.place = s.tenant => gather s0 sales() s0+s1+s2 visits() s0+s1+s2
        select * from sales where exists (select from visits v where v.owner = sales.tenant and v.place = sales.region) => scatter s0+s1+s2: =
        select * from sales where tenant in (select owner from visits) => gather s0 sales() s0+s1+s2 visits() s0+s1+s2
        select * from sales s join regions r on r.name = s.region where s.tenant = 1 and r.name = 'eu' => scatter s0+s1+s2: =
        select tenant, region, count(*) + 1 from sales group by tenant, region => scatter s0+s1+s2: =
        select tenant, count(*) + 1 from sales group by tenant => gather s0 sales() s0+s1+s2 | parts SELECT tenant, count(*) from sales GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 + 1 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        select tenant, count(*) from sales group by tenant => scatter s0+s1+s2: = | fold key,sum show 2
        select * from strict where a = 1 => refused missing_sharding_key
        select * from strict where a = 1 and b = 2 => direct s1
        ",
    );
}

#[test]
fn writes_need_all_columns_and_leave_them_as_they_are() {
    routes(
        &parsed(GROUPS),
        "
        insert into sales (tenant, region) values (1, 'eu') => direct s0 write
        insert into sales (region, x, tenant) values ('eu', 4, 1) => direct s0 write
        insert into sales (tenant, region) values (1, 'eu'), (1, 'us'), (2, 'eu'), (1, 'eu') => writes s0+s2 eager None
        insert into sales (tenant) values (1) => refused missing_sharding_key
        insert into sales (region) values ('eu') => refused missing_sharding_key
        insert into sales (tenant, region) values (1, null) => refused missing_sharding_key
        insert into sales (tenant, region) values (null, 'eu') => refused missing_sharding_key
        insert into sales (tenant, region) values (1, default) => refused missing_sharding_key
        insert into sales (tenant, region) values (1, upper('eu')) => carry SELECT (upper('eu'))::text AS c0
        insert into sales (tenant, region) values (1 + 1, 'eu') => carry SELECT (1 + 1)::int AS c0
        insert into sales (tenant, region) select owner, place from visits => writes s0+s1+s2 eager None
        insert into sales (tenant, region) select owner, 'eu' from visits => carry select owner, 'eu' from visits
        insert into sales (region, tenant) select place, owner from visits group by 1, 2 => writes s0+s1+s2 eager None
        insert into sales (region, tenant) select place, owner from visits group by place, owner limit 5 => carry select place, owner from visits group by place, owner limit 5
        insert into sales (region, tenant) select min(place), owner from visits group by owner => carry select min(place), owner from visits group by owner
        insert into sales (tenant, region) select 1, 'eu' => carry select 1, 'eu'
        insert into sales (tenant, region) values (1, 'eu') on conflict (tenant, region) do nothing => direct s0 write
        insert into sales (tenant, region) values (1, 'eu') on conflict (tenant, region) do update set x = 1 => direct s0 write
        update sales set x = 1 where tenant = 1 and region = 'eu' => direct s0 write
        update sales set x = 1 where tenant = 1 => writes s0+s1+s2 eager None
        update sales set x = 1, tenant = 1, region = 'eu' where tenant = 1 and region = 'eu' => direct s0 write
        update sales set tenant = 1 where tenant = 1 and region = 'eu' => direct s0 write
        update sales set tenant = 1 where tenant = 1 => writes s0+s1+s2 eager None
        update sales set tenant = 2 where tenant = 1 and region = 'eu' => refused sharding_key_update
        update sales set region = 'us' where tenant = 1 and region = 'eu' => refused sharding_key_update
        update sales set region = lower('eu') where tenant = 1 and region = 'eu' => refused sharding_key_update
        update sales set tenant = 1 where tenant in (1, 2) and region = 'eu' => refused sharding_key_update
        update sales set x = v.x from visits v where v.owner = tenant and v.place = region => writes s0+s1+s2 eager None
        update sales set x = v.x from visits v where v.owner = tenant => refused not_colocated
        delete from sales where tenant = 1 and region = 'eu' => direct s0 write
        delete from sales where tenant = 1 and region in ('eu', 'us') => writes s0+s2 eager None
        delete from sales => writes s0+s1+s2 eager None
        delete from strict where b = 1 => refused missing_sharding_key
        delete from strict where b = 1 and a = 1 => direct s0 write
        update strict set b = 1 where b = 1 and a = 1 => direct s0 write
        /* shardloom: sharding_key=1 */ select * from sales => refused wrong_sharding_key
        copy sales (x, tenant, region) from stdin => copy
        copy sales (x, tenant) from stdin => refused missing_sharding_key
        copy strict to stdout => refused missing_sharding_key
        ",
    );
}

#[test]
fn as_many_combinations_as_are_told_choose_shards_and_one_more_asks_all() {
    let rules = parsed(&GROUPS.replace("{type: [int, text]}", "{type: [int, int]}"));
    let on_s1 = |tenant: &i64| {
        let key = KeyValue::Parts([KeyValue::Int(*tenant), KeyValue::Int(1)].into());
        rules.shard_of(GroupId(0), &key) == Some(ShardId(1))
    };
    let told: Vec<String> = (0..).filter(on_s1).take(4_097).map(|tenant: i64| tenant.to_string()).collect();
    let route = |tenants: &[String]| {
        let text = format!("select * from sales where tenant in ({}) and region in (1, 1)", tenants.join(", "));
        render(plan_of(&text, Parameters::default(), &rules), &rules)
    };
    assert_eq!(route(&told[..4_096]), "direct s1");
    assert_eq!(route(&told), "scatter s0+s1+s2: =");
    // The same value counts once.
    assert_eq!(route(&vec![told[0].clone(); 5_000]), "direct s1");
}

#[test]
fn merge_and_writing_with_leave_keys_alone_and_insert_nothing() {
    routes(
        &parsed(GROUPS),
        "
        with d as (delete from sales where tenant = 1 and region = 'eu' returning *) select * from d => direct s0 write
        with d as (update sales set region = 'us' where tenant = 1 and region = 'eu' returning *) select * from d => carry update sales set region = 'us' where tenant = 1 and region = 'eu' returning *
        with d as (update sales set x = 1 where tenant = 1 and region = 'eu' returning *) select * from d => direct s0 write
        with d as (update sales set x = 1 where tenant = 1 returning *) select * from d => carry update sales set x = 1 where tenant = 1 returning *
        with d as (insert into sales (tenant, region) values (1, 'eu') returning *) select * from d => carry insert into sales (tenant, region) values (1, 'eu') returning *
        with d as (insert into sales (tenant, region) values (1, 'eu') on conflict (tenant) do nothing returning *) select * from d => carry insert into sales (tenant, region) values (1, 'eu') on conflict (tenant) do nothing returning *
        merge into sales s using visits v on v.owner = s.tenant and v.place = s.region when matched then update set x = 1 => writes s0+s1+s2 eager None
        merge into sales s using visits v on v.owner = s.tenant when matched then update set x = 1 => refused not_colocated
        merge into sales s using visits v on v.owner = s.tenant and v.place = s.region when matched then update set region = 'x' => refused sharding_key_update
        merge into sales s using visits v on v.owner = s.tenant and v.place = s.region when not matched then insert (tenant, region) values (v.owner, v.place) => refused merge
        merge into sales s using (values (1, 'eu')) as v (t, r) on s.tenant = v.t and s.region = v.r when not matched then insert (tenant, region) values (v.t, v.r) => refused merge
        merge into sales s using (values (1, 'eu')) as v (t, r) on s.tenant = 1 and s.region = 'eu' when not matched then insert (tenant, region) values (v.t, v.r) => refused merge
        ",
    );
}
