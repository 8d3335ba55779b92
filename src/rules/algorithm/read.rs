//! `algorithm` and its parameters, read from a TableGroup whose shape was checked.

use std::sync::Arc;

use super::value::value;
use super::{Algorithm, Directory, Interval, List, Lookup, Span, Unit};
use crate::rules::formats::utc_offset;
use crate::rules::{Topology, names};
use crate::types::moment::{date_days, year_and_month};
use crate::types::{KeyType, KeyValue, ShardId};
use crate::yaml::{Findings, Node, Place, Value};

/// The keys of a TableGroup that hold an algorithm's parameters; each is named like its algorithm.
const PARAMETERS: [&str; 5] = ["mod", "list", "range", "interval", "lookup"];

/// A composite key has two columns at least.
const COLUMNS_MIN: usize = 2;
/// The most columns of a composite key: more than tables have in practice, and as few as a statement can be asked for.
const COLUMNS_MAX: usize = 8;

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
    if word != "composite" {
        reader.expect_one_column(word, findings);
    }
    match word {
        "mod" => reader.modulo(findings),
        "list" => Algorithm::List(reader.list(findings)),
        "range" => Algorithm::Range(reader.range(findings)),
        "interval" => reader.interval(findings).map_or(Algorithm::Hash, Algorithm::Interval),
        "composite" => reader.composite(findings),
        "lookup" => reader.lookup(findings).map_or(Algorithm::Hash, Algorithm::Lookup),
        _ => {
            reader.expect_hashed(findings);
            Algorithm::Hash
        }
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

    fn list(&self, findings: &mut Findings) -> List {
        let mut list = List::default();
        let Some(node) = self.parameters("list", findings) else { return list };
        list.default = node.get("default").map(|node| self.shard(node, findings));
        let Some(placement) = node.get("placement") else { return list };
        for entry in placement.entries() {
            let shard = self.named(&entry.key, &entry.place, findings);
            for item in entry.node.items() {
                if !self.claim(&mut list, item, shard, findings) {
                    findings.report(&item.place, format!("{} is listed twice", item.text().unwrap_or("null")));
                }
            }
        }
        if placement.entries().iter().all(|entry| entry.node.items().is_empty()) {
            findings.report(&placement.place, "no value is listed");
        }
        list
    }

    /// Gives a listed value to `shard`; tells whether nobody had it.
    fn claim(&self, list: &mut List, item: &Node, shard: ShardId, findings: &mut Findings) -> bool {
        match item.value {
            Value::Null => list.null.replace(shard).is_none(),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                value(item, self.key_type, findings).is_none_or(|value| list.places.insert(value, shard).is_none())
            }
        }
    }

    fn range(&self, findings: &mut Findings) -> Vec<Span> {
        let Some(node) = self.parameters("range", findings) else { return Vec::new() };
        if node.items().is_empty() {
            findings.report(&node.place, "the list of ranges is empty");
        }
        let mut read: Vec<(Span, &Node)> = node.items().iter().map(|item| (self.span(item, findings), item)).collect();
        read.sort_by(|(one, _), (other, _)| one.from.cmp(&other.from));
        for pair in read.windows(2) {
            let [(before, first), (after, second)] = pair else { continue };
            if before.to.is_none() || after.from.is_none() || before.to > after.from {
                let message = format!("the range overlaps with that on line {}", first.place.line);
                findings.report(&second.place, message);
            }
        }
        read.into_iter().map(|(span, _)| span).collect()
    }

    fn span(&self, node: &Node, findings: &mut Findings) -> Span {
        let mut bound = |key| -> Option<KeyValue> { value(node.get(key)?, self.key_type, findings) };
        let (from, to) = (bound("from"), bound("to"));
        if from.is_some() && to.is_some() && from >= to {
            findings.report(&node.place, "a range ends after it begins: \"to\" is the first key beyond it");
        }
        let shard = node.get("shard").map_or(ShardId(0), |node| self.shard(node, findings));
        Span { from, to, shard }
    }

    fn interval(&self, findings: &mut Findings) -> Option<Interval> {
        self.expect_type("interval", self.key_type.is_time(), "a key of type date, timestamp or timestamptz", findings);
        let node = self.parameters("interval", findings)?;
        let unit = match node.get("unit").and_then(Node::text)? {
            "day" => Unit::Day,
            "week" => Unit::Week,
            "month" => Unit::Month,
            "year" => Unit::Year,
            _ => return None,
        };
        let every = node.get("every").and_then(Node::integer).and_then(|every| i64::try_from(every).ok());
        let origin_node = node.get("origin")?;
        let origin = date_days(origin_node.text()?)?;
        let first = match unit {
            Unit::Day | Unit::Week => true,
            Unit::Month => year_and_month(origin) != year_and_month(origin - 1),
            Unit::Year => year_and_month(origin).0 != year_and_month(origin - 1).0,
        };
        if !first {
            findings.report(&origin_node.place, "intervals of this unit begin with its first day");
        }
        let offset = self.offset(node, findings);
        let shards = node.get("shards").map(|list| self.shards(list, findings))?;
        Some(Interval { unit, every: every.unwrap_or(1).max(1), origin, offset, shards })
    }

    /// Reads the types of the columns; each must hash alike in PostgreSQL and here.
    fn composite(&self, findings: &mut Findings) -> Algorithm {
        let types = self.document.get("key").and_then(|key| key.get("type"));
        let listed = types.map(Node::items).unwrap_or_default();
        if let Some(node) = types.filter(|_| !(COLUMNS_MIN..=COLUMNS_MAX).contains(&listed.len())) {
            let message = format!(
                "algorithm composite needs the types of {COLUMNS_MIN} to {COLUMNS_MAX} columns, as in [bigint, text]"
            );
            findings.report(&node.place, message);
        }
        let mut more = Vec::new();
        for (position, node) in listed.iter().enumerate() {
            let Some(column_type) = node.text().and_then(KeyType::named) else { continue };
            if column_type.is_time() {
                let found = column_type.name();
                findings
                    .report(&node.place, format!("algorithm composite takes numbers, texts and uuids, not {found}"));
            }
            if position > 0 {
                more.push(column_type);
            }
        }
        if let Some(node) = self.document.get("key_update").filter(|node| node.text() == Some("move")) {
            findings.report(&node.place, "key_update: move is not available yet with algorithm composite");
        }
        Algorithm::Composite(more)
    }

    fn lookup(&self, findings: &mut Findings) -> Option<Lookup> {
        let keyed = "a key of numbers, texts or uuids";
        self.expect_type("lookup", !self.key_type.is_time(), keyed, findings);
        let node = self.parameters("lookup", findings)?;
        let mut name = |key, fold: fn(&str) -> Result<String, String>| {
            let node = node.get(key)?;
            fold(node.name()?).map_err(|message| findings.report(&node.place, message)).ok()
        };
        let (table, key, bucket) =
            (name("table", names::table), name("key", names::column), name("bucket", names::column));
        Some(Lookup { table: table?, key: key?, bucket: bucket?, directory: Arc::new(Directory::default()) })
    }

    fn expect_one_column(&self, word: &str, findings: &mut Findings) {
        let node = self.document.get("key").and_then(|key| key.get("type"));
        if let Some(node) = node.filter(|node| matches!(node.value, Value::List(_))) {
            findings.report(&node.place, format!("algorithm {word} has one key column; several need composite"));
        }
    }

    /// Reads `offset`, which keys with a time zone need and others must not have.
    fn offset(&self, node: &Node, findings: &mut Findings) -> i64 {
        match (node.get("offset"), self.key_type == KeyType::TimestampTz) {
            (Some(offset), true) => offset.text().and_then(utc_offset).unwrap_or(0),
            (None, true) => {
                findings.report(&node.place, "keys of type timestamptz need the key \"offset\", such as \"+00:00\"");
                0
            }
            (Some(offset), false) => {
                let found = self.key_type.name();
                findings.report(&offset.place, format!("\"offset\" is for keys of type timestamptz, found {found}"));
                0
            }
            (None, false) => 0,
        }
    }

    /// Returns the parameters of an algorithm that needs some; their absence is reported.
    fn parameters(&self, key: &str, findings: &mut Findings) -> Option<&Node> {
        let found = self.document.get(key);
        if let (None, Some(node)) = (found, self.document.get("algorithm")) {
            findings.report(&node.place, format!("algorithm {key} needs the key {key:?} beside it"));
        }
        found
    }

    fn named(&self, name: &str, place: &Place, findings: &mut Findings) -> ShardId {
        let Some(topology) = self.topology else { return ShardId(0) };
        let found = topology.shard(name);
        if found.is_none() {
            let known = topology.shards.iter().map(|shard| shard.name.as_str());
            findings.report_word(place, format!("no shard is named {name:?}"), name, known);
        }
        found.unwrap_or(ShardId(0))
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

    fn expect_hashed(&self, findings: &mut Findings) {
        let node = self.document.get("key").and_then(|key| key.get("type"));
        if let Some(node) = node.filter(|_| self.key_type.is_time()) {
            let found = self.key_type.name();
            findings
                .report(&node.place, format!("keys of type {found} need algorithm: interval, range or list, not hash"));
        }
    }

    fn expect_type(&self, word: &str, fits: bool, expected: &str, findings: &mut Findings) {
        if let Some(node) = self.document.get("algorithm").filter(|_| !fits) {
            let found = self.key_type.name();
            findings.report(&node.place, format!("algorithm {word} needs {expected}, found the key type {found}"));
        }
    }
}
