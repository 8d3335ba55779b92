//! How long it takes to find the borders of a chunk's frames and to check its rows.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput};
use shardloom::wire::backend::{DataRow, write_data_row};
use shardloom::wire::frame::{HEADER_BYTES, LARGE_BOUND, header};

/// Bytes of one read from a busy server.
const CHUNK_BYTES: usize = 16 * 1024;

fn chunk() -> BytesMut {
    let mut out = BytesMut::with_capacity(CHUNK_BYTES);
    while out.len() < CHUNK_BYTES {
        write_data_row(&mut out, &[Some(b"1234567"), None, Some(b"a text of middling length")]);
    }
    out
}

fn scan(mut rest: &[u8], mut each: impl FnMut(&[u8])) {
    while let Ok(Some(found)) = header(rest, LARGE_BOUND) {
        each(&rest[HEADER_BYTES..found.length]);
        rest = &rest[found.length..];
    }
}

pub fn frames(criterion: &mut Criterion) {
    let chunk = chunk();
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Bytes(chunk.len() as u64));
    group.bench_function("borders", |bencher| {
        bencher.iter(|| scan(&chunk, |body| _ = black_box(body.len())));
    });
    group.bench_function("rows checked", |bencher| {
        bencher.iter(|| scan(&chunk, |body| _ = black_box(DataRow::read(body).map(|row| row.len()))));
    });
    group.finish();
}
