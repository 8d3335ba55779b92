//! `id next` asks a running proxy; `id decode` and `id bench` need nobody.

use std::path::Path;

use serde_json::{Value, json};
use shardloom::proxy::layout_of;
use shardloom::rules::{IdLayout, IdSource, RuleSet, gene_layout, js53_layout, standard_layout};
use shardloom::server::{RuleSource, load_rules};
use shardloom::snowflake::date_time;
use shardloom::types::BucketId;

use super::arguments::{AdminTarget, IdCommand};
use super::bench;
use super::failure::Failure;
use super::output;
use super::planning::source;
use super::remote::{Remote, escape};

/// Shards of a Topology that stands in for a missing one: as many as `dev` makes at most, so that each named one exists.
const SHARDS_STAND_IN: u16 = 64;

/// Runs `id …`.
pub fn run(command: &IdCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        IdCommand::Next { tag, n, table, key, target } => {
            let of = |name: &str, value: &Option<String>| {
                value.as_ref().map_or_else(String::new, |value| format!("&{name}={}", escape(value)))
            };
            next(target, &format!("/ids/{}?n={n}{}{}", escape(tag), of("table", table), of("key", key)), as_json)
        }
        IdCommand::Decode { id, rules, layout } => decode(*id, rules.as_deref(), layout, as_json),
        IdCommand::Bench { seconds } => bench::run(*seconds, as_json),
    }
}

fn next(target: &AdminTarget, path: &str, as_json: bool) -> Result<(), Failure> {
    let answer = Remote::new(target).get(path)?;
    if as_json {
        output::json(&answer);
    } else {
        answer["ids"].as_array().into_iter().flatten().for_each(|id| output::line(output::cell(id)));
    }
    Ok(())
}

fn decode(id: i64, rules: Option<&Path>, layout: &str, as_json: bool) -> Result<(), Failure> {
    let (rules, knows_shards) = rules.map(read_rules).transpose()?.unzip();
    let declared =
        rules.as_ref().and_then(|rules| rules.ids.layouts.get(layout).copied().or_else(|| of_table(rules, layout)));
    let known = declared.or_else(|| built_in(layout)).ok_or_else(|| {
        let names = rules.iter().flat_map(|rules| rules.ids.layouts.keys()).map(String::as_str);
        let names: Vec<&str> = if rules.is_some() { names.collect() } else { BUILT_IN.to_vec() };
        Failure::Usage(format!("no layout is named {layout:?}; there are {}", names.join(", ")))
    })?;
    let placed = rules.as_ref().filter(|_| knows_shards == Some(true));
    let facts = facts(id, known, rules.as_ref(), placed)
        .ok_or_else(|| Failure::Problem(format!("{id} is no id of the layout {layout:?}")))?;
    if as_json {
        output::json(&facts);
    } else {
        for (name, value) in facts.as_object().into_iter().flatten() {
            output::line(format!("{name:<11} {}", output::cell(value)));
        }
    }
    Ok(())
}

/// Returns the layout of a table's ids.
fn of_table(rules: &RuleSet, table: &str) -> Option<IdLayout> {
    match rules.table(table)?.id.as_ref()?.source {
        IdSource::Snowflake { layout, .. } => Some(layout),
        IdSource::Segment(_) | IdSource::Uuid { .. } => None,
    }
}

/// Layouts that need no declaration.
const BUILT_IN: [&str; 3] = ["standard", "gene", "js53"];

fn built_in(name: &str) -> Option<IdLayout> {
    match name {
        "standard" => Some(standard_layout()),
        "gene" => Some(gene_layout()),
        "js53" => Some(js53_layout()),
        _ => None,
    }
}

/// Reads the rules, and tells whether they know the shards: those without a Topology will do too, but then no bucket has a
/// place.
fn read_rules(directory: &Path) -> Result<(RuleSet, bool), Failure> {
    load_rules(&RuleSource::directory(directory))
        .map(|rules| (rules, true))
        .or_else(|findings| {
            load_rules(&source(directory, Some(SHARDS_STAND_IN))).map(|rules| (rules, false)).map_err(|_| findings)
        })
        .map_err(Failure::refused)
}

/// Decodes an id; `rules` name its tag, `placed` the shard of its bucket.
fn facts(id: i64, layout: IdLayout, rules: Option<&RuleSet>, placed: Option<&RuleSet>) -> Option<Value> {
    let fields = layout_of(layout).ok()?;
    let decoded = fields.decode(id)?;
    let mut facts = json!({
        "id": id,
        "time_ms": decoded.time_ms,
        "time": date_time(decoded.time_ms),
        "worker": decoded.worker,
        "sequence": decoded.sequence,
        "end_of_life": fields.end_of_life_date(),
    });
    match layout.has_bucket {
        true => {
            let bucket = u32::from(decoded.tag);
            let placed = placed.filter(|rules| bucket < rules.placement.buckets());
            facts["bucket"] = json!(bucket);
            facts["shard"] = json!(placed.map(|rules| &rules.shard(rules.placement.owner(BucketId(bucket))).name));
        }
        false => {
            let name = rules.and_then(|rules| rules.ids.tags.iter().find(|(_, code)| **code == decoded.tag));
            facts["tag_code"] = json!(decoded.tag);
            facts["tag"] = json!(name.map(|(name, _)| name));
        }
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_apart_and_a_negative_number_is_none() {
        let standard = standard_layout();
        let id = layout_of(standard).unwrap().compose(1000, 3, 5, 7);
        let facts = facts(id, standard, None, None).unwrap();
        assert_eq!(facts["time_ms"], standard.epoch_ms + 1000);
        assert_eq!(facts["time"], "2026-01-01T00:00:01.000Z");
        assert_eq!(facts["end_of_life"], "2095-09-07");
        assert_eq!((&facts["tag_code"], &facts["worker"], &facts["sequence"]), (&json!(3), &json!(5), &json!(7)));
        assert!(facts["tag"].is_null());
        assert!(super::facts(-1, standard, None, None).is_none());
    }

    #[test]
    fn an_id_with_a_bucket_says_so() {
        let id = layout_of(gene_layout()).unwrap().compose(5, 4000, 3, 1);
        let facts = facts(id, gene_layout(), None, None).unwrap();
        assert_eq!((&facts["bucket"], &facts["worker"]), (&json!(4000), &json!(3)));
        assert!(facts["shard"].is_null() && facts.get("tag_code").is_none());
    }
}
