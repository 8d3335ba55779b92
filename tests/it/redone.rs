//! Which writes over several shards may be redone from their text: a corpus of statements, with the way each of them
//! commits and why. Each one that may be is redone, since its COMMIT never reaches the targets, and must leave the rows
//! that it leaves on one PostgreSQL.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::chaos_invariants::Inspector;
use crate::support::{Cutter, Differential, Harm, Proxy, ProxyOptions, Shards, TestDatabase};

/// Statements, each with what is expected of it on the next line; `#` is a new key, of each shard in turn.
const CORPUS: &str = include_str!("redone/corpus.txt");

const RULES: &str = "kind: TableGroup
name: main
key: {type: bigint}
tables:
  t: {key: k}
  stamped: {key: k}
  lucky: {key: k}
  keys: {key: k}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [r]
";

const SCHEMA: [&str; 13] = [
    "CREATE TABLE t (k bigint PRIMARY KEY, a int DEFAULT 7, b text DEFAULT 'b', c numeric, d timestamptz, e date, f jsonb, \
     g int[], h uuid, n text DEFAULT 'none')",
    "CREATE TABLE stamped (k bigint PRIMARY KEY, made timestamptz DEFAULT now())",
    "CREATE TABLE lucky (k bigint PRIMARY KEY, luck double precision DEFAULT random())",
    "CREATE TABLE keys (k bigint PRIMARY KEY)",
    "CREATE TABLE r (id int PRIMARY KEY, name text)",
    "CREATE SEQUENCE s",
    "CREATE FUNCTION own_immutable(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
    "CREATE FUNCTION own_stable(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1'",
    "CREATE FUNCTION own_volatile(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1'",
    "INSERT INTO r VALUES (1, 'one'), (2, 'two'), (3, NULL)",
    "INSERT INTO stamped SELECT k, '2020-01-01' FROM generate_series(1, 9) k",
    "INSERT INTO lucky SELECT k, k FROM generate_series(1, 9) k",
    "INSERT INTO t SELECT k, k, 'x' || k, k * 1.5, '2020-01-01 00:00+00'::timestamptz, '2020-01-01', \
     '{\"x\": 1, \"y\": [2, 3]}', ARRAY[1, 2, k]::int[], NULL, 'n' FROM generate_series(1, 12) k",
];

/// What is compared; times that the statement has made itself are of two moments.
const ROWS: [&str; 3] = [
    "SELECT k, a, b, c, CASE WHEN d > '2025-06-01' AND isfinite(d) THEN 'recent' ELSE d::text END, e, f, g, h, n FROM t ORDER BY k",
    "SELECT k, CASE WHEN made > '2025-06-01' THEN 'recent' ELSE made::text END FROM stamped ORDER BY k",
    "SELECT k FROM lucky ORDER BY k",
];

/// The moments of one statement; more than one would be a redo with a clock of its own.
const MOMENTS: [&str; 2] = [
    "SELECT count(DISTINCT d) FROM t WHERE d > '2025-06-01' AND isfinite(d)",
    "SELECT count(DISTINCT made) FROM stamped WHERE made > '2025-06-01'",
];

/// Before the next statement.
const FORGET: [&str; 2] = [
    "UPDATE t SET d = '2020-01-01 00:00+00' WHERE d > '2025-06-01'",
    "UPDATE stamped SET made = '2020-01-01 00:00+00' WHERE made > '2025-06-01'",
];

/// Longest wait for a redo.
const WAIT: Duration = Duration::from_secs(30);

/// What a COMMIT on a target begins with; home's goes with the ledger's row.
const COMMIT: &str = "COMMIT\0";

struct Corpus {
    _database: TestDatabase,
    cutters: Vec<Cutter>,
    proxy: Proxy,
    sides: Differential,
    inspector: Inspector,
    /// Keys of each shard that no table has yet.
    keys: [Vec<i64>; 3],
    drawn: usize,
}

impl Corpus {
    async fn open() -> Self {
        let database = TestDatabase::new("redone");
        let (shards, cutters) = Shards::behind_cutters(&database);
        let proxy = Proxy::start_over(shards, RULES, ProxyOptions::default()).await;
        proxy.gates_open().await;
        let mut sides = Differential::through(&proxy, &database);
        for sql in SCHEMA {
            assert_eq!(sides.same(sql).error(), None, "{sql}");
        }
        assert_eq!(sides.other.simple("INSERT INTO keys SELECT generate_series(1000, 2000)").error(), None);
        let (mut keys, mut clients) = ([const { Vec::new() }; 3], Vec::new());
        for (index, keys) in keys.iter_mut().enumerate() {
            let shard = database.service(index).await;
            let rows = shard.query("SELECT k FROM keys ORDER BY k", &[]).await.expect("the keys");
            *keys = rows.iter().map(|row| row.get(0)).collect();
            clients.push(shard);
        }
        let inspector = Inspector::new(clients);
        inspector.settled().await;
        Self { _database: database, cutters, proxy, sides, inspector, keys, drawn: 0 }
    }

    /// Puts new keys into a statement.
    fn with_keys(&mut self, statement: &str) -> String {
        // The first is of s0, which is home then.
        self.drawn = self.drawn.next_multiple_of(3);
        let mut text = statement.to_owned();
        while let Some(at) = text.find("(#") {
            let key = self.key();
            text.replace_range(at + 1..at + 2, &key.to_string());
        }
        text
    }

    fn key(&mut self) -> i64 {
        let key = self.keys[self.drawn % 3][self.drawn / 3];
        self.drawn += 1;
        key
    }

    /// Returns the way a statement commits, as EXPLAIN (ROUTE) says, or why it is refused.
    fn way(&mut self, sql: &str) -> String {
        let reply = self.sides.other.simple(&format!("EXPLAIN (ROUTE) {sql}"));
        if let Some((state, message)) = reply.error() {
            return format!("refused {state}: {message}");
        }
        let lines = reply.rows().into_iter().filter_map(|mut row| row.remove(0));
        let lines: Vec<String> = lines.collect();
        let found = lines.iter().find_map(|line| line.trim().strip_prefix("Over several shards: "));
        found.map_or_else(|| lines.first().cloned().unwrap_or_default(), str::to_owned)
    }

    /// Runs it on both sides, with its COMMIT lost on the targets; tells whether that was so.
    async fn redo(&mut self, sql: &str) -> bool {
        let before: usize = self.cutters.iter().map(Cutter::cuts).sum();
        for cutter in &self.cutters[1..] {
            cutter.arm_with(COMMIT, Harm::CutBefore);
        }
        self.sides.same(sql);
        self.cutters.iter().for_each(Cutter::disarm);
        let began = Instant::now();
        for rows in ROWS {
            while self.sides.plain.simple(rows).rows() != self.sides.other.simple(rows).rows() {
                if began.elapsed() > WAIT {
                    self.sides.same(rows);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        for moments in MOMENTS {
            let found = self.sides.other.simple(moments).rows()[0][0].clone();
            assert!(matches!(found.as_deref(), Some("0" | "1")), "{sql}: {found:?} moments");
        }
        let after: usize = self.cutters.iter().map(Cutter::cuts).sum();
        self.sides.plain.simple(&FORGET.join("; "));
        self.sides.other.simple(&FORGET.join("; "));
        after > before
    }
}

/// Goal: what is said to be redoable ends, redone, in the rows that it makes by itself; all else says why it is not.
#[tokio::test]
async fn what_may_be_redone_leaves_the_same_rows() {
    let mut corpus = Corpus::open().await;
    let (mut found, mut statements, mut redone) = (String::new(), 0, 0);
    for line in CORPUS.lines().filter(|line| !line.starts_with("  => ")) {
        writeln!(found, "{line}").expect("a string");
        if line.is_empty() || line.starts_with("--") {
            continue;
        }
        statements += 1;
        let sql = corpus.with_keys(line);
        let way = corpus.way(&sql);
        writeln!(found, "  => {way}").expect("a string");
        if way == "eager" || way == "eventual" {
            redone += usize::from(corpus.redo(&sql).await);
        }
    }
    corpus.inspector.settled().await;
    corpus.inspector.ledger_agrees().await;
    let open = "SELECT count(*) FROM shardloom.dead_letter WHERE resolved_at IS NULL";
    assert_eq!(corpus.inspector.sum(open).await, 0, "{}", corpus.proxy.log());
    println!("{statements} statements, {redone} of them redone");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/redone/corpus.txt");
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        std::fs::write(path, &found).expect("the corpus is written");
    }
    assert!(
        found == CORPUS,
        "the corpus is not what was found; UPDATE_CORPUS=1 writes it anew: look at each difference"
    );
    assert!(statements >= 300 && redone >= 150, "{statements} statements, {redone} of them redone");
}
