//! `check`: the rule files, their golden tests and, with `--live`, the shards.

use std::path::PathBuf;

use serde_json::json;
use shardloom::server::{Options, load_rules};

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

/// Returns where the rules are.
fn directory(arguments: &CheckArguments) -> Result<PathBuf, Failure> {
    match &arguments.rules {
        Some(rules) => Ok(rules.clone()),
        None if arguments.live => Ok(Options::read(&arguments.config).map_err(Failure::refused)?.rules.directory),
        None => Ok(PathBuf::from(RULES)),
    }
}
