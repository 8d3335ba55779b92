//! Tables that are split into physical ones inside each shard: what the servers have, and what clients are told.
//!
//! That statements give what they give on one table is the differential's matter (`differential/split.rs`).

use crate::support::{Differential, Event, Pipeline, Proxy, ProxyOptions, Reply, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: shop
key: {type: bigint}
tables:
  orders: {key: user_id, split: {by: order_id, into: 4, pattern: "orders_{00}"}}
  items: {key: user_id, id: {column: item_id, tag: item}, split: {by: order_id, into: 4, pattern: "items_{00}"}}
  plain: {key: user_id}
missing_key: {read: scatter, write: scatter}
---
kind: Ids
tags: {item: 1}
"#;

const SCHEMA: [&str; 3] = [
    "CREATE TABLE orders (user_id bigint NOT NULL, order_id bigint NOT NULL, note text CONSTRAINT short CHECK (length(note) < 9), \
     PRIMARY KEY (user_id, order_id))",
    "CREATE TABLE items (item_id bigint NOT NULL, user_id bigint, order_id bigint, n int, PRIMARY KEY (user_id, order_id, item_id), \
     FOREIGN KEY (user_id, order_id) REFERENCES orders (user_id, order_id) ON DELETE CASCADE)",
    "CREATE TABLE plain (user_id bigint PRIMARY KEY, n int)",
];

async fn start(label: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let mut sides = Differential::through(&proxy, &database);
    for sql in SCHEMA {
        sides.same(sql);
    }
    (database, proxy, sides)
}

/// Rows of `orders`, as COPY has them: users 0 to 19, each with orders 0 to `orders`.
fn order_lines(orders: usize) -> String {
    let line = |number: usize| format!("{}\t{}\tn{}\n", number % 20, number / 20, number % 7);
    (0..20 * orders).map(line).collect()
}

fn copy_in(client: &mut crate::support::RawClient, sql: &str, data: &str) -> Reply {
    let mut bytes = Vec::new();
    let mut message = |kind: u8, body: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
    };
    message(b'Q', format!("{sql}\0").as_bytes());
    data.as_bytes().chunks(8000).for_each(|chunk| message(b'd', chunk));
    message(b'c', b"");
    client.send(&bytes);
    client.reply()
}

fn field(reply: &Reply, letter: char) -> Option<String> {
    reply.events.iter().find_map(|event| match event {
        Event::Error(fields) => fields.get(&letter).cloned(),
        _ => None,
    })
}

#[tokio::test]
async fn servers_have_physical_tables_and_clients_see_logical_ones() {
    let (database, _proxy, mut sides) = start("split_names").await;
    for index in 0..3 {
        let shard = database.shard(index).await;
        let count = "SELECT count(*) FROM pg_class WHERE relname ~ '^(orders|items)_0[0-3](_pkey)?$'";
        let found: i64 = shard.query_one(count, &[]).await.expect("it counts").get(0);
        assert_eq!(found, 16);
        let logical = shard.query("SELECT 1 FROM pg_class WHERE relname IN ('orders', 'items')", &[]).await;
        assert!(logical.expect("it reads").is_empty());
    }
    sides.same("INSERT INTO orders VALUES (1, 1, 'a'), (1, 2, 'b'), (1, 3, 'c'), (2, 1, 'd')");
    let twice = sides.other.simple("INSERT INTO orders VALUES (1, 2, 'x')");
    let message = "duplicate key value violates unique constraint \"orders_pkey\"";
    assert_eq!(field(&twice, 'M').as_deref(), Some(message));
    assert_eq!((field(&twice, 't').as_deref(), field(&twice, 'n').as_deref()), (Some("orders"), Some("orders_pkey")));
    sides.same_error("UPDATE orders SET note = 'far too long' WHERE user_id = 1");
    sides.same_error("INSERT INTO items (item_id, user_id, order_id) VALUES (1, 1, 9)");
    sides.same_error("SELECT nothing FROM orders WHERE user_id = 1 AND order_id = 2");
    sides.same("ALTER TABLE orders DROP CONSTRAINT short");
    sides.same("CREATE INDEX by_note ON orders (note)");
    sides.same("ALTER INDEX by_note RENAME TO of_note");
    sides.same("DROP INDEX of_note");
    sides.same("UPDATE orders SET note = 'no longer too long' WHERE user_id = 1 RETURNING order_id");
    let refused = sides.other.simple("SELECT * FROM orders_01");
    assert_eq!(refused.error().map(|(state, _)| state).as_deref(), Some("0A000"));
    assert!(field(&refused, 'H').is_some_and(|hint| hint.contains("\"orders\"")));
    let hinted = sides.other.simple("/* shardloom: shard=s1 */ SELECT count(*) FROM orders_01");
    assert_eq!(hinted.rows().len(), 1);
    let route: Vec<String> = sides
        .other
        .simple("EXPLAIN (ROUTE) SELECT * FROM orders WHERE user_id = 1 AND order_id IN (1, 2, 3)")
        .rows()
        .concat()
        .into_iter()
        .flatten()
        .collect();
    assert!(route.iter().any(|line| line.contains("orders_0")), "{route:?}");
}

#[tokio::test]
async fn writes_over_physical_tables_are_one_write() {
    let (_database, _proxy, mut sides) = start("split_writes").await;
    let rows: Vec<String> = (0..60).map(|number| format!("({}, {}, 'n')", number % 6, number)).collect();
    sides.same(&format!("INSERT INTO orders VALUES {} RETURNING order_id", rows.join(", ")));
    // The last row fails: no physical table keeps any.
    sides.same_error(
        "INSERT INTO orders VALUES (1, 100, 'a'), (1, 101, 'b'), (2, 102, 'c'), (1, 103, 'd'), (1, 1, 'e')",
    );
    sides.same("SELECT count(*) FROM orders WHERE order_id >= 100");
    for sql in [
        "BEGIN",
        "UPDATE orders SET note = 'u' WHERE user_id = 1",
        "SAVEPOINT s",
        "DELETE FROM orders WHERE user_id IN (1, 2)",
        "SELECT count(*), min(note) FROM orders",
        "ROLLBACK TO s",
        "INSERT INTO items (item_id, user_id, order_id, n) VALUES (1, 1, 1, 1), (2, 1, 7, 2), (3, 2, 2, 3)",
        "UPDATE items i SET n = 10 FROM orders o WHERE o.user_id = i.user_id AND o.order_id = i.order_id AND i.user_id = 1",
        "SELECT o.order_id, i.n FROM orders o JOIN items i USING (user_id, order_id) ORDER BY 1",
        "COMMIT",
        "DELETE FROM orders WHERE user_id = 1 AND order_id IN (1, 7)",
        "SELECT * FROM items ORDER BY item_id",
        "SELECT order_id, note FROM orders ORDER BY order_id",
        "DELETE FROM orders",
    ] {
        sides.same(sql);
    }
}

#[tokio::test]
async fn copies_reach_every_physical_table() {
    let (_database, _proxy, mut sides) = start("split_copies").await;
    let data = order_lines(100);
    let sql = "COPY orders (user_id, order_id, note) FROM STDIN";
    let (plain, proxy) = (copy_in(&mut sides.plain, sql, &data), copy_in(&mut sides.other, sql, &data));
    assert_eq!((plain.tags(), proxy.tags()), (vec!["COPY 2000".to_owned()], vec!["COPY 2000".to_owned()]));
    sides.same("SELECT count(*), sum(user_id), sum(order_id), min(note), max(note) FROM orders");
    sides.same("SELECT * FROM orders WHERE user_id = 7 AND order_id = 42");
    // A row fails that comes after many others; in a block, all of them are gone with it.
    let wrong = format!(
        "{}7\t42\ttwice\n",
        order_lines(200).lines().skip(2000).map(|line| format!("{line}\n")).collect::<String>()
    );
    sides.same("BEGIN");
    for side in [&mut sides.plain, &mut sides.other] {
        let error = copy_in(side, sql, &wrong).error().expect("it fails");
        assert_eq!(error.0, "23505");
        assert!(error.1.contains("\"orders_pkey\""), "{}", error.1);
    }
    sides.same("ROLLBACK");
    sides.same("SELECT count(*) FROM orders");
    for (data, state) in [("1\t\\N\tx\n", "23502"), ("1\tx\tx\n", "22P02"), ("1\n", "22P04")] {
        let states =
            [&mut sides.plain, &mut sides.other].map(|side| copy_in(side, sql, data).error().map(|error| error.0));
        assert_eq!(states, [Some(state.to_owned()), Some(state.to_owned())], "{data:?}");
    }
    let items =
        copy_in(&mut sides.other, "COPY items (user_id, order_id, n) FROM STDIN", "1\t1\t1\n1\t2\t2\n3\t3\t3\n");
    assert_eq!(items.tags(), ["COPY 3"]);
    let rows = sides.other.simple("SELECT count(DISTINCT item_id), sum(n) FROM items").rows();
    assert_eq!(rows, [[Some("3".to_owned()), Some("6".to_owned())]]);
}

#[tokio::test]
async fn prepared_statements_find_their_physical_tables() {
    let (_database, _proxy, mut sides) = start("split_prepared").await;
    let rows: Vec<String> = (0..40).map(|number| format!("({}, {}, 'n{number}')", number % 4, number)).collect();
    sides.same(&format!("INSERT INTO orders VALUES {}", rows.join(", ")));
    let read = "SELECT note FROM orders WHERE user_id = $1 AND order_id = $2";
    let named = Pipeline::new().parse("r", read).describe_statement("r").sync();
    sides.same_pipeline(read, &named, 1);
    for number in 0..12 {
        let (user, order) = ((number % 4).to_string(), number.to_string());
        let bound =
            Pipeline::new().bind("", "r", &[Some(&user), Some(&order)]).describe_portal("").execute("", 0).sync();
        sides.same_pipeline(&order, &bound, 1);
    }
    let array =
        Pipeline::new().run("SELECT count(*) FROM orders WHERE order_id = ANY ($1)", &[Some("{1,2,3,39,40}")]).sync();
    sides.same_pipeline("array", &array, 1);
    let update = "UPDATE orders SET note = $1 WHERE user_id = $2 RETURNING note";
    sides.same_pipeline(update, &Pipeline::new().run(update, &[Some("all"), Some("2")]).sync(), 1);
    for sql in [
        "PREPARE p (bigint) AS SELECT note FROM orders WHERE user_id = $1 AND order_id = 2",
        "EXECUTE p (2)",
        "EXECUTE p (3)",
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT note FROM orders WHERE user_id = 2 ORDER BY order_id",
        "FETCH 2 FROM c",
        "CLOSE c",
        "DECLARE d CURSOR FOR SELECT order_id FROM orders ORDER BY order_id",
        "FETCH 3 FROM d",
        "COMMIT",
    ] {
        sides.same(sql);
    }
}
