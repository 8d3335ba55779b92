//! The tree: every node knows where it was written.

use std::sync::Arc;
use std::time::Duration;

use super::units;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the caller named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A node of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`, unquoted.
    Null,
    /// A scalar; `plain` means written without quotes, so that it may also be a number or a boolean.
    Scalar {
        /// The text after quotes and escapes.
        text: String,
        /// Whether it stood without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file, its keys distinct.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Whether the key stood without quotes.
    pub plain: bool,
    /// Where the key was written.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// Words that one YAML reader or another takes for a boolean; as names they must be quoted.
const BOOLEAN_WORDS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

/// Why a scalar is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameFault {
    /// It says nothing, or holds a zero byte, which PostgreSQL's names cannot.
    Empty,
    /// Unquoted, some readers take it for a boolean.
    Boolean,
    /// Unquoted, it is a number.
    Number,
}

/// Tells why a scalar is no name.
pub(super) fn name_fault(text: &str, plain: bool) -> Option<NameFault> {
    let numeric = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    if text.trim().is_empty() || text.contains('\0') {
        Some(NameFault::Empty)
    } else if plain && BOOLEAN_WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        Some(NameFault::Boolean)
    } else if plain && numeric && text.parse::<f64>().is_ok() {
        Some(NameFault::Number)
    } else {
        None
    }
}

impl Entry {
    /// Returns the key when it is a name, see [`Shape::Name`](super::Shape::Name).
    pub fn name(&self) -> Option<&str> {
        name_fault(&self.key, self.plain).is_none().then_some(&self.key)
    }
}

impl Node {
    /// Returns what the node is, in the words of an error message.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("{text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Returns the entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// Returns the items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar { .. } | Value::Map(_) => &[],
        }
    }

    /// Returns the value under `key`, `None` also when it is null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        (entry.node.value != Value::Null).then_some(&entry.node)
    }

    /// Returns the text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the text of a scalar that is a name, see [`Shape::Name`](super::Shape::Name).
    pub fn name(&self) -> Option<&str> {
        let text = self.text()?;
        name_fault(text, self.plain().is_some()).is_none().then_some(text)
    }

    /// Returns the text of a scalar that stood without quotes.
    pub fn plain(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(text),
            Value::Scalar { plain: false, .. } | Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns a plain decimal integer.
    pub fn integer(&self) -> Option<u64> {
        let text = self.plain()?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    }

    /// Returns a plain `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.plain()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns a time span such as `5s`.
    pub fn duration(&self) -> Option<Duration> {
        units::duration(self.text()?)
    }

    /// Returns a number of bytes such as `64MiB`.
    pub fn size(&self) -> Option<u64> {
        units::size(self.text()?)
    }
}
