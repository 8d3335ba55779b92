//! What a file may look like, declared as constants.

use std::time::Duration;

/// What a node must be.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A name: any text, but unquoted neither a number nor a word that YAML readers take for a boolean.
    Name,
    /// Any scalar, as it is written.
    Text,
    /// A whole number within bounds, both included.
    Integer {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// `true` or `false`.
    Boolean,
    /// A time span within bounds, both included.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A number of bytes within bounds, both included.
    Size {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// One of some words.
    Choice {
        /// The words.
        words: &'static [&'static str],
        /// Words that are known and refused as not available yet.
        later: &'static [&'static str],
    },
    /// A text with a form of its own.
    Format(&'static Format),
    /// A sequence.
    List(&'static Shape),
    /// A mapping from names to values.
    Map(&'static Shape),
    /// A mapping with fixed keys.
    Record(&'static Record),
    /// A list, or else something that is not a list.
    ListOr {
        /// What the items are.
        items: &'static Shape,
        /// What it is when it is not a list.
        other: &'static Shape,
    },
    /// The value, or null.
    Nullable(&'static Shape),
}

/// A text with a form of its own.
#[derive(Debug)]
pub struct Format {
    /// The form in words, after "expected".
    pub expected: &'static str,
    /// A regular expression for editors; [`Format::holds`] decides.
    pub pattern: &'static str,
    /// Whether a text of this form may look like a number, so that it needs no quotes.
    pub bare_number: bool,
    /// Tells whether a text has the form.
    pub holds: fn(&str) -> bool,
}

/// A mapping with fixed keys.
#[derive(Debug)]
pub struct Record {
    /// What it is, for messages: `a shard`.
    pub what: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
}

/// A key of a record.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What it means, for the JSON Schema: one sentence.
    pub about: &'static str,
    /// Whether it must be there.
    pub need: Need,
    /// What its value must be.
    pub shape: Shape,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may.
    Optional,
    /// It is known and refused as not available yet.
    Later,
}

impl Field {
    /// Declares a key that must be there.
    pub const fn required(key: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { key, about, need: Need::Required, shape }
    }

    /// Declares a key that may be there.
    pub const fn optional(key: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { key, about, need: Need::Optional, shape }
    }

    /// Declares a key that is known and refused as not available yet.
    pub const fn later(key: &'static str, about: &'static str) -> Self {
        Self { key, about, need: Need::Later, shape: Shape::Text }
    }
}
