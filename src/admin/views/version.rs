//! The program's version.

use serde::Serialize;

/// Version facts, the same as `shardloom --version --json`.
#[derive(Debug, Serialize)]
pub struct VersionView {
    /// The package's version.
    pub version: &'static str,
    /// The commit that was built, if the build said it (`SHARDLOOM_COMMIT` in its environment).
    pub commit: Option<&'static str>,
    /// Features that were built in.
    pub features: Vec<&'static str>,
    /// Ways in which events reach their targets.
    pub transports: Vec<&'static str>,
}

/// Returns the facts.
pub fn version() -> VersionView {
    VersionView {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("SHARDLOOM_COMMIT"),
        features: Vec::new(),
        transports: vec!["direct"],
    }
}
