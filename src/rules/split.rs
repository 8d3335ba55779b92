//! `tables.NAME.split`: several physical tables in each shard's database, and which of them a row is in.
//!
//! Checks that names are distinct within one table; that no other rule has them is checked where tables are gathered.

use super::{Algorithm, GroupId, RuleSet, TableRule, names, partition_hash};
use crate::types::{KeyType, KeyValue};
use crate::yaml::{Findings, Node};

/// The most physical tables of one logical table in one database: a read of all of them names each.
pub const SPLIT_MAX: u64 = 1024;

/// The physical tables of a logical one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The column whose value says which physical table a row is in.
    pub by: String,
    /// Its type.
    pub by_type: KeyType,
    /// How a value finds its slot.
    pub algorithm: SplitAlgorithm,
    /// The physical tables' names by slot, without schema: they are in that of the logical table.
    pub names: Vec<String>,
}

/// How a value of `split.by` finds its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitAlgorithm {
    /// PostgreSQL's partition hash, divided by `divisor`, modulo the number of tables.
    Hash {
        /// The number of buckets where the value is the sharding key of a hashed group, so that the tables of one shard
        /// fill alike whatever buckets it owns; else 1.
        divisor: u32,
    },
    /// An integer modulo the number of tables, from 0 up whatever its sign.
    Mod,
}

/// What of the group a table's split depends on.
pub(super) struct Owner<'a> {
    /// The sharding key's column.
    pub(super) key: &'a str,
    /// Its type.
    pub(super) key_type: KeyType,
    /// Whether the key finds its shard by its hash.
    pub(super) hashed: bool,
    /// How many buckets there are.
    pub(super) buckets: u32,
}

impl Split {
    /// Returns the slot of rows with this value, which is of the type `by_type`.
    pub fn slot(&self, value: &KeyValue) -> usize {
        let into = self.names.len().max(1);
        match (self.algorithm, value) {
            (SplitAlgorithm::Mod, KeyValue::Int(number)) => number.rem_euclid(into as i64) as usize,
            (SplitAlgorithm::Mod, KeyValue::Text(_) | KeyValue::Uuid(_) | KeyValue::Parts(_)) => 0,
            (SplitAlgorithm::Hash { divisor }, value) => {
                (partition_hash(value) / u64::from(divisor.max(1)) % into as u64) as usize
            }
        }
    }

    /// Returns the name of a physical table's index or constraint: that of a name which begins with the logical table's
    /// begins with the physical one's, as PostgreSQL names them by itself; else the slot's number is added.
    pub fn physical_name(&self, name: &str, key: &str, slot: usize) -> String {
        match name.strip_prefix(bare(key)).filter(|rest| rest.starts_with('_')) {
            Some(rest) => format!("{}{rest}", self.names[slot]),
            None => format!("{name}{}", self.suffix(slot)),
        }
    }

    /// Returns the logical name of an index or constraint of a physical table of `key`.
    pub fn logical_name(&self, name: &str, key: &str, slot: usize) -> String {
        if let Some(rest) = name.strip_prefix(self.names[slot].as_str()).filter(|rest| rest.starts_with('_')) {
            return format!("{}{rest}", bare(key));
        }
        name.strip_suffix(&self.suffix(slot)).unwrap_or(name).to_owned()
    }

    /// The slot's number, as wide as the last one's.
    fn suffix(&self, slot: usize) -> String {
        let width = self.names.len().saturating_sub(1).to_string().len();
        format!("_{slot:0width$}")
    }

    /// Tells whether equal values of the two tables' columns have equal slots.
    pub fn is_like(&self, other: &Self) -> bool {
        let comparable = self.by_type == other.by_type || self.by_type.is_integer() && other.by_type.is_integer();
        comparable && self.algorithm == other.algorithm && self.names.len() == other.names.len()
    }

    /// Reads `split` of a table whose shape was checked; what is wrong with it is reported.
    pub(super) fn read(node: &Node, owner: &Owner<'_>, findings: &mut Findings) -> Option<Self> {
        let by = match node.get("by") {
            Some(by) => match names::column(by.name()?) {
                Ok(by) => by,
                Err(message) => {
                    findings.report(&by.place, message);
                    return None;
                }
            },
            None => owner.key.to_owned(),
        };
        let by_type = by_type(node, &by, owner, findings);
        let algorithm = algorithm(node, &by, by_type, owner, findings);
        let into = node.get("into").and_then(Node::integer)?;
        let pattern = node.get("pattern")?;
        let names = names_of(pattern, into, findings)?;
        Some(Self { by, by_type, algorithm, names })
    }
}

/// The key has its type already; what is said of it again must be the same.
fn by_type(node: &Node, by: &str, owner: &Owner<'_>, findings: &mut Findings) -> KeyType {
    let Some(node) = node.get("type") else { return owner.key_type };
    let Some(said) = node.text().and_then(KeyType::named) else { return owner.key_type };
    if by == owner.key && said != owner.key_type {
        let message = format!("{by:?} is the sharding key, of type {}, not {}", owner.key_type.name(), said.name());
        findings.report(&node.place, message);
    }
    said
}

fn algorithm(node: &Node, by: &str, by_type: KeyType, owner: &Owner<'_>, findings: &mut Findings) -> SplitAlgorithm {
    let said = node.get("algorithm");
    let place = &said.or(node.get("type")).unwrap_or(node).place;
    match said.and_then(Node::text) {
        Some("mod") => {
            if !by_type.is_integer() {
                let message = format!("split by mod needs an integer column, found the type {}", by_type.name());
                findings.report(place, message);
            }
            SplitAlgorithm::Mod
        }
        _ => {
            if by_type.is_time() {
                let message = format!("a split by hash needs an integer, text or uuid, found {}", by_type.name());
                findings.report(place, message);
            }
            let divisor = if by == owner.key && owner.hashed { owner.buckets } else { 1 };
            SplitAlgorithm::Hash { divisor }
        }
    }
}

/// Returns the names that a pattern gives, by slot.
fn names_of(node: &Node, into: u64, findings: &mut Findings) -> Option<Vec<String>> {
    let pattern = node.name()?;
    let Some((before, width, after)) = placeholder(pattern) else {
        let message = format!("expected one placeholder of zeros in braces, as in \"items_{{00}}\", found {pattern:?}");
        findings.report(&node.place, message);
        return None;
    };
    let mut made = Vec::new();
    for slot in 0..into.min(SPLIT_MAX) {
        match names::column(&format!("{before}{slot:0width$}{after}")) {
            Ok(name) => made.push(name),
            Err(message) => {
                findings
                    .report(&node.place, message.replace("a column's name without its table", "a name without schema"));
                return None;
            }
        }
    }
    Some(made)
}

/// Returns what stands before the placeholder, its width, and what stands behind.
fn placeholder(pattern: &str) -> Option<(&str, usize, &str)> {
    let (before, rest) = pattern.split_once('{')?;
    let (zeros, after) = rest.split_once('}')?;
    let plain = !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0');
    (plain && !before.contains('}') && !after.contains(['{', '}'])).then_some((before, zeros.len(), after))
}

impl TableRule {
    /// Returns the keys by which rules and catalogs would list the physical tables, by slot; none if it is not split.
    pub fn physical_keys(&self, key: &str) -> Vec<String> {
        let Some(split) = &self.split else { return Vec::new() };
        let schema = key.strip_suffix(&format!(".{}", bare(key))).filter(|_| key.contains('.'));
        let full = |name: &String| schema.map_or_else(|| name.clone(), |schema| format!("{schema}.{name}"));
        split.names.iter().map(full).collect()
    }
}

/// Returns a table's name without its schema.
fn bare(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

impl RuleSet {
    /// Returns the logical table that a physical one belongs to, both named as the rules name tables.
    pub fn logical_of(&self, physical: &str) -> Option<&str> {
        self.physical.get(physical).map(String::as_str)
    }

    /// Returns the split of a table by its lower-case name.
    pub fn split_of(&self, name: &str) -> Option<&Split> {
        self.tables.get(name)?.split.as_deref()
    }

    /// Tells whether a word is the bare name of a physical table.
    pub fn names_physical(&self, word: &str) -> bool {
        !self.physical.is_empty() && self.physical.keys().any(|name| bare(name) == word)
    }

    /// Tells whether a group's keys find their shards by hash.
    pub fn is_hashed(&self, group: GroupId) -> bool {
        self.group(group).algorithm == Algorithm::Hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(algorithm: SplitAlgorithm, into: usize) -> Split {
        let names = (0..into).map(|slot| format!("t_{slot}")).collect();
        Split { by: "id".into(), by_type: KeyType::BigInt, algorithm, names }
    }

    #[test]
    fn a_pattern_has_one_placeholder_of_zeros() {
        assert_eq!(placeholder("t_{00}"), Some(("t_", 2, "")));
        assert_eq!(placeholder("{0}_t"), Some(("", 1, "_t")));
        for wrong in ["t", "t_{}", "t_{01}", "t_{0}{0}", "t}_{0}", "t_{0", "t_{0}}"] {
            assert_eq!(placeholder(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn remainders_count_from_zero_up() {
        let split = split(SplitAlgorithm::Mod, 4);
        let slots = [-1, 0, 3, 4, i64::MIN].map(|number| split.slot(&KeyValue::Int(number)));
        assert_eq!(slots, [3, 0, 3, 0, 0]);
    }

    #[test]
    fn the_slot_of_a_hashed_key_does_not_follow_from_its_bucket() {
        let buckets = 16;
        let split = split(SplitAlgorithm::Hash { divisor: buckets }, 4);
        let of_bucket = |key: &i64| partition_hash(&KeyValue::Int(*key)) % u64::from(buckets) == 5;
        let mut seen = [0; 4];
        for key in (0..10_000).filter(of_bucket) {
            seen[split.slot(&KeyValue::Int(key))] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }

    #[test]
    fn integers_of_all_widths_share_slots() {
        let (wide, mut narrow) = (split(SplitAlgorithm::Mod, 4), split(SplitAlgorithm::Mod, 4));
        narrow.by_type = KeyType::Int;
        assert!(wide.is_like(&narrow));
        narrow.by_type = KeyType::Text;
        assert!(!wide.is_like(&narrow) && !wide.is_like(&split(SplitAlgorithm::Mod, 8)));
    }
}
