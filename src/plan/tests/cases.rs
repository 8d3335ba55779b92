//! The tables of cases.

use super::*;

#[test]
fn a_bound_key_goes_to_one_shard() {
    check(
        "
        select * from orders where user_id = {a} => direct s1
        select * from orders where user_id = {b} => direct s2
        select * from orders where {b} = user_id => direct s2
        select * from public.orders where orders.user_id = '{b}' => direct s2
        select * from Orders o where O.User_ID = {b} => direct s2
        select * from \"orders\" where \"user_id\" = {b} => direct s2
        select * from orders where user_id = {b}::bigint => direct s2
        select * from orders where user_id = cast('{b}' as int) => direct s2
        select * from orders where user_id = bigint '{b}' => direct s2
        select * from orders where user_id = {b}.0 => direct s2
        select * from orders where (user_id = {b}) and total > 5 => direct s2
        select * from orders where user_id in ({a}, {c}) => direct s1
        select * from orders where user_id = any('{{a},{c}}') => direct s1
        select * from orders where user_id = any('{{a},{c}}'::bigint[]) => direct s1
        select * from orders where user_id = any(array[{a}, {c}]) => direct s1
        select * from orders where (user_id, id) = ({b}, 1) => direct s2
        select * from orders where (user_id, id) in (({a}, 1), ({c}, 2)) => direct s1
        select * from orders where user_id in ({a}, {b}) and user_id = {b} => direct s2
        select * from orders where user_id = {b} order by 1 limit 5 => direct s2
        select count(*) + 1, round(avg(total), 2) from orders where user_id = {b} having count(*) > 1 => direct s2
        select sum(x) over () from orders where user_id = {b} => direct s2
        select distinct on (a) a from orders where user_id = {b} => direct s2
        select * from orders where user_id = {b} for update => direct s2 write
        select é from orders where 'é' = é and user_id = {b} => direct s2
        select * from audit.log where user_id = {b} => direct s2
        ",
    );
}

#[test]
fn a_key_that_no_row_can_have_goes_anywhere() {
    check(
        "
        select * from orders where user_id = null => direct s0
        select * from orders where user_id = 1.5 => direct s0
        select * from orders where user_id in ('{a}.0', 2.5) => scatter s0+s1+s2: =
        select * from orders where user_id in ('x', 2.5) => direct s0
        select * from orders where user_id = 99999999999999999999 => direct s0
        select * from orders where user_id = 'abc' => direct s0
        select * from orders where user_id = '{}' => direct s0
        select * from orders where user_id = any('{}') => direct s0
        select * from orders where user_id = {a} and user_id = {b} => direct s0
        select * from loose where k = 40000 => direct s0
        select * from docs where id = 'nonsense' => direct s0
        select * from people where name = 42 => direct s0
        ",
    );
}

#[test]
fn a_key_counts_only_where_it_restricts() {
    check(
        "
        select * from orders where user_id = {a} or total > 5 => scatter s0+s1+s2: =
        select * from orders where not (user_id = {a}) => scatter s0+s1+s2: =
        select * from orders where user_id <> {a} => scatter s0+s1+s2: =
        select * from orders where user_id not in ({a}) => scatter s0+s1+s2: =
        select * from orders where user_id is not distinct from {a} => scatter s0+s1+s2: =
        select * from orders where case when user_id = {a} then true else false end => scatter s0+s1+s2: =
        select count(*) filter (where user_id = {a}) from orders => scatter s0+s1+s2: = | fold sum show 1
        select user_id = {a} from orders => scatter s0+s1+s2: =
        select * from orders where (user_id = {a}) is true => scatter s0+s1+s2: =
        select * from orders where user_id + 0 = {a} => scatter s0+s1+s2: =
        select * from orders where user_id = {a}::text::bigint => scatter s0+s1+s2: =
        select * from orders where user_id in ({a}, {b}) => scatter s1+s2: =
        select * from orders where user_id = {a} or user_id = {b} => scatter s1+s2: =
        select * from orders where user_id = {a} or user_id = {c} => direct s1
        select * from orders where (user_id = {a} and total > 5) or (total < 5 and {c} = user_id) or user_id in ({a}) => direct s1
        select * from orders where (user_id = {a} or total > 5) and (user_id = {c} or user_id = {a}) => direct s1
        select * from orders o where o.user_id = {a} or (o.user_id = {c} or o.user_id = any (array[{a}])) => direct s1
        select * from orders where user_id = {a} or user_id = {c} or total = 1 => scatter s0+s1+s2: =
        select * from orders where user_id = {a} or not user_id = {c} => scatter s0+s1+s2: =
        select * from orders where user_id = {a} or user_id > {c} => scatter s0+s1+s2: =
        select * from orders where user_id = {a} or id = {c} => scatter s0+s1+s2: =
        select * from orders where not (user_id = {a} or user_id = {c}) => scatter s0+s1+s2: =
        select * from orders where user_id = {a} or user_id is null => scatter s0+s1+s2: =
        select * from orders o left join order_items i on i.buyer = o.user_id and (i.buyer = {a} or i.buyer = {c}) => scatter s0+s1+s2: =
        update orders set total = 1 where user_id = {a} or user_id = {c} => direct s1 write
        delete from orders where (user_id = {a} and id = 1) or (user_id = {b} and id = 2) => writes s1+s2 eager None
        select * from orders where user_id = any(select buyer from order_items where buyer = {a}) => gather s0 order_items() s1 orders() s0+s1+s2
        update orders set total = 1 => refused missing_sharding_key
        update orders set total = case when user_id = {a} then 1 else 2 end => refused missing_sharding_key
        update orders set total = 1 where user_id = {a} or total = 2 => refused missing_sharding_key
        update orders set note = 'x' where id = 1 => refused missing_sharding_key
        delete from orders => refused missing_sharding_key
        select * from strict => refused missing_sharding_key
        select * from strict where k > 5 => refused missing_sharding_key
        select count(*) + 1 from public.strict => refused missing_sharding_key
        select s.k from strict s, orders o where s.k = o.id => refused missing_sharding_key
        ",
    );
}

#[test]
fn joins_and_subqueries_follow_the_key() {
    check(
        "
        select * from orders o join order_items i on i.buyer = o.user_id where o.user_id = {b} => direct s2
        select * from orders o join order_items i on i.buyer = o.user_id where i.buyer = {b} => direct s2
        select * from orders o, order_items i where i.buyer = o.user_id and o.user_id = {b} => direct s2
        select * from orders o, order_items i where buyer = user_id and user_id = {b} => direct s2
        select * from orders o left join order_items i on i.buyer = o.user_id where o.user_id = {b} => direct s2
        select * from orders o join order_items i on i.order_id = o.id where o.user_id = {b} => gather s0 order_items() s0+s1+s2 orders() s2
        select * from orders o join order_items i on i.order_id = o.id where o.user_id = {b} and i.buyer = {b} => direct s2
        select * from orders o join order_items i on i.order_id = o.id where o.user_id = {a} and i.buyer = {c} => direct s1
        select * from orders o join order_items i on i.buyer = o.user_id => scatter s0+s1+s2: =
        select * from orders join audit.log using (user_id) where user_id = {b} => direct s2
        select * from orders o left join order_items i on i.buyer = o.user_id and i.buyer = {a} => scatter s0+s1+s2: =
        select * from orders o left join order_items i on i.buyer = o.user_id and o.user_id = {a} => scatter s0+s1+s2: =
        select * from orders o right join order_items i on i.buyer = o.user_id where i.buyer = {b} => direct s2
        select * from orders o full join order_items i on i.buyer = o.user_id => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2
        select * from regions r left join orders o on o.region = r.id => gather s0 orders() s0+s1+s2
        select * from orders o left join regions r on o.region = r.id => scatter s0+s1+s2: =
        select * from regions r right join orders o on o.region = r.id => scatter s0+s1+s2: =
        select * from orders o join regions r on r.id = o.region where o.user_id = {b} => direct s2 ref
        select * from orders o where exists (select 1 from order_items i where i.buyer = o.user_id) and o.user_id = {b} => direct s2
        select * from orders o where exists (select 1 from order_items i where i.buyer = o.user_id) => scatter s0+s1+s2: =
        select * from orders o where not exists (select 1 from order_items i where i.buyer = o.user_id) => scatter s0+s1+s2: =
        select * from orders o where exists (select 1 from order_items i where i.order_id = o.id) => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2
        select * from orders where user_id in (select buyer from order_items) and user_id = {b} => direct s2
        select * from orders where user_id in (select buyer from order_items where buyer = {b}) => direct s2
        select * from orders where user_id in (select buyer from order_items) => scatter s0+s1+s2: =
        select * from orders where user_id in (select buyer from order_items limit 5) => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2
        select * from orders where user_id not in (select buyer from order_items) => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2
        select * from orders where user_id = {b} and id in (select order_id from order_items) => gather s0 order_items() s0+s1+s2 orders() s2
        select (select count(*) from order_items i where i.buyer = o.user_id) from orders o where o.user_id = {b} => direct s2
        with x as (select * from orders where user_id = {b}) select * from x => direct s2
        with x as (select user_id, total from orders) select * from x where user_id = {b} => direct s2
        with x as (select user_id from orders) select * from x a, x b where a.user_id = {b} => gather s0 orders() s0+s1+s2
        with orders as (select 1 as user_id) select * from orders where user_id = {b} => direct s0 any
        with x as (select user_id from orders limit 5) select * from x where user_id = {b} => gather s0 orders() s0+s1+s2
        select * from (select user_id, count(*) as n from orders group by user_id) d where d.user_id = {b} => direct s2
        select * from (select max(user_id) as user_id from orders) d where d.user_id = {b} => gather s0 orders() s0+s1+s2
        select * from (select user_id u from orders) d (k) where d.k = {b} => direct s2
        select * from orders as o (user_id, id) where user_id = {a} => gather s0 orders() s0+s1+s2
        select * from orders where user_id = {a} union select * from orders where user_id = {c} => direct s1
        select * from orders where user_id = {a} union select * from orders => gather s0 orders() s0+s1+s2
        select * from orders where user_id = {a} union all select * from orders where user_id = {b} => gather s0 orders() s1+s2
        select * from orders o, lateral (select * from order_items i where i.buyer = o.user_id limit 1) l where o.user_id = {b} => direct s2
        select * from orders o cross join people p where o.user_id = {a} => gather s0 orders() s1 people() s0+s1+s2
        select * from (orders o join order_items i on i.buyer = o.user_id) where o.user_id = {b} => direct s2
        ",
    );
}

#[test]
fn other_tables_have_one_place() {
    check(
        "
        select 1 => direct s0 any
        select now() => direct s0 any
        select nextval('x') => direct s0
        select pg_advisory_lock(1) => direct s0
        values (1) => direct s0 any
        select nextval('x') from orders where user_id = {b} => refused home_function
        select pg_advisory_xact_lock(1) from settings => refused home_function
        select pg_advisory_xact_lock(1) from nowhere => direct s0
        select * from U&\"orders\" => unreadable
        select U&\"x\" from nowhere => unreadable
        select * from regions => direct s0 any ref
        select * from settings => direct s1
        select * from nowhere => direct s0
        select * from pg_class => direct s0
        select * from information_schema.tables => direct s0
        select * from other.orders => direct s0
        table orders => scatter s0+s1+s2: SELECT * FROM orders
        table nowhere => direct s0
        select * from only orders => scatter s0+s1+s2: =
        select * from only (orders) => scatter s0+s1+s2: =
        select * from settings, regions => direct s1 ref
        select * from settings, nowhere => gather s0 settings() s1
        select * from settings s, orders o where o.user_id = {a} => direct s1
        select * from settings s, orders o where o.user_id = {b} => gather s0 orders() s2 settings() s1
        select * from settings s, orders o => gather s0 orders() s0+s1+s2 settings() s1
        select * from nowhere n, orders o where o.user_id = {a} => gather s0 orders() s1
        ",
    );
}

#[test]
fn rows_merge_in_order() {
    check(
        "
        select id from orders order by id => scatter s0+s1+s2: = | by 0 asc
        select id, total from orders order by total desc, id => scatter s0+s1+s2: = | by 1 desc nulls first | by 0 asc
        select id from orders order by 1 desc nulls last => scatter s0+s1+s2: = | by 0 desc
        select id from orders order by id nulls first => scatter s0+s1+s2: = | by 0 asc nulls first
        select id as x from orders order by x => scatter s0+s1+s2: = | by 0 asc
        select id from orders order by total => scatter s0+s1+s2: select id, total from orders order by total | hide 1 | by 1 asc
        select id from orders order by lower(note) desc => scatter s0+s1+s2: select id, lower(note) from orders order by lower(note) desc | hide 1 | by 1 desc nulls first
        select lower(note) from orders order by LOWER( note ) => scatter s0+s1+s2: = | by 0 asc
        select * from orders order by id, total => scatter s0+s1+s2: select *, id, total from orders order by id, total | hide 2 | by -2 asc | by -1 asc
        select * from orders order by 2 => gather s0 orders() s0+s1+s2
        select id from orders limit 5 => scatter s0+s1+s2: = | limit 5
        select id from orders order by id limit 5 offset 10 => scatter s0+s1+s2: select id from orders order by id LIMIT 15  | by 0 asc | limit 5 | offset 10
        select id from orders offset 10 => scatter s0+s1+s2: select id from orders  | offset 10
        select id from orders limit all => scatter s0+s1+s2: select id from orders 
        select id from orders limit null => scatter s0+s1+s2: =
        select id from orders limit 2 + 3 => gather s0 orders() s0+s1+s2
        select id from orders fetch first 5 rows only => scatter s0+s1+s2: = | limit 5
        select id from orders order by id offset 2 rows fetch next 5 rows only => scatter s0+s1+s2: select id from orders order by id LIMIT 7  | by 0 asc | limit 5 | offset 2
        select id from orders fetch first row only => gather s0 orders() s0+s1+s2
        select id from orders order by id fetch first 5 rows with ties => gather s0 orders() s0+s1+s2
        select distinct region from orders => scatter s0+s1+s2: = | distinct
        select distinct region from orders order by region limit 3 => scatter s0+s1+s2: = | distinct | by 0 asc | limit 3
        select distinct region from orders order by total => gather s0 orders() s0+s1+s2
        select distinct on (region) region from orders => gather s0 orders() s0+s1+s2
        select row_number() over (order by id) from orders => refused unknown_function
        select sum(id) over () from orders => gather s0 orders() s0+s1+s2
        select id from orders union all select id from orders => gather s0 orders() s0+s1+s2
        select random() from orders => gather s0 orders() s0+s1+s2
        select nextval('s') from orders => refused unknown_function
        select my_aggregate(total) from orders => refused unknown_function
        select * from orders for update => scatter s0+s1+s2: =
        select * from orders limit 1 for update => scatter s0+s1+s2: = | limit 1
        select extract(year from day), a is distinct from b from orders where id > 0 => scatter s0+s1+s2: =
        ",
    );
}

#[test]
fn aggregates_fold() {
    check(
        "
        select count(*) from orders => scatter s0+s1+s2: = | fold sum show 1
        select count(*), sum(total), min(id), max(id) from orders => scatter s0+s1+s2: = | fold sum,sum,min,max show 4
        select bool_and(paid), every(paid), bool_or(paid) from orders => scatter s0+s1+s2: = | fold and,and,or show 3
        select avg(total) from orders => scatter s0+s1+s2: select sum(total) AS avg, count(total) from orders | fold sum,sum avg 0/1 show 1
        select avg(total) as a, count(*) from orders => scatter s0+s1+s2: select sum(total) as a, count(*), count(total) from orders | fold sum,sum,sum avg 0/2 show 2
        select region, count(*) from orders group by region => scatter s0+s1+s2: = | fold key,sum show 2
        select region, count(*) from orders group by 1 => scatter s0+s1+s2: = | fold key,sum show 2
        select o.region, count(*) from orders o group by region => scatter s0+s1+s2: = | fold key,sum show 2
        select count(*) from orders group by region => scatter s0+s1+s2: select count(*), region from orders group by region | fold sum,key show 1
        select lower(note), count(*) from orders group by lower(note) => scatter s0+s1+s2: = | fold key,sum show 2
        select lower(note) as n, count(*) from orders group by n => gather s0 orders() s0+s1+s2
        select region, count(*) n from orders group by region order by n desc limit 3 => scatter s0+s1+s2: select region, count(*) n from orders group by region order by n desc  | fold key,sum show 2 | by 1 desc nulls first | limit 3
        select region from orders group by region order by count(*) => scatter s0+s1+s2: select region, count(*) from orders group by region order by count(*) | fold key,sum show 1 | by 1 asc
        select region, avg(total) from orders group by region order by 2 => gather s0 orders() s0+s1+s2 | parts SELECT region, sum(total), count(total) from orders GROUP BY 1 | SELECT shardloom_c0, shardloom_a1_2 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 ORDER BY 2
        select region, count(*) from orders group by region having count(*) > 1 => gather s0 orders() s0+s1+s2 | parts SELECT region, count(*) from orders GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 HAVING coalesce(sum(shardloom_c1), 0)::int8 > 1
        select count(*) + 1 from orders => gather s0 orders() s0+s1+s2 | parts SELECT count(*) from orders | SELECT coalesce(sum(shardloom_c0), 0)::int8 + 1 FROM pg_temp.shardloom_rows
        select round(avg(total), 2) from orders => gather s0 orders() s0+s1+s2 | parts SELECT sum(total), count(total) from orders | SELECT round(shardloom_a0_1, 2) FROM pg_temp.shardloom_rows
        select coalesce(sum(total), 0) from orders => gather s0 orders() s0+s1+s2 | parts SELECT sum(total) from orders | SELECT coalesce(shardloom_s0, 0) FROM pg_temp.shardloom_rows
        select count(distinct region) from orders => gather s0 orders() s0+s1+s2 | parts SELECT region from orders GROUP BY 1 | SELECT count(DISTINCT shardloom_c0) FROM pg_temp.shardloom_rows
        select string_agg(note, ',' order by id) from orders => refused unknown_function
        select distinct count(*) from orders => gather s0 orders() s0+s1+s2 | parts SELECT count(*) from orders | SELECT DISTINCT coalesce(sum(shardloom_c0), 0)::int8 FROM pg_temp.shardloom_rows
        select region, count(*) from orders group by rollup (region) => gather s0 orders() s0+s1+s2
        select region, note, count(*) from orders group by region => gather s0 orders() s0+s1+s2
        select user_id, count(distinct region) from orders group by user_id having count(*) > 1 => scatter s0+s1+s2: =
        select user_id, count(*) + 1 as n from orders group by 1 order by n desc limit 2 => scatter s0+s1+s2: = | by 1 desc nulls first | limit 2
        select sum(total) filter (where paid) from orders => scatter s0+s1+s2: = | fold sum show 1
        select avg(total) filter (where paid) from orders => scatter s0+s1+s2: select sum(total) filter (where paid) AS avg, count(total) filter (where paid) from orders | fold sum,sum avg 0/1 show 1
        select i.buyer, count(*) from orders o join order_items i on i.buyer = o.user_id group by i.sku, o.user_id, i.buyer => scatter s0+s1+s2: =
        ",
    );
}

#[test]
fn writes_go_where_their_rows_are() {
    check(
        "
        update orders set total = 1 where user_id = {b} => direct s2 write
        update only orders set total = 1 where user_id = {b} => direct s2 write
        update orders set tags[1] = total where user_id = {b} => direct s2 write
        update orders set tags[(select 1)] = total where user_id = {b} => unreadable
        delete from only orders => refused missing_sharding_key
        update \"only\" set a = 1 => direct s0 write
        update orders set total = total + 1 where user_id = {b} and id = 2 returning * => direct s2 write
        update orders set total = 1 where user_id in ({a}, {c}) => direct s1 write
        update orders set total = 1 where user_id in ({a}, {b}) => writes s1+s2 eager None
        update orders set total = 1 where user_id in ({a}, {b}) returning id => writes s1+s2 eager ByShard
        delete from orders where user_id = {b} => direct s2 write
        update orders set total = nextval('s') where user_id = {b} => refused home_function
        delete from orders where user_id = any('{{a},{b}}') => writes s1+s2 eager None
        update loose set x = 1 => writes s0+s1+s2 two_phase None
        update loose set x = random(), y = gen_random_uuid(), z = current_user => writes s0+s1+s2 two_phase None
        delete from loose where random() < 0.5 => writes s0+s1+s2 two_phase None
        update loose set x = (select random()) => refused unknown_function
        update loose set x = v.r from (values (random())) v(r) => refused unknown_function
        update loose set x = r.x from random() r(x) => refused unknown_function
        delete from loose using random() r(x) where loose.x < r.x => refused unknown_function
        update loose set x = statement_timestamp() => refused unknown_function
        update strict set x = 1 where k in ({a}, {b}) => refused multi_shard_rejected
        update orders set user_id = {b} where user_id = {b} => direct s2 write
        update orders set user_id = {c} where user_id = {a} => direct s1 write
        update orders set user_id = user_id, total = 1 where user_id = {b} => direct s2 write
        update orders o set user_id = o.user_id, total = 1 where user_id in ({a}, {b}) => writes s1+s2 eager None
        update orders o set user_id = i.user_id from order_items i where i.buyer = o.user_id and o.user_id = {b} => refused sharding_key_update
        update orders set \"USER_ID\" = user_id where user_id = {b} => direct s2 write
        update orders set user_id = {a} where user_id = {b} => refused sharding_key_update
        update orders set user_id = user_id + 1 where user_id = {b} => refused sharding_key_update
        update orders set (user_id, total) = ({b}, 1) where user_id = {b} => refused sharding_key_update
        update orders o set total = i.price from order_items i where i.buyer = o.user_id and o.user_id = {b} => direct s2 write
        update orders o set total = i.price from order_items i where i.order_id = o.id and o.user_id in ({a}, {b}) => refused not_colocated
        delete from orders o using order_items i where i.buyer = o.user_id and o.user_id in ({a}, {b}) => writes s1+s2 eager None
        update orders set total = (select max(v) from settings) where user_id = {b} => refused different_shards
        update orders set total = (select max(v) from settings) where user_id = {a} => direct s1 write
        update orders set total = (select max(tax) from regions) where user_id = {b} => direct s2 ref write
        update regions set tax = 1 => direct s0 copies
        delete from regions r using orders o where o.region = r.id => refused different_shards
        update settings set v = 1 => direct s1 write
        update settings set v = (select count(*) from orders) => carry select count(*) from orders
        update nowhere set v = 1 => direct s0 write
        with d as (delete from orders where user_id = {a} returning *) select * from d => direct s1 write
        with d as (delete from nowhere returning *) select * from d => direct s0 write
        merge into orders o using regions r on o.region = r.id when matched then delete => refused missing_sharding_key
        merge into nowhere o using elsewhere r on o.a = r.a when matched then delete => direct s0 write
        insert into orders (user_id) values ({b}) => direct s2 write
        insert into orders (user_id) values ({a}), ({b}) => writes s1+s2 eager None
        insert into orders (total) values (1) => refused missing_sharding_key
        insert into nowhere values (1) => direct s0 write
        copy orders (user_id, total) from stdin => copy
        ",
    );
}

#[test]
fn text_and_uuid_keys_are_exact() {
    let rules = rules();
    let place = |text: &str| render(plan_of(text, Parameters::default(), &rules), &rules);
    let shard = |key: &KeyValue, group| rules.shard_of(GroupId(group), key).expect("hash has a place for every key");
    let name = |key: KeyValue, group| format!("direct {}", rules.shard(shard(&key, group)).name);
    for (written, value) in [("'ann'", "ann"), ("'ann '", "ann "), ("E'\\x61nn'", "ann"), ("$$a'n$$", "a'n")] {
        let expected = name(KeyValue::Text(value.into()), 1);
        assert_eq!(place(&format!("select * from people where name = {written}")), expected);
        assert_eq!(place(&format!("select * from people where name = {written}::text")), expected);
    }
    let bytes = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
    let expected = name(KeyValue::Uuid(bytes), 2);
    for form in [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    ] {
        assert_eq!(place(&format!("select * from docs where id = '{form}'")), expected, "{form}");
    }
    assert!(place("select * from people p where p.name = other and other = 'ann'").starts_with("scatter"));
}

#[test]
fn utility_statements_follow_their_tables() {
    check(
        "
        truncate orders => everywhere s0+s1+s2 write
        truncate orders, settings => writes s0+s1+s2 eager None
        truncate settings => direct s1 write
        vacuum analyze orders => everywhere s0+s1+s2
        vacuum => everywhere s0+s1+s2
        analyze nowhere => direct s0
        lock table orders in share mode => everywhere s0+s1+s2 write
        create table orders (user_id bigint) => everywhere s0+s1+s2 write
        create table nowhere (a int) => direct s0 write
        create temp table orders_copy (a int) => direct s0 write
        create index on orders (total) => everywhere s0+s1+s2 write
        create index concurrently on orders (total) => everywhere s0+s1+s2
        create index on settings (v) => direct s1 write
        alter table regions add column x int => everywhere s0+s1+s2 write
        drop table orders, settings => writes s0+s1+s2 eager None
        create table pieces partition of orders for values in (1) => refused different_shards
        create rule r as on delete to orders do instead nothing => refused table_rule
        create rule r as on insert to regions do also select 1 => refused table_rule
        drop rule r on orders => everywhere s0+s1+s2 write
        create rule r as on delete to settings do instead nothing => direct s1 write
        create schema audit => everywhere s0+s1+s2 write
        create extension pgcrypto => everywhere s0+s1+s2 write
        create type t as enum ('a') => everywhere s0+s1+s2 write
        grant select on orders to app => everywhere s0+s1+s2 write
        grant usage on schema audit to app => everywhere s0+s1+s2 write
        create table orders_copy as select * from orders => refused create_as
        create table copy as select * from nowhere => direct s0 write
        select * into copy from orders => refused create_as
        create view v as select * from orders => direct s0 write
        create view v as select * from nowhere => direct s0 write
        do $$ begin delete from orders; end $$ => refused code
        do $$ begin perform 1; end $$ => direct s0 write
        create database other => direct s0
        ",
    );
}

#[test]
fn comments_say_the_shard() {
    check(
        "
        /* shardloom: shard=s2 */ select * from orders => direct s2
        /* shardloom: shard=s2 */ delete from orders => direct s2 write
        /* shardloom: shard=s2 */ this is no sql => direct s2 write
        select this is ( not sql from orders => unreadable
        select this is ( not sql => direct s0 write
        ",
    );
    let rules = rules();
    let Err(PrepareError::Refused(refusal)) =
        plan_of("/* shardloom: shard=s9 */ select 1", Parameters::default(), &rules)
    else {
        panic!("a shard that does not exist was taken")
    };
    assert_eq!(refusal.reason, "unknown_shard");
}

#[test]
fn a_key_beside_the_statement_binds_what_nothing_else_binds() {
    check(
        "
        /* shardloom: sharding_key={a} */ select * from orders => direct s1
        /* shardloom: sharding_key='{b}' */ select count(*) + 1 from orders o, order_items i => direct s2
        /* shardloom: sharding_key={b} */ select * from orders natural join regions => direct s2 ref
        /* shardloom: sharding_key={b} */ update orders set total = 1 => direct s2 write
        /* shardloom: sharding_key={b} */ delete from orders where total > 5 => direct s2 write
        /* shardloom: sharding_key={b} */ select * from orders where user_id = {b} => direct s2
        /* shardloom: sharding_key={a} */ select * from orders where user_id = {c} => direct s1
        /* shardloom: sharding_key={a} */ select * from orders where user_id = {b} => refused bound_elsewhere
        /* shardloom: sharding_key={a} */ select * from orders where user_id in ({a}, {b}) => refused bound_elsewhere
        /* shardloom: sharding_key={a} */ update orders set total = 1 where user_id = {b} => refused bound_elsewhere
        /* shardloom: sharding_key={a} */ select * from orders o, order_items i where i.buyer = {b} => refused bound_elsewhere
        /* shardloom: sharding_key={b} */ select * from orders o, settings s => refused bound_elsewhere
        /* shardloom: sharding_key={a} */ select * from orders o, settings s => direct s1
        /* shardloom: sharding_key={b} */ select * from regions => direct s0 any ref
        /* shardloom: sharding_key={b} */ select * from settings => direct s1
        /* shardloom: sharding_key=some */ select * from orders => refused wrong_sharding_key
        /* shardloom: sharding_key='it''s me' */ select * from people => direct s2
        /* shardloom: sharding_key={b} */ truncate orders => refused not_steered
        /* shardloom: sharding_key={b} */ select next from orders order by (select 1) => direct s2
        ",
    );
}

#[test]
fn unusual_grammar_is_read_right_or_refused() {
    check(
        "
        select * from orders tablesample bernoulli (10) where user_id = {b} => direct s2
        select * from orders natural join order_items where user_id = {b} => gather s0 order_items() s0+s1+s2 orders() s2
        select * from orders, only order_items => refused not_colocated
        select * from orders where user_id = {b} and exists (table order_items) => gather s0 order_items() s0+s1+s2 orders() s2: select * from orders where user_id = {b} and exists (SELECT * FROM order_items)
        select * from orders where user_id = {b} union all table order_items => gather s0 order_items() s0+s1+s2 orders() s2: select * from orders where user_id = {b} union all SELECT * FROM order_items
        select * from orders o join (values ({a}), ({c})) v(k) on v.k = o.user_id => direct s1
        select * from ((select * from orders where user_id = {b})) x => direct s2
        (select * from orders where user_id = {b}) => direct s2
        (select * from orders) order by 1 => gather s0 orders() s0+s1+s2
        select * from orders where user_id = {b} = true => scatter s0+s1+s2: =
        select * from orders where user_id = {b} is false => scatter s0+s1+s2: =
        select * from orders where user_id = {b} || '' => scatter s0+s1+s2: =
        select * from orders where user_id = all(array[{b}]) => scatter s0+s1+s2: =
        select * from orders where user_id = some(array[{b}]) => direct s2
        select * from orders o where o.user_id = {b} limit (select count(*) from order_items) => gather s0 order_items() s0+s1+s2 orders() s2
        select * from orders o where o.user_id = {b} order by (select max(id) from order_items) => gather s0 order_items() s0+s1+s2 orders() s2
        select (select 1 from order_items where buyer = user_id) from orders where user_id = {b} => gather s0 order_items() s0+s1+s2 orders() s2
        with a as (select user_id from orders), b as (select user_id from a) select * from b where user_id = {b} => direct s2
        with a as (select * from orders), b as (select * from a) select * from b where user_id = {b} => direct s2
        select count(*) from (select id from orders) x => scatter s0+s1+s2: = | fold sum show 1
        select exists (select 1 from orders) => gather s0 orders() s0+s1+s2
        update orders set (a, b) = (select x, y from order_items) where user_id = {b} => refused not_colocated
        delete from orders where user_id = {b} returning (select count(*) from order_items) => carry select count(*) from order_items
        select * from orders where user_id = {b}; => direct s2
        select * from orders where user_id operator(pg_catalog.=) {b} => scatter s0+s1+s2: =
        select * from orders where user_id = {b} for update of orders skip locked => direct s2 write
        select count(*) as \"limit\", region as from_region from orders group by region => scatter s0+s1+s2: = | fold sum,key show 2
        select o.* from orders o order by o.id => scatter s0+s1+s2: select o.*, o.id from orders o order by o.id | hide 1 | by -1 asc
        select id from orders order by id using < => gather s0 orders() s0+s1+s2
        select * from orders o join regions r on r.x = o.user_id where r.x = {b} => scatter s0+s1+s2: =
        select * from orders o join regions r on r.x = o.user_id where r.x = '{b}.0' => scatter s0+s1+s2: =
        select * from orders o join regions r on r.x = o.user_id where r.x = {b}::bigint => direct s2 ref
        select * from people p join (select citext_column as n from regions) d on d.n = p.name where d.n = 'A' => scatter s0+s1+s2: =
        explain select * from orders where user_id = {b} => direct s2
        explain (format 'json', analyze) update orders set total = 1 where user_id = {b} => direct s2 write
        explain update orders set total = 1 where user_id = {b} => direct s2
        explain select * from orders => refused explain_scatter
        explain select mine.f(note) from orders => refused unknown_function
        select mine.lower(note) from orders => refused unknown_function
        select mine.sum(total) from orders => refused unknown_function
        select pg_catalog.lower(note) from orders => scatter s0+s1+s2: =
        select mine.lower(note) from orders where user_id = {b} => direct s2
        ",
    );
}
