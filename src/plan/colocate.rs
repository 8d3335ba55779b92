//! Where each relation lives, and by which constants and relations each sharded one is bound.

use std::collections::{HashMap, HashSet};

use super::composite::KeyPart;
use super::context::{Context, Values};
use super::hidden::{self, Called};
use super::key::{Decoded, binary_fits, column_fits, decode, each_value};
use super::split;
use crate::rules::{Distribution, GroupId, IdLayout, IdSource, KeyBounds, RuleSet, UnlistedTables};
use crate::sql::{Binding, Bound, Column, Edge, Facts, Passed, Relation, RelationIndex, TableName};
use crate::types::{BucketId, KeyType, KeyValue, Refusal, ShardId, ShardSet, SqlState};

/// Where a table lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Spread by this key column, and by more of them where the key is composite.
    Sharded { group: GroupId, key: &'a str, more: &'a [String] },
    /// On every shard.
    Reference,
    /// On one shard.
    On(ShardId),
}

/// Returns where a table lives.
pub(super) fn place<'a>(rules: &'a RuleSet, table: &TableName) -> Result<Place<'a>, Refusal> {
    match rules.table(&table.rule_key()).map(|rule| &rule.distribution) {
        None if rules.logical_of(&table.rule_key()).is_some() => Err(split::named(table, rules)),
        Some(Distribution::Sharded { group, key, more }) => Ok(Place::Sharded { group: *group, key, more }),
        Some(Distribution::Reference { .. }) => Ok(Place::Reference),
        Some(Distribution::Single { shard }) => Ok(Place::On(*shard)),
        None => match rules.unlisted {
            UnlistedTables::Reject if !table.is_catalog() => Err(unlisted(table)),
            UnlistedTables::Reject | UnlistedTables::Home => Ok(Place::On(rules.home)),
        },
    }
}

fn unlisted(table: &TableName) -> Refusal {
    Refusal::new(SqlState::UNDEFINED_TABLE, format!("no rule for table \"{table}\""))
        .with_hint("Name the table in the shard rules, or set unlisted_tables: home in the topology.")
        .with_reason("unlisted_table")
}

/// A sharded relation and what binds its key.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    pub(super) relation: RelationIndex,
    pub(super) table: String,
    pub(super) group: GroupId,
    pub(super) key: String,
    pub(super) key_type: KeyType,
    /// The conditions, each of which restricts the key.
    pub(super) bindings: Vec<Binding>,
    /// The columns of a composite key behind this one.
    pub(super) more: Vec<KeyPart>,
    /// Comparisons by order, where the group's algorithm goes by it: each restricts the key.
    pub(super) bounds: Vec<Bound>,
    /// The sharded relations whose key this one's key must equal, itself included; of composite keys all columns.
    pub(super) follows: HashSet<RelationIndex>,
    /// The key that was said beside the statement; it holds where no condition binds.
    pub(super) steered: Option<String>,
    /// Conditions on ids that carry the bucket of a row with the same key, each with its layout.
    pub(super) genes: Vec<(Binding, IdLayout)>,
}

/// All relations of a statement, placed.
#[derive(Debug, Clone, Default)]
pub(super) struct Located {
    pub(super) keyed: Vec<Keyed>,
    /// Tables that live on one shard.
    pub(super) fixed: Vec<(String, ShardId)>,
    pub(super) references: Vec<String>,
    /// What its functions do.
    pub(super) called: Called,
}

type Node = (RelationIndex, String);
/// A sharded relation with its group, its key and the further columns of a composite key.
type Ruled<'a> = (RelationIndex, GroupId, &'a str, &'a [String]);

/// The deepest nesting of subqueries through which a key's type is followed; deeper ones are not told.
const NESTING_MAX: usize = 8;

/// Places every relation of `facts`, what `called` functions need, and finds what binds the sharded ones.
pub(super) fn locate(facts: &Facts, called: Called, context: &Context<'_>) -> Result<Located, Refusal> {
    let mut located = Located::default();
    let mut order: Vec<Ruled<'_>> = Vec::new();
    for (index, relation) in facts.relations.iter().enumerate() {
        let Some(table) = &relation.table else { continue };
        match place(context.rules, table)? {
            Place::Sharded { group, key, more } => order.push((index, group, key, more)),
            Place::Reference => located.references.push(table.to_string()),
            Place::On(shard) => {
                located.fixed.push((table.to_string(), shard));
                if context.rules.table(&table.rule_key()).is_none() {
                    hidden::locate(table, context, &mut located)?;
                }
            }
        }
    }
    located.call(called);
    let fits = order.iter().all(|(relation, group, key, _)| {
        is_as_ruled(&facts.relations[*relation], key, context.rules.group(*group).key_type, context)
    });
    let graph =
        Graph { facts, keys: order.iter().map(|(relation, group, key, _)| (*relation, (*group, *key))).collect() };
    // What binds each further column of composite keys is found by itself, column by column.
    let widest = order.iter().map(|(.., more)| more.len()).max().unwrap_or(0);
    let further: Vec<Graph<'_>> = (0..widest).map(|at| Graph { facts, keys: columns_at(&order, at) }).collect();
    for (relation, group, key, columns) in order.iter().copied() {
        let key_type = context.rules.group(group).key_type;
        let nodes = graph.sources(relation, group, key, key_type);
        let table = facts.relations[relation].table.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut follows = graph.followed(&nodes, group);
        let mut more = Vec::with_capacity(columns.len());
        for ((column, part_type), graph) in columns.iter().zip(context.rules.group(group).more_types()).zip(&further) {
            let nodes = graph.sources(relation, group, column, *part_type);
            let also = graph.followed(&nodes, group);
            follows.retain(|other| also.contains(other));
            more.push(KeyPart { key: column.clone(), key_type: *part_type, bindings: graph.bindings(&nodes, group) });
        }
        located.keyed.push(Keyed {
            relation,
            table,
            group,
            key: key.to_owned(),
            key_type,
            bindings: if fits { graph.bindings(&nodes, group) } else { Vec::new() },
            bounds: if fits && context.rules.is_ordered(group) { graph.bounds(&nodes, group) } else { Vec::new() },
            genes: graph.genes(&nodes, group, context),
            follows,
            more,
            steered: None,
        });
    }
    Ok(located)
}

/// Returns the columns of composite keys that stand so far behind the first.
fn columns_at<'a>(order: &[Ruled<'a>], position: usize) -> HashMap<RelationIndex, (GroupId, &'a str)> {
    let column = |(relation, group, _, more): &Ruled<'a>| {
        let more: &'a [String] = more;
        Some((*relation, (*group, more.get(position)?.as_str())))
    };
    order.iter().filter_map(column).collect()
}

/// Finds the sharded table whose key a column is, itself or through subqueries that hand it out and let conditions in,
/// and that no outer join fills with NULL on the way.
pub(super) fn handed_key(facts: &Facts, located: &Located, column: &Column) -> Option<usize> {
    // One column of a composite key says nothing of the shard.
    let (found, _) = key_column(facts, located, column)?;
    located.keyed[found].more.is_empty().then_some(found)
}

/// Like [`handed_key`]; for composite keys, too, with the place of the column among those of the key.
pub(super) fn key_column(facts: &Facts, located: &Located, column: &Column) -> Option<(usize, usize)> {
    let keys = located.keyed.iter().map(|keyed| (keyed.relation, (keyed.group, keyed.key.as_str()))).collect();
    let graph = Graph { facts, keys };
    let mut node = located.bare_key(facts, column).or_else(|| graph.node(column))?;
    for _ in 0..NESTING_MAX {
        if facts.relations[node.0].nullable {
            return None;
        }
        if let Some(found) = located.part(&node) {
            return Some(found);
        }
        let into = |edge: &Edge| !edge.handed && graph.node(&edge.source).as_ref() == Some(&node);
        let handed = |edge: &&Edge| edge.handed && graph.node(&edge.target).as_ref() == Some(&node);
        let edge = facts.edges.iter().find(handed)?;
        let pushed = |other: &&Edge| into(other) && other.target == edge.source;
        node = facts.edges.iter().find(pushed).and_then(|other| graph.node(&other.target))?;
    }
    None
}

/// Finds the sharded table from whose key a column has its values, through subqueries and what writes return.
pub(super) fn passed_key(facts: &Facts, located: &Located, column: &Column) -> Option<usize> {
    let keys = located.keyed.iter().map(|keyed| (keyed.relation, (keyed.group, keyed.key.as_str()))).collect();
    let graph = Graph { facts, keys };
    let mut node = graph.node(column)?;
    for _ in 0..NESTING_MAX {
        if facts.relations[node.0].renamed {
            return None;
        }
        if let Some(found) = located.keyed.iter().position(|keyed| keyed.relation == node.0 && keyed.key == node.1) {
            return located.keyed[found].more.is_empty().then_some(found);
        }
        let all = facts.passed.iter().find(|(relation, _)| *relation == node.0);
        match all {
            Some((_, Passed::All(inner))) => {
                node.0 = *inner;
                continue;
            }
            // Of two columns with one name, it cannot be told which is meant.
            Some((_, Passed::Named(names))) if names.iter().filter(|name| **name == node.1).count() > 1 => return None,
            Some((_, Passed::Named(_))) | None => {}
        }
        let handed = |edge: &&Edge| edge.handed && graph.node(&edge.target).as_ref() == Some(&node);
        node = facts.edges.iter().find(handed).and_then(|edge| graph.node(&edge.source))?;
    }
    None
}

/// A relation of a split table, and what binds the column by which it is split.
#[derive(Debug, Clone)]
pub(super) struct SlotUse {
    /// The table, as the rules name it.
    pub(super) table: String,
    /// The conditions, each of which restricts the column.
    pub(super) bindings: Vec<Binding>,
    /// The relations of split tables whose column this one's must equal, itself included.
    pub(super) follows: HashSet<RelationIndex>,
}

/// Finds the relations of split tables, and what binds the columns by which they are split.
pub(super) fn slot_uses(facts: &Facts, context: &Context<'_>) -> Vec<SlotUse> {
    // Columns of one type compare as the sharding keys of one group do: the type stands for the group.
    let class = |key_type: KeyType| GroupId(key_type as u16);
    let mut order = Vec::new();
    for (relation, found) in facts.relations.iter().enumerate() {
        let Some(table) = &found.table else { continue };
        let Some(split) = context.rules.split_of(&table.rule_key()) else { continue };
        order.push((relation, table.rule_key().into_owned(), split));
    }
    let keys =
        order.iter().map(|(relation, _, split)| (*relation, (class(split.by_type), split.by.as_str()))).collect();
    let graph = Graph { facts, keys };
    let uses = order.iter().map(|(relation, table, split)| {
        let group = class(split.by_type);
        let nodes = graph.sources(*relation, group, &split.by, split.by_type);
        let fits = is_as_ruled(&facts.relations[*relation], &split.by, split.by_type, context);
        SlotUse {
            table: table.clone(),
            bindings: if fits { graph.bindings(&nodes, group) } else { Vec::new() },
            follows: graph.followed(&nodes, group),
        }
    });
    uses.collect()
}

/// Tells whether constants beside the key may be read as the rules say: they mean others, or equal others, where the column
/// is of another type.
pub(super) fn is_as_ruled(relation: &Relation, key: &str, key_type: KeyType, context: &Context<'_>) -> bool {
    let column = relation.table.as_ref().and_then(|table| context.catalog.table(&table.rule_key())?.column(key));
    column.is_none_or(|column| column_fits(key_type, column))
}

impl Located {
    /// Returns where a statement goes that no row satisfies: home, or where the tables are if they are not there.
    pub(super) fn spare(&self, rules: &RuleSet) -> ShardId {
        let lacks = |keyed: &&Keyed| !rules.shards_of_group(keyed.group).contains(rules.home);
        let elsewhere = self.keyed.iter().find(lacks);
        elsewhere.and_then(|keyed| rules.shards_of_group(keyed.group).iter().next()).unwrap_or(rules.home)
    }

    /// Finds the sharded table of a key column, and the column's place among those of the key.
    fn part(&self, (relation, name): &Node) -> Option<(usize, usize)> {
        let found = self.keyed.iter().position(|keyed| keyed.relation == *relation)?;
        let keyed = &self.keyed[found];
        let mut columns = std::iter::once(&keyed.key).chain(keyed.more.iter().map(|part| &part.key));
        columns.position(|column| column == name).map(|part| (found, part))
    }

    /// Finds the table in the column's own scope among whose key columns a bare name is: PostgreSQL takes no name that two
    /// tables have, but what USING makes of two: that is the column of the side that an outer join does not fill with NULL.
    fn bare_key(&self, facts: &Facts, column: &Column) -> Option<Node> {
        let is_seen = |keyed: &&Keyed| {
            let relation = &facts.relations[keyed.relation];
            relation.scope == column.scope && !relation.renamed && !relation.nullable
        };
        let node = |keyed: &Keyed| (keyed.relation, column.name.clone());
        let mut nodes = self.keyed.iter().filter(is_seen).map(node).filter(|node| self.part(node).is_some());
        column.relation.is_none().then(|| nodes.next())?
    }

    /// Adds what the functions need to the tables.
    fn call(&mut self, called: Called) {
        self.fixed.extend(called.fixed);
        self.references.extend(called.references);
        self.called.writes |= called.writes;
        self.called.acts = self.called.acts.take().or(called.acts);
    }
}

struct Graph<'a> {
    facts: &'a Facts,
    keys: HashMap<RelationIndex, (GroupId, &'a str)>,
}

impl Graph<'_> {
    /// Returns the relation and name that a column means, as far as that is sure.
    fn node(&self, column: &Column) -> Option<Node> {
        let known = |index: &RelationIndex| !self.facts.relations[*index].renamed;
        if let Some(relation) = column.relation {
            let found = &self.facts.relations[relation];
            // From further out, a relation between may have the same name, or stand where it cannot be seen.
            let alone = || self.facts.relations.iter().filter(|other| other.alias == found.alias).count() == 1;
            let sure = known(&relation) && (found.scope == column.scope || alone());
            return sure.then(|| (relation, column.name.clone()));
        }
        let inside = |relation: &Relation| relation.scope == column.scope;
        let scope: Vec<RelationIndex> =
            (0..self.facts.relations.len()).filter(|index| inside(&self.facts.relations[*index])).collect();
        let by_key = |index: &&RelationIndex| self.keys.get(*index).is_some_and(|(_, key)| *key == column.name);
        let found = match scope.iter().filter(|index| known(index)).find(by_key) {
            Some(relation) => Some(*relation),
            None if scope.len() == 1 => Some(scope[0]),
            None => None,
        };
        found.filter(known).map(|relation| (relation, column.name.clone()))
    }

    /// Tells whether a column has the key's own type: it is a key of the group, or a subquery hands one out.
    fn is_typed(&self, node: &Node, group: GroupId, depth: usize) -> bool {
        if self.keys.get(&node.0).is_some_and(|(other, key)| *other == group && *key == node.1) {
            return true;
        }
        let handed = |edge: &&Edge| edge.handed && self.node(&edge.target).as_ref() == Some(node);
        depth < NESTING_MAX
            && self
                .facts
                .edges
                .iter()
                .filter(handed)
                .any(|edge| self.node(&edge.source).is_some_and(|source| self.is_typed(&source, group, depth + 1)))
    }

    /// Tells whether equality with this column says the same as equality with a key of the type: for text, columns of
    /// other types (char(n), citext) compare in other ways, for times by the session's time zone.
    fn passes(&self, node: &Node, group: GroupId, key_type: KeyType) -> bool {
        let exact = match key_type {
            KeyType::SmallInt | KeyType::Int | KeyType::BigInt | KeyType::Uuid => true,
            KeyType::Text | KeyType::Varchar | KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz => false,
        };
        exact || self.is_typed(node, group, 0)
    }

    /// Returns every column that the key must equal, itself included.
    fn sources(&self, relation: RelationIndex, group: GroupId, key: &str, key_type: KeyType) -> HashSet<Node> {
        let mut found = HashSet::new();
        if self.facts.relations[relation].renamed {
            return found;
        }
        let mut open = vec![(relation, key.to_owned())];
        while let Some(node) = open.pop() {
            for edge in &self.facts.edges {
                if self.node(&edge.target).as_ref() == Some(&node)
                    && edge.reach.contains(&node.0)
                    && let Some(source) = self.node(&edge.source)
                    && self.passes(&source, group, key_type)
                    && !found.contains(&source)
                {
                    open.push(source);
                }
            }
            found.insert(node);
        }
        found
    }

    /// Returns the conditions on these columns. A constant takes the type of its column, so that one beside a column
    /// of an unknown type must say its own by a cast: `numeric_column = '42.0'` holds where a bigint is 42.
    fn bindings(&self, nodes: &HashSet<Node>, group: GroupId) -> Vec<Binding> {
        let told = |binding: &Binding| binding.slots.iter().all(|slot| slot.cast.is_some() && !slot.any);
        let binds = |binding: &&Binding| {
            let node = self.node(&binding.column).filter(|node| binding.reach.contains(&node.0));
            node.is_some_and(|node| nodes.contains(&node) && (self.is_typed(&node, group, 0) || told(binding)))
        };
        self.facts.bindings.iter().filter(binds).cloned().collect()
    }

    /// Returns the comparisons by order with constants of these columns, as far as they have the key's own type.
    fn bounds(&self, nodes: &HashSet<Node>, group: GroupId) -> Vec<Bound> {
        let binds = |bound: &&Bound| {
            let node = self.node(&bound.column).filter(|node| bound.reach.contains(&node.0));
            node.is_some_and(|node| nodes.contains(&node) && self.is_typed(&node, group, 0))
        };
        self.facts.bounds.iter().filter(binds).cloned().collect()
    }

    /// Returns the conditions on ids of rows with the same key that carry the key's bucket, where the rules let reads
    /// go by it. An id of another type than bigint would compare in another way.
    fn genes(&self, nodes: &HashSet<Node>, group: GroupId, context: &Context<'_>) -> Vec<(Binding, IdLayout)> {
        let mut genes = Vec::new();
        for relation in self.followed(nodes, group) {
            let Some(table) = &self.facts.relations[relation].table else { continue };
            let name = table.rule_key();
            let Some(id) = context.rules.table(&name).and_then(|rule| rule.id.as_ref()).filter(|id| id.route) else {
                continue;
            };
            let IdSource::Snowflake { layout, .. } = id.source else { continue };
            let column = context.catalog.table(&name).and_then(|table| table.column(&id.column));
            if column.is_some_and(|column| !binary_fits(KeyType::BigInt, column.type_oid)) {
                continue;
            }
            let own = |binding: &&Binding| {
                let node = self.node(&binding.column).filter(|_| binding.reach.contains(&relation));
                node.is_some_and(|(at, name)| at == relation && name == id.column)
            };
            genes.extend(self.facts.bindings.iter().filter(own).map(|binding| (binding.clone(), layout)));
        }
        genes
    }

    fn followed(&self, nodes: &HashSet<Node>, group: GroupId) -> HashSet<RelationIndex> {
        let same = |node: &&Node| self.keys.get(&node.0).is_some_and(|(other, key)| *other == group && *key == node.1);
        nodes.iter().filter(same).map(|node| node.0).collect()
    }
}

impl Keyed {
    /// Returns the shards that can hold rows that matter; `None` if nothing binds the key.
    pub(super) fn shards(&self, rules: &RuleSet, values: &Values<'_>) -> Option<ShardSet> {
        if !self.more.is_empty() {
            return self.composite_shards(rules, values);
        }
        let mut shards: Option<ShardSet> = None;
        for binding in &self.bindings {
            let mut set = ShardSet::new();
            let mut add = |value| {
                set.extend(rules.shards_of_key(self.group, &value).iter());
            };
            let mut all = binding.slots.iter();
            if all.all(|slot| each_value(slot, self.key_type, values, &mut add)) {
                shards = Some(shards.map_or(set, |before| before.intersection(&set)));
            }
        }
        // An id adds nothing to a key that is bound.
        let shards = shards.or_else(|| self.by_gene(rules, values));
        match self.within(rules, values) {
            Some(set) => Some(shards.map_or(set, |before| before.intersection(&set))),
            None => shards.or_else(|| {
                let shard = super::steer::shard_of(self.steered.as_ref()?, self.group, rules).ok()?;
                Some([shard].into_iter().collect())
            }),
        }
    }

    /// Returns the owners of the buckets in the ids that are asked for; `None` if one of the ids has none.
    fn by_gene(&self, rules: &RuleSet, values: &Values<'_>) -> Option<ShardSet> {
        let owner = |layout: &IdLayout, value| {
            let KeyValue::Int(id) = value else { return None };
            let bucket = layout.bucket_of(id).filter(|bucket| *bucket < rules.placement.buckets())?;
            Some(rules.placement.owner(BucketId(bucket)))
        };
        let shards = |(binding, layout): &(Binding, IdLayout)| {
            let (mut set, mut told) = (ShardSet::new(), true);
            let mut add = |value| match owner(layout, value) {
                Some(shard) => drop(set.insert(shard)),
                None => told = false,
            };
            let all = binding.slots.iter().all(|slot| each_value(slot, KeyType::BigInt, values, &mut add));
            (all && told).then_some(set)
        };
        let sets = self.genes.iter().filter_map(shards);
        sets.reduce(|before, set| before.intersection(&set))
    }

    /// Returns the shards that the comparisons by order leave; `None` if none of them can be told.
    fn within(&self, rules: &RuleSet, values: &Values<'_>) -> Option<ShardSet> {
        let mut bounds: Option<KeyBounds> = None;
        for bound in &self.bounds {
            // What cannot be told, or lies beyond the type, leaves all keys.
            if let Decoded::Value(value) = decode(&bound.slot, self.key_type, values) {
                bounds.get_or_insert_default().restrict(bound.comparison, value);
            }
        }
        bounds.map(|bounds| rules.shards_within(self.group, &bounds))
    }

    /// Tells whether keys are named by value, one by one or in a list, and not by comparisons alone.
    pub(super) fn names_rows(&self) -> bool {
        !self.bindings.is_empty() || !self.genes.is_empty()
    }

    /// Tells whether some condition binds the key with constants that stand in the statement one by one.
    pub(super) fn is_bound(&self) -> bool {
        let one_by_one = |binding: &Binding| binding.slots.iter().all(|slot| !slot.any);
        let all = |bindings: &[Binding]| bindings.iter().any(one_by_one);
        !self.bounds.is_empty()
            || all(&self.bindings) && self.more.iter().all(|part| all(&part.bindings))
            || self.genes.iter().any(|(binding, _)| one_by_one(binding))
    }
}
