//! Random SELECTs over sharded, reference, single and unlisted tables.

use super::super::random::Random;
use super::expressions::{Kind, Seen, Sight, aggregate, any_kind, constant, expression, predicate};

use Kind::{Bool, Date, Int, Numeric, Text};

/// A table and its columns that serve.
type Table = (&'static str, &'static [(&'static str, Kind)]);

/// The tables of `schema.sql`: sharded ones, among them one without rows, twice as often.
const TABLES: [Table; 11] = [
    ("customers", CUSTOMERS),
    ("orders", ORDERS),
    ("customers", CUSTOMERS),
    ("orders", ORDERS),
    ("documents", &[("tenant", Text), ("doc", Int), ("title", Text)]),
    ("counters", &[("id", Int), ("hits", Int), ("label", Text)]),
    ("empty", &[("id", Int), ("n", Int), ("t", Text)]),
    ("products", &[("product_id", Int), ("title", Text), ("price", Numeric), ("sold", Date)]),
    ("regions", &[("region_id", Int), ("name", Text)]),
    ("settings", &[("name", Text), ("value", Text)]),
    ("loose", &[("id", Int), ("what", Text)]),
];

const CUSTOMERS: &[(&str, Kind)] = &[
    ("customer_id", Int),
    ("name", Text),
    ("age", Int),
    ("balance", Numeric),
    ("region", Int),
    ("joined", Date),
    ("vip", Bool),
];
const ORDERS: &[(&str, Kind)] =
    &[("customer_id", Int), ("order_id", Int), ("product", Int), ("amount", Numeric), ("note", Text)];

/// A statement, and whether the order of its rows is told.
pub struct Question {
    pub sql: String,
    pub ordered: bool,
}

/// Returns a SELECT of all sorts.
pub fn question(random: &mut Random) -> Question {
    let mut kinds: Vec<Kind> = (0..=random.below(3)).map(|_| any_kind(random)).collect();
    if random.below(12) == 0 {
        return oddity(random);
    }
    let none = Sight::new();
    let mut sql = query_of(random, &none, &kinds, 2);
    if random.below(8) == 0 {
        kinds = vec![Int, Text];
        sql = with(random);
    }
    ordered(random, sql, kinds.len())
}

/// Adds an order over all columns, and then perhaps a limit; now and then neither.
fn ordered(random: &mut Random, sql: String, columns: usize) -> Question {
    if random.below(4) == 0 {
        return Question { sql, ordered: false };
    }
    let mut keys: Vec<String> = Vec::new();
    for number in 1..=columns {
        let way = random.one(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        keys.push(format!("{number}{way}"));
    }
    let (few, skipped) = (random.below(6), random.below(5));
    let tail = match random.below(8) {
        0 | 1 => format!(" LIMIT {few}"),
        2 => format!(" LIMIT {few} OFFSET {skipped}"),
        3 => format!(" OFFSET {skipped} ROWS FETCH FIRST {few} ROWS ONLY"),
        4 => format!(" FETCH FIRST {} ROWS WITH TIES", few + 1),
        _ => String::new(),
    };
    Question { sql: format!("{sql} ORDER BY {}{tail}", keys.join(", ")), ordered: true }
}

/// Returns a query of these kinds of columns that may refer to the columns in sight around it.
pub fn query_of(random: &mut Random, outer: &Sight, kinds: &[Kind], depth: u64) -> String {
    match random.below(16) {
        0 | 1 if depth > 0 => {
            let (left, right) =
                (select_of(random, outer, kinds, depth - 1), select_of(random, outer, kinds, depth - 1));
            let joint = random.one(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]);
            format!("{left} {joint} {right}")
        }
        2 => {
            let row = |random: &mut Random| {
                let cells: Vec<String> = kinds.iter().map(|kind| constant(random, *kind)).collect();
                format!("({})", cells.join(", "))
            };
            format!("VALUES {}, {}", row(random), row(random))
        }
        _ => select_of(random, outer, kinds, depth),
    }
}

fn select_of(random: &mut Random, outer: &Sight, kinds: &[Kind], depth: u64) -> String {
    let mut sight = outer.clone();
    let from = from(random, &mut sight, depth);
    let own: Sight = sight[outer.len()..].to_vec();
    let condition = match random.below(4) {
        0 => String::new(),
        1 => format!(" WHERE {} = {}", any_of(random, &own, Int), random.below(14)),
        _ => format!(" WHERE {}", predicate(random, &sight, depth)),
    };
    match random.below(9) {
        0 | 1 => grouped(random, &own, kinds, &from, &condition, depth),
        2 => windowed(random, &own, kinds, &from, &condition),
        3 => {
            let items: Vec<String> = kinds.iter().map(|kind| any_of(random, &own, *kind)).collect();
            let order = any_of(random, &own, Int);
            // What is shown orders the rest, so that it does not matter which of equal rows stays.
            let rest: Vec<String> = items.iter().map(|item| format!("({item})")).collect();
            format!(
                "SELECT * FROM (SELECT DISTINCT ON ({order}) {} FROM {from}{condition} ORDER BY {order}, {}) AS d0",
                items.join(", "),
                rest.join(", ")
            )
        }
        choice => {
            let items: Vec<String> = kinds.iter().map(|kind| expression(random, &sight, *kind, depth)).collect();
            let distinct = if choice == 4 { "DISTINCT " } else { "" };
            format!("SELECT {distinct}{} FROM {from}{condition}", items.join(", "))
        }
    }
}

/// A column of the kind, or an expression: a bare number would be a position.
fn any_of(random: &mut Random, own: &Sight, kind: Kind) -> String {
    let fitting: Vec<&Seen> = own.iter().filter(|seen| seen.kind == kind).collect();
    match fitting.len() as u64 {
        0 => typed(random, kind),
        count => fitting[random.below(count) as usize].name.clone(),
    }
}

fn any_key(random: &mut Random, own: &Sight) -> String {
    let kind = any_kind(random);
    any_of(random, own, kind)
}

fn typed(random: &mut Random, kind: Kind) -> String {
    match kind {
        Int => format!("(0 + {})", constant(random, kind)),
        Text => format!("({} || '')", constant(random, kind)),
        Numeric => format!("(0 + {})", constant(random, kind)),
        Bool => format!("(NOT {})", constant(random, kind)),
        Date => format!("({} + 0)", constant(random, kind)),
    }
}

fn grouped(random: &mut Random, own: &Sight, kinds: &[Kind], from: &str, condition: &str, depth: u64) -> String {
    let keys: Vec<String> = (0..random.below(3)).map(|_| any_key(random, own)).collect();
    let items: Vec<String> = kinds.iter().map(|kind| aggregate_of(random, own, &keys, *kind, depth.min(1))).collect();
    let having = match random.below(4) {
        0 => format!(" HAVING {} > {}", "count(*)", random.below(3)),
        1 => format!(" HAVING {} IS NOT NULL", aggregate(random, own, 0)),
        _ => String::new(),
    };
    let group = match (keys.len(), random.below(6)) {
        (0, _) => String::new(),
        (_, 0) => format!(" GROUP BY ROLLUP ({})", keys.join(", ")),
        (_, 1) => format!(" GROUP BY CUBE ({})", keys.join(", ")),
        (_, 2) => format!(" GROUP BY GROUPING SETS (({}), ())", keys.join(", ")),
        _ => format!(" GROUP BY {}", keys.join(", ")),
    };
    format!("SELECT {} FROM {from}{condition}{group}{having}", items.join(", "))
}

/// An aggregate of a kind, or a key of that kind.
fn aggregate_of(random: &mut Random, own: &Sight, keys: &[String], kind: Kind, depth: u64) -> String {
    let is_key = |seen: &&Seen| seen.kind == kind && keys.contains(&seen.name);
    if let Some(key) = own.iter().find(is_key).filter(|_| random.below(2) == 0) {
        return key.name.clone();
    }
    let value = expression(random, own, kind, depth);
    match kind {
        Int => match random.below(5) {
            0 => "count(*)".to_owned(),
            1 => format!("count(DISTINCT {value})"),
            2 => format!("max({value})"),
            3 => format!("count({value}) + 1"),
            _ => format!("sum({value})::bigint"),
        },
        Text => format!("({})::text", aggregate(random, own, depth)),
        Numeric => format!("{}({value})", random.one(&["sum", "avg", "min", "max"])),
        Bool => format!("{}({value})", random.one(&["bool_and", "bool_or", "every"])),
        Date => format!("{}({value})", random.one(&["min", "max"])),
    }
}

fn windowed(random: &mut Random, own: &Sight, kinds: &[Kind], from: &str, condition: &str) -> String {
    let items: Vec<String> = kinds.iter().map(|kind| window(random, own, *kind)).collect();
    format!("SELECT {} FROM {from}{condition}", items.join(", "))
}

/// Windows whose values are the same for rows that are equal in what orders them.
fn window(random: &mut Random, own: &Sight, kind: Kind) -> String {
    let (value, part, order) = (any_of(random, own, kind), any_of(random, own, Text), any_of(random, own, Int));
    let over = match random.below(3) {
        0 => format!("OVER (PARTITION BY {part})"),
        1 => format!("OVER (ORDER BY {order})"),
        _ => format!("OVER (PARTITION BY {part} ORDER BY {order} RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"),
    };
    match kind {
        Int => match random.below(4) {
            0 => format!("rank() OVER (ORDER BY {order})"),
            1 => format!("dense_rank() OVER (PARTITION BY {part} ORDER BY {order})"),
            2 => format!("count(*) {over}"),
            _ => format!("sum({value}) {over}::bigint"),
        },
        Text | Date => format!("max({value}) {over}"),
        Numeric => format!("sum({value}) {over}"),
        Bool => format!("bool_or({value}) {over}"),
    }
}

/// Returns a FROM list and adds its columns to what is in sight.
fn from(random: &mut Random, sight: &mut Sight, depth: u64) -> String {
    let (mut text, mut left) = item(random, sight, depth);
    for _ in 0..random.below(3) {
        let lateral = random.below(10) == 0 && depth > 0;
        let (right_text, right) =
            if lateral { derived(random, sight, depth - 1, true) } else { item(random, sight, depth) };
        let shared: Vec<&str> = left.iter().filter(|name| right.contains(name)).map(String::as_str).collect();
        let seen: Sight = sight.to_vec();
        let kind = random.one(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "JOIN", "CROSS JOIN", ","]);
        let kind = if lateral { random.one(&["CROSS JOIN", "LEFT JOIN", ","]) } else { kind };
        text = match kind {
            "CROSS JOIN" => format!("{text} CROSS JOIN {right_text}"),
            "," => format!("{text}, {right_text}"),
            _ if !lateral && shared.len() == 1 && random.below(2) == 0 => {
                // What a second USING would mean by the name is ambiguous: the left side is forgotten below.
                format!("{text} {kind} {right_text} USING ({})", shared[0])
            }
            _ => format!("{text} {kind} {right_text} ON {}", joint(random, &seen, left.len(), right.len())),
        };
        if kind == "," || text.contains("USING") {
            // No later join may say the names of what stands before.
            return text;
        }
        left.extend(right);
    }
    text
}

/// A join's condition: mostly an equality of a column on each side. FULL JOIN takes nothing else.
fn joint(random: &mut Random, sight: &Sight, left: usize, right: usize) -> String {
    let own = &sight[sight.len() - left - right..];
    let ints =
        |part: &[Seen]| part.iter().filter(|seen| seen.kind == Int).map(|seen| seen.name.clone()).collect::<Vec<_>>();
    let (lefts, rights) = (ints(&own[..left]), ints(&own[left..]));
    let pick = |random: &mut Random, names: &[String]| match names.len() as u64 {
        0 => "1".to_owned(),
        // The first one is the key.
        count => names[if random.below(2) == 0 { 0 } else { random.below(count) as usize }].clone(),
    };
    let equal = format!("{} = {}", pick(random, &lefts), pick(random, &rights));
    match random.below(4) {
        0 => format!("{equal} AND {} = {}", pick(random, &lefts), pick(random, &rights)),
        _ => equal,
    }
}

/// One item of FROM; returns the names of its columns.
fn item(random: &mut Random, sight: &mut Sight, depth: u64) -> (String, Vec<String>) {
    if depth > 0 && random.below(5) == 0 {
        return derived(random, sight, depth - 1, false);
    }
    let alias = format!("t{}", random.fresh());
    if random.below(14) == 0 {
        sight.push(Seen { name: format!("{alias}.n"), kind: Int });
        return (format!("generate_series(1, {}) AS {alias}(n)", random.below(4)), vec!["n".to_owned()]);
    }
    let (name, columns) = match random.below(60) {
        // It lives on another shard than home; not much is answered with it.
        0 => ("audit", &[("id", Int), ("what", Text)] as &[(&str, Kind)]),
        _ => TABLES[random.below(TABLES.len() as u64) as usize],
    };
    sight.extend(columns.iter().map(|(column, kind)| Seen { name: format!("{alias}.{column}"), kind: *kind }));
    let schema = random.one(&["", "", "", "public."]);
    let only = if random.below(120) == 0 { "ONLY " } else { "" };
    let sample = if random.below(120) == 0 { " TABLESAMPLE BERNOULLI (100)" } else { "" };
    (
        format!("{only}{schema}{name} AS {alias}{sample}"),
        columns.iter().map(|(column, _)| (*column).to_owned()).collect(),
    )
}

fn derived(random: &mut Random, sight: &mut Sight, depth: u64, lateral: bool) -> (String, Vec<String>) {
    let kinds = [Int, any_kind(random)];
    let around = if lateral { sight.clone() } else { Sight::new() };
    let mut query = query_of(random, &around, &kinds, depth);
    if random.below(5) == 0 {
        query = format!("{query} ORDER BY 1, 2 LIMIT {}", random.below(9));
    }
    let alias = format!("d{}", random.fresh());
    let names = ["a", "b"].map(|name| format!("{name}_{alias}"));
    sight.extend(names.iter().zip(kinds).map(|(name, kind)| Seen { name: format!("{alias}.{name}"), kind }));
    let lateral = if lateral { "LATERAL " } else { "" };
    (format!("{lateral}({query}) AS {alias}({})", names.join(", ")), names.to_vec())
}

/// WITH in several forms, of an int and a text.
fn with(random: &mut Random) -> String {
    let none = Sight::new();
    let first = query_of(random, &none, &[Int, Text], 1);
    let how = random.one(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
    let limit = random.below(9);
    match random.below(4) {
        0 => format!("WITH w(a, b) AS {how}({first}) SELECT a, b FROM w"),
        1 => format!("WITH w(a, b) AS {how}({first}) SELECT w.a, v.b FROM w JOIN w AS v ON v.a = w.a"),
        2 => format!(
            "WITH RECURSIVE w(a, b) AS (SELECT 1, 'x'::text UNION ALL SELECT w.a + 1, c.name FROM w \
             JOIN customers c ON c.customer_id = w.a WHERE w.a < {limit}) SELECT a, b FROM w"
        ),
        _ => format!(
            "WITH w(a, b) AS {how}({first}), v AS (SELECT count(*) AS n FROM w) \
             SELECT c.customer_id, c.name FROM customers c, v WHERE c.customer_id <= v.n"
        ),
    }
}

/// Whole rows, system columns, locks and the like: each a form of its own.
fn oddity(random: &mut Random) -> Question {
    let key = random.below(14);
    let (sql, columns) = match random.below(16) {
        0 => (format!("SELECT c FROM customers c WHERE customer_id IN ({key}, 3)"), 1),
        1 => ("SELECT count(c), count(DISTINCT o) FROM customers c LEFT JOIN orders o USING (customer_id)".to_owned(), 2),
        2 => (format!("SELECT row_to_json(c)::text FROM customers c WHERE age > {key}"), 1),
        3 => ("SELECT (c).name, (c).age FROM (SELECT c FROM customers c) AS d".to_owned(), 2),
        4 => (format!("SELECT customer_id, ctid IS NULL FROM customers WHERE customer_id < {key}"), 2),
        5 => (format!("SELECT tableoid = 'customers'::regclass, count(*) FROM customers WHERE customer_id > {key} GROUP BY 1"), 2),
        6 => ("SELECT count(xmin) FROM customers".to_owned(), 1),
        7 => (format!("SELECT * FROM customers NATURAL JOIN orders WHERE customer_id <> {key}"), 12),
        8 => ("SELECT * FROM regions NATURAL FULL JOIN settings".to_owned(), 3),
        9 => (format!("SELECT customer_id FROM customers WHERE age > {key} FOR UPDATE"), 0),
        10 => (format!("SELECT product_id FROM products WHERE product_id < {key} FOR SHARE"), 0),
        11 => (format!("SELECT o.* FROM orders o, customers c WHERE c.customer_id = {key} AND o.product = c.region"), 4),
        12 => ("TABLE counters".to_owned(), 3),
        13 => (format!("SELECT count(*) FROM customers TABLESAMPLE SYSTEM (100) WHERE customer_id <> {key}"), 1),
        14 => ("SELECT c.name, x.n FROM customers c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.customer_id) x".to_owned(), 2),
        _ => (format!("SELECT name, (SELECT note FROM orders o WHERE o.customer_id = c.customer_id ORDER BY order_id LIMIT 1) FROM customers c WHERE customer_id < {key}"), 2),
    };
    if columns == 0 {
        return Question { sql, ordered: false };
    }
    ordered(random, sql, columns)
}
