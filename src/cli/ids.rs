//! `id next` asks a running proxy; `id decode` and `id bench` need nobody.

use std::path::Path;

use serde_json::{Value, json};
use shardloom::proxy;
use shardloom::rules::{IdLayout, RuleSet};
use shardloom::server::{RuleSource, load_rules};
use shardloom::snowflake::Layout;

use super::arguments::{AdminTarget, IdCommand};
use super::bench;
use super::failure::Failure;
use super::output;
use super::planning::source;
use super::remote::{Remote, escape};

/// 2026-01-01T00:00:00Z, the epoch of the standard layout (ids design).
const STANDARD_EPOCH_MS: i64 = 1_767_225_600_000;

/// Shards of a Topology that stands in for a missing one: as many as `dev` makes at most, so that each named one exists.
const SHARDS_STAND_IN: u16 = 64;

/// Runs `id …`.
pub fn run(command: &IdCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        IdCommand::Next { tag, n, target } => next(target, tag, *n, as_json),
        IdCommand::Decode { id, rules } => decode(*id, rules.as_deref(), as_json),
        IdCommand::Bench { seconds } => bench::run(standard(), *seconds, as_json),
    }
}

fn next(target: &AdminTarget, tag: &str, n: u32, as_json: bool) -> Result<(), Failure> {
    let answer = Remote::new(target).get(&format!("/ids/{}?n={n}", escape(tag)))?;
    if as_json {
        output::json(&answer);
    } else {
        answer["ids"].as_array().into_iter().flatten().for_each(|id| output::line(output::cell(id)));
    }
    Ok(())
}

fn decode(id: i64, rules: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let rules = rules.map(read_rules).transpose()?;
    let layout = match rules.as_ref().and_then(|rules| rules.ids.layouts.get("standard")) {
        Some(layout) => layout_of(layout)?,
        None => standard(),
    };
    let facts = facts(id, layout, rules.as_ref())
        .ok_or_else(|| Failure::Problem(format!("{id} is no generated id: those are positive")))?;
    if as_json {
        output::json(&facts);
    } else {
        for (name, value) in facts.as_object().into_iter().flatten() {
            output::line(format!("{name:<9} {}", output::cell(value)));
        }
    }
    Ok(())
}

/// Reads the rules; those without a Topology will do too, because an id names no shard.
fn read_rules(directory: &Path) -> Result<RuleSet, Failure> {
    load_rules(&RuleSource::directory(directory))
        .or_else(|findings| load_rules(&source(directory, Some(SHARDS_STAND_IN))).map_err(|_| findings))
        .map_err(Failure::refused)
}

fn layout_of(layout: &IdLayout) -> Result<Layout, Failure> {
    proxy::layout_of(*layout).map_err(|error| Failure::Usage(error.to_string()))
}

fn standard() -> Layout {
    Layout::new(STANDARD_EPOCH_MS, 41, 6, 7, 9).expect("the standard layout has 63 bits")
}

fn facts(id: i64, layout: Layout, rules: Option<&RuleSet>) -> Option<Value> {
    let decoded = layout.decode(id)?;
    let name = rules.and_then(|rules| rules.ids.tags.iter().find(|(_, code)| **code == decoded.tag));
    Some(json!({
        "id": id,
        "time_ms": decoded.time_ms,
        "tag_code": decoded.tag,
        "tag": name.map(|(name, _)| name),
        "worker": decoded.worker,
        "sequence": decoded.sequence,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_apart_and_a_negative_number_is_none() {
        let id = standard().compose(1000, 3, 5, 7);
        let facts = facts(id, standard(), None).unwrap();
        assert_eq!(facts["time_ms"], STANDARD_EPOCH_MS + 1000);
        assert_eq!((&facts["tag_code"], &facts["worker"], &facts["sequence"]), (&json!(3), &json!(5), &json!(7)));
        assert!(facts["tag"].is_null());
        assert!(super::facts(-1, standard(), None).is_none());
    }
}
