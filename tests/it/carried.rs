//! Rows that one statement gives and another writes: INSERT … SELECT between shards, computed keys, moved rows.

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use crate::support::{Differential, Proxy, ProxyOptions, RawClient, Reply, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: accounts
key: {type: bigint}
key_update: move
tables:
  accounts: {key: id}
  entries: {key: account, id: {column: entry, tag: entry}}
  owned: {key: id}
  watched: {key: id}
  numbered: {key: number, id: {column: number, tag: entry}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: days
key: {type: date}
algorithm: interval
interval: {unit: month, origin: 2026-01-01, shards: [s0, s1, s2]}
tables:
  days: {key: day}
---
kind: TableGroup
name: fixed
key: {type: bigint}
tables:
  fixed: {key: id}
---
kind: Ids
tags: {entry: 1}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

const SCHEMA: [&str; 9] = [
    "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text DEFAULT 'nobody', sum numeric(10, 2), \
     twice numeric GENERATED ALWAYS AS (sum * 2) STORED, at timestamptz, ratio float8)",
    "CREATE TABLE entries (entry bigint NOT NULL, account bigint NOT NULL, what text, PRIMARY KEY (account, entry))",
    "CREATE TABLE owned (id bigint PRIMARY KEY)",
    "CREATE TABLE numbered (number bigint PRIMARY KEY, what text)",
    "CREATE TABLE watched (id bigint PRIMARY KEY REFERENCES owned)",
    "CREATE TABLE days (day date PRIMARY KEY, what text)",
    "CREATE TABLE fixed (id bigint PRIMARY KEY)",
    "INSERT INTO accounts (id, owner, sum, at, ratio) VALUES (1, 'Ada', 1.5, '2026-01-01 10:00+00', 0.1), \
     (2, 'it''s', NULL, NULL, 1e300), (3, NULL, -7, 'infinity', 'NaN'), (4, 'Dan', 4, '2026-06-01 00:00+02', 0.3333333333333333)",
    "INSERT INTO fixed VALUES (1)",
];

async fn start(label: &str, config: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let options = ProxyOptions { config: config.to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let mut both = Differential::through(&proxy, &database);
    for sql in SCHEMA {
        both.same(sql);
    }
    (database, proxy, both)
}

fn refused(client: &mut RawClient, sql: &str, state: &str, words: &str) {
    let (code, message) = client.simple(sql).error().unwrap_or_else(|| panic!("not refused: {sql}"));
    assert_eq!(code, state, "{sql}: {message}");
    assert!(message.contains(words), "{sql}: {message}");
}

#[tokio::test]
async fn rows_move_with_their_key() {
    let (_database, _proxy, mut both) = start("carried_moves", "").await;
    both.same("UPDATE accounts SET id = 101 WHERE id = 1 RETURNING *");
    both.same("UPDATE accounts a SET id = a.id + 200, owner = DEFAULT, sum = sum + 1 WHERE a.id IN (2, 3) RETURNING a.id, twice");
    both.same("UPDATE accounts SET id = 5 WHERE id = 99");
    both.same("UPDATE accounts SET id = 5 WHERE id = 99 RETURNING owner");
    both.same("UPDATE accounts SET id = 4 WHERE id = 101");
    both.same("UPDATE accounts SET id = 7, sum = 'x' WHERE id = 101");
    both.same("UPDATE accounts SET id = NULL::bigint + 1, nothing = 2 WHERE id = 101");
    both.same("BEGIN");
    both.same("SAVEPOINT s");
    both.same("UPDATE accounts SET id = 300 WHERE id = 101 RETURNING id");
    both.same("ROLLBACK TO s");
    both.same("UPDATE accounts SET id = 301, ratio = ratio * 3 WHERE id = 101 RETURNING ratio");
    both.same("COMMIT");
    both.same("SELECT * FROM accounts ORDER BY id");
    // Every row is where its key says.
    for id in [4, 202, 203, 301] {
        both.same(&format!("SELECT count(*) FROM accounts WHERE id = {id}"));
    }
}

#[tokio::test]
async fn what_could_tell_a_move_from_an_update_is_refused() {
    let (_database, _proxy, mut both) = start("carried_refused", "").await;
    let proxy = &mut both.other;
    assert!(proxy.simple("INSERT INTO owned VALUES (1)").error().is_none());
    refused(proxy, "UPDATE owned SET id = 77 WHERE id = 1", "0A000", "\"watched\" has a foreign key to it");
    refused(proxy, "UPDATE accounts SET id = id + 1", "0A000", "the sharding key that others have before it");
    refused(proxy, "UPDATE fixed SET id = 77 WHERE id = 1", "0A000", "would move rows");
    let hint = proxy.simple("UPDATE fixed SET id = 77 WHERE id = 1").events;
    assert!(format!("{hint:?}").contains("key_update: move"), "{hint:?}");
    assert_eq!(proxy.simple("SELECT id FROM accounts ORDER BY id").rows().len(), 4);
    let function = "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'";
    assert!(proxy.simple(function).error().is_none());
    let trigger = "CREATE TRIGGER t AFTER UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION seen()";
    assert!(proxy.simple(trigger).error().is_none());
    refused(proxy, "UPDATE accounts SET id = 77 WHERE id = 1", "0A000", "it has triggers");
}

#[tokio::test]
async fn of_two_that_move_one_row_the_second_finds_none() {
    let (database, proxy, mut both) = start("carried_race", "").await;
    let mut second = Differential::through(&proxy, &database).other;
    both.same("BEGIN");
    both.same("UPDATE accounts SET id = 50, owner = 'first' WHERE id = 1");
    let waiting =
        std::thread::spawn(move || second.simple("UPDATE accounts SET id = 60, owner = 'second' WHERE id = 1"));
    both.same("COMMIT");
    assert_eq!(waiting.join().expect("a reply").tags(), ["UPDATE 0"]);
    both.same("SELECT id, owner FROM accounts ORDER BY id");
}

#[tokio::test]
async fn rows_of_a_query_go_where_their_keys_say() {
    let (_database, _proxy, mut both) = start("carried_rows", "").await;
    // Every type keeps its value, and unknown constants are what the columns are.
    both.same("INSERT INTO accounts (id, owner, sum, at, ratio) SELECT id + 10, owner, sum, at, ratio FROM accounts");
    both.same("INSERT INTO accounts (id, sum, at) SELECT 30.4, '7', '2026-05-05' UNION ALL SELECT 31, '8', NULL");
    both.same("INSERT INTO accounts (id, sum) SELECT id, 1 FROM accounts ON CONFLICT (id) DO UPDATE SET sum = 99 RETURNING id, sum");
    both.same("INSERT INTO accounts (id) SELECT id + 1000 FROM accounts WHERE id > 5000 RETURNING id");
    both.same("INSERT INTO accounts (id, owner) SELECT id + 500, 5 FROM accounts WHERE id = 2");
    both.same("INSERT INTO accounts (id, sum) SELECT id + 600, owner FROM accounts");
    both.same("INSERT INTO accounts (id, nothing) SELECT 1, 2 FROM accounts");
    both.same("SELECT * FROM accounts ORDER BY id");
    let proxy = &mut both.other;
    let made =
        proxy.simple("INSERT INTO entries (account, what) SELECT id, owner FROM accounts RETURNING entry").rows();
    let distinct: std::collections::BTreeSet<_> = made.iter().collect();
    assert!(made.len() > 8 && distinct.len() == made.len(), "{made:?}");
    // Where the id that is made is the key.
    let numbered = proxy.simple("INSERT INTO numbered (what) SELECT owner FROM accounts RETURNING number").rows();
    assert_eq!(numbered.len(), made.len());
    assert!(proxy.simple("SET datestyle = 'SQL, DMY'").error().is_none());
    refused(proxy, "INSERT INTO accounts (id, at) SELECT id + 2000, at FROM accounts", "0A000", "DateStyle");
}

#[tokio::test]
async fn a_computed_key_is_evaluated_once() {
    let (_database, _proxy, mut both) = start("carried_keys", "").await;
    both.same("INSERT INTO days VALUES ('Jan 5 2026', 'a'), ('2026-02-01'::timestamp, 'b'), (date '2026-03-01' + 1, 'c') RETURNING day");
    both.same("INSERT INTO days VALUES (current_date, 'today') RETURNING day = current_date");
    both.same("DELETE FROM days WHERE day = current_date AND day > '2026-03-05'");
    both.same("INSERT INTO days VALUES (20260331, 'x')");
    both.same("INSERT INTO days VALUES ('nonsense', 'x')");
    both.same("INSERT INTO accounts (id, owner) VALUES ((SELECT max(id) + 70 FROM accounts), (SELECT max(owner) FROM accounts))");
    both.same("INSERT INTO accounts (id) VALUES (1 / 0)");
    both.same("SELECT id, owner FROM accounts ORDER BY id");
}

#[tokio::test]
async fn more_rows_than_may_be_carried_are_an_error() {
    let (_database, _proxy, mut both) = start("carried_bound", "limits: {gather_rows: 10}").await;
    both.same("INSERT INTO accounts (id) SELECT 100 + n FROM generate_series(1, 10) n");
    let too_many = "INSERT INTO accounts (id) SELECT 200 + n FROM generate_series(1, 11) n";
    refused(&mut both.other, too_many, "54000", "than may be carried");
    both.same("SELECT id FROM accounts ORDER BY id");
}

/// Runs a statement whose parameters come in binary, of types that nobody declared.
fn bound(client: &mut RawClient, sql: &str, parameters: &[&[u8]]) -> Reply {
    let mut batch = BytesMut::new();
    frontend::parse("", sql, [], &mut batch).expect("a parse message");
    let value = |value: &&[u8], out: &mut BytesMut| {
        out.extend_from_slice(value);
        Ok(IsNull::No)
    };
    let bound = frontend::bind("", "", [1], parameters, value, [0], &mut batch);
    assert!(bound.is_ok(), "a bind message");
    frontend::execute("", 0, &mut batch).expect("an execute message");
    frontend::sync(&mut batch);
    client.send(&batch);
    client.reply()
}

#[tokio::test]
async fn parameters_have_the_types_of_the_clients_text() {
    let (_database, _proxy, mut both) = start("carried_types", "").await;
    both.same("CREATE DOMAIN word AS text");
    both.same("ALTER TABLE accounts ADD raw bytea, ADD n int, ADD said word");
    let raw: &[u8] = b"\\x41\\\\";
    // As text, these four bytes would be the number 1234.
    let number = 0x3132_3334_i32.to_be_bytes();
    let (id, other) = (900_i64.to_be_bytes(), 1_i64.to_be_bytes());
    for (sql, parameters) in [
        ("UPDATE accounts SET id = $1, raw = $2, n = $3 WHERE id = $4", vec![&id[..], raw, &number, &other]),
        ("INSERT INTO accounts (id, raw, n) SELECT id + 1000, $1, $2 FROM accounts", vec![raw, &number]),
    ] {
        let plain = bound(&mut both.plain, sql, &parameters);
        assert!(plain.error().is_none(), "{plain:?}");
        assert_eq!(bound(&mut both.other, sql, &parameters).tags(), plain.tags(), "{sql}");
    }
    // A boolean is assigned to text as a word, and to a domain of it, too.
    both.same("INSERT INTO accounts (id, said) SELECT id + 5000, id > 2 FROM accounts WHERE id < 900");
    both.same("SELECT id, raw, n, said FROM accounts ORDER BY id");
}

#[tokio::test]
async fn a_move_leaves_nothing_of_a_row_behind() {
    let (_database, _proxy, mut both) = start("carried_whole", "").await;
    let proxy = &mut both.other;
    for sql in ["BEGIN", "ALTER TABLE accounts ADD late int", "UPDATE accounts SET late = 3 WHERE id = 1"] {
        assert!(proxy.simple(sql).error().is_none(), "{sql}");
    }
    refused(proxy, "UPDATE accounts SET id = 900 WHERE id = 1", "0A000", "have changed");
    assert!(proxy.simple("ROLLBACK").error().is_none());
    assert!(proxy.simple("UPDATE accounts SET id = 900 WHERE id = 1").error().is_none());
    assert!(proxy.simple("ALTER TABLE accounts ENABLE ROW LEVEL SECURITY").error().is_none());
    refused(proxy, "UPDATE accounts SET id = 901 WHERE id = 900", "0A000", "row level security");
}
