//! `status`: one page about a running proxy, and what to do next.

use serde_json::Value;

use super::arguments::AdminTarget;
use super::failure::Failure;
use super::output;
use super::remote::Remote;

/// Prints the page, or the proxy's own JSON.
pub fn run(target: &AdminTarget, as_json: bool) -> Result<(), Failure> {
    let status = Remote::new(target).get("/status")?;
    if as_json {
        output::json(&status);
        return Ok(());
    }
    for line in summary(&status) {
        output::line(line);
    }
    output::table(&["name", "address", "state", "error"], &status["shards"], "no shards");
    output::table(&["shard", "user", "active", "idle", "waiting"], &status["pools"], "no server connections yet");
    for step in status["next"].as_array().into_iter().flatten() {
        output::line(format!("next: {}", output::cell(step)));
    }
    Ok(())
}

fn summary(status: &Value) -> Vec<String> {
    let value = |name: &str| output::cell(&status[name]);
    vec![
        format!("shardloom {} · up {} s · ready: {}", value("version"), value("uptime_s"), value("ready")),
        format!("rules {} (generation {}) from {}", value("rules_version"), value("generation"), value("rules_source")),
        format!("clients {} · backlog {} · dead letters {}", value("clients"), value("backlog"), value("dead_letters")),
    ]
}
