//! Generated ids by every strategy, through every way in; reads that an id alone routes.

use std::collections::HashSet;

use shardloom::rules::gene_layout;
use shardloom::wire::copy_binary::{HEADER, TRAILER};
use tokio_postgres::types::ToSql;

use crate::support::{Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: users
key: {type: bigint}
algorithm: hash
tables:
  orders: {key: user_id, id: {column: order_id, layout: gene, tag: order, route: true}}
  order_items: {key: user_id, id: {column: item_id, tag: item, check_tag: true}}
  invoices: {key: user_id, id: {column: number, tag: invoice}}
  notes: {key: user_id, id: {column: note_id, strategy: uuid}}
  labels: {key: user_id, id: {column: label, strategy: uuid, prefix: shard}}
  clicks: {key: user_id, id: {column: click_id, layout: js53, tag: item}}
  people: {key: person_id, id: {column: person_id, tag: item}}
  lines: {key: user_id, id: {column: line_id, tag: item}}
  logs: {key: user_id, id: {column: log_id, tag: item}, split: {by: log_id, into: 2, pattern: "logs_{00}"}}
missing_key: {read: reject, write: reject}
---
kind: Ids
tags: {order: 1, item: 2}
segments: {invoice: {from: 1000, step: 10}, ticket: {}}
"#;

const SCHEMA: [&str; 7] = [
    "CREATE TABLE orders (order_id bigint PRIMARY KEY, user_id bigint, note text)",
    "CREATE TABLE order_items (item_id bigint, user_id bigint, order_id bigint, PRIMARY KEY (item_id))",
    "CREATE TABLE invoices (number bigint PRIMARY KEY, user_id bigint)",
    "CREATE TABLE notes (note_id uuid PRIMARY KEY, user_id bigint)",
    "CREATE TABLE labels (label text PRIMARY KEY, user_id bigint)",
    "CREATE TABLE clicks (click_id bigint PRIMARY KEY, user_id bigint)",
    "CREATE TABLE people (name text, person_id bigint PRIMARY KEY)",
];

async fn start(label: &str) -> (TestDatabase, Proxy) {
    start_with(label, RULES).await
}

async fn start_with(label: &str, rules: &str) -> (TestDatabase, Proxy) {
    let database = TestDatabase::new(label);
    let proxy = Proxy::start(&database, rules, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let mut client = proxy.raw();
    for sql in SCHEMA {
        assert_eq!(client.simple(sql).error(), None, "{sql}");
    }
    (database, proxy)
}

fn column(rows: &[Vec<Option<String>>]) -> Vec<String> {
    rows.iter().map(|row| row[0].clone().unwrap()).collect()
}

/// An id with the bucket of another user's.
fn foreign(id: i64) -> i64 {
    id ^ 1 << (gene_layout().worker_bits + gene_layout().sequence_bits)
}

#[tokio::test]
async fn an_id_with_its_rows_bucket_finds_the_row_alone() {
    let (_database, proxy) = start("ids_gene").await;
    let mut client = proxy.raw();
    let mut ids = Vec::new();
    for user in 1..=12 {
        let sql = format!("INSERT INTO orders (user_id, note) VALUES ({user}, 'n{user}') RETURNING order_id");
        ids.extend(column(&client.simple(&sql).rows()));
    }
    let many = client.simple("INSERT INTO orders (user_id) VALUES (1), (2), (3), (1), (4) RETURNING order_id, user_id");
    assert_eq!(many.rows().len(), 5);
    for (id, user) in ids.iter().zip(1..) {
        // missing_key is reject: only routing by the id answers these.
        let read = client.simple(&format!("SELECT user_id, note FROM orders WHERE order_id = {id}"));
        assert_eq!(read.rows(), [[Some(user.to_string()), Some(format!("n{user}"))]], "{:?}", read.error());
    }
    let both = format!("SELECT user_id FROM orders WHERE order_id IN ({}, {}) ORDER BY 1", ids[2], ids[7]);
    assert_eq!(column(&client.simple(&both).rows()), ["3", "8"]);
    let join = format!(
        "SELECT o.note FROM orders o LEFT JOIN order_items i ON i.user_id = o.user_id WHERE o.order_id = {}",
        ids[4]
    );
    assert_eq!(column(&client.simple(&join).rows()), ["n5"]);
    let updated = client.simple(&format!("UPDATE orders SET note = 'new' WHERE order_id = {}", ids[5]));
    assert_eq!(updated.tags(), ["UPDATE 1"]);
    assert_eq!(client.simple(&format!("DELETE FROM orders WHERE order_id = {}", ids[5])).tags(), ["DELETE 1"]);
    let clients = proxy.client().await;
    let statement = clients.prepare("SELECT note FROM orders WHERE order_id = $1").await.unwrap();
    for (id, user) in ids.iter().zip(1..).filter(|(_, user)| *user != 6) {
        let row = clients.query_one(&statement, &[&id.parse::<i64>().unwrap()]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("n{user}"));
    }
    let refused = client.simple("SELECT * FROM orders WHERE order_id = 5").error();
    assert!(refused.is_none(), "5 is an id of bucket 0: {refused:?}");
    let unbound = client.simple("SELECT * FROM orders WHERE order_id = -5").error().unwrap();
    assert_eq!(unbound.0, "22023", "no layout makes it: nothing says where it could be");
}

#[tokio::test]
async fn an_id_that_would_not_be_found_is_refused() {
    let (_database, proxy) = start("ids_checked").await;
    let mut client = proxy.raw();
    let made = client.simple("INSERT INTO orders (user_id) VALUES (1) RETURNING order_id").rows();
    let id: i64 = column(&made)[0].parse().unwrap();
    let other = foreign(id);
    assert_eq!(client.simple("INSERT INTO clicks (user_id) VALUES (1), (2)").tags(), ["INSERT 0 2"]);
    assert_eq!(client.simple(&format!("DELETE FROM orders WHERE order_id = {id}")).tags(), ["DELETE 1"]);
    let texts = [
        (format!("INSERT INTO orders (order_id, user_id) VALUES ({other}, 1)"), "23514"),
        ("INSERT INTO orders VALUES (7, 1, '')".to_owned(), "23514"),
        ("INSERT INTO orders (order_id, user_id) VALUES (-1, 1)".to_owned(), "23514"),
        ("INSERT INTO orders (order_id, user_id) VALUES (1 + 1, 1)".to_owned(), "0A000"),
        ("INSERT INTO orders (order_id, user_id) VALUES (shardloom.next_id('item'), 1)".to_owned(), "23514"),
        (
            "INSERT INTO orders (order_id, user_id) SELECT 5 + user_id, user_id FROM clicks WHERE user_id = 1"
                .to_owned(),
            "23514",
        ),
        (
            "INSERT INTO order_items (item_id, user_id) SELECT user_id, user_id FROM clicks WHERE user_id = 2"
                .to_owned(),
            "23514",
        ),
        (format!("UPDATE orders SET order_id = {id} WHERE user_id = 1"), "0A000"),
        ("UPDATE orders SET user_id = 1 WHERE user_id = 1".to_owned(), "0A000"),
        (
            "INSERT INTO orders (user_id) VALUES (1) ON CONFLICT (order_id) DO UPDATE SET order_id = 4".to_owned(),
            "0A000",
        ),
        ("INSERT INTO order_items (item_id, user_id) VALUES (5, 1)".to_owned(), "23514"),
        ("UPDATE order_items SET item_id = 3 WHERE user_id = 1".to_owned(), "0A000"),
        ("UPDATE orders SET (note, order_id) = ('x', 3) WHERE user_id = 1".to_owned(), "0A000"),
        ("UPDATE orders AS o SET order_id = DEFAULT WHERE o.user_id = 1".to_owned(), "0A000"),
    ];
    for (sql, state) in texts {
        let error = client.simple(&sql).error();
        assert_eq!(error.as_ref().map(|(state, _)| state.as_str()), Some(state), "{sql}: {error:?}");
    }
    let given = format!(
        "INSERT INTO orders (order_id, user_id) VALUES ({id}, 1), (DEFAULT, 2), (shardloom.next_id('order'), 3)"
    );
    assert_eq!(client.simple(&given).tags(), ["INSERT 0 3"]);
    let item = "INSERT INTO order_items (item_id, user_id) VALUES (shardloom.next_id('item'), 1), (DEFAULT, 9)";
    assert_eq!(client.simple(item).tags(), ["INSERT 0 2"]);
    let clients = proxy.client().await;
    let insert = "INSERT INTO orders (order_id, user_id) VALUES ($1, $2)";
    let wrong: [&(dyn ToSql + Sync); 2] = [&other, &1i64];
    let error = clients.execute(insert, &wrong).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().code().code(), "23514");
    let free = id + 1;
    assert_eq!(clients.execute(insert, &[&free, &1i64]).await.unwrap(), 1);
    for (lines, state) in
        [(format!("{other}\t1\n"), "23514"), ("x\t1\n".to_owned(), "22P02"), (format!("{}\t1\n", id + 2), "")]
    {
        let error = copy(&proxy, "COPY orders (order_id, user_id) FROM STDIN", lines.as_bytes()).await;
        assert_eq!(error.unwrap_or_default(), state, "{lines}");
    }
    assert_eq!(copy(&proxy, "COPY orders (user_id, note) FROM STDIN", b"1\ta\n2\tb\n3\tc\n").await, None);
    let found = client.simple("SELECT order_id FROM orders WHERE user_id IN (1, 2, 3)").rows();
    for id in column(&found) {
        let read = client.simple(&format!("SELECT order_id FROM orders WHERE order_id = {id}"));
        assert_eq!(column(&read.rows()), [id]);
    }
    assert_eq!(found.len(), 8);
}

/// Returns the SQLSTATE of what went wrong.
async fn copy(proxy: &Proxy, sql: &str, data: &[u8]) -> Option<String> {
    let mut client = proxy.raw();
    let mut message = vec![b'Q'];
    message.extend_from_slice(&(sql.len() as i32 + 5).to_be_bytes());
    message.extend_from_slice(sql.as_bytes());
    message.push(0);
    message.push(b'd');
    message.extend_from_slice(&(data.len() as i32 + 4).to_be_bytes());
    message.extend_from_slice(data);
    message.extend_from_slice(b"c\0\0\0\x04");
    client.send(&message);
    client.reply().error().map(|(state, _)| state)
}

#[tokio::test]
async fn dense_ids_leave_no_gap_in_one_proxy() {
    let (_database, proxy) = start("ids_segment").await;
    let mut client = proxy.raw();
    let mut seen = Vec::new();
    for user in 0..40 {
        let sql = format!("INSERT INTO invoices (user_id) VALUES ({user}), ({}) RETURNING number", user + 1);
        seen.extend(column(&client.simple(&sql).rows()));
    }
    let clients = proxy.client().await;
    for user in 0..40i64 {
        let row = clients.query_one("INSERT INTO invoices (user_id) VALUES ($1) RETURNING number", &[&user]).await;
        seen.push(row.unwrap().get::<_, i64>(0).to_string());
    }
    // More than any range so far: the statement waits for one that is large enough.
    seen.extend(column(&client.simple("SELECT shardloom.next_ids('invoice', 5000)").rows()));
    seen.extend(column(&client.simple("SELECT shardloom.next_id('invoice')").rows()));
    let mut pipeline = Pipeline::new();
    for user in ["1", "2", "3"] {
        pipeline = pipeline.run("INSERT INTO invoices (user_id) VALUES ($1) RETURNING number", &[Some(user)]);
    }
    for reply in pipeline.sync().send(&mut client, 1) {
        seen.extend(column(&reply.rows()));
    }
    let lines: String = (0..500).map(|user| format!("{user}\n")).collect();
    assert_eq!(copy(&proxy, "COPY invoices (user_id) FROM STDIN", lines.as_bytes()).await, None);
    let mut numbers: Vec<i64> = seen.iter().map(|number| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    let expected: Vec<i64> = (1000..1000 + numbers.len() as i64).collect();
    assert_eq!(numbers, expected);
    let (status, body) = proxy.http("/api/v1/ids/ticket?n=10000").unwrap();
    assert_eq!(status, 200, "{body}");
    let (status, body) = proxy.http("/api/v1/ids/ticket?n=10001").unwrap();
    assert_eq!(status, 400, "{body}");
    assert!(proxy.http("/api/v1/ids/nobody").unwrap().1.contains("The tags are: item, order, invoice, ticket."));
}

#[tokio::test]
async fn uuids_and_narrow_ids_are_made_in_every_way() {
    let (database, proxy) = start("ids_uuid").await;
    let mut client = proxy.raw();
    let clients = proxy.client().await;
    for user in 0..8i64 {
        let sql = format!("INSERT INTO notes (user_id) VALUES ({user}), ({})", user + 8);
        assert_eq!(client.simple(&sql).tags(), ["INSERT 0 2"]);
        assert_eq!(client.simple(&sql.replace("notes", "labels")).tags(), ["INSERT 0 2"]);
        assert_eq!(client.simple(&sql.replace("notes", "clicks")).tags(), ["INSERT 0 2"]);
        for table in ["notes", "labels", "clicks"] {
            let sql = format!("INSERT INTO {table} (user_id) VALUES ($1), ($2)");
            assert_eq!(clients.execute(&sql, &[&user, &(user + 1)]).await.unwrap(), 2, "{table}");
        }
    }
    assert_eq!(copy(&proxy, "COPY notes (user_id) FROM STDIN", b"1\n2\n").await, None);
    assert_eq!(copy(&proxy, "COPY labels (user_id) FROM STDIN", b"1\n2\n3\n4\n").await, None);
    let mut notes = HashSet::new();
    for shard in 0..3 {
        let direct = database.shard(shard).await;
        for row in direct.query("SELECT note_id::text FROM notes", &[]).await.unwrap() {
            let id: String = row.get(0);
            assert_eq!(&id[14..15], "7", "{id}");
            assert!(notes.insert(id), "a uuid came twice");
        }
        for row in direct.query("SELECT label FROM labels", &[]).await.unwrap() {
            assert!(row.get::<_, String>(0).starts_with(&format!("s{shard}-")));
        }
        for row in direct.query("SELECT click_id FROM clicks", &[]).await.unwrap() {
            assert!((0..1 << 53).contains(&row.get::<_, i64>(0)));
        }
    }
    assert_eq!(notes.len(), 34);
    let decoded = client.simple("SELECT tag FROM shardloom.decode_id((1::bigint << 23) | (77 << 11), 'gene')");
    assert_eq!(column(&decoded.rows()), ["77"]);
    for foreign in ["-1", "1::bigint << 53"] {
        let refused = client.simple(&format!("SELECT shardloom.decode_id({foreign}, 'js53')")).error();
        assert_eq!(refused.map(|(state, _)| state), Some("22023".to_owned()), "{foreign}");
    }
}

#[tokio::test]
async fn a_copy_makes_the_sharding_key_where_that_is_the_id() {
    let (database, proxy) = start("ids_copy_key").await;
    let field = |value: &[u8]| [&(value.len() as i32).to_be_bytes(), value].concat();
    let row = |name: &str| [&1_i16.to_be_bytes()[..], &field(name.as_bytes())].concat();
    let binary = [HEADER.to_vec(), row("g"), row("h"), row("i"), TRAILER.to_vec()].concat();
    assert_eq!(copy(&proxy, "COPY people (name) FROM STDIN", b"a\nb\nc\n").await, None);
    assert_eq!(copy(&proxy, "COPY people (name) FROM STDIN (FORMAT csv, HEADER)", b"name\nd\n\"e\"\nf").await, None);
    assert_eq!(copy(&proxy, "COPY people (name) FROM STDIN (FORMAT binary)", &binary).await, None);
    let client = proxy.client().await;
    let mut names = String::new();
    for shard in 0..3 {
        for row in database.shard(shard).await.query("SELECT name, person_id FROM people", &[]).await.unwrap() {
            let (name, id): (String, i64) = (row.get(0), row.get(1));
            let found = client.query_one("SELECT name FROM people WHERE person_id = $1", &[&id]).await.unwrap();
            assert_eq!(found.get::<_, String>(0), name);
            names.push_str(&name);
        }
    }
    let mut letters: Vec<char> = names.chars().collect();
    letters.sort_unstable();
    assert_eq!(letters.iter().collect::<String>(), "abcdefghi");
}

/// Goal: whatever inserts gets ids where it leaves them out: queries, WITH, MERGE; each row finds itself again by its id.
#[tokio::test]
async fn every_kind_of_insert_gets_ids() {
    let (_database, proxy) = start_with("ids_kinds", &RULES.replace("read: reject", "read: scatter")).await;
    let mut client = proxy.raw();
    for sql in [
        "CREATE TABLE lines (line_id bigint PRIMARY KEY, user_id bigint NOT NULL, order_id bigint, note text)",
        "CREATE TABLE logs (log_id bigint PRIMARY KEY, user_id bigint NOT NULL, note text)",
        "INSERT INTO clicks (user_id) SELECT g FROM generate_series(1, 6) g",
    ] {
        assert_eq!(client.simple(sql).error(), None, "{sql}");
    }
    let inserts = [
        ("INSERT INTO orders (user_id, note) SELECT user_id, 'select' FROM clicks", 6),
        ("INSERT INTO order_items (user_id) SELECT user_id FROM clicks WHERE user_id < 3", 2),
        ("INSERT INTO logs (user_id, note) SELECT user_id, 'split' FROM clicks", 6),
        (
            "INSERT INTO lines (line_id, user_id, order_id) SELECT shardloom.next_id('item'), user_id, order_id FROM orders",
            6,
        ),
        (
            "INSERT INTO lines (user_id, order_id, note) SELECT user_id, shardloom.next_id('order') AS o, 'b' FROM clicks",
            6,
        ),
        (
            "WITH o AS (INSERT INTO orders (user_id) VALUES (7) RETURNING order_id, user_id) \
             INSERT INTO lines (user_id, order_id, note) VALUES (7, (SELECT order_id FROM o), 'with')",
            1,
        ),
        (
            "WITH o AS (INSERT INTO orders (user_id, note) VALUES (8, 'a'), (8, 'b') RETURNING order_id) \
             INSERT INTO lines (user_id, order_id) SELECT 8, order_id FROM o",
            2,
        ),
        ("WITH o AS (INSERT INTO labels (user_id) VALUES (8) RETURNING label) SELECT label FROM o", 1),
        (
            "MERGE INTO lines l USING (VALUES (21), (22), (23)) s (u) ON l.user_id = s.u WHEN NOT MATCHED THEN INSERT (user_id) VALUES (s.u)",
            3,
        ),
        (
            "MERGE INTO lines l USING clicks c ON l.user_id = c.user_id AND l.note = 'no' WHEN NOT MATCHED THEN INSERT VALUES (DEFAULT, c.user_id, 1, 'merge')",
            6,
        ),
        (
            "MERGE INTO lines l USING (SELECT 21 AS u) s ON l.user_id = s.u WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (user_id) VALUES (s.u)",
            1,
        ),
        ("INSERT INTO lines (user_id, note) VALUES (40, unnest(ARRAY['a', 'b', 'c']))", 3),
        ("INSERT INTO lines (line_id, user_id) VALUES (shardloom.next_id('item'), generate_series(41, 44))", 4),
        (
            "MERGE INTO notes n USING clicks c ON n.user_id = c.user_id WHEN NOT MATCHED THEN INSERT (user_id) VALUES (c.user_id)",
            6,
        ),
    ];
    for (sql, rows) in inserts {
        let reply = client.simple(sql);
        assert_eq!(reply.error(), None, "{sql}");
        assert!(reply.tags()[0].ends_with(&format!(" {rows}")), "{sql}: {:?}", reply.tags());
    }
    for id in column(&client.simple("SELECT order_id FROM orders WHERE user_id BETWEEN 1 AND 8").rows()) {
        assert_eq!(client.simple(&format!("SELECT FROM orders WHERE order_id = {id}")).rows().len(), 1);
    }
    let lines = client.simple("SELECT line_id FROM lines WHERE user_id BETWEEN 1 AND 30").rows();
    let ids: HashSet<String> = column(&lines).into_iter().collect();
    assert_eq!((lines.len(), ids.len()), (23, 23));
    let decoded = client.simple("SELECT shardloom.decode_id(line_id, 'lines') FROM lines LIMIT 1");
    assert_eq!(decoded.rows().len(), 1, "{:?}", decoded.error());
    assert_eq!(client.simple("SELECT FROM logs WHERE user_id BETWEEN 1 AND 6").rows().len(), 6);
    let refused = [
        "INSERT INTO lines (line_id, user_id) SELECT DISTINCT shardloom.next_id('item'), user_id FROM clicks",
        "INSERT INTO lines (line_id, user_id) SELECT 1 + shardloom.next_id('item'), user_id FROM clicks",
        "INSERT INTO lines (user_id, line_id, note) SELECT c.user_id, shardloom.next_id('item') FROM clicks c WHERE shardloom.next_id('item') > 0",
        "INSERT INTO lines (line_id, user_id) SELECT shardloom.next_id('item'), user_id FROM clicks GROUP BY 1, 2",
        "INSERT INTO lines (user_id, note) VALUES (DEFAULT, unnest(ARRAY['a', 'b']))",
        "MERGE INTO lines l USING (VALUES (51, 'a'), (51, 'b') EXCEPT VALUES (51, 'b')) s (u, n) ON l.user_id = 51 AND l.note = s.n \
         WHEN NOT MATCHED THEN INSERT (user_id, note) VALUES (51, s.n)",
        "MERGE INTO lines l USING (SELECT generate_series(1, 2) AS n) s ON l.user_id = 51 AND l.order_id = s.n \
         WHEN NOT MATCHED THEN INSERT (user_id, order_id) VALUES (51, s.n)",
        "MERGE INTO lines l USING (VALUES (51, 'a')) s (u, n) ON l.user_id = s.u \
         WHEN NOT MATCHED THEN INSERT (user_id, note) VALUES (s.u, s::text)",
        "MERGE INTO orders o USING clicks c ON o.user_id = c.user_id AND o.note = 'no' WHEN NOT MATCHED THEN INSERT (user_id) VALUES (c.user_id)",
    ];
    for sql in refused {
        assert_eq!(client.simple(sql).error().map(|(state, _)| state), Some("0A000".to_owned()), "{sql}");
    }
    // One part after another: each is an INSERT by itself.
    for (sql, rows) in [
        (
            "WITH o AS (INSERT INTO lines (user_id, note) VALUES (50, unnest(ARRAY['a', 'b'])) RETURNING line_id) SELECT * FROM o",
            2,
        ),
        (
            "WITH o AS (INSERT INTO orders (user_id) VALUES (8) RETURNING order_id) \
             INSERT INTO lines (line_id, user_id) SELECT shardloom.next_id('item'), 8 FROM o RETURNING line_id",
            1,
        ),
        (
            "WITH d AS (DELETE FROM clicks WHERE user_id = 1 RETURNING user_id) INSERT INTO lines (user_id) SELECT user_id FROM d RETURNING line_id",
            1,
        ),
    ] {
        let made = client.simple(sql);
        assert_eq!((made.error(), made.rows().len()), (None, rows), "{sql}");
    }
    assert_eq!(client.simple("ALTER TABLE order_items ALTER COLUMN item_id TYPE int USING 1").error(), None);
    for sql in [
        "INSERT INTO order_items (user_id) VALUES (1)",
        "INSERT INTO order_items (user_id) SELECT user_id FROM clicks",
        "WITH o AS (INSERT INTO order_items (user_id) VALUES (1) RETURNING 1) SELECT * FROM o",
        "COPY order_items (user_id) FROM STDIN",
    ] {
        let (state, message) = client.simple(sql).error().expect("an int column holds no id");
        assert!(state == "42804" && message.contains("too small"), "{sql}: {state} {message}");
    }
    let unknown = "INSERT INTO lines (line_id, user_id) SELECT shardloom.next_id('nobody'), user_id FROM clicks";
    assert_eq!(client.simple(unknown).error().map(|(state, _)| state), Some("22023".to_owned()));
}

/// Goal: an INSERT of more rows than its layout has ids for at once goes on at the layout's pace. Method: the primary key
/// would refuse an id that came twice.
#[tokio::test]
async fn an_insert_waits_for_the_clock() {
    let (_database, proxy) = start("ids_insert_pace").await;
    let rows: Vec<String> = (0..60_000).map(|user| format!("({user})")).collect();
    let mut client = proxy.raw();
    let reply = client.simple(&format!("INSERT INTO clicks (user_id) VALUES {}", rows.join(", ")));
    assert_eq!(reply.tags(), ["INSERT 0 60000"], "{:?}", reply.error());
}

/// Goal: services that insert elsewhere get ids as a table has them.
#[tokio::test]
async fn ids_are_made_as_a_table_has_them() {
    let (_database, proxy) = start("ids_of_table").await;
    let ids = |query: &str| {
        let (status, body) = proxy.http(&format!("/api/v1/ids/{query}")).unwrap();
        let list = body.split(['[', ']']).nth(1).unwrap_or_default();
        let ids: Vec<i64> = list.split(',').filter_map(|id| id.trim().parse().ok()).collect();
        (status, ids, body)
    };
    let (_, orders, _) = ids("order?n=3&table=orders&key=42");
    let mut client = proxy.raw();
    for id in &orders {
        let insert = format!("INSERT INTO orders (order_id, user_id) VALUES ({id}, 42)");
        assert_eq!(client.simple(&insert).tags(), ["INSERT 0 1"], "the id has its row's bucket");
    }
    let (_, clicks, _) = ids("item?table=clicks&n=2");
    assert_eq!((orders.len(), clicks.len()), (3, 2));
    assert!(clicks.iter().all(|id| *id < 1 << 53), "{clicks:?}");
    for (query, words) in [
        ("order?table=orders", "Say the key's value"),
        ("order?table=orders&key=x", "has no bucket"),
        ("order?key=1", "table=orders&key=42"),
        ("order?table=nobody", "no table"),
        ("order?table=clicks", "has no id column of the tag"),
        ("order?count=3", "unknown field"),
    ] {
        let (status, _, body) = ids(query);
        assert!(status == 400 && body.contains(words), "{query}: {status} {body}");
    }
    let decoded = format!("SELECT tag FROM shardloom.decode_id({}, 'public.orders')", orders[0]);
    let by_layout = format!("SELECT tag FROM shardloom.decode_id({}, 'gene')", orders[0]);
    assert_eq!(client.simple(&decoded).rows(), client.simple(&by_layout).rows());
}

/// Goal: new rules may bring tags and layouts; the shards learn them, and the worker id fits.
#[tokio::test]
async fn new_rules_bring_layouts_and_tags() {
    let database = TestDatabase::new("ids_reload");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let file = proxy.rules_folder().join("rules.yaml");
    let one = "layouts: {one: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 41, tag: 0, worker: 1, sequence: 12}}}\n";
    let with_table = RULES
        .replace("missing_key:", "  ones: {key: user_id, id: {column: id, tag: third, layout: one}}\nmissing_key:");
    std::fs::write(&file, with_table.replace("item: 2}", &format!("item: 2, third: 7}}\n{one}"))).unwrap();
    let console = proxy.console().await;
    console.simple_query("RELOAD").await.unwrap();
    let mut client = proxy.raw();
    assert_eq!(client.simple("CREATE TABLE ones (id bigint PRIMARY KEY, user_id bigint)").error(), None);
    let begun = std::time::Instant::now();
    let id = loop {
        let made = client.simple("INSERT INTO ones (user_id) VALUES (1) RETURNING id");
        if made.error().is_none() {
            break column(&made.rows())[0].clone();
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}\n{}", made.error(), proxy.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let decoded = client.simple(&format!("SELECT worker < 2, tag FROM shardloom.decode_id({id}, 'ones')"));
    assert_eq!(decoded.rows(), [[Some("t".to_owned()), Some("0".to_owned())]], "{:?}", decoded.error());
    assert_eq!(
        column(&client.simple(&format!("SELECT shardloom.next_id('third') - {id} < 1::bigint << 43")).rows()),
        ["t"]
    );
    let known = database.service(1).await.query_one("SELECT name FROM shardloom.id_tag WHERE code = 7", &[]).await;
    assert_eq!(known.unwrap().get::<_, String>(0), "third");
}

/// Goal: an INSERT that waits for ids can be cancelled.
#[tokio::test]
async fn an_insert_that_waits_for_ids_is_cancelled() {
    let (database, proxy) = start("ids_cancel").await;
    database.service(0).await.batch_execute("ALTER TABLE shardloom.id_segment RENAME TO gone").await.unwrap();
    for extended in [false, true] {
        let mut client = proxy.raw();
        let key = client.key.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let insert = "INSERT INTO invoices (user_id) SELECT 1 FROM generate_series(1, 1000)";
            match extended {
                true => Pipeline::new().run(insert, &[]).sync().send(&mut client, 1).remove(0),
                false => client.simple(insert),
            }
        });
        while !waiting.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            RawClient::cancel_key(proxy.port(), &key);
        }
        assert_eq!(waiting.await.unwrap().error().expect("it was cancelled").0, "57014", "extended: {extended}");
    }
}

/// Goal: where the operator names a worker id, a layout that has no room for it refuses at once.
#[tokio::test]
async fn a_named_worker_that_does_not_fit_is_refused_at_once() {
    let database = TestDatabase::new("ids_named_worker");
    let rules = RULES
        .replace("missing_key:", "  ones: {key: user_id, id: {column: id, tag: third, layout: one}}\nmissing_key:")
        .replace(
            "item: 2}",
            "item: 2, third: 7}\nlayouts: {one: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 41, tag: 0, worker: 1, sequence: 12}}}",
        );
    let options = ProxyOptions { config: "ids: {worker: 9}".to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    std::fs::write(proxy.rules_folder().join("rules.yaml"), rules).unwrap();
    proxy.console().await.simple_query("RELOAD").await.unwrap();
    let mut client = proxy.raw();
    assert_eq!(client.simple("CREATE TABLE ones (id bigint PRIMARY KEY, user_id bigint)").error(), None);
    let (state, message) = client.simple("INSERT INTO ones (user_id) VALUES (1)").error().expect("it does not fit");
    assert!(state == "22023" && message.contains('9'), "{state} {message}");
}

/// Goal: a COPY that is faster than its layout has ids goes on at the layout's pace.
#[tokio::test]
async fn a_copy_waits_for_the_clock() {
    let (database, proxy) = start("ids_copy_pace").await;
    let lines: String = (0..70_000).map(|user| format!("{user}\n")).collect();
    assert_eq!(copy(&proxy, "COPY clicks (user_id) FROM STDIN", lines.as_bytes()).await, None);
    let mut ids = HashSet::new();
    for shard in 0..3 {
        let rows = database.shard(shard).await.query("SELECT click_id FROM clicks", &[]).await.unwrap();
        ids.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    assert_eq!(ids.len(), 70_000);
}

#[tokio::test]
async fn a_segment_that_was_set_back_begins_no_lower_than_the_rules_say() {
    let (database, mut proxy) = start("ids_segment_back").await;
    assert_eq!(column(&proxy.raw().simple("SELECT shardloom.next_id('invoice')").rows()), ["1000"]);
    let home = database.service(0).await;
    home.batch_execute("UPDATE shardloom.id_segment SET next_id = 1").await.unwrap();
    proxy.restart().await;
    proxy.gates_open().await;
    assert_eq!(column(&proxy.raw().simple("SELECT shardloom.next_id('invoice')").rows()), ["1000"]);
}
