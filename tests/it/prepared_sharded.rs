//! Statements of sharded tables that servers prepare: the clients' own, and those that the proxy makes of them.

use crate::support::{Event, Pipeline, Proxy, ProxyOptions, RawClient, Reply, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: accounts
key: {type: bigint}
tables:
  entries: {key: account, id: {column: entry, tag: entry}}
  parcels: {key: account, split: {by: parcel, into: 2, pattern: "parcels_{0}"}}
missing_key: {read: scatter, write: scatter}
---
kind: Ids
tags: {entry: 1}
"#;
/// Clients share one connection to each shard.
const ONE: &str = "pool: {size: 1, reserve: 0, wait: 20s}";

async fn start(label: &str) -> (TestDatabase, Proxy) {
    let database = TestDatabase::new(label);
    let options = ProxyOptions { workers: 1, config: ONE.to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    let made = proxy.raw().simple(
        "CREATE TABLE entries (entry bigint PRIMARY KEY, account bigint NOT NULL CHECK (account > 0), at timestamptz);
         CREATE TABLE parcels (parcel bigint, account bigint, PRIMARY KEY (account, parcel))",
    );
    assert_eq!(made.error(), None);
    (database, proxy)
}

fn run(client: &mut RawClient, name: &str, values: &[Option<&str>]) -> Reply {
    let pipeline = Pipeline::new().bind("", name, values).describe_portal("").execute("", 0).sync();
    pipeline.send(client, 1).remove(0)
}

fn prepare(client: &mut RawClient, name: &str, sql: &str) {
    let reply = Pipeline::new().parse(name, sql).sync().send(client, 1).remove(0);
    assert_eq!(reply.error(), None, "{sql}");
}

/// What the shards have prepared.
fn prepared(client: &mut RawClient) -> Vec<String> {
    let of = |shard: &str| format!("/* shardloom: shard={shard} */ SELECT statement FROM pg_prepared_statements");
    let replies = ["s0", "s1", "s2"].map(|shard| client.simple(&of(shard)).rows());
    replies.into_iter().flatten().flatten().flatten().collect()
}

#[tokio::test]
async fn a_constant_means_what_the_clients_own_settings_say() {
    let (_database, proxy) = start("prepared_settings").await;
    let texts = [
        "SELECT account, '01/02/2026'::date::text, '2026-01-01 00:00'::timestamptz = '2026-01-01 00:00+00' \
         FROM entries WHERE account = $1::bigint",
        "INSERT INTO entries (account, at) VALUES ($1::bigint, '01/02/2026 00:00') RETURNING to_char(at, 'MM-DD')",
    ];
    let mut seed = proxy.raw();
    assert_eq!(seed.simple("INSERT INTO entries (account) VALUES (1)").error(), None);
    for settings in [
        ["SET datestyle = 'ISO, DMY'", "SET datestyle = 'ISO, MDY'"],
        ["SET timezone = 'UTC'", "SET timezone = 'Asia/Tokyo'"],
    ] {
        for text in texts {
            let (mut first, mut second) = (proxy.raw(), proxy.raw());
            for (client, setting) in [(&mut first, settings[0]), (&mut second, settings[1])] {
                assert_eq!(client.simple(setting).error(), None);
                prepare(client, "p", text);
            }
            for _ in 0..3 {
                for client in [&mut first, &mut second] {
                    let simple = client.simple(&text.replace("$1", "1")).rows();
                    let bound = run(client, "p", &[Some("1")]);
                    assert_eq!(bound.rows().first(), simple.first(), "{text}, {settings:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_constant_means_what_is_set_in_the_transaction() {
    let (_database, proxy) = start("prepared_local").await;
    let mut client = proxy.raw();
    assert_eq!(client.simple("INSERT INTO entries (account) VALUES (1)").error(), None);
    let text = "SELECT '01/02/2026'::date::text FROM entries WHERE account = $1::bigint";
    let asked = |client: &mut RawClient| {
        let pipeline = Pipeline::new().parse("", text).bind("", "", &[Some("1")]).execute("", 0).sync();
        pipeline.send(client, 1).remove(0).rows()
    };
    for _ in 0..3 {
        assert_eq!(client.simple("BEGIN; SET LOCAL datestyle = 'ISO, DMY'").error(), None);
        assert_eq!(asked(&mut client), [[Some("2026-02-01".to_owned())]]);
        assert_eq!(client.simple("COMMIT").error(), None);
        assert_eq!(asked(&mut client), [[Some("2026-01-02".to_owned())]]);
    }
}

#[tokio::test]
async fn what_the_proxy_makes_of_a_statement_is_prepared_once_it_comes_again() {
    let (_database, proxy) = start("prepared_remade").await;
    let mut client = proxy.raw();
    prepare(&mut client, "insert", "INSERT INTO entries (account) VALUES ($1)");
    prepare(&mut client, "parcel", "INSERT INTO parcels (parcel, account) VALUES (7, $1) ON CONFLICT DO NOTHING");
    for _ in 0..4 {
        assert_eq!(run(&mut client, "insert", &[Some("1")]).tags(), ["INSERT 0 1"]);
        assert!(run(&mut client, "parcel", &[Some("1")]).error().is_none());
    }
    let there = prepared(&mut client);
    for part in ["INSERT INTO entries (account, ", "INSERT INTO parcels_"] {
        assert_eq!(there.iter().filter(|text| text.starts_with(part)).count(), 1, "{part}: {there:#?}");
    }
    // An error leaves it usable, by itself and in transactions.
    for _ in 0..2 {
        assert_eq!(run(&mut client, "insert", &[Some("-1")]).error().expect("a violation").0, "23514");
        assert_eq!(run(&mut client, "insert", &[Some("1")]).tags(), ["INSERT 0 1"]);
        assert_eq!(client.simple("BEGIN").error(), None);
        assert_eq!(run(&mut client, "insert", &[Some("1")]).tags(), ["INSERT 0 1"]);
        assert!(run(&mut client, "insert", &[Some("-1")]).error().is_some());
        assert_eq!(run(&mut client, "insert", &[Some("1")]).error().expect("a failed block").0, "25P02");
        assert_eq!(client.simple("ROLLBACK").error(), None);
    }
    assert_eq!(client.simple("SELECT count(*) FROM entries").rows(), [[Some("6".to_owned())]]);
}

#[tokio::test]
async fn what_is_prepared_of_a_statement_follows_its_table() {
    let (database, proxy) = start("prepared_changed").await;
    let mut client = proxy.raw();
    let text = "INSERT INTO entries (account) VALUES ($1) RETURNING *";
    let ask = |client: &mut RawClient| {
        let pipeline =
            Pipeline::new().parse("", text).bind("", "", &[Some("1")]).describe_portal("").execute("", 0).sync();
        let reply = pipeline.send(client, 1).remove(0);
        let described = reply.events.iter().any(|event| matches!(event, Event::Columns(_)));
        (reply.error().map(|(state, _)| state), described, reply.rows().first().map_or(0, Vec::len))
    };
    for _ in 0..3 {
        assert_eq!(ask(&mut client), (None, true, 3));
    }
    assert_eq!(client.simple("ALTER TABLE entries ADD COLUMN note text").error(), None);
    for _ in 0..3 {
        assert_eq!(ask(&mut client), (None, true, 4));
    }
    assert_eq!(client.simple("BEGIN; ALTER TABLE entries ADD COLUMN more text").error(), None);
    assert_eq!((ask(&mut client), ask(&mut client)), ((None, true, 5), (None, true, 5)));
    assert_eq!(client.simple("ROLLBACK").error(), None);
    assert_eq!((ask(&mut client), ask(&mut client)), ((None, true, 4), (None, true, 4)));
    // Behind the proxy's back: told once at most, in PostgreSQL's words, and right from then on.
    for index in 0..3 {
        let shard = database.service(index).await;
        shard.batch_execute("ALTER TABLE entries ADD COLUMN behind text").await.expect("a column");
    }
    let first = ask(&mut client);
    assert!([(None, true, 5), (Some("0A000".to_owned()), false, 0)].contains(&first), "{first:?}");
    assert_eq!((ask(&mut client), ask(&mut client)), ((None, true, 5), (None, true, 5)));
}

#[tokio::test]
async fn a_temporary_table_stands_before_one_of_its_name() {
    let (_database, proxy) = start("prepared_temporary").await;
    assert_eq!(proxy.raw().simple("CREATE TABLE notes (note int); INSERT INTO notes VALUES (1)").error(), None);
    let text = "SELECT count(*) FROM notes WHERE note > $1";
    // Later rounds meet a server that has had temporary tables.
    for _ in 0..3 {
        let mut client = proxy.raw();
        prepare(&mut client, "p", text);
        for count in ["1", "0", "1"] {
            for _ in 0..3 {
                let bound = run(&mut client, "p", &[Some("0")]);
                assert_eq!(bound.rows(), [[Some(count.to_owned())]]);
                let anew = Pipeline::new().run(text, &[Some("0")]).sync().send(&mut client, 1).remove(0);
                assert_eq!(anew.rows(), [[Some(count.to_owned())]]);
            }
            let next = if count == "1" { "CREATE TEMP TABLE notes (note int)" } else { "DROP TABLE pg_temp.notes" };
            assert_eq!(client.simple(next).error(), None);
        }
    }
}

#[tokio::test]
async fn the_present_is_read_anew_each_time() {
    let (_database, proxy) = start("prepared_present").await;
    let mut client = proxy.raw();
    let insert = "INSERT INTO entries (account, at) VALUES ($1, 'now') RETURNING at";
    let select = "SELECT 'now'::timestamptz, account FROM entries WHERE account = $1";
    prepare(&mut client, "insert", insert);
    prepare(&mut client, "select", select);
    for (name, text) in [("insert", insert), ("select", select)] {
        let mut moments = std::collections::BTreeSet::new();
        for _ in 0..4 {
            moments.insert(run(&mut client, name, &[Some("1")]).rows()[0][0].clone());
            let anew = Pipeline::new().run(text, &[Some("1")]).sync().send(&mut client, 1).remove(0);
            moments.insert(anew.rows()[0][0].clone());
        }
        assert_eq!(moments.len(), 8, "{text}");
    }
}

#[tokio::test]
async fn rows_of_several_shards_have_one_present() {
    let (_database, proxy) = start("prepared_one_present").await;
    let mut client = proxy.raw();
    let rows: Vec<String> = (1..=20).map(|account| format!("({account}, now())")).collect();
    let insert = format!("INSERT INTO entries (account, at) VALUES {}", rows.join(", "));
    assert_eq!(client.simple(&insert).error(), None);
    assert_eq!(client.simple("BEGIN").error(), None);
    let begun = client.simple("SELECT now()").rows();
    let all = client.simple("SELECT DISTINCT Now(), current_timestamp AS c FROM entries");
    assert_eq!(all.rows(), [vec![begun[0][0].clone(); 2]]);
    let names = all.events.iter().find_map(|event| match event {
        Event::Columns(columns) => Some(columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(names, Some(vec!["now".to_owned(), "c".to_owned()]));
    assert_eq!(client.simple("UPDATE entries SET at = now() WHERE account < 15").tags(), ["UPDATE 14"]);
    assert_eq!(client.simple("SELECT count(*) FROM entries WHERE at = now()").rows()[0][0].as_deref(), Some("14"));
    assert_eq!(client.simple("COMMIT").error(), None);
    // Beside what is not the same twice.
    let update = "UPDATE entries SET at = CASE WHEN random() >= 0 THEN now() END";
    assert_eq!(client.simple(update).tags(), ["UPDATE 20"]);
    assert_eq!(client.simple("SELECT count(DISTINCT at) FROM entries").rows()[0][0].as_deref(), Some("1"));
    // A parameter keeps its place, and each execution has a moment of its own.
    let select = "SELECT now(), account FROM entries WHERE account > $1 AND at <= now() ORDER BY 2";
    prepare(&mut client, "select", select);
    let moments = |client: &mut RawClient| {
        let rows = run(client, "select", &[Some("10")]).rows();
        assert_eq!(rows.len(), 10);
        rows.into_iter().map(|row| row[0].clone()).collect::<std::collections::BTreeSet<_>>()
    };
    let (first, second) = (moments(&mut client), moments(&mut client));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(first < second, "{first:?} {second:?}");
}

#[tokio::test]
async fn a_setting_that_is_refused_leaves_nobody_a_statement_that_is_not_there() {
    let (_database, proxy) = start("prepared_refused").await;
    let texts = [
        "INSERT INTO entries (account) VALUES ($1)",
        "INSERT INTO parcels (parcel, account) VALUES (7, $1) ON CONFLICT DO NOTHING",
        "SELECT count(*) FROM entries WHERE account = $1",
    ];
    let mut known = proxy.raw();
    for (number, text) in texts.into_iter().enumerate() {
        let name = format!("p{number}");
        prepare(&mut known, &name, text);
        let mut failing = proxy.raw();
        prepare(&mut failing, &name, text);
        // Bound often enough to be worth a name, and never run.
        for _ in 0..3 {
            assert_eq!(failing.simple("BEGIN; SET LOCAL work_mem = 'nonsense'").error(), None);
            assert_eq!(run(&mut failing, &name, &[Some("1")]).error().expect("a wrong value").0, "22023");
            assert_eq!(failing.simple("ROLLBACK").error(), None);
        }
        for _ in 0..3 {
            assert_eq!(run(&mut known, &name, &[Some("1")]).error(), None, "{text}");
        }
    }
}
