//! The buckets of keys, as the lookup tables on home have them.

use std::time::Duration;

use postgres_protocol::escape::escape_identifier;

use super::error::Error;
use super::handle::Outbox;
use super::triggers::{lookup_triggers, qualified};
use crate::rules::Lookup;
use crate::types::KeyType;

/// Longest wait for home's answer: the client that waits may have locked the table itself.
const LOOKUP_WAIT: Duration = Duration::from_secs(5);

/// A table's quoted name, whether all triggers $4 that keep it as it is are at work, whether its keys are unique, and the
/// types of key and bucket. Only plain tables: triggers on a partitioned one do not see what is done to its partitions.
const FIT: &str = "SELECT format('%I.%I', n.nspname, c.relname), \
     (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = ANY ($4::text[]) AND t.tgenabled IN ('O', 'A')) \
     = cardinality($4::text[]), \
     EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] \
     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 \
     AND a.attname = $3), \
     (SELECT a.atttypid::bigint FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $3 AND a.attnum > 0), \
     (SELECT a.atttypid::bigint FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $5 AND a.attnum > 0) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r'";

/// PostgreSQL's oids of its integers, texts and uuid. Other types have casts that run code of the table's owner.
const INTEGERS: [i64; 3] = [20, 21, 23];
const TEXTS: [i64; 2] = [25, 1043];
const UUID: i64 = 2950;

/// What [`FIT`] answers.
struct Fit {
    relation: String,
    is_kept: bool,
    is_unique: bool,
    key_type: Option<i64>,
    bucket_type: Option<i64>,
}

impl Outbox {
    /// Asks home for the buckets of these keys, written as texts; those that have none are not among the answers.
    ///
    /// # Errors
    /// Home is away, or the table is missing, could change what it answers, or does not fit the rules.
    pub async fn look_up(
        &self,
        lookup: &Lookup,
        key_type: KeyType,
        keys: &[String],
    ) -> Result<Vec<(String, i64)>, Error> {
        self.store.within(self.settings.home, LOOKUP_WAIT, self.ask_table(lookup, key_type, keys)).await
    }

    async fn ask_table(
        &self,
        lookup: &Lookup,
        key_type: KeyType,
        keys: &[String],
    ) -> Result<Vec<(String, i64)>, Error> {
        let home = self.settings.home;
        let mut fit = self.fit(lookup).await?;
        if !fit.is_kept {
            // The table may have been made a moment ago, and not through this proxy.
            self.reconcile_on(home).await?;
            fit = self.fit(lookup).await?;
        }
        fit.check(lookup, key_type).map_err(Error::Lookup)?;
        let (column, bucket) = (escape_identifier(&lookup.key), escape_identifier(&lookup.bucket));
        let question = format!(
            "SELECT {column}::text, {bucket}::bigint FROM ONLY {} WHERE {column} = ANY ($1::text[]::{}[]) \
             AND {bucket} IS NOT NULL",
            fit.relation,
            key_type.name()
        );
        let client = self.store.connect(home).await?;
        let rows = client.query(&question, &[&keys]).await.map_err(self.store.at(home))?;
        let answer = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(answer).collect::<Result<_, _>>().map_err(self.store.at(home))
    }

    async fn fit(&self, lookup: &Lookup) -> Result<Fit, Error> {
        let home = self.settings.home;
        let (schema, table) = qualified(&lookup.table);
        let client = self.store.connect(home).await?;
        let triggers = lookup_triggers(lookup).to_vec();
        let row = client.query_opt(FIT, &[&schema, &table, &lookup.key, &triggers, &lookup.bucket]).await;
        let missing = || format!("lookup table \"{}\" does not exist, or is no plain table", lookup.table);
        let row = row.map_err(self.store.at(home))?.ok_or_else(|| Error::Lookup(missing()))?;
        Ok(Fit {
            relation: row.get(0),
            is_kept: row.get(1),
            is_unique: row.get(2),
            key_type: row.get(3),
            bucket_type: row.get(4),
        })
    }
}

impl Fit {
    /// Says why the table cannot be asked.
    fn check(&self, lookup: &Lookup, key_type: KeyType) -> Result<(), String> {
        let (table, key, bucket) = (&lookup.table, &lookup.key, &lookup.bucket);
        let types: &[i64] = match key_type {
            KeyType::SmallInt | KeyType::Int | KeyType::BigInt => &INTEGERS,
            KeyType::Text | KeyType::Varchar => &TEXTS,
            KeyType::Uuid => &[UUID],
            KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz => &[],
        };
        let is_one = |found: Option<i64>, types: &[i64]| found.is_some_and(|found| types.contains(&found));
        if !is_one(self.key_type, types) {
            return Err(format!("lookup table \"{table}\" has no column \"{key}\" of type {}", key_type.name()));
        }
        if !is_one(self.bucket_type, &INTEGERS) {
            return Err(format!("lookup table \"{table}\" has no column \"{bucket}\" of type integer"));
        }
        if !self.is_unique {
            return Err(format!("lookup table \"{table}\" has no unique index on \"{key}\" alone"));
        }
        match self.is_kept {
            true => Ok(()),
            false => Err(format!("lookup table \"{table}\" is without the triggers that keep its buckets as they are")),
        }
    }
}
