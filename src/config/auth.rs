//! `auth`: which weak methods `hba` may name, and where users beyond `users` are looked up (PgBouncer's `auth_query`).

use std::time::Duration;

use crate::yaml::{Field, Findings, Node, Record, Shape};

/// How long an answer of the query is remembered when the file does not say.
const CACHE_TTL: Duration = Duration::from_secs(10);
/// The longest time that one may be remembered: a changed password must be noticed some day.
const CACHE_TTL_MAX: Duration = Duration::from_secs(3600);

/// What `hba` may name, and where other users are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Whether lines of `hba` may have the method md5.
    pub allow_md5: bool,
    /// Whether lines of `hba` for TCP may have the method trust.
    pub allow_trust: bool,
    /// What is asked of home for a user who is not in `users`; none is no other user.
    pub query: Option<String>,
    /// The database that it is asked in; home's own by default.
    pub dbname: Option<String>,
    /// How long its answer is remembered.
    pub cache_ttl: Duration,
}

pub(super) const AUTH: Record = Record {
    what: "auth",
    fields: &[
        Field::optional("allow_md5", Shape::Boolean, "Whether hba may name the method md5; default false."),
        Field::optional("allow_trust", Shape::Boolean, "Whether hba may name trust for TCP; default false."),
        Field::optional(
            "query",
            Shape::Nullable(&Shape::Text),
            "Asked of home by the service role for users who are not listed; $1 is the name, the columns name and secret.",
        ),
        Field::optional(
            "dbname",
            Shape::Name,
            "The database of home that query is asked in; the sharded one by default.",
        ),
        Field::optional(
            "cache_ttl",
            Shape::Duration { min: Duration::ZERO, max: CACHE_TTL_MAX },
            "How long an answer of query is remembered; default 10s.",
        ),
    ],
};

impl Default for Auth {
    fn default() -> Self {
        Self { allow_md5: false, allow_trust: false, query: None, dbname: None, cache_ttl: CACHE_TTL }
    }
}

impl Auth {
    pub(super) fn read(node: Option<&Node>, findings: &mut Findings) -> Self {
        let field = |key| node.and_then(|node| node.get(key));
        let text = |key| field(key).and_then(Node::text).map(str::to_owned);
        let allowed = |key| field(key).and_then(Node::boolean).unwrap_or(false);
        let query = text("query");
        if let Some(place) = field("query").filter(|_| query.as_ref().is_some_and(|query| !query.contains("$1"))) {
            findings.report(&place.place, "the query has no $1, the place of the user's name");
        }
        Self {
            allow_md5: allowed("allow_md5"),
            allow_trust: allowed("allow_trust"),
            query,
            dbname: text("dbname"),
            cache_ttl: field("cache_ttl").and_then(Node::duration).unwrap_or(CACHE_TTL),
        }
    }
}
