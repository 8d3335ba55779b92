//! Reads whose rows stay with their shard although a subquery, a window or a group stands between: and those that do not.

use super::check;

#[test]
fn windows_by_the_key_stay_on_their_shard() {
    check(
        "
        select id, rank() over (partition by user_id order by id) from orders => scatter s0+s1+s2: =
        select id, rank() over (partition by status, user_id) from orders order by id => scatter s0+s1+s2: = | by 0 asc
        select id, rank() over (partition by status) from orders => refused unknown_function
        select id, rank() over () from orders => refused unknown_function
        select id, rank() over w, sum(id) over (w rows 1 preceding) from orders window w as (partition by user_id order by id) => scatter s0+s1+s2: =
        select id, rank() over w, sum(id) over (v order by id) from orders window v as (partition by user_id), w as (v order by id) => scatter s0+s1+s2: =
        select id, rank() over w, sum(id) over v from orders window v as (partition by user_id), w as (order by id) => refused unknown_function
        select id from orders order by rank() over (partition by user_id order by id), id limit 3 => scatter s0+s1+s2: select id, rank() over (partition by user_id order by id) from orders order by rank() over (partition by user_id order by id), id limit 3 | hide 1 | by 1 asc | by 0 asc | limit 3
        select id from orders order by rank() over (order by id) limit 3 => refused unknown_function
        select user_id, count(*), rank() over (partition by user_id) from orders group by user_id => scatter s0+s1+s2: =
        select user_id, count(*), rank() over (order by count(*)) from orders group by user_id => refused unknown_function
        select status, count(*), rank() over (partition by user_id) from orders group by status, user_id => scatter s0+s1+s2: =
        select status, count(*) over (partition by user_id) from orders group by status => gather s0 orders() s0+s1+s2
        select distinct user_id, first_value(id) over (partition by user_id order by id) from orders => scatter s0+s1+s2: =
        select distinct status, first_value(id) over (partition by user_id order by id) from orders => refused unknown_function
        select o.id, lag(i.id) over (partition by i.buyer order by i.id) from orders o join order_items i on i.buyer = o.user_id => scatter s0+s1+s2: =
        select o.id, lag(i.id) over (partition by i.buyer order by i.id) from orders o left join order_items i on i.buyer = o.user_id => refused unknown_function
        select o.id, lag(i.id) over (partition by o.user_id order by i.id) from orders o left join order_items i on i.buyer = o.user_id => scatter s0+s1+s2: =
        select id, rank() over (partition by (select user_id)) from orders => refused unknown_function
        select id, rank() over (partition by user_id + 0) from orders => refused unknown_function
        select id, rank() over (partition by user_id) from orders where user_id in ({a}, {b}) => scatter s1+s2: =
        ",
    );
}

#[test]
fn distinct_on_the_key_stays_on_its_shard() {
    check(
        "
        select distinct on (user_id) user_id, id from orders order by user_id, id desc => scatter s0+s1+s2: = | by 0 asc | by 1 desc nulls first
        select distinct on (user_id, status) * from orders order by user_id, status limit 5 => scatter s0+s1+s2: select distinct on (user_id, status) *, user_id, status from orders order by user_id, status limit 5 | hide 2 | by -2 asc | by -1 asc | limit 5
        select distinct on (1) user_id, id from orders order by 1, id desc => scatter s0+s1+s2: = | by 0 asc | by 1 desc nulls first
        select distinct on (2) user_id, id from orders order by 2 => gather s0 orders() s0+s1+s2
        select distinct on (status) user_id, id from orders order by status => gather s0 orders() s0+s1+s2
        select distinct on (user_id) id as user_id, total from orders order by user_id => gather s0 orders() s0+s1+s2
        select distinct on (orders.user_id) id as user_id, total from orders order by orders.user_id => scatter s0+s1+s2: select distinct on (orders.user_id) id as user_id, total, orders.user_id from orders order by orders.user_id | hide 1 | by 2 asc
        select distinct on (user_id) user_id::text, total from orders order by user_id => gather s0 orders() s0+s1+s2
        select distinct on (k) user_id as k, total from orders order by k => scatter s0+s1+s2: = | by 0 asc
        select distinct user_id, count(*) from orders group by user_id => scatter s0+s1+s2: =
        select distinct count(*) from orders group by user_id => gather s0 orders() s0+s1+s2 | parts SELECT user_id, count(*) from orders GROUP BY 1 | SELECT DISTINCT coalesce(sum(shardloom_c1), 0)::int8 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0
        ",
    );
}

#[test]
fn subqueries_whose_rows_are_of_one_key_stay_on_their_shard() {
    check(
        "
        select * from (select user_id, count(*) as c from orders group by user_id) x where c > 5 => scatter s0+s1+s2: =
        select * from (select user_id, count(*) as c from orders group by 1) x where c > 5 => scatter s0+s1+s2: =
        select * from (select count(*) as c from orders group by user_id) x where c > 5 => scatter s0+s1+s2: =
        select * from (select status, count(*) as c from orders group by status) x where c > 5 => gather s0 orders() s0+s1+s2
        select avg(c), max(c) from (select count(*) as c from orders group by user_id) x => scatter s0+s1+s2: select sum(c) AS avg, max(c), count(c) from (select count(*) as c from orders group by user_id) x | fold sum,max,sum avg 0/2 show 2
        select c, count(*) from (select count(*) as c from orders group by user_id) x group by c order by c => scatter s0+s1+s2: = | fold key,sum show 2 | by 0 asc
        select user_id, max(c) from (select user_id, status, count(*) as c from orders group by user_id, status) x group by user_id => scatter s0+s1+s2: =
        select k, array_agg(c) from (select user_id as k, count(*) as c from orders group by user_id, status) x group by k => scatter s0+s1+s2: =
        select * from (select *, row_number() over (partition by user_id order by id desc) as n from orders) x where n <= 3 => scatter s0+s1+s2: =
        select * from (select *, row_number() over (partition by status order by id desc) as n from orders) x where n <= 3 => refused sharded_subquery
        select * from (select distinct on (user_id) * from orders order by user_id, id) x => gather s0 orders() s0+s1+s2
        select * from (select distinct on (user_id) * from orders order by user_id, id) x order by id => scatter s0+s1+s2: select *, id from (select distinct on (user_id) * from orders order by user_id, id) x order by id | hide 1 | by -1 asc
        select count(*) from (select distinct on (user_id) * from orders order by user_id, id) x => scatter s0+s1+s2: = | fold sum show 1
        select * from (select distinct user_id from orders) x => scatter s0+s1+s2: =
        select * from (select distinct status from orders) x => gather s0 orders() s0+s1+s2
        select * from (select id from orders limit 5) x => gather s0 orders() s0+s1+s2
        select * from (select id from orders offset 5) x => gather s0 orders() s0+s1+s2
        select * from (select max(id) from orders) x => gather s0 orders() s0+s1+s2
        select * from (select user_id, count(*) from orders group by rollup (user_id)) x => gather s0 orders() s0+s1+s2
        select * from (select user_id, count(*) from orders group by user_id having count(*) > 1) x => scatter s0+s1+s2: =
        select * from (select user_id from orders union all select buyer from order_items) x => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2
        select * from regions r left join (select region, count(*) from orders group by user_id, region) x on x.region = r.id => gather s0 orders() s0+s1+s2
        select * from regions r right join (select region, count(*) from orders group by user_id, region) x on x.region = r.id => scatter s0+s1+s2: =
        select * from (select user_id, sum(id) s from orders group by user_id) o join (select buyer, sum(id) s from order_items group by buyer) i on i.buyer = o.user_id => scatter s0+s1+s2: =
        select * from (select user_id, sum(id) s from orders group by user_id) o left join (select buyer, sum(id) s from order_items group by buyer) i on i.buyer = o.user_id => scatter s0+s1+s2: =
        select * from (select user_id, sum(id) s from orders group by user_id) o join (select buyer, sum(id) s from order_items group by buyer) i on i.s = o.s => gather s0 order_items() s0+s1+s2 orders() s0+s1+s2
        select * from (select * from orders) o join order_items i on i.buyer = o.user_id => scatter s0+s1+s2: =
        select o.id from (select * from (select * from orders) a) o where o.user_id = {a} => direct s1
        select o.id from (select a.*, 1 as one from orders a) o where user_id = {a} => direct s1
        select o.id from (select * from orders limit 5) o where o.user_id = {a} => gather s0 orders() s0+s1+s2
        select o.id from (select *, rank() over () from orders) o where o.user_id = {a} => refused sharded_subquery
        select o.id from (select *, rank() over (partition by user_id) from orders) o where o.user_id = {a} => direct s1
        select o.id from (select *, rank() over (partition by status) from orders) o where o.user_id = {a} => refused sharded_subquery
        select count(*) from (select * from (select user_id, id from orders) a where exists (select from order_items i where i.buyer = a.user_id)) x => scatter s0+s1+s2: = | fold sum show 1
        select count(*) from (select 1 from orders order by count(*)) x => gather s0 orders() s0+s1+s2
        select 1 from orders window w as (order by count(*)) => gather s0 orders() s0+s1+s2
        select count(*) from (select (select max(o.total)) as m from orders o) x => gather s0 orders() s0+s1+s2
        select (select max(r.id) from regions r) from orders o => scatter s0+s1+s2: =
        select x.ak, rn from (select a.user_id as ak, b.buyer as bk, row_number() over (partition by a.user_id order by b.id) as rn from orders a, order_items b) x where x.ak = x.bk => refused not_colocated
        select x.ak, rn from (select a.user_id as ak, row_number() over (partition by a.user_id order by b.id) as rn from orders a, order_items b where a.user_id = b.buyer) x => scatter s0+s1+s2: =
        select (select count(*) from orders) from regions => gather s0 orders() s0+s1+s2
        select (select count(*) from (select user_id from orders) x) from regions => gather s0 orders() s0+s1+s2
        select * from (select o.id from orders o for update) x => scatter s0+s1+s2: =
        ",
    );
}

#[test]
fn queries_behind_with_are_subqueries() {
    check(
        "
        with x as (select user_id, count(*) as c from orders group by user_id) select * from x where c > 5 order by c limit 3 => scatter s0+s1+s2: with x as (select user_id, count(*) as c from orders group by user_id) select *, c from x where c > 5 order by c limit 3 | hide 1 | by -1 asc | limit 3
        with x as (select user_id, count(*) as c from orders group by user_id), y as (select * from x where c > 1) select avg(c) from y => scatter s0+s1+s2: with x as (select user_id, count(*) as c from orders group by user_id), y as (select * from x where c > 1) select sum(c) AS avg, count(c) from y | fold sum,sum avg 0/1 show 1
        with x as (select * from orders) select a.id from x a join x b on a.id = b.id => gather s0 orders() s0+s1+s2
        with x as (select * from orders) select a.id from x a join x b on a.user_id = b.user_id => gather s0 orders() s0+s1+s2
        with x as (select * from orders) select id from orders where id not in (select id from x) => gather s0 orders() s0+s1+s2
        with x as (select * from orders), y as (select 1) select status, count(*) from x group by status order by 2 limit 3 => scatter s0+s1+s2: with x as (select * from orders), y as (select 1) select status, count(*) from x group by status order by 2  | fold key,sum show 2 | by 1 asc | limit 3
        with x as (select * from orders) select status, count(*) from x group by status having count(*) > 1 => gather s0 orders() s0+s1+s2 | parts with x as (select * from orders) SELECT status, count(*) from x GROUP BY 1 | SELECT shardloom_c0, coalesce(sum(shardloom_c1), 0)::int8 FROM pg_temp.shardloom_rows GROUP BY shardloom_c0 HAVING coalesce(sum(shardloom_c1), 0)::int8 > 1
        with x as (select * from orders limit 3) select count(*) from x => gather s0 orders() s0+s1+s2
        with recursive x as (select user_id from orders union all select user_id + 1 from x where user_id < 5) select count(*) from x => gather s0 orders() s0+s1+s2
        with x as (select user_id from orders) select count(*) from regions => gather s0 orders() s0+s1+s2
        with x as materialized (select *, rank() over (partition by user_id order by id) as r from orders) select id from x where r = 1 and user_id = {a} => direct s1
        with r as (select id from regions) select o.id from orders o join r on r.id = o.region order by o.id => scatter s0+s1+s2: = | by 0 asc
        ",
    );
}

#[test]
fn rows_are_inserted_where_their_key_is_theirs() {
    check(
        "
        insert into loose (k, id) select k, count(*) from loose group by k => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select k, count(*) from loose group by k having count(*) > 1 order by k => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select a.k, b.id from loose a join loose b on a.k = b.k => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select b.k, a.id from loose a join loose b on a.k = b.k => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select b.k, a.id from loose a left join loose b on a.k = b.k => carry select b.k, a.id from loose a left join loose b on a.k = b.k
        insert into loose (k, id) select a.k, b.id from loose a join loose b on a.id = b.id => carry select a.k, b.id from loose a join loose b on a.id = b.id
        insert into loose (k, id) select l.k, r.id from loose l, regions r where r.id = l.id => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select x.k, x.n from (select *, row_number() over (partition by k order by id) as n from loose) x where x.n = 1 => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select distinct on (k) k, id from loose order by k, id => writes s0+s1+s2 two_phase None
        insert into loose (k, id) select distinct on (id) k, id from loose order by id => carry select distinct on (id) k, id from loose order by id
        insert into loose (k, id) select k, id from loose limit 3 => carry select k, id from loose limit 3
        insert into loose (k, id) select k, id from loose where k = 1 limit 3 => direct s2 write
        insert into loose (k, id) select k, id from loose where k in (1, 2) => writes s0+s2 two_phase None
        insert into loose (k, id) select * from loose => carry select * from loose
        insert into loose (k, id) select id, k from loose => carry select id, k from loose
        insert into loose (k, id) select k + 0, id from loose => carry select k + 0, id from loose
        insert into loose (k, id) select k, id from loose where id = (select max(id) from loose) => carry select k, id from loose where id = (select max(id) from loose)
        insert into loose (k, id) with x as (select k, max(id) as id from loose group by k) select k, id from x => writes s0+s1+s2 two_phase None
        insert into orders (user_id, id) select buyer, count(*) from order_items group by buyer => carry select buyer, count(*) from order_items group by buyer
        insert into orders (user_id, id) select buyer, count(*) from order_items where buyer in ({a}, {b}) group by buyer => writes s1+s2 eager None
        insert into orders (user_id, id) select buyer, count(*) from order_items where buyer = {a} group by buyer => direct s1 write
        insert into orders (user_id, id) select k, id from loose where k = 1 => carry select k, id from loose where k = 1
        insert into loose (k, id) select k, id from loose on conflict (k) do update set id = (select max(id) from regions) => refused not_colocated
        insert into loose (k, id) select k, sum(id) from (select k, id from loose) x group by k returning k => writes s0+s1+s2 two_phase ByShard
        insert into orders (user_id, id) select buyer, (select array_agg(id) from regions) from order_items where buyer in ({a}, {b}) => carry select buyer, (select array_agg(id) from regions) from order_items where buyer in ({a}, {b})
        ",
    );
}
