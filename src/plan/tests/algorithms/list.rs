//! `algorithm: list`.

use super::*;

const GROUPS: &str = "kind: TableGroup
name: regional
key: {type: text}
algorithm: list
list: {placement: {s1: [cn, hk, null], s2: [us]}}
tables: {users: {key: region}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: tenants
key: {type: int}
algorithm: list
list: {placement: {s1: [1, 2]}, default: s2}
tables: {tenants: {key: tenant}}
";

#[test]
fn values_route_by_their_place() {
    routes(
        &parsed(GROUPS),
        "
        select * from users where region = 'cn' => direct s1
        select * from users where region in ('cn', 'us') => scatter s1+s2: =
        select * from users where region in ('hk', 'de') => direct s1
        select * from users where region is null => scatter s1+s2: =
        select * from users where region = null => direct s1
        select * from users where region = 'de' => direct s1
        select * from users => scatter s1+s2: =
        insert into users (region) values ('us') => direct s2 write
        insert into users (region) values (null) => direct s1 write
        insert into users (region) values (null), ('us') => writes s1+s2 eager None
        insert into users (region) values ('de') => refused unmapped_sharding_key
        insert into users (region) values ('us'), ('de') => refused unmapped_sharding_key
        insert into users (region) values (default) => refused missing_sharding_key
        update users set x = 1 where region = 'us' => direct s2 write
        update users set region = 'hk' where region = 'cn' => direct s1 write
        update users set region = 'us' where region = 'cn' => refused sharding_key_update
        update users set region = 'de' where region = 'cn' => refused sharding_key_update
        update users set region = null where region = 'cn' => refused sharding_key_update
        update users set region = 'de' where region = 'de' => refused sharding_key_update
        delete from users where region = 'de' => direct s1 write
        delete from users => writes s1+s2 eager None
        ",
    );
}

#[test]
fn a_default_takes_every_other_value() {
    routes(
        &parsed(GROUPS),
        "
        select * from tenants where tenant = 1 => direct s1
        select * from tenants where tenant = 3 => direct s2
        select * from tenants where tenant > 2 => scatter s1+s2: =
        insert into tenants (tenant) values (-7) => direct s2 write
        insert into tenants (tenant) values (null) => refused missing_sharding_key
        ",
    );
}
