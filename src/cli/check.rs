//! `check`: the rule files, their golden tests and, with `--live`, the shards.

use std::path::PathBuf;

use serde_json::json;
use shardloom::proxy::layout_of;
use shardloom::rules::{IdLayout, IdSource, RuleSet};
use shardloom::server::{Options, load_rules};
use shardloom::snowflake::date_time;
use shardloom::types::{Clock as _, SystemClock};

use super::arguments::CheckArguments;
use super::failure::Failure;
use super::golden;
use super::live;
use super::output;
use super::planning::source;

/// Where the rules are, if nothing says so.
const RULES: &str = "shard-rules";

/// Prints one line per finding; any finding makes exit code 1.
pub fn run(arguments: &CheckArguments, as_json: bool) -> Result<(), Failure> {
    let directory = directory(arguments)?;
    let source = source(&directory, arguments.shards);
    let mut findings = Vec::new();
    let mut notices = Vec::new();
    let mut tests = 0;
    match load_rules(&source) {
        Err(mistakes) => findings.extend(mistakes.iter().map(ToString::to_string)),
        Ok(rules) => {
            tests = rules.tests.len();
            findings.extend(golden::failures(&rules));
            findings.extend(out_of_time(&rules, SystemClock::new().wall_ms()));
            if arguments.live {
                let report = live::check(arguments, &rules)?;
                findings.extend(report.findings);
                notices.extend(report.notices);
            }
        }
    }
    if as_json {
        output::json(&json!({"findings": findings, "notices": notices, "tests": tests}));
    } else {
        findings.iter().for_each(output::line);
        notices.iter().for_each(|notice| output::line(format!("notice: {notice}")));
        if findings.is_empty() {
            output::line(format!("{}: no problem found, {tests} golden tests hold", directory.display()));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::Printed) }
}

/// Returns the layouts that have no ids now: their epoch is still to come, or their end has passed. One that only reads old
/// ids may have ended.
fn out_of_time(rules: &RuleSet, now_ms: i64) -> Vec<String> {
    let used = |layout: &IdLayout| {
        rules
            .tables
            .values()
            .filter_map(|table| table.id.as_ref())
            .any(|id| matches!(id.source, IdSource::Snowflake { layout: own, .. } if own == *layout))
    };
    let say = |(name, layout): (&String, &IdLayout)| {
        let fields = layout_of(*layout).ok()?;
        if layout.epoch_ms > now_ms {
            return Some(format!(
                "layout \"{name}\": its epoch {} is still to come; no ids can be made until then",
                date_time(layout.epoch_ms)
            ));
        }
        let ended = fields.end_of_life_ms() <= now_ms && used(layout);
        ended.then(|| {
            format!(
                "layout \"{name}\": its time ended on {}; declare one with more time bits or a later epoch",
                fields.end_of_life_date()
            )
        })
    };
    rules.ids.layouts.iter().filter_map(say).collect()
}

/// Returns where the rules are.
fn directory(arguments: &CheckArguments) -> Result<PathBuf, Failure> {
    match &arguments.rules {
        Some(rules) => Ok(rules.clone()),
        None if arguments.live => Ok(Options::read(&arguments.config).map_err(Failure::refused)?.rules.directory),
        None => Ok(PathBuf::from(RULES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shardloom::rules::RuleFile;

    #[test]
    fn layouts_without_a_present_are_found_and_old_ones_only_where_they_are_used() {
        let rules = |used: &str| {
            let text = format!(
                "kind: Topology\ndatabase: d\nbuckets: 16\nshards: {{s0: {{primary: \"127.0.0.1:1\", database: d}}}}\n\
                 placement: {{s0: [\"0-15\"]}}\nhome: s0\n---\nkind: TableGroup\nname: g\nkey: {{type: bigint}}\n\
                 tables: {{t: {{key: k, id: {{column: id, layout: {used}, tag: t}}}}}}\n---\nkind: Ids\ntags: {{t: 1}}\nlayouts:\n  \
                 late: {{epoch: \"2099-01-01T00:00:00Z\", bits: {{time: 41, tag: 6, worker: 7, sequence: 9}}}}\n  \
                 old: {{epoch: \"1971-01-01T00:00:00Z\", bits: {{time: 32, tag: 6, worker: 7, sequence: 9}}}}\n"
            );
            let file = RuleFile { path: "rules.yaml".to_owned(), text };
            RuleSet::parse(&[file]).unwrap_or_else(|errors| panic!("{errors:?}"))
        };
        let now_ms = 1_790_000_000_000;
        let late =
            "layout \"late\": its epoch 2099-01-01T00:00:00.000Z is still to come; no ids can be made until then";
        assert_eq!(out_of_time(&rules("standard"), now_ms), [late]);
        let found = out_of_time(&rules("old"), now_ms);
        assert_eq!((found.len(), found[1].contains("\"old\": its time ended on 1971-")), (2, true), "{found:?}");
    }
}
