//! Copies rows of a reference table from home again, on an operator's word: home wins.
//!
//! The rows go through the lanes like any other write, as images in the order of home's commits, so that the table may
//! be written meanwhile. A whole table goes in steps along its key, each with all rows between two keys; what a copy has
//! there besides is deleted. Each step holds writers of the table back while it is recorded, and no longer.

use deadpool_postgres::Transaction;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::handle::Outbox;
use super::images;
use crate::types::ShardId;

/// The event of a step: all rows between two keys.
pub(super) const RANGE: &str = "RANGE";

/// Kind of its ledger rows.
pub(super) const RESYNC: &str = "resync";

/// Rows of one step, and the bytes that they may be on average: what a step holds back is a few milliseconds.
const STEP_ROWS_MAX: i64 = 1_000;
const STEP_BYTES: i64 = 4 * 1024 * 1024;

/// Rows that are named one by one in one call.
pub const KEYS_MAX: usize = 1_000;

/// Steps of one call: 100 million rows of a narrow table.
const STEPS_MAX: usize = 100_000;

/// The keys between which a step has all rows: after the first, up to and with the second; without one, to the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    pub after: Option<String>,
    pub to: Option<String>,
}

/// What was sent on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resynced {
    /// Rows of home, or keys that were named.
    pub rows: i64,
    /// Transactions that carry them.
    pub steps: usize,
    /// The last of them: when no target misses it, all are there.
    pub txid: Option<i64>,
}

/// A row's size as the statistics know it; small where there are none.
const WIDTH: &str = "SELECT (pg_relation_size(c.oid) / greatest(c.reltuples, 1)::bigint)::bigint FROM pg_class c \
     WHERE c.oid = $1::text::regclass AND c.reltuples > 0";

impl Outbox {
    /// Copies a whole reference table, or the rows with these keys (JSON objects), to these targets again.
    ///
    /// Returns when the rows are in the ledger; the lanes deliver them.
    ///
    /// # Errors
    /// [`Error::Unknown`] for what is no reference table, [`Error::BadRecord`] without a reason or with too many keys.
    pub async fn resync(
        &self,
        table: &str,
        targets: &[ShardId],
        keys: Option<&[String]>,
        (reason, actor): (&str, &str),
        mut txids: impl FnMut() -> Result<i64, Error>,
    ) -> Result<Resynced, Error> {
        let (home, relation) = self.reference(table)?;
        let targets: Vec<&str> =
            targets.iter().filter(|shard| **shard != home).map(|shard| self.store.name(*shard)).collect();
        if targets.is_empty() {
            return Err(Error::Unknown(format!("\"{table}\" has no copy there: its home has the rows")));
        }
        let what = keys.map_or_else(|| "whole".to_owned(), |keys| format!("{} rows", keys.len()));
        self.audit(home, actor, RESYNC, &format!("{table} on {}", targets.join(", ")), "", &what, reason).await?;
        let mut done = Resynced::default();
        match keys {
            Some(keys) => {
                if keys.is_empty() || keys.len() > KEYS_MAX {
                    return Err(Error::BadRecord(format!("name 1 to {KEYS_MAX} rows, or copy the whole table")));
                }
                let txid = txids()?;
                self.resync_keys(home, &relation, &targets, keys, txid).await?;
                done = Resynced { rows: keys.len() as i64, steps: 1, txid: Some(txid) };
            }
            None => {
                let mut after = None;
                for _ in 0..STEPS_MAX {
                    let txid = txids()?;
                    let (rows, to) = self.resync_step(home, &relation, &targets, after, txid).await?;
                    done = Resynced { rows: done.rows + rows, steps: done.steps + 1, txid: Some(txid) };
                    after = to;
                    if after.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(done)
    }

    /// Records what home has at these keys.
    async fn resync_keys(
        &self,
        home: ShardId,
        relation: &str,
        targets: &[&str],
        keys: &[String],
        txid: i64,
    ) -> Result<(), Error> {
        let at = self.store.at(home);
        let mut client = self.store.connect(home).await?;
        let columns = images::shape(&client, relation).await.map_err(&at)?.key;
        let (key, asked) = (images::list(&columns, "t."), images::list(&columns, "r."));
        let transaction = self.lock(&mut client, home, relation).await?;
        let now = format!(
            "SELECT coalesce(array_agg(row_to_json(t.*)::text), '{{}}') FROM {relation} t WHERE ({key}) IN (SELECT {asked} \
             FROM unnest($1::text[]) i, json_populate_record(NULL::{relation}, i::json) r)"
        );
        let rows: Vec<String> = transaction.query_one(&now, &[&keys]).await.map_err(&at)?.get(0);
        self.record(home, &transaction, relation, targets, ("UPDATE", keys, &rows), txid).await?;
        transaction.commit().await.map_err(&at)?;
        self.flights.nudge(home);
        Ok(())
    }

    /// Records the next step; returns its rows, and the key that it ends at unless the table ends there.
    async fn resync_step(
        &self,
        home: ShardId,
        relation: &str,
        targets: &[&str],
        after: Option<String>,
        txid: i64,
    ) -> Result<(i64, Option<String>), Error> {
        let at = self.store.at(home);
        let mut client = self.store.connect(home).await?;
        let columns = images::shape(&client, relation).await.map_err(&at)?.key;
        if columns.is_empty() {
            return Err(Error::SchemaDrift(format!("{relation} is missing or has no primary key")));
        }
        let order = order(&client, relation, &columns, "t.").await.map_err(&at)?;
        let width: i64 = client.query_opt(WIDTH, &[&relation]).await.map_err(&at)?.map_or(0, |row| row.get(0));
        let limit = (STEP_BYTES / width.max(1)).clamp(1, STEP_ROWS_MAX);
        let from = bound(relation, &order, &columns, ">", "$1");
        let read = format!(
            "SELECT row_to_json(t.*)::text, json_build_object({})::text FROM {relation} t WHERE $1::text IS NULL OR {from} \
             ORDER BY {order} LIMIT {limit}",
            images::pairs(&columns)
        );
        let transaction = self.lock(&mut client, home, relation).await?;
        let found = transaction.query(&read, &[&after]).await.map_err(&at)?;
        let rows: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        let last: Option<String> = found.last().map(|row| row.get(1));
        let to = last.filter(|_| found.len() as i64 == limit);
        let range = serde_json::to_string(&Range { after, to: to.clone() }).expect("strings always serialise");
        self.record(home, &transaction, relation, targets, (RANGE, &[range], &rows), txid).await?;
        transaction.commit().await.map_err(&at)?;
        self.flights.nudge(home);
        Ok((rows.len() as i64, to))
    }

    /// Writes images and their ledger row, as a client's transaction does.
    async fn record(
        &self,
        home: ShardId,
        transaction: &Transaction<'_>,
        relation: &str,
        targets: &[&str],
        (op, old, new): (&str, &[String], &[String]),
        txid: i64,
    ) -> Result<(), Error> {
        let at = self.store.at(home);
        let count = old.len().max(new.len()) as i64;
        transaction
            .execute(
                "INSERT INTO shardloom.outbox (relation, op, old_rows, new_rows, row_count) VALUES ($1, $2, $3, $4, $5)",
                &[&relation, &op, &old, &new, &count],
            )
            .await
            .map_err(&at)?;
        transaction
            .execute(
                "INSERT INTO shardloom.ledger (txid, xid, state, mode, kind, targets, copies, payload, captured_rows, \
                 proxy, commit_seq) VALUES ($1, pg_current_xact_id(), 'OPEN', 'eventual', $2, $3, $3, '[]', $4, $5, \
                 nextval('shardloom.commit_seq'))",
                &[&txid, &RESYNC, &targets, &count, &self.settings.proxy],
            )
            .await
            .map_err(&at)?;
        Ok(())
    }
}

/// Applies a step on a copy: rows between the two keys that home does not have there go. The caller upserts the rest.
pub(super) async fn clear_range(
    transaction: &Transaction<'_>,
    relation: &str,
    key: &[String],
    event: &images::Captured,
) -> Result<(), RangeError> {
    let range = event.old_rows.first().map(String::as_str).unwrap_or_default();
    let range: Range = serde_json::from_str(range).map_err(RangeError::Unreadable)?;
    let order = order(transaction, relation, key, "t.").await.map_err(RangeError::Shard)?;
    let delete = format!(
        "DELETE FROM {relation} t WHERE ($1::text IS NULL OR {}) AND ($2::text IS NULL OR {}) AND ({}) NOT IN (SELECT {} \
         FROM unnest($3::text[]) i, json_populate_record(NULL::{relation}, i::json) r)",
        bound(relation, &order, key, ">", "$1"),
        bound(relation, &order, key, "<=", "$2"),
        images::list(key, "t."),
        images::list(key, "r."),
    );
    transaction.execute(&delete, &[&range.after, &range.to, &event.new_rows]).await.map_err(RangeError::Shard)?;
    Ok(())
}

/// Why a step was not applied.
#[derive(Debug)]
pub(super) enum RangeError {
    Unreadable(serde_json::Error),
    Shard(tokio_postgres::Error),
}

impl RangeError {
    /// Names the shard.
    pub fn at(self, shard: &str) -> Error {
        match self {
            Self::Unreadable(error) => Error::BadRecord(format!("a step of a resync: {error}")),
            Self::Shard(source) => Error::Shard { shard: shard.to_owned(), source },
        }
    }
}

/// Returns the key's columns in an order that all servers have in common.
async fn order(
    client: &impl deadpool_postgres::GenericClient,
    relation: &str,
    key: &[String],
    prefix: &str,
) -> Result<String, tokio_postgres::Error> {
    let collated = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attcollation <> 0";
    let rows = client.query(collated, &[&relation]).await?;
    let collated: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let column = |name: &String| {
        let collation = if collated.contains(name) { " COLLATE \"C\"" } else { "" };
        format!("{prefix}{}{collation}", escape_identifier(name))
    };
    Ok(key.iter().map(column).collect::<Vec<_>>().join(", "))
}

/// Returns the condition that a row's key is behind, or not behind, the key in a parameter.
fn bound(relation: &str, order: &str, key: &[String], operator: &str, parameter: &str) -> String {
    format!(
        "({order}) {operator} (SELECT {} FROM json_populate_record(NULL::{relation}, {parameter}::text::json) r)",
        images::list(key, "r.")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_back_and_its_bound_compares_whole_keys() {
        let range = Range { after: Some("{\"a\" : 1}".into()), to: None };
        let text = serde_json::to_string(&range).unwrap();
        assert_eq!(serde_json::from_str::<Range>(&text).unwrap(), range);
        let key = ["a".to_owned(), "b".to_owned()];
        let text = bound("public.t", "t.\"a\", t.\"b\"", &key, "<=", "$2");
        assert!(
            text.starts_with("(t.\"a\", t.\"b\") <= (SELECT r.\"a\", r.\"b\" FROM json_populate_record("),
            "{text}"
        );
    }
}
