//! The shards' tables held against the rules and against each other. Pure.

use std::collections::BTreeSet;

use shardloom::plan::binary_fits;
use shardloom::plan::catalog::{Catalog, Table};
use shardloom::rules::{Distribution, RuleSet, TableRule};
use shardloom::types::{KeyType, ShardId};

use super::live::Report;
use super::live_ids;

/// What one shard has.
pub struct ShardTables {
    /// The shard's name.
    pub name: String,
    /// Its tables.
    pub catalog: Catalog,
}

/// Adds what is wrong or worth knowing to `report`. `shards` are those that answered.
pub fn compare(rules: &RuleSet, shards: &[ShardTables], report: &mut Report) {
    let mut names: Vec<&String> = rules.tables.keys().collect();
    names.sort();
    for name in names {
        let rule = &rules.tables[name];
        let holders: Vec<&ShardTables> = shards.iter().filter(|shard| holds(rules, rule, &shard.name)).collect();
        let physical = rule.physical_keys(name);
        match physical.as_slice() {
            [] => {
                check_present(name, &holders, report);
                check_equal(name, &holders, report);
            }
            tables => {
                for table in tables {
                    check_present(table, &holders, report);
                    check_equal(table, &holders, report);
                }
                check_alike(name, tables, &holders, report);
            }
        }
        check_unique(name, rule, &holders, report);
        check_key_type(name, rule, rules, &holders, report);
        live_ids::check_column(name, rule, &holders, report);
    }
    list_unlisted(rules, shards, report);
}

/// Tells whether a shard is to have the table.
fn holds(rules: &RuleSet, rule: &TableRule, shard: &str) -> bool {
    let Some(id) = rules.shard_by_name(shard) else { return false };
    match &rule.distribution {
        Distribution::Sharded { group, .. } => rules.shards_of_group(*group).contains(id),
        Distribution::Reference { .. } => true,
        Distribution::Single { shard } => *shard == id,
    }
}

pub(super) fn finding(shard: &str, message: impl std::fmt::Display) -> String {
    format!("shard {shard}:0:0: {message}")
}

fn check_present(name: &str, holders: &[&ShardTables], report: &mut Report) {
    for shard in holders.iter().filter(|shard| shard.catalog.table(name).is_none()) {
        report.findings.push(finding(&shard.name, format!("table \"{name}\" does not exist")));
    }
}

fn check_equal(name: &str, holders: &[&ShardTables], report: &mut Report) {
    let mut found = holders.iter().filter_map(|shard| Some((shard, shard.catalog.table(name)?)));
    let Some((first, model)) = found.next() else { return };
    for (shard, table) in found.filter(|(_, table)| columns(table) != columns(model)) {
        let difference: Vec<_> = columns(model).symmetric_difference(&columns(table)).cloned().collect();
        let message = format!("table \"{name}\" differs from shard {}: {}", first.name, difference.join(", "));
        report.findings.push(finding(&shard.name, message));
    }
}

/// The physical tables of one shard are read together, by position.
fn check_alike(name: &str, tables: &[String], holders: &[&ShardTables], report: &mut Report) {
    let order = |table: &Table| -> Vec<String> {
        table.columns.iter().map(|column| format!("{} {}", column.name, column.type_name)).collect()
    };
    for shard in holders {
        let mut found = tables.iter().filter_map(|table| Some((table, shard.catalog.table(table)?)));
        let Some((first, model)) = found.next() else { continue };
        for (table, _) in found.filter(|(_, table)| order(table) != order(model)) {
            let message =
                format!("table \"{table}\" of \"{name}\" does not have the columns of \"{first}\" in the same order");
            report.findings.push(finding(&shard.name, message));
        }
    }
}

/// Columns by name, type and nullability; their order does not matter, statements name them.
fn columns(table: &Table) -> BTreeSet<String> {
    let describe = |nullable: bool| if nullable { "" } else { " not null" };
    table.columns.iter().map(|c| format!("{} {}{}", c.name, c.type_name, describe(c.nullable))).collect()
}

/// A key that leaves the sharding key out is unique on each shard only; a generated id is unique by itself.
fn check_unique(name: &str, rule: &TableRule, holders: &[&ShardTables], report: &mut Report) {
    let Distribution::Sharded { key, more, .. } = &rule.distribution else { return };
    let keys: Vec<&String> = std::iter::once(key).chain(more).collect();
    let generated = rule.id.as_ref().map(|id| &id.column);
    let Some((shard, table)) = holders.iter().find_map(|shard| Some((shard, shard.catalog.table(name)?))) else {
        return;
    };
    for key in keys.iter().filter(|key| !table.columns.iter().any(|column| column.name == ***key)) {
        report
            .findings
            .push(finding(&shard.name, format!("table \"{name}\" has no column \"{key}\", its sharding key")));
    }
    for unique in &table.unique {
        if let Some(key) = rule.lacks_for_unique(unique) {
            let columns = unique.join(", ");
            report
                .notices
                .push(format!("table \"{name}\": unique ({columns}) holds per shard only, it lacks \"{key}\""));
        } else if let Some(split) = rule
            .split
            .as_ref()
            .filter(|split| !unique.contains(&split.by) && generated.is_none_or(|id| !unique.contains(id)))
        {
            let (columns, by) = (unique.join(", "), &split.by);
            report
                .notices
                .push(format!("table \"{name}\": unique ({columns}) holds per physical table only, it lacks \"{by}\""));
        }
    }
}

/// The column by which a table is split is read as the rules say, too.
fn check_split_type(name: &str, rule: &TableRule, holders: &[&ShardTables], report: &mut Report) {
    let Some(split) = &rule.split else { return };
    let Some((shard, table)) = holders.iter().find_map(|shard| Some((shard, shard.catalog.table(name)?))) else {
        return;
    };
    let message = match table.column(&split.by) {
        Some(column) if binary_fits(split.by_type, column.type_oid) => return,
        Some(column) => format!(
            "column \"{}\", by which table \"{name}\" is split, is of type {}, the rules say {}",
            split.by,
            column.type_name,
            split.by_type.name()
        ),
        None => format!("table \"{name}\" has no column \"{}\", by which it is split", split.by),
    };
    report.findings.push(finding(&shard.name, message));
}

/// Keys are read as the rules say: a time of another type is another time, and other texts are equal in other ways.
fn check_key_type(name: &str, rule: &TableRule, rules: &RuleSet, holders: &[&ShardTables], report: &mut Report) {
    let Distribution::Sharded { group, key, more } = &rule.distribution else { return };
    let group = rules.group(*group);
    check_split_type(name, rule, holders, report);
    check_key_column(name, (key, group.key_type), holders, report);
    for (key, key_type) in more.iter().zip(group.more_types()) {
        check_key_column(name, (key, *key_type), holders, report);
    }
}

fn check_key_column(name: &str, (key, key_type): (&str, KeyType), holders: &[&ShardTables], report: &mut Report) {
    let column = |shard: &&ShardTables| Some((shard.name.clone(), shard.catalog.table(name)?.column(key)?.clone()));
    let Some((shard, column)) = holders.iter().find_map(column) else { return };
    if binary_fits(key_type, column.type_oid) {
        return;
    }
    let (found, ruled) = (&column.type_name, key_type.name());
    let message = format!("table \"{name}\": the sharding key \"{key}\" is of type {found}, the rules say {ruled}");
    match key_type.is_time() {
        true => report.findings.push(finding(&shard, message)),
        false => report.notices.push(format!("shard {shard}: {message}")),
    }
}

fn list_unlisted(rules: &RuleSet, shards: &[ShardTables], report: &mut Report) {
    for (index, _) in rules.shards.iter().enumerate() {
        let id = ShardId(index as u16);
        let Some(shard) = shards.iter().find(|shard| rules.shard(id).name == shard.name) else { continue };
        let mut unlisted: Vec<&String> =
            shard.catalog.tables.keys().filter(|name| !is_ruled(rules, name) && !is_ours(name)).collect();
        unlisted.sort();
        for name in unlisted {
            let place = if id == rules.home { "lives on home" } else { "is not reached: unlisted tables live on home" };
            report.notices.push(format!("shard {}: table \"{name}\" is in no rule and {place}", shard.name));
        }
    }
}

fn is_ruled(rules: &RuleSet, name: &str) -> bool {
    rules.table(name).is_some() || rules.logical_of(name).is_some()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("shardloom.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shardloom::rules::RuleFile;

    const RULES: &str = "kind: Topology
database: d
buckets: 4
shards: {s0: {primary: \"h:1\"}}
placement: {s0: [\"0-3\"]}
home: s0
---
kind: TableGroup
name: g
key: {type: bigint}
tables: {items: {key: k, split: {by: o, type: int, into: 2, pattern: \"items_{0}\"}}}
";

    /// What is found where these tables have these columns, each of type bigint (20) or text (25).
    fn report(tables: &[(&str, &[(&str, u32)])]) -> Report {
        let rules = RuleSet::parse(&[RuleFile { path: "r.yaml".into(), text: RULES.into() }]).expect("they hold");
        let column = |(name, oid): &(&str, u32)| {
            format!(
                r#"{{"name":"{name}","type_oid":{oid},"type_name":"t{oid}","nullable":true,"default":null,
                "generated":false,"identity":false,"collation_is_default":true}}"#
            )
        };
        let table = |(name, columns): &(&str, &[(&str, u32)])| {
            let columns: Vec<String> = columns.iter().map(column).collect();
            format!(
                r#"{{"name":"{name}","kind":"r","columns":[{}],"unique":[["k"]],"constraints":[],"reads":[],"calls":[],
                "parents":[],"definition":null,"user_triggers":false}}"#,
                columns.join(",")
            )
        };
        let rows: Vec<String> = tables.iter().map(table).collect();
        let mut catalog = Catalog::from_rows(rows.iter().map(|row| ("table", row.as_str()))).expect("it decodes");
        catalog.adopt(&rules);
        let mut report = Report::default();
        compare(&rules, &[ShardTables { name: "s0".into(), catalog }], &mut report);
        report
    }

    #[test]
    fn physical_tables_are_all_there_with_the_same_columns() {
        let columns: &[(&str, u32)] = &[("k", 20), ("o", 20)];
        let right = report(&[("items_0", columns), ("items_1", columns)]);
        assert_eq!(right.findings, Vec::<String>::new());
        assert_eq!(right.notices, ["table \"items\": unique (k) holds per physical table only, it lacks \"o\""]);
        let missing = report(&[("items_0", columns)]).findings;
        assert_eq!(missing, ["shard s0:0:0: table \"items_1\" does not exist"]);
        let turned = report(&[("items_0", columns), ("items_1", &[("o", 20), ("k", 20)])]).findings;
        assert_eq!(turned.len(), 1, "{turned:?}");
        assert!(turned[0].contains("\"items_1\" of \"items\" does not have the columns of \"items_0\""), "{turned:?}");
        let typed: &[(&str, u32)] = &[("k", 20), ("o", 25)];
        let typed = report(&[("items_0", typed), ("items_1", typed)]).findings;
        assert_eq!(
            typed,
            ["shard s0:0:0: column \"o\", by which table \"items\" is split, is of type t25, the rules say int"]
        );
    }
}
