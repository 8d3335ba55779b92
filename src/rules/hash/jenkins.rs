//! Bob Jenkins' lookup3 (public domain) as PostgreSQL's `hash_bytes_extended` uses it: little-endian words, a 64-bit
//! seed, and the two last state words as a 64-bit result.

/// The starting state: lookup3's golden ratio plus the constant that PostgreSQL adds to it.
const INITIAL: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

/// Bytes that one round consumes.
const BLOCK_BYTES: usize = 12;

/// The three words of state.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

/// Returns the seeded hash of `bytes`, equal to `hash_bytes_extended`.
pub fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    // The server's lengths are 32 bits wide too: a value never exceeds 1 GB.
    let mut state = State::seeded(bytes.len() as u32, seed);
    let mut blocks = bytes.chunks_exact(BLOCK_BYTES);
    for block in &mut blocks {
        state.add(word(&block[0..4]), word(&block[4..8]), word(&block[8..12]));
        state.mix();
    }
    state.add_tail(blocks.remainder());
    state.finish()
}

/// Returns the seeded hash of one 32-bit word, equal to `hash_bytes_uint32_extended`.
pub fn hash_word(value: u32, seed: u64) -> u64 {
    let mut state = State::seeded(size_of::<u32>() as u32, seed);
    state.add(value, 0, 0);
    state.finish()
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

impl State {
    fn seeded(length: u32, seed: u64) -> Self {
        let start = INITIAL.wrapping_add(length);
        let mut state = Self { a: start, b: start, c: start };
        if seed != 0 {
            state.add((seed >> 32) as u32, seed as u32, 0);
            state.mix();
        }
        state
    }

    fn add(&mut self, a: u32, b: u32, c: u32) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    /// Adds the last 0–11 bytes; the lowest byte of `c` is kept for the length, so its bytes sit one higher.
    fn add_tail(&mut self, tail: &[u8]) {
        let part = |from: usize, to: usize| tail.get(from.min(tail.len())..to.min(tail.len())).map_or(0, word);
        self.add(part(0, 4), part(4, 8), part(8, 11) << 8);
    }

    fn mix(&mut self) {
        let Self { a, b, c } = self;
        for (a_turn, b_turn, c_turn) in [(4, 6, 8), (16, 19, 4)] {
            mix_step(a, b, c, a_turn);
            mix_step(b, c, a, b_turn);
            mix_step(c, a, b, c_turn);
        }
    }

    fn finish(mut self) -> u64 {
        let Self { a, b, c } = &mut self;
        final_step(c, b, 14);
        final_step(a, c, 11);
        final_step(b, a, 25);
        final_step(c, b, 16);
        final_step(a, c, 4);
        final_step(b, a, 14);
        final_step(c, b, 24);
        u64::from(self.b) << 32 | u64::from(self.c)
    }
}

/// One third of lookup3's `mix`: `x -= z; x ^= rot(z); z += y`.
fn mix_step(x: &mut u32, y: &u32, z: &mut u32, turn: u32) {
    *x = x.wrapping_sub(*z) ^ z.rotate_left(turn);
    *z = z.wrapping_add(*y);
}

/// One line of lookup3's `final`: `x ^= y; x -= rot(y)`.
fn final_step(x: &mut u32, y: &u32, turn: u32) {
    *x = (*x ^ *y).wrapping_sub(y.rotate_left(turn));
}
