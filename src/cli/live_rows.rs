//! `check --live --rows`: every row of the sharded tables held against the rules, whether it is where its key belongs.
//!
//! Reads all rows' keys, portion by portion, in one read-only transaction per table and shard.

use postgres_protocol::escape::escape_identifier;
use shardloom::plan::catalog::Catalog;
use shardloom::plan::key_from_text;
use shardloom::rules::{Distribution, GroupId, IdRule, IdSource, RuleSet, Split, TableRule};
use shardloom::server::ShardLink;
use shardloom::types::{KeyValue, ShardId};

use super::live::Report;
use super::live_compare::finding;

/// Rows of one FETCH: a few hundred kilobytes.
const PORTION: usize = 10_000;

/// How many misplaced rows of a table are named; all of them are counted.
const NAMED: usize = 3;

/// One table of one shard's database.
struct Place<'a> {
    rules: &'a RuleSet,
    shard: ShardId,
    group: GroupId,
    /// The key's columns: one, or those of a composite key.
    key: Vec<&'a str>,
    /// The physical table's slot, where the table is split.
    slot: Option<(&'a Split, usize)>,
    /// The generated id whose bucket says where the row is.
    id: Option<&'a IdRule>,
}

/// What reading one table has found.
#[derive(Default)]
struct Count {
    rows: u64,
    misplaced: u64,
    named: Vec<String>,
}

/// Reads all sharded tables that one shard has, also those that it should not, and adds what is misplaced to the report.
pub async fn check_rows(
    rules: &RuleSet,
    (shard, catalog): (ShardId, &Catalog),
    link: &mut ShardLink,
    report: &mut Report,
) {
    let mut names: Vec<&String> = rules.tables.keys().collect();
    names.sort();
    for name in names {
        let rule = &rules.tables[name];
        let Distribution::Sharded { group, key, more } = &rule.distribution else { continue };
        let key: Vec<&str> = std::iter::once(key).chain(more).map(String::as_str).collect();
        let id = rule.id.as_ref().filter(|id| id.route);
        let tables = physical_tables(name, rule).into_iter();
        for (table, slot) in tables.filter(|(table, _)| catalog.table(table).is_some()) {
            let place = Place { rules, shard, group: *group, key: key.clone(), slot, id };
            let shard = &rules.shard(shard).name;
            match place.read(&table, link).await {
                Ok(count) => {
                    report.notices.push(format!("shard {shard}: table \"{table}\": {} rows read", count.rows));
                    report.findings.extend(count.finding(shard, &table));
                }
                Err(error) => {
                    let _ = link.query("ROLLBACK").await;
                    report.findings.push(finding(shard, format!("table \"{table}\": {error}")));
                }
            }
        }
    }
}

fn physical_tables<'a>(name: &str, rule: &'a TableRule) -> Vec<(String, Option<(&'a Split, usize)>)> {
    match &rule.split {
        None => vec![(name.to_owned(), None)],
        Some(split) => {
            let slots = rule.physical_keys(name).into_iter().enumerate();
            slots.map(|(slot, table)| (table, Some((split.as_ref(), slot)))).collect()
        }
    }
}

impl Place<'_> {
    async fn read(&self, table: &str, link: &mut ShardLink) -> Result<Count, String> {
        let mut count = Count::default();
        link.query(&self.opening(table)).await?;
        loop {
            let rows = link.query(&format!("FETCH {PORTION} FROM shardloom_rows")).await?;
            for row in &rows {
                let columns: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
                if let Some((key, [by, id])) = columns.split_last_chunk() {
                    count.row(self.misplaced(key, *by, *id));
                }
            }
            if rows.len() < PORTION {
                link.query("ROLLBACK").await?;
                return Ok(count);
            }
        }
    }

    /// The rows' texts do not depend on the role's settings.
    fn opening(&self, table: &str) -> String {
        let text = |column: &str| format!("{}::text", escape_identifier(column));
        let by = self.slot.map_or("NULL".to_owned(), |(split, _)| text(&split.by));
        let id = self.id.map_or("NULL".to_owned(), |id| text(&id.column));
        let table: Vec<String> = table.split('.').map(escape_identifier).collect();
        format!(
            "BEGIN READ ONLY; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; SET LOCAL row_security = off; \
             DECLARE shardloom_rows NO SCROLL CURSOR FOR SELECT {}, {by}, {id} FROM ONLY {}",
            self.key.iter().copied().map(text).collect::<Vec<_>>().join(", "),
            table.join(".")
        )
    }

    /// Returns what is wrong with a row, all columns as text.
    fn misplaced(&self, key: &[Option<&str>], by: Option<&str>, id: Option<&str>) -> Option<String> {
        if let Some(null) = key.iter().position(Option::is_none) {
            let belongs = self.rules.shard_of_null(self.group);
            return (belongs != Some(self.shard)).then(|| format!("{} is NULL", self.key[null]));
        }
        let texts: Vec<&str> = key.iter().flatten().copied().collect();
        let said = format!("{} {}", self.key.join(", "), texts.join(", "));
        let Some(value) = self.value(&texts) else { return Some(format!("{said} is no value of the key's type")) };
        let key = self.misplaced_key(&said, &value);
        key.or_else(|| self.misplaced_slot(by)).or_else(|| self.misplaced_id(&value, id))
    }

    fn value(&self, texts: &[&str]) -> Option<KeyValue> {
        let group = self.rules.group(self.group);
        let types = std::iter::once(&group.key_type).chain(group.more_types());
        let mut values: Vec<KeyValue> =
            types.zip(texts).map(|(key_type, text)| key_from_text(*key_type, text)).collect::<Option<_>>()?;
        if values.len() == 1 { values.pop() } else { Some(KeyValue::Parts(values.into())) }
    }

    fn misplaced_key(&self, said: &str, value: &KeyValue) -> Option<String> {
        match self.rules.shard_of(self.group, value) {
            Some(shard) if shard == self.shard => None,
            Some(shard) => Some(format!("{said} belongs to shard {}", self.rules.shard(shard).name)),
            None => Some(format!("{said} has no place in the rules")),
        }
    }

    fn misplaced_slot(&self, by: Option<&str>) -> Option<String> {
        let (split, slot) = self.slot?;
        let Some(text) = by else { return Some(format!("{} is NULL", split.by)) };
        let belongs = key_from_text(split.by_type, text).map(|value| split.slot(&value));
        match belongs {
            Some(found) if found == slot => None,
            Some(found) => Some(format!("{} {text} belongs to table {}", split.by, split.names[found])),
            None => Some(format!("{} {text} is no value of its type", split.by)),
        }
    }

    /// An id with another bucket than its row's key would not be found by the id alone.
    fn misplaced_id(&self, key: &KeyValue, id: Option<&str>) -> Option<String> {
        let IdRule { column, source: IdSource::Snowflake { layout, .. }, .. } = self.id? else { return None };
        let bucket = self.rules.bucket_of(self.group, key)?;
        let carried = layout.bucket_of(id?.parse().ok()?);
        let (id, bucket) = (id?, bucket.0);
        match carried {
            Some(carried) if carried == bucket => None,
            Some(carried) => Some(format!("{column} {id} carries bucket {carried}, its row's is {bucket}")),
            None => Some(format!("{column} {id} was not made by its layout, so that it says no bucket")),
        }
    }
}

impl Count {
    fn row(&mut self, misplaced: Option<String>) {
        self.rows += 1;
        let Some(what) = misplaced else { return };
        self.misplaced += 1;
        if self.named.len() < NAMED {
            self.named.push(what);
        }
    }

    fn finding(&self, shard: &str, table: &str) -> Option<String> {
        let more = if self.misplaced > self.named.len() as u64 { ", …" } else { "" };
        let (misplaced, rows, named) = (self.misplaced, self.rows, self.named.join(", "));
        (misplaced > 0).then(|| {
            let message = format!(
                "table \"{table}\": {misplaced} of {rows} rows are where no statement looks for them: {named}{more}"
            );
            finding(shard, message)
        })
    }
}
