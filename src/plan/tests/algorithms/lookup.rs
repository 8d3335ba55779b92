//! `algorithm: lookup`: what is known of a key chooses its shard, what is not leaves all of them.

use super::*;
use crate::types::{BucketId, KeyValue};

const GROUP: &str = "kind: TableGroup
name: tenants
key: {type: text}
algorithm: lookup
lookup: {table: directory, key: tenant, bucket: bucket}
tables: {orders: {key: tenant}, items: {key: owner}}
key_update: reject
";

#[test]
fn known_keys_choose_their_shards_and_unknown_ones_leave_all() {
    let rules = parsed(GROUP);
    let (_, lookup) = rules.lookups().next().expect("a group with lookup");
    let key = |key: &str| KeyValue::Text(key.to_owned());
    let buckets = rules.placement.buckets();
    lookup.directory.learn([(key("first"), BucketId(0)), (key("last"), BucketId(buckets - 1))]);
    routes(
        &rules,
        "
        select * from orders where tenant = 'first' => direct s0
        select * from orders where tenant in ('first', 'last') => scatter s0+s2: =
        select * from orders where tenant = 'who' => scatter s0+s1+s2: =
        select * from orders where tenant = 'first' and tenant in ('first', 'who') => direct s0
        select * from orders where tenant > 'a' => scatter s0+s1+s2: =
        select * from orders o join items i on i.owner = o.tenant where i.owner = 'last' => direct s2
        select * from orders o join items i on i.owner = o.tenant => scatter s0+s1+s2: =
        select * from orders, directory where tenant = 'first' => direct s0
        insert into orders (tenant) values ('last') => direct s2 write
        insert into orders (tenant) values ('first'), ('who') => refused unmapped_sharding_key
        insert into orders (tenant) values (null) => refused missing_sharding_key
        delete from orders where tenant = 'last' => direct s2 write
        update orders set tenant = 'last' where tenant = 'last' => direct s2 write
        update orders set tenant = 'who' where tenant = 'last' => refused sharding_key_update
        ",
    );
}
