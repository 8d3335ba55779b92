//! `algorithm: range`.

use super::{Sharded, copy_in};

const RULES: &str = r#"
kind: TableGroup
name: orders
key: {type: bigint}
algorithm: range
range:
- {to: 0, shard: s0}
- {from: 0, to: 100, shard: s1}
- {from: 100, to: 200, shard: s2}
- {from: 200, to: 300, shard: s1}
tables: {orders: {key: id}, items: {key: order_id}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: words
key: {type: text}
algorithm: range
range: [{to: m, shard: s1}, {from: m, shard: s2}]
tables: {words: {key: word}}
missing_key: {read: scatter, write: scatter}
"#;

const SCHEMA: [&str; 3] = [
    "CREATE TABLE orders (id bigint PRIMARY KEY, total int)",
    "CREATE TABLE items (order_id bigint, what text)",
    "CREATE TABLE words (word text PRIMARY KEY)",
];

/// Simple numbers from a seed, the same in every run.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    fn value(&mut self) -> i64 {
        let edges = [-1, 0, 1, 99, 100, 101, 199, 200, 299, 300];
        match self.up_to(3) {
            0 => edges[self.up_to(edges.len() as u64) as usize],
            _ => self.up_to(400) as i64 - 50,
        }
    }

    fn condition(&mut self) -> String {
        let value = self.value();
        match self.up_to(9) {
            0 => format!("id = {value}"),
            1 => format!("id < {value}"),
            2 => format!("id <= '{value}'"),
            3 => format!("{value} < id"),
            4 => format!("id >= {value}::bigint"),
            5 => format!("id BETWEEN {value} AND {}", value + self.up_to(120) as i64),
            6 => format!("id IN ({value}, {}, {})", self.value(), self.value()),
            7 => format!("(id, total) > ({value}, {})", self.value()),
            _ => format!("id < {value}.5"),
        }
    }
}

#[tokio::test]
async fn random_conditions_find_what_one_server_finds() {
    let mut test = Sharded::start("algorithm_range", RULES, &SCHEMA).await;
    let both = &mut test.both;
    let rows: Vec<String> =
        (-50..300).step_by(7).chain([-1, 0, 99, 100, 199, 200, 299]).map(|id| id.to_string()).collect();
    let mut seen = std::collections::BTreeSet::new();
    let rows: Vec<String> =
        rows.into_iter().filter(|id| seen.insert(id.clone())).map(|id| format!("({id}, {id})")).collect();
    both.same(&format!("INSERT INTO orders VALUES {}", rows.join(", ")));
    both.same("INSERT INTO items VALUES (-1, 'a'), (0, 'b'), (99, 'c'), (100, 'd'), (299, 'e')");
    let tags = copy_in(both, "COPY items FROM STDIN", "-50\tx\n150\ty\n");
    assert_eq!(tags, ["COPY 2", "COPY 2"]);
    for (shard, outside) in
        [("s0", "id >= 0"), ("s1", "NOT (id >= 0 AND id < 100 OR id >= 200)"), ("s2", "id < 100 OR id >= 200")]
    {
        assert_eq!(test.on_shard(shard, &format!("SELECT count(*) FROM orders WHERE {outside}")), ["0"], "{shard}");
    }
    let both = &mut test.both;
    let mut dice = Dice(7);
    for turn in 0..150 {
        let condition = match dice.up_to(3) {
            0 => dice.condition(),
            1 => format!("{} AND {}", dice.condition(), dice.condition()),
            _ => format!("{} OR {}", dice.condition(), dice.condition()),
        };
        match turn % 5 {
            0 => both.same(&format!("SELECT o.id, i.what FROM orders o LEFT JOIN items i ON i.order_id = o.id WHERE {condition} ORDER BY 1, 2")),
            1 => both.same(&format!("UPDATE orders SET total = total + 1 WHERE {condition}")),
            2 => both.same(&format!("SELECT count(*), sum(total) FROM orders WHERE {condition}")),
            _ => both.same(&format!("SELECT id, total FROM orders WHERE {condition} ORDER BY id")),
        };
    }
    both.same("DELETE FROM orders WHERE id >= 95 AND id < 105 RETURNING id");
    both.same("SELECT * FROM orders ORDER BY id");
}

#[tokio::test]
async fn only_the_ranges_that_a_statement_meets_are_asked() {
    let mut test = Sharded::start("algorithm_range_routes", RULES, &SCHEMA).await;
    let routes = [
        ("SELECT * FROM orders WHERE id < 0", "Direct on s0"),
        ("SELECT * FROM orders WHERE id BETWEEN 100 AND 199", "Direct on s2"),
        ("SELECT * FROM orders WHERE id >= 0", "Scatter over s1, s2"),
        ("SELECT * FROM orders WHERE id >= 200", "Direct on s1"),
        ("UPDATE orders SET total = 0 WHERE id > 99 AND id < 200", "Direct on s2"),
        ("DELETE FROM orders WHERE id <= 0", "Write over s0, s1"),
        ("SELECT * FROM words WHERE word < 'b'", "Scatter over s1, s2"),
        ("SELECT * FROM words WHERE word = 'b'", "Direct on s1"),
    ];
    for (sql, expected) in routes {
        assert_eq!(test.route(sql), expected, "{sql}");
    }
    test.refused("INSERT INTO orders VALUES (300, 1)", "23514");
    test.refused("INSERT INTO orders VALUES (NULL, 1)", "23502");
    let both = &mut test.both;
    both.same("INSERT INTO words VALUES ('lima'), ('mike'), ('Zulu'), ('élan')");
    both.same("SELECT * FROM words WHERE word = 'élan'");
    both.same("SELECT * FROM words WHERE word >= 'lima' ORDER BY word");
    assert_eq!(test.on_shard("s1", "SELECT word FROM words ORDER BY word COLLATE \"C\""), ["Zulu", "lima"]);
    // Typed parameters, in binary.
    let client = test.proxy.client().await;
    for id in [-7i64, 7, 107, 207] {
        client.execute("INSERT INTO orders VALUES ($1, 1)", &[&id]).await.unwrap();
    }
    let within = "SELECT count(*) FROM orders WHERE id >= $1 AND id < $2";
    for (low, high, expected) in [(0i64, 100i64, 1i64), (-100, 0, 1), (0, 1000, 3), (100, 100, 0), (300, 900, 0)] {
        let row = client.query_one(within, &[&low, &high]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), expected, "{low} {high}");
    }
}
