//! Texts of rule files → checked rules, or all findings as `file:line:column: message`.

use tracing::info;

use super::rule_files::RuleSource;
use crate::rules::RuleSet;
use crate::types::Diagnostic;

/// Reads and checks the files; fails with every finding.
pub fn load(source: &RuleSource) -> Result<RuleSet, Vec<Diagnostic>> {
    let files = source.read().map_err(|finding| vec![finding])?;
    match &source.topology {
        None => RuleSet::parse(&files),
        Some(topology) => {
            let parsed = RuleSet::parse_with_topology(&files, topology)?;
            for notice in &parsed.notices {
                info!("{notice}");
            }
            Ok(parsed.rules)
        }
    }
}

/// Writes findings one per line, as they are printed.
pub fn lines(findings: Vec<Diagnostic>) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
