//! How long it takes to change a text: ids handed out, rows split over shards.

use std::hint::black_box;
use std::ops::Range;

use criterion::{Criterion, Throughput};
use shardloom::sql;

use crate::shop;

pub fn splice(criterion: &mut Criterion) {
    let snapshot = shop::snapshot();
    let mut group = criterion.benchmark_group("splice");
    for rows in [1, 10, 100] {
        let values: Vec<String> = (0..rows).map(|row| format!("({row}, 'status {row}')")).collect();
        let text = format!("INSERT INTO orders (customer_id, status) VALUES {}", values.join(", "));
        let prepared = shop::prepared(&text, &snapshot);
        let literals = sql::literals(&text);
        group.throughput(Throughput::Elements(rows));
        group.bench_function(format!("INSERT of {rows}"), |bencher| {
            bencher.iter(|| shop::planned(&prepared, black_box(&text), &literals, &[], &snapshot));
        });
    }
    let spans = sql::literals(shop::LONG_READ);
    let edits: Vec<(Range<usize>, String)> = spans.iter().map(|literal| (literal.range(), "$1".to_owned())).collect();
    group.throughput(Throughput::Bytes(shop::LONG_READ.len() as u64));
    group.bench_function("text alone", |bencher| bencher.iter(|| sql::splice(black_box(shop::LONG_READ), &edits)));
    group.finish();
}
