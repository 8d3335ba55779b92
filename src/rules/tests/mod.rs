//! Tables of rule files: what good ones mean, what each mistake is told.

mod bad;
mod good;
mod hostile;

use super::{RuleFile, RuleSet};
use crate::types::Diagnostic;

/// A topology of two shards; documents are appended to it.
const TOPOLOGY: &str = "kind: Topology
database: shop
buckets: 16
shards:
  s0: {primary: \"127.0.0.1:5501\", replicas: [\"127.0.0.1:5511\"]}
  s1: {primary: \"db1:5502\", database: other}
placement:
  s0: [\"0-7\"]
  s1: [\"8-14\", 15]
home: s0
";

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.to_owned(), text: text.to_owned() }
}

/// Parses the topology and one more file, `rules.yaml`.
fn parse(text: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    RuleSet::parse(&[file("topology.yaml", TOPOLOGY), file("rules.yaml", text)])
}

/// Returns the messages of files that must not parse.
fn messages(files: &[RuleFile]) -> Vec<String> {
    RuleSet::parse(files).expect_err("the files are wrong").iter().map(Diagnostic::to_string).collect()
}
