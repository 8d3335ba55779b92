//! Foreign keys to a reference table, on its copies: images are applied without triggers, so that what rows refer to would
//! go unnoticed. Home has checked its own rows and the client path those of the other shards; a row may have come since.

use deadpool_postgres::GenericClient;
use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Row;

use super::error::Error;
use super::images::Captured;
use super::store::query_prepared;

/// The foreign keys to a table from tables that are no copies of reference tables.
const REFERRING: &str = "SELECT c.conname::text, format('%I.%I', n.nspname, r.relname), \
     ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (number, place) JOIN pg_attribute a \
     ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place), \
     ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (number, place) JOIN pg_attribute a \
     ON a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.place) \
     FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace \
     WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.conparentid = 0 AND NOT EXISTS (SELECT FROM pg_trigger t \
     WHERE t.tgrelid = c.conrelid AND t.tgname = 'shardloom_guard' AND NOT t.tgisinternal)";

/// Fails if a row refers to what `events`, which have been applied, took away.
pub(super) async fn check(client: &impl GenericClient, events: &[Captured], shard: &str) -> Result<(), Error> {
    let at = |source| Error::Shard { shard: shard.to_owned(), source };
    let mut relations: Vec<&str> =
        events.iter().filter(|event| is_change(event)).map(|event| event.relation.as_str()).collect();
    relations.sort_unstable();
    relations.dedup();
    for relation in relations {
        let images: Vec<&String> = events
            .iter()
            .filter(|event| event.relation == relation && is_change(event))
            .flat_map(|event| &event.old_rows)
            .collect();
        for key in query_prepared(client, REFERRING, &[&relation]).await.map_err(at)? {
            let found = client.query_opt(&used(relation, &key), &[&images]).await.map_err(at)?;
            if let Some(found) = found {
                return Err(Error::Referred {
                    shard: shard.to_owned(),
                    relation: relation.to_owned(),
                    constraint: key.get(0),
                    table: key.get(1),
                    key: found.get(0),
                });
            }
        }
    }
    Ok(())
}

fn is_change(event: &Captured) -> bool {
    matches!(event.op.as_str(), "UPDATE" | "DELETE")
}

/// Returns the query for one key among old images ($1) that the table has no more, and a row refers to.
fn used(relation: &str, key: &Row) -> String {
    let (table, columns, referenced): (&str, Vec<&str>, Vec<&str>) = (key.get(1), key.get(2), key.get(3));
    let texts: Vec<String> = referenced.iter().map(|column| format!("k.{}::text", escape_identifier(column))).collect();
    let same = |columns: &[&str], of: &str| {
        let pairs = columns.iter().zip(&referenced);
        let equal =
            pairs.map(|(one, other)| format!("{of}.{} = k.{}", escape_identifier(one), escape_identifier(other)));
        equal.collect::<Vec<_>>().join(" AND ")
    };
    format!(
        "SELECT concat_ws(', ', {}) FROM unnest($1::text[]) i (image), json_populate_record(NULL::{relation}, i.image::json) k \
         WHERE NOT EXISTS (SELECT FROM {relation} p WHERE {}) AND EXISTS (SELECT FROM {table} c WHERE {}) LIMIT 1",
        texts.join(", "),
        same(&referenced, "p"),
        same(&columns, "c")
    )
}
