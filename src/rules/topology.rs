//! The Topology: shards, buckets, placement, home – from a file, or made by the program.

use super::formats::{address, bucket_range};
use super::{Placement, Shard, UnlistedTables};
use crate::types::{ShardId, ShardSet};
use crate::yaml::{Findings, Node};

/// How many buckets a topology has that no file describes.
const BUCKETS_DEFAULT: usize = 4096;

/// The admin console's name, which no sharded database may have.
const CONSOLE_DATABASE: &str = "shardloom";

/// Where everything lives; the part of a [`RuleSet`](super::RuleSet) that names no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The database that clients connect to.
    pub database: String,
    /// The shards, in order.
    pub shards: Vec<Shard>,
    /// Which shard owns each bucket.
    pub placement: Placement,
    /// The shard of single tables, and the authority of reference tables.
    pub home: ShardId,
    /// What becomes of tables that no rule names.
    pub unlisted: UnlistedTables,
}

impl Topology {
    /// Makes a topology of these shards: home is the first, 4096 buckets are spread evenly in order.
    ///
    /// # Panics
    /// When there is no shard or more than [`ShardSet::CAPACITY`].
    pub fn even(database: &str, shards: Vec<Shard>) -> Self {
        let count = shards.len();
        assert!((1..=ShardSet::CAPACITY).contains(&count), "a topology has 1 to {} shards", ShardSet::CAPACITY);
        let owner = |bucket| ShardId((bucket * count / BUCKETS_DEFAULT) as u16);
        let placement = Placement::new((0..BUCKETS_DEFAULT).map(owner).collect());
        let database = database.to_owned();
        Self { database, shards, placement, home: ShardId(0), unlisted: UnlistedTables::Home }
    }

    /// Returns the shard with that name.
    pub(super) fn shard(&self, name: &str) -> Option<ShardId> {
        self.shards.iter().position(|shard| shard.name == name).map(|index| ShardId(index as u16))
    }

    /// Finds the shard that `node` names and reports it when there is none.
    pub(super) fn named_shard(&self, node: &Node, findings: &mut Findings) -> Option<ShardId> {
        let name = node.text()?;
        let found = self.shard(name);
        if found.is_none() {
            let known = self.shards.iter().map(|shard| shard.name.as_str());
            findings.report_word(&node.place, format!("no shard is named {name:?}"), name, known);
        }
        found
    }
}

/// Reads a Topology document whose shape was checked.
///
/// The result may be used to check other documents even when something was reported; `None` when it has no usable shards.
pub fn read(document: &Node, findings: &mut Findings) -> Option<Topology> {
    let database = document.get("database").and_then(Node::text).unwrap_or_default().to_owned();
    if database == CONSOLE_DATABASE {
        let message = format!("the database cannot be {CONSOLE_DATABASE:?}: that is the admin console's name");
        findings.report(&document.get("database")?.place, message);
    }
    let mut topology = Topology {
        shards: shards(document.get("shards")?, &database, findings)?,
        database,
        placement: Placement::new(vec![ShardId(0)]),
        home: ShardId(0),
        unlisted: unlisted(document),
    };
    if let Some(home) = document.get("home").and_then(|node| topology.named_shard(node, findings)) {
        topology.home = home;
    }
    if let Some(owners) = owners(document, &topology, findings) {
        topology.placement = Placement::new(owners);
    }
    Some(topology)
}

fn unlisted(document: &Node) -> UnlistedTables {
    match document.get("unlisted_tables").and_then(Node::text) {
        Some("reject") => UnlistedTables::Reject,
        Some(_) | None => UnlistedTables::Home,
    }
}

fn shards(node: &Node, database: &str, findings: &mut Findings) -> Option<Vec<Shard>> {
    let count = node.entries().len();
    if count == 0 || count > ShardSet::CAPACITY {
        findings.report(&node.place, format!("a topology has 1 to {} shards, found {count}", ShardSet::CAPACITY));
        return None;
    }
    let mut shards = Vec::<Shard>::with_capacity(count);
    for entry in node.entries() {
        if !entry.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            let message = format!("a shard's name has only letters, digits, _ and -, found {:?}", entry.key);
            findings.report(&entry.place, message);
        }
        let shard = shard(&entry.key, &entry.node, database);
        let same =
            |other: &&Shard| (&other.host, other.port, &other.database) == (&shard.host, shard.port, &shard.database);
        if let Some(other) = shards.iter().find(same).filter(|_| !shard.host.is_empty()) {
            let message = format!("shards {:?} and {:?} are the same database", other.name, shard.name);
            findings.report(&entry.node.place, message);
        }
        shards.push(shard);
    }
    Some(shards)
}

/// Reads one shard; what its shape lacks was reported and is left empty.
fn shard(name: &str, node: &Node, database: &str) -> Shard {
    let (host, port) = node.get("primary").and_then(Node::text).and_then(address).unwrap_or_default();
    let database = node.get("database").and_then(Node::text).unwrap_or(database).to_owned();
    Shard { name: name.to_owned(), host, port, database }
}

/// Reads the placement; `None` when it does not cover every bucket exactly once, which was reported.
fn owners(document: &Node, topology: &Topology, findings: &mut Findings) -> Option<Vec<ShardId>> {
    let buckets = document.get("buckets")?.integer().filter(|count| (1..=super::BUCKETS_MAX).contains(count))?;
    let placement = document.get("placement")?;
    let mut owners = vec![None; buckets as usize];
    let mut whole = true;
    for entry in placement.entries() {
        let Some(shard) = topology.shard(&entry.key) else {
            let known = topology.shards.iter().map(|shard| shard.name.as_str());
            findings.report_word(&entry.place, format!("no shard is named {:?}", entry.key), &entry.key, known);
            whole = false;
            continue;
        };
        for range in entry.node.items() {
            whole &= claim(range, shard, &mut owners, topology, findings);
        }
    }
    // With a range that could not be read, the holes it leaves would only repeat the same mistake.
    if whole {
        report_holes(placement, &owners, findings);
    }
    owners.into_iter().collect()
}

/// Gives a range of buckets to `shard`; tells whether it could be read.
fn claim(
    range: &Node,
    shard: ShardId,
    owners: &mut [Option<ShardId>],
    topology: &Topology,
    findings: &mut Findings,
) -> bool {
    let Some((first, last)) = range.text().and_then(bucket_range) else { return false };
    let Some(claimed) = owners.get_mut(first as usize..=last as usize) else {
        findings.report(&range.place, format!("bucket {last} does not exist, the last is {}", owners.len() - 1));
        return false;
    };
    let taken = claimed.iter().enumerate().find_map(|(offset, owner)| owner.map(|owner| (offset, owner)));
    if let Some((offset, owner)) = taken {
        let (bucket, other) = (first as usize + offset, &topology.shards[owner.index()].name);
        findings.report(&range.place, format!("bucket {bucket} is placed twice, first on {other:?}"));
    }
    claimed.fill(Some(shard));
    true
}

fn report_holes(placement: &Node, owners: &[Option<ShardId>], findings: &mut Findings) {
    let mut bucket = 0;
    for run in owners.chunk_by(|one, next| one.is_none() == next.is_none()) {
        let last = bucket + run.len() - 1;
        if run[0].is_none() {
            let which =
                if run.len() == 1 { format!("bucket {bucket} is") } else { format!("buckets {bucket}-{last} are") };
            findings.report(&placement.place, format!("{which} placed on no shard"));
        }
        bucket = last + 1;
    }
}
