//! `algorithm: composite`.

use super::{Sharded, copy_in};

const RULES: &str = r#"
kind: TableGroup
name: sales
key: {type: [int, text]}
algorithm: composite
tables:
  sales: {key: [tenant, region]}
  visits: {key: [owner, place]}
missing_key: {read: scatter, write: scatter}
"#;

const SCHEMA: [&str; 2] = [
    "CREATE TABLE sales (region varchar(4), x int, tenant int, PRIMARY KEY (tenant, region))",
    "CREATE TABLE visits (owner int, place varchar(4), page text)",
];

/// How many tenants there are, each with three regions.
const TENANTS: i32 = 20;

fn filled(test: &mut Sharded) {
    for region in ["eu", "us", "ap"] {
        let rows = |row: &dyn Fn(i32) -> String| (0..TENANTS).map(row).collect::<Vec<_>>().join(", ");
        let sales = rows(&|tenant| format!("({tenant}, '{region}', {})", tenant * 7 % 5));
        test.both.same(&format!("INSERT INTO sales (tenant, region, x) VALUES {sales}"));
        let visits = rows(&|tenant| format!("({tenant}, '{region}', 'p{}'), ({tenant}, '{region}', '/')", tenant % 3));
        test.both.same(&format!("INSERT INTO visits VALUES {visits}"));
    }
}

#[tokio::test]
async fn all_columns_together_say_where_a_row_lives() {
    let mut test = Sharded::start("algorithm_composite", RULES, &SCHEMA).await;
    filled(&mut test);
    let of = "SELECT count(*) FROM sales";
    let counts: Vec<u32> =
        ["s0", "s1", "s2"].iter().map(|shard| test.on_shard(shard, of)[0].parse().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u32>(), 60);
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    // A tenant is not on one shard: its regions say where its rows are.
    assert_eq!(test.route("SELECT * FROM sales WHERE tenant = 1"), "Scatter over s0, s1, s2");
    assert!(test.route("SELECT * FROM sales WHERE tenant = 1 AND region = 'eu'").starts_with("Direct on "));
    for sql in [
        "SELECT * FROM sales WHERE tenant = 3 AND region = 'eu'",
        "SELECT * FROM sales WHERE tenant = 3 ORDER BY region",
        "SELECT * FROM sales WHERE region = 'eu' ORDER BY tenant",
        "SELECT * FROM sales WHERE tenant IN (3, 4, 5) AND region IN ('eu', 'us', 'none') ORDER BY tenant, region",
        "SELECT * FROM sales WHERE (tenant, region) IN ((3, 'eu'), (4, 'us'), (99, 'x')) ORDER BY tenant",
        "SELECT * FROM sales WHERE tenant = NULL AND region = 'eu'",
        "SELECT tenant, region, count(*) FROM sales GROUP BY tenant, region HAVING min(x) > 2 ORDER BY 1, 2",
        "SELECT tenant, count(*) FROM sales GROUP BY tenant HAVING min(x) > 2 ORDER BY 1",
        "SELECT s.tenant, s.region, v.page FROM sales s JOIN visits v ON v.owner = s.tenant AND v.place = s.region
            ORDER BY 1, 2, 3",
        "SELECT s.tenant, s.region, v.place, v.page FROM sales s JOIN visits v ON v.owner = s.tenant ORDER BY 1, 2, 3, 4",
        "SELECT count(*) FROM sales s WHERE EXISTS (SELECT FROM visits v WHERE v.owner = s.tenant AND v.page = 'p1')",
        "SELECT count(*) FROM sales s LEFT JOIN visits v ON v.owner = s.x AND v.place = s.region AND v.page = '/'",
        "UPDATE sales SET x = x + 1 WHERE tenant = 3 AND region = 'eu'",
        "UPDATE sales SET x = x + 1, tenant = 3, region = 'eu' WHERE tenant = 3 AND region = 'eu' RETURNING *",
        "UPDATE sales SET x = x + 10 WHERE tenant = 4",
        "UPDATE sales SET x = 77 FROM visits v WHERE v.owner = tenant AND v.place = region AND v.page = 'p2'",
        "DELETE FROM sales WHERE region = 'ap' AND tenant IN (1, 2, 3)",
        "INSERT INTO sales VALUES ('eu', 5, 3) ON CONFLICT (tenant, region) DO UPDATE SET x = excluded.x",
        "INSERT INTO sales (x, region, tenant) SELECT 4, v.place, v.owner + 100 FROM visits v WHERE v.page = 'p0'",
        "INSERT INTO sales (x, region, tenant) VALUES (4, lower('NEW'), 200 + 1), (5, 'new', 202)",
        "SELECT * FROM sales ORDER BY tenant, region",
    ] {
        test.both.same(sql);
    }
    test.refused("INSERT INTO sales (tenant, x) VALUES (1, 2)", "23502");
    test.refused("INSERT INTO sales (tenant, region) VALUES (1, NULL)", "23502");
    test.refused("INSERT INTO sales (tenant, region) VALUES (1, 'x') ON CONFLICT (tenant) DO NOTHING", "0A000");
    test.refused("UPDATE sales SET region = 'us' WHERE tenant = 5 AND region = 'eu'", "0A000");
    test.refused("UPDATE sales SET tenant = 6 WHERE tenant = 5", "0A000");
    test.refused("/* shardloom: sharding_key=5 */ SELECT * FROM sales", "22P02");
    test.both.same("SELECT count(*), sum(x) FROM sales");
}

#[tokio::test]
async fn rows_are_found_however_they_came() {
    let mut test = Sharded::start("algorithm_composite_ways", RULES, &SCHEMA).await;
    let lines: String = (0..TENANTS).map(|tenant| format!("{tenant}\tr{}  \t{tenant}\n", tenant % 4)).collect();
    let copied = copy_in(&mut test.both, "COPY sales (tenant, region, x) FROM STDIN", &lines);
    // As in varchar(4), which keeps four characters and cuts spaces.
    assert_eq!(copied, ["COPY 20", "COPY 20"]);
    assert_eq!(copy_in(&mut test.both, "COPY sales (tenant, region, x) FROM STDIN", "1\t\\N\t1\n")[1], "23502");
    assert_eq!(copy_in(&mut test.both, "COPY sales (tenant, region, x) FROM STDIN", "x\ta\t1\n"), ["22P02", "22P02"]);
    let client = test.proxy.client().await;
    for tenant in 100..100 + TENANTS {
        let region = format!("p{}", tenant % 3);
        client.execute("INSERT INTO sales (region, tenant) VALUES ($1, $2)", &[&region, &tenant]).await.unwrap();
        test.both.plain.simple(&format!("INSERT INTO sales (region, tenant) VALUES ('{region}', {tenant})"));
        let found = "SELECT 1 FROM sales WHERE tenant = $1 AND region = $2";
        assert_eq!(client.query(found, &[&tenant, &region]).await.unwrap().len(), 1, "{tenant}");
    }
    for tenant in 0..TENANTS {
        let sql = format!("SELECT * FROM sales WHERE tenant = {tenant} AND region = 'r{}  '", tenant % 4);
        assert_eq!(test.both.same(&sql).rows().len(), 1, "{sql}");
        assert!(test.route(&sql).starts_with("Direct on "));
    }
    test.both.same("SELECT * FROM sales ORDER BY tenant");
}
