//! Generated UPDATEs and DELETEs that read what is not where their rows are.

use super::super::random::Random;

/// Makes one statement.
pub fn statement(random: &mut Random) -> String {
    let heads = [
        ("UPDATE counters SET label = «t:apart», hits = hits + 1", "hits"),
        ("UPDATE counters SET hits = {scalar}", "hits"),
        ("UPDATE counters SET (hits, label) = ({scalar}, 'two')", "id"),
        ("UPDATE customers SET age = ({scalar}) % 100", "age"),
        ("UPDATE orders SET product = ({scalar}) % 50", "order_id"),
        ("UPDATE products SET price = {scalar}", "product_id"),
        ("DELETE FROM counters", "hits"),
        ("DELETE FROM orders", "product"),
        ("DELETE FROM customers", "customer_id"),
        ("DELETE FROM products", "product_id"),
    ];
    let (head, own) = heads[random.below(heads.len() as u64) as usize];
    let joined = random.below(5) == 0 && !head.contains("{scalar}");
    let head = match head.contains("{scalar}") {
        true => head.replace("{scalar}", &scalar(random, own)),
        false => head.to_owned(),
    };
    // Each row has one partner at most.
    let (from, condition) = match (joined, head.starts_with("UPDATE")) {
        (true, true) => (" FROM customers k", format!("k.customer_id = {own} + 1 AND {}", condition(random, own))),
        (true, false) if own != "customer_id" => {
            (" USING (SELECT DISTINCT age FROM customers) k", format!("k.age = {own} * 10"))
        }
        _ => ("", condition(random, own)),
    };
    let returning = random.one(&["", " RETURNING *"]);
    let returning = if from.is_empty() { returning } else { "" };
    format!("{head}{from} WHERE {condition}{returning}")
}

fn condition(random: &mut Random, own: &str) -> String {
    let (a, list) = (random.below(12), list(random));
    match random.below(11) {
        0 | 1 => format!("{own} IN ({list})"),
        2 => format!("{own} NOT IN ({list})"),
        3 => format!("NOT ({own} IN ({list}) OR {own} IS NULL)"),
        4 => format!("{own} = {}", scalar(random, own)),
        5 => format!("{own} < ANY ({list})"),
        6 => format!("{own} >= ALL ({list}) AND {own} > «8:{a}»"),
        7 => format!("EXISTS (SELECT FROM orders x WHERE x.product = {own} AND x.order_id < «4:{a}»)"),
        8 => format!("NOT EXISTS (SELECT 1 FROM documents x WHERE x.doc = {own})"),
        9 => format!("({own}, 1) IN (SELECT order_id, product FROM orders)"),
        _ => format!("{own} IN (SELECT x.doc FROM documents x WHERE x.doc IN ({list}))"),
    }
}

fn list(random: &mut Random) -> String {
    let a = random.below(12);
    match random.below(9) {
        0 => format!("SELECT product FROM orders WHERE customer_id = «8:{a}»"),
        1 => "SELECT product FROM orders".to_owned(),
        2 => format!("SELECT customer_id FROM customers WHERE age > «4:{}»", a * 4),
        // Not the ORDER BY of what is returned: two blanks.
        3 => format!("SELECT id FROM counters ORDER  BY hits DESC, id LIMIT {}", a % 4),
        4 => "SELECT product_id FROM products UNION SELECT age / 10 FROM customers".to_owned(),
        5 => "SELECT min(order_id) FROM orders GROUP BY product HAVING count(*) > 1".to_owned(),
        6 => "SELECT doc FROM documents WHERE tenant IN (SELECT name FROM customers)".to_owned(),
        7 => "WITH o AS (SELECT order_id AS n FROM orders) SELECT n FROM o WHERE n > 0".to_owned(),
        _ => "SELECT c.id FROM counters c JOIN orders o ON o.order_id = c.hits".to_owned(),
    }
}

fn scalar(random: &mut Random, own: &str) -> String {
    let a = random.below(12);
    match random.below(7) {
        0 => "(SELECT count(*) FROM orders)".to_owned(),
        1 => format!("(SELECT max(order_id) FROM orders WHERE customer_id < «8:{a}»)"),
        2 => format!("(SELECT age FROM customers WHERE customer_id = «8:{a}»)"),
        3 => format!("(SELECT count(*) FROM orders x WHERE x.product = {own})"),
        4 => "(SELECT product FROM orders)".to_owned(),
        5 => "(SELECT sum(hits) FROM counters WHERE label = 'a')".to_owned(),
        _ => format!(
            "(SELECT count(*) FROM customers x WHERE x.age > {own} AND x.region IN (SELECT product_id FROM products))"
        ),
    }
}
