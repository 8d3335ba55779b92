//! Foreign keys from sharded tables to reference tables, and changes of reference tables right behind writes to them.

use crate::support::{Differential, Proxy, ProxyOptions, RawClient, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: goods
key: {type: bigint}
tables:
  goods: {key: k}
  parts: {key: k}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: marks
key: {type: bigint}
tables:
  marks: {key: k, split: {into: 2, pattern: "marks_{0}"}}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [kinds, colours, shades]
"#;

const SCHEMA: [&str; 8] = [
    "CREATE TABLE kinds (id int PRIMARY KEY, name text, r json, t text, i int)",
    "CREATE TABLE colours (a int, b text, \"N\" text UNIQUE, PRIMARY KEY (a, b))",
    "CREATE TABLE shades (id int PRIMARY KEY, a int, b text, FOREIGN KEY (a, b) REFERENCES colours ON DELETE CASCADE)",
    "CREATE TABLE goods (k bigint PRIMARY KEY, kind int REFERENCES kinds (id), a int, b text, \"N\" text REFERENCES colours (\"N\"), \
     CONSTRAINT coloured FOREIGN KEY (a, b) REFERENCES colours ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE parts (k bigint PRIMARY KEY, shade int REFERENCES shades (id))",
    "CREATE TABLE marks (k bigint PRIMARY KEY, kind int REFERENCES kinds (id) DEFERRABLE)",
    "INSERT INTO kinds SELECT n, 'kind ' || n FROM generate_series(1, 9) n",
    "INSERT INTO colours SELECT n, 'c', 'n' || n FROM generate_series(1, 9) n",
];

async fn start(label: &str) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    // A machine that is busy with other tests delivers late.
    let options = ProxyOptions { config: "limits: {wait_timeout: 30s}".to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let mut both = Differential::through(&proxy, &database);
    for sql in SCHEMA {
        both.same(sql);
    }
    (database, proxy, both)
}

/// Returns a key of `table` that lives on a shard.
fn key_on(client: &mut RawClient, table: &str, shard: &str) -> u32 {
    key_from(client, table, shard, 1)
}

fn key_from(client: &mut RawClient, table: &str, shard: &str, least: u32) -> u32 {
    let route = |client: &mut RawClient, id: u32| {
        let reply = client.simple(&format!("EXPLAIN (ROUTE) SELECT FROM {table} WHERE k = {id}"));
        reply.rows()[0][0].clone()
    };
    (least..least + 200).find(|id| route(client, *id) == Some(format!("Direct on {shard}"))).expect("a key")
}

fn refused(client: &mut RawClient, sql: &str) {
    let reply = client.simple(sql);
    assert_eq!(reply.error().map(|(state, _)| state), Some("0A000".to_owned()), "{sql}");
}

#[tokio::test]
async fn rows_of_other_shards_keep_what_they_refer_to() {
    let (_database, _proxy, mut both) = start("references_kept").await;
    let [home, other] = ["s0", "s1"].map(|shard| key_on(&mut both.other, "goods", shard));
    both.same(&format!("INSERT INTO goods VALUES ({home}, 1), ({other}, 2)"));
    both.same("INSERT INTO marks SELECT n, 3 FROM generate_series(1, 8) n");
    for sql in [
        "DELETE FROM kinds WHERE id = 1",
        "DELETE FROM kinds WHERE id = 2",
        "DELETE FROM kinds WHERE id IN (2, 7) RETURNING id",
        "UPDATE kinds SET id = 20 WHERE id = 2",
        "UPDATE kinds SET name = 'second', r = '[1]' WHERE id = 2",
        "DELETE FROM kinds WHERE id = 3",
        "DELETE FROM kinds USING colours WHERE kinds.id = colours.a AND kinds.id = 4",
        "UPDATE kinds SET id = 50 WHERE id = 5 RETURNING id",
        "INSERT INTO kinds (id, name) VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET id = 60",
        "INSERT INTO kinds (id, name) VALUES (2, 'x') ON CONFLICT (id) DO NOTHING",
        "TRUNCATE kinds",
        "SELECT id, name, r FROM kinds ORDER BY id",
    ] {
        both.same(sql);
    }
    // In a block, what it has deleted itself is gone.
    for sql in [
        "BEGIN",
        &format!("DELETE FROM goods WHERE k = {other}"),
        "DELETE FROM kinds WHERE id = 2",
        "ROLLBACK",
        "BEGIN",
        "SAVEPOINT a",
        "DELETE FROM kinds WHERE id = 2",
        "ROLLBACK TO a",
        "DELETE FROM kinds WHERE id = 6",
        "COMMIT",
        "SELECT id FROM kinds ORDER BY id",
        &format!("DELETE FROM goods WHERE k = {other}"),
        "DELETE FROM kinds WHERE id = 2",
        "SELECT g.k, g.kind, kinds.name FROM goods g LEFT JOIN kinds ON kinds.id = g.kind ORDER BY 1",
    ] {
        both.same(sql);
    }
    refused(&mut both.other, "TRUNCATE kinds CASCADE");
}

#[tokio::test]
async fn what_foreign_keys_declare_is_done_where_home_has_all_rows_and_refused_elsewhere() {
    let (_database, _proxy, mut both) = start("references_declared").await;
    let [home, other] = ["s0", "s2"].map(|shard| key_on(&mut both.other, "goods", shard));
    both.same(&format!("INSERT INTO goods (k, a, b) VALUES ({home}, 1, 'c'), ({other}, 2, 'c')"));
    both.same(&format!("INSERT INTO goods (k, \"N\") VALUES ({}, 'n5')", other + 1000));
    both.same("DELETE FROM colours WHERE a = 1");
    both.same("DELETE FROM colours WHERE a = 9");
    both.same("DELETE FROM colours WHERE \"N\" = 'n5'");
    refused(&mut both.other, "DELETE FROM colours WHERE a = 2");
    refused(&mut both.other, "UPDATE colours SET a = 22 WHERE a = 2");
    both.same("UPDATE colours SET a = 33 WHERE a = 3");
    // By way of another reference table.
    both.same("INSERT INTO shades VALUES (1, 4, 'c'), (2, 6, 'c')");
    let part = key_on(&mut both.other, "parts", "s1");
    both.same(&format!("INSERT INTO parts VALUES ({part}, 1)"));
    both.same("DELETE FROM colours WHERE a = 4");
    both.same("DELETE FROM colours WHERE a = 6");
    for table in ["colours", "shades", "goods", "parts"] {
        both.same(&format!("SELECT * FROM {table} ORDER BY 1"));
    }
}

#[tokio::test]
async fn rows_find_what_their_session_has_just_written() {
    let (_database, proxy, mut both) = start("references_found").await;
    for round in 0..5 {
        for shard in ["s0", "s1", "s2"] {
            let key = key_from(&mut both.other, "goods", shard, 1 + round * 1000);
            let kind = 100 + key;
            both.same(&format!("INSERT INTO kinds VALUES ({kind}, 'new')"));
            both.same(&format!("INSERT INTO goods VALUES ({key}, {kind})"));
            both.same(&format!(
                "INSERT INTO kinds VALUES ({}, 'again'), ({}, 'third')",
                kind + 100_000,
                kind + 200_000
            ));
            both.same(&format!(
                "INSERT INTO goods VALUES ({}, {}), ({}, {})",
                key + 300,
                kind + 100_000,
                key + 301,
                kind + 200_000
            ));
            both.same(&format!("DELETE FROM goods WHERE k = {key}"));
            both.same(&format!("DELETE FROM kinds WHERE id = {kind}"));
            both.same(&format!("INSERT INTO goods VALUES ({key}, {kind})"));
        }
    }
    // In one transaction they would have to be there before its commit.
    let key = key_from(&mut both.other, "goods", "s1", 50_000);
    let mut client = proxy.raw();
    client.simple("BEGIN; INSERT INTO kinds VALUES (77, 'new')");
    let reply = client.simple(&format!("INSERT INTO goods VALUES ({key}, 77)"));
    let (state, message) = reply.error().expect("its copy follows");
    assert_eq!((state.as_str(), reply.status), ("0A000", 'E'), "{message}");
    assert!(message.contains("\"s1\""), "{message}");
    client.simple("ROLLBACK; BEGIN; INSERT INTO kinds VALUES (77, 'new')");
    assert_eq!(client.simple(&format!("INSERT INTO goods VALUES ({key}, 8)")).error(), None);
    assert_eq!(client.simple("COMMIT").error(), None);
}

#[tokio::test]
async fn changes_of_a_reference_table_come_behind_what_was_written() {
    let (database, _proxy, mut both) = start("references_changed").await;
    let rows = |n: usize| format!("SELECT * FROM kinds WHERE id <= {n} ORDER BY id");
    for round in 0..4 {
        let (old, new) = (["name", "title"][round % 2], ["title", "name"][round % 2]);
        both.same(&format!("UPDATE kinds SET {old} = 'a{round}' WHERE id < 5"));
        both.same(&format!("UPDATE kinds SET {old} = 'b{round}' WHERE id = 3"));
        both.same(&format!("ALTER TABLE kinds RENAME COLUMN {old} TO {new}"));
        both.same(&format!("UPDATE kinds SET i = {round}"));
        both.same("ALTER TABLE kinds ALTER COLUMN i TYPE text USING 'x' || i");
        both.same("UPDATE kinds SET i = '7'");
        both.same("ALTER TABLE kinds ALTER COLUMN i TYPE int USING i::int + 1");
        both.same(&rows(9));
    }
    both.same("UPDATE kinds SET name = 'before' WHERE id = 7");
    both.same("UPDATE kinds SET name = 'the block' WHERE id = 7");
    both.same(
        "DO $$ BEGIN ALTER TABLE kinds RENAME COLUMN name TO title; ALTER TABLE kinds RENAME title TO name; END $$",
    );
    both.same("INSERT INTO kinds (id, name) VALUES (30, 'thirty')");
    both.same("CREATE UNIQUE INDEX by_name ON kinds ((name || id))");
    both.same("INSERT INTO kinds (id, name) VALUES (31, 'thirty')");
    // What this transaction has written has no copies yet.
    both.other.simple("BEGIN; UPDATE kinds SET name = 'c'");
    refused(&mut both.other, "ALTER TABLE kinds RENAME COLUMN name TO title");
    both.other.simple("ROLLBACK");
    both.same("BEGIN");
    both.same("ALTER TABLE kinds ADD COLUMN more int DEFAULT 3");
    both.same("UPDATE kinds SET more = id WHERE id = 1");
    both.same("ALTER TABLE kinds ADD COLUMN most int");
    both.same("COMMIT");
    both.same(&rows(99));
    let home = rows_of(&database, 0).await;
    for shard in [1, 2] {
        let mut copy = rows_of(&database, shard).await;
        for _ in 0..100 {
            if copy == home {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            copy = rows_of(&database, shard).await;
        }
        assert_eq!(copy, home, "s{shard}");
    }
}

async fn rows_of(database: &TestDatabase, shard: usize) -> String {
    let rows = database.shard(shard).await;
    let all = rows.query_one("SELECT string_agg(k::text, ' ' ORDER BY id) FROM kinds k", &[]).await;
    all.expect("the rows").get(0)
}

#[tokio::test]
async fn a_row_that_came_between_makes_a_dead_letter() {
    let (database, proxy, mut both) = start("references_raced").await;
    let key = key_on(&mut both.other, "goods", "s1");
    assert_eq!(proxy.verb(&["targets", "pause", "s1", "--reason", "a race"]).0, Some(0));
    both.same("DELETE FROM kinds WHERE id = 8");
    // Another session, to which the copy still has it.
    assert_eq!(proxy.raw().simple(&format!("INSERT INTO goods VALUES ({key}, 8)")).error(), None);
    assert_eq!(proxy.verb(&["targets", "resume", "s1", "--reason", "a race"]).0, Some(0));
    let mut letters = String::new();
    for _ in 0..200 {
        letters = proxy.verb(&["dead-letters"]).1;
        if letters.contains("goods_kind_fkey") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(letters.contains("a row of public.goods refers to (8)"), "{letters}");
    // Its row image names the columns of its time.
    let renamed = both.other.simple("ALTER TABLE kinds RENAME COLUMN name TO title");
    assert_eq!(renamed.error().expect("a letter is open").0, "55000");
    assert_eq!(both.other.simple("ALTER TABLE kinds ADD COLUMN more int").error(), None);
    // When the row is gone, the letter can be delivered.
    assert_eq!(both.other.simple(&format!("DELETE FROM goods WHERE k = {key}")).error(), None);
    let copy = "SELECT count(*) FROM kinds WHERE id = 8";
    let shard = database.shard(1).await;
    assert_eq!(shard.query_one(copy, &[]).await.expect("a count").get::<_, i64>(0), 1);
    let letter: i64 = database
        .service(0)
        .await
        .query_one("SELECT txid FROM shardloom.dead_letter WHERE resolved_at IS NULL", &[])
        .await
        .expect("the letter")
        .get(0);
    let (code, said) = proxy.verb(&["ledger", "retry", &letter.to_string(), "--reason", "the row is gone"]);
    assert_eq!(code, Some(0), "{said}");
    for _ in 0..200 {
        if shard.query_one(copy, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the copy keeps the row: {}", proxy.log());
}

#[tokio::test]
async fn what_writes_no_row_is_not_waited_for() {
    let database = TestDatabase::new("references_none");
    let options = ProxyOptions { config: "limits: {wait_timeout: 20ms}".to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let mut client = proxy.raw();
    for sql in SCHEMA {
        assert_eq!(client.simple(sql).error(), None, "{sql}");
    }
    let read = "SELECT count(*) FROM goods JOIN kinds ON kinds.id = goods.kind";
    while client.simple(read).error().is_some() {}
    for _ in 0..5 {
        for sql in [
            "INSERT INTO kinds (id) VALUES (1) ON CONFLICT DO NOTHING",
            "UPDATE kinds SET name = 'none' WHERE id = 1000",
            "DELETE FROM kinds WHERE id = 1000",
        ] {
            assert_eq!(client.simple(sql).error(), None, "{sql}");
            assert_eq!(client.simple(read).error(), None, "behind {sql}");
        }
    }
}

#[tokio::test]
async fn changes_wait_without_a_lock_for_copies_that_are_behind() {
    let (_database, proxy, mut both) = start("references_behind").await;
    let paused = |done: &str| assert_eq!(proxy.verb(&["targets", done, "s1", "--reason", "a test"]).0, Some(0));
    paused("pause");
    both.same("UPDATE kinds SET name = 'late' WHERE id = 1");
    // A statement waits as long as its session lets it.
    let mut client = proxy.raw();
    client.simple("SET statement_timeout = '300ms'");
    let (state, message) = client.simple("ALTER TABLE kinds ADD COLUMN more int").error().expect("the copy is behind");
    assert_eq!((state.as_str(), message.as_str()), ("57014", "canceling statement due to statement timeout"));
    client.simple("RESET statement_timeout");
    let changed = std::thread::spawn(move || (client.simple("ALTER TABLE kinds ADD COLUMN more int").error(), client));
    std::thread::sleep(std::time::Duration::from_millis(700));
    both.same("UPDATE kinds SET name = 'meanwhile' WHERE id = 2");
    assert!(!changed.is_finished());
    paused("resume");
    let (error, mut client) = changed.join().expect("the client's thread");
    assert_eq!(error, None);
    assert_eq!(client.simple("UPDATE kinds SET more = 1").error(), None);
}
