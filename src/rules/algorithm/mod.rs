//! How a key finds its shard: `algorithm` of a group. `kinds` has the types, `read` makes them from a rule file, `place`
//! answers for keys. Pure; nothing here converts a client's values.

mod kinds;
mod place;
mod read;

#[cfg(test)]
mod tests;

pub use kinds::Algorithm;
pub(super) use read::algorithm;
