//! `algorithm: mod`.

use super::{Sharded, copy_in};

const RULES: &str = r#"
kind: TableGroup
name: users
key: {type: bigint}
algorithm: mod
mod: {shards: [s0, s1, s2, s1]}
tables: {users: {key: id}, logins: {key: user_id}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: pairs
key: {type: int}
algorithm: mod
mod: {shards: [s2, s1]}
tables: {pairs: {key: id}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: wide
key: {type: bigint}
algorithm: mod
tables: {wide: {key: id}}
"#;

const SCHEMA: [&str; 4] = [
    "CREATE TABLE users (id bigint PRIMARY KEY, name text)",
    "CREATE TABLE logins (user_id bigint, at int, PRIMARY KEY (user_id, at))",
    "CREATE TABLE pairs (id int PRIMARY KEY, note text)",
    "CREATE TABLE wide (id bigint PRIMARY KEY)",
];

#[tokio::test]
async fn rows_live_at_the_remainder_of_their_key() {
    let mut test = Sharded::start("algorithm_mod", RULES, &SCHEMA).await;
    let both = &mut test.both;
    for id in -9..=9 {
        both.same(&format!("INSERT INTO users VALUES ({id}, 'n{id}')"));
    }
    both.same("INSERT INTO users VALUES (100, 'a'), (101, 'b'), (102, 'c'), (103, 'd')");
    both.same("INSERT INTO logins VALUES (-5, 1), (2, 1), (2, 2), (7, 3), (101, 4)");
    assert_eq!(copy_in(both, "COPY users FROM STDIN", "200\tc\n201\tc\n-202\tc\n"), ["COPY 3", "COPY 3"]);
    for (shard, remainders) in [("s0", "0"), ("s1", "1,3"), ("s2", "2")] {
        // What a hand-written router would have found: the remainder is never negative.
        let sql = format!("SELECT count(*) FROM users WHERE ((id % 4) + 4) % 4 NOT IN ({remainders})");
        assert_eq!(test.on_shard(shard, &sql), ["0"], "{shard}");
    }
    let both = &mut test.both;
    for sql in [
        "SELECT count(*), sum(id) FROM users",
        "SELECT * FROM users ORDER BY id",
        "SELECT * FROM users WHERE id = -7",
        "SELECT * FROM users WHERE id IN (-1, 3, 102) ORDER BY id DESC",
        "SELECT u.name, l.at FROM users u JOIN logins l ON l.user_id = u.id ORDER BY 1, 2",
        "SELECT u.name, l.at FROM users u LEFT JOIN logins l ON l.user_id = u.id WHERE u.id = -5",
        "UPDATE users SET name = 'changed' WHERE id = -3",
        "UPDATE users SET name = name || '!' WHERE id IN (-3, 2, 200)",
        "UPDATE users SET name = 'all'",
        "DELETE FROM users WHERE id = 201",
        "DELETE FROM users WHERE id IN (8, -8, 9) RETURNING id",
        "SELECT * FROM users ORDER BY id",
        "INSERT INTO users VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET name = 'again'",
        "SELECT * FROM users WHERE id = 1",
    ] {
        both.same(sql);
    }
    assert_eq!(test.route("SELECT * FROM users WHERE id = -1"), "Direct on s1");
    assert_eq!(test.route("SELECT * FROM users WHERE id IN (-2, 4)"), "Scatter over s0, s2");
    test.refused("INSERT INTO users VALUES (null, 'x')", "23502");
    test.refused("UPDATE users SET id = 2 WHERE id = 1", "0A000");
}

#[tokio::test]
async fn a_list_of_shards_and_buckets_take_typed_parameters() {
    let mut test = Sharded::start("algorithm_mod_typed", RULES, &SCHEMA).await;
    let client = test.proxy.client().await;
    for id in [-3i32, -2, 0, 5, 6] {
        client.execute("INSERT INTO pairs VALUES ($1, 'p')", &[&id]).await.unwrap();
        let rows = client.query("SELECT note FROM pairs WHERE id = $1", &[&id]).await.unwrap();
        assert_eq!(rows.len(), 1, "{id}");
    }
    let ids = vec![-3i32, 5];
    assert_eq!(client.query("SELECT * FROM pairs WHERE id = ANY($1)", &[&ids]).await.unwrap().len(), 2);
    assert_eq!(test.on_shard("s2", "SELECT id FROM pairs ORDER BY id"), ["-2", "0", "6"]);
    assert_eq!(test.on_shard("s1", "SELECT id FROM pairs ORDER BY id"), ["-3", "5"]);
    assert_eq!(test.on_shard("s0", "SELECT id FROM pairs"), Vec::<String>::new());
    assert_eq!(test.route("SELECT * FROM pairs"), "Scatter over s1, s2");
    // 4096 buckets in order over three shards.
    for (id, shard) in [(0i64, "s0"), (1366, "s1"), (4095, "s2"), (4096, "s0"), (-1, "s2"), (-4096, "s0")] {
        client.execute("INSERT INTO wide VALUES ($1)", &[&id]).await.unwrap();
        assert_eq!(test.route(&format!("SELECT * FROM wide WHERE id = {id}")), format!("Direct on {shard}"));
        assert_eq!(test.on_shard(shard, &format!("SELECT id FROM wide WHERE id = {id}")), [id.to_string()]);
    }
}
