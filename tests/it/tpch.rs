//! The 22 queries of TPC-H over three shards answer as on one plain PostgreSQL, in text and by values bound.
//!
//! The rows are this test's own: plain arithmetic over `generate_series`, so that each query has some to find.

use futures_util::{SinkExt, StreamExt};

use crate::support::{Differential, Pipeline, Proxy, ProxyOptions, TestDatabase};

const RULES: &str = include_str!("tpch/rules.yaml");
const SCHEMA: &str = include_str!("tpch/schema.sql");
const DATA: &str = include_str!("tpch/data.sql");
const QUERIES: &str = include_str!("tpch/queries.sql");

/// Rows, about a five-hundredth of scale 1, but enough suppliers for every nation that is asked for.
const SUPPLIERS: usize = 60;
const PARTS: usize = 400;
const CUSTOMERS: usize = 300;
const ORDERS: usize = 3_000;

/// Splits a file into its blocks: a line of words, and what follows it.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.split("-- ").filter(|part| !part.trim().is_empty());
    parts.map(|part| part.trim().split_once('\n').expect("a title and a text"))
}

/// Fills both sides with the same rows.
async fn fill(plain: &tokio_postgres::Client, proxy: &tokio_postgres::Client) {
    for (table, select) in blocks(DATA) {
        let mut select = select.to_owned();
        for (name, count) in [("suppliers", SUPPLIERS), ("parts", PARTS), ("customers", CUSTOMERS), ("orders", ORDERS)]
        {
            select = select.replace(&format!("{{{name}}}"), &count.to_string());
        }
        plain.batch_execute(&format!("INSERT INTO {table} {select}")).await.expect("the rows");
        // Reference tables are written by statements, which are redone on every shard.
        if ["nation", "region"].contains(&table) {
            reference(plain, proxy, table).await;
            continue;
        }
        let rows = plain.copy_out(&format!("COPY {table} TO STDOUT")).await.expect("all of them");
        let mut sink =
            Box::pin(proxy.copy_in(&format!("COPY {table} FROM STDIN")).await.expect("a table of the rules"));
        let mut rows = Box::pin(rows.map(|part| Ok::<_, tokio_postgres::Error>(part.expect("a part"))));
        sink.send_all(&mut rows).await.expect("they are taken");
        sink.as_mut().finish().await.expect("they are committed");
    }
}

async fn reference(plain: &tokio_postgres::Client, proxy: &tokio_postgres::Client, table: &str) {
    let row = match table {
        "nation" => "format('(%s, %L, %s, %L)', n_nationkey, n_name, n_regionkey, n_comment)",
        _ => "format('(%s, %L, %L)', r_regionkey, r_name, r_comment)",
    };
    let rows = plain.query_one(&format!("SELECT string_agg({row}, ', ') FROM {table}"), &[]).await.expect("its rows");
    let sql = format!("INSERT INTO {table} VALUES {}", rows.get::<_, &str>(0));
    proxy.batch_execute(&sql).await.expect("they are written");
}

async fn both(label: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let options = ProxyOptions { workers: 1, config: "pool: {size: 4}".to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    let mut both = Differential::through(&proxy, &database);
    for sql in SCHEMA.split("\n\n") {
        both.same(sql);
    }
    fill(&database.plain().await, &proxy.client().await).await;
    both.same("ANALYZE");
    (database, proxy, both)
}

#[tokio::test]
async fn all_queries_answer_as_one_server_does() {
    let (_database, proxy, mut both) = both("tpch").await;
    let mut empty = Vec::new();
    // Of so few suppliers not every nation has one.
    let nation = both.same("SELECT n_name FROM nation, supplier WHERE s_suppkey = 7 AND n_nationkey = s_nationkey");
    let nation = nation.rows()[0][0].clone().expect("it has a name");
    for (name, query) in blocks(QUERIES) {
        let reply = both.same(&query.replace("SAUDI ARABIA", &nation));
        assert_eq!(reply.error(), None, "query {name}");
        if reply.rows().is_empty() {
            empty.push(name);
        }
    }
    assert_eq!(empty, [""; 0], "queries without rows prove little");
    // In a transaction that has written, everything is read through its own connections.
    both.same("BEGIN");
    both.same("UPDATE orders SET o_orderdate = date '1994-02-03' WHERE o_orderkey = 400");
    both.same("UPDATE nation SET n_name = 'NOWHERE' WHERE n_nationkey = 7");
    for (_, query) in blocks(QUERIES) {
        both.same(query);
    }
    both.same("ROLLBACK");
    drop(proxy);
}

#[tokio::test]
async fn values_bound_reach_the_shards() {
    let (_database, proxy, mut both) = both("tpch_bound").await;
    let join = "SELECT count(*), sum(l_quantity), min(c_name) FROM customer, orders, lineitem WHERE c_mktsegment = $1 \
                AND c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate < $2 AND l_shipdate > $2 AND \
                l_quantity BETWEEN $3 AND $4";
    for values in [
        [Some("BUILDING"), Some("1995-03-15"), Some("1"), Some("50")],
        [Some("MACHINERY"), Some("1994-01-01"), Some("10.5"), Some("20")],
        [Some("MACHINERY"), None, Some("10.5"), Some("20")],
        [Some("nobody"), Some("1994-01-01"), Some("0"), Some("0")],
    ] {
        both.same_pipeline(join, &Pipeline::new().run(join, &values).sync(), 1);
    }
    let rows = proxy
        .raw()
        .simple(&format!(
            "EXPLAIN (ROUTE) {}",
            join.replace("$1", "'x'").replace("$2", "date '1995-01-01'").replace("$3", "1").replace("$4", "2")
        ))
        .rows();
    let lines: Vec<String> = rows.into_iter().filter_map(|row| row[0].clone()).collect();
    assert_eq!(
        lines[..7],
        [
            "Gather on s0",
            "  Fetch customer (c_custkey, c_name, c_mktsegment) from s0, s1, s2",
            "    where c_mktsegment = 'x' and c_custkey in orders.o_custkey",
            "  Fetch lineitem (l_orderkey, l_quantity, l_shipdate) from s0, s1, s2",
            "    where l_shipdate > date '1995-01-01' and l_quantity BETWEEN 1 AND 2 and l_orderkey in orders.o_orderkey",
            "  Fetch orders (o_orderkey, o_custkey, o_orderdate) from s0, s1, s2",
            "    where o_orderdate < date '1995-01-01' and o_orderkey in lineitem.l_orderkey and o_custkey in customer.c_custkey",
        ],
    );
}
