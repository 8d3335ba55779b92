//! COPY of queries over tables of the rules.

use super::*;

#[test]
fn a_query_of_one_shard_is_copied_there() {
    check(
        "
        copy (select * from orders where user_id = {b}) to stdout => direct s2
        copy (select count(*) from orders where user_id = {b} order by 1 limit 1) to stdout csv header => direct s2
        copy (select * from orders o join regions r on r.id = o.region where user_id = {b}) to stdout => direct s2 ref
        copy (select * from regions) to stdout (format binary) => direct s0 any ref
        copy (select * from settings) to stdout => direct s1
        copy (delete from orders where user_id = {b} returning id) to stdout => direct s2 write
        copy (with d as (delete from orders where user_id = {b} returning id) select * from d) to stdout => direct s2 write
        copy (values (1)) to stdout => direct s0
        ",
    );
}

#[test]
fn rows_of_several_shards_follow_each_other_or_are_refused() {
    check(
        "
        copy (select * from orders) to stdout => copy out s0+s1+s2
        copy (select id, total * 2 from orders where user_id in ({a}, {b}) and total > 1) to stdout => copy out s1+s2
        copy (select o.id from orders o join order_items i on i.buyer = o.user_id) to stdout => copy out s0+s1+s2
        copy (select * from orders order by id) to stdout => copy out s0+s1+s2 merged
        copy (select * from orders limit 1) to stdout => copy out s0+s1+s2 merged
        copy (select distinct id from orders) to stdout => copy out s0+s1+s2 merged
        copy (select count(*) from orders) to stdout => copy out s0+s1+s2 merged
        copy (select sum(total) over () from orders) to stdout => copy out s0+s1+s2 merged
        copy (select o.id from orders o join regions r on r.id = o.region) to stdout => copy out s0+s1+s2 merged
        copy (select * from orders for update) to stdout => copy out s0+s1+s2 merged
        copy (select id from orders order by id) to stdout (delimiter 'a') => refused copy_query
        copy (select id from orders order by id) to stdout (on_error ignore) => refused copy_query
        copy (select * from strict) to stdout => refused missing_sharding_key
        copy (update loose set a = 1 returning k) to stdout => refused copy_query
        copy (update regions set tax = 1 returning id) to stdout => refused copy_query
        copy (insert into orders (user_id) values ({a}), ({b}) returning id) to stdout => refused copy_query
        copy (select * from orders where user_id = {b}) to '/tmp/x' => refused copy_query
        ",
    );
}
