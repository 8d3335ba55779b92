//! Reads over several shards in portions: portals with row limits, and SQL's cursors.

use crate::protocol::both;
use crate::support::{Pipeline, ProxyOptions};

const ALL: &str = "SELECT customer_id, name FROM customers ORDER BY customer_id";
const NONE: &[Option<&str>] = &[];

#[tokio::test]
async fn portals_stop_and_go_on_as_in_postgresql() {
    let (_database, _proxy, mut both) = both("portions", ProxyOptions::default()).await;
    let new = Pipeline::new;
    let other = "SELECT count(*) FROM customers";
    for (what, pipeline, replies) in [
        ("in one pipeline", new().run_limited(ALL, 5).execute("", 5).execute("", 0).execute("", 3).sync(), 1),
        ("exactly all", new().run_limited(ALL, 30).execute("", 30).sync(), 1),
        ("one more than all", new().run_limited(ALL, 31).execute("", 31).sync(), 1),
        ("gone after Sync", new().run_limited(ALL, 5).sync().execute("", 5).sync(), 2),
        ("flushed", new().run_limited(ALL, 5).flush().execute("", 5).flush().execute("", 0).sync(), 1),
        ("closed", new().run_limited(ALL, 5).close_portal("").execute("", 5).sync(), 1),
        ("nothing", new().run_limited("SELECT name FROM customers WHERE balance < 0 ORDER BY 1", 5).sync(), 1),
        ("folded", new().run_limited("SELECT count(*), sum(balance) FROM customers", 1).execute("", 1).sync(), 1),
        (
            "limited",
            new().run_limited("SELECT customer_id FROM customers ORDER BY 1 DESC LIMIT 7", 4).execute("", 4).sync(),
            1,
        ),
        ("failing", new().run_limited("SELECT 1 / (customer_id - 20) FROM customers ORDER BY 1", 5).sync(), 1),
    ] {
        both.same_pipeline(what, &pipeline, replies);
        both.same(other);
    }
    // Two at a time in a transaction, and other statements on the same servers between their portions.
    both.same("BEGIN");
    let two = new().parse("s", ALL).bind("a", "s", NONE).bind("b", "s", NONE).execute("a", 4).execute("b", 6).sync();
    both.same_pipeline("two portals", &two, 1);
    both.same("INSERT INTO customers VALUES (77, 'late', 1)");
    both.same("SELECT name FROM customers WHERE customer_id = 3");
    both.same_pipeline("on", &new().execute("a", 4).execute("b", 2).execute("a", 100).execute("b", 0).sync(), 1);
    both.same_pipeline("closed", &new().close_portal("a").execute("a", 1).sync(), 1);
    both.same("ROLLBACK");
    both.same(other);
}

#[tokio::test]
async fn cursors_over_several_shards_walk_as_in_postgresql() {
    let (_database, _proxy, mut both) = both("cursors", ProxyOptions::default()).await;
    for sql in [
        &*format!("DECLARE c CURSOR FOR {ALL}"),
        "BEGIN",
        &format!("DECLARE c NO SCROLL CURSOR FOR {ALL}"),
        "FETCH 3 FROM c",
        "INSERT INTO customers VALUES (78, 'late', 1)",
        "FETCH c",
        "MOVE 5 FROM c",
        "FETCH FORWARD 2 IN c",
        &format!("DECLARE d CURSOR FOR {ALL}"),
        "FETCH NEXT FROM d",
        "UPDATE customers SET name = 'changed' WHERE customer_id = 29",
        "FETCH ALL FROM c",
        "FETCH ALL FROM c",
        "MOVE FORWARD ALL IN d",
        "CLOSE d",
        "SAVEPOINT before",
        &format!("DECLARE e CURSOR FOR {ALL}"),
        "FETCH 1 FROM e",
        "ROLLBACK TO before",
        "FETCH 1 FROM e",
        "ROLLBACK TO before",
        "FETCH 1 FROM c",
        &format!("DECLARE c CURSOR FOR {ALL}"),
        "ROLLBACK",
        "FETCH 1 FROM c",
        &format!("BEGIN; DECLARE c CURSOR FOR {ALL}; FETCH 2 FROM c; CLOSE ALL; FETCH 1 FROM c; COMMIT"),
        "ROLLBACK",
        &format!("DECLARE c CURSOR FOR {ALL}; FETCH 2 FROM c"),
        "FETCH 1 FROM c",
    ] {
        both.same(sql);
    }
    both.same("BEGIN");
    both.same(&format!("DECLARE c CURSOR FOR {ALL}"));
    let fetch = Pipeline::new().run("FETCH 2 FROM c", NONE).run("MOVE 2 FROM c", NONE).run("FETCH c", NONE).sync();
    both.same_pipeline("in the extended protocol", &fetch, 1);
    both.same("COMMIT");
    for sql in ["FETCH BACKWARD 1 FROM c", "FETCH 0 FROM c", "MOVE LAST FROM c"] {
        both.other.simple(&format!("BEGIN; DECLARE c CURSOR FOR {ALL}"));
        assert_eq!(both.other.simple(sql).error().unwrap().0, "0A000", "{sql}");
        both.other.simple("ROLLBACK");
    }
    both.other.simple("BEGIN");
    for head in ["DECLARE c SCROLL CURSOR FOR", "DECLARE c CURSOR WITH HOLD FOR", "DECLARE c BINARY CURSOR FOR"] {
        both.other.simple("SAVEPOINT s");
        assert_eq!(both.other.simple(&format!("{head} {ALL}")).error().unwrap().0, "0A000", "{head}");
        both.other.simple("ROLLBACK TO s");
    }
    both.other.simple("ROLLBACK");
    both.same("SELECT count(*) FROM customers");
}

/// Values that are bound to DECLARE, and Describe of the portal that it makes.
#[tokio::test]
async fn cursors_have_parameters_and_a_description() {
    let (_database, _proxy, mut both) = both("cursor_values", ProxyOptions::default()).await;
    let new = Pipeline::new;
    for (query, values) in [
        ("SELECT count(*), $1::int FROM customers", &[Some("1")][..]),
        ("SELECT sum(balance) * $1 FROM customers", &[Some("3")]),
        ("SELECT CASE WHEN $1 THEN max(name) ELSE min(name) END FROM customers", &[Some("t")]),
        ("SELECT balance, count(*) FROM customers GROUP BY balance HAVING count(*) > $1 ORDER BY 1", &[Some("0")]),
        (
            "SELECT * FROM customers WHERE customer_id = ANY ($1::int[]) ORDER BY 1 LIMIT $2 OFFSET $3",
            &[Some("{1,2,9}"), Some("3"), Some("1")],
        ),
        ("SELECT customer_id FROM customers WHERE name = $1 ORDER BY 1", &[Some("name 7")]),
        (
            "SELECT count(*) FILTER (WHERE name = $1), string_agg(name, $2 ORDER BY name) FROM customers",
            &[Some("name 7"), Some("-")],
        ),
        ("SELECT count(*) FROM customers WHERE balance > $1", &[None]),
        ("SELECT name FROM customers WHERE customer_id = $1", &[Some("7")]),
        ("SELECT $1::int / $2::int, max(name) FROM customers", &[Some("1"), Some("2")]),
        ("SELECT a.name, row_number() OVER (ORDER BY a.customer_id) + $1 FROM customers a ORDER BY 2", &[Some("5")]),
    ] {
        both.same("BEGIN");
        let declare = new().run(&format!("DECLARE c CURSOR FOR {query}"), values).sync();
        both.same_pipeline(query, &declare, 1);
        both.same_pipeline(query, &new().describe_portal("c").sync(), 1);
        both.same_pipeline(
            query,
            &new().run("FETCH 2 FROM c", NONE).describe_portal("c").run("FETCH ALL c", NONE).sync(),
            1,
        );
        both.same("CLOSE c");
        both.same_pipeline("closed", &new().describe_portal("c").sync(), 1);
        both.same("ROLLBACK");
    }
}

/// What only home merges or answers is kept by the proxy, as it was when it was asked for.
#[tokio::test]
async fn cursors_and_portals_over_what_home_merges_walk_too() {
    let (_database, _proxy, mut both) = both("kept_cursors", ProxyOptions::default()).await;
    both.same("ALTER TABLE customers ADD COLUMN label text COLLATE \"en-x-icu\"");
    both.same("UPDATE customers SET label = 'l' || customer_id WHERE customer_id IN (3, 8, 11)");
    let merged = "SELECT label, customer_id FROM customers ORDER BY label, customer_id";
    let gathered = "SELECT a.customer_id, count(b.name) + 1 AS n FROM customers a LEFT JOIN customers b ON \
                    b.balance < a.balance AND b.name <> 'name 3' GROUP BY a.customer_id ORDER BY 1";
    for query in [merged, gathered] {
        both.same("BEGIN");
        both.same(&format!("DECLARE c NO SCROLL CURSOR FOR {query}"));
        both.same("FETCH 3 FROM c");
        both.same("UPDATE customers SET name = 'late', label = 'zzz' WHERE customer_id = 30");
        both.same("MOVE 5 FROM c");
        both.same("FETCH c");
        both.same("SAVEPOINT s");
        both.same(&format!("DECLARE d CURSOR FOR {query}"));
        both.same("FETCH 1 FROM d");
        both.same("ROLLBACK TO s");
        both.same("FETCH ALL FROM c");
        both.same("FETCH 1 FROM c");
        both.same("CLOSE c");
        both.same("ROLLBACK");
        both.same_error("FETCH 1 FROM c");
        let new = Pipeline::new;
        for (what, pipeline) in [
            ("in one pipeline", new().run_limited(query, 5).execute("", 5).execute("", 0).execute("", 3).sync()),
            ("exactly all", new().run_limited(query, 30).execute("", 30).sync()),
            ("more than all", new().run_limited(query, 31).execute("", 31).sync()),
            ("flushed", new().run_limited(query, 5).flush().execute("", 5).flush().execute("", 0).sync()),
            ("closed", new().run_limited(query, 5).close_portal("").execute("", 5).sync()),
        ] {
            both.same_pipeline(what, &pipeline, 1);
        }
        both.same("BEGIN");
        both.same_pipeline("opened", &new().parse("s", query).bind("p", "s", NONE).execute("p", 4).sync(), 1);
        both.same("SELECT count(*) FROM customers");
        both.same_pipeline("on", &new().execute("p", 4).execute("p", 0).close_statement("s").sync(), 1);
        both.same("COMMIT");
    }
    both.same("BEGIN");
    both.same_error("DECLARE c CURSOR FOR SELECT label, nobody FROM customers ORDER BY label");
    both.same("ROLLBACK");
}

/// 96 MB of rows, of which the proxy holds what the client asks for.
#[tokio::test]
async fn portions_do_not_gather_in_memory() {
    let (_database, _proxy, mut both) = both("large_portions", ProxyOptions::default()).await;
    let client = &mut both.other;
    for from in (100..196).step_by(8) {
        let rows: Vec<String> = (from..from + 8).map(|id| format!("({id}, repeat('x', 1000000))")).collect();
        let insert = format!("INSERT INTO customers (customer_id, name) VALUES {}", rows.join(", "));
        assert_eq!(client.simple(&insert).error(), None);
    }
    client.simple("BEGIN");
    let declared = client.simple("DECLARE c CURSOR FOR SELECT customer_id, name FROM customers WHERE balance IS NULL");
    assert_eq!(declared.error(), None);
    let mut rows = 0;
    loop {
        let reply = client.simple("FETCH 7 FROM c");
        assert_eq!(reply.error(), None);
        match reply.rows().len() {
            0 => break,
            some => rows += some,
        }
    }
    assert_eq!(rows, 96);
    client.simple("COMMIT");
    let all = Pipeline::new().run_limited("SELECT name FROM customers WHERE balance IS NULL", 2);
    let reply = all.sync().send(client, 1).remove(0);
    assert_eq!((reply.error(), reply.rows().len()), (None, 2));
}
