//! How long it takes to know what a text means, the second time and the first.

use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use shardloom::execute::Plans;
use shardloom::metrics::Metrics;

use crate::shop;

/// As `limits` has them by default.
const ENTRIES: usize = 4_096;
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub fn plan_cache(criterion: &mut Criterion) {
    let snapshot = shop::snapshot();
    let plans = Plans::new(ENTRIES, TEXT_BYTES_MAX, Arc::new(Metrics::new()));
    let mut group = criterion.benchmark_group("plan_cache");
    for (name, text) in [("point", shop::POINT_READ), ("long", shop::LONG_READ)] {
        group.bench_function(format!("{name}/hit"), |bencher| {
            bencher.iter(|| plans.understand_masked(black_box(text), &snapshot).expect("a plan"));
        });
        group.bench_function(format!("{name}/miss"), |bencher| {
            bencher.iter(|| shop::prepared(black_box(text), &snapshot));
        });
    }
    group.bench_function("prepared/hit", |bencher| {
        bencher
            .iter(|| plans.prepare(black_box(shop::POINT_READ_BOUND), vec![20, 25], &snapshot).expect("a statement"));
    });
    group.finish();
}
