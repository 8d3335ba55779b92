//! The id columns of the shards' tables, and the layouts and tags that the shards know, held against the rules. Pure.

use std::collections::BTreeMap;

use shardloom::plan::catalog::Column;
use shardloom::rules::{IdRule, IdSource, RuleSet, TableRule};

use super::live::Report;
use super::live_compare::{ShardTables, finding};

/// PostgreSQL's type oids.
const BIGINT: u32 = 20;
const UUID: u32 = 2950;
const NUMERIC: u32 = 1700;
const TEXTS: [u32; 2] = [25, 1043];

/// What a shard knows of ids.
#[derive(Debug, Default)]
pub struct Registered {
    /// Layouts by name: epoch and widths.
    pub layouts: BTreeMap<String, [i64; 5]>,
    /// Tags by code.
    pub tags: BTreeMap<i64, String>,
}

/// Finds id columns that cannot hold their ids, or that have another source of values.
pub fn check_column(name: &str, rule: &TableRule, holders: &[&ShardTables], report: &mut Report) {
    let Some(id) = &rule.id else { return };
    let known = holders.iter().find_map(|shard| Some((&shard.name, shard.catalog.table(name)?)));
    let Some((shard, table)) = known else { return };
    let Some(column) = table.column(&id.column) else {
        let message = format!("table \"{name}\" has no column \"{}\", its generated id", id.column);
        return report.findings.push(finding(shard, message));
    };
    if let Some(needed) = misfit(id, column) {
        let (column, found) = (&id.column, &column.type_name);
        let message = format!(
            "table \"{name}\": the generated id \"{column}\" is of type {found}, which cannot hold it: \
             ALTER TABLE {name} ALTER COLUMN {column} TYPE {needed}"
        );
        report.findings.push(finding(shard, message));
    }
    if column.is_numbered() || column.default.is_some() {
        let column = &id.column;
        let message = format!(
            "table \"{name}\": the generated id \"{column}\" has a default of its own, which rows that bypass the proxy \
             would get: ALTER TABLE {name} ALTER COLUMN {column} DROP DEFAULT (or DROP IDENTITY)"
        );
        report.findings.push(finding(shard, message));
    }
}

/// Returns the type that the column must have, if its own cannot hold the ids.
fn misfit(id: &IdRule, column: &Column) -> Option<&'static str> {
    let oid = column.type_oid;
    match id.source {
        IdSource::Snowflake { .. } | IdSource::Segment(_) => (oid != BIGINT && oid != NUMERIC).then_some("bigint"),
        IdSource::Uuid { prefixed: false } => (oid != UUID && !TEXTS.contains(&oid)).then_some("uuid"),
        IdSource::Uuid { prefixed: true } => (!TEXTS.contains(&oid)).then_some("text"),
    }
}

/// Finds layouts and tags that were used otherwise before.
pub fn check_registered(rules: &RuleSet, shard: &str, registered: &Registered, report: &mut Report) {
    for (name, layout) in &rules.ids.layouts {
        let widths = [layout.time_bits, layout.tag_bits, layout.worker_bits, layout.sequence_bits].map(i64::from);
        let [time, tag, worker, sequence] = widths;
        let ours = [layout.epoch_ms, time, tag, worker, sequence];
        if registered.layouts.get(name).is_some_and(|known| *known != ours) {
            let message =
                format!("the id layout \"{name}\" was used with other numbers: declare the new ones under a new name");
            report.findings.push(finding(shard, message));
        }
    }
    for (tag, code) in &rules.ids.tags {
        if let Some(known) = registered.tags.get(&i64::from(*code)).filter(|known| *known != tag) {
            let message =
                format!("the code {code} of the id tag \"{tag}\" was the tag \"{known}\"'s: choose a new code");
            report.findings.push(finding(shard, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_oid: u32) -> Column {
        Column {
            name: "id".into(),
            type_oid,
            type_name: "integer".into(),
            nullable: false,
            default: None,
            generated: false,
            identity: false,
            identity_always: false,
            collation_is_default: true,
            equal_by_bytes: true,
        }
    }

    fn rule(source: IdSource) -> IdRule {
        let (column, layout, tag) = ("id".into(), String::new(), String::new());
        IdRule { column, layout, tag, tag_code: 0, source, route: false, check_tag: false }
    }

    #[test]
    fn a_column_must_hold_its_ids() {
        let dense = rule(IdSource::Segment(0));
        assert_eq!(misfit(&dense, &column(23)), Some("bigint"));
        assert_eq!(misfit(&dense, &column(BIGINT)), None);
        let (plain, text) = (rule(IdSource::Uuid { prefixed: false }), rule(IdSource::Uuid { prefixed: true }));
        assert_eq!((misfit(&plain, &column(UUID)), misfit(&plain, &column(BIGINT))), (None, Some("uuid")));
        assert_eq!((misfit(&text, &column(25)), misfit(&text, &column(UUID))), (None, Some("text")));
    }
}
