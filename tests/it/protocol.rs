//! The wire, message by message: a client must not see from the messages whether the proxy is between.

use crate::support::{Differential, Event, Pipeline, Proxy, ProxyOptions, Reply, TestDatabase, server_major};

pub const RULES: &str = r#"
kind: TableGroup
name: customers
key: {type: bigint}
algorithm: hash
tables:
  customers: {key: customer_id, id: {column: customer_id, tag: customer}}
  orders: {key: customer_id, id: {column: order_id, tag: order}}
missing_key: {read: scatter, write: reject}
---
kind: ReferenceTables
tables: [regions]
---
kind: Ids
tags: {order: 1, customer: 2}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

pub const SCHEMA: [&str; 3] = [
    "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text, balance numeric(12, 2))",
    "CREATE TABLE orders (order_id bigint, customer_id bigint, status text, PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE regions (region_id int PRIMARY KEY, name text)",
];

/// Starts a proxy and makes the same tables with the same rows on both sides.
pub async fn both(label: &str, options: ProxyOptions) -> (TestDatabase, Proxy, Differential) {
    let database = TestDatabase::new(label);
    let proxy = Proxy::start(&database, RULES, options).await;
    let mut differential = Differential::through(&proxy, &database);
    await_writes(&mut differential);
    for sql in SCHEMA {
        differential.same(sql);
    }
    let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 'name {id}', {id}.5)")).collect();
    differential.same(&format!("INSERT INTO customers VALUES {}", rows.join(", ")));
    (database, proxy, differential)
}

/// Writes wait until the proxy knows that no earlier transaction has to be redone.
fn await_writes(differential: &mut Differential) {
    for _ in 0..30 {
        let reply = differential.other.simple("CREATE TABLE probe (); DROP TABLE probe");
        match reply.error() {
            Some((state, _)) if state == "57P03" => {}
            other => return assert_eq!(other, None),
        }
    }
    panic!("writes are still held back");
}

const BY_KEY: &str = "SELECT customer_id, name FROM customers WHERE customer_id = $1";
const ALL: &str = "SELECT customer_id FROM customers ORDER BY customer_id";
const ADD: &str = "INSERT INTO customers VALUES ($1, $2)";
const NONE: &[Option<&str>] = &[];

#[tokio::test]
async fn pipelines_of_any_shape_are_answered_as_by_postgres() {
    let (_database, _proxy, mut both) = both("pipelines", ProxyOptions::default()).await;
    for (what, pipeline, replies) in shapes() {
        if what == QUERY_IN_PIPELINE && server_major() >= 18 {
            // Newer servers end the pipeline's transaction at the Sync; in a sharded database the Query does.
            continue;
        }
        both.same_pipeline(what, &pipeline, replies);
        both.same("SELECT customer_id, name, balance FROM customers ORDER BY customer_id");
    }
}

const QUERY_IN_PIPELINE: &str = "Query after an unfinished pipeline";

fn shapes() -> Vec<(&'static str, Pipeline, usize)> {
    let new = Pipeline::new;
    let key = |value| [Some(value)];
    vec![
        ("one statement", new().run(BY_KEY, &key("7")).sync(), 1),
        ("no statement", new().sync(), 1),
        ("several Syncs in one write", new().run(BY_KEY, &key("1")).sync().sync().run(BY_KEY, &key("2")).sync(), 3),
        (
            "several shards",
            new().run(BY_KEY, &key("1")).run(BY_KEY, &key("2")).run(BY_KEY, &key("3")).run(ALL, NONE).sync(),
            1,
        ),
        (
            "writes to several shards",
            new().run(ADD, &[Some("101"), Some("a")]).run(ADD, &[Some("102"), None]).run(BY_KEY, &key("102")).sync(),
            1,
        ),
        (
            "an error in the middle undoes what stands between two Syncs",
            new()
                .run(ADD, &[Some("111"), Some("a")])
                .run(ADD, &[Some("1"), Some("again")])
                .run(ADD, &[Some("112"), Some("a")])
                .sync()
                .run(BY_KEY, &key("111"))
                .sync(),
            2,
        ),
        ("an error at first", new().bind("", "missing", NONE).execute("", 0).sync().run(BY_KEY, &key("1")).sync(), 2),
        ("an unknown portal", new().execute("missing", 0).sync(), 1),
        ("a syntax error", new().run("SELEC 1", NONE).sync(), 1),
        ("an unknown table", new().run("SELECT * FROM missing", NONE).sync(), 1),
        ("an unknown column", new().run("SELECT missing FROM customers WHERE customer_id = 1", NONE).sync(), 1),
        (
            "a division by zero",
            new().run("SELECT 1 / (customer_id - 1) FROM customers WHERE customer_id = 1", NONE).sync(),
            1,
        ),
        ("two commands", new().run("SELECT 1; SELECT 2", NONE).sync(), 1),
        (
            "a NULL key that is bound and does not run",
            new()
                .parse("", ADD)
                .bind("", "", &[None, Some("a")])
                .describe_portal("")
                .sync()
                .run(BY_KEY, &key("1"))
                .sync(),
            2,
        ),
        ("too few values", new().parse("", ADD).bind("", "", &key("1")).execute("", 0).sync(), 1),
        ("too many values", new().parse("", BY_KEY).bind("", "", &[Some("1"), Some("2")]).execute("", 0).sync(), 1),
        ("a wrong value", new().run(BY_KEY, &key("x")).sync(), 1),
        ("empty", new().run("", NONE).sync(), 1),
        ("only a comment", new().run("/* nothing */ ;", NONE).sync(), 1),
        ("an empty Query", new().query("").query(" ; "), 2),
        (
            "a statement described before and after Bind",
            new()
                .parse("d", BY_KEY)
                .describe_statement("d")
                .bind("", "d", &key("3"))
                .describe_statement("d")
                .execute("", 0)
                .close_statement("d")
                .sync(),
            1,
        ),
        ("an INSERT described", new().parse("", ADD).describe_statement("").sync(), 1),
        (
            "the unnamed statement is replaced",
            new().parse("", BY_KEY).parse("", ALL).bind("", "", NONE).execute("", 2).sync(),
            1,
        ),
        (
            "a named statement lives on",
            new()
                .parse("n", BY_KEY)
                .sync()
                .bind("", "n", &key("4"))
                .execute("", 0)
                .sync()
                .bind("", "n", &key("5"))
                .execute("", 0)
                .sync(),
            3,
        ),
        ("a name is taken", new().parse("n", ALL).sync(), 1),
        (
            "a closed statement is gone",
            new()
                .close_statement("n")
                .close_statement("n")
                .sync()
                .bind("", "n", &key("4"))
                .sync()
                .parse("n", ALL)
                .bind("", "n", NONE)
                .execute("", 1)
                .close_statement("n")
                .sync(),
            3,
        ),
        (
            "the unnamed statement survives Sync",
            new().parse("", BY_KEY).sync().bind("", "", &key("9")).execute("", 0).sync(),
            2,
        ),
        (
            "a portal does not survive Sync",
            new().parse("", BY_KEY).bind("p", "", &key("9")).sync().execute("p", 0).sync(),
            2,
        ),
        (
            "a portal is closed",
            new().parse("", BY_KEY).bind("p", "", &key("9")).close_portal("p").close_portal("q").execute("p", 0).sync(),
            1,
        ),
        (
            "a portal's name is taken",
            new().parse("", BY_KEY).bind("p", "", &key("9")).bind("p", "", &key("8")).execute("p", 0).sync(),
            1,
        ),
        (
            "Flush shows what is there",
            new().parse("", BY_KEY).flush().bind("", "", &key("6")).flush().execute("", 0).flush().sync(),
            1,
        ),
        (
            "a portal runs in parts",
            new()
                .parse("", "SELECT generate_series(1, 5)")
                .bind("p", "", NONE)
                .execute("p", 2)
                .execute("p", 2)
                .execute("p", 2)
                .execute("p", 2)
                .sync(),
            1,
        ),
        (
            "a portal over shards runs in parts",
            new().parse("", ALL).bind("p", "", NONE).execute("p", 28).execute("p", 28).execute("p", 5).sync(),
            1,
        ),
        (
            "a transaction",
            new()
                .run("BEGIN", NONE)
                .run(ADD, &[Some("121"), Some("x")])
                .sync()
                .run(BY_KEY, &key("121"))
                .sync()
                .run("COMMIT", NONE)
                .sync(),
            3,
        ),
        (
            "a portal lives as long as its transaction",
            new()
                .query("BEGIN")
                .parse("", ALL)
                .bind("p", "", NONE)
                .execute("p", 3)
                .sync()
                .execute("p", 3)
                .sync()
                .execute("p", 0)
                .sync()
                .query("COMMIT")
                .execute("p", 1)
                .sync(),
            6,
        ),
        (
            "a portal of one shard lives as long as its transaction",
            new()
                .query("BEGIN")
                .parse("", "SELECT generate_series(1, 5)")
                .bind("p", "", NONE)
                .execute("p", 2)
                .sync()
                .execute("p", 2)
                .sync()
                .query("ROLLBACK")
                .execute("p", 1)
                .sync(),
            5,
        ),
        (
            "a failed transaction",
            new()
                .query("BEGIN")
                .run(ADD, &[Some("1"), None])
                .sync()
                .run(BY_KEY, &key("1"))
                .sync()
                .run("ROLLBACK", NONE)
                .sync(),
            4,
        ),
        ("COMMIT of a failed transaction", new().query("BEGIN").query("SELECT 1/0").run("COMMIT", NONE).sync(), 3),
        (
            "BEGIN and COMMIT in one pipeline",
            new().run("BEGIN", NONE).run(ADD, &[Some("131"), None]).run("COMMIT", NONE).sync(),
            1,
        ),
        (
            "repeatable read on one shard",
            new()
                .query("BEGIN ISOLATION LEVEL REPEATABLE READ")
                .parse("r", BY_KEY)
                .describe_statement("r")
                .sync()
                .bind("", "r", &key("9"))
                .execute("", 0)
                .close_statement("r")
                .sync()
                .query("COMMIT"),
            4,
        ),
        (QUERY_IN_PIPELINE, new().run(BY_KEY, &key("2")).query("SELECT 1").sync(), 2),
        ("Query after an error is skipped up to Sync", new().bind("", "missing", NONE).query("SELECT 1").sync(), 1),
        ("DEALLOCATE", new().parse("n", ALL).query("DEALLOCATE n").bind("", "n", NONE).sync(), 2),
        ("DEALLOCATE ALL", new().parse("n", ALL).run("DEALLOCATE ALL", NONE).sync().bind("", "n", NONE).sync(), 2),
        ("DISCARD ALL", new().parse("n", ALL).query("DISCARD ALL").bind("", "n", NONE).sync(), 2),
        (
            "session statements described",
            new().run("SHOW search_path", NONE).run("SET work_mem = '5MB'", NONE).run("SHOW work_mem", NONE).sync(),
            1,
        ),
        ("a notice", new().run("DO $$ BEGIN RAISE NOTICE 'hello'; END $$", NONE).sync(), 1),
        ("ROLLBACK outside of a transaction", new().run("ROLLBACK", NONE).sync(), 1),
        (
            "SAVEPOINT",
            new()
                .query("BEGIN")
                .run("SAVEPOINT a", NONE)
                .sync()
                .run("SELECT 1/0", NONE)
                .sync()
                .run("ROLLBACK TO a", NONE)
                .sync()
                .query("COMMIT"),
            5,
        ),
    ]
}

#[tokio::test]
async fn copy_in_the_extended_protocol_is_answered_once() {
    let (_database, _proxy, mut both) = both("copy", ProxyOptions::default()).await;
    for table in ["customers (customer_id, name)", "regions"] {
        let begin = Pipeline::new().run(&format!("COPY {table} FROM STDIN"), NONE).sync();
        let data = Pipeline::new().message(b'd', b"201\tone\n202\ttwo\n").message(b'c', b"").sync();
        for client in [&mut both.plain, &mut both.other] {
            client.send(&begin.0);
            while client.message().0 != 'G' {}
        }
        assert_eq!(both.same_pipeline(table, &data, 1)[0].tags(), ["COPY 2"]);
        both.same_pipeline("what follows", &Pipeline::new().run(BY_KEY, &[Some("201")]).sync(), 1);
        for client in [&mut both.plain, &mut both.other] {
            client.send(&begin.0);
            while client.message().0 != 'G' {}
        }
        let fail = Pipeline::new().message(b'd', b"203\tx\n").message(b'f', b"no more\0").sync();
        both.same_pipeline(table, &fail, 1);
    }
    both.same(ALL);
}

#[tokio::test]
async fn a_prepared_select_sees_new_columns() {
    let (_database, proxy, _both) = both("columns", ProxyOptions::default()).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    let star = "SELECT * FROM customers WHERE customer_id = $1";
    let prepare = Pipeline::new().parse("star", star).describe_statement("star").sync();
    let run = |key| Pipeline::new().bind("", "star", &[Some(key)]).describe_portal("").execute("", 0).sync();
    for client in [&mut one, &mut two] {
        prepare.send(client, 1);
        for _ in 0..3 {
            assert_eq!(columns(&run("1").send(client, 1)[0]), 3);
        }
    }
    for (count, change) in [
        (4, "ALTER TABLE customers ADD COLUMN note text"),
        (5, "BEGIN; ALTER TABLE customers ADD COLUMN more text; COMMIT"),
        (4, "ALTER TABLE customers DROP COLUMN more"),
    ] {
        assert_eq!(one.simple(change).error(), None);
        for client in [&mut one, &mut two] {
            for _ in 0..3 {
                let reply = run("1").send(client, 1).remove(0);
                assert_eq!((reply.error(), columns(&reply)), (None, count), "after {change}");
            }
            let again = Pipeline::new().parse("", star).describe_statement("").sync().send(client, 1);
            assert_eq!(columns(&again[0]), count, "after {change}");
        }
    }
    assert_eq!(one.simple("BEGIN; ALTER TABLE customers ADD COLUMN brief text").status, 'T');
    let inside = Pipeline::new().run(star, &[Some("1")]).sync().send(&mut one, 1);
    assert_eq!(columns(&inside[0]), 5);
    assert_eq!(one.simple("ROLLBACK").status, 'I');
    assert_eq!(columns(&Pipeline::new().run(star, &[Some("1")]).sync().send(&mut one, 1)[0]), 4);
}

#[tokio::test]
async fn a_null_key_fails_where_the_row_would_be_stored() {
    let (_database, _proxy, mut both) = both("null_key", ProxyOptions::default()).await;
    let bound = Pipeline::new().run(ADD, &[Some("401"), None]).parse("", ADD).bind("", "", &[None, None]);
    for (what, pipeline) in [("bound", bound.clone().sync()), ("run", bound.execute("", 0).sync())] {
        let seen = [&mut both.plain, &mut both.other].map(|client| {
            let reply = pipeline.send(client, 1).remove(0);
            (reply.error().map(|(state, _)| state), reply.events.len(), reply.status)
        });
        assert_eq!(seen[0], seen[1], "{what}");
        both.same(ALL);
        both.same("DELETE FROM customers WHERE customer_id = 401");
    }
}

/// Tables changed past the proxy fail one use of a statement at most, and then it is prepared again.
#[tokio::test]
async fn a_change_behind_the_proxys_back_is_noticed() {
    let (database, proxy, _both) = both("behind", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let mut client = proxy.raw();
    Pipeline::new().parse("s", "SELECT * FROM customers WHERE customer_id = $1").sync().send(&mut client, 1);
    let run = Pipeline::new().bind("", "s", &[Some("1")]).execute("", 0).sync();
    for _ in 0..3 {
        assert_eq!(run.send(&mut client, 1)[0].error(), None);
    }
    for shard in 0..3 {
        database.shard(shard).await.batch_execute("ALTER TABLE customers ADD COLUMN note text").await.unwrap();
    }
    if let Some((state, _)) = run.send(&mut client, 1)[0].error() {
        assert_eq!(state, "0A000");
    }
    assert_eq!(run.send(&mut client, 1)[0].rows()[0].len(), 4);
}

fn columns(reply: &Reply) -> usize {
    let columns = reply.events.iter().find_map(|event| match event {
        Event::Columns(columns) => Some(columns.len()),
        _ => None,
    });
    columns.unwrap_or_else(|| panic!("no columns: {reply:?}"))
}

#[tokio::test]
async fn statements_are_kept_within_their_bounds() {
    let config = "limits: {client_statements: 8, server_statements: 4}".to_owned();
    let (database, proxy, _both) = both("bounds", ProxyOptions { workers: 1, config, ..ProxyOptions::default() }).await;
    let mut client = proxy.raw();
    let text = |number| format!("SELECT customer_id + {number} FROM customers WHERE customer_id = $1");
    for number in 0..8 {
        let prepare = Pipeline::new().parse(&format!("s{number}"), &text(number)).sync();
        assert_eq!(prepare.send(&mut client, 1)[0].error(), None);
    }
    let more = Pipeline::new().parse("more", "SELECT 1").sync().send(&mut client, 1);
    assert_eq!(more[0].error().unwrap().0, "54000");
    for round in 0..3 {
        for number in 0..8 {
            let run = Pipeline::new().bind("", &format!("s{number}"), &[Some("1")]).execute("", 0).sync();
            let reply = run.send(&mut client, 1).remove(0);
            assert_eq!(reply.rows(), [[Some((1 + number).to_string())]], "round {round}");
            let failing = Pipeline::new().bind("", &format!("s{number}"), &[Some("x")]).execute("", 0).sync();
            assert_eq!(failing.send(&mut client, 1)[0].error().unwrap().0, "22P02");
        }
    }
    let count = "SELECT count(*) FROM pg_prepared_statements";
    let kept = client.simple(&format!("/* shardloom: shard=s0 */ {count}")).rows()[0][0].clone().unwrap();
    assert!(kept.parse::<u32>().unwrap() <= 4, "{kept}");
    drop(database);
}
