//! `algorithm` and its parameters, read from a TableGroup whose shape was checked.

use super::Algorithm;
use crate::rules::Topology;
use crate::types::{KeyType, ShardId};
use crate::yaml::{Findings, Node};

/// The keys of a TableGroup that hold an algorithm's parameters; each is named like its algorithm.
const PARAMETERS: [&str; 1] = ["mod"];

/// Reads the algorithm of a group with keys of this type; hash where something was found against it.
pub(in crate::rules) fn algorithm(
    document: &Node,
    key_type: KeyType,
    topology: Option<&Topology>,
    findings: &mut Findings,
) -> Algorithm {
    let node = document.get("algorithm");
    let word = node.and_then(Node::text).unwrap_or("hash");
    for key in PARAMETERS.into_iter().filter(|key| *key != word) {
        if let Some(strange) = document.get(key) {
            let message = format!("{key:?} is for groups with algorithm: {key}, this one has {word}");
            findings.report(&strange.place, message);
        }
    }
    let reader = Reader { document, key_type, topology };
    match word {
        "mod" => reader.modulo(findings),
        _ => Algorithm::Hash,
    }
}

/// What an algorithm is read from.
struct Reader<'a> {
    document: &'a Node,
    key_type: KeyType,
    /// `None` when it could not be read: then shards are not looked up.
    topology: Option<&'a Topology>,
}

impl Reader<'_> {
    fn modulo(&self, findings: &mut Findings) -> Algorithm {
        self.expect_type("mod", self.key_type.is_integer(), "an integer key", findings);
        let shards = self.document.get("mod").and_then(|node| node.get("shards"));
        Algorithm::Mod(shards.map(|list| self.shards(list, findings)).unwrap_or_default())
    }

    /// Reads a list of shards; a shard may stand there more than once.
    fn shards(&self, list: &Node, findings: &mut Findings) -> Vec<ShardId> {
        if list.items().is_empty() {
            findings.report(&list.place, "the list of shards is empty");
        }
        list.items().iter().map(|node| self.shard(node, findings)).collect()
    }

    /// Returns the shard that `node` names, the first when there is none of that name, which is reported.
    fn shard(&self, node: &Node, findings: &mut Findings) -> ShardId {
        self.topology.and_then(|topology| topology.named_shard(node, findings)).unwrap_or(ShardId(0))
    }

    fn expect_type(&self, word: &str, fits: bool, expected: &str, findings: &mut Findings) {
        if let Some(node) = self.document.get("algorithm").filter(|_| !fits) {
            let found = self.key_type.name();
            findings.report(&node.place, format!("algorithm {word} needs {expected}, found the key type {found}"));
        }
    }
}
