//! Whether the shards have the same tables: columns, indexes and constraints, held against each other. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::{Distribution, RuleSet};
use crate::types::{ShardId, ShardSet};

/// Returns one row of four texts for each column, index and constraint of the user's tables: table, what it is, its
/// name, what it says. Columns are told with their place, which is what `*` goes by.
pub const SCHEMA_QUERY: &str = r#"
with relation as (
  select c.oid, case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and n.nspname not in ('information_schema', 'shardloom') and n.nspname !~ '^pg_'
)
select r.name, 'column', a.attname::text,
       row_number() over (partition by r.oid order by a.attnum) || ' '
       || pg_catalog.format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
from relation r join pg_catalog.pg_attribute a on a.attrelid = r.oid
where a.attnum > 0 and not a.attisdropped
union all
select r.name, 'index', c.relname::text,
       pg_catalog.pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' (invalid)' end
from relation r join pg_catalog.pg_index i on i.indrelid = r.oid
join pg_catalog.pg_class c on c.oid = i.indexrelid
union all
select r.name, 'constraint', c.conname::text, pg_catalog.pg_get_constraintdef(c.oid)
from relation r join pg_catalog.pg_constraint c on c.conrelid = r.oid
where c.contype in ('p', 'u', 'x', 'f', 'c')
"#;

/// One row of [`SCHEMA_QUERY`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRow {
    /// The table, as the rules name it.
    pub table: String,
    /// `column`, `index` or `constraint`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub definition: String,
}

/// Something that one shard has otherwise than the first shard that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDifference {
    /// The table.
    pub table: String,
    /// The shard.
    pub shard: ShardId,
    /// `table`, `column`, `index` or `constraint`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is different, a phrase that names the shard it is held against.
    pub what: String,
}

impl SchemaDifference {
    /// Tells whether statements over the shards mean different things by it, not only cost or check differently.
    pub fn changes_rows(&self) -> bool {
        self.kind == "column" || self.kind == "table"
    }
}

impl std::fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind.as_str() {
            "table" => write!(f, "table \"{}\" {}", self.table, self.what),
            kind => write!(f, "table \"{}\": {kind} \"{}\" {}", self.table, self.name, self.what),
        }
    }
}

/// Compares the tables of the rules that several shards have, each with the first shard that answered.
pub fn schema_differences(rules: &RuleSet, shards: &[(ShardId, Vec<SchemaRow>)]) -> Vec<SchemaDifference> {
    let mut names: Vec<&String> = rules.tables.keys().collect();
    names.sort();
    let physical = |table: &String| -> Vec<String> {
        let split = rules.table(table).and_then(|rule| rule.split.as_ref());
        let schema = table.rsplit_once('.').map(|(schema, _)| format!("{schema}.")).unwrap_or_default();
        let named = |name: &String| format!("{schema}{name}");
        split.map_or_else(|| vec![table.clone()], |split| split.names.iter().map(named).collect())
    };
    let all = names.into_iter().flat_map(|table| physical(table).into_iter().map(move |own| (table, own)));
    let mut found: Vec<_> = all.flat_map(|(table, own)| of_table(rules, table, &own, shards)).collect();
    let split = rules.tables.iter().filter(|(_, rule)| rule.split.is_some()).map(|(table, _)| table);
    for (table, (shard, rows)) in split.flat_map(|table| shards.iter().map(move |shard| (table, shard))) {
        found.extend(unlike_slots(rules, table, &physical(table), *shard, rows));
    }
    found
}

/// Compares the columns of one shard's physical tables: what reads several of them goes by their places.
fn unlike_slots(
    rules: &RuleSet,
    table: &str,
    physical: &[String],
    shard: ShardId,
    rows: &[SchemaRow],
) -> Vec<SchemaDifference> {
    let columns = |name: &String| -> Vec<(String, String, String)> {
        let own = rows.iter().filter(|row| row.table == *name && row.kind == "column");
        own.map(|row| (row.kind.clone(), row.name.clone(), row.definition.clone())).collect()
    };
    let mut tables = physical.iter().map(|name| (name, columns(name))).filter(|(_, columns)| !columns.is_empty());
    let Some((first, model)) = tables.next() else { return Vec::new() };
    let model_name = format!("{} in {first}", rules.shard(shard).name);
    let unlike = tables.flat_map(|(name, own)| {
        let mut found = compared(table, shard, &own, &model, &model_name);
        found.iter_mut().for_each(|difference| difference.what.push_str(&format!(" (in {name})")));
        found
    });
    unlike.collect()
}

/// Compares one table as it is called on the shards: one of several where the rules split it.
fn of_table(
    rules: &RuleSet,
    table: &str,
    physical: &str,
    shards: &[(ShardId, Vec<SchemaRow>)],
) -> Vec<SchemaDifference> {
    let holders: ShardSet = match rules.table(table).map(|rule| &rule.distribution) {
        Some(Distribution::Sharded { group, .. }) => rules.shards_of_group(*group),
        Some(Distribution::Reference { .. }) => ShardSet::first(rules.shards.len()),
        Some(Distribution::Single { .. }) | None => return Vec::new(),
    };
    let things = |rows: &'_ [SchemaRow]| -> Vec<(String, String, String)> {
        let own = rows.iter().filter(|row| row.table == physical);
        own.map(|row| (row.kind.clone(), row.name.clone(), row.definition.clone())).collect()
    };
    let found: Vec<_> = shards
        .iter()
        .filter(|(shard, _)| holders.contains(*shard))
        .map(|(shard, rows)| (*shard, things(rows)))
        .collect();
    let Some((model_shard, model)) = found.iter().find(|(_, things)| !things.is_empty()) else { return Vec::new() };
    let model_name = &rules.shard(*model_shard).name;
    let others = found.iter().filter(|(shard, _)| shard != model_shard);
    let mut found: Vec<_> = others.flat_map(|(shard, own)| compared(table, *shard, own, model, model_name)).collect();
    if physical != table {
        found.iter_mut().for_each(|difference| difference.what.push_str(&format!(" (in {physical})")));
    }
    found
}

fn compared(
    table: &str,
    shard: ShardId,
    own: &[(String, String, String)],
    model: &[(String, String, String)],
    model_name: &str,
) -> Vec<SchemaDifference> {
    let difference = |kind: &str, name: &str, what: String| SchemaDifference {
        table: table.to_owned(),
        shard,
        kind: kind.to_owned(),
        name: name.to_owned(),
        what,
    };
    if own.is_empty() {
        return vec![difference("table", "", format!("does not exist here, but on {model_name}"))];
    }
    let by_name = |rows: &[(String, String, String)]| -> BTreeMap<(String, String), String> {
        rows.iter().map(|(kind, name, says)| ((kind.clone(), name.clone()), says.clone())).collect()
    };
    let (own, model) = (by_name(own), by_name(model));
    let keys: BTreeSet<_> = own.keys().chain(model.keys()).collect();
    let what = |key: &(String, String)| match (own.get(key), model.get(key)) {
        (Some(here), Some(there)) if here != there => Some(format!("is \"{here}\", on {model_name} \"{there}\"")),
        (Some(_), None) => Some(format!("is not on {model_name}")),
        (None, Some(_)) => Some(format!("is missing, {model_name} has it")),
        (Some(_), Some(_)) | (None, None) => None,
    };
    keys.into_iter().filter_map(|key| Some(difference(&key.0, &key.1, what(key)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::rules;

    fn row(table: &str, kind: &str, name: &str, definition: &str) -> SchemaRow {
        let [table, kind, name, definition] = [table, kind, name, definition].map(str::to_owned);
        SchemaRow { table, kind, name, definition }
    }

    #[test]
    fn what_differs_is_named_with_its_shard() {
        let both = |more: Vec<SchemaRow>| {
            let mut rows = vec![row("orders", "column", "id", "1 bigint"), row("regions", "column", "id", "1 int")];
            rows.extend(more);
            rows
        };
        let shards = vec![
            (
                ShardId(0),
                both(vec![row("orders", "column", "note", "2 text"), row("settings", "column", "a", "1 int")]),
            ),
            (ShardId(1), both(vec![row("orders", "column", "note", "2 varchar"), row("orders", "index", "i", "x")])),
            (ShardId(2), vec![row("orders", "column", "id", "1 bigint")]),
        ];
        let found: Vec<String> = schema_differences(&rules(), &shards)
            .iter()
            .map(|difference| format!("{} {difference} {}", difference.shard.0, difference.changes_rows()))
            .collect();
        assert_eq!(
            found,
            [
                "1 table \"orders\": column \"note\" is \"2 varchar\", on s0 \"2 text\" true",
                "1 table \"orders\": index \"i\" is not on s0 false",
                "2 table \"orders\": column \"note\" is missing, s0 has it true",
                "2 table \"regions\" does not exist here, but on s0 true",
            ]
        );
    }

    #[test]
    fn shards_that_are_alike_and_shards_that_are_away_differ_in_nothing() {
        let rows = vec![row("orders", "column", "id", "1 bigint")];
        assert_eq!(schema_differences(&rules(), &[(ShardId(0), rows.clone()), (ShardId(2), rows)]), []);
        assert_eq!(schema_differences(&rules(), &[]), []);
    }
}
