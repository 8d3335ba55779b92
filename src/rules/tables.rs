//! TableGroup, ReferenceTables and SingleTables: which table lives where, each named once.

use std::collections::HashMap;
use std::sync::Arc;

use super::algorithm::{Algorithm, algorithm};
use super::id_column::Around;
use super::settings::{Owner, key_update, missing_key, multi_shard};
use super::split::{self, Split};
use super::{Distribution, GroupId, IdRules, OnDead, TableGroup, TableRule, Topology, id_column, names, undo};
use crate::types::{KeyType, ShardId};
use crate::yaml::{Entry, Findings, Node, Place, Value};

/// The most groups over all files: a [`GroupId`] has 16 bits, and far fewer make sense.
const GROUPS_MAX: usize = 4096;

/// The table rules gathered so far.
pub struct Tables<'a> {
    /// Table groups in the order of the files.
    pub groups: Vec<TableGroup>,
    /// Rules by folded name.
    pub rules: HashMap<String, TableRule>,
    /// The logical table of each physical one, by folded names.
    pub physical: HashMap<String, String>,
    /// `None` when the topology could not be read: then shards are not looked up.
    topology: Option<&'a Topology>,
    ids: &'a IdRules,
    places: HashMap<String, Place>,
    group_places: HashMap<String, Place>,
}

impl<'a> Tables<'a> {
    /// Makes an empty list.
    pub fn new(topology: Option<&'a Topology>, ids: &'a IdRules) -> Self {
        Self {
            groups: Vec::new(),
            rules: HashMap::new(),
            physical: HashMap::new(),
            topology,
            ids,
            places: HashMap::new(),
            group_places: HashMap::new(),
        }
    }

    /// Adds a TableGroup document whose shape was checked.
    pub fn add_group(&mut self, document: &Node, findings: &mut Findings) {
        let group = GroupId(self.groups.len().min(GROUPS_MAX) as u16);
        if self.groups.len() == GROUPS_MAX {
            findings.report(&document.place, format!("there are more than {GROUPS_MAX} table groups"));
        }
        let name = document.get("name").and_then(Node::text).unwrap_or_default();
        if let Some(node) = document.get("name") {
            self.claim_group(name, &node.place, findings);
        }
        let key_type = key_type(document);
        let algorithm = algorithm(document, key_type, self.topology, findings);
        let tables = document.get("tables");
        if let Some(node) = tables.filter(|node| node.entries().is_empty()) {
            findings.report(&node.place, format!("the group {name:?} has no tables"));
        }
        let multi_shard = multi_shard(document.get("multi_shard"), Owner::Group, findings);
        for entry in tables.map(Node::entries).unwrap_or_default() {
            self.add_sharded(entry, group, (key_type, &algorithm), findings);
            if multi_shard.on_dead == OnDead::Compensate && entry.node.get("undo").is_none() {
                findings
                    .report(&entry.place, "on_dead: compensate needs undo: {insert: …} for every table of the group");
            }
        }
        self.groups.push(TableGroup {
            name: name.to_owned(),
            key_type,
            algorithm,
            missing_key: missing_key(document.get("missing_key")),
            key_update: key_update(document.get("key_update")),
            multi_shard,
        });
    }

    /// Adds a ReferenceTables document whose shape was checked.
    pub fn add_reference(&mut self, document: &Node, findings: &mut Findings) {
        let home = self.shard(document.get("home"), findings);
        let multi_shard = multi_shard(document.get("multi_shard"), Owner::Reference, findings);
        self.add_list(document, Distribution::Reference { home, multi_shard }, findings);
    }

    /// Adds a SingleTables document whose shape was checked.
    pub fn add_single(&mut self, document: &Node, findings: &mut Findings) {
        let shard = self.shard(document.get("shard"), findings);
        self.add_list(document, Distribution::Single { shard }, findings);
    }

    /// Checks that no rule puts the lookup table of a TableGroup elsewhere than on home, when all rules are added.
    pub fn check_lookup(&self, document: &Node, findings: &mut Findings) {
        let (Some(topology), Some(node)) = (self.topology, document.get("lookup").and_then(|node| node.get("table")))
        else {
            return;
        };
        let Some(name) = node.name().and_then(|name| names::table(name).ok()) else { return };
        let is_on_home = match self.rules.get(&name).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { .. }) => false,
            Some(Distribution::Reference { home, .. }) => *home == topology.home,
            Some(Distribution::Single { shard }) => *shard == topology.home,
            None => !self.physical.contains_key(&name),
        };
        if !is_on_home {
            let message =
                format!("the lookup table {name:?} must be on home: a table without a rule, or a single one there");
            findings.report(&node.place, message);
        }
    }

    fn add_sharded(
        &mut self,
        entry: &Entry,
        group: GroupId,
        (key_type, algorithm): (KeyType, &Algorithm),
        findings: &mut Findings,
    ) {
        let key = key_columns(entry, algorithm, findings);
        let first = key.first().map(String::as_str).unwrap_or_default();
        let buckets = self.topology.map(|topology| topology.placement.buckets());
        let around = Around { key: &key, algorithm, buckets };
        let id = entry.node.get("id").and_then(|node| id_column::read(node, self.ids, around, findings));
        let owner =
            split::Owner { key: first, key_type, hashed: *algorithm == Algorithm::Hash, buckets: buckets.unwrap_or(1) };
        let split = entry.node.get("split").and_then(|node| Split::read(node, &owner, findings)).map(Arc::new);
        if let Some(node) = entry.node.get("split").filter(|_| matches!(algorithm, Algorithm::Composite(_))) {
            findings.report(&node.place, "split is not available yet with algorithm composite");
        }
        let distribution =
            Distribution::Sharded { group, key: first.to_owned(), more: key.iter().skip(1).cloned().collect() };
        let Some(name) = entry.name() else { return };
        let undo = entry.node.get("undo").and_then(|node| undo::read(node, split.is_some(), findings));
        let rule = TableRule { name: name.to_owned(), distribution, id, split, undo };
        let Some(folded) = self.add(rule, &entry.place, findings) else { return };
        if let Some(pattern) = entry.node.get("split").and_then(|node| node.get("pattern")) {
            self.claim_physical(&folded, &pattern.place, findings);
        }
    }

    fn add_list(&mut self, document: &Node, distribution: Distribution, findings: &mut Findings) {
        let Some(tables) = document.get("tables") else { return };
        if tables.items().is_empty() {
            findings.report(&tables.place, "the list of tables is empty");
        }
        for item in tables.items() {
            if let Some(name) = item.name() {
                let distribution = distribution.clone();
                let rule = TableRule { name: name.to_owned(), distribution, id: None, split: None, undo: None };
                self.add(rule, &item.place, findings);
            }
        }
    }

    /// Adds a rule; returns its folded name unless something was found against it.
    fn add(&mut self, rule: TableRule, place: &Place, findings: &mut Findings) -> Option<String> {
        let written = &rule.name;
        let folded = match names::table(written) {
            Ok(folded) => folded,
            Err(message) => {
                findings.report(place, message);
                return None;
            }
        };
        if let Some(Place { file, line, .. }) = self.places.get(&folded) {
            let message = match self.physical.get(&folded) {
                Some(other) => format!("table {written:?} is a physical table of {other:?}, split at {file}:{line}"),
                None => format!("table {written:?} has two rules, the first is at {file}:{line}"),
            };
            findings.report(place, message);
            return None;
        }
        self.places.insert(folded.clone(), place.clone());
        self.rules.insert(folded.clone(), rule);
        Some(folded)
    }

    /// Takes the names of a table's physical tables; none may be another table's.
    fn claim_physical(&mut self, logical: &str, place: &Place, findings: &mut Findings) {
        let keys = self.rules.get(logical).map(|rule| rule.physical_keys(logical)).unwrap_or_default();
        for key in keys {
            if let Some(Place { file, line, .. }) = self.places.get(&key) {
                let message = format!("the physical table {key:?} of {logical:?} is named at {file}:{line} already");
                return findings.report(place, message);
            }
            self.places.insert(key.clone(), place.clone());
            self.physical.insert(key, logical.to_owned());
        }
    }

    fn claim_group(&mut self, name: &str, place: &Place, findings: &mut Findings) {
        match self.group_places.get(name) {
            Some(Place { file, line, .. }) => {
                findings.report(place, format!("two groups are named {name:?}, the first is at {file}:{line}"));
            }
            None => drop(self.group_places.insert(name.to_owned(), place.clone())),
        }
    }

    /// Returns the shard that `node` names, home when it names none or no shard is known.
    fn shard(&self, node: Option<&Node>, findings: &mut Findings) -> ShardId {
        let Some(topology) = self.topology else { return ShardId(0) };
        node.and_then(|node| topology.named_shard(node, findings)).unwrap_or(topology.home)
    }
}

/// Reads `key.type`, of several the first; a type that its shape lacks was reported and stands as bigint.
fn key_type(document: &Node) -> KeyType {
    let node = document.get("key").and_then(|key| key.get("type"));
    let named = node.and_then(|node| node.text().or_else(|| node.items().first()?.text()));
    named.and_then(KeyType::named).unwrap_or(KeyType::BigInt)
}

/// Reads a table's key columns: as many as the algorithm goes by, each once.
fn key_columns(entry: &Entry, algorithm: &Algorithm, findings: &mut Findings) -> Vec<String> {
    let Some(node) = entry.node.get("key") else { return Vec::new() };
    let several = matches!(node.value, Value::List(_));
    let written = if several { node.items() } else { std::slice::from_ref(node) };
    let mut columns: Vec<String> = Vec::new();
    for item in written {
        let Some(name) = item.name() else { continue };
        match names::column(name) {
            Ok(name) if columns.contains(&name) => {
                findings.report(&item.place, format!("{name:?} is named twice in the key"));
            }
            Ok(name) => columns.push(name),
            Err(message) => findings.report(&item.place, message),
        }
    }
    match algorithm {
        Algorithm::Composite(more) if written.len() != more.len() + 1 => {
            let message = format!("the key has {} columns, \"type\" has {}", written.len(), more.len() + 1);
            findings.report(&node.place, message);
        }
        Algorithm::Composite(_) => {}
        Algorithm::Hash
        | Algorithm::Mod(_)
        | Algorithm::List(_)
        | Algorithm::Range(_)
        | Algorithm::Interval(_)
        | Algorithm::Lookup(_) => {
            if several {
                findings.report(&node.place, "a key of several columns needs algorithm: composite");
            }
        }
    }
    columns
}
