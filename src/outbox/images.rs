//! Row images onto a copy: set-based per table, coalesced per key, by column name. Runs inside the caller's transaction.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::{GenericClient, Transaction};
use postgres_protocol::escape::escape_identifier;
use serde::de::IgnoredAny;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState as PgState;
use tokio_postgres::types::ToSql;

use super::error::Error;
use super::literal::literal;
use super::resync::{RANGE, clear_range};
use super::store::{execute_prepared, query_prepared};

/// One captured statement's rows, as `shardloom.capture` wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Captured {
    /// Quoted, qualified name.
    pub relation: String,
    /// `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`.
    pub op: String,
    /// Rows before, as JSON objects.
    pub old_rows: Vec<String>,
    /// Rows after.
    pub new_rows: Vec<String>,
}

impl Captured {
    pub fn from_row(row: &Row) -> Self {
        Self { relation: row.get(0), op: row.get(1), old_rows: row.get(2), new_rows: row.get(3) }
    }
}

/// Columns of a table on one shard.
#[derive(Debug, Default, Clone)]
pub(super) struct Shape {
    /// Columns that take values.
    pub stored: Vec<String>,
    /// Generated columns, and those that UPDATE cannot set (identity, generated always).
    pub generated: BTreeSet<String>,
    /// Columns that are `GENERATED ALWAYS AS IDENTITY`.
    pub identity: BTreeSet<String>,
    /// The primary key.
    pub key: Vec<String>,
}

/// How many rows came out differently from what the images say: 0 where the copy was equal before.
pub(super) type Missing = i64;

/// A run of events of one table with the same columns.
#[derive(Debug, Default)]
struct Segment {
    numbers: Vec<i64>,
    dead: Vec<bool>,
    images: Vec<String>,
    columns: BTreeSet<String>,
}

impl Segment {
    fn push(&mut self, number: i64, dead: bool, rows: &[String]) {
        for row in rows {
            self.numbers.push(number);
            self.dead.push(dead);
            self.images.push(row.clone());
        }
    }
}

const SHAPE: &str = "SELECT a.attname::text, a.attgenerated <> '', a.attidentity = 'a', \
     coalesce(a.attnum = ANY (i.indkey), false) \
     FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Reads a table's columns; an empty shape if there is no such table.
pub(super) async fn shape(client: &impl GenericClient, relation: &str) -> Result<Shape, tokio_postgres::Error> {
    let rows = query_prepared(client, SHAPE, &[&relation]).await?;
    let mut shape = Shape::default();
    for row in &rows {
        let name: String = row.get(0);
        if row.get(3) {
            shape.key.push(name.clone());
        }
        if row.get(2) {
            shape.identity.insert(name.clone());
        }
        if row.get(1) {
            shape.generated.insert(name);
        } else {
            shape.stored.push(name);
        }
    }
    Ok(shape)
}

/// Applies `events`, in order, on the copies of their tables. `home` tells which columns still exist at the source.
///
/// Foreign keys and triggers do not fire; the caller has set `session_replication_role`.
pub(super) async fn apply(
    transaction: &mut Transaction<'_>,
    home: &impl GenericClient,
    events: &[Captured],
    shard: &str,
) -> Result<Missing, Error> {
    let mut tables: BTreeMap<&str, Vec<&Captured>> = BTreeMap::new();
    for event in events {
        tables.entry(&event.relation).or_default().push(event);
    }
    let mut missing = 0;
    for (relation, events) in tables {
        missing += apply_table(transaction, home, relation, &events, shard).await?;
    }
    Ok(missing)
}

async fn apply_table(
    transaction: &mut Transaction<'_>,
    home: &impl GenericClient,
    relation: &str,
    events: &[&Captured],
    shard: &str,
) -> Result<Missing, Error> {
    let at = |source| Error::Shard { shard: shard.to_owned(), source };
    let target = shape(transaction, relation).await.map_err(at)?;
    if target.key.is_empty() {
        return Err(Error::SchemaDrift(format!("{relation} on shard \"{shard}\" is missing or has no primary key")));
    }
    let last_truncate = events.iter().rposition(|event| event.op == "TRUNCATE");
    if last_truncate.is_some() {
        transaction.execute(&format!("DELETE FROM {relation}"), &[]).await.map_err(at)?;
    }
    let mut missing = 0;
    let events = &events[last_truncate.map_or(0, |index| index + 1)..];
    for run in events.chunk_by(|one, other| one.op != RANGE && other.op != RANGE) {
        if let [event] = run
            && event.op == RANGE
        {
            clear_range(transaction, relation, &target.key, event).await.map_err(|error| error.at(shard))?;
        }
        missing += apply_run(transaction, home, relation, &target, run, shard).await?;
    }
    Ok(missing)
}

/// Applies events of one table, none of which changes rows without an image.
async fn apply_run(
    transaction: &mut Transaction<'_>,
    home: &impl GenericClient,
    relation: &str,
    target: &Shape,
    events: &[&Captured],
    shard: &str,
) -> Result<Missing, Error> {
    let mut missing = 0;
    for segment in segments(events)? {
        let unknown: Vec<&String> = segment
            .columns
            .iter()
            .filter(|column| !target.stored.contains(column) && !target.generated.contains(*column))
            .collect();
        if !unknown.is_empty() {
            check_dropped(home, relation, &unknown, shard).await?;
        }
        missing += apply_segment(transaction, relation, target, &segment, shard).await?;
    }
    Ok(missing)
}

/// A column that the copy lacks is fine only if home has dropped it too.
async fn check_dropped(
    home: &impl GenericClient,
    relation: &str,
    columns: &[&String],
    shard: &str,
) -> Result<(), Error> {
    let source = shape(home, relation).await.map_err(|source| Error::Shard { shard: "home".to_owned(), source })?;
    match columns.iter().find(|column| source.stored.contains(**column)) {
        Some(column) => {
            Err(Error::SchemaDrift(format!("column \"{column}\" of {relation} is missing on shard \"{shard}\"")))
        }
        None => Ok(()),
    }
}

fn segments(events: &[&Captured]) -> Result<Vec<Segment>, Error> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut number = 0;
    for event in events {
        // What stands in the place of old rows of a range is no row.
        let old_rows = if event.op == RANGE { &[][..] } else { &event.old_rows };
        let Some(sample) = event.new_rows.first().or(old_rows.first()) else { continue };
        let columns = columns_of(sample)?;
        if segments.last().is_none_or(|segment| segment.columns != columns) {
            segments.push(Segment { columns, ..Segment::default() });
        }
        let segment = segments.last_mut().expect("one was pushed if there was none");
        segment.push(number, true, old_rows);
        segment.push(number + 1, false, &event.new_rows);
        number += 2;
    }
    Ok(segments)
}

fn columns_of(image: &str) -> Result<BTreeSet<String>, Error> {
    let object: BTreeMap<String, IgnoredAny> =
        serde_json::from_str(image).map_err(|error| Error::BadRecord(format!("a row image is not JSON: {error}")))?;
    Ok(object.into_keys().collect())
}

async fn apply_segment(
    transaction: &mut Transaction<'_>,
    relation: &str,
    target: &Shape,
    segment: &Segment,
    shard: &str,
) -> Result<Missing, Error> {
    let at = |source| Error::Shard { shard: shard.to_owned(), source };
    let savepoint = transaction.savepoint("shardloom_images").await.map_err(at)?;
    match write(&savepoint, relation, target, segment, "last.shardloom_dead").await {
        Ok(missing) => {
            savepoint.commit().await.map_err(at)?;
            Ok(missing)
        }
        // Values of another unique column were swapped between rows: all of them go before the new ones come.
        Err(error) if error.code() == Some(&PgState::UNIQUE_VIOLATION) => {
            savepoint.rollback().await.map_err(at)?;
            write(transaction, relation, target, segment, "true").await.map_err(at)
        }
        Err(error) => Err(at(error)),
    }
}

async fn write(
    client: &impl GenericClient,
    relation: &str,
    target: &Shape,
    segment: &Segment,
    delete_where: &str,
) -> Result<Missing, tokio_postgres::Error> {
    let key = list(&target.key, "");
    let matches =
        target.key.iter().map(|k| format!("t.{0} = last.{0}", escape_identifier(k))).collect::<Vec<_>>().join(" AND ");
    let images = format!(
        "WITH typed AS MATERIALIZED (SELECT e.n AS shardloom_n, e.dead AS shardloom_dead, r.* \
         FROM unnest($1::bigint[], $2::bool[], $3::text[]) AS e (n, dead, image) \
         CROSS JOIN LATERAL json_populate_record(NULL::{relation}, e.image::json) r), \
         last AS (SELECT DISTINCT ON ({key}) * FROM typed ORDER BY {key}, shardloom_n DESC)"
    );
    let delete = format!(
        "{images}, first AS (SELECT DISTINCT ON ({key}) * FROM typed ORDER BY {key}, shardloom_n), \
         gone AS (DELETE FROM {relation} t USING last WHERE {matches} AND {delete_where} RETURNING last.shardloom_dead AS dead) \
         SELECT (SELECT count(*) FROM gone WHERE dead), (SELECT count(*) FROM last JOIN first USING ({key}) \
         WHERE last.shardloom_dead AND first.shardloom_dead)"
    );
    let values: [&(dyn ToSql + Sync); 3] = [&segment.numbers, &segment.dead, &segment.images];
    let rows = query_prepared(client, &delete, &values).await?;
    let (deleted, expected): (i64, i64) = rows.first().map_or((0, 0), |row| (row.get(0), row.get(1)));
    if segment.dead.iter().all(|dead| *dead) {
        return Ok(expected - deleted.min(expected));
    }
    let columns: Vec<String> = target.stored.iter().filter(|c| segment.columns.contains(*c)).cloned().collect();
    let sets: Vec<String> = columns
        .iter()
        .filter(|column| !target.key.contains(column) && !target.identity.contains(*column))
        .map(|column| format!("{0} = excluded.{0}", escape_identifier(column)))
        .collect();
    let on_conflict = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
    let upsert = format!(
        "{images} INSERT INTO {relation} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM last WHERE NOT shardloom_dead \
         ORDER BY {key} ON CONFLICT ({key}) DO {on_conflict}",
        list(&columns, ""),
        list(&columns, "last."),
    );
    execute_prepared(client, &upsert, &values).await?;
    Ok(expected - deleted.min(expected))
}

/// Returns the columns' names, each behind `prefix`.
pub(super) fn list(columns: &[String], prefix: &str) -> String {
    columns.iter().map(|column| format!("{prefix}{}", escape_identifier(column))).collect::<Vec<_>>().join(", ")
}

/// Returns name and value of each column of `t`, as `json_build_object` takes them.
pub(super) fn pairs(columns: &[String]) -> String {
    let pair = |column: &String| format!("{}, t.{}", literal(column), escape_identifier(column));
    columns.iter().map(pair).collect::<Vec<_>>().join(", ")
}

/// Returns the events that make the copies of these rows what home has now: home wins.
///
/// A truncated table is read whole, up to [`RESYNC_ROWS_MAX`] rows.
pub(super) async fn fresh(home: &impl GenericClient, events: &[Captured], name: &str) -> Result<Vec<Captured>, Error> {
    let at = |source| Error::Shard { shard: name.to_owned(), source };
    let mut images: BTreeMap<&str, (bool, Vec<String>)> = BTreeMap::new();
    for event in events {
        let (whole, rows) = images.entry(&event.relation).or_default();
        *whole |= event.op == "TRUNCATE";
        rows.extend(event.old_rows.iter().chain(&event.new_rows).cloned());
    }
    let mut result = Vec::new();
    for (relation, (whole, rows)) in images {
        let source = shape(home, relation).await.map_err(at)?;
        if source.key.is_empty() {
            return Err(Error::SchemaDrift(format!("{relation} on shard \"{name}\" is missing or has no primary key")));
        }
        let captured = |op: &str, old_rows, new_rows| Captured {
            relation: relation.to_owned(),
            op: op.to_owned(),
            old_rows,
            new_rows,
        };
        let read = format!("SELECT row_to_json(t.*)::text FROM {relation} t");
        if whole {
            let all = home.query(&format!("{read} LIMIT {}", RESYNC_ROWS_MAX + 1), &[]).await.map_err(at)?;
            if all.len() > RESYNC_ROWS_MAX {
                return Err(Error::BadRecord(format!("{relation} has more than {RESYNC_ROWS_MAX} rows to copy again")));
            }
            result.push(captured("TRUNCATE", Vec::new(), Vec::new()));
            result.push(captured("INSERT", Vec::new(), all.iter().map(|row| row.get(0)).collect()));
            continue;
        }
        let by_key = format!(
            "{read} WHERE ({}) IN (SELECT {} FROM unnest($1::text[]) i, json_populate_record(NULL::{relation}, i::json) r)",
            list(&source.key, "t."),
            list(&source.key, "r.")
        );
        let now = home.query(&by_key, &[&rows]).await.map_err(at)?;
        result.push(captured("UPDATE", rows, now.iter().map(|row| row.get(0)).collect()));
    }
    Ok(result)
}

/// Rows of one table that are copied again in one transaction.
pub(super) const RESYNC_ROWS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(op: &str, old: &[&str], new: &[&str]) -> Captured {
        let owned = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect();
        Captured { relation: "public.t".into(), op: op.into(), old_rows: owned(old), new_rows: owned(new) }
    }

    #[test]
    fn an_update_is_the_old_row_dead_and_then_the_new_one() {
        let update = event("UPDATE", &[r#"{"a":1}"#], &[r#"{"a":2}"#]);
        let segments = segments(&[&update]).unwrap();
        assert_eq!(segments.len(), 1);
        assert_eq!((segments[0].numbers.as_slice(), segments[0].dead.as_slice()), (&[0, 1][..], &[true, false][..]));
    }

    #[test]
    fn another_set_of_columns_begins_another_segment() {
        let (one, two) = (event("INSERT", &[], &[r#"{"a":1}"#]), event("INSERT", &[], &[r#"{"a":1,"b":1e999}"#]));
        assert_eq!(segments(&[&one, &two, &two]).unwrap().len(), 2);
    }

    #[test]
    fn an_image_that_is_no_object_is_refused() {
        assert!(segments(&[&event("INSERT", &[], &["[1]"])]).is_err());
    }
}
