//! `ids`: the lease of the worker id that keeps the ids of proxies apart.

use std::time::Duration;

use crate::yaml::{Field, Node, Record, Shape};

const LEASE: Duration = Duration::from_secs(60);
const RESERVE: Duration = Duration::from_secs(30);

/// The keys of the section.
pub(super) const IDS: Record = Record {
    what: "ids",
    fields: &[
        Field::optional(
            "worker",
            Shape::Integer { min: 0, max: u16::MAX as u64 },
            "The only worker id that is leased; any free one by default.",
        ),
        Field::optional(
            "lease",
            Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(3_600) },
            "How long a worker id is leased without a renewal. Default 1min.",
        ),
        Field::optional(
            "reserve",
            Shape::Duration { min: Duration::from_millis(100), max: Duration::from_secs(60) },
            "How far ahead times are reserved: ids go on for so long when home is away. Default 30s.",
        ),
    ],
};

/// The section `ids`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The only worker id that is leased; `None` for any free one.
    pub worker: Option<u16>,
    /// How long a worker id is leased without a renewal.
    pub lease: Duration,
    /// How far ahead of now times are reserved.
    pub reserve: Duration,
}

impl Default for Ids {
    fn default() -> Self {
        Self { worker: None, lease: LEASE, reserve: RESERVE }
    }
}

impl Ids {
    /// Lists the settings for `SHOW CONFIG`.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let seconds = |time: Duration| format!("{}s", time.as_secs_f64());
        vec![
            ("ids.worker", self.worker.map_or_else(|| "any".to_owned(), |worker| worker.to_string())),
            ("ids.lease", seconds(self.lease)),
            ("ids.reserve", seconds(self.reserve)),
        ]
    }

    /// Reads the section whose shape was checked.
    pub(super) fn read(node: Option<&Node>) -> Self {
        let field = |key| node.and_then(|node| node.get(key));
        Self {
            worker: field("worker").and_then(Node::integer).and_then(|worker| u16::try_from(worker).ok()),
            lease: field("lease").and_then(Node::duration).unwrap_or(LEASE),
            reserve: field("reserve").and_then(Node::duration).unwrap_or(RESERVE),
        }
    }
}
