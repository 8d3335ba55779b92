//! How a key finds its shard: `algorithm` of a group. `kinds` has the types, `lookup` those of keys that
//! a table places, `read` makes them from a rule file, `place`
//! answers for keys, `bounds` for comparisons by order. Pure; nothing here converts a client's values.

mod bounds;
mod interval;
mod kinds;
mod lookup;
mod place;
mod read;
mod value;

#[cfg(test)]
mod tests;

pub use bounds::KeyBounds;
pub use interval::{Interval, Unit};
pub use kinds::{Algorithm, List, Span};
pub use lookup::{Directory, Lookup};
pub(super) use read::algorithm;
