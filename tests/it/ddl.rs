//! Statements that run shard by shard: how far each shard is outlives errors and the process, and they go on from there.

use std::time::{Duration, Instant};

use crate::protocol::both;
use crate::support::{Event, Pipeline, Proxy, ProxyOptions, RawClient, Reply, TestDatabase};

const INDEX: &str = "CREATE UNIQUE INDEX CONCURRENTLY by_name ON customers (name)";

fn options() -> ProxyOptions {
    ProxyOptions { workers: 1, config: "pool: {size: 4}".to_owned(), ..ProxyOptions::default() }
}

/// Returns shard, state, SQLSTATE and leftover of the newest statement of SHOW DDL, shard by shard.
fn newest(proxy: &Proxy) -> Vec<(String, String, String, String)> {
    let rows = proxy.raw_to("shardloom").simple("SHOW DDL").rows();
    let cell = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
    let newest = rows.first().map(|row| cell(row, 0)).unwrap_or_default();
    let own = rows.iter().filter(|row| cell(row, 0) == newest);
    own.map(|row| (cell(row, 1), cell(row, 2), cell(row, 4), cell(row, 6))).collect()
}

fn states(proxy: &Proxy) -> Vec<String> {
    newest(proxy).into_iter().map(|(shard, state, ..)| format!("{shard} {state}")).collect()
}

/// Returns whether the index is valid on each shard; none where there is no such index.
fn valid(client: &mut RawClient) -> Vec<Option<String>> {
    let ask = |shard: &str| {
        format!(
            "/* shardloom: shard={shard} */ SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('by_name')"
        )
    };
    ["s0", "s1", "s2"].map(|shard| client.simple(&ask(shard)).rows().first().and_then(|row| row[0].clone())).to_vec()
}

fn notices(reply: &Reply) -> String {
    let notice = |event: &Event| match event {
        Event::Notice(fields) => Some(format!("{:?}", fields)),
        _ => None,
    };
    reply.events.iter().filter_map(notice).collect()
}

/// Returns the key of a row that lives on a shard.
fn key_on(client: &mut RawClient, shard: &str) -> u32 {
    let route = |client: &mut RawClient, id: u32| {
        let reply = client.simple(&format!("EXPLAIN (ROUTE) SELECT FROM customers WHERE customer_id = {id}"));
        reply.rows()[0][0].clone()
    };
    (1000..2000).find(|id| route(client, *id) == Some(format!("Direct on {shard}"))).expect("a key")
}

#[tokio::test]
async fn a_failure_is_kept_named_and_gone_on_from() {
    let (_database, proxy, _both) = both("ddl_failure", options()).await;
    let mut client = proxy.raw();
    let one = key_on(&mut client, "s1");
    // A second row of the same name on s1.
    let name =
        client.simple("/* shardloom: shard=s1 */ SELECT name FROM customers LIMIT 1").rows()[0][0].clone().unwrap();
    assert_eq!(client.simple(&format!("INSERT INTO customers VALUES ({one}, '{name}', 0)")).error(), None);
    let failed = client.simple(INDEX);
    assert_eq!(failed.error().expect("it is not unique").0, "23505");
    let said = notices(&failed);
    assert!(said.contains("done on s0, failed on s1, not begun on s2") && said.contains("public.by_name"), "{said}");
    assert_eq!(states(&proxy), ["s0 DONE", "s1 FAILED", "s2 PENDING"]);
    assert_eq!((newest(&proxy)[1].2.as_str(), newest(&proxy)[1].3.contains("by_name")), ("23505", true));
    assert_eq!(valid(&mut client), [Some("t".into()), Some("f".into()), None]);
    let (_, status) = proxy.http("/api/v1/status").expect("an answer");
    assert!(status.contains("is not done on s1, s2"), "{status}");
    // Again before the cause is mended: the same error, one invalid index.
    assert_eq!(client.simple(INDEX).error().expect("still not unique").0, "23505");
    assert_eq!(states(&proxy), ["s0 DONE", "s1 FAILED", "s2 PENDING"]);
    client.simple(&format!("DELETE FROM customers WHERE customer_id = {one}"));
    // What was done may have been undone since.
    assert_eq!(client.simple("/* shardloom: shard=s0 */ DROP INDEX by_name").error(), None);
    assert_eq!(valid(&mut client)[0], None);
    let done = client.simple(&format!("{INDEX};"));
    assert_eq!((done.error(), done.tags()), (None, vec!["CREATE INDEX".to_owned()]));
    assert!(notices(&done).contains("goes on"), "{done:?}");
    assert_eq!(valid(&mut client), vec![Some("t".to_owned()); 3]);
    assert_eq!(states(&proxy), ["s0 DONE", "s1 DONE", "s2 DONE"]);
    let (_, status) = proxy.http("/api/v1/status").expect("an answer");
    assert!(status.contains("\"unfinished_ddl\":[]"), "{status}");
    // What is finished is not gone on from: it is another statement with another end.
    assert_eq!(client.simple(INDEX).error().expect("it is there").0, "42P07");
    let (_, body) = proxy.http("/api/v1/ddl").expect("an answer");
    let rows: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
    let id = rows[0]["id"].as_i64().expect("a number");
    let mut console = proxy.raw_to("shardloom");
    assert_eq!(console.simple(&format!("FORGET DDL {id}")).tags(), ["FORGET"]);
    assert!(console.simple(&format!("FORGET DDL {id}")).error().is_some());
    assert_eq!(client.simple("DROP INDEX CONCURRENTLY by_name").tags(), ["DROP INDEX"]);
    assert_eq!(
        (valid(&mut client), states(&proxy)),
        (vec![None; 3], vec!["s0 DONE".into(), "s1 DONE".into(), "s2 DONE".into()])
    );
    assert_eq!(client.simple("VACUUM customers").tags(), ["VACUUM"]);
}

/// Goal: a process that dies between two shards leaves what is known, and the next one goes on.
#[tokio::test]
async fn a_process_that_dies_between_shards_is_gone_on_from() {
    let (database, mut proxy, _both) = both("ddl_killed", options()).await;
    proxy.set_environment(vec![("SHARDLOOM_FAULT".to_owned(), "between_shards:abort".to_owned())]);
    proxy.restart().await;
    let mut client = proxy.raw();
    client.send(&Pipeline::new().query(INDEX).0);
    assert!(client.try_reply().is_none());
    proxy.ended().await;
    proxy.set_environment(Vec::new());
    proxy.restart().await;
    assert_eq!(states(&proxy), ["s0 DONE", "s1 PENDING", "s2 PENDING"]);
    let mut client = proxy.raw();
    assert_eq!(valid(&mut client), [Some("t".to_owned()), None, None]);
    // As if it had died after the shard's answer, before the mark.
    let home = database.service(0).await;
    home.batch_execute("UPDATE shardloom.ddl SET state = 'RUNNING' WHERE shard = 's0'").await.expect("the status");
    let done = client.simple(INDEX);
    assert_eq!((done.error(), done.tags()), (None, vec!["CREATE INDEX".to_owned()]));
    assert_eq!(valid(&mut client), vec![Some("t".to_owned()); 3]);
    assert_eq!(states(&proxy), ["s0 DONE", "s1 DONE", "s2 DONE"]);
}

#[tokio::test]
async fn two_clients_do_not_run_the_same_statement_at_once() {
    let (_database, proxy, _both) = both("ddl_twice", options()).await;
    let (mut holder, mut first, mut second) = (proxy.raw(), proxy.raw(), proxy.raw());
    let row = key_on(&mut holder, "s0");
    holder.simple(&format!("BEGIN; INSERT INTO customers VALUES ({row}, 'held', 0)"));
    let running = std::thread::spawn(move || first.simple(INDEX));
    let waiting = |proxy: &Proxy| states(proxy).first().is_some_and(|state| state == "s0 RUNNING");
    let mut looks = 0;
    while !waiting(&proxy) {
        looks += 1;
        assert!(looks < 1_000, "it does not begin: {:?}", states(&proxy));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(second.simple(INDEX).error().expect("it runs").0, "55006");
    holder.simple("COMMIT");
    assert_eq!(running.join().expect("it ends").tags(), ["CREATE INDEX"]);
    assert_eq!(valid(&mut second), vec![Some("t".to_owned()); 3]);
}

/// Goal: who makes a unique key that each shard checks by itself is told so; one that all shards agree on is nothing to tell.
#[tokio::test]
async fn a_unique_key_without_the_sharding_key_is_told() {
    let (_database, proxy, _both) = both("ddl_unique", options()).await;
    let mut client = proxy.raw();
    for (sql, columns) in [
        ("CREATE UNIQUE INDEX ON customers (name)", "(name)"),
        ("CREATE UNIQUE INDEX ON customers (lower(name))", "(…)"),
        ("CREATE UNIQUE INDEX CONCURRENTLY ON customers (name DESC)", "(name)"),
        ("ALTER TABLE customers ADD COLUMN mail text UNIQUE", "(mail)"),
    ] {
        let reply = client.simple(sql);
        let said = notices(&reply);
        assert_eq!(reply.error(), None, "{sql}");
        assert!(said.contains("WARNING") && said.contains(columns) && said.contains("customer_id"), "{sql}: {said}");
    }
    for sql in ["CREATE UNIQUE INDEX ON customers (name, customer_id)", "CREATE INDEX ON customers (name)"] {
        let reply = client.simple(sql);
        assert_eq!((reply.error(), notices(&reply).as_str()), (None, ""), "{sql}");
    }
}

/// Goal: who makes a foreign key to rows that may be on other shards is told so; rules that rewrite statements are refused.
#[tokio::test]
async fn a_foreign_key_that_leaves_the_shard_is_told() {
    let (_database, proxy, _both) = both("ddl_foreign", options()).await;
    let mut client = proxy.raw();
    let sql = "ALTER TABLE customers ADD COLUMN parent bigint REFERENCES customers";
    let reply = client.simple(sql);
    let said = notices(&reply);
    assert_eq!(reply.error(), None);
    assert!(said.contains("WARNING") && said.contains("(parent)") && said.contains("23503"), "{said}");
    for sql in [
        "ALTER TABLE customers ADD FOREIGN KEY (customer_id) REFERENCES customers (customer_id)",
        "ALTER TABLE customers ADD FOREIGN KEY (customer_id) REFERENCES customers",
    ] {
        let reply = client.simple(sql);
        assert_eq!((reply.error(), notices(&reply).as_str()), (None, ""), "{sql}");
    }
    let (state, message) = client.simple("CREATE RULE r AS ON DELETE TO customers DO INSTEAD NOTHING").error().unwrap();
    assert!(state == "0A000" && message.contains("rule"), "{message}");
}

#[tokio::test]
async fn columns_added_to_reference_tables_are_the_same_on_all_copies() {
    let (_database, proxy, mut both) = both("ddl_filled", options()).await;
    both.same("INSERT INTO regions VALUES (1, 'north'), (2, 'south')");
    let mut client = proxy.raw();
    let added = "ALTER TABLE regions ADD COLUMN made timestamptz DEFAULT now(), ADD day date DEFAULT current_date";
    assert_eq!(client.simple(added).error(), None);
    // The extended protocol, and a transaction of its own.
    assert_eq!(client.simple("BEGIN").error(), None);
    let more = "ALTER TABLE regions ADD COLUMN local timestamp DEFAULT localtimestamp";
    let reply = &Pipeline::new().run(more, &[]).sync().send(&mut client, 1)[0];
    assert_eq!(reply.error(), None);
    assert_eq!(
        client.simple("SELECT count(DISTINCT local) FROM regions WHERE local = localtimestamp").rows()[0][0].as_deref(),
        Some("1")
    );
    assert_eq!(client.simple("COMMIT").error(), None);
    let mut rows =
        |shard: &str| client.simple(&format!("/* shardloom: shard={shard} */ SELECT * FROM regions ORDER BY 1")).rows();
    let home = rows("s0");
    assert!(home.iter().all(|row| row.iter().all(Option::is_some)) && home.len() > 1, "{home:?}");
    assert_eq!((rows("s1"), rows("s2")), (home.clone(), home));
    for default in ["random()", "clock_timestamp()", "gen_random_uuid()", "nextval('s')"] {
        let reply = client.simple(&format!("ALTER TABLE regions ADD COLUMN x text DEFAULT {default}"));
        assert_eq!(reply.error().map(|(state, _)| state), Some("0A000".to_owned()), "{default}");
    }
    assert_eq!(client.simple("ALTER TABLE regions ADD COLUMN number serial").error().unwrap().0, "0A000");
}

#[tokio::test]
async fn what_one_proxy_changes_the_others_plan_by() {
    let database = TestDatabase::new("ddl_heard");
    let rules = "kind: TableGroup\nname: things\nkey: {type: bigint}\ntables:\n  things: {key: id}\n";
    let first = Proxy::start(&database, rules, options()).await;
    let mut second = Proxy::start(&database, rules, options()).await;
    for restart in [false, true] {
        if restart {
            second.restart().await;
        }
        let changes = ["DROP TABLE IF EXISTS things", "CREATE TABLE things (id bigint, what text)"];
        for change in changes {
            assert_eq!(first.raw().simple(change).error(), None);
        }
        inserted(&second, "INSERT INTO things VALUES (1, 'a column list is left out')").await;
        assert_eq!(first.raw().simple("ALTER TABLE things ADD COLUMN number int").error(), None);
        inserted(&second, "INSERT INTO things VALUES (2, 'and again', 2), (3, 'on other shards', 3)").await;
    }
}

/// Waits for less than a proxy takes to look by itself.
async fn inserted(proxy: &Proxy, sql: &str) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while let Some(error) = proxy.raw().simple(sql).error() {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
