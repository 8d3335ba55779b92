//! `id bench`: how fast ids are made, first by the code alone, then by one tag against the real clock.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use shardloom::proxy::layout_of;
use shardloom::rules::{IdLayout, gene_layout, js53_layout, standard_layout};
use shardloom::snowflake::{Generator, Layout, WorkerPermit};
use shardloom::types::{Clock, SystemClock};

use super::failure::Failure;
use super::output;

/// Ids between two looks at the stopwatch, so that looking costs nothing.
const ROUND: u32 = 10_000;

/// Ids whose making is timed one by one for the percentile.
const TIMED: usize = 200_000;

/// A clock that moves on by a millisecond whenever it is read: the layout never bounds the rate. On cache lines of its
/// own (processors fetch them in pairs): two clocks side by side on one line made two threads slower than one.
#[derive(Default)]
#[repr(align(128))]
struct VirtualClock {
    wall_ms: AtomicI64,
}

impl Clock for VirtualClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.fetch_add(1, Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Measures for `seconds` each and prints.
pub fn run(seconds: u64, as_json: bool) -> Result<(), Failure> {
    let layout = fields(standard_layout())?;
    let length = Duration::from_secs(seconds);
    let code = virtual_generator(layout)?;
    let (one, p99_ns) = (rate(&code, 1, length), percentile(&code));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let many = over_threads(layout, threads, length)?;
    let gene = rate(&virtual_generator(fields(gene_layout())?)?, 77, length);
    let js53 = rate(&virtual_generator(fields(js53_layout())?)?, 1, length);
    let real = rate(&generator(layout, Arc::new(SystemClock::new()))?, 1, length);
    let bound = layout.ids_per_ms() * 1000;
    if as_json {
        output::json(&json!({
            "ids_per_second": one,
            "p99_ns": p99_ns,
            "threads": threads,
            "ids_per_second_all_threads": many,
            "gene_ids_per_second": gene,
            "js53_ids_per_second": js53,
            "real_time_one_tag_ids_per_second": real,
            "layout_bound_one_tag_ids_per_second": bound,
        }));
    } else {
        output::line(format!("standard, virtual clock, one thread: {one} ids/s, p99 {p99_ns} ns"));
        output::line(format!("standard, virtual clock, {threads} threads, each its own: {many} ids/s"));
        output::line(format!("gene: {gene} ids/s; js53: {js53} ids/s"));
        output::line(format!("one tag in real time: {real} ids/s (the layout allows {bound}, and borrows ahead)"));
    }
    Ok(())
}

fn fields(layout: IdLayout) -> Result<Layout, Failure> {
    layout_of(layout).map_err(|error| Failure::Problem(error.to_string()))
}

fn virtual_generator(layout: Layout) -> Result<Generator, Failure> {
    generator(layout, Arc::new(VirtualClock { wall_ms: AtomicI64::new(layout.epoch_ms() + 1) }))
}

/// Every thread has a generator with a virtual clock of its own: such a clock is written at every look, and would be
/// what the threads wait for.
fn over_threads(layout: Layout, threads: usize, length: Duration) -> Result<u64, Failure> {
    let clocks: Vec<Generator> = (0..threads).map(|_| virtual_generator(layout)).collect::<Result<_, _>>()?;
    let total = std::thread::scope(|scope| {
        let run = |generator| scope.spawn(move || rate(generator, 1, length));
        let running: Vec<_> = clocks.iter().map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    Ok(total)
}

fn generator(layout: Layout, clock: Arc<dyn Clock>) -> Result<Generator, Failure> {
    let generator = Generator::new(layout, clock);
    let permit = WorkerPermit::new(1, 1, 0, i64::MAX, Duration::MAX);
    generator.set_permit(Arc::new(permit)).map_err(|error| Failure::Problem(error.to_string()))?;
    Ok(generator)
}

/// Counts what is made; an id that is refused because the tag ran too far ahead is asked for again.
fn rate(generator: &Generator, tag: u16, length: Duration) -> u64 {
    let (start, mut made) = (Instant::now(), 0u64);
    while start.elapsed() < length {
        made += (0..ROUND).filter(|_| black_box(generator.next(tag)).is_ok()).count() as u64;
    }
    (made as f64 / start.elapsed().as_secs_f64()) as u64
}

/// The 99th percentile in nanoseconds, reading the stopwatch included.
fn percentile(generator: &Generator) -> u64 {
    let mut times: Vec<u64> = (0..TIMED)
        .map(|_| {
            let start = Instant::now();
            let _ = black_box(generator.next(1));
            start.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    times[TIMED * 99 / 100]
}
