//! `id bench`: how fast ids are made, first by the code alone, then by one tag against the real clock.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use shardloom::snowflake::{Generator, Layout, WorkerPermit};
use shardloom::types::{Clock, SystemClock};

use super::failure::Failure;
use super::output;

/// Ids between two looks at the stopwatch, so that looking costs nothing.
const ROUND: u32 = 10_000;

/// Ids whose making is timed one by one for the percentile.
const TIMED: usize = 200_000;

/// A clock that moves on by a millisecond whenever it is read: the layout never bounds the rate.
#[derive(Default)]
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
pub fn run(layout: Layout, seconds: u64, as_json: bool) -> Result<(), Failure> {
    let virtual_clock = VirtualClock { wall_ms: AtomicI64::new(layout.epoch_ms() + 1) };
    let code = generator(layout, Arc::new(virtual_clock))?;
    let real = generator(layout, Arc::new(SystemClock::new()))?;
    let length = Duration::from_secs(seconds);
    let (ids_per_second, p99_ns) = (rate(&code, length), percentile(&code));
    let (real_time, bound) = (rate(&real, length), layout.ids_per_ms() * 1000);
    if as_json {
        output::json(&json!({
            "ids_per_second": ids_per_second,
            "p99_ns": p99_ns,
            "real_time_one_tag_ids_per_second": real_time,
            "layout_bound_one_tag_ids_per_second": bound,
        }));
    } else {
        output::line(format!("generator, virtual clock, one thread: {ids_per_second} ids/s, p99 {p99_ns} ns"));
        output::line(format!("one tag in real time: {real_time} ids/s (the layout allows {bound}, and borrows ahead)"));
    }
    Ok(())
}

fn generator(layout: Layout, clock: Arc<dyn Clock>) -> Result<Generator, Failure> {
    let generator = Generator::new(layout, clock);
    let permit = WorkerPermit::new(1, 1, 0, i64::MAX, Duration::MAX);
    generator.set_permit(Arc::new(permit)).map_err(|error| Failure::Problem(error.to_string()))?;
    Ok(generator)
}

/// Counts what is made; an id that is refused because the tag ran too far ahead is asked for again.
fn rate(generator: &Generator, length: Duration) -> u64 {
    let (start, mut made) = (Instant::now(), 0u64);
    while start.elapsed() < length {
        made += (0..ROUND).filter(|_| black_box(generator.next(1)).is_ok()).count() as u64;
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
