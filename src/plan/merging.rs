//! MERGE: on one shard by key, or on several where each of them has the partners of its own rows.
//!
//! A row of the source that has no partner is inserted by every shard that sees it. So over several shards the source
//! must have each row on the shard of its key: because it is sharded alike, or because its rows stand in the statement
//! and each shard is given its own.

use std::collections::BTreeMap;

use postgres_protocol::escape::escape_literal;

use super::catalog::Column;
use super::classify::inexact;
use super::colocate::{Keyed, Located, handed_key, is_as_ruled, locate};
use super::context::{Context, Values};
use super::hidden::Called;
use super::key::{Decoded, decode};
use super::modify::{Modify, is_cut, spread};
use super::plan_types::{ParameterSource, Part, Plan, Statement};
use super::{insert, read};
use crate::rules::TableRule;
use crate::sql::{Facts, MergeCell, MergeFacts, MergeInsert, Slot, TableName, merge_source};
use crate::types::{KeyType, KeyValue, Refusal, ShardId};

/// The reason of a refusal of a MERGE for how it would have to run over several shards.
const REASON: &str = "merge";

/// A MERGE that was read.
#[derive(Debug, Clone)]
pub(super) struct Merging {
    modify: Modify,
    merge: MergeFacts,
    /// Where its tables are if rows of the source without partner did not matter.
    joined: Located,
    /// Where the key of each row comes from that it may insert.
    keys: Vec<InsertedKey>,
}

/// Where a sharding key comes from that is inserted.
#[derive(Debug, Clone)]
enum InsertedKey {
    /// A column of constants of the source, by its index.
    Rows(usize),
    /// One constant.
    Constant(Slot),
    /// The sharding key of a table that the source reads, by its index among the sharded ones.
    Handed(usize),
    /// It cannot be told.
    Unknown,
}

impl Merging {
    /// Places the tables and refuses what no values can make right.
    pub(super) fn read(text: &str, merge: MergeFacts, called: Called, context: &Context<'_>) -> Result<Self, Refusal> {
        let joined = locate(&merge.joined, called.clone(), context)?;
        let modify = Modify::read(text, merge.facts.clone(), called, context)?;
        let mut merging = Self { modify, merge, joined, keys: Vec::new() };
        merging.check_split(context)?;
        if merging.target().is_some() {
            merging.check(context)?;
            merging.keys = merging.merge.inserts.iter().map(|insert| merging.key_of(insert, context)).collect();
        }
        if let Some(reason) = merging.inexact_default(context) {
            merging.modify.never_redone(reason);
        }
        Ok(merging)
    }

    /// Returns what was read.
    pub(super) fn facts(&self) -> &Facts {
        self.modify.facts()
    }

    /// Returns its sharded tables.
    pub(super) fn keyed(&self) -> &[Keyed] {
        self.modify.keyed()
    }

    /// Plans it for these values.
    pub(super) fn plan(&self, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        let Some(target) = self.target() else { return self.modify.plan(context, values) };
        if self.merge.by_source {
            return Err(self.refused(
                "acts on rows that the source does not have (NOT MATCHED BY SOURCE)",
                "Send what is to happen to them as an UPDATE or DELETE of its own.",
            ));
        }
        if let Some(plan) = self.direct(target, context, values)? {
            return Ok(plan);
        }
        self.modify.check_key(target, None, context, values)?;
        self.check_beside(target, context)?;
        match self.merge.inserts.is_empty() {
            true => self.matched(target, context, values),
            false => self.inserting(target, context, values),
        }
    }

    fn target(&self) -> Option<&Keyed> {
        self.modify.target_keyed()
    }

    /// One shard, if all rows that matter are there and all rows that it may insert belong there.
    fn direct(&self, target: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Result<Option<Plan>, Refusal> {
        let Some(needed) = self.modify.needed(context, values).filter(|shards| shards.len() <= 1) else {
            return Ok(None);
        };
        let shard = needed.only().unwrap_or_else(|| self.modify.located().spare(context.rules));
        let here = |key: &InsertedKey| match key {
            InsertedKey::Rows(index) => {
                let slots = &self.merge.constants[*index].slots;
                slots.iter().all(|slot| self.place(slot, target, context, values) == Some(shard))
            }
            InsertedKey::Constant(slot) => self.place(slot, target, context, values) == Some(shard),
            // All rows of that table that matter are there.
            InsertedKey::Handed(_) => true,
            InsertedKey::Unknown => false,
        };
        if !self.keys.iter().all(here) {
            return Ok(None);
        }
        let own = target.shards(context.rules, values).unwrap_or_default();
        self.modify.check_key(target, own.only(), context, values)?;
        read::check_home(self.modify.facts(), shard, context)?;
        Ok(Some(self.modify.direct(shard, self.modify.effect(values))))
    }

    /// Over several shards, everything else must have its rows where the target's are.
    fn check_beside(&self, target: &Keyed, context: &Context<'_>) -> Result<(), Refusal> {
        if let Some((table, shard)) = self.joined.fixed.first() {
            return Err(self.modify.apart(table, *shard, context));
        }
        let relations = &self.merge.joined.relations;
        let strange = |keyed: &&Keyed| !keyed.follows.contains(&target.relation) || relations[keyed.relation].nullable;
        match self.joined.keyed.iter().find(strange) {
            Some(other) => Err(Refusal::unsupported(
                format!("tables \"{}\" and \"{}\" are not joined by their sharding keys", target.table, other.table),
                "Join them by equality of their sharding keys, or bind both keys to one value.",
            )
            .with_reason("not_colocated")),
            None => Ok(()),
        }
    }

    /// Each shard acts on its own rows.
    fn matched(&self, target: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        let shards = spread(target, context, values)?;
        let part = |shard| Part::new(shard, Statement::Original);
        self.modify.parts(target, shards.iter().map(part).collect(), context, values)
    }

    /// Each shard also inserts rows of its own.
    fn inserting(&self, target: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        match self.keys.first() {
            Some(InsertedKey::Handed(source))
                if self.all_keys(|key| matches!(key, InsertedKey::Handed(other) if other == source)) =>
            {
                self.of_sharded(*source, target, context, values)
            }
            Some(InsertedKey::Rows(index))
                if self.all_keys(|key| matches!(key, InsertedKey::Rows(other) if other == index)) =>
            {
                let is_key =
                    |column| handed_key(&self.merge.facts, self.modify.located(), column) == Some(self.at(target));
                let mut equated = self.merge.equated.iter().filter(|(column, _)| is_key(column)).peekable();
                let by_it = equated.peek().is_some() && equated.all(|(_, constant)| constant == index);
                // Rows of another sharded table may be needed where the source's are not.
                if !by_it || self.keyed().iter().any(|keyed| keyed.relation != target.relation) {
                    return Err(self.not_by_key(target));
                }
                let parts = self.split(*index, target, context, values)?;
                self.modify.parts(target, parts, context, values)
            }
            Some(_) | None => Err(self.not_by_key(target)),
        }
    }

    fn all_keys(&self, is: impl Fn(&InsertedKey) -> bool) -> bool {
        self.keys.iter().all(is)
    }

    /// The source is sharded alike: each shard has the rows that it inserts.
    fn of_sharded(
        &self,
        source: usize,
        target: &Keyed,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<Plan, Refusal> {
        let source = &self.keyed()[source];
        // ON does not count: rows of the source that it joins with nothing are inserted.
        if !self.keyed().iter().all(|keyed| keyed.follows.contains(&source.relation)) {
            return Err(self.not_by_key(target));
        }
        let shards = spread(source, context, values)?;
        let part = |shard| Part::new(shard, Statement::Original);
        self.modify.parts(target, shards.iter().map(part).collect(), context, values)
    }

    fn at(&self, target: &Keyed) -> usize {
        self.keyed().iter().position(|keyed| keyed.relation == target.relation).unwrap_or(usize::MAX)
    }

    /// Gives each shard the rows of the source that belong there. All rows stay in the text, with a condition around
    /// them: fewer could make other types of the columns.
    fn split(
        &self,
        index: usize,
        target: &Keyed,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<Vec<Part>, Refusal> {
        let constant = &self.merge.constants[index];
        let mut shares: BTreeMap<ShardId, Vec<String>> = BTreeMap::new();
        for slot in &constant.slots {
            let (Some(shard), Some(value)) = (
                self.place(slot, target, context, values),
                self.value(slot, target, context, values).and_then(|value| literal(value, target.key_type)),
            ) else {
                return Err(self.not_by_key(target));
            };
            let share = shares.entry(shard).or_default();
            if !share.contains(&value) {
                share.push(value);
            }
        }
        let (Some(span), Some(alias)) = (merge_source(values.text), self.alias()) else {
            return Err(self.not_by_key(target));
        };
        let source = &values.text[span.clone()];
        let column = insert::quoted(&constant.name);
        let part = |(shard, keys): (ShardId, Vec<String>)| {
            let own = format!(" (SELECT * FROM{source}\nWHERE {alias}.{column} IN ({})) AS {alias}", keys.join(", "));
            let sql = crate::sql::splice(values.text, &[(span.clone(), own)]);
            let parameters = (0..values.parameters.values.len()).map(ParameterSource::Client).collect();
            Part::new(shard, Statement::Rewritten { sql, parameters })
        };
        Ok(shares.into_iter().map(part).collect())
    }

    fn alias(&self) -> Option<String> {
        let relation = self.merge.facts.relations.get(self.merge.source)?;
        Some(insert::quoted(&relation.alias))
    }

    /// Returns the key that a constant is in the target's column.
    fn value(&self, slot: &Slot, target: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Option<KeyValue> {
        let relation = &self.merge.facts.relations[target.relation];
        if !is_as_ruled(relation, &target.key, target.key_type, context) {
            return None;
        }
        match decode(slot, target.key_type, values) {
            Decoded::Value(value) if !is_cut(&value, target.key_type) => Some(value),
            Decoded::Value(_) | Decoded::Nothing | Decoded::Unknown => None,
        }
    }

    fn place(&self, slot: &Slot, target: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Option<ShardId> {
        context.rules.shard_of(target.group, &self.value(slot, target, context, values)?)
    }

    /// Tells where an inserted row's key comes from.
    fn key_of(&self, insert: &MergeInsert, context: &Context<'_>) -> InsertedKey {
        let Some(target) = self.target().filter(|target| target.more.is_empty()) else { return InsertedKey::Unknown };
        match self.cell(insert, &target.key, context) {
            Some(MergeCell::Constant(slot)) => InsertedKey::Constant(slot.clone()),
            Some(MergeCell::Column(name)) => self.column(name, target, context),
            Some(MergeCell::Default | MergeCell::Computed) | None => InsertedKey::Unknown,
        }
    }

    /// A column of the source.
    fn column(&self, name: &str, target: &Keyed, context: &Context<'_>) -> InsertedKey {
        if let Some(index) = self.merge.constants.iter().position(|constant| constant.name == name) {
            return InsertedKey::Rows(index);
        }
        let located = self.modify.located();
        let column = crate::sql::Column { relation: Some(self.merge.source), scope: 0, name: name.to_owned() };
        let Some(found) = handed_key(&self.merge.facts, located, &column) else { return InsertedKey::Unknown };
        let keyed = &located.keyed[found];
        let Some(own) = self.key_column(target, context) else { return InsertedKey::Unknown };
        let same = || self.key_column(keyed, context).is_some_and(|other| other.type_name == own.type_name);
        // A NULL of a rollup must be the server's error.
        match keyed.group == target.group && (target.key_type.is_integer() || same()) && !own.nullable {
            true => InsertedKey::Handed(found),
            false => InsertedKey::Unknown,
        }
    }

    fn key_column<'a>(&self, keyed: &Keyed, context: &Context<'a>) -> Option<&'a Column> {
        let table = self.merge.facts.relations[keyed.relation].table.as_ref()?;
        context.catalog.table(&table.rule_key())?.column(&keyed.key)
    }

    /// Returns what is inserted into a column.
    fn cell<'a>(&self, insert: &'a MergeInsert, column: &str, context: &Context<'_>) -> Option<&'a MergeCell> {
        let position = match insert.columns.is_empty() {
            false => insert.columns.iter().position(|name| name == column),
            true => {
                let table = context.catalog.table(&self.modify.target().rule_key())?;
                table.columns.iter().position(|known| known.name == column)
            }
        };
        insert.cells.get(position?).filter(|cell| **cell != MergeCell::Default)
    }

    /// Rows that are inserted need values where the proxy or a sequence would number them.
    fn check(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let table = self.modify.target().rule_key();
        let rule = context.rules.table(&table);
        for insert in &self.merge.inserts {
            let given = |column: &str| self.cell(insert, column, context).is_some();
            if let Some(id) = rule.and_then(|rule: &TableRule| rule.id.as_ref()) {
                if id.route || id.check_tag {
                    return Err(super::given_id::unchecked(&table, id, "rows of a MERGE"));
                }
                if !given(&id.column) {
                    return Err(self.refused(
                        &format!("would insert rows without the id \"{}\"", id.column),
                        "Give the id a value from shardloom.next_id, or INSERT … ON CONFLICT.",
                    ));
                }
            }
            let columns = context.catalog.table(&table).map(|known| known.columns.as_slice()).unwrap_or_default();
            if let Some(column) = columns.iter().find(|column| column.is_numbered() && !given(&column.name)) {
                return Err(insert::numbered(&table, &column.name));
            }
        }
        Ok(())
    }

    /// Returns why a row that is inserted would not be the same if it were inserted again.
    fn inexact_default(&self, context: &Context<'_>) -> Option<String> {
        let insert = self.merge.inserts.first()?;
        let Some(table) = context.catalog.table(&self.modify.target().rule_key()) else {
            return Some(format!("the column defaults of table \"{}\" are not known", self.modify.target()));
        };
        let of_insert = |insert: &MergeInsert| {
            let open = table.columns.iter().filter(|column| !column.generated);
            open.filter(|column| self.cell(insert, &column.name, context).is_none())
                .find_map(|column| inexact(column.default.as_deref()?, context.catalog))
        };
        let reason = of_insert(insert).or_else(|| self.merge.inserts.iter().skip(1).find_map(of_insert))?;
        Some(format!("a column default: {reason}"))
    }

    fn check_split(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let tables = self.merge.facts.relations.iter().filter_map(|relation| relation.table.as_ref());
        match tables.into_iter().find(|table: &&TableName| context.rules.split_of(&table.rule_key()).is_some()) {
            Some(table) => Err(self.refused(
                &format!("names table \"{table}\", which is split into physical tables"),
                "Use INSERT … ON CONFLICT, or UPDATE and INSERT.",
            )),
            None => Ok(()),
        }
    }

    fn not_by_key(&self, target: &Keyed) -> Refusal {
        self.refused(
            &format!("may insert rows of which the shard cannot be told by the sharding key \"{}\"", target.key),
            "Insert the column of a VALUES list, or the sharding key of a table, that ON equates with the sharding key.",
        )
    }

    fn refused(&self, what: &str, hint: &str) -> Refusal {
        Refusal::unsupported(format!("MERGE into table \"{}\" {what}", self.modify.target()), hint).with_reason(REASON)
    }
}

/// Returns a key as a constant that a column of constants compares with as it is; `None` for times, which depend on
/// the session.
fn literal(value: KeyValue, key_type: KeyType) -> Option<String> {
    match value {
        KeyValue::Int(_) if key_type.is_time() => None,
        KeyValue::Int(value) => Some(value.to_string()),
        KeyValue::Parts(_) => None,
        KeyValue::Text(text) => Some(escape_literal(&text)),
        KeyValue::Uuid(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("'{hex}'::uuid"))
        }
    }
}
