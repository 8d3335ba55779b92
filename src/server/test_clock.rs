//! A clock that tests set while the process runs: debug builds alone have it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::types::{Clock, SystemClock};

/// How often the file is read.
const READ_EVERY: Duration = Duration::from_millis(10);

/// The machine's clock with an offset to the wall time.
struct TestClock {
    machine: SystemClock,
    offset_ms: Arc<AtomicI64>,
}

impl Clock for TestClock {
    fn wall_ms(&self) -> i64 {
        self.machine.wall_ms() + self.offset_ms.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
}

/// Returns the clock if the environment names the file with its offset in milliseconds (`SHARDLOOM_CLOCK_OFFSET`).
pub(super) fn from_environment() -> Option<Arc<dyn Clock>> {
    let file = PathBuf::from(std::env::var_os("SHARDLOOM_CLOCK_OFFSET")?);
    let read = move || std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
    let offset_ms = Arc::new(AtomicI64::new(read().unwrap_or(0)));
    let written = Arc::clone(&offset_ms);
    std::thread::spawn(move || {
        loop {
            if let Some(offset) = read() {
                written.store(offset, Ordering::Relaxed);
            }
            std::thread::sleep(READ_EVERY);
        }
    });
    Some(Arc::new(TestClock { machine: SystemClock::new(), offset_ms }))
}
