//! The rules as the rest of the proxy sees them: always right, never changed after they were built.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Algorithm, Split};
use crate::types::{BucketId, KeyType, ShardId, ShardSet};

/// One immutable snapshot of the sharding truth.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Fingerprint of the content, equal for equal rules; shown by `SHOW RULES` and written to the ledger.
    pub version: String,
    /// The database that clients connect to.
    pub database: String,
    /// Shards in topology order; a [`ShardId`] is an index into this.
    pub shards: Vec<Shard>,
    /// Where single tables without a shard, unlisted tables and reference tables' authority live.
    pub home: ShardId,
    /// Which shard owns each bucket.
    pub placement: Placement,
    /// Table groups; a [`GroupId`] is an index into this.
    pub groups: Vec<TableGroup>,
    /// Every table that a rule names, by lower-case name (schema `public` unless the name is qualified).
    pub tables: HashMap<String, TableRule>,
    /// The logical table of each physical one of a split table, both named as in `tables`.
    pub physical: HashMap<String, String>,
    /// Id tags and layouts.
    pub ids: IdRules,
    /// What becomes of tables that no rule names.
    pub unlisted: UnlistedTables,
    /// Golden routing cases of all files.
    pub tests: Vec<GoldenTest>,
}

/// One PostgreSQL primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The rule file's name, `s0`.
    pub name: String,
    /// Host name or address, or the directory of a UNIX socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database on that server.
    pub database: String,
}

/// Bucket → shard, covering `0..buckets` exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    owners: Vec<ShardId>,
    shards: ShardSet,
}

/// An index into [`RuleSet::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId(pub u16);

/// Colocated tables: same key value, same shard.
#[derive(Debug, Clone)]
pub struct TableGroup {
    /// The rule file's name.
    pub name: String,
    /// The type of the sharding key in every table of the group, of a composite one that of its first column.
    pub key_type: KeyType,
    /// How a key finds its shard.
    pub algorithm: Algorithm,
    /// What a statement without a key does.
    pub missing_key: MissingKey,
    /// What an UPDATE of the sharding key does.
    pub key_update: OnKeyUpdate,
    /// How writes over several shards commit.
    pub multi_shard: MultiShardRule,
}

/// What the rules say of one table.
#[derive(Debug, Clone)]
pub struct TableRule {
    /// The logical name as written in the rules.
    pub name: String,
    /// Where its rows live.
    pub distribution: Distribution,
    /// The generated id column, if any.
    pub id: Option<IdRule>,
    /// The physical tables that it is made of in each shard's database; `None` for one of the table's own name.
    pub split: Option<Arc<Split>>,
    /// What takes an INSERT back, for each of its rows; `:column` stands for the row's value.
    pub undo: Option<Undo>,
}

impl TableRule {
    /// Returns the column that a unique key of a sharded table lacks to hold over all shards; an id that the rules make is
    /// unique by itself.
    pub fn lacks_for_unique(&self, unique: &[String]) -> Option<&str> {
        let Distribution::Sharded { key, more, .. } = &self.distribution else { return None };
        let made = self.id.as_ref().is_some_and(|id| unique.contains(&id.column));
        let mut keys = std::iter::once(key).chain(more);
        keys.find(|key| !unique.contains(key)).filter(|_| !made).map(String::as_str)
    }

    /// Tells whether the rows that a foreign key of this table refers to may be on other shards than its own; `referred` is
    /// empty for the primary key of the `other` table.
    pub fn refers_apart(&self, columns: &[String], other: &Self, referred: &[String]) -> bool {
        let Distribution::Sharded { group, key, more } = &self.distribution else {
            return matches!(other.distribution, Distribution::Sharded { .. });
        };
        let Distribution::Sharded { group: others, key: other_key, more: other_more } = &other.distribution else {
            return false;
        };
        let mut pairs = std::iter::once((key, other_key)).chain(more.iter().zip(other_more));
        let is_tied = |(own, other): (&String, &String)| {
            let position = columns.iter().position(|column| column == own);
            position.is_some_and(|at| referred.is_empty() || referred.get(at) == Some(other))
        };
        group != others || !pairs.all(is_tied)
    }
}

/// `tables.NAME.undo`: statements that take back what a statement of this table did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// Takes one row of an INSERT back.
    pub insert: String,
}

/// Where a table's rows live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distribution {
    /// Spread by the sharding key column over all shards that own buckets.
    Sharded {
        /// The colocation group.
        group: GroupId,
        /// The sharding key column, lower case unless quoted in the rules; the first one of a composite key.
        key: String,
        /// The further columns of a composite key, in their order; else none.
        more: Vec<String>,
    },
    /// A full copy on every shard; `home` is the authority.
    Reference {
        /// The authority.
        home: ShardId,
        /// How writes reach the copies.
        multi_shard: MultiShardRule,
    },
    /// On one shard only.
    Single {
        /// That shard.
        shard: ShardId,
    },
}

/// `missing_key` of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingKey {
    /// For reads; the default is to scatter.
    pub read: OnMissingKey,
    /// For UPDATE and DELETE; the default is to reject.
    pub write: OnMissingKey,
}

/// What an UPDATE does that gives rows a sharding key of another shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnKeyUpdate {
    /// Refuse the statement.
    Reject,
    /// Delete the rows and insert them on the other shard, in one transaction.
    Move,
}

/// What to do without a sharding key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissingKey {
    /// Refuse the statement.
    Reject,
    /// Ask every shard.
    Scatter,
}

/// `multi_shard` of a group or of reference tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultiShardRule {
    /// The commit mode.
    pub mode: RuleMode,
    /// What a dead event does to its lane.
    pub on_dead: OnDead,
    /// Whether a write that is safe to defer is deferred when its target is down.
    pub when_target_down: WhenTargetDown,
    /// Whose count of rows a client is told whose UPDATE is deferred.
    pub assumed_count: AssumedCount,
}

/// `multi_shard.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleMode {
    /// Reference tables eventual, sharded tables eager.
    Auto,
    /// Home commits, the rest is replayed.
    Eventual,
    /// Targets in open transactions, home decides.
    Eager,
    /// Prepared transactions.
    TwoPhase,
    /// No write over several shards.
    Reject,
}

/// `multi_shard.on_dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDead {
    /// Dead letter; later events of that key wait; the lane goes on.
    ParkKey,
    /// The lane stops.
    StopLane,
    /// The event is skipped.
    Skip,
    /// Home's row is copied again (reference tables).
    Resync,
    /// What the transaction did on other shards is taken back by [`TableRule::undo`].
    Compensate,
}

/// `multi_shard.when_target_down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenTargetDown {
    /// Defer what is provably safe, with a NOTICE.
    Defer,
    /// Fail the statement.
    Error,
}

/// `multi_shard.assumed_count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssumedCount {
    /// The shards': no UPDATE is deferred.
    None,
    /// One row for each key that the statement names.
    Keys,
}

/// `unlisted_tables`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnlistedTables {
    /// They live on home.
    Home,
    /// Statements that name them are refused.
    Reject,
}

/// The `Ids` file.
#[derive(Debug, Clone, Default)]
pub struct IdRules {
    /// Business tag → code.
    pub tags: BTreeMap<String, u16>,
    /// Layouts by name; `standard`, `gene` and `js53` are always there.
    pub layouts: BTreeMap<String, IdLayout>,
    /// Tags whose ids are dense, by name: taken from ranges that home's database hands out.
    pub segments: BTreeMap<String, SegmentRule>,
    /// Where the ids of a tag come from whose columns all have one layout other than `standard`, with a tag.
    pub of_columns: BTreeMap<String, IdSource>,
}

/// A tag with dense ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRule {
    /// The first id of all.
    pub from: i64,
    /// How many ids a proxy reserves at least at a time.
    pub step: i64,
}

/// A snowflake layout: epoch and bit widths, from the top: time, tag or bucket, worker, sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdLayout {
    /// Milliseconds since the UNIX epoch at which the time field is 0.
    pub epoch_ms: i64,
    /// Bits of the time field, in milliseconds.
    pub time_bits: u8,
    /// Bits of the tag field, or of the routing bucket that takes its place.
    pub tag_bits: u8,
    /// Bits of the worker field.
    pub worker_bits: u8,
    /// Bits of the sequence field.
    pub sequence_bits: u8,
    /// Whether the second field is the routing bucket of the row instead of the tag.
    pub has_bucket: bool,
}

/// Where the ids of a column or tag come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdSource {
    /// The clock, in this layout.
    Snowflake {
        /// The layout.
        layout: IdLayout,
        /// The business tag's code.
        tag_code: u16,
    },
    /// The segment at this place of [`IdRules::segments`]; it holds for this snapshot of the rules.
    Segment(u16),
    /// A uuid of version 7.
    Uuid {
        /// Whether it is a text that begins with the name of the row's shard.
        prefixed: bool,
    },
}

/// A generated column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdRule {
    /// The column that is filled when an INSERT leaves it out or says DEFAULT.
    pub column: String,
    /// The layout's name.
    pub layout: String,
    /// The business tag's name; empty for a uuid.
    pub tag: String,
    /// The tag's code; 0 where the source has no codes.
    pub tag_code: u16,
    /// Where the ids come from.
    pub source: IdSource,
    /// Whether the bucket in the id alone says where the row is: every id is held against its row's key.
    pub route: bool,
    /// Whether ids that clients give are held against the tag.
    pub check_tag: bool,
}

impl IdRule {
    /// Tells whether ids that clients give are held against the rules.
    pub fn is_checked(&self) -> bool {
        self.route || self.check_tag
    }
}

/// One golden routing case (`tests` in a rule file).
#[derive(Debug, Clone)]
pub struct GoldenTest {
    /// The statement.
    pub sql: String,
    /// Its parameters as text, `$1` first.
    pub params: Vec<Option<String>>,
    /// What must come out.
    pub expect: GoldenExpectation,
    /// `file:line:column` of the case, for the report.
    pub place: String,
}

/// What a golden case expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoldenExpectation {
    /// That many shards are asked.
    ShardCount(usize),
    /// Exactly these shards, by name.
    Shards(Vec<String>),
    /// Refused; the word is one of the reason codes of `plan` (`missing_sharding_key`) or a SQLSTATE.
    Error(String),
}

impl Placement {
    /// Makes a placement; `owners[bucket]` is the owner. The caller has checked that it is not empty.
    pub fn new(owners: Vec<ShardId>) -> Self {
        assert!(!owners.is_empty(), "a topology has at least one bucket");
        let shards = owners.iter().copied().collect();
        Self { owners, shards }
    }

    /// Returns the number of buckets.
    pub fn buckets(&self) -> u32 {
        self.owners.len() as u32
    }

    /// Returns the owner of `bucket`.
    pub fn owner(&self, bucket: BucketId) -> ShardId {
        self.owners[bucket.0 as usize]
    }

    /// Returns the shards that own at least one bucket.
    pub fn shards(&self) -> ShardSet {
        self.shards
    }
}

impl TableGroup {
    /// Returns the types of the columns of a composite key behind the first; none for other keys.
    pub fn more_types(&self) -> &[KeyType] {
        match &self.algorithm {
            Algorithm::Composite(more) => more,
            Algorithm::Hash
            | Algorithm::Mod(_)
            | Algorithm::List(_)
            | Algorithm::Range(_)
            | Algorithm::Interval(_)
            | Algorithm::Lookup(_) => &[],
        }
    }
}

impl RuleSet {
    /// Returns the shard with this id.
    pub fn shard(&self, id: ShardId) -> &Shard {
        &self.shards[id.index()]
    }

    /// Returns the rule of a table by its lower-case name, `None` for an unlisted table.
    pub fn table(&self, name: &str) -> Option<&TableRule> {
        self.tables.get(name)
    }

    /// Returns the home of a reference table; `None` for a table of another kind.
    pub fn reference_home(&self, name: &str) -> Option<ShardId> {
        match self.table(name)?.distribution {
            Distribution::Reference { home, .. } => Some(home),
            Distribution::Sharded { .. } | Distribution::Single { .. } => None,
        }
    }

    /// Returns the group.
    pub fn group(&self, id: GroupId) -> &TableGroup {
        &self.groups[usize::from(id.0)]
    }

    /// Returns the shard with that name.
    pub fn shard_by_name(&self, name: &str) -> Option<ShardId> {
        self.shards.iter().position(|shard| shard.name == name).map(|index| ShardId(index as u16))
    }
}
