//! `algorithm: mod`.

use super::*;

const GROUPS: &str = "kind: TableGroup
name: users
key: {type: bigint}
algorithm: mod
tables: {users: {key: id}, logins: {key: user_id}}
---
kind: TableGroup
name: legacy
key: {type: int}
algorithm: mod
mod: {shards: [s2, s1]}
tables: {legacy: {key: id}}
missing_key: {read: scatter, write: scatter}
";

#[test]
fn keys_go_to_their_remainder() {
    routes(
        &parsed(GROUPS),
        "
        select * from users where id = 7 => direct s1
        select * from users where id = -1 => direct s2
        select * from users where id in (0, 12, -12) => direct s0
        select * from users where id in (1, 2) => scatter s1+s2: =
        select * from users where id = any('{2,5}') => direct s2
        select * from users u join logins l on l.user_id = u.id where u.id = 4 => direct s1
        select * from users where id = 1.5 => direct s0
        select * from users where id < 5 => scatter s0+s1+s2: =
        insert into users (id) values (-1) => direct s2 write
        insert into users (id) values (1), (2), (4) => writes s1+s2 eager None
        insert into users (id) values (null) => refused missing_sharding_key
        update users set name = 'x' where id = 8 => direct s2 write
        update users set id = 11 where id = 8 => direct s2 write
        update users set id = 9 where id = 8 => refused sharding_key_update
        delete from users where id = 8 => direct s2 write
        copy users (id) from stdin => copy
        ",
    );
}

#[test]
fn a_list_of_shards_leaves_the_others_alone() {
    routes(
        &parsed(GROUPS),
        "
        select * from legacy where id = 3 => direct s1
        select * from legacy where id = -2 => direct s2
        select * from legacy => scatter s1+s2: =
        update legacy set x = 1 => writes s1+s2 eager None
        copy legacy to stdout => copy out s1+s2
        ",
    );
}

#[test]
fn groups_with_equal_algorithms_are_not_colocated_by_chance() {
    let rules = parsed(GROUPS);
    let text = "select * from users u join legacy l on l.id = u.id";
    assert!(render(plan_of(text, Parameters::default(), &rules), &rules).starts_with("gather s0"));
}
