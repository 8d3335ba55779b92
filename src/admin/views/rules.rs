//! The rules in force.

use serde::Serialize;

use crate::proxy::Proxy;

/// The snapshot that new transactions plan on, and why the last reload was refused, if it was.
#[derive(Debug, Serialize)]
pub struct RulesView {
    /// The fingerprint of the content.
    pub version: String,
    /// Rises with every swap.
    pub generation: u64,
    /// Milliseconds since the UNIX epoch at which they were read.
    pub loaded_ms: i64,
    /// Where they came from.
    pub source: String,
    /// The database that clients connect to.
    pub database: String,
    /// How many tables they name.
    pub tables: usize,
    /// The groups' names.
    pub groups: Vec<String>,
    /// The findings of the last reload if it was refused.
    pub last_error: Option<String>,
    /// Milliseconds since the UNIX epoch of that reload.
    pub last_error_ms: Option<i64>,
}

/// Returns the rules in force.
pub fn rules(proxy: &Proxy) -> RulesView {
    let snapshot = proxy.rules.load();
    let last_error = proxy.rules.last_error();
    RulesView {
        version: snapshot.rules.version.clone(),
        generation: snapshot.generation,
        loaded_ms: snapshot.loaded_ms,
        source: snapshot.source.clone(),
        database: snapshot.rules.database.clone(),
        tables: snapshot.rules.tables.len(),
        groups: snapshot.rules.groups.iter().map(|group| group.name.clone()).collect(),
        last_error: last_error.as_ref().map(|error| error.findings.join("\n")),
        last_error_ms: last_error.map(|error| error.at_ms),
    }
}
