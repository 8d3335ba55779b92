//! Which rows a gathered read leaves on their shards.

use super::*;
use crate::plan::catalog::{Catalog, Column, Table, TableKind};

fn table(columns: &[(&str, u32)]) -> Table {
    let column = |(name, type_oid): &(&str, u32)| Column {
        name: (*name).to_owned(),
        type_oid: *type_oid,
        type_name: if *type_oid == 20 { "bigint" } else { "text" }.to_owned(),
        nullable: true,
        default: None,
        generated: false,
        identity: false,
        identity_always: false,
        collation_is_default: true,
        equal_by_bytes: true,
    };
    Table {
        columns: columns.iter().map(column).collect(),
        unique: Vec::new(),
        indexes: Default::default(),
        constraint_columns: HashMap::new(),
        exclusion: false,
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        user_triggers: false,
        computed_indexes: false,
        kind: TableKind::Table,
        reads: Vec::new(),
        calls: Vec::new(),
        parents: Vec::new(),
        definition: None,
    }
}

pub(in crate::plan) fn catalog() -> Catalog {
    let mut catalog = Catalog::empty();
    for (name, columns) in [
        ("orders", &[("user_id", 20), ("total", 20), ("region", 20), ("note", 25), ("own", 99_999)][..]),
        ("order_items", &[("buyer", 20), ("sku", 20), ("label", 25)]),
        ("people", &[("name", 25), ("age", 20)]),
        ("regions", &[("id", 20), ("title", 25)]),
        ("loose", &[("k", 20), ("v", 20), ("w", 25)]),
    ] {
        catalog.tables.insert(name.to_owned(), table(columns));
    }
    catalog
}

fn restrictions(text: &str) -> Vec<String> {
    let catalog = catalog();
    let rules = rules();
    let context = Context { rules: &rules, catalog: &catalog };
    let values = Values { text, literals: &literals(text), parameters: Parameters::default() };
    let plan = prepare(text, &context).and_then(|prepared| Ok(prepared.plan(&context, &values, &mut no_ids)?));
    let Ok(Plan::Gather(gather)) = plan else { panic!("{text}: {plan:?}") };
    let of = |fetch: &Fetch| {
        let only = gather.restrictions(fetch);
        (!only.is_empty()).then(|| format!("{}: {}", fetch.table, only.join(" | ")))
    };
    gather.fetches.iter().filter_map(of).collect()
}

#[test]
fn conditions_of_one_table_stay_with_it() {
    assert_eq!(
        restrictions("SELECT 1 FROM orders o, people p WHERE o.region = p.age AND total > 5 AND p.name LIKE 'A%'"),
        ["orders: total > 5 and region in people.age", "people: name LIKE 'A%' and age in orders.region"]
    );
    assert_eq!(
        restrictions("SELECT 1 FROM orders o LEFT JOIN people p ON o.region = p.age AND p.age > 1 WHERE o.total = 2"),
        ["orders: total = 2", "people: age > 1 and age in orders.region"],
        "the optional side restricts nothing"
    );
    assert_eq!(
        restrictions(
            "SELECT 1 FROM orders o, people p WHERE (o.total = 1 AND p.age = 2) OR (o.total = 3 AND p.age < 4)"
        ),
        ["orders: (total = 1) OR (total = 3)", "people: (age = 2) OR (age < 4)"]
    );
}

#[test]
fn every_use_of_a_table_says_what_it_needs() {
    assert_eq!(
        restrictions("SELECT 1 FROM orders a, orders b WHERE a.region = 1 AND b.total = 2"),
        ["orders: region = 1 | total = 2"]
    );
    assert_eq!(restrictions("SELECT 1 FROM orders a, orders b WHERE a.region = 1"), [""; 0]);
    // A name that stands there once more may be a use that was not seen.
    assert_eq!(restrictions("SELECT 1 AS orders FROM orders a, people p WHERE a.region = 1"), [""; 0]);
}

#[test]
fn partners_and_equal_columns_are_followed() {
    assert_eq!(
        restrictions(
            "SELECT 1 FROM orders, order_items, people WHERE buyer = user_id AND total > 1 AND sku = age AND name = 'x'"
        ),
        [
            "order_items: buyer in orders.user_id and sku in people.age",
            "orders: total > 1 and user_id in order_items.buyer",
            "people: name = 'x' and age in order_items.sku"
        ]
    );
    assert_eq!(
        restrictions(
            "SELECT 1 FROM people WHERE EXISTS (SELECT FROM orders WHERE region = age AND total = 1) AND age > 2"
        ),
        ["orders: total = 1 and region in people.age", "people: age > 2"],
        "EXISTS restricts what stands in it"
    );
    assert_eq!(
        restrictions("SELECT 1 FROM people WHERE age NOT IN (SELECT region FROM orders WHERE total = 1)"),
        ["orders: total = 1"]
    );
}

#[test]
fn what_is_not_sure_restricts_nothing() {
    for text in [
        // Either table could have it.
        "SELECT 1 FROM orders a, orders b WHERE total = 1",
        // The names are others.
        "SELECT 1 FROM orders AS a (x, total), people WHERE total = 1",
        // What users' operators do is not known.
        "SELECT 1 FROM orders, people WHERE own = 1",
        // A merged column may be of either.
        "SELECT 1 FROM orders JOIN (SELECT age AS region FROM people) p USING (region) WHERE total = 1",
        "SELECT count(*) FROM orders, people HAVING max(total) = 1",
    ] {
        assert_eq!(restrictions(text), [""; 0], "{text}");
    }
}
