//! How fast the pieces of the hot path are, each by itself: `make pieces`.

mod frames;
mod ids;
mod merge;
mod plan_cache;
mod route;
mod scan;
mod shop;
mod splice;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    pieces,
    frames::frames,
    scan::scan,
    plan_cache::plan_cache,
    route::route,
    splice::splice,
    merge::merge,
    ids::ids,
    ids::injection
);
criterion_main!(pieces);
