//! The same statements where the rules split most tables into physical ones inside each shard.
//!
//! What physical tables cannot do is refused; such a statement is left out on the plain side, and each file says how
//! many there are.

use crate::support::{Differential, Proxy, Reply, TestDatabase};

use super::blocks::{Block, Expectation, blocks};
use super::compare::{difference, error_of, not_refused};
use super::passes::{Pass, SCHEMA, check, patient, wait_until_writable};

/// The rules of all files, with tables split by their sharding key, by another column, by hash and by remainder.
const RULES: &str = include_str!("split_rules.yaml");

/// What differs and may: ties of an order, the type of a whole row, GROUP BY a primary key, another database's table,
/// the shards' own names in their plans.
const DIFFERENT: [&str; 5] = [
    "SELECT region, vip, count(*), sum(balance) FROM customers GROUP BY GROUPING SETS ((region), (vip), ())",
    "SELECT facts FROM facts ORDER BY id",
    "SELECT id, n, count(*) FROM facts GROUP BY id ORDER BY id",
    "SELECT * FROM other_database.public.customers",
    "EXPLAIN (COSTS OFF) MERGE INTO customers",
];

/// Declares one test per statement file, with how many of its statements are refused for the sake of physical tables.
macro_rules! split_files {
    ($($name:ident $refused:literal $([$then:ident])?)*) => {$(
        #[tokio::test]
        async fn $name() {
            let text = include_str!(concat!(stringify!($name), ".sql"));
            let refused = run(stringify!($name), text, Pass::Simple).await;
            assert_eq!(refused.len(), $refused, "statements refused: {refused:#?}");
            $(run(stringify!($name), text, Pass::$then).await;)?
        }
    )*};
}

split_files! {
    direct_reads 1 [Binary]
    merged_reads 13
    gathered_reads 10
    rows_by_key 0
    known_wrong_answers 1
    inserts 2 [Binary]
    changes 8 [Binary]
    merges 11
    with_writes 8
    schema_changes 9
    transactions 6
    query_strings 0
    errors 3
}

/// Runs all blocks, returns those that were refused, and panics with every difference found.
async fn run(name: &str, text: &str, pass: Pass) -> Vec<String> {
    let database = TestDatabase::new(&format!("d_split_{name}"));
    let proxy = Proxy::start(&database, RULES, patient()).await;
    let mut sides = Differential::through(&proxy, &database);
    wait_until_writable(&mut sides.other);
    for block in blocks(SCHEMA) {
        let Some(wrong) = check(&mut sides, &block, Pass::Simple) else { continue };
        panic!("the schema, line {}: {}\n{wrong}", block.line, block.sql);
    }
    let (mut refused, mut found) = (Vec::new(), Vec::new());
    for block in blocks(text).iter().filter(|block| pass.runs(block)) {
        if DIFFERENT.iter().any(|sql| block.sql.starts_with(sql)) {
            continue;
        }
        let (is_refused, wrong) = compare(&mut sides, block, pass);
        refused.extend(is_refused.then(|| block.sql.clone()));
        if let Some(wrong) = wrong {
            found.push(format!("{name}.sql:{}: {}\n{wrong}", block.line, block.sql));
        }
    }
    assert!(found.is_empty(), "{} differences, {pass:?}:\n\n{}\n", found.len(), found.join("\n\n"));
    refused
}

/// Tells whether the statement is refused for the sake of physical tables, else what differs.
fn compare(sides: &mut Differential, block: &Block, pass: Pass) -> (bool, Option<String>) {
    if matches!(block.expectation, Expectation::PlainOnly | Expectation::ProxyOnly) {
        return (false, check(sides, block, pass));
    }
    let proxy = pass.call(&mut sides.other, block);
    if is_refused(&proxy) {
        // The plain side's block must fail, too.
        if proxy.status == 'E' {
            sides.plain.simple("SELECT 1/0");
        }
        return (true, None);
    }
    match &block.expectation {
        Expectation::Refused(state) => (false, not_refused(&proxy, state)),
        expectation => {
            let plain = pass.call(&mut sides.plain, block);
            (false, difference(&plain, &proxy, &block.sql, expectation))
        }
    }
}

/// Tells whether the proxy refuses, with a hint, and says that physical tables are why.
fn is_refused(proxy: &Reply) -> bool {
    let Some(fields) = error_of(proxy) else { return false };
    let says = |letter, words: &[&str]| {
        fields.get(&letter).is_some_and(|text: &String| words.iter().any(|word| text.contains(word)))
    };
    says('M', &["physical table", "split column"]) && fields.contains_key(&'H') && says('C', &["0A000", "23502"])
}
