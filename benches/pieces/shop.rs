//! Rules, catalog and statements that the benches of planning share.

#![allow(dead_code)]

use std::sync::Arc;

use shardloom::plan::{Context, IdValue, IdsWanted, Parameters, Plan, Prepared, Values, prepare};
use shardloom::proxy::Snapshot;
use shardloom::rules::{RuleFile, RuleSet};
use shardloom::sql;
use shardloom::types::Refusal;

/// A point read as a driver writes it.
pub const POINT_READ: &str = "SELECT order_id, status, total FROM orders WHERE customer_id = 4711 AND status = 'open'";
/// The same with parameters.
#[allow(dead_code, reason = "each bench takes what it needs")]
pub const POINT_READ_BOUND: &str = "SELECT order_id, status, total FROM orders WHERE customer_id = $1 AND status = $2";
/// A statement of the length that an ORM writes.
#[allow(dead_code, reason = "each bench takes what it needs")]
pub const LONG_READ: &str = "SELECT o.order_id AS t0_c0, o.customer_id AS t0_c1, o.status AS t0_c2, o.total AS t0_c3, \
    c.customer_id AS t1_c0, c.name AS t1_c1, c.email AS t1_c2 FROM orders o LEFT OUTER JOIN customers c \
    ON c.customer_id = o.customer_id WHERE o.customer_id = 4711 AND (o.status = 'open' OR o.status = E'on\\'hold') \
    AND o.total BETWEEN 10.50 AND 1e3 -- the page\n ORDER BY o.order_id DESC LIMIT 20 OFFSET 40";

const RULES: &str = r#"
kind: Topology
database: shop
buckets: 4096
shards:
  s0: {primary: "127.0.0.1:1", database: shop}
  s1: {primary: "127.0.0.1:2", database: shop}
  s2: {primary: "127.0.0.1:3", database: shop}
placement: {s0: ["0-1364"], s1: ["1365-2729"], s2: ["2730-4095"]}
home: s0
---
kind: TableGroup
name: customers
key: {type: bigint}
algorithm: hash
tables:
  customers: {key: customer_id, id: {column: customer_id, tag: customer}}
  orders: {key: customer_id, id: {column: order_id, tag: order}}
missing_key: {read: scatter, write: reject}
---
kind: Ids
tags: {order: 1, customer: 2}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

/// Returns the rules as sessions have them, with an empty catalog.
pub fn snapshot() -> Snapshot {
    let file = RuleFile { path: "rules.yaml".to_owned(), text: RULES.to_owned() };
    let rules = RuleSet::parse(&[file]).unwrap_or_else(|errors| panic!("{errors:?}"));
    Snapshot {
        rules: Arc::new(rules),
        catalog: Arc::default(),
        generation: 1,
        loaded_ms: 0,
        source: "rules.yaml".to_owned(),
    }
}

/// Reads a statement.
#[allow(dead_code, reason = "each bench takes what it needs")]
pub fn prepared(text: &str, snapshot: &Snapshot) -> Prepared {
    let context = Context { rules: &snapshot.rules, catalog: &snapshot.catalog };
    prepare(text, &context).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Plans one execution; `literals` are those of `text`.
#[allow(dead_code, reason = "each bench takes what it needs")]
pub fn planned(
    prepared: &Prepared,
    text: &str,
    literals: &[sql::Literal],
    values: &[Option<&[u8]>],
    snapshot: &Snapshot,
) -> Plan {
    let context = Context { rules: &snapshot.rules, catalog: &snapshot.catalog };
    let parameters = Parameters { is_extended: !values.is_empty(), values, ..Parameters::default() };
    let mut next = 1_000;
    let mut ids = |wanted: IdsWanted| -> Result<Vec<IdValue>, Refusal> {
        next += wanted.count as i64;
        Ok((next - wanted.count as i64..next).map(IdValue::Bigint).collect())
    };
    let plan = prepared.plan(&context, &Values { text, literals, parameters }, &mut ids);
    plan.unwrap_or_else(|refusal| panic!("{refusal:?}"))
}
