//! Queries in queries, each of which may or may not leave its rows on the shard of their key: groups, windows, DISTINCT and
//! joins by the key and by what only looks like it, as subqueries and behind WITH, read and inserted.
//!
//! Every query has the columns k, j, n and t; k is the sharding key until a query gives it another value.

use super::super::blocks::Expectation;
use super::super::compare::difference;
use super::super::passes::{RULES, SCHEMA, patient, wait_until_writable};
use super::super::random::Random;
use super::queries::Question;
use super::{Counts, SHOWN_MAX, blocks, seeds};
use crate::support::{Differential, Proxy, TestDatabase};

/// Statements per seed.
const STATEMENTS: usize = 25;
/// The seeds of every run.
const SEEDS: std::ops::Range<u64> = 1..17;

/// What is inserted goes here.
const KEPT: &str = "CREATE TABLE totals (customer_id bigint NOT NULL, place bigint, total numeric, said text)";

/// Rows of tables: the key, what tells rows of one key apart, a number, a text.
const BASES: [&str; 10] = [
    "SELECT c.customer_id AS k, o.customer_id AS j, o.amount AS n, o.note AS t FROM customers c, orders o WHERE o.order_id = 1",
    "SELECT customer_id AS k, order_id::bigint AS j, amount AS n, note AS t FROM orders",
    "SELECT customer_id AS k, 0::bigint AS j, balance AS n, name AS t FROM customers",
    "SELECT customer_id AS k, age::bigint AS j, region::numeric AS n, name AS t FROM customers WHERE age IS NOT NULL",
    "SELECT o.customer_id AS k, o.order_id::bigint AS j, c.balance AS n, c.name AS t FROM customers c JOIN orders o USING (customer_id)",
    "SELECT o.customer_id AS k, c.customer_id AS j, o.amount AS n, c.name AS t FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id",
    "SELECT c.customer_id AS k, o.order_id::bigint AS j, o.amount AS n, c.name AS t FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id",
    "SELECT c.customer_id AS k, o.customer_id * 10 + o.order_id AS j, o.amount AS n, o.note AS t FROM customers c JOIN orders o ON o.product = c.region",
    "SELECT c.customer_id AS k, r.region_id::bigint AS j, c.balance AS n, r.name AS t FROM customers c JOIN regions r ON r.region_id = c.region",
    "SELECT c.customer_id AS k, r.region_id::bigint AS j, c.balance AS n, r.name AS t FROM regions r LEFT JOIN customers c ON r.region_id = c.region",
];

/// Makes queries; those that stand behind WITH are collected.
struct Maker<'r> {
    random: &'r mut Random,
    with: Vec<String>,
    uses_with: bool,
}

impl Maker<'_> {
    /// A query in FROM, with its alias.
    fn source(&mut self, depth: u64) -> (String, String) {
        let alias = format!("x{}", self.random.fresh());
        if self.uses_with && !self.with.is_empty() && self.random.below(6) == 0 {
            // One that is read more than once.
            let known = self.random.below(self.with.len() as u64);
            return (format!("w{known} AS {alias}"), alias);
        }
        let query = self.query(depth);
        if self.uses_with && self.random.below(2) == 0 {
            let how = self.random.one(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
            self.with.push(format!("w{} AS {how}({query})", self.with.len()));
            return (format!("w{} AS {alias}", self.with.len() - 1), alias);
        }
        (format!("({query}) AS {alias}"), alias)
    }

    fn query(&mut self, depth: u64) -> String {
        if depth == 0 {
            return self.random.one(&BASES).to_owned();
        }
        let (from, x) = self.source(depth - 1);
        let small = self.random.below(9);
        let by = self.random.one(&["k", "k", "k", "k, t", "j, k", "t", "n", "k + 0"]);
        match self.random.below(18) {
            0 => format!("SELECT * FROM {from} WHERE {}", self.condition(&x)),
            14 => format!("SELECT DISTINCT ON (k) j AS k, k AS j, n, t FROM {from} ORDER BY k, j, n, t"),
            15 => {
                let (other, y) = self.source(depth - 1);
                let on = self.random.one(&["{y}.k = {x}.k", "{y}.j = {x}.k"]).replace("{x}", &x).replace("{y}", &y);
                let part = self.random.one(&["{x}.k", "{y}.k"]).replace("{x}", &x).replace("{y}", &y);
                let inner = format!(
                    "SELECT {y}.k AS l, {y}.j, row_number() OVER (PARTITION BY {part} ORDER BY {y}.k, {y}.j, {y}.n, {y}.t) AS n, {y}.t FROM {other}"
                );
                let inner = if self.random.below(2) == 0 { format!("{inner} WHERE {on}") } else { inner };
                let z = format!("z{}", self.random.fresh());
                format!(
                    "SELECT {x}.k, {z}.j, {z}.n::numeric AS n, {z}.t FROM {from} CROSS JOIN LATERAL ({inner}) AS {z} WHERE {z}.l = {x}.k"
                )
            }
            16 => format!(
                "SELECT k, j, (SELECT {}) AS n, t FROM {from} GROUP BY k, j, t",
                self.random.one(&["sum({x}.n)", "max({x}.n)"]).replace("{x}", &x)
            ),
            1 => format!("SELECT {x}.k, {x}.j, {x}.n, {x}.t FROM {from} WHERE {}", self.condition(&x)),
            2 | 3 => format!("SELECT k, j, {} AS n, t FROM {from}", self.window(by)),
            4 => {
                let (y, window) = (format!("y{}", self.random.fresh()), self.place(by));
                format!(
                    "SELECT k, j, n, t FROM (SELECT *, {window} AS place FROM {from}) AS {y} WHERE place < {}",
                    2 + small % 3
                )
            }
            5 | 6 => {
                let having = self.random.one(&["", "", " HAVING count(*) > 1", " HAVING min(n) IS NOT NULL"]);
                let text = self.random.one(&["max(t)", "string_agg(t, ',' ORDER BY j, n, t)", "count(*)::text"]);
                match self.random.below(4) {
                    0 => format!("SELECT k, min(j) AS j, sum(n) AS n, t FROM {from} GROUP BY k, t{having}"),
                    1 => format!("SELECT min(k) AS k, min(j) AS j, sum(n) AS n, t FROM {from} GROUP BY t{having}"),
                    2 => format!("SELECT k, count(*) AS j, sum(n) AS n, {text} AS t FROM {from} GROUP BY 1{having}"),
                    _ => format!(
                        "SELECT {x}.k, min(j) AS j, sum(n) AS n, {text} AS t FROM {from} GROUP BY {x}.k{having}"
                    ),
                }
            }
            7 => {
                let on = self.random.one(&["k", "k", "k, t", "t", "j"]);
                format!("SELECT DISTINCT ON ({on}) k, j, n, t FROM {from} ORDER BY {on}, k, j, n, t")
            }
            8 => format!(
                "SELECT DISTINCT {} FROM {from}",
                self.random.one(&["k, j, n, t", "k, 1::bigint AS j, 0.5 AS n, t"])
            ),
            9 => format!("SELECT k, j, n, t FROM {from} ORDER BY k, j, n, t LIMIT {small}"),
            10 => format!(
                "SELECT {} AS k, j, n, t FROM {from}",
                self.random.one(&["j", "k + 0", "CASE WHEN k < 5 THEN k ELSE j END"])
            ),
            11 | 12 => {
                let (other, y) = self.source(depth - 1);
                let kind = self.random.one(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                let on = self.random.one(&[
                    "{y}.k = {x}.k",
                    "{y}.k = {x}.k",
                    "{y}.k = {x}.k AND {y}.j = {x}.j",
                    "{y}.j = {x}.k",
                ]);
                let on = on.replace("{x}", &x).replace("{y}", &y);
                let key = self.random.one(&[&x, &x, &y]).to_owned();
                format!("SELECT {key}.k, {x}.j, {y}.n, {y}.t FROM {from} {kind} {other} ON {on}")
            }
            13 => format!(
                "SELECT k, j, (SELECT {} FROM orders o WHERE {}) AS n, t FROM {from}",
                self.random.one(&["count(*)::numeric", "sum(o.amount)", "max(o.amount)"]),
                self.random
                    .one(&["o.customer_id = {x}.k", "o.customer_id = {x}.k", "o.order_id = {x}.j"])
                    .replace("{x}", &x)
            ),
            _ => {
                let joint = self.random.one(&["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
                let other = self.query(depth - 1);
                format!("SELECT * FROM {from} {joint} ({other})")
            }
        }
    }

    fn condition(&mut self, x: &str) -> String {
        let key = self.random.below(14);
        match self.random.below(9) {
            7 | 8 => format!("{x}.j = {x}.k"),
            0 => format!("{x}.k = {key}"),
            1 => format!("k IN ({key}, 1, 2)"),
            2 => format!("{x}.n > {key}"),
            3 => "t IS NOT NULL".to_owned(),
            4 => format!("{x}.j = {key}"),
            5 => format!("EXISTS (SELECT FROM customers e WHERE e.customer_id = {x}.k AND e.age > 20)"),
            _ => format!("{x}.k IN (SELECT e.customer_id FROM orders e GROUP BY e.customer_id HAVING count(*) > 1)"),
        }
    }

    /// A window whose value is the same for rows that are alike.
    fn window(&mut self, by: &str) -> String {
        let call = self.random.one(&["sum(n)", "count(*)", "max(n)", "rank()", "lag(n)", "first_value(n)"]);
        let part = if self.random.below(8) == 0 { String::new() } else { format!("PARTITION BY {by} ") };
        format!("({call} OVER ({part}ORDER BY k, j, n, t))::numeric")
    }

    fn place(&mut self, by: &str) -> String {
        let call = self.random.one(&["row_number()", "rank()", "dense_rank()"]);
        format!("{call} OVER (PARTITION BY {by} ORDER BY k, j, n, t)")
    }
}

/// Makes a query of this depth with what stands before it.
fn query(random: &mut Random, depth: u64) -> (String, String) {
    let uses_with = random.below(2) == 0;
    let mut maker = Maker { random, with: Vec::new(), uses_with };
    let query = maker.query(depth);
    let with = if maker.with.is_empty() { String::new() } else { format!("WITH {} ", maker.with.join(", ")) };
    (with, query)
}

fn question(random: &mut Random) -> Question {
    let depth = 1 + random.below(3);
    let (with, query) = query(random, depth);
    let alias = random.fresh();
    match random.below(6) {
        0 => Question {
            sql: format!("{with}SELECT count(*), sum(n), min(k), max(t) FROM ({query}) AS q{alias}"),
            ordered: false,
        },
        1 => Question {
            sql: format!("{with}SELECT k, count(*), array_agg(j ORDER BY j, n) FROM ({query}) AS q{alias} GROUP BY k"),
            ordered: false,
        },
        2 => Question { sql: format!("{with}{query}"), ordered: false },
        _ => {
            let limit = random.one(&["", "", " LIMIT 4", " LIMIT 3 OFFSET 2"]);
            Question {
                sql: format!("{with}SELECT * FROM ({query}) AS q{alias} ORDER BY k, j, n, t{limit}"),
                ordered: true,
            }
        }
    }
}

fn insertion(random: &mut Random) -> Question {
    let depth = 1 + random.below(2);
    let (with, query) = query(random, depth);
    let alias = random.fresh();
    let item = random.one(&["k", "k", "k", "k", "j", "coalesce(k, 1)"]);
    let head = "INSERT INTO totals (customer_id, place, total, said)";
    let query = format!("SELECT {item}, j, n, t FROM ({query}) AS q{alias} WHERE k IS NOT NULL");
    Question {
        sql: if random.below(2) == 0 { format!("{with}{head} {query}") } else { format!("{head} {with}{query}") },
        ordered: false,
    }
}

#[tokio::test]
async fn generated_rows_by_key_are_answered_right_or_refused() {
    let database = TestDatabase::new("d_by_key");
    let scattering = "name: customers\nmissing_key: {read: scatter, write: scatter}\n";
    let proxy = Proxy::start(&database, &RULES.replace("name: customers\n", scattering), patient()).await;
    let mut sides = Differential::through(&proxy, &database);
    wait_until_writable(&mut sides.other);
    for block in blocks(SCHEMA) {
        sides.same(&block.sql);
    }
    sides.same(KEPT);
    let chosen = std::env::var("GENERATED_BY_KEY").ok();
    let mut counts = Counts::default();
    for seed in chosen.as_deref().map_or(SEEDS, seeds) {
        let mut random = Random::seeded(seed);
        for number in 0..STATEMENTS {
            let writes = number % 4 == 3;
            let question = if writes { insertion(&mut random) } else { question(&mut random) };
            let wrong = counts.check(&mut sides, &question, number % 5 < 2);
            counts.different.extend(wrong.map(|wrong| format!("seed {seed}, {number}: {}\n{wrong}", question.sql)));
            if writes {
                let sql = "SELECT * FROM totals ORDER BY customer_id, place, total, said";
                let (plain, other) = (sides.plain.simple(sql), sides.other.simple(sql));
                let wrong = difference(&plain, &other, sql, &Expectation::Same);
                counts
                    .different
                    .extend(wrong.map(|wrong| format!("seed {seed}, after {number}: {}\n{wrong}", question.sql)));
                sides.same("DELETE FROM totals");
            }
        }
        if counts.different.len() >= SHOWN_MAX {
            break;
        }
    }
    if chosen.is_some() {
        println!("{} equal, {} refused, {} failed alike", counts.equal, counts.refused, counts.failed);
        println!("{:#?}\n{:#?}", counts.reasons, counts.failures);
        counts.publish("generated rows by key", chosen.as_deref().unwrap_or_default());
    }
    let differences = counts.different.join("\n\n");
    assert!(counts.different.is_empty(), "{} differences:\n\n{differences}", counts.different.len());
    // A generator whose statements are all refused, or all wrong, would show nothing.
    assert!(counts.equal > 3 * (counts.refused + counts.failed), "{} equal, {} refused", counts.equal, counts.refused);
}
