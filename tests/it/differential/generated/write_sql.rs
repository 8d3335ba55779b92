//! Generated INSERTs, UPDATEs, DELETEs and MERGEs over the tables of [`SCHEMA`]. Values that may become parameters are
//! marked `«type:value»`.

use super::super::random::Random;

/// The tables that are written; the rules are those of all differential tests.
pub const SCHEMA: [&str; 8] = [
    "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text DEFAULT 'none', age int, balance numeric(12, 2) \
     DEFAULT 1.5, region int, twice int GENERATED ALWAYS AS (age * 2) STORED, CHECK (age < 500))",
    "CREATE TABLE orders (customer_id bigint NOT NULL, order_id int NOT NULL, product int, amount numeric(10, 2), \
     note varchar(8) DEFAULT 'none', PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE documents (tenant text NOT NULL, doc int NOT NULL, title text, PRIMARY KEY (tenant, doc))",
    "CREATE TABLE counters (id int PRIMARY KEY, hits bigint NOT NULL DEFAULT 0 CHECK (hits >= 0), label text)",
    "CREATE TABLE strict (id bigint PRIMARY KEY, n int)",
    "CREATE TABLE products (product_id int PRIMARY KEY, title text, price numeric(10, 2))",
    "CREATE TABLE settings (name text PRIMARY KEY, value text)",
    "CREATE TABLE audit (id int PRIMARY KEY, what text)",
];

/// What is read of all tables to compare them.
pub const CONTENTS: [&str; 8] = [
    "SELECT * FROM customers ORDER BY customer_id",
    "SELECT * FROM orders ORDER BY customer_id, order_id",
    "SELECT * FROM documents ORDER BY tenant COLLATE \"C\", doc",
    "SELECT * FROM counters ORDER BY id",
    "SELECT * FROM strict WHERE id = 1",
    "SELECT * FROM products ORDER BY product_id",
    "SELECT * FROM settings ORDER BY name",
    "SELECT * FROM audit ORDER BY id",
];

/// Puts the tables into one state.
pub const FILL: [&str; 9] = [
    "TRUNCATE customers, orders",
    "TRUNCATE documents",
    "TRUNCATE counters",
    "DELETE FROM products",
    "DELETE FROM settings",
    "DELETE FROM audit",
    "INSERT INTO products VALUES (0, 'nil', 0.50), (1, 'apple', 1.00), (2, 'pear', 2.25), (3, NULL, NULL)",
    "INSERT INTO settings VALUES ('currency', 'EUR'), ('theme', 'dark')",
    "INSERT INTO audit VALUES (1, 'start'), (5, 'five')",
];

/// Returns the rows that the sharded tables have at the beginning.
pub fn rows(random: &mut Random) -> Vec<String> {
    let list = |make: &mut dyn FnMut(u64) -> String, count| (0..count).map(make).collect::<Vec<_>>().join(", ");
    let customers = list(
        &mut |key| {
            let name = random.one(&["NULL", "'ann'", "'bob'", "'Cid'", "''"]);
            let region = random.one(&["NULL", "1", "2", "3"]);
            format!("({key}, {name}, {}, {}.{:02}, {region})", random.below(5) * 10, random.below(9), random.below(99))
        },
        12,
    );
    let orders = list(
        &mut |n| {
            let product = random.one(&["NULL", "0", "1", "2", "3"]);
            format!("({}, {}, {product}, {}.50, 'n{n}')", n % 12, n / 12, random.below(9))
        },
        24,
    );
    let documents = list(&mut |n| format!("('{}', {n}, 't{n}')", ["acme", "zoe", "größe", ""][n as usize % 4]), 9);
    let counters = list(&mut |n| format!("({n}, {n}, '{}')", ["a", "b", "c"][n as usize % 3]), 9);
    vec![
        format!("INSERT INTO customers (customer_id, name, age, balance, region) VALUES {customers}"),
        format!("INSERT INTO orders VALUES {orders}"),
        format!("INSERT INTO documents VALUES {documents}"),
        format!("INSERT INTO counters VALUES {counters}"),
    ]
}

/// Makes one statement.
pub fn statement(random: &mut Random) -> String {
    match random.below(24) {
        0..=4 => insert(random),
        5..=8 => update(random),
        9 | 10 => delete(random),
        11..=13 => insert_select(random),
        14 => moved(random),
        15 => merge(random),
        16 => with_writes(random),
        17 => computed(random),
        18..=21 => super::apart_sql::statement(random),
        _ => small(random),
    }
}

fn key(random: &mut Random) -> String {
    format!("«8:{}»", random.below(15))
}

fn text(random: &mut Random) -> String {
    format!("«t:{}»", random.one(&["new", "ann", "ähre", "", "it''s", "a\\b"]))
}

fn number(random: &mut Random) -> String {
    format!("«4:{}»", random.below(60))
}

fn insert(random: &mut Random) -> String {
    let rows = |random: &mut Random, cells: &dyn Fn(&mut Random) -> String| {
        let count = [0, 0, 1, 2, 3][random.below(5) as usize];
        (0..=count).map(|_| format!("({})", cells(random))).collect::<Vec<_>>().join(", ")
    };
    match random.below(6) {
        0 => {
            let values = rows(random, &|random| format!("{}, {}, {}", key(random), number(random), number(random)));
            let conflict = random.one(&[
                "",
                " ON CONFLICT DO NOTHING",
                " ON CONFLICT (customer_id, order_id) DO UPDATE SET product = excluded.product, note = o.note || '!'",
                " ON CONFLICT (order_id, customer_id) DO UPDATE SET amount = 1 WHERE o.product > 1",
            ]);
            let returning = random.one(&["", " RETURNING *", " RETURNING o.note, order_id"]);
            format!("INSERT INTO orders AS o VALUES {values}{conflict}{returning}")
        }
        1 => {
            let values = rows(random, &|random| {
                let tenant = random.one(&["«t:acme»", "«t:zoe»", "'größe'", "'x' ", "E'\\x61'", "$$q$$", "'5'::text"]);
                format!("{tenant}, {}, {}", number(random), text(random))
            });
            let conflict = random.one(&[
                "",
                " ON CONFLICT (tenant, doc) DO UPDATE SET title = documents.title || excluded.title",
                " ON CONFLICT ON CONSTRAINT documents_pkey DO NOTHING",
            ]);
            format!(
                "INSERT INTO documents (tenant, doc, title) VALUES {values}{conflict} RETURNING title, doc + 1 AS n"
            )
        }
        2 => format!(
            "INSERT INTO counters (hits, id) VALUES {}",
            rows(random, &|random| {
                let hits = random.one(&["DEFAULT", "«8:3»", "-1", "NULL", "2 * 3"]);
                let hits = if random.below(3) == 0 { hits } else { "«8:7»" };
                format!("{hits}, {}", number(random))
            })
        ),
        _ => {
            let list =
                random.one(&["(customer_id, name, age)", "(age, name, customer_id)", "AS c (customer_id, name, age)"]);
            let first = list.ends_with("(customer_id, name, age)");
            let values = rows(random, &|random| {
                let age = match random.below(8) {
                    0 => "DEFAULT".to_owned(),
                    1 => "NULL".to_owned(),
                    2 => format!("{} + 20", number(random)),
                    3 => "(SELECT max(price)::int FROM products)".to_owned(),
                    4 => "length('four')".to_owned(),
                    _ => number(random),
                };
                let name = match random.below(5) {
                    0 => "DEFAULT".to_owned(),
                    1 => "upper('x')".to_owned(),
                    _ => text(random),
                };
                let key = match random.below(12) {
                    0 => "5::bigint".to_owned(),
                    1 => "' 7 '".to_owned(),
                    2 => "3.5".to_owned(),
                    3 => "NULL".to_owned(),
                    _ => key(random),
                };
                if first { format!("{key}, {name}, {age}") } else { format!("{age}, {name}, {key}") }
            });
            let conflict = random.one(&[
                "",
                "",
                " ON CONFLICT DO NOTHING",
                " ON CONFLICT (customer_id) DO NOTHING",
                " ON CONFLICT (customer_id) DO UPDATE SET age = excluded.age + 1, name = DEFAULT",
                " ON CONFLICT (customer_id) DO UPDATE SET (age, region) = (excluded.age, 3)",
            ]);
            let returning =
                random.one(&["", " RETURNING customer_id, name", " RETURNING *", " RETURNING twice, upper(name)"]);
            format!("INSERT INTO customers {list} VALUES {values}{conflict}{returning}")
        }
    }
}

fn condition(random: &mut Random, key: &str) -> String {
    let (a, b) = (random.below(15), random.below(15));
    let own = key.rsplit('.').next().unwrap_or(key);
    match random.below(15) {
        0..=3 => format!("{key} = «8:{a}»"),
        4 => format!("{key} IN («8:{a}», «8:{b}», 3)"),
        5 => format!("{key} = ANY ('{{{a},{b}}}')"),
        6 => format!("{key} = '{a}'"),
        7 => format!("{key} = «8:{a}» AND {key} > «8:{b}»"),
        8 => format!("{key} BETWEEN «8:{a}» AND «8:{}»", a + 2),
        9 => format!("{key} = «8:{a}» OR {key} = «8:{b}»"),
        10 => format!("{key} IN (SELECT product_id FROM products)"),
        11 => format!("{key} = {a} AND EXISTS (SELECT 1 FROM orders x WHERE x.customer_id = {key} AND x.order_id = 1)"),
        12 => format!("{key} IN ({a}, {b}) AND {key} IN (SELECT x.{own} FROM customers x WHERE x.age > 10)"),
        13 => format!("{key} = {a} AND age > (SELECT avg(price) FROM products)"),
        _ => "true".to_owned(),
    }
}

fn update(random: &mut Random) -> String {
    match random.below(7) {
        0 => {
            let set = random.one(&["hits = hits + 1", "hits = hits - 3", "label = upper(label), hits = DEFAULT"]);
            let label = random.one(&["true", "id < «4:5»", "label = 'a'", "id IN (1, 5)", "id = «4:3»"]);
            format!("UPDATE counters SET {set} WHERE {label}{}", random.one(&["", " RETURNING *"]))
        }
        1 => format!("UPDATE products SET price = price + «4:1» WHERE product_id = {}", number(random)),
        2 => {
            let condition = condition(random, "c.customer_id").replace("age >", "c.age >");
            let from = random.one(&[
                "products p WHERE p.product_id = c.region",
                "products p WHERE p.product_id = «4:1»",
                "orders o WHERE o.customer_id = c.customer_id AND o.order_id = 1",
                "orders o JOIN products p ON p.product_id = o.product WHERE o.customer_id = c.customer_id AND o.order_id = 0",
                "(SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) o WHERE o.customer_id = c.customer_id",
                "(VALUES (1), (2)) v(id) WHERE v.id = c.customer_id",
            ]);
            let returning = random.one(&["", " RETURNING c.customer_id, c.age"]);
            format!("UPDATE customers c SET age = coalesce(c.age, 0) + 1 FROM {from} AND ({condition}){returning}")
        }
        3 => {
            let set = random.one(&["title = title || '!'", "title = DEFAULT", "title = «t:set»"]);
            let which =
                random.one(&["tenant = «t:acme»", "tenant IN ('zoe', 'größe')", "tenant = '' AND doc > 3", "doc = 2"]);
            format!("UPDATE documents SET {set} WHERE {which} RETURNING *")
        }
        _ => {
            let set = random.one(&[
                "age = age + 1",
                "name = upper(name), age = «4:30»",
                "balance = balance / 2",
                "age = (SELECT count(*) FROM products)",
                "region = 100 / age",
                "age = (SELECT count(*) FROM orders o WHERE o.customer_id = customers.customer_id)",
                "name = DEFAULT, balance = DEFAULT",
                "(name, age) = («t:row», 4)",
                "(name, age) = (SELECT 'sub', max(product_id) FROM products)",
                "age = 1000",
                "twice = 3",
            ]);
            let returning = random.one(&["", " RETURNING customer_id, age", " RETURNING *"]);
            format!("UPDATE customers SET {set} WHERE {}{returning}", condition(random, "customer_id"))
        }
    }
}

fn delete(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!("DELETE FROM orders WHERE customer_id = {} AND order_id < {}", key(random), number(random)),
        1 => {
            let condition = condition(random, "c.customer_id").replace("age >", "c.age >");
            format!(
                "DELETE FROM orders o USING customers c WHERE c.customer_id = o.customer_id AND ({condition}) RETURNING o.*, c.name"
            )
        }
        2 => format!("DELETE FROM counters WHERE hits > «8:{}» RETURNING id", random.below(20)),
        3 => "DELETE FROM audit WHERE id = «4:5»".to_owned(),
        _ => format!("DELETE FROM customers WHERE {} RETURNING name", condition(random, "customer_id")),
    }
}

fn insert_select(random: &mut Random) -> String {
    let (a, b) = (random.below(12), 20 + random.below(40));
    let conflict = random.one(&["", "", " ON CONFLICT DO NOTHING"]);
    let returning = random.one(&["", " RETURNING *"]);
    let source = match random.below(14) {
        0 => format!("SELECT customer_id, order_id + {b}, product FROM orders WHERE customer_id = «8:{a}»"),
        1 => format!("SELECT customer_id, {b}, age FROM customers WHERE customer_id IN ({a}, 3, 4)"),
        2 => format!("SELECT customer_id + 1, {b}, region FROM customers"),
        3 => format!("SELECT {a}, product_id + {b}, product_id FROM products"),
        4 => format!("SELECT product_id, {b}, 1 FROM products"),
        5 => format!("SELECT n, {b}, 2 FROM generate_series({a}, {a} + 3) n"),
        6 => format!("SELECT id, {b}, hits FROM counters WHERE label = 'a'"),
        7 => format!("SELECT customer_id, max(order_id) + {b}, sum(product) FROM orders GROUP BY customer_id"),
        8 => format!("SELECT customer_id, {b}, age FROM customers ORDER BY age, customer_id LIMIT 3"),
        9 => format!("WITH v(k, n) AS (VALUES (1, {b}), ({a}, {b})) SELECT k, n, 1 FROM v"),
        10 => {
            format!("SELECT o.customer_id, o.order_id + {b}, c.age FROM orders o JOIN customers c USING (customer_id)")
        }
        11 => format!("SELECT «8:{a}», «4:{b}», NULL"),
        12 => format!("SELECT customer_id, {b}, '5' FROM customers WHERE age > «4:10» UNION SELECT 3, {b}, '6'"),
        _ => format!("SELECT id, {b}, 1 FROM audit"),
    };
    match random.below(6) {
        0 => format!(
            "INSERT INTO counters (id, label) SELECT customer_id + {b}, name FROM customers WHERE age < 30{conflict}"
        ),
        1 => format!(
            "INSERT INTO documents SELECT 'new', order_id + {b}, note FROM orders WHERE customer_id = {a}{conflict}{returning}"
        ),
        2 => format!(
            "INSERT INTO audit (id, what) SELECT customer_id + {b}, name FROM customers WHERE customer_id < {a}"
        ),
        _ => format!("INSERT INTO orders (customer_id, order_id, product) {source}{conflict}{returning}"),
    }
}

/// UPDATE of the sharding key.
fn moved(random: &mut Random) -> String {
    let (a, b) = (random.below(12), random.below(40));
    match random.below(6) {
        0 => format!("UPDATE customers SET customer_id = {b} WHERE customer_id = {a} RETURNING *"),
        1 => format!("UPDATE orders SET customer_id = «8:{b}», note = 'moved' WHERE customer_id = «8:{a}»"),
        2 => format!("UPDATE orders SET customer_id = customer_id + 100 WHERE customer_id IN ({a}, 3) RETURNING note"),
        3 => format!("UPDATE documents SET tenant = 't{b}' WHERE tenant = 'acme' AND doc > {a} RETURNING tenant, doc"),
        4 => format!("UPDATE counters SET id = id + 50 WHERE hits > {a} RETURNING id, hits"),
        _ => format!("UPDATE customers SET customer_id = {b}, age = age + 1, name = DEFAULT WHERE customer_id = {a}"),
    }
}

fn merge(random: &mut Random) -> String {
    let (a, b) = (random.below(12), random.below(40));
    let source = match random.below(6) {
        0 => format!("(SELECT {a} AS id, {b} AS n)"),
        1 => format!("(VALUES ({a}, 1), ({b}, 2))"),
        2 => "products".to_owned(),
        3 => "(SELECT customer_id, order_id FROM orders WHERE order_id = 1)".to_owned(),
        4 => format!("(SELECT customer_id, order_id FROM orders WHERE customer_id = {a} AND order_id = 1)"),
        _ => format!("(SELECT «8:{a}»::bigint AS id, «4:{b}»::int AS n)"),
    };
    let alias = if source == "products" { "s(id, title, n)" } else { "s(id, n)" };
    let matched = random.one(&["UPDATE SET age = s.n", "DELETE", "DO NOTHING"]);
    format!(
        "MERGE INTO customers c USING {source} {alias} ON c.customer_id = s.id WHEN MATCHED AND c.age > 5 THEN {matched} \
         WHEN NOT MATCHED THEN INSERT (customer_id, name) VALUES (s.id, 'merged')"
    )
}

fn with_writes(random: &mut Random) -> String {
    let (a, b) = (random.below(12), 60 + random.below(40));
    match random.below(5) {
        0 => format!(
            "WITH d AS (DELETE FROM orders WHERE customer_id = {a} RETURNING *) SELECT count(*), min(note) FROM d"
        ),
        1 => format!(
            "WITH d AS (DELETE FROM orders WHERE customer_id = {a} RETURNING *) \
             INSERT INTO orders SELECT {a}, order_id + {b}, product, amount, note FROM d"
        ),
        2 => format!(
            "WITH u AS (UPDATE customers SET age = 7 WHERE customer_id = «8:{a}» RETURNING customer_id, age) \
             UPDATE orders o SET product = u.age FROM u WHERE o.customer_id = {a} AND u.customer_id = o.customer_id"
        ),
        3 => format!(
            "WITH i AS (INSERT INTO customers (customer_id, name) VALUES ({b}, 'with') RETURNING customer_id) \
             SELECT * FROM i"
        ),
        _ => {
            format!("WITH v AS (SELECT {a} AS k) DELETE FROM orders USING v WHERE customer_id = v.k RETURNING order_id")
        }
    }
}

/// Keys that PostgreSQL has to compute.
fn computed(random: &mut Random) -> String {
    let (a, b) = (random.below(12), 20 + random.below(40));
    match random.below(6) {
        0 => format!("INSERT INTO customers (customer_id, name) VALUES ({a} + {b}, 'sum') RETURNING *"),
        1 => format!("INSERT INTO documents VALUES (lower('ACME'), {b}, 'low'), ('x' || 'y', {b}, NULL)"),
        2 => format!("INSERT INTO customers (customer_id) VALUES ((SELECT max(product_id) + {b} FROM products))"),
        3 => format!(
            "INSERT INTO customers (customer_id, age) VALUES («8:{a}» + 20, 1), ({b}, 2) ON CONFLICT DO NOTHING"
        ),
        4 => format!("INSERT INTO counters (id, hits) VALUES (abs(-{b}), {a}), (length('four') * {b}, 1)"),
        _ => format!("INSERT INTO customers (customer_id, name) VALUES (1e1, 'float'), ({a}.4, 'num')"),
    }
}

/// Tables of one shard, and of groups with stricter rules.
fn small(random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("INSERT INTO strict VALUES ({}, 1) ON CONFLICT (id) DO UPDATE SET n = strict.n + 1", key(random)),
        1 => "UPDATE strict SET n = n + 1 WHERE id = «8:1» RETURNING n".to_owned(),
        2 => format!(
            "INSERT INTO settings VALUES ({}, 'v') ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            text(random)
        ),
        3 => format!(
            "INSERT INTO products VALUES ({}, 'p', 1) ON CONFLICT (product_id) DO UPDATE SET price = 9",
            number(random)
        ),
        4 => format!("UPDATE audit SET what = what || {} WHERE id < 9 RETURNING id", text(random)),
        _ => "SELECT customer_id, age FROM customers WHERE customer_id IN (1, 2, 3) ORDER BY customer_id FOR UPDATE"
            .to_owned(),
    }
}
