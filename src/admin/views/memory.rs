//! Memory of the process, as the system counts it.

use serde::Serialize;

/// One figure.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct MemoryView {
    /// What it is.
    pub name: &'static str,
    /// How many bytes.
    pub bytes: u64,
}

/// The lines of `/proc/self/status` that are shown (proc(5)).
const LINES: [(&str, &str); 3] = [("VmRSS:", "resident"), ("VmHWM:", "resident_peak"), ("VmSize:", "virtual")];

/// Returns the figures; none where the system has no `/proc`.
pub fn memory() -> Vec<MemoryView> {
    figures(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn figures(status: &str) -> Vec<MemoryView> {
    let figure = |(key, name): (&str, &'static str)| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(MemoryView { name, bytes: kib * 1024 })
    };
    LINES.into_iter().filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_in_bytes_and_missing_ones_left_out() {
        let found = figures("Name:\tx\nVmRSS:\t   12 kB\nVmHWM:\tmuch kB\n");
        assert_eq!(found, [MemoryView { name: "resident", bytes: 12 * 1024 }]);
        assert!(memory().iter().all(|figure| figure.bytes > 0));
    }
}
