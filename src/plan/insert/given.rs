//! The ids of an INSERT's rows: those that the proxy makes, and those that the client gives and the rules want checked.

use crate::plan::given_id;
use crate::rules::{IdRule, IdSource, RuleSet, TableRule};
use crate::types::{BucketId, KeyType, KeyValue, Refusal, ShardId};

use super::key::KeyColumn;
use super::make::{self, IdValue, MakeIds};
use super::parameters::Parameters;
use super::prepared::{Moved, PreparedInsert, Target};
use super::refuse;
use super::slots::Slot;

/// The sharding key of each row, `None` for NULL; empty for a table that has none.
pub(super) type RowKeys = Vec<Option<KeyValue>>;

impl PreparedInsert {
    /// Makes the ids, and tells the keys of the rows on the way: some ids depend on them, and some keys are ids.
    pub(super) fn make_ids(
        &self,
        rules: &RuleSet,
        parameters: &Parameters<'_>,
        moved: Moved<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<(Vec<IdValue>, RowKeys), Refusal> {
        let slots = &self.layout.slots;
        let mut made = vec![IdValue::Bigint(0); slots.len()];
        make::fill(slots, &mut made, |slot| (!make::needs_bucket(slot.source)).then_some(None), ids)?;
        let keys = self.keys(parameters, moved, &made)?;
        if slots.iter().any(|slot| make::needs_bucket(slot.source)) {
            let buckets = self.buckets(rules, &keys)?;
            let of_row = |slot: &Slot| make::needs_bucket(slot.source).then(|| buckets.get(slot.row).copied());
            make::fill(slots, &mut made, of_row, ids)?;
        }
        Ok((made, keys))
    }

    fn keys(&self, parameters: &Parameters<'_>, moved: Moved<'_>, made: &[IdValue]) -> Result<RowKeys, Refusal> {
        let Target::Sharded { placing, position } = &self.target else { return Ok(Vec::new()) };
        if placing.more.is_empty() {
            return self.column_values((&placing.key, *position), parameters, moved, made);
        }
        let mut rows: Vec<Vec<KeyValue>> = vec![Vec::new(); self.rows().len()];
        for (column, position) in placing.columns(*position) {
            let values = self.column_values((column, position), parameters, moved, made)?;
            for (row, value) in rows.iter_mut().zip(values) {
                row.push(value.ok_or_else(|| refuse::null_key(&column.table, &column.name))?);
            }
        }
        Ok(rows.into_iter().map(|row| Some(KeyValue::Parts(row.into()))).collect())
    }

    /// Returns the value of each row in a column of the key.
    fn column_values(
        &self,
        (key, position): (&KeyColumn, usize),
        parameters: &Parameters<'_>,
        moved: Moved<'_>,
        made: &[IdValue],
    ) -> Result<RowKeys, Refusal> {
        let mut generated = self.layout.slots.iter().zip(made).filter(|(slot, _)| slot.column == position).peekable();
        let mut keys = Vec::with_capacity(self.rows().len());
        for (number, row) in self.rows().iter().enumerate() {
            keys.push(match generated.next_if(|(slot, _)| slot.row == number) {
                Some((_, id)) => Some(key.generated(id)?),
                None => {
                    let cell = row.cells.get(position);
                    let cell = cell.ok_or_else(|| refuse::missing_key(&key.table, &key.name))?;
                    key.value_or_null(&moved.cell(cell), parameters)?
                }
            });
        }
        Ok(keys)
    }

    fn buckets(&self, rules: &RuleSet, keys: &RowKeys) -> Result<Vec<BucketId>, Refusal> {
        let Target::Sharded { placing, .. } = &self.target else { return Ok(Vec::new()) };
        let bucket = |key: &Option<KeyValue>| {
            let key = key.as_ref().ok_or_else(|| refuse::null_key(&placing.key.table, &placing.key.name))?;
            let none = || refuse::no_place(&placing.key.table, &placing.key.name, &rules.group(placing.group).name);
            rules.bucket_of(placing.group, key).ok_or_else(none)
        };
        keys.iter().map(bucket).collect()
    }

    /// Writes the shard's name before the uuids that are to begin with it.
    pub(super) fn prefix(&self, rules: &RuleSet, shards: &[(ShardId, Vec<u32>)], made: &mut [IdValue]) {
        for (slot, id) in self.layout.slots.iter().zip(made) {
            let IdSource::Uuid { prefixed: true } = slot.source else { continue };
            let holds = |rows: &Vec<u32>| rows.is_empty() || rows.binary_search(&(slot.row as u32)).is_ok();
            if let Some((shard, _)) = shards.iter().find(|(_, rows)| holds(rows)) {
                *id = std::mem::replace(id, IdValue::Bigint(0)).prefixed(&rules.shard(*shard).name);
            }
        }
    }

    /// Refuses what could bring in an id that is not held against its row's key or tag.
    pub(super) fn check_ids(&self, rule: Option<&TableRule>) -> Result<(), Refusal> {
        let Some(id) = checked(rule) else { return Ok(()) };
        let updated = self.facts.conflict.as_ref().and_then(|conflict| conflict.update.as_ref());
        if updated.is_some_and(|columns| columns.contains(&id.column)) {
            return Err(given_id::update(&self.name, id));
        }
        let position = self.layout.columns.as_ref().and_then(|columns| columns.iter().position(|c| *c == id.column));
        let strange = |slot: &&Slot| Some(slot.column) == position && slot.source != id.source;
        match self.layout.slots.iter().find(strange) {
            Some(_) => Err(given_id::other_source(&self.name, id)),
            None => Ok(()),
        }
    }

    /// Holds the ids that the client gives against the rules.
    pub(super) fn check_given(
        &self,
        rules: &RuleSet,
        parameters: &Parameters<'_>,
        moved: Moved<'_>,
        keys: &RowKeys,
    ) -> Result<(), Refusal> {
        let Some(id) = checked(rules.table(&self.name)) else { return Ok(()) };
        if self.layout.id_generated {
            return Ok(());
        }
        let Some(columns) = &self.layout.columns else { return Err(refuse::unnamed_columns(&self.name)) };
        let Some(position) = columns.iter().position(|column| *column == id.column) else { return Ok(()) };
        let column =
            KeyColumn { table: self.name.clone(), name: id.column.clone(), key_type: KeyType::BigInt, length: None };
        for (number, row) in self.rows().iter().enumerate() {
            let Some(cell) = row.cells.get(position).filter(|_| !self.layout.makes(number, position)) else { continue };
            let value = column.value_or_null(&moved.cell(cell), parameters);
            let value = value.map_err(|refusal| given_id::not_told(refusal, &self.name, id))?;
            let Some(KeyValue::Int(value)) = value else { continue };
            let bucket = match &self.target {
                Target::Sharded { placing, .. } => {
                    keys.get(number).and_then(Option::as_ref).and_then(|key| rules.bucket_of(placing.group, key))
                }
                Target::Home(_) => None,
            };
            given_id::check(value, bucket, &self.name, id)?;
        }
        Ok(())
    }
}

pub(super) fn checked(rule: Option<&TableRule>) -> Option<&IdRule> {
    rule.and_then(|rule| rule.id.as_ref()).filter(|id| id.is_checked())
}
