//! The buckets of keys, as the lookup tables on home have them.

use std::time::Duration;

use postgres_protocol::escape::escape_identifier;

use super::error::Error;
use super::handle::Outbox;
use super::triggers::{LOOKUP_TRIGGERS, qualified};
use crate::rules::Lookup;
use crate::types::KeyType;

/// Longest wait for home's answer: the client that waits may have locked the table itself.
const LOOKUP_WAIT: Duration = Duration::from_secs(5);

/// A table's quoted name, how many of the triggers that keep it as it is are at work, and whether its keys are unique.
const FIT: &str = "SELECT format('%I.%I', n.nspname, c.relname), \
     (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname LIKE 'shardloom\\_lookup\\_%' \
     AND t.tgenabled IN ('O', 'A')), \
     EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] \
     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 \
     AND a.attname = $3) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

/// What [`FIT`] answers.
struct Fit {
    relation: String,
    triggers: i64,
    is_unique: bool,
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
        if fit.triggers < LOOKUP_TRIGGERS {
            // The table may have been made a moment ago, and not through this proxy.
            self.reconcile_on(home).await?;
            fit = self.fit(lookup).await?;
        }
        let (table, key) = (&lookup.table, &lookup.key);
        if fit.triggers < LOOKUP_TRIGGERS {
            return Err(Error::Lookup(format!(
                "lookup table \"{table}\" is without the triggers that keep its buckets as they are"
            )));
        }
        if !fit.is_unique {
            return Err(Error::Lookup(format!("lookup table \"{table}\" has no unique index on \"{key}\" alone")));
        }
        let (column, bucket) = (escape_identifier(key), escape_identifier(&lookup.bucket));
        let question = format!(
            "SELECT {column}::text, {bucket}::bigint FROM {} WHERE {column} = ANY ($1::text[]::{}[]) \
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
        let row = client.query_opt(FIT, &[&schema, &table, &lookup.key]).await.map_err(self.store.at(home))?;
        let row = row.ok_or_else(|| Error::Lookup(format!("lookup table \"{}\" does not exist", lookup.table)))?;
        Ok(Fit { relation: row.get(0), triggers: row.get(1), is_unique: row.get(2) })
    }
}
