//! Pipelines of any shape, to PostgreSQL and through the proxy: the same messages must come back, in the same order.
//!
//! `SHOW_PIPELINES=seed..seed` tries other seeds. A pipeline that differs is made as short as it differs still.

mod generate;
mod message;
mod talk;

use std::time::{Duration, Instant};

use shardloom::dev::{APP_PASSWORD, APP_USER};
use tokio_postgres::Client;

use crate::protocol::RULES;
use crate::support::{Proxy, ProxyOptions, RawClient, TestDatabase, servers};

use generate::{Chance, Vocabulary, messages};
use message::Message;
use talk::{Lenience, talk};

/// Seeds tried at least and at most, and for how long more are begun.
const SEEDS: std::ops::Range<u64> = 1..151;
const SEEDS_MIN: u64 = 30;
const TIME: Duration = Duration::from_secs(20);

/// Both ways to a database.
struct Ways {
    database: String,
    plain: u16,
    other: u16,
    lenience: Lenience,
    /// Connections past the proxy that put the tables back as they were.
    resets: Vec<Client>,
    reset: &'static str,
}

impl Ways {
    /// Runs the messages on new connections both ways; `Some` if the answers differ.
    async fn difference(&self, messages: &[Message]) -> Option<(Vec<String>, Vec<String>)> {
        for client in &self.resets {
            client.batch_execute(self.reset).await.expect("the tables as they were");
        }
        let [expected, found] = [self.plain, self.other].map(|port| {
            let mut client = RawClient::connect(port, &self.database, APP_USER, APP_PASSWORD);
            talk(&mut client, messages, self.lenience)
        });
        (expected != found).then_some((expected, found))
    }

    async fn try_seeds(&self, vocabulary: &Vocabulary) {
        let started = Instant::now();
        for seed in seeds() {
            if started.elapsed() > TIME && seed > SEEDS_MIN && std::env::var_os(SEEDS_VARIABLE).is_none() {
                break;
            }
            let messages = messages(&mut Chance::new(seed), vocabulary);
            if self.difference(&messages).await.is_some() {
                self.report(seed, messages).await;
            }
        }
    }

    /// Leaves out messages one by one while the answers still differ, then shows what is left.
    async fn report(&self, seed: u64, mut messages: Vec<Message>) {
        let mut at = 0;
        while at < messages.len() {
            let mut shorter = messages.clone();
            shorter.remove(at);
            match self.difference(&shorter).await {
                Some(_) => messages = shorter,
                None => at += 1,
            }
        }
        let (expected, found) = self.difference(&messages).await.expect("it differs every time");
        panic!("seed {seed} differs:\n{messages:#?}\nexpected {expected:#?}\nfound {found:#?}");
    }
}

const SEEDS_VARIABLE: &str = "SHOW_PIPELINES";

fn seeds() -> std::ops::Range<u64> {
    let wanted = std::env::var(SEEDS_VARIABLE).ok();
    let wanted = wanted.as_deref().and_then(|wanted| wanted.split_once(".."));
    wanted.map_or(SEEDS, |(from, to)| from.parse().expect("a seed")..to.parse().expect("a seed"))
}

const UNSHARDED: Vocabulary = Vocabulary {
    statements: &[
        ("SELECT $1::int + 1", "i"),
        ("SELECT id, v FROM t WHERE id = $1", "i"),
        ("SELECT id, v, n FROM t WHERE id > $1 ORDER BY id", "i"),
        ("SELECT generate_series(1, $1::int)", "i"),
        ("INSERT INTO t (id, v) VALUES ($1, $2)", "it"),
        ("INSERT INTO t (id, v) VALUES ($1, $2) RETURNING id, v", "it"),
        ("UPDATE t SET v = $2 WHERE id = $1", "it"),
        ("DELETE FROM t WHERE id = $1", "i"),
        ("SELECT 10 / $1::int", "i"),
        ("WITH new AS (INSERT INTO t (id, v) VALUES ($1, $2) RETURNING *) SELECT id FROM new", "it"),
        ("SELECT $1", "t"),
        ("SELECT missing FROM t WHERE id = $1", "i"),
    ],
    texts: &[
        "SELECT 1",
        "SELECT id, v FROM t ORDER BY id LIMIT 4",
        "VALUES (1, 'a'), (2, NULL)",
        "INSERT INTO t (id, v) VALUES (50, 'fifty')",
        "INSERT INTO t (id, v) VALUES (1, 'again')",
        "UPDATE t SET n = n + 1",
        "DELETE FROM t WHERE id = 50",
        "SELECT 1/0",
        "SELEC 1",
        "SELECT * FROM missing",
        "SELECT 1; SELECT 2",
        "CREATE TABLE made (a int)",
        "DROP TABLE made",
        "LOCK TABLE t IN SHARE MODE",
        "EXPLAIN (COSTS OFF) SELECT * FROM t",
        "DO $$ BEGIN RAISE NOTICE 'hello'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'P0001', DETAIL = 'd', HINT = 'h'; END $$",
        "COPY (SELECT id, v FROM t ORDER BY id LIMIT 3) TO STDOUT",
        "COPY (SELECT id, v FROM t ORDER BY id LIMIT 3) TO STDOUT (FORMAT binary)",
        "DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id",
        "FETCH 2 FROM c",
        "MOVE 1 IN c",
        "CLOSE c",
        "SET LOCAL work_mem = '5MB'",
        "SHOW work_mem",
        "SET work_mem = '6MB'",
        "RESET work_mem",
        "SELECT current_setting('work_mem')",
        "DEALLOCATE ALL",
        "DISCARD ALL",
        "VACUUM t",
        "NOTIFY news",
        "SELECT pg_catalog.set_config('work_mem', '7MB', true)",
    ],
    copies: &["COPY t (id, v) FROM STDIN", "COPY t (id, v) FROM STDIN WITH (FORMAT text)"],
    binary_copies: &["COPY t (id, v) FROM STDIN (FORMAT binary)"],
    ints: &["1", "2", "3", "50", "60", "0", "-1", "7"],
};

#[tokio::test]
async fn pipelines_of_any_shape_are_answered_as_by_postgresql() {
    let (database, sharded) = (TestDatabase::new("pipelines"), TestDatabase::new("beside"));
    let config = "passthrough: any".to_owned();
    let proxy = Proxy::start(&sharded, RULES, ProxyOptions { workers: 1, config, ..ProxyOptions::default() }).await;
    let resets = vec![database.plain().await, database.shard(0).await];
    for client in &resets {
        let table = "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric DEFAULT 1.50)";
        client.batch_execute(table).await.expect("the table");
    }
    let ways = Ways {
        database: database.name.clone(),
        plain: servers().plain.port(),
        other: proxy.port(),
        lenience: Lenience::Oids,
        resets,
        reset: "DROP TABLE IF EXISTS made; DELETE FROM t; INSERT INTO t SELECT id, 'row ' || id FROM generate_series(1, 6) id",
    };
    ways.try_seeds(&UNSHARDED).await;
}
