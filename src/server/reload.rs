//! Reads the rules again: new ones are checked and swapped whole, bad ones leave the last good in force.

use tracing::{info, warn};

use super::rule_files::RuleSource;
use super::rules_text::{lines, load};
use crate::outbox::IdRegistry;
use crate::proxy::{Proxy, ReloadError, Reloaded};
use crate::rules::RuleSet;
use crate::types::{Refusal, SqlState};

/// Reloads once. Fails with all findings, which are also logged and kept for the console.
pub fn reload(proxy: &Proxy, source: &RuleSource) -> Result<Reloaded, Refusal> {
    match next(proxy, source) {
        Ok(Some(rules)) => {
            let version = rules.version.clone();
            proxy.rules.swap(rules, source.directory.display().to_string(), proxy.clock.wall_ms());
            // Reference tables may have come or gone: their capture triggers follow the catalog.
            proxy.requests.refresh_catalog();
            info!(version, generation = proxy.rules.generation(), "new rules are in force");
            Ok(Reloaded::Swapped)
        }
        Ok(None) => {
            proxy.rules.forget_error();
            Ok(Reloaded::Unchanged)
        }
        Err(findings) => Err(refuse(proxy, findings)),
    }
}

fn next(proxy: &Proxy, source: &RuleSource) -> Result<Option<RuleSet>, Vec<String>> {
    let rules = load(source).map_err(lines)?;
    let current = proxy.rules.load();
    if rules.version == current.rules.version {
        return Ok(None);
    }
    let fixed = fixed_for_life(&current.rules, &rules);
    if fixed.is_empty() { Ok(Some(rules)) } else { Err(fixed) }
}

fn refuse(proxy: &Proxy, findings: Vec<String>) -> Refusal {
    for finding in &findings {
        warn!(finding, "the rules are refused, the last good ones stay in force");
    }
    let detail = findings.join("\n");
    proxy.rules.refuse(ReloadError { at_ms: proxy.clock.wall_ms(), findings });
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, "the rules are refused, the last good ones stay in force")
        .with_detail(detail)
        .with_hint("Run shardloom check on the directory.")
}

/// Lists what a running process cannot change: its connections, leases and ids are built on it.
fn fixed_for_life(current: &RuleSet, new: &RuleSet) -> Vec<String> {
    let used = IdRegistry::of(current);
    let kept = |name: &String| new.ids.layouts.get(name) == current.ids.layouts.get(name);
    let layouts_kept = used.used_names().all(kept);
    let changes = [
        (current.database != new.database, "the database's name"),
        (current.shards != new.shards, "the shards"),
        (current.home != new.home, "home"),
        (current.placement != new.placement, "buckets or their placement"),
        (!layouts_kept, "the layout of ids"),
    ];
    let changed = changes.into_iter().filter(|(changed, _)| *changed);
    changed.map(|(_, what)| format!("the new rules change {what}, which needs a restart of the proxy")).collect()
}
