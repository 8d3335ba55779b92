//! How long it takes to take a statement's literals out.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use shardloom::sql::{self, Scanner, Skeleton};

use crate::shop;

pub fn scan(criterion: &mut Criterion) {
    let many: Vec<String> = (0..100).map(|id| format!("({id}, 'name {id}')")).collect();
    let insert = format!("INSERT INTO customers (customer_id, name) VALUES {}", many.join(", "));
    let mut group = criterion.benchmark_group("scan");
    let mut skeleton = Skeleton::default();
    for (name, text) in [("point", shop::POINT_READ), ("long", shop::LONG_READ), ("100 rows", insert.as_str())] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group
            .bench_function(format!("{name}/tokens"), |bencher| bencher.iter(|| Scanner::new(black_box(text)).count()));
        group.bench_function(format!("{name}/mask"), |bencher| {
            bencher.iter(|| {
                sql::mask(black_box(text), &mut skeleton);
                skeleton.literals.len()
            });
        });
    }
    group.finish();
}
