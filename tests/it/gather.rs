//! Reads that run on home over copies: what they see, what bounds them, and what they leave.

use crate::protocol::both;
use crate::support::{Proxy, ProxyOptions, RawClient, Reply};

/// Both tables from all shards: their keys are not joined.
const JOIN: &str = "SELECT count(*), sum(c.balance) FROM customers c JOIN orders o ON o.order_id = c.customer_id";

fn options(config: &str) -> ProxyOptions {
    ProxyOptions { workers: 1, config: config.to_owned(), ..ProxyOptions::default() }
}

fn value(reply: &Reply) -> String {
    reply.rows().first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("no row: {reply:?}"))
}

fn copies(proxy: &Proxy) -> String {
    value(
        &proxy
            .raw()
            .simple("/* shardloom: shard=s0 */ SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"),
    )
}

#[tokio::test]
async fn a_transaction_sees_its_own_writes_and_nobody_elses() {
    let (_database, proxy, mut both) = both("gather_own", options("pool: {size: 4}")).await;
    let mut other = proxy.raw();
    other.simple("BEGIN; INSERT INTO orders VALUES (30, 2, 'theirs')");
    for sql in [
        "BEGIN",
        "INSERT INTO orders VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd')",
        JOIN,
        "UPDATE customers SET balance = 1000 WHERE customer_id = 2",
        "INSERT INTO regions VALUES (1, 'mine')",
        JOIN,
        "SELECT c.customer_id, r.name FROM customers c FULL JOIN regions r ON r.region_id = c.customer_id WHERE r.name = 'mine'",
        "SAVEPOINT before",
        "DELETE FROM orders WHERE customer_id = 3",
        JOIN,
        "ROLLBACK TO before",
        JOIN,
        "SELECT count(*) / 0 FROM customers HAVING count(*) > 1",
        JOIN,
        "ROLLBACK TO before",
        JOIN,
        "COMMIT",
        JOIN,
        "CREATE TABLE unlisted (id int, what text)",
        "BEGIN",
        "INSERT INTO unlisted VALUES (1, 'mine'), (40, 'nobody')",
        "SELECT u.what, c.name FROM unlisted u LEFT JOIN customers c ON c.customer_id = u.id ORDER BY 1",
        "ROLLBACK",
        "SELECT u.what, c.name FROM unlisted u LEFT JOIN customers c ON c.customer_id = u.id ORDER BY 1",
        "CREATE FUNCTION add_unlisted(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO unlisted VALUES ($1); RETURN 1; END'",
        "BEGIN",
        "SELECT add_unlisted(5)",
        "SELECT u.id, c.name FROM unlisted u JOIN customers c ON c.customer_id = u.id",
        "ROLLBACK",
        "SELECT c.name, r.name FROM customers c FULL JOIN public.regions r ON r.region_id = c.customer_id ORDER BY 1, 2 LIMIT 3",
        "SET search_path = public, pg_temp",
        "SELECT count(*) + 1 FROM customers",
    ] {
        both.same(sql);
    }
    other.simple("ROLLBACK");
    assert_eq!(copies(&proxy), "0");
}

#[tokio::test]
async fn settings_of_the_session_and_of_the_transaction_hold() {
    let (_database, _proxy, mut both) = both("gather_settings", options("pool: {size: 4}")).await;
    for sql in [
        "SET TimeZone = 'Asia/Tokyo'",
        "SELECT count(*) + 1, '2020-01-01 00:00+00'::timestamptz FROM customers",
        "BEGIN",
        "SET LOCAL DateStyle = 'German'",
        "SELECT count(*) + 1, '2020-01-01 00:00+00'::timestamptz FROM customers",
        "COMMIT",
        "SET default_transaction_read_only = on",
        "SELECT count(*) + 1, '2020-01-01 00:00+00'::timestamptz FROM customers",
        "SET default_transaction_isolation = 'read committed'",
        "SELECT count(*) + 1 FROM customers",
    ] {
        both.same(sql);
    }
}

#[tokio::test]
async fn too_many_rows_are_refused_and_as_many_as_allowed_are_not() {
    let (_database, proxy, _both) = both("gather_bound", options("limits: {gather_rows: 30}")).await;
    let mut client = proxy.raw();
    assert_eq!(value(&client.simple("SELECT count(*) + (SELECT 0) FROM customers")), "30");
    client.simple("INSERT INTO customers VALUES (31, 'one more', 0)");
    let reply = client.simple("SELECT count(*) + (SELECT 0) FROM customers");
    let (state, message) = reply.error().expect("31 rows are one too many");
    assert_eq!((state.as_str(), reply.status), ("54000", 'I'));
    assert!(message.contains("\"customers\""), "{message}");
    // By key, fewer are needed.
    assert_eq!(
        value(&client.simple("SELECT count(*) + (SELECT 0) FROM customers WHERE customer_id IN (1, 2, 31)")),
        "3"
    );
    assert_eq!(copies(&proxy), "0");
}

#[tokio::test]
async fn what_has_no_snapshot_is_refused() {
    let (_database, proxy, _both) = both("gather_isolation", options("pool: {size: 4}")).await;
    let mut client = proxy.raw();
    client.simple("BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(client.simple(JOIN).error().expect("it is refused").0, "0A000");
    client.simple("ROLLBACK; BEGIN ISOLATION LEVEL READ COMMITTED");
    assert_eq!(value(&client.simple(JOIN)), "0");
    client.simple("ROLLBACK; BEGIN; INSERT INTO regions VALUES (7, 'seven')");
    for sql in [
        "SELECT count(*) + 1 FROM customers WHERE age('2000-01-01'::timestamptz) > '0'",
        "SELECT c.name FROM customers c FULL JOIN public.regions r ON r.region_id = c.customer_id",
    ] {
        let mut within = proxy.raw();
        within.simple("BEGIN; SELECT FROM regions");
        assert_eq!(within.simple(sql).error().expect("it is refused").0, "0A000", "{sql}");
        assert_eq!(proxy.raw().simple(sql).error(), None, "{sql}");
    }
    let catalogs = "SELECT relname, (SELECT count(*) FROM customers) FROM pg_class WHERE relname = 'customers'";
    assert_eq!(proxy.raw().simple(catalogs).error().expect("it is refused").0, "0A000");
    client.simple("ROLLBACK; BEGIN; LOCK TABLE customers");
    assert_eq!(client.simple("SELECT count(*) + 1 FROM customers").error().expect("no end otherwise").0, "55P03");
    client.simple("ROLLBACK; CREATE TEMP TABLE own (a int)");
    assert_eq!(
        client.simple("BEGIN; SELECT count(*) + 1 FROM customers, own").error().expect("it is refused").0,
        "0A000"
    );
}

/// Goal: columns that the proxy has not heard of are no reason to leave them out.
#[tokio::test]
async fn columns_that_came_past_the_proxy_are_refused() {
    let (database, proxy, both) = both("gather_columns", options("pool: {size: 4}")).await;
    let mut client = proxy.raw();
    assert_eq!(value(&client.simple("SELECT count(*) + 1 FROM customers")), "31");
    for shard in 0..3 {
        database.shard(shard).await.batch_execute("ALTER TABLE customers ADD COLUMN past int").await.unwrap();
    }
    let all = client.simple("SELECT c FROM customers c WHERE balance > (SELECT avg(balance) FROM customers)");
    assert_eq!(all.error().expect("it would lack a column").0, "0A000");
    drop(both);
}

#[tokio::test]
async fn the_route_names_what_is_fetched() {
    let (_database, proxy, _both) = both("gather_route", options("pool: {size: 4}")).await;
    let lines = |sql: &str| {
        let rows = proxy.raw().simple(&format!("EXPLAIN (ROUTE) {sql}")).rows();
        rows.into_iter().filter_map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(JOIN)[..3],
        [
            "Gather on s0",
            "  Fetch customers (customer_id, balance) from s0, s1, s2",
            "  Fetch orders (order_id, customer_id) from s0, s1, s2"
        ]
    );
    let json = value(&proxy.raw().simple("EXPLAIN (ROUTE, FORMAT json) SELECT count(*) + 1 FROM public.customers"));
    let view: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(view["kind"], "gather", "{json}");
    assert_eq!(view["fetch"][0]["table"], "customers", "{json}");
    assert_eq!(view["statements"][0]["sql"], "SELECT count(*) + 1 FROM pg_temp.customers", "{json}");
}

/// Goal: whoever leaves, cancels or fails in the middle leaves servers that serve the next.
#[tokio::test]
async fn a_gather_cut_short_leaves_nothing() {
    let (_database, proxy, _both) = both("gather_cut", options("pool: {size: 1, reserve: 0, wait: 20s}")).await;
    let slow = "SELECT count(*) + 1 FROM customers a, customers b, customers c, customers d, customers e, customers f";
    let mut client = proxy.raw();
    client.simple("SET statement_timeout = '300ms'");
    assert_eq!(client.simple(slow).error().expect("it takes longer").0, "57014");
    client.simple("RESET statement_timeout");
    assert_eq!(value(&client.simple(JOIN)), "0");

    let mut gone = proxy.raw();
    gone.send(&crate::support::Pipeline::new().message(b'Q', format!("{slow}\0").as_bytes()).0);
    drop(gone);
    assert_eq!(value(&client.simple(JOIN)), "0");
    assert_eq!(copies(&proxy), "0");

    let key = client.key.clone();
    let port = proxy.port();
    let cancel = std::thread::spawn(move || {
        // Asked again until the statement is under way.
        for _ in 0..40 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            RawClient::cancel_key(port, &key);
        }
    });
    assert_eq!(client.simple(slow).error().expect("it is cancelled").0, "57014");
    cancel.join().expect("it only sends");
    let mut next = proxy.raw();
    assert_eq!(value(&next.simple(JOIN)), "0");
}
