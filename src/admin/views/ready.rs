//! Whether the proxy can serve, and what an operator should know even if it can.

use serde::Serialize;

use super::shards;
use crate::proxy::{DrainPhase, Proxy};

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct ReadyView {
    /// Whether traffic should come here.
    pub ready: bool,
    /// Why not; empty when ready.
    pub reasons: Vec<String>,
    /// Shards that do not answer; the others are served all the same.
    pub shards_down: Vec<String>,
    /// The findings of the last reload if it was refused.
    pub last_reload_error: Option<String>,
}

/// Decides.
pub fn ready(proxy: &Proxy) -> ReadyView {
    let mut reasons: Vec<String> = proxy.readiness.missing(proxy.workers()).into_iter().map(str::to_owned).collect();
    if proxy.drain.phase() != DrainPhase::Serving {
        reasons.push("the proxy is shutting down".to_owned());
    }
    ReadyView {
        ready: reasons.is_empty(),
        reasons,
        shards_down: shards(proxy).into_iter().filter(|shard| shard.state == "down").map(|shard| shard.name).collect(),
        last_reload_error: proxy.rules.last_error().map(|error| error.findings.join("\n")),
    }
}
