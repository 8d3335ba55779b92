//! Rule files → [`RuleSet`]: shapes first, then what holds between documents, all findings at once.

use super::shapes::KINDS;
use super::{RuleSet, Topology, fingerprint, golden, ids, tables::Tables, topology};
use crate::types::Diagnostic;
use crate::yaml::{self, Findings, Node, Place, Shape};

/// A rule file as the caller read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its name for messages.
    pub path: String,
    /// Its text, of one or several YAML documents.
    pub text: String,
}

/// Rules that hold, and what the operator should still hear.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The rules.
    pub rules: RuleSet,
    /// Remarks that are no mistakes, such as a Topology that was ignored.
    pub notices: Vec<Diagnostic>,
}

/// Documents by kind, in the order of the files; their shapes were checked.
#[derive(Default)]
struct Documents {
    topologies: Vec<Node>,
    ids: Vec<Node>,
    groups: Vec<Node>,
    references: Vec<Node>,
    singles: Vec<Node>,
}

impl RuleSet {
    /// Builds the rules of these files, in any order; fails with every mistake found, file by file from top to bottom.
    pub fn parse(files: &[RuleFile]) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::new();
        let documents = Documents::read(files, &mut findings);
        let place = Place { file: files.first().map_or("rules", |file| &file.path).into(), line: 1, column: 1 };
        if documents.topologies.is_empty() {
            findings.report(&place, "no document of kind Topology: one file must declare the shards");
        }
        for document in &documents.topologies {
            yaml::check(document, &shape("Topology"), &mut findings);
        }
        report_repeated(&documents.topologies, "Topology", &mut findings);
        let topology = documents.topologies.first().and_then(|document| topology::read(document, &mut findings));
        let rules = documents.assemble(topology.as_ref(), topology.as_ref(), &mut findings);
        settle(rules, files, findings)
    }

    /// Builds the rules of these files on a topology that the program made; one in the files is ignored with a notice.
    ///
    /// Golden tests may name shards that this topology lacks: they were written for another.
    pub fn parse_with_topology(files: &[RuleFile], topology: &Topology) -> Result<Parsed, Vec<Diagnostic>> {
        let (mut findings, mut notices) = (Findings::new(), Findings::new());
        let documents = Documents::read(files, &mut findings);
        for document in &documents.topologies {
            notices.report(&document.place, "this Topology is ignored: the shards are made by the program");
        }
        let rules = documents.assemble(Some(topology), None, &mut findings);
        let rules = settle(rules, files, findings)?;
        Ok(Parsed { rules, notices: notices.into_sorted(paths(files)) })
    }
}

fn paths(files: &[RuleFile]) -> impl Iterator<Item = &str> {
    files.iter().map(|file| file.path.as_str())
}

/// Returns the rules when nothing was found against them.
fn settle(rules: Option<RuleSet>, files: &[RuleFile], findings: Findings) -> Result<RuleSet, Vec<Diagnostic>> {
    match rules {
        Some(rules) if findings.is_empty() => Ok(rules),
        Some(_) | None => Err(findings.into_sorted(paths(files))),
    }
}

fn shape(kind: &str) -> Shape {
    let (_, record) = KINDS.iter().find(|(word, _)| *word == kind).expect("every kind of Documents is declared");
    Shape::Record(record)
}

fn report_repeated(documents: &[Node], kind: &str, findings: &mut Findings) {
    let Some((first, others)) = documents.split_first() else { return };
    for other in others {
        let Place { file, line, .. } = &first.place;
        findings.report(&other.place, format!("a second document of kind {kind}, the first is at {file}:{line}"));
    }
}

impl Documents {
    /// Reads the files and sorts their documents by kind; all shapes are checked except a Topology's.
    fn read(files: &[RuleFile], findings: &mut Findings) -> Self {
        let mut documents = Self::default();
        for file in files {
            for document in yaml::read(&file.path, &file.text, findings) {
                documents.add(document, findings);
            }
        }
        report_repeated(&documents.ids, "Ids", findings);
        documents
    }

    fn add(&mut self, document: Node, findings: &mut Findings) {
        let list = match document.get("kind").and_then(Node::text) {
            Some("Topology") => return self.topologies.push(document),
            Some("Ids") => &mut self.ids,
            Some("TableGroup") => &mut self.groups,
            Some("ReferenceTables") => &mut self.references,
            Some("SingleTables") => &mut self.singles,
            Some(_) | None => return report_kind(&document, findings),
        };
        let kind = document.get("kind").and_then(Node::text).unwrap_or_default();
        yaml::check(&document, &shape(kind), findings);
        list.push(document);
    }

    /// Builds the rules; `None` without a topology. `declared` is the topology that golden tests must agree with.
    fn assemble(
        &self,
        topology: Option<&Topology>,
        declared: Option<&Topology>,
        findings: &mut Findings,
    ) -> Option<RuleSet> {
        let mut ids = ids::read(self.ids.first(), findings);
        let mut tables = Tables::new(topology, &ids);
        self.groups.iter().for_each(|document| tables.add_group(document, findings));
        self.references.iter().for_each(|document| tables.add_reference(document, findings));
        self.singles.iter().for_each(|document| tables.add_single(document, findings));
        self.groups.iter().for_each(|document| tables.check_lookup(document, findings));
        let documents = self.groups.iter().chain(&self.references).chain(&self.singles);
        let tests = documents.flat_map(|document| golden::read(document, declared, findings)).collect();
        let (groups, physical, tables) = (tables.groups, tables.physical, tables.rules);
        let Topology { database, shards, placement, home, unlisted } = topology?.clone();
        ids.learn_columns(tables.values().filter_map(|table| table.id.as_ref()));
        let version = String::new();
        let mut rules =
            RuleSet { version, database, shards, home, placement, groups, tables, physical, ids, unlisted, tests };
        rules.version = fingerprint::version(&rules);
        Some(rules)
    }
}

fn report_kind(document: &Node, findings: &mut Findings) {
    let kinds = KINDS.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    let expected = kinds.join(" | ");
    match document.get("kind") {
        Some(node) => {
            let message = format!("expected the kind {expected}, found {}", node.found());
            findings.report_word(&node.place, message, node.text().unwrap_or_default(), kinds.iter().copied());
        }
        None => findings.report(&document.place, format!("a document needs the key \"kind\": {expected}")),
    }
}
