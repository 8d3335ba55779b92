//! WITH that writes: on the one shard to which the conditions of every part bind its tables, or refused.
//!
//! A row that is inserted must belong there too: its sharding key is a constant of that shard, or the key of a row that
//! another part reads or writes there.

use super::colocate::{Keyed, Located, is_as_ruled, passed_key};
use super::context::{Context, Values};
use super::insert::{self, MakeIds};
use super::key::{Decoded, decode};
use super::modify::{self, is_cut};
use super::plan_types::{Direct, ParameterSource, Plan, Statement, WriteEffect};
use super::read::check_home;
use crate::rules::{Distribution, IdRule};
use crate::sql::{self, Column, Facts, InsertedRows, InsertedValue, Passed, RelationIndex, Slot, TableName, Write};
use crate::types::{Refusal, ShardId, ShardSet};

/// The reason of these refusals.
const REASON: &str = "nested_write";
/// The deepest chain of `SELECT *` that is followed.
const CHAIN_MAX: usize = 8;

/// Refuses what no values can make right.
pub(super) fn check(facts: &Facts, context: &Context<'_>) -> Result<(), Refusal> {
    let tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    if let Some(table) = tables.into_iter().find(|table| context.rules.split_of(&table.rule_key()).is_some()) {
        return Err(refused(&table.to_string(), "which is split into physical tables"));
    }
    for write in &facts.writes {
        let Some(table) = facts.relations.get(write.relation).and_then(|relation| relation.table.as_ref()) else {
            return Err(refused("?", "which cannot be told"));
        };
        let name = table.to_string();
        let Some(rule) = context.rules.table(&table.rule_key()) else { continue };
        match &rule.distribution {
            Distribution::Reference { .. } => return Err(refused(&name, "whose copies would not follow")),
            Distribution::Sharded { key, more, .. }
                if write.sets.iter().any(|set| set == key || more.contains(set)) =>
            {
                return Err(refused(&name, "whose sharding key it sets"));
            }
            Distribution::Sharded { key, more, .. } => {
                let keys: Vec<&String> = std::iter::once(key).chain(more).collect();
                check_conflict(write, &keys).map_err(|what| refused(&name, what))?;
                check_ids(write, rule.id.as_ref()).map_err(|what| refused(&name, what))?;
                check_numbers(facts, write, &table.rule_key(), context)?;
            }
            Distribution::Single { .. } => {}
        }
    }
    Ok(())
}

fn check_conflict(write: &Write, keys: &[&String]) -> Result<(), &'static str> {
    let conflict = write.insert.as_ref().and_then(|insert| insert.conflict.as_ref());
    match conflict.is_none_or(|columns| keys.iter().all(|key| columns.contains(key))) {
        true => Ok(()),
        false => Err("of which ON CONFLICT would look at one shard's rows (name a unique key with the sharding key)"),
    }
}

/// Ids that are given are not held against the rules here.
fn check_ids(write: &Write, id: Option<&IdRule>) -> Result<(), &'static str> {
    let Some(id) = id.filter(|id| id.is_checked()) else { return Ok(()) };
    match &write.insert {
        Some(insert) if gives(insert, id) => Err("whose ids the rules check"),
        _ if write.sets.contains(&id.column) => Err("whose ids the rules check"),
        Some(_) | None => Ok(()),
    }
}

/// Tells whether each row has an id.
fn gives(insert: &InsertedRows, id: &IdRule) -> bool {
    insert.columns.contains(&id.column) && !has_default(insert, &id.column)
}

/// Makes the ids that INSERTs leave out.
fn with_ids(
    facts: &Facts,
    shard: ShardId,
    context: &Context<'_>,
    values: &Values<'_>,
    ids: &mut MakeIds<'_>,
) -> Result<Statement, Refusal> {
    if lacking(facts, context).is_none() && sql::next_id::all(values.text)?.is_empty() {
        return Ok(Statement::Original);
    }
    let sql = insert::with_ids(shard, context, values, ids)?;
    // What was made is read again: no row may be left without.
    let left = match sql::read(&sql) {
        Ok(made) => lacking(&made, context).map(ToString::to_string),
        Err(_) => lacking(facts, context).map(ToString::to_string),
    };
    if let Some(table) = left {
        return Err(refused(&table, "for whose rows it cannot be told how many ids to make"));
    }
    let parameters = (0..values.parameters.values.len()).map(ParameterSource::Client).collect();
    Ok(Statement::Rewritten { sql, parameters })
}

/// Returns a table whose rows are inserted without the ids that the rules make.
fn lacking<'a>(facts: &'a Facts, context: &Context<'_>) -> Option<&'a TableName> {
    facts.writes.iter().find_map(|write| {
        let table = facts.relations.get(write.relation)?.table.as_ref()?;
        let id = context.rules.table(&table.rule_key())?.id.as_ref()?;
        (!gives(write.insert.as_ref()?, id)).then_some(table)
    })
}

fn has_default(insert: &InsertedRows, column: &str) -> bool {
    let position = insert.columns.iter().position(|name| name == column);
    let shifted =
        |row: &[InsertedValue]| row.contains(&InsertedValue::Unknown) && row.contains(&InsertedValue::Default);
    let default = |row: &[InsertedValue], at| row.get(at) == Some(&InsertedValue::Default) || shifted(row);
    insert.rows.iter().any(|row| position.is_none_or(|at| default(row, at)))
}

fn check_numbers(facts: &Facts, write: &Write, table: &str, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(insert) = &write.insert else { return Ok(()) };
    let columns = context.catalog.table(table).map(|known| known.columns.as_slice()).unwrap_or_default();
    let left_out = |position: usize, name: &String| match insert.columns.is_empty() {
        true => !insert.rows.iter().all(|row| value_at(facts, row, position, context).is_given()),
        false => !insert.columns.contains(name) || has_default(insert, name),
    };
    let mut columns = columns.iter().enumerate();
    match columns.find(|(position, column)| column.is_numbered() && left_out(*position, &column.name)) {
        Some((_, column)) => Err(insert::numbered(table, &column.name)),
        None => Ok(()),
    }
}

/// Plans it for these values.
pub(super) fn plan(
    facts: &Facts,
    located: &Located,
    context: &Context<'_>,
    values: &Values<'_>,
    ids: &mut MakeIds<'_>,
) -> Result<Plan, Refusal> {
    let inserts = |relation: RelationIndex| {
        facts.writes.iter().find(|write| write.relation == relation).and_then(|write| write.insert.as_ref())
    };
    let mut needed: ShardSet = located.fixed.iter().map(|(_, shard)| *shard).collect();
    for keyed in located.keyed.iter().filter(|keyed| inserts(keyed.relation).is_none()) {
        match keyed.shards(context.rules, values) {
            Some(shards) => needed = needed.union(&shards),
            None => return Err(refused(&keyed.table, &unbound(keyed))),
        }
    }
    let rows = Rows { facts, located, context, values };
    if needed.is_empty() {
        needed.extend(located.keyed.iter().find_map(|keyed| rows.first_place(keyed, inserts(keyed.relation)?)));
    }
    let table = || located.keyed.first().map_or_else(|| "?".to_owned(), |keyed| keyed.table.clone());
    if needed.len() > 1 {
        return Err(refused(&table(), "with rows that matter on several shards"));
    }
    let shard = needed.only().unwrap_or_else(|| located.spare(context.rules));
    for keyed in &located.keyed {
        if inserts(keyed.relation).is_some_and(|insert| !rows.belong(keyed, insert, shard)) {
            return Err(refused(&keyed.table, "whose inserted rows may belong to other shards"));
        }
    }
    check_home(facts, shard, context)?;
    let effect = match located.called.writes {
        true => modify::hinted_effect(context.rules),
        false => effect(facts, located, context),
    };
    Ok(Plan::Direct(Direct {
        shard,
        statement: with_ids(facts, shard, context, values, ids)?,
        effect: Some(effect),
        anywhere: false,
        reads_reference: !located.references.is_empty(),
    }))
}

fn unbound(keyed: &Keyed) -> String {
    format!("unless its sharding key \"{}\" is bound to one shard where it is named", keyed.key)
}

/// The statement is never redone: what the shards answer may be of a read at its end.
fn effect(facts: &Facts, located: &Located, context: &Context<'_>) -> WriteEffect {
    let written = facts.writes.iter().filter_map(|write| facts.relations[write.relation].table.as_ref());
    WriteEffect {
        tables: written.map(|table| table.rule_key().into_owned()).collect(),
        redo: super::Redo::Never("a WITH query that writes is not run again".to_owned()),
        ..modify::lock_effect(located, context.rules)
    }
}

struct Rows<'a> {
    facts: &'a Facts,
    located: &'a Located,
    context: &'a Context<'a>,
    values: &'a Values<'a>,
}

impl Rows<'_> {
    /// Tells whether all rows that are inserted live on the shard.
    fn belong(&self, keyed: &Keyed, insert: &InsertedRows, shard: ShardId) -> bool {
        let here = |row: &Vec<InsertedValue>| match self.key_of(keyed, insert, row) {
            Some(Key::Constant(slot)) => self.place(keyed, &slot) == Some(shard),
            // All its rows that matter are on the shard.
            Some(Key::Passed) => true,
            None => false,
        };
        insert.rows.iter().all(here)
    }

    /// Returns where the first constant key lives.
    fn first_place(&self, keyed: &Keyed, insert: &InsertedRows) -> Option<ShardId> {
        insert.rows.iter().find_map(|row| match self.key_of(keyed, insert, row)? {
            Key::Constant(slot) => self.place(keyed, &slot),
            Key::Passed => None,
        })
    }

    fn place(&self, keyed: &Keyed, slot: &Slot) -> Option<ShardId> {
        if !is_as_ruled(&self.facts.relations[keyed.relation], &keyed.key, keyed.key_type, self.context) {
            return None;
        }
        match decode(slot, keyed.key_type, self.values) {
            Decoded::Value(value) if !is_cut(&value, keyed.key_type) => {
                self.context.rules.shard_of(keyed.group, &value)
            }
            Decoded::Value(_) | Decoded::Nothing | Decoded::Unknown => None,
        }
    }

    fn key_of(&self, keyed: &Keyed, insert: &InsertedRows, row: &[InsertedValue]) -> Option<Key> {
        let table = self.context.catalog.table(&keyed.table).filter(|_| keyed.more.is_empty());
        let position = match insert.columns.is_empty() {
            false => insert.columns.iter().position(|name| keyed.more.is_empty() && *name == keyed.key)?,
            true => table?.columns.iter().position(|column| column.name == keyed.key)?,
        };
        match value_at(self.facts, row, position, self.context) {
            Given::Slot(slot) => Some(Key::Constant(slot.clone())),
            Given::Column(column) => {
                let found = &self.located.keyed[passed_key(self.facts, self.located, &column)?];
                // A NULL of an outer join or a rollup must be the server's error.
                let own = table?.column(&keyed.key)?;
                let other = self.context.catalog.table(&found.table)?.column(&found.key)?;
                let exact = keyed.key_type.is_integer() || own.type_name == other.type_name;
                (found.group == keyed.group && exact && !own.nullable).then_some(Key::Passed)
            }
            Given::Computed | Given::Nothing => None,
        }
    }
}

/// Returns the value at a position, where each `*` stands for its columns.
fn value_at<'a>(facts: &Facts, row: &'a [InsertedValue], position: usize, context: &Context<'_>) -> Given<'a> {
    let mut left = position;
    for value in row {
        match value {
            InsertedValue::All(relation) => {
                let Some(names) = columns(facts, *relation, context) else { return Given::Nothing };
                if let Some(name) = names.get(left) {
                    // Of two columns with one name, the name does not tell which is meant.
                    if names.iter().filter(|other| *other == name).count() > 1 {
                        return Given::Computed;
                    }
                    let scope = facts.relations[*relation].scope;
                    return Given::Column(Column { relation: Some(*relation), scope, name: name.clone() });
                }
                left -= names.len();
            }
            InsertedValue::Unknown => return Given::Nothing,
            _ if left > 0 => left -= 1,
            InsertedValue::Constant(slot) => return Given::Slot(slot),
            InsertedValue::Column(column) => return Given::Column(column.clone()),
            InsertedValue::Computed => return Given::Computed,
            InsertedValue::Default => return Given::Nothing,
        }
    }
    Given::Nothing
}

/// Returns the columns of a relation.
fn columns(facts: &Facts, mut relation: RelationIndex, context: &Context<'_>) -> Option<Vec<String>> {
    for _ in 0..CHAIN_MAX {
        let found = facts.relations.get(relation).filter(|found| !found.renamed)?;
        if let Some(table) = &found.table {
            let known = context.catalog.table(&table.rule_key())?;
            return Some(known.columns.iter().map(|column| column.name.clone()).collect());
        }
        match &facts.passed.iter().find(|(known, _)| *known == relation)?.1 {
            Passed::All(inner) => relation = *inner,
            Passed::Named(names) => return Some(names.clone()),
        }
    }
    None
}

enum Key {
    Constant(Slot),
    Passed,
}

/// What stands at a position of a row.
enum Given<'a> {
    Slot(&'a Slot),
    Column(Column),
    /// Another value.
    Computed,
    /// DEFAULT, no value, or it cannot be told.
    Nothing,
}

impl Given<'_> {
    fn is_given(&self) -> bool {
        !matches!(self, Given::Nothing)
    }
}

fn refused(table: &str, why: &str) -> Refusal {
    Refusal::unsupported(
        format!("a WITH query that writes is not available beside table \"{table}\", {why}"),
        "Bind the sharding key of every table to the same shard, or send the statements one by one in a transaction.",
    )
    .with_reason(REASON)
}
