//! What the fuzz targets hold, on the stable toolchain: the corpus in the repository, and mutations of it for a while.
//!
//! `make fuzz` runs the same properties under libFuzzer, which looks for inputs that reach new code.

use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../../fuzz/properties/frames.rs"]
mod frames;
#[path = "../../fuzz/properties/scan.rs"]
mod scan;
#[path = "../../fuzz/properties/splice.rs"]
mod splice;
#[path = "../../fuzz/properties/startup.rs"]
mod startup;

/// How long each target is tried; all four run at the same time.
const TRY_TIME: Duration = Duration::from_secs(15);
/// Mutations of each seed at most, so that a fast machine does not run hot for nothing.
const ROUNDS_MAX: usize = 50_000;

#[test]
fn frames_hold() {
    try_target("frames", frames::holds);
}

#[test]
fn startup_packets_hold() {
    try_target("startup", startup::holds);
}

#[test]
fn scanned_texts_hold() {
    try_target("scan", scan::holds);
}

#[test]
fn spliced_texts_hold() {
    try_target("splice", splice::holds);
}

fn try_target(target: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut names: Vec<_> = folder.read_dir().expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let corpus: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(name).expect("a seed")).collect();
    assert!(!corpus.is_empty(), "{target} has no corpus");
    for seed in &corpus {
        holds(seed);
    }
    let deadline = Instant::now() + TRY_TIME;
    let mut chance = Chance(0x5eed_0bad_cafe_0001);
    for _ in 0..ROUNDS_MAX {
        for seed in &corpus {
            if Instant::now() >= deadline {
                return;
            }
            let input = chance.mutated(seed, &corpus);
            if std::panic::catch_unwind(|| holds(&input)).is_err() {
                panic!("{target} does not hold for {:?}, bytes {input:?}", String::from_utf8_lossy(&input));
            }
        }
    }
}

/// A xorshift generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// One to four changes: a byte, a run taken out, doubled, or taken over from another seed.
    fn mutated(&mut self, seed: &[u8], corpus: &[Vec<u8>]) -> Vec<u8> {
        const BYTES: &[u8] = b"\0\x01\x03\x04\x06\x7f\xff'\"$;:.()[]eEuU&bxn0179_-*/\\\n ,@Q";
        let mut input = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let length = self.below(12).min(input.len() - at);
            match self.below(5) {
                0 => input.insert(at, BYTES[self.below(BYTES.len())]),
                1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
                2 => drop(input.drain(at..at + length)),
                3 => {
                    let run = input[at..at + length].to_vec();
                    input.splice(at..at, run);
                }
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    let run = other[from..other.len().min(from + self.below(24))].to_vec();
                    input.splice(at..at, run);
                }
            }
        }
        input
    }
}
