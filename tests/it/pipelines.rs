//! Pipelines of any shape, to PostgreSQL and through the proxy: the same messages must come back, in the same order.
//!
//! `SHOW_PIPELINES=seed..seed` tries other seeds. A pipeline that differs is made as short as it differs still.

mod generate;
mod message;
mod talk;

use std::time::{Duration, Instant};

use shardloom::dev::{APP_PASSWORD, APP_USER};
use tokio_postgres::Client;

use crate::protocol::{RULES, both};
use crate::support::{Proxy, ProxyOptions, RawClient, TestDatabase, server_major, servers};

use generate::{Chance, Vocabulary, messages};
use message::Message;
use talk::{Lenience, talk};

/// Seeds tried at least and at most, and for how long more are begun.
const SEEDS: std::ops::Range<u64> = 1..151;
const SEEDS_MIN: u64 = 30;
const TIME: Duration = Duration::from_secs(20);

/// Differences that are made short and shown.
const REPORTS_MAX: usize = 5;

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
        let mut reports = Vec::new();
        for seed in seeds() {
            if started.elapsed() > TIME && seed > SEEDS_MIN && std::env::var_os(SEEDS_VARIABLE).is_none() {
                break;
            }
            let mut messages = messages(&mut Chance::new(seed), vocabulary);
            if self.lenience == Lenience::Details && server_major() >= BLOCKS_BY_PIPELINE {
                messages = without_blocks_by_pipeline(messages);
            }
            if self.difference(&messages).await.is_some() {
                reports.push(self.report(seed, messages).await);
            }
            if reports.len() >= REPORTS_MAX {
                break;
            }
        }
        assert!(reports.is_empty(), "{}", reports.join("\n"));
    }

    /// Leaves out messages one by one while the answers still differ, then shows what is left.
    async fn report(&self, seed: u64, mut messages: Vec<Message>) -> String {
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
        format!("seed {seed} differs:\n{messages:#?}\nexpected {expected:#?}\nfound {found:#?}")
    }
}

/// From this version on, what follows the first Execute of a pipeline runs in an implicit block: a Query does not end it,
/// and `SET LOCAL` lasts to the Sync. In a sharded database each statement decides for itself, as with older servers.
const BLOCKS_BY_PIPELINE: u32 = 18;

/// Leaves out what only such a block answers otherwise.
fn without_blocks_by_pipeline(messages: Vec<Message>) -> Vec<Message> {
    let mut made: Vec<Message> = Vec::new();
    for message in messages.into_iter().filter(|message| !message.says("SET LOCAL")) {
        if message.says("Query") && made.last().is_some_and(|last| !last.says("Sync")) {
            made.push(Message::sync());
        }
        made.push(message);
    }
    made
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
        ("SELECT 10 / (SELECT $1::int)", "i"),
        ("WITH new AS (INSERT INTO t (id, v) VALUES ($1, $2) RETURNING *) SELECT id FROM new", "it"),
        ("SELECT $1", "t"),
        ("SELECT 1; SELECT 2", ""),
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
        "SELECT * FROM missing",
        "CREATE TABLE made (a int)",
        "DROP TABLE made",
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
        "NOTIFY news",
        "SELECT pg_catalog.set_config('work_mem', '7MB', true)",
    ],
    copies: &["COPY t (id, v) FROM STDIN", "COPY t (id, v) FROM STDIN WITH (FORMAT text)"],
    binary_copies: &["COPY t (id, v) FROM STDIN (FORMAT binary)"],
    calls: true,
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

const SHARDED: Vocabulary = Vocabulary {
    statements: &[
        ("SELECT $1::int + 1", "i"),
        ("SELECT customer_id, name FROM customers WHERE customer_id = $1", "b"),
        ("SELECT order_id, status FROM orders WHERE customer_id = $1 ORDER BY order_id", "b"),
        ("SELECT generate_series(1, $1::int)", "i"),
        ("INSERT INTO orders (order_id, customer_id, status) VALUES (50, $1, $2)", "bt"),
        ("INSERT INTO orders (order_id, customer_id, status) VALUES (51, $1, $2) RETURNING order_id, status", "bt"),
        ("UPDATE orders SET status = $2 WHERE customer_id = $1", "bt"),
        ("DELETE FROM orders WHERE customer_id = $1 AND order_id > 50", "b"),
        ("SELECT missing FROM orders WHERE customer_id = $1", "b"),
        ("SELECT $1", "t"),
    ],
    texts: &[
        "SELECT 1",
        "SELECT customer_id, name FROM customers WHERE customer_id = 7",
        "SELECT order_id, status FROM orders WHERE customer_id = 7 ORDER BY order_id LIMIT 2",
        "INSERT INTO orders (order_id, customer_id, status) VALUES (52, 7, 'new')",
        "UPDATE orders SET status = 'old' WHERE customer_id = 7 AND order_id = 1",
        "DELETE FROM orders WHERE customer_id = 7 AND order_id = 52",
        "SELECT 1/0 FROM orders WHERE customer_id = 7",
        "SHOW work_mem",
        "SET work_mem = '6MB'",
        "RESET work_mem",
        "SET LOCAL work_mem = '5MB'",
        "DECLARE c CURSOR FOR SELECT order_id FROM orders WHERE customer_id = 7 ORDER BY order_id",
        "FETCH 2 FROM c",
        "CLOSE c",
        "DEALLOCATE ALL",
    ],
    copies: &[],
    binary_copies: &[],
    calls: false,
    ints: &["7"],
};

#[tokio::test]
async fn pipelines_of_one_shard_are_answered_as_by_postgresql() {
    let (database, proxy, _both) = both("one_shard", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let mut resets = vec![database.plain().await];
    for shard in 0..3 {
        resets.push(database.shard(shard).await);
    }
    let owner = owner(&resets[1..]).await;
    let resets = vec![resets.remove(0), resets.remove(owner)];
    let ways = Ways {
        database: database.name.clone(),
        plain: servers().plain.port(),
        other: proxy.port(),
        lenience: Lenience::Details,
        resets,
        reset: "DELETE FROM orders; INSERT INTO orders SELECT id, 7, 'status ' || id FROM generate_series(1, 4) id",
    };
    ways.try_seeds(&SHARDED).await;
}

/// Returns the shard that has customer 7.
async fn owner(shards: &[Client]) -> usize {
    for (index, shard) in shards.iter().enumerate() {
        let rows = shard.query("SELECT FROM customers WHERE customer_id = 7", &[]).await.expect("the customers");
        if !rows.is_empty() {
            return index;
        }
    }
    panic!("no shard has customer 7");
}
