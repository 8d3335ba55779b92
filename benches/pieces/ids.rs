//! How many ids one core issues, with the clock virtual, and what putting one into an INSERT costs:
//! `cargo bench --bench ids`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use shardloom::snowflake::{Generator, Layout, WorkerPermit};
use shardloom::types::ManualClock;

use crate::shop;

/// Ids per step of the virtual clock; below the 512 that a millisecond of the standard layout has.
const BATCH: usize = 256;

pub fn ids(criterion: &mut Criterion) {
    let epoch_ms = 1_704_067_200_000;
    let clock = Arc::new(ManualClock::at(epoch_ms + 1));
    let layout = Layout::new(epoch_ms, 41, 6, 7, 9).expect("the widths add up to 63");
    let generator = Generator::new(layout, clock.clone());
    let permit = WorkerPermit::new(1, 1, 0, i64::MAX, Duration::from_secs(1 << 40));
    generator.set_permit(Arc::new(permit)).expect("worker 1 fits into seven bits");

    let mut group = criterion.benchmark_group("ids");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("next", |bencher| {
        bencher.iter(|| {
            clock.advance(Duration::from_millis(1));
            for _ in 0..BATCH {
                black_box(generator.next(1).expect("the clock runs along"));
            }
        })
    });
    let mut many = Vec::with_capacity(BATCH);
    group.bench_function("next_many", |bencher| {
        bencher.iter(|| {
            clock.advance(Duration::from_millis(1));
            many.clear();
            generator.next_many(1, BATCH, &mut many).expect("the clock runs along");
            black_box(&many);
        })
    });
    group.finish();
}

/// An INSERT that names its id beside one whose id is made and put in; the difference is what injection costs.
pub fn injection(criterion: &mut Criterion) {
    let snapshot = shop::snapshot();
    let mut group = criterion.benchmark_group("insert");
    for (name, text) in [
        ("id given", "INSERT INTO orders (order_id, customer_id, status) VALUES ($1, $2, $3)"),
        ("id made", "INSERT INTO orders (customer_id, status) VALUES ($2, $3)"),
    ] {
        let prepared = shop::prepared(text, &snapshot);
        let values: &[Option<&[u8]>] = &[Some(b"117429785893894159"), Some(b"4711"), Some(b"open")];
        group.bench_function(name, |bencher| {
            bencher.iter(|| shop::planned(&prepared, text, &[], black_box(values), &snapshot));
        });
    }
    group.finish();
}
