//! Random statements over a small schema: an answer must be the plain server's, a refusal must carry a hint.
//!
//! The seed is fixed, so that every run sees the same statements. What a refused write would have done is not done on
//! the plain server either: refusals are known before it is asked.

use std::fmt::Write;

use crate::support::{Differential, Proxy, Reply, TestDatabase};

use super::blocks::Expectation;
use super::compare::{difference, error_of};
use super::extended;
use super::passes::{RULES, patient, wait_until_writable};

/// Statements per seed.
const STATEMENTS: usize = 500;
/// How many rows the tables have to begin with; keys are below this and a few above.
const KEYS: u64 = 14;

const SCHEMA: [&str; 6] = [
    "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text, age int, balance numeric(12, 2), region int)",
    "CREATE TABLE orders (customer_id bigint NOT NULL, order_id int NOT NULL, product int, amount numeric(10, 2), \
     PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE counters (id int PRIMARY KEY, hits bigint NOT NULL DEFAULT 0, label text)",
    "CREATE TABLE products (product_id int PRIMARY KEY, title text, price numeric(10, 2))",
    "INSERT INTO products VALUES (0, 'nil', 0.50), (1, 'apple', 1.00), (2, 'pear', 2.25), (3, NULL, NULL)",
    "INSERT INTO counters VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, NULL), (4, 4, 'd'), (5, 5, 'e'), (6, 6, 'a')",
];

#[tokio::test]
async fn random_statements_are_answered_right_or_refused() {
    let database = TestDatabase::new("d_random");
    let proxy = Proxy::start(&database, RULES, patient()).await;
    let mut sides = Differential::through(&proxy, &database);
    wait_until_writable(&mut sides.other);
    for sql in SCHEMA {
        sides.same(sql);
    }
    let mut counts = Counts::default();
    for seed in [1, 2026, 0x5eed_cafe] {
        let mut random = Random { state: seed, names: 0 };
        random.fill(&mut sides);
        for number in 0..STATEMENTS {
            let sql = random.statement();
            let extended = number % 3 == 0;
            if let Some(wrong) = counts.check(&mut sides, &sql, extended) {
                panic!("seed {seed:#x}, statement {number}: {sql}\n{wrong}");
            }
        }
    }
    // A generator whose statements are all refused, or all wrong, would show nothing.
    assert!(counts.answered > counts.all / 2, "{counts:?}");
    assert!(counts.refused > 50 && counts.failed < counts.all / 4, "{counts:?}");
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    answered: usize,
    refused: usize,
    failed: usize,
}

impl Counts {
    fn check(&mut self, sides: &mut Differential, sql: &str, in_extended: bool) -> Option<String> {
        let call = |client: &mut crate::support::RawClient| {
            if in_extended { extended::prepared(client, sql, &[]) } else { client.simple(sql) }
        };
        self.all += 1;
        let proxy = call(&mut sides.other);
        if is_refusal(&proxy) {
            self.refused += 1;
            let hinted = error_of(&proxy).is_some_and(|fields| fields.contains_key(&'H'));
            return (!hinted).then(|| format!("  refused without a hint: {proxy:?}"));
        }
        let plain = call(&mut sides.plain);
        if error_of(&plain).is_some() {
            self.failed += 1;
        } else {
            self.answered += 1;
        }
        difference(&plain, &proxy, sql, &Expectation::Same)
    }
}

/// Tells whether the proxy refuses: with a SQLSTATE of its own and the reason's code, which no shard gives.
pub fn is_refusal(reply: &Reply) -> bool {
    error_of(reply).is_some_and(|fields| {
        let own = !fields.contains_key(&'R');
        own && matches!(fields.get(&'C').map(String::as_str), Some("0A000" | "22023" | "23502"))
    })
}

/// Marsaglia's xorshift: the same numbers in every run.
pub struct Random {
    state: u64,
    /// How many names were made.
    names: u64,
}

impl Random {
    /// Makes a generator; seeds that are near give numbers that are far apart.
    pub fn seeded(seed: u64) -> Self {
        let mut random = Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, names: 0 };
        for _ in 0..8 {
            random.below(2);
        }
        random
    }

    /// Returns a number that no name has yet.
    pub fn fresh(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }

    pub fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn key(&mut self) -> u64 {
        self.below(KEYS + 2)
    }

    /// Puts the tables into a known state on both sides.
    fn fill(&mut self, sides: &mut Differential) {
        sides.same("TRUNCATE customers, orders");
        let mut rows = String::new();
        for key in 0..KEYS {
            let name = self.one(&["NULL", "'ann'", "'bob'", "'Cid'", "''"]);
            let (age, cents, region) = (self.below(5) * 10, self.below(500), self.one(&["NULL", "1", "2", "3"]));
            let comma = if key == 0 { "" } else { ", " };
            write!(rows, "{comma}({key}, {name}, {age}, {}.{:02}, {region})", cents / 100, cents % 100)
                .expect("a string");
        }
        sides.same(&format!("INSERT INTO customers VALUES {rows}"));
        rows.clear();
        for order in 0..2 * KEYS {
            let (product, cents) = (self.one(&["NULL", "0", "1", "2", "3"]), self.below(900));
            let comma = if order == 0 { "" } else { ", " };
            write!(rows, "{comma}({}, {order}, {product}, {}.{:02})", order % KEYS, cents / 100, cents % 100)
                .expect("a string");
        }
        sides.same(&format!("INSERT INTO orders VALUES {rows}"));
    }

    fn statement(&mut self) -> String {
        match self.below(12) {
            0..=3 => self.rows(),
            4..=6 => self.aggregates(),
            7 | 8 => self.join(),
            9 => self.insert(),
            10 => self.update(),
            _ => self.delete(),
        }
    }

    fn rows(&mut self) -> String {
        let condition = self.condition("customer_id", 2);
        let list = self.one(&[
            "*",
            "customer_id, name",
            "customer_id, age + 1 AS older, name",
            "c.*",
            "*, -age AS minus",
            "name, customer_id AS age",
            "customer_id, CASE WHEN customer_id = 3 THEN 'three' ELSE name END AS said",
            "customer_id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) AS n",
            "customer_id, (SELECT max(price) FROM products) AS p",
        ]);
        let key = self.one(&[
            "age",
            "name",
            "balance",
            "region",
            "age % 3",
            "lower(name)",
            "coalesce(region, 9)",
            "-customer_id",
        ]);
        let way = self.one(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC"]);
        let limit = self.limit();
        let tail = self.one(&["", "", "", " FOR UPDATE"]);
        match self.below(4) {
            0 => format!("SELECT {list} FROM customers c WHERE {condition}{tail}"),
            1 => format!(
                "SELECT DISTINCT {} FROM customers c WHERE {condition}",
                self.one(&["age", "name", "region, age", "age / 20"])
            ),
            _ => format!("SELECT {list} FROM customers c WHERE {condition} ORDER BY {key}{way}, c.customer_id{limit}"),
        }
    }

    fn aggregates(&mut self) -> String {
        let condition = self.condition("customer_id", 2);
        let list = self.one(&[
            "count(*)",
            "count(name), sum(age), min(balance), max(balance)",
            "avg(age), avg(balance)",
            "sum(balance), count(*)",
            "min(name), max(name)",
            "bool_and(age > 5), bool_or(age > 30)",
            "count(DISTINCT age)",
            "sum(age) + 1",
            "count(*) FILTER (WHERE customer_id = 2)",
            "sum(CASE WHEN customer_id = 4 THEN age ELSE 0 END)",
        ]);
        let group = self.one(&["region", "age", "age % 3", "name", "customer_id", "region, age"]);
        let having = self.one(&["", "", "", "", " HAVING count(*) > 1"]);
        match self.below(3) {
            0 => format!("SELECT {list} FROM customers WHERE {condition}"),
            1 => format!("SELECT {group}, {list} FROM customers WHERE {condition} GROUP BY {group}{having}"),
            _ => {
                let (first, limit) = (self.one(&["", "count(*) DESC, ", "sum(age), "]), self.limit());
                format!(
                    "SELECT {group}, {list} FROM customers WHERE {condition} GROUP BY {group}{having} ORDER BY {first}{group}{limit}"
                )
            }
        }
    }

    fn join(&mut self) -> String {
        let condition = self.condition("c.customer_id", 1);
        let joined = self.one(&[
            "customers c JOIN orders o USING (customer_id)",
            "customers c JOIN orders o ON o.customer_id = c.customer_id",
            "customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.amount > 3",
            "customers c, orders o",
            "customers c JOIN orders o ON o.order_id = c.customer_id",
            "orders o RIGHT JOIN customers c ON c.customer_id = o.customer_id",
            "orders o LEFT JOIN customers c ON c.customer_id = o.customer_id AND c.age > 10",
            "customers c FULL JOIN orders o ON o.customer_id = c.customer_id",
        ]);
        let more =
            self.one(&["", "", " AND o.customer_id = 3", " AND o.customer_id = c.customer_id", " OR o.order_id = 2"]);
        let product = self.one(&[
            "",
            " JOIN products p ON p.product_id = o.product",
            " LEFT JOIN products p ON p.product_id = o.product",
        ]);
        if self.below(3) == 0 {
            return format!("SELECT count(*), sum(o.amount) FROM {joined}{product} WHERE ({condition}){more}");
        }
        let limit = self.limit();
        format!(
            "SELECT c.name, o.order_id, o.amount FROM {joined}{product} WHERE ({condition}){more} ORDER BY o.amount, o.order_id, c.customer_id{limit}"
        )
    }

    fn limit(&mut self) -> String {
        match self.below(5) {
            0 => format!(" LIMIT {}", self.below(6)),
            1 => format!(" LIMIT {} OFFSET {}", self.below(6), self.below(6)),
            2 => format!(" OFFSET {}", self.below(20)),
            _ => String::new(),
        }
    }

    /// A condition in which the key is bound in one of many shapes, or only seems to be.
    fn condition(&mut self, key: &str, depth: u64) -> String {
        if depth > 0 && self.below(2) == 0 {
            let (left, right) = (self.condition(key, depth - 1), self.condition(key, depth - 1));
            return match self.below(6) {
                0 | 1 => format!("{left} AND {right}"),
                2 => format!("({left} OR {right})"),
                3 => format!("NOT ({left})"),
                4 => format!("CASE WHEN {left} THEN {right} ELSE true END"),
                _ => format!("({left}) IS NOT TRUE"),
            };
        }
        let (a, b) = (self.key(), self.key());
        match self.below(16) {
            0..=2 => format!("{key} = {a}"),
            3 => format!("{key} IN ({a}, {b}, 3)"),
            4 => format!("{key} = ANY ('{{{a},{b}}}')"),
            5 => format!("{key} = ANY (ARRAY[{a}, {b}])"),
            6 => format!("{key} = '{a}'"),
            7 => format!("{a} = {key}"),
            8 => format!("{key} BETWEEN {a} AND {b}"),
            9 => format!("{key} <> {a}"),
            10 => format!("coalesce({key} = {a}, true)"),
            11 => format!("{key} + 0 = {a}"),
            12 => format!("{key} IN (SELECT product_id FROM products)"),
            13 => "age > 10".to_owned(),
            14 => format!("{key} = {a} AND {key} = {b}"),
            _ => format!("EXISTS (SELECT 1 FROM orders x WHERE x.customer_id = {key} AND x.amount > 2)"),
        }
    }

    fn insert(&mut self) -> String {
        let rows: Vec<String> = (0..=self.below(3))
            .map(|_| {
                format!("({}, '{}', {})", self.key(), self.one(&["new", "ann"]), self.one(&["NULL", "20", "10 + 20"]))
            })
            .collect();
        let conflict = self.one(&[
            "",
            " ON CONFLICT DO NOTHING",
            " ON CONFLICT (customer_id) DO NOTHING",
            " ON CONFLICT (customer_id) DO UPDATE SET age = excluded.age, name = customers.name",
        ]);
        let returning = self.one(&["", " RETURNING customer_id, name", " RETURNING *"]);
        format!("INSERT INTO customers (customer_id, name, age) VALUES {}{conflict}{returning}", rows.join(", "))
    }

    fn update(&mut self) -> String {
        let condition = self.condition("customer_id", 1);
        let set = self.one(&[
            "age = age + 1",
            "name = upper(name), age = 30",
            "balance = balance / 2",
            "age = CASE WHEN customer_id = 2 THEN 1 ELSE age END",
            "age = (SELECT count(*) FROM products)",
            "region = 100 / age",
            "customer_id = 3",
        ]);
        let returning = self.one(&["", " RETURNING customer_id, age"]);
        match self.below(4) {
            0 => format!(
                "UPDATE counters SET hits = hits + 1 WHERE {}",
                self.one(&["true", "id < 4", "label = 'a'", "id IN (1, 5)"])
            ),
            1 => format!("UPDATE products SET price = price + 1 WHERE product_id = {}", self.below(5)),
            _ => format!("UPDATE customers SET {set} WHERE {condition}{returning}"),
        }
    }

    fn delete(&mut self) -> String {
        match self.below(3) {
            0 => format!("DELETE FROM orders WHERE customer_id = {} AND order_id < {}", self.key(), self.below(30)),
            1 => format!("DELETE FROM customers WHERE customer_id = {} RETURNING name", self.key()),
            _ => format!("DELETE FROM orders WHERE {}", self.condition("customer_id", 1).replace("age >", "amount >")),
        }
    }
}
