//! How long it takes from a plan and values to a shard.

use std::hint::black_box;

use criterion::Criterion;
use shardloom::sql;

use crate::shop;

/// A statement's parameters.
type Values = &'static [Option<&'static [u8]>];

pub fn route(criterion: &mut Criterion) {
    let snapshot = shop::snapshot();
    let mut group = criterion.benchmark_group("route");
    let cases: [(&str, &str, Values); 4] = [
        ("literal", shop::POINT_READ, &[]),
        ("parameter", shop::POINT_READ_BOUND, &[Some(b"4711"), Some(b"open")]),
        (
            "update",
            "UPDATE orders SET status = 'paid' WHERE customer_id = $1 AND order_id = $2",
            &[Some(b"4711"), Some(b"1")],
        ),
        ("scatter", "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status", &[]),
    ];
    for (name, text, values) in cases {
        let prepared = shop::prepared(text, &snapshot);
        let literals = sql::literals(text);
        group.bench_function(name, |bencher| {
            bencher.iter(|| shop::planned(&prepared, text, &literals, black_box(values), &snapshot));
        });
    }
    group.finish();
}
