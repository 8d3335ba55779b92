//! `check --live`: lookup tables held against the rules, and their keys learnt, so that rows can be held against them.

use std::collections::HashSet;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use shardloom::plan::key_from_text;
use shardloom::rules::{Lookup, RuleSet, TableGroup};
use shardloom::server::ShardLink;
use shardloom::types::BucketId;

use super::live::Report;
use super::live_compare::finding;

/// Whether it is a plain table: a view would run its owner's functions as the service role.
const IS_TABLE: &str = "SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
     ON n.oid OPERATOR(pg_catalog.=) c.relnamespace WHERE c.relkind OPERATOR(pg_catalog.=) 'r'";

/// How many wrong keys of a table are named; all of them are counted.
const NAMED: usize = 3;

/// Reads the lookup tables on home.
pub async fn check_lookups(rules: &RuleSet, link: &mut ShardLink, report: &mut Report) {
    let home = &rules.shard(rules.home).name;
    for (group, lookup) in rules.lookups() {
        let table = &lookup.table;
        match read(rules, rules.group(group), lookup, link).await {
            Ok((keys, wrong)) => {
                report.notices.push(format!("shard {home}: lookup table \"{table}\": {keys} keys read"));
                for wrong in wrong.iter().take(NAMED) {
                    report.findings.push(finding(home, format!("lookup table \"{table}\": {wrong}")));
                }
                if wrong.len() > NAMED {
                    let more = wrong.len() - NAMED;
                    report.findings.push(finding(home, format!("lookup table \"{table}\": {more} more such keys")));
                }
            }
            Err(error) => report.findings.push(finding(home, format!("lookup table \"{table}\": {error}"))),
        }
    }
}

/// Returns how many keys the table has, and what is wrong with them.
async fn read(
    rules: &RuleSet,
    group: &TableGroup,
    lookup: &Lookup,
    link: &mut ShardLink,
) -> Result<(usize, Vec<String>), String> {
    let (schema, table) = lookup.table.split_once('.').unwrap_or(("public", &lookup.table));
    let named = [("n.nspname", schema), ("c.relname", table)]
        .map(|(column, name)| format!("{column} OPERATOR(pg_catalog.=) {}::pg_catalog.name", escape_literal(name)));
    if link.query(&format!("{IS_TABLE} AND {} AND {}", named[0], named[1])).await?.is_empty() {
        return Err("it does not exist, or is no plain table".to_owned());
    }
    let [schema, table, key, bucket] = [schema, table, &lookup.key, &lookup.bucket].map(escape_identifier);
    // Values come as texts without a cast, which could be one of the table's owner.
    let rows = link.query(&format!("SELECT {key}, {bucket} FROM ONLY {schema}.{table}")).await?;
    let buckets = rules.placement.buckets();
    let (mut learnt, mut met, mut wrong) = (Vec::new(), HashSet::new(), Vec::new());
    for row in &rows {
        let [key, bucket] = row.as_slice() else { continue };
        let said = key.as_deref().unwrap_or("NULL");
        let value = key.as_deref().and_then(|key| key_from_text(group.key_type, key));
        let number = bucket.as_deref().and_then(|bucket| bucket.parse().ok()).filter(|bucket| *bucket < buckets);
        match (value, number) {
            (None, _) => wrong.push(format!("{said} is no value of the key's type")),
            (Some(_), None) => {
                let found = bucket.as_deref().unwrap_or("NULL");
                wrong.push(format!("{said} has the bucket {found}, buckets are from 0 to {}", buckets - 1));
            }
            (Some(value), Some(_)) if !met.insert(value.clone()) => wrong.push(format!("{said} has two rows")),
            (Some(value), Some(number)) => learnt.push((value, BucketId(number))),
        }
    }
    lookup.directory.learn(learnt);
    Ok((rows.len(), wrong))
}
