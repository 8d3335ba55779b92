//! COPY of sharded tables in all directions and formats, beside one PostgreSQL.

use shardloom::wire::copy_binary::{HEADER, TRAILER};

use crate::support::{Differential, Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: customers
key: {type: bigint}
algorithm: hash
tables:
  customers: {key: customer_id}
  orders: {key: customer_id, id: {column: order_id, tag: order}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: names
key: {type: text}
algorithm: hash
tables:
  names: {key: name}
  codes: {key: code}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: things
key: {type: uuid}
algorithm: hash
tables:
  things: {key: thing}
missing_key: {read: reject, write: scatter}
---
kind: TableGroup
name: small
key: {type: int}
algorithm: hash
tables:
  small: {key: id}
  marks: {key: id}
  prices: {key: id}
  stamped: {key: id}
  stamps: {key: id, split: {into: 3, pattern: "stamps_{0}"}}
missing_key: {read: scatter, write: scatter}
---
kind: Ids
tags: {order: 1}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

const SCHEMA: [&str; 10] = [
    "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text, balance numeric(12, 2))",
    "CREATE TABLE orders (order_id bigint, customer_id bigint, status text, PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE names (name text PRIMARY KEY, n int)",
    "CREATE TABLE codes (code char(4) PRIMARY KEY)",
    "CREATE TABLE things (thing uuid PRIMARY KEY, n int)",
    "CREATE TABLE small (id int PRIMARY KEY, t text)",
    "CREATE TABLE marks (id serial PRIMARY KEY, t text, n int GENERATED ALWAYS AS IDENTITY, name text DEFAULT 'n' || nextval('marks_id_seq'))",
    "CREATE TABLE prices (id int PRIMARY KEY, price numeric DEFAULT nextval('marks_id_seq'))",
    "CREATE TABLE stamped (id int PRIMARY KEY, t text, made timestamptz DEFAULT now(), day date DEFAULT CURRENT_DATE + 1, \
     at timestamp(3) DEFAULT (now() AT TIME ZONE 'UTC'), said text DEFAULT 'x', clock time(3) DEFAULT LOCALTIME, \
     epoch bigint DEFAULT EXTRACT(epoch FROM now()) * 1000000, word varchar(40) DEFAULT ('at\t' || now() AT TIME ZONE 'UTC'))",
    "CREATE TABLE stamps (LIKE stamped INCLUDING ALL)",
];

async fn start(label: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let mut both = Differential::through(&proxy, &database);
    for sql in SCHEMA {
        both.same(sql);
    }
    let rows: Vec<String> = (1..=40).map(|id| format!("({id}, E'name\\t{id}', {id}.5)")).collect();
    both.same(&format!("INSERT INTO customers VALUES {}, (41, NULL, NULL)", rows.join(", ")));
    (database, proxy, both)
}

/// What a COPY TO answered: its CopyOutResponse, its rows, its tag or SQLSTATE.
#[derive(Debug, PartialEq, Eq)]
struct Copied {
    begin: Vec<u8>,
    rows: Vec<Vec<u8>>,
    end: String,
}

fn copied(client: &mut RawClient) -> Copied {
    let mut copied = Copied { begin: Vec::new(), rows: Vec::new(), end: String::new() };
    loop {
        match client.message() {
            ('H', body) => copied.begin = body,
            ('d', body) => copied.rows.push(body),
            ('C', body) => copied.end.push_str(&String::from_utf8_lossy(&body)),
            ('E', body) => {
                let fields = String::from_utf8_lossy(&body).into_owned();
                let state = fields.split('\0').find_map(|field| field.strip_prefix('C')).unwrap_or_default();
                copied.end.push_str(state);
            }
            ('Z', _) => return copied,
            (_, _) => {}
        }
    }
}

fn out(client: &mut RawClient, sql: &str) -> Copied {
    Pipeline::new().query(sql).send_only(client);
    copied(client)
}

/// Both ways' answers, the rows in the order of their bytes.
fn same_out(both: &mut Differential, sql: &str, head: usize) -> Copied {
    let [plain, other] = [&mut both.plain, &mut both.other].map(|client| {
        let mut copied = out(client, sql);
        let head = head.min(copied.rows.len());
        copied.rows[head..].sort();
        copied
    });
    assert_eq!(other, plain, "{sql}");
    other
}

#[tokio::test]
async fn copy_to_gives_the_rows_of_all_shards_once() {
    let (_database, _proxy, mut both) = start("copy_out").await;
    for (sql, head) in [
        ("COPY customers TO STDOUT", 0),
        ("COPY customers (name, customer_id) TO STDOUT WITH (DELIMITER '|', NULL 'none')", 0),
        ("COPY customers TO STDOUT WITH (HEADER)", 1),
        ("COPY customers TO STDOUT CSV HEADER QUOTE '\"' FORCE QUOTE *", 1),
        ("COPY customers TO STDOUT WITH (FORMAT csv)", 0),
        ("COPY orders TO STDOUT", 0),
        ("COPY orders TO STDOUT CSV HEADER", 1),
    ] {
        let copied = same_out(&mut both, sql, head);
        assert!(copied.end.starts_with("COPY "), "{copied:?}");
    }
    assert_eq!(same_out(&mut both, "COPY customers TO STDOUT", 0).rows.len(), 41);
    // Queries: of one shard, and of several whose rows need no merge.
    for (sql, head) in [
        ("COPY (SELECT * FROM customers WHERE customer_id = 7) TO STDOUT", 0),
        ("COPY (SELECT name, balance * 2 AS twice FROM customers WHERE customer_id > 5) TO STDOUT CSV HEADER", 1),
        ("COPY (SELECT count(*), max(name) FROM customers WHERE customer_id IN (1)) TO STDOUT (FORMAT csv, HEADER)", 1),
        ("COPY (SELECT c.name, o.status FROM customers c LEFT JOIN orders o USING (customer_id)) TO STDOUT", 0),
        ("COPY (UPDATE customers SET name = 'x' WHERE customer_id = 7 RETURNING *) TO STDOUT", 0),
        ("COPY (SELECT missing FROM customers) TO STDOUT", 0),
    ] {
        same_out(&mut both, sql, head);
    }
    let [plain, other] = [&mut both.plain, &mut both.other]
        .map(|client| out(client, "COPY (SELECT customer_id, name FROM customers) TO STDOUT (FORMAT binary)"));
    assert_eq!((tuples(&other.rows), other.end), (tuples(&plain.rows), plain.end));
    // Message by message: drivers take the header for a part of the first row's.
    for query in ["name, customer_id FROM customers ORDER BY customer_id", "name FROM customers WHERE false ORDER BY 1"]
    {
        let sql = format!("COPY (SELECT {query}) TO STDOUT (FORMAT binary)");
        let [plain, other] = [&mut both.plain, &mut both.other].map(|client| out(client, &sql));
        assert_eq!(other, plain, "{sql}");
    }
    for sql in ["COPY customers (missing) TO STDOUT", "COPY customers TO STDOUT WITH (DELIMITER 'ab')"] {
        assert_eq!(same_out(&mut both, sql, 0).end.len(), 5, "{sql}");
    }
    // In a transaction it sees what the transaction wrote, and in the extended protocol it is the same.
    both.same("BEGIN");
    both.same("INSERT INTO customers VALUES (51, 'a', 1), (52, 'b', 1), (53, 'c', 1)");
    assert_eq!(same_out(&mut both, "COPY customers TO STDOUT", 0).rows.len(), 44);
    both.same("ROLLBACK");
    let extended = Pipeline::new().run("COPY customers TO STDOUT", &[]).sync();
    let sorted = |client: &mut RawClient| {
        extended.send_only(client);
        let mut copied = copied(client);
        copied.rows.sort();
        copied
    };
    assert_eq!(sorted(&mut both.other), sorted(&mut both.plain));
    assert_eq!(out(&mut both.other, "COPY things TO STDOUT").end, "22023", "the rules want a key");
    assert_eq!(out(&mut both.other, "COPY customers TO '/tmp/x'").end, "0A000");
    both.same("SELECT count(*) FROM customers");
}

/// Both ways' answers with all data in one piece: in order, with one header and one end.
fn same_data(both: &mut Differential, pipeline: &Pipeline, sql: &str) -> Copied {
    let [plain, other] = [&mut both.plain, &mut both.other].map(|client| {
        pipeline.send_only(client);
        let copied = copied(client);
        Copied { rows: vec![copied.rows.concat()], ..copied }
    });
    assert_eq!(other, plain, "{sql}");
    other
}

#[tokio::test]
async fn what_is_merged_or_gathered_is_copied_as_one_server_writes_it() {
    let (_database, _proxy, mut both) = start("copy_merged").await;
    both.same(r#"UPDATE customers SET name = E'a,"b"|\\c\r\nd\te\be' WHERE customer_id IN (3, 11)"#);
    both.same(r"UPDATE customers SET name = '\.' WHERE customer_id IN (4, 12)");
    both.same("UPDATE customers SET name = '' WHERE customer_id IN (5, 13)");
    both.same("CREATE VIEW named AS SELECT name, customer_id FROM customers WHERE name IS NOT NULL");
    let options = [
        "",
        "CSV",
        r"CSV HEADER DELIMITER ';' QUOTE '''' ESCAPE '\' NULL 'none'",
        "WITH (FORMAT csv, FORCE_QUOTE *)",
        "CSV FORCE QUOTE name",
        "WITH (HEADER, DELIMITER '|', NULL 'none')",
        "WITH (FORMAT binary)",
    ];
    let queries = [
        "SELECT * FROM customers ORDER BY customer_id",
        "SELECT name FROM customers ORDER BY customer_id DESC LIMIT 38 OFFSET 1",
        r#"SELECT name, count(*) AS "n,""n""" FROM customers GROUP BY name ORDER BY name COLLATE "C""#,
        "SELECT sum(balance) AS name, avg(balance), min(name) FROM customers",
        "SELECT name, row_number() OVER (ORDER BY customer_id) FROM customers ORDER BY 2",
        "SELECT a.name, b.customer_id, repeat('x', 60) FROM customers a, customers b ORDER BY a.customer_id, 2",
        "SELECT name FROM customers WHERE customer_id < 0 ORDER BY name",
        "SELECT 1 / (customer_id - 41) AS name FROM customers ORDER BY customer_id",
        "SELECT missing AS name FROM customers ORDER BY 1",
        "SELECT * FROM named ORDER BY customer_id",
        "SELECT * FROM named WHERE customer_id = 3",
    ];
    for query in queries {
        for options in options {
            let sql = format!("COPY ({query}) TO STDOUT {options}");
            same_data(&mut both, &Pipeline::new().query(&sql), &sql);
            let extended = Pipeline::new().parse("", &sql).bind("", "", &[]).describe_portal("").execute("", 0).sync();
            same_data(&mut both, &extended, &sql);
        }
    }
    let sql = "COPY (SELECT name FROM customers ORDER BY customer_id) TO STDOUT CSV FORCE QUOTE missing";
    assert_eq!(same_data(&mut both, &Pipeline::new().query(sql), sql).end, "42703");
    for options in ["DELIMITER 'a'", "CSV QUOTE ','", r#"CSV NULL '"'"#, "WITH (FORMAT binary, HEADER)", "QUOTE 'x'"] {
        let sql = format!("COPY (SELECT name FROM customers ORDER BY name) TO STDOUT {options}");
        let [plain, other] = [&mut both.plain, &mut both.other].map(|client| out(client, &sql));
        assert_eq!((plain.end.len(), other.end.as_str()), (5, "0A000"), "{sql}");
    }
    // In a transaction it sees what the transaction wrote; an error fails it.
    both.same("BEGIN");
    both.same("INSERT INTO customers VALUES (51, 'a', 1), (52, 'b', 1), (53, 'c', 1)");
    let sql = "COPY (SELECT count(*) FROM customers) TO STDOUT; SELECT 5";
    same_data(&mut both, &Pipeline::new().query(sql), sql);
    let sql = "COPY (SELECT 1 / (customer_id - 51) FROM customers ORDER BY customer_id) TO STDOUT";
    assert_eq!(same_data(&mut both, &Pipeline::new().query(sql), sql).end, "22012");
    both.same("SELECT 1");
    both.same("ROLLBACK");
    both.same("SELECT count(*) FROM customers");
}

/// Returns the rows of binary data that has exactly one header and one trailer.
fn tuples(data: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut rows = data.to_vec();
    assert_eq!(rows[0][..HEADER.len()], HEADER);
    rows[0].drain(..HEADER.len());
    assert_eq!(rows.pop().as_deref(), Some(&TRAILER[..]), "the last message");
    rows.retain(|row| !row.is_empty());
    assert!(rows.iter().all(|row| row[..] != TRAILER && !row.starts_with(&HEADER[..11])));
    rows.sort();
    rows
}

#[tokio::test]
async fn copy_in_binary_goes_out_and_in_again() {
    let (_database, _proxy, mut both) = start("copy_binary").await;
    let sql = "COPY customers TO STDOUT (FORMAT binary)";
    let [plain, mut other] = [&mut both.plain, &mut both.other].map(|client| out(client, sql));
    assert_eq!((&plain.begin, &plain.end), (&other.begin, &other.end));
    assert_eq!(tuples(&other.rows), tuples(&plain.rows));
    let empty = out(&mut both.other, "COPY orders TO STDOUT (FORMAT binary)");
    assert_eq!((empty.rows, &*empty.end), (vec![[&HEADER[..], &TRAILER].concat()], "COPY 0\0"));
    assert!(other.rows[0].len() > HEADER.len(), "the header comes with the first row");
    // The same data in messages of any length, with and without the trailer.
    let data = other.rows.split_off(0).concat();
    for (length, end) in [(data.len(), data.len()), (1, data.len()), (7, data.len() - 2), (1000, data.len())] {
        both.same("DELETE FROM customers");
        same_in(&mut both, "COPY customers FROM STDIN (FORMAT binary)", &data[..end], length);
        assert_eq!(both.same("SELECT * FROM customers ORDER BY customer_id").rows().len(), 41);
    }
    assert_eq!(same_in(&mut both, "COPY customers FROM STDIN (FORMAT binary)", &data, 100), "23505");
    both.same("BEGIN");
    both.same("DELETE FROM customers");
    same_in(&mut both, "COPY customers FROM STDIN (FORMAT binary)", &data, 100);
    both.same("SELECT count(*) FROM customers");
    both.same("ROLLBACK");
    both.same("SELECT count(*) FROM customers");
}

/// Feeds a COPY both ways, in messages of `length` bytes; returns the tag or SQLSTATE, which is the same.
fn same_in(both: &mut Differential, sql: &str, data: &[u8], length: usize) -> String {
    let [plain, other] = [&mut both.plain, &mut both.other].map(|client| feed(client, sql, data, length));
    assert_eq!(other, plain, "{sql}");
    other
}

fn feed(client: &mut RawClient, sql: &str, data: &[u8], length: usize) -> String {
    Pipeline::new().query(sql).send_only(client);
    loop {
        match client.message() {
            ('G', body) => break assert_eq!(body[0], u8::from(sql.to_ascii_lowercase().contains("binary"))),
            ('E', _) => {
                while client.message().0 != 'Z' {}
                return "refused".to_owned();
            }
            _ => {}
        }
    }
    let messages = data.chunks(length).fold(Pipeline::new(), |all, part| all.message(b'd', part));
    messages.message(b'c', &[]).send_only(client);
    copied(client).end
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut row = (fields.len() as i16).to_be_bytes().to_vec();
    for field in fields {
        row.extend(field.map_or(-1, |field| field.len() as i32).to_be_bytes());
        row.extend(field.unwrap_or_default());
    }
    row
}

fn file(rows: &[Vec<u8>]) -> Vec<u8> {
    [&HEADER[..], &rows.concat(), &TRAILER].concat()
}

#[tokio::test]
async fn binary_rows_go_to_the_shard_of_their_key() {
    let (_database, _proxy, mut both) = start("copy_keys").await;
    let one = 1i32.to_be_bytes();
    let names: Vec<_> = (0..30).map(|n| row(&[Some(format!("näme {n}").as_bytes()), Some(&one)])).collect();
    let things: Vec<_> = (0..30u8).map(|n| row(&[Some(&[n; 16]), Some(&one)])).collect();
    let small: Vec<_> = (-15..15i32).map(|n| row(&[Some(b"t"), Some(&n.to_be_bytes())])).collect();
    for (sql, data, table) in [
        ("COPY names FROM STDIN (FORMAT binary)", file(&names), "names"),
        ("COPY things FROM STDIN BINARY", file(&things), "things"),
        ("COPY small (t, id) FROM STDIN WITH BINARY", file(&small), "small"),
        ("COPY BINARY small FROM STDIN", file(&[]), "small"),
    ] {
        assert!(same_in(&mut both, sql, &data, 50).starts_with("COPY "), "{sql}");
        if table != "things" {
            both.same(&format!("SELECT * FROM {table}"));
        }
    }
    // Found again by the key alone: each lies where its key says.
    for sql in ["SELECT * FROM names WHERE name = 'näme 7'", "SELECT * FROM small WHERE id = -3"] {
        assert_eq!(both.same(sql).rows().len(), 1, "{sql}");
    }
    let thing = "SELECT * FROM things WHERE thing = '05050505-0505-0505-0505-050505050505'";
    assert_eq!(both.same(thing).rows().len(), 1);
    // An id that is left out is made.
    let orders: Vec<_> = (1..=20i64).map(|id| row(&[Some(&id.to_be_bytes()), Some(b"new")])).collect();
    let sql = "COPY orders (customer_id, status) FROM STDIN (FORMAT binary)";
    assert_eq!(feed(&mut both.other, sql, &file(&orders), 33), "COPY 20\0");
    let ids = both.other.simple("SELECT DISTINCT order_id FROM orders WHERE status = 'new'");
    assert_eq!(ids.rows().len(), 20);
    // A key of a type whose bytes are not read here.
    assert_eq!(feed(&mut both.other, "COPY codes FROM STDIN (FORMAT binary)", &file(&[]), 10), "refused");
}

#[tokio::test]
async fn rows_are_numbered_by_homes_sequences_as_one_server_does() {
    let (_database, _proxy, mut both) = start("copy_numbers").await;
    let texts: Vec<_> = (0..500).map(|n| row(&[Some(format!("text {n}").as_bytes()), Some(b"named")])).collect();
    let binary = "COPY marks (t, name) FROM STDIN (FORMAT binary)";
    for length in [7, 1000, 1_000_000] {
        assert_eq!(same_in(&mut both, binary, &file(&texts), length), "COPY 500\0");
    }
    for table in ["SELECT * FROM marks ORDER BY id", "SELECT max(id), max(n) FROM marks"] {
        both.same(table);
    }
    // What is neither integer nor text is not written in binary format.
    let texts: Vec<_> = (0..50).map(|n| row(&[Some(format!("text {n}").as_bytes())])).collect();
    assert_eq!(same_in(&mut both, "COPY marks (t) FROM STDIN (FORMAT binary)", &file(&texts), 100), "COPY 50\0");
    let priced = "COPY prices (id) FROM STDIN";
    assert_eq!(feed(&mut both.other, &format!("{priced} (FORMAT binary)"), &file(&[]), 100), "refused");
    assert_eq!(same_in(&mut both, priced, b"1\n2\n3\n", 100), "COPY 3\0");
    both.same("SELECT * FROM prices ORDER BY id");
    // Far more than one question's rows.
    let lines: String = (0..25_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(same_in(&mut both, "COPY marks (t) FROM STDIN", lines.as_bytes(), 8192), "COPY 25000\0");
    let shape = "SELECT count(*), count(DISTINCT id), count(DISTINCT n), count(DISTINCT name), max(n) FROM marks";
    both.same(shape);
    both.same("INSERT INTO marks (t, name) SELECT t, 'again' FROM marks WHERE n < 1000");
    both.same(shape);
    let last = both.same("INSERT INTO marks (t, name) VALUES ('behind', 'all') RETURNING id");
    // A number is no NULL, though NULL be written like it.
    let next = 1 + last.rows()[0][0].as_deref().and_then(|id| id.parse::<i64>().ok()).expect("id");
    let sql = format!("COPY marks (t, name) FROM STDIN WITH (NULL '{next}')");
    assert_eq!(same_in(&mut both, &sql, b"a\tb\nc\td\n", 8), "COPY 2\0");
    both.same(&format!("SELECT * FROM marks WHERE id >= {next} ORDER BY id"));
    // The session did not draw what COPY drew beside it, and what it drew before is not the last any more.
    both.same("BEGIN");
    both.same("INSERT INTO marks (t, name) VALUES ('before', 'COPY')");
    both.same("SELECT lastval()");
    assert_eq!(same_in(&mut both, "COPY marks (t, name) FROM STDIN", b"a\tb\n", 8), "COPY 1\0");
    assert_eq!(both.other.simple("SELECT lastval()").error().expect("nothing drawn").0, "55000");
    both.same("ROLLBACK");
}

#[tokio::test]
async fn rows_of_one_copy_have_one_moment() {
    let (_database, _proxy, mut both) = start("copies_moment").await;
    let lines: String = (1..=500).map(|id| format!("{id}\tt{id}\n")).collect();
    let commas: String = (501..=900).map(|id| format!("{id},t{id}\n")).collect();
    let rows: Vec<Vec<u8>> =
        (901..=1000_i32).map(|id| row(&[Some(&id.to_be_bytes()[..]), Some(&b"binary"[..])])).collect();
    let shape = "SELECT count(*), count(DISTINCT made), count(DISTINCT at), count(DISTINCT day), count(DISTINCT said), \
                 count(*) FILTER (WHERE made = now()), count(*) FILTER (WHERE day = CURRENT_DATE + 1), \
                 count(*) FILTER (WHERE at = (made AT TIME ZONE 'UTC')::timestamp(3)), \
                 count(*) FILTER (WHERE epoch = EXTRACT(epoch FROM made) * 1000000), count(DISTINCT epoch), \
                 count(DISTINCT word), count(*) FILTER (WHERE word = 'at\t' || made AT TIME ZONE 'UTC') FROM stamped";
    // In binary format each shard has its own of these.
    let clock = "SELECT count(DISTINCT clock), count(*) FILTER (WHERE clock = made::time(3)) FROM stamped";
    for (table, zone) in [("stamped", "Asia/Kolkata"), ("stamped", "UTC"), ("stamps", "Asia/Kolkata")] {
        let into = |options: &str| format!("COPY {table} (id, t) FROM STDIN{options}");
        both.same(&format!("SET TimeZone = '{zone}'"));
        both.same("SET DateStyle = 'SQL, DMY'");
        both.same("BEGIN");
        both.same(&format!("INSERT INTO {table} (id) VALUES (0)"));
        assert_eq!(same_in(&mut both, &into(""), lines.as_bytes(), 512), "COPY 500\0");
        assert_eq!(same_in(&mut both, &into(" (FORMAT csv)"), commas.as_bytes(), 512), "COPY 400\0");
        both.same(&clock.replace("stamped", table));
        assert_eq!(same_in(&mut both, &into(" (FORMAT binary)"), &file(&rows), 512), "COPY 100\0");
        both.same(&shape.replace("stamped", table));
        both.same("ROLLBACK");
    }
    assert_eq!(same_in(&mut both, "COPY stamped (id, t) FROM STDIN", lines.as_bytes(), 512), "COPY 500\0");
    both.same(&shape.replace("made = now()", "made < now()"));
    both.same("SELECT id, t, said FROM stamped ORDER BY id");
    for wrong in ["1001\n", "1001\ta\tb\n", "1001\ta\tb\tc\td\n", "x\ty\n"] {
        let end = same_in(&mut both, "COPY stamped (id, t) FROM STDIN", wrong.as_bytes(), 512);
        assert!(end.contains("22P0"), "{end}");
    }
}

#[tokio::test]
async fn a_session_is_told_its_own_numbers_or_none() {
    let (_database, proxy, _both) = start("own_numbers").await;
    let draw = "INSERT INTO marks (t, name) VALUES ('drawn', 'by one') RETURNING id";
    let key = "INSERT INTO marks (id, t, name) VALUES (1000000 + currval('marks_id_seq'), 'told', 'x') RETURNING id - 1000000";
    for ask in ["SELECT lastval()", "SELECT currval('marks_id_seq')", key] {
        let mut client = proxy.raw();
        let own = client.simple(draw).rows();
        // Several, so that one of them has the same servers.
        for _ in 0..6 {
            assert_eq!(proxy.raw().simple(draw).error(), None);
        }
        let told = client.simple(ask);
        match told.error() {
            Some((state, _)) => assert_eq!(state, "55000", "{ask}"),
            None => assert_eq!(told.rows(), own, "{ask}"),
        }
        client.simple("BEGIN");
        let own = client.simple(draw).rows();
        assert_eq!(client.simple(ask).rows(), own, "{ask}");
        client.simple("ROLLBACK");
    }
    // What COPY draws beside the session's server leaves the session that one.
    let mut client = proxy.raw();
    assert_eq!(client.simple("CREATE TEMPORARY TABLE mine AS SELECT 7 AS x").error(), None);
    assert_eq!(feed(&mut client, "COPY marks (t, name) FROM STDIN", b"a\tb\n", 8), "COPY 1\0");
    for _ in 0..4 {
        assert_eq!(client.simple("SELECT x FROM mine").rows(), [[Some("7".to_owned())]]);
    }
}

#[tokio::test]
async fn broken_binary_data_fail_as_in_postgresql() {
    let (_database, _proxy, mut both) = start("copy_broken").await;
    let sql = "COPY small FROM STDIN (FORMAT binary)";
    let good = row(&[Some(&7i32.to_be_bytes()), Some(b"seven")]);
    let whole = file(std::slice::from_ref(&good));
    let mut flags = whole.clone();
    flags[12] = 1;
    for (what, data, state) in [
        ("nothing", vec![], "22P04"),
        ("text", b"1\tone\n".to_vec(), "22P04"),
        ("flags", flags, "22P04"),
        ("cut in a row", whole[..whole.len() - 4].to_vec(), "22P04"),
        ("cut in the header", whole[..15].to_vec(), "22P04"),
        ("too few fields", file(&[good.clone(), row(&[Some(&one_key())])]), "22P04"),
        ("too many fields", file(&[row(&[Some(&one_key()), None, None])]), "22P04"),
        ("a NULL key", file(&[good.clone(), row(&[None, Some(b"x")])]), "23502"),
        ("another length", file(&[row(&[Some(&7i64.to_be_bytes()), None])]), "22P03"),
        ("a negative length", file(&[good.clone(), b"\0\x02\xff\xff\xff\xfe".to_vec()]), "22P04"),
        ("more behind the end", [whole.clone(), good.clone()].concat(), "22P04"),
        ("no UTF-8", file(&[row(&[Some(&one_key()), Some(b"\xff")])]), "22021"),
    ] {
        assert_eq!(same_in(&mut both, sql, &data, 1000), state, "{what}");
        both.same("SELECT * FROM small");
    }
    // Given up by the client.
    for client in [&mut both.plain, &mut both.other] {
        Pipeline::new().query(sql).send_only(client);
        while client.message().0 != 'G' {}
        Pipeline::new().message(b'd', &whole).message(b'f', b"no more\0").send_only(client);
        assert_eq!(copied(client).end, "57014");
    }
    both.same("SELECT * FROM small");
    assert_eq!(same_in(&mut both, sql, &whole, 1000), "COPY 1\0");
    // A line of text without its end is read when the data end, and may be wrong then.
    let text = Pipeline::new().query("COPY small FROM STDIN").message(b'd', b"8\teight\n\\N\tnull").message(b'c', &[]);
    for client in [&mut both.plain, &mut both.other] {
        text.send_only(client);
        assert_eq!(copied(client).end, "23502");
    }
    both.same("SELECT * FROM small");
}

fn one_key() -> [u8; 4] {
    1i32.to_be_bytes()
}

#[tokio::test]
async fn an_error_on_one_shard_fails_the_whole_copy() {
    let (database, _proxy, mut both) = start("copy_one_fails").await;
    let rows: Vec<String> = (100..2100).map(|id| format!("({id}, repeat('x', 1000))")).collect();
    both.same(&format!("INSERT INTO customers (customer_id, name) VALUES {}", rows.join(", ")));
    let shard = database.shard(2).await;
    shard.batch_execute("ALTER TABLE customers RENAME COLUMN name TO other").await.unwrap();
    assert_eq!(out(&mut both.other, "COPY customers (name) TO STDOUT").end, "42703");
    shard.batch_execute("ALTER TABLE customers RENAME COLUMN other TO name").await.unwrap();
    both.other.simple("BEGIN");
    shard.batch_execute("ALTER TABLE customers ADD COLUMN more int").await.unwrap();
    assert_eq!(out(&mut both.other, "COPY customers TO STDOUT").end, "0A000");
    assert_eq!(both.other.simple("ROLLBACK").status, 'I');
    shard.batch_execute("ALTER TABLE customers DROP COLUMN more").await.unwrap();
    for _ in 0..3 {
        assert_eq!(same_out(&mut both, "COPY customers TO STDOUT", 0).rows.len(), 2041);
    }
}
