//! MERGE: on one shard by key, or on several where each of them has the partners of its own rows.
//!
//! A row of the source that has no partner is inserted by every shard that sees it. So over several shards the source
//! must have each row on the shard of its key: because it is sharded alike, or because its rows stand in the statement
//! and each shard is given its own.

mod ids;
mod keys;
mod slots;

use std::collections::{BTreeMap, BTreeSet};

use super::apart;
use super::classify::inexact;
use super::colocate::{Keyed, Located, handed_key, is_as_ruled, locate};
use super::context::{Context, Values};
use super::hidden::Called;
use super::insert::MakeIds;
use super::key::{Decoded, decode};
use super::modify::{Modify, is_cut, spread};
use super::plan_types::{Part, Plan, Statement};
use super::split::Splits;
use super::{insert, read};
use crate::rules::TableRule;
use crate::sql::{Facts, MergeFacts, MergeInsert, Slot, merge_source};
use crate::types::{KeyValue, Refusal, ShardId};
use keys::{InsertedKey, literal};

/// The reason of a refusal of a MERGE for how it would have to run over several shards.
const REASON: &str = "merge";

/// The refusals that end where the source's rows are constants.
const MENDED: [&str; 4] = [REASON, "not_colocated", "different_shards", "missing_sharding_key"];

/// A MERGE that was read.
#[derive(Debug, Clone)]
pub(super) struct Merging {
    modify: Modify,
    merge: MergeFacts,
    /// Where its tables are if rows of the source without partner did not matter.
    joined: Located,
    /// Where the key of each row comes from that it may insert.
    keys: Vec<InsertedKey>,
    /// The split tables that it names, if there are any.
    splits: Option<Splits>,
}

impl Merging {
    /// Places the tables and refuses what no values can make right.
    pub(super) fn read(text: &str, merge: MergeFacts, called: Called, context: &Context<'_>) -> Result<Self, Refusal> {
        let joined = locate(&merge.joined, called.clone(), context)?;
        let modify = Modify::read(text, merge.facts.clone(), called, context)?;
        let splits = Splits::of_merge(text, &merge, context)?;
        let mut merging = Self { modify, merge, joined, keys: Vec::new(), splits };
        merging.check_split()?;
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

    /// Returns the split tables that it names.
    pub(super) fn splits(&self) -> Option<&Splits> {
        self.splits.as_ref()
    }

    /// Plans it for these values.
    pub(super) fn plan(
        &self,
        context: &Context<'_>,
        values: &Values<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Plan, Refusal> {
        if let Some(id) = self.lacking(context) {
            return self.with_ids(id, context, values, ids);
        }
        let plan = self.where_it_is(context, values).or_else(|refusal| {
            let mendable = MENDED.contains(&refusal.reason) && self.merge.constants.is_empty() && !self.merge.by_source;
            match self.merge.facts.relations.get(self.merge.source).filter(|_| mendable) {
                Some(source) => apart::merge((&self.modify, &source.alias), context, values, refusal),
                None => Err(refusal),
            }
        })?;
        match &self.splits {
            Some(splits) => splits.plan(plan, context, values),
            None => Ok(plan),
        }
    }

    /// Plans it as it stands.
    fn where_it_is(&self, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
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
        let slot = match self.slots(values)[..] {
            [slot] => slot,
            // No row can match: any slot says so.
            [slot, ..] if needed.is_empty() => slot,
            _ => return Ok(None),
        };
        let shard = needed.only().unwrap_or_else(|| self.modify.located().spare(context.rules));
        let belongs = |key: &Slot| self.place(key, target, context, values) == Some((shard, slot));
        let here = |key: &InsertedKey| match key {
            InsertedKey::Rows(index) => self.merge.constants[*index].slots.iter().all(belongs),
            InsertedKey::Constant(key) => belongs(key),
            // All rows of that table that matter are on the shard.
            InsertedKey::Handed(_) => slot.is_none(),
            InsertedKey::Unknown => false,
        };
        if !self.keys.iter().all(here) {
            return Ok(None);
        }
        let own = target.shards(context.rules, values).unwrap_or_default();
        self.modify.check_key(target, own.only(), context, values)?;
        read::check_home(self.modify.facts(), shard, context)?;
        let statement = self.in_slot(values.text, slot, values)?;
        Ok(Some(self.modify.direct(shard, statement, self.modify.effect(values))))
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
        let mut slots = self.slots(values);
        let mut shards: Vec<ShardId> = shards.iter().collect();
        if shards.is_empty() {
            // One of them must say that nothing matches, or that the statement is wrong.
            shards.push(self.modify.located().spare(context.rules));
            slots.truncate(1);
        }
        let mut parts = Vec::new();
        for shard in shards {
            for slot in &slots {
                parts.push(Part::new(shard, self.in_slot(values.text, *slot, values)?));
            }
        }
        self.parts(target, parts, context, values)
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
                self.parts(target, parts, context, values)
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
        let follow = self.keyed().iter().all(|keyed| keyed.follows.contains(&source.relation));
        if !follow || self.is_target_split() {
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
        let mut shares: BTreeMap<(ShardId, Option<usize>), BTreeSet<String>> = BTreeMap::new();
        for slot in &constant.slots {
            let (Some(place), Some(value)) = (
                self.place(slot, target, context, values),
                self.value(slot, target, context, values).and_then(|value| literal(value, target.key_type)),
            ) else {
                return Err(self.not_by_key(target));
            };
            shares.entry(place).or_default().insert(value);
        }
        let (Some(span), Some(alias)) = (merge_source(values.text), self.alias()) else {
            return Err(self.not_by_key(target));
        };
        let source = &values.text[span.clone()];
        let column = insert::quoted(&constant.name);
        let part = |((shard, slot), keys): ((ShardId, Option<usize>), BTreeSet<String>)| {
            let keys: Vec<String> = keys.into_iter().collect();
            let own = format!(" (SELECT * FROM{source}\nWHERE {alias}.{column} IN ({})) AS {alias}", keys.join(", "));
            let text = crate::sql::splice(values.text, &[(span.clone(), own)]);
            Ok(Part::new(shard, self.in_slot(&text, slot, values)?))
        };
        shares.into_iter().map(part).collect()
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

    /// Returns the shard and slot of the rows with a key.
    fn place(
        &self,
        slot: &Slot,
        target: &Keyed,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Option<(ShardId, Option<usize>)> {
        let key = self.value(slot, target, context, values)?;
        Some((context.rules.shard_of(target.group, &key)?, self.slot_of(&key)))
    }

    /// Rows that are inserted need values where the proxy or a sequence would number them.
    fn check(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let table = self.modify.target().rule_key();
        let rule = context.rules.table(&table);
        for insert in &self.merge.inserts {
            let given = |column: &str| self.cell(insert, column, context).is_some();
            if let Some(id) = rule.and_then(|rule: &TableRule| rule.id.as_ref()).filter(|id| id.is_checked()) {
                return Err(super::given_id::unchecked(&table, id, "rows of a MERGE"));
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
