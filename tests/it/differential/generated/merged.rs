//! Random SELECTs of the plainer sort, which shards answer each for its rows: what the merge has to put together.

use super::super::random::Random;
use super::queries::Question;

/// What stands in FROM: the text, columns to compute with, columns of all types, and what tells its rows apart.
struct Source {
    from: &'static str,
    numbers: &'static [&'static str],
    columns: &'static [&'static str],
    identity: &'static str,
}

const SOURCES: [Source; 6] = [
    Source {
        from: "customers c",
        numbers: &["age", "region", "c.customer_id", "balance", "length(name)"],
        columns: &["name", "age", "balance", "region", "joined", "vip", "c.age % 3", "lower(name)", "c.customer_id"],
        identity: "c.customer_id",
    },
    Source {
        from: "orders",
        numbers: &["product", "amount", "order_id", "orders.customer_id"],
        columns: &["product", "amount", "note", "placed", "customer_id", "amount > 3", "order_id", "round(amount)"],
        identity: "customer_id, order_id",
    },
    Source {
        from: "facts",
        numbers: &["i2", "i4", "n"],
        columns: &["i2", "i4", "i8", "n", "b", "t", "v", "d", "ts", "tz", "tm", "u", "by", "f4", "f8", "a"],
        identity: "id",
    },
    Source {
        from: "customers c JOIN orders o ON o.customer_id = c.customer_id",
        numbers: &["age", "amount", "o.product", "o.customer_id"],
        columns: &["name", "note", "c.customer_id", "region", "amount", "product", "c.vip"],
        identity: "c.customer_id, o.order_id",
    },
    Source {
        from: "customers c LEFT JOIN orders o USING (customer_id)",
        numbers: &["age", "amount", "o.product", "customer_id"],
        columns: &["name", "note", "customer_id", "region", "amount", "o.product IS NULL", "vip"],
        identity: "customer_id, o.order_id",
    },
    Source {
        from: "customers c LEFT JOIN regions r ON r.region_id = c.region CROSS JOIN products p",
        numbers: &["age", "price", "p.product_id", "region_id"],
        columns: &["c.name", "r.name", "title", "c.customer_id", "region", "price", "sold"],
        identity: "c.customer_id, p.product_id",
    },
];

/// Returns a SELECT that may be merged.
pub fn merged(random: &mut Random) -> Question {
    let source = &SOURCES[random.below(SOURCES.len() as u64) as usize];
    let condition = condition(random, source);
    match random.below(8) {
        0..=2 => rows(random, source, &condition),
        3 => distinct(random, source, &condition),
        4 => {
            let items = aggregates(random, source);
            Question { sql: format!("SELECT {items} FROM {}{condition}", source.from), ordered: false }
        }
        _ => groups(random, source, &condition),
    }
}

fn condition(random: &mut Random, source: &Source) -> String {
    let (column, number) = (random.one(source.columns), random.one(source.numbers));
    let key = source.identity.split(',').next().unwrap_or("id");
    let (a, b) = (random.below(13), random.below(13));
    match random.below(10) {
        0..=2 => String::new(),
        3 => format!(" WHERE {column} IS NOT NULL"),
        4 => format!(" WHERE {number} > {a}"),
        5 => format!(" WHERE {key} IN ({a}, {b}, 2)"),
        6 => format!(" WHERE {key} = {a} OR {number} < {b}"),
        7 => format!(" WHERE {key} = ANY ('{{{a},{b},5}}') AND {column} IS NOT NULL"),
        8 => format!(" WHERE {key} IN ({a}, {b}) AND {key} IN ({b}, 1, 7)"),
        _ => format!(" WHERE {number} BETWEEN {a} AND {} AND NOT {key} = {b}", a + 20),
    }
}

fn rows(random: &mut Random, source: &Source, condition: &str) -> Question {
    let (first, second, third) = (random.one(source.columns), random.one(source.columns), random.one(source.columns));
    let items = match random.below(6) {
        0 => "*".to_owned(),
        1 => format!("{first} AS a, {second} AS b"),
        2 => format!("{first}, {second}, *"),
        3 => format!("{first} AS {}", random.one(&["name", "age", "n", "amount", "x"])),
        4 => format!("coalesce({first}::text, '-') AS a, {second}"),
        _ => format!("{first}, {second}, {third}"),
    };
    let way = random.one(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC NULLS LAST"]);
    let order = match random.below(4) {
        0 => format!("{third}{way}, "),
        1 if items.contains(" AS a") => format!("a{way}, "),
        2 => format!("{}{way}, {third} DESC, ", random.one(source.numbers)),
        _ => String::new(),
    };
    let limit = limit(random);
    Question {
        sql: format!("SELECT {items} FROM {}{condition} ORDER BY {order}{}{limit}", source.from, source.identity),
        ordered: true,
    }
}

fn limit(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!(" LIMIT {}", random.below(7)),
        1 => format!(" OFFSET {} LIMIT {}", random.below(4), random.below(7)),
        2 => format!(" OFFSET {}", random.below(20)),
        _ => String::new(),
    }
}

fn distinct(random: &mut Random, source: &Source, condition: &str) -> Question {
    let (first, second) = (random.one(source.columns), random.one(source.columns));
    let tail = match random.below(3) {
        0 => String::new(),
        _ => format!(" ORDER BY 1{}, 2{}", random.one(&["", " DESC"]), limit(random)),
    };
    Question {
        ordered: !tail.is_empty(),
        sql: format!("SELECT DISTINCT {first}, {second} FROM {}{condition}{tail}", source.from),
    }
}

fn aggregate(random: &mut Random, source: &Source) -> String {
    let (column, number) = (random.one(source.columns), random.one(source.numbers));
    let plain =
        ["f4", "f8", "a", "vip", "b", "by", "u"].contains(&column) || column.contains(['>', 'I']) || column == "c.vip";
    let call = match random.below(10) {
        0 => "count(*)".to_owned(),
        1 => format!("count({column})"),
        2 => format!("sum({number})"),
        3 => format!("avg({number})"),
        4 | 5 if !plain => format!("{}({column})", random.one(&["min", "max"])),
        6 => format!("bool_and({number} > 3)"),
        7 => format!("count(DISTINCT {column})"),
        8 => format!("sum({number}) + count(*)"),
        _ => format!("round(avg({number}), 2)"),
    };
    match random.below(6) {
        0 if !call.contains('+') && !call.starts_with("round") => format!("{call} FILTER (WHERE {number} > 2)"),
        _ => call,
    }
}

fn aggregates(random: &mut Random, source: &Source) -> String {
    let list: Vec<String> = (0..=random.below(3)).map(|_| aggregate(random, source)).collect();
    list.join(", ")
}

fn groups(random: &mut Random, source: &Source, condition: &str) -> Question {
    let (key, second) = (random.one(source.columns), random.one(source.columns));
    let keys = if random.below(2) == 0 { key.to_owned() } else { format!("{key}, {second}") };
    let aggregates = aggregates(random, source);
    let group = match random.below(4) {
        0 => keys.clone(),
        1 => (1..=keys.split(", ").count()).map(|at| at.to_string()).collect::<Vec<_>>().join(", "),
        2 => format!("{}, {keys}", random.one(source.columns)),
        _ => keys.clone(),
    };
    let having = match random.below(5) {
        0 => format!(" HAVING count(*) > {}", random.below(3)),
        1 => format!(" HAVING {} IS NOT NULL", aggregate(random, source)),
        _ => String::new(),
    };
    let from = source.from;
    // A key that is not selected makes groups that look alike.
    let ordered = group == keys || !group.contains(", ");
    let first = keys.split(", ").count() + 1;
    let tail = if !ordered || random.below(3) == 0 {
        String::new()
    } else if random.below(3) == 0 {
        format!(" ORDER BY {first}{}, {keys}{}", random.one(&["", " DESC", " NULLS FIRST"]), limit(random))
    } else {
        format!(" ORDER BY {keys}{}", limit(random))
    };
    Question {
        ordered: !tail.is_empty(),
        sql: format!("SELECT {keys}, {aggregates} FROM {from}{condition} GROUP BY {group}{having}{tail}"),
    }
}
