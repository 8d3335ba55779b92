//! How many rows the merge passes per second.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use shardloom::merge::{Column, Combine, MergeContext, MergeSpec, Merger, SortKey, Step};

const SHARDS: usize = 4;
const ROWS_PER_SHARD: usize = 1_000;
const INT8: Column = Column { type_oid: 20, format: 0 };

fn row(key: usize) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i16(2);
    for text in [key.to_string(), "1".to_owned()] {
        body.put_i32(text.len() as i32);
        body.put_slice(text.as_bytes());
    }
    body.freeze()
}

fn run(spec: &MergeSpec, rows: &[Vec<Bytes>]) {
    let context =
        MergeContext { text_is_bytewise: true, equal_text_is_same: true, iso_dates: true, group_rows_max: 100_000 };
    let mut merger = Merger::new(spec, &[INT8, INT8], SHARDS, context).expect("bigints merge");
    let mut next = [0; SHARDS];
    loop {
        match merger.poll().expect("the rows are in order") {
            Step::Need(shard) => match rows[shard].get(next[shard]) {
                Some(row) => {
                    next[shard] += 1;
                    merger.push(shard, row.clone()).expect("the rows are well formed");
                }
                None => merger.finish_shard(shard),
            },
            Step::Row(row) => drop(black_box(row)),
            Step::Done => return,
        }
    }
}

pub fn merge(criterion: &mut Criterion) {
    let rows: Vec<Vec<Bytes>> =
        (0..SHARDS).map(|shard| (0..ROWS_PER_SHARD).map(|at| row(at * SHARDS + shard)).collect()).collect();
    let order = vec![SortKey { column: 0, descending: false, nulls_first: false }];
    let ordered = MergeSpec { order, ..MergeSpec::default() };
    let combines = vec![Combine::GroupKey, Combine::Sum];
    let grouped = MergeSpec { grouped: true, combines, ..MergeSpec::default() };

    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements((SHARDS * ROWS_PER_SHARD) as u64));
    for (name, spec) in [("concat", MergeSpec::default()), ("ordered", ordered), ("grouped", grouped)] {
        group.bench_function(name, |bencher| bencher.iter(|| run(&spec, &rows)));
    }
    group.finish();
}
