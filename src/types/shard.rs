//! Shards and buckets.

/// A shard's position in the topology (0-based, the order of the rule file). Its name is `RuleSet::shard(id).name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// Returns the position as an index into per-shard vectors.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A bucket of the hash space, `0..buckets`; placement maps buckets to shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub u32);

/// A set of shards, in topology order, at most [`ShardSet::CAPACITY`] of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ShardSet(u128);

impl ShardSet {
    /// The most shards that one topology may have.
    pub const CAPACITY: usize = 128;

    /// Returns the empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the set of the first `count` shards.
    pub fn first(count: usize) -> Self {
        (0..count).map(|index| ShardId(index as u16)).collect()
    }

    /// Adds `shard`; tells whether it was new.
    pub fn insert(&mut self, shard: ShardId) -> bool {
        let bit = 1u128 << shard.index();
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Tells whether `shard` is in the set.
    pub fn contains(&self, shard: ShardId) -> bool {
        self.0 & (1u128 << shard.index()) != 0
    }

    /// Returns how many shards are in the set.
    pub fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Tells whether the set has no shard.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Returns the only shard of a set of one.
    pub fn only(&self) -> Option<ShardId> {
        (self.len() == 1).then(|| ShardId(self.0.trailing_zeros() as u16))
    }

    /// Returns the shard with the least number; `None` if there is none.
    pub fn least(&self) -> Option<ShardId> {
        self.iter().next()
    }

    /// Returns the shards that are in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the shards that are in either set.
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Iterates over the shards in topology order.
    pub fn iter(&self) -> impl Iterator<Item = ShardId> + use<> {
        let bits = self.0;
        (0..Self::CAPACITY as u16).map(ShardId).filter(move |shard| bits & (1u128 << shard.index()) != 0)
    }
}

impl FromIterator<ShardId> for ShardSet {
    fn from_iter<I: IntoIterator<Item = ShardId>>(shards: I) -> Self {
        let mut set = Self::new();
        for shard in shards {
            set.insert(shard);
        }
        set
    }
}

impl Extend<ShardId> for ShardSet {
    fn extend<I: IntoIterator<Item = ShardId>>(&mut self, shards: I) {
        for shard in shards {
            self.insert(shard);
        }
    }
}
