//! `algorithm: list`.

use super::{Sharded, copy_in};

const RULES: &str = r#"
kind: TableGroup
name: regional
key: {type: text}
algorithm: list
list: {placement: {s1: [cn, hk, null], s2: [us, "no"]}}
tables: {users: {key: region}, visits: {key: region}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: tenants
key: {type: int}
algorithm: list
list: {placement: {s1: [1, 2], s2: [3]}, default: s0}
tables: {tenants: {key: tenant}}
missing_key: {read: scatter, write: scatter}
"#;

const SCHEMA: [&str; 3] = [
    "CREATE TABLE users (id int, region text, name text)",
    "CREATE TABLE visits (region text, page text)",
    "CREATE TABLE tenants (tenant int PRIMARY KEY, name text)",
];

#[tokio::test]
async fn listed_values_live_on_their_shards_and_others_are_refused() {
    let mut test = Sharded::start("algorithm_list", RULES, &SCHEMA).await;
    let both = &mut test.both;
    for sql in [
        "INSERT INTO users VALUES (1, 'cn', 'a'), (2, 'us', 'b'), (3, null, 'c'), (4, 'hk', 'd'), (5, 'no', 'e')",
        "INSERT INTO visits (page, region) VALUES ('/', 'cn'), ('/x', 'us'), ('/y', null)",
        "INSERT INTO users VALUES (6, NULL, 'f')",
        "SELECT * FROM users ORDER BY id",
        "SELECT * FROM users WHERE region = 'cn'",
        "SELECT * FROM users WHERE region = 'de'",
        "SELECT * FROM users WHERE region IS NULL ORDER BY id",
        "SELECT count(*), count(region) FROM users",
        "SELECT region, count(*) FROM users GROUP BY region ORDER BY 2 DESC, 1 NULLS FIRST",
        "SELECT u.name, v.page FROM users u LEFT JOIN visits v ON v.region = u.region ORDER BY 1",
        "SELECT u.name, v.page FROM users u JOIN visits v ON v.region = u.region WHERE u.region IN ('us', 'de')",
        "UPDATE users SET name = 'x' WHERE region IS NULL",
        "UPDATE users SET name = 'y' WHERE region IN ('cn', 'us', 'de')",
        "UPDATE users SET region = 'hk' WHERE region = 'cn'",
        "DELETE FROM users WHERE region = 'us' RETURNING id",
        "SELECT * FROM users ORDER BY id",
    ] {
        both.same(sql);
    }
    let tags = copy_in(both, "COPY users FROM STDIN", "7\tcn\tx\n8\t\\N\ty\n9\tno\tz\n");
    assert_eq!(tags, ["COPY 3", "COPY 3"]);
    let data = "10\tcn\tx\n11\tde\ty\n";
    assert_eq!(copy_in(both, "COPY users FROM STDIN", data)[1], "23514");
    both.plain.simple("DELETE FROM users WHERE id IN (10, 11)");
    both.same("SELECT * FROM users ORDER BY id");
    let of = "SELECT DISTINCT coalesce(region, '-') FROM users ORDER BY 1";
    assert_eq!(test.on_shard("s0", of), Vec::<String>::new());
    assert_eq!(test.on_shard("s1", of), ["-", "cn", "hk"]);
    assert_eq!(test.on_shard("s2", of), ["no"]);
    assert_eq!(test.route("SELECT * FROM users"), "Scatter over s1, s2");
    test.refused("INSERT INTO users VALUES (12, 'de', 'x')", "23514");
    test.refused("INSERT INTO users VALUES (12, 'cn', 'x'), (13, 'de', 'x')", "23514");
    test.refused("UPDATE users SET region = 'us' WHERE region = 'hk'", "0A000");
    assert_eq!(test.both.same("SELECT count(*) FROM users WHERE id >= 10").rows()[0][0].as_deref(), Some("0"));
}

#[tokio::test]
async fn a_default_takes_the_rest() {
    let mut test = Sharded::start("algorithm_list_default", RULES, &SCHEMA).await;
    let client = test.proxy.client().await;
    for tenant in [1i32, 2, 3, 4, -5] {
        client.execute("INSERT INTO tenants VALUES ($1, 't')", &[&tenant]).await.unwrap();
        let found = client.query("SELECT name FROM tenants WHERE tenant = $1", &[&tenant]).await.unwrap();
        assert_eq!(found.len(), 1, "{tenant}");
    }
    for (shard, tenants) in [("s0", vec!["-5", "4"]), ("s1", vec!["1", "2"]), ("s2", vec!["3"])] {
        assert_eq!(test.on_shard(shard, "SELECT tenant FROM tenants ORDER BY tenant"), tenants, "{shard}");
    }
    assert_eq!(test.route("SELECT * FROM tenants WHERE tenant = 77"), "Direct on s0");
}
