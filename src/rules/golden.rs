//! The golden routing cases under `tests:`.

use super::{GoldenExpectation, GoldenTest, Topology};
use crate::yaml::{Findings, Node, Place, Value};

/// The most parameters of a statement: the protocol counts them in 16 bits.
const PARAMETERS_MAX: usize = 65_535;

/// Reads the cases of a document whose shape was checked; with a topology from a file, the shards they name must exist.
pub fn read(document: &Node, topology: Option<&Topology>, findings: &mut Findings) -> Vec<GoldenTest> {
    let Some(tests) = document.get("tests") else { return Vec::new() };
    tests.items().iter().filter_map(|case| read_case(case, topology, findings)).collect()
}

fn read_case(case: &Node, topology: Option<&Topology>, findings: &mut Findings) -> Option<GoldenTest> {
    let expect = expectation(case, topology, findings);
    let params = case.get("params").map(Node::items).unwrap_or_default();
    if params.len() > PARAMETERS_MAX {
        findings.report(&case.place, format!("a statement has at most {PARAMETERS_MAX} parameters"));
    }
    let Place { file, line, column } = &case.place;
    Some(GoldenTest {
        sql: case.get("sql")?.text()?.to_owned(),
        params: params.iter().map(|param| param.text().map(str::to_owned)).collect(),
        expect: expect?,
        place: format!("{file}:{line}:{column}"),
    })
}

fn expectation(case: &Node, topology: Option<&Topology>, findings: &mut Findings) -> Option<GoldenExpectation> {
    match (case.get("shards"), case.get("error")) {
        (Some(shards), None) => match &shards.value {
            Value::List(names) => Some(GoldenExpectation::Shards(shard_names(names, topology, findings))),
            Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                Some(GoldenExpectation::ShardCount(usize::try_from(shards.integer()?).ok()?))
            }
        },
        (None, Some(error)) => Some(GoldenExpectation::Error(error.text()?.to_owned())),
        (Some(_), Some(_)) | (None, None) => {
            // Something that is not a mapping was reported as such.
            if matches!(case.value, Value::Map(_)) {
                findings.report(&case.place, "a test expects either \"shards\" or \"error\"");
            }
            None
        }
    }
}

fn shard_names(names: &[Node], topology: Option<&Topology>, findings: &mut Findings) -> Vec<String> {
    if let Some(topology) = topology {
        for name in names {
            topology.named_shard(name, findings);
        }
    }
    names.iter().filter_map(Node::text).map(str::to_owned).collect()
}
