//! What the shards know of generated ids: layouts, tags and which tables use them. `shardloom.decode_id` reads it, and whoever
//! comes later with other numbers is told.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;

use super::error::Error;
use super::handle::Outbox;
use crate::rules::{IdLayout, IdSource, RuleSet, STANDARD};
use crate::types::ShardId;

/// Registers a layout: one that no ids were made in takes other numbers, one that is used keeps its own. Tells whether it is as
/// wanted, and what is known of it.
const LAYOUT: &str = "WITH kept AS (INSERT INTO shardloom.id_layout AS l (name, epoch_ms, time_bits, tag_bits, worker_bits, \
     sequence_bits, has_bucket, used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET \
     (epoch_ms, time_bits, tag_bits, worker_bits, sequence_bits, has_bucket, used) = (excluded.epoch_ms, excluded.time_bits, \
     excluded.tag_bits, excluded.worker_bits, excluded.sequence_bits, excluded.has_bucket, l.used OR excluded.used) \
     WHERE NOT l.used OR (l.epoch_ms, l.time_bits, l.tag_bits, l.worker_bits, l.sequence_bits, \
     coalesce(l.has_bucket, excluded.has_bucket)) = (excluded.epoch_ms, excluded.time_bits, excluded.tag_bits, \
     excluded.worker_bits, excluded.sequence_bits, excluded.has_bucket) RETURNING name) \
     SELECT EXISTS (SELECT FROM kept), format('epoch_ms %s, time %s, %s %s, worker %s, sequence %s', epoch_ms, time_bits, \
     CASE WHEN has_bucket THEN 'bucket' ELSE 'tag' END, tag_bits, worker_bits, sequence_bits) \
     FROM (SELECT) one LEFT JOIN shardloom.id_layout ON name = $1";

/// Registers a tag's code if it is free; returns whose it is.
const TAG: &str = "WITH added AS (INSERT INTO shardloom.id_tag VALUES ($1, $2) ON CONFLICT (code) DO NOTHING) \
     SELECT coalesce((SELECT name FROM shardloom.id_tag WHERE code = $1), $2)";

/// Says by which layout the ids of each table are read.
const COLUMNS: &str = "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[]) AS w (table_name, layout)), \
     gone AS (DELETE FROM shardloom.id_column c WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.table_name = c.table_name)) \
     INSERT INTO shardloom.id_column AS c SELECT * FROM wanted ON CONFLICT (table_name) DO UPDATE SET layout = excluded.layout \
     WHERE c.layout <> excluded.layout";

/// What the rules say of ids.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct IdRegistry {
    layouts: BTreeMap<String, (IdLayout, bool)>,
    tags: BTreeMap<String, u16>,
    /// Table → layout.
    columns: BTreeMap<String, String>,
}

impl IdRegistry {
    /// Reads the rules.
    pub fn of(rules: &RuleSet) -> Self {
        let with_layout = |name: &String| {
            let id = rules.tables.get(name)?.id.as_ref()?;
            matches!(id.source, IdSource::Snowflake { .. }).then(|| (name.clone(), id.layout.clone()))
        };
        let columns: BTreeMap<String, String> = rules.tables.keys().filter_map(with_layout).collect();
        // Transaction ids are of the standard one.
        let used = |name: &str| name == STANDARD || columns.values().any(|layout| layout == name);
        let layouts = rules.ids.layouts.iter().map(|(name, layout)| (name.clone(), (*layout, used(name)))).collect();
        Self { layouts, tags: rules.ids.tags.clone(), columns }
    }

    /// Returns the names of the layouts in which ids are made.
    pub fn used_names(&self) -> impl Iterator<Item = &String> {
        self.layouts.iter().filter(|(_, (_, used))| *used).map(|(name, _)| name)
    }

    /// Returns the layouts in which ids are made.
    pub fn used(&self) -> impl Iterator<Item = IdLayout> {
        self.layouts.values().filter(|(_, used)| *used).map(|(layout, _)| *layout)
    }
}

impl Outbox {
    /// Says what the shards are to know of ids; it is written by [`Outbox::install`] and [`Outbox::register_ids`].
    pub fn set_ids(&self, ids: IdRegistry) {
        self.change_wanted(|wanted| wanted.ids = ids);
    }

    /// Writes it on every shard; one that is away is made up for when it is back. Tells whether home has it.
    pub async fn register_ids(&self) -> bool {
        let mut at_home = false;
        for shard in self.store.shards() {
            match self.register_ids_on(shard).await {
                Ok(()) => at_home |= shard == self.settings.home,
                Err(error) => tracing::debug!(shard = self.store.name(shard), %error, "ids not registered yet"),
            }
        }
        at_home
    }

    async fn register_ids_on(&self, shard: ShardId) -> Result<(), Error> {
        let at = self.store.at(shard);
        let mut client = self.store.connect(shard).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        self.write_ids(shard, &transaction).await?;
        transaction.commit().await.map_err(&at)
    }

    /// Registers layouts, tags and columns; what ids were made by stays.
    pub(super) async fn write_ids(&self, shard: ShardId, transaction: &Transaction<'_>) -> Result<(), Error> {
        let at = self.store.at(shard);
        let IdRegistry { layouts, tags, columns } = self.wanted().ids;
        let mut changed = BTreeMap::new();
        for (name, (layout, used)) in &layouts {
            let widths = [layout.time_bits, layout.tag_bits, layout.worker_bits, layout.sequence_bits].map(i32::from);
            let [time, tag, worker, sequence] = &widths;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
                [name, &layout.epoch_ms, time, tag, worker, sequence, &layout.has_bucket, used];
            let row = transaction.query_one(LAYOUT, &values).await.map_err(&at)?;
            // Of one that nobody uses here, others may know better.
            if *used && !row.get::<_, bool>(0) {
                changed.insert(name.clone(), row.get(1));
            }
        }
        for (name, code) in &tags {
            let known: String = transaction.query_one(TAG, &[&i32::from(*code), name]).await.map_err(&at)?.get(0);
            if known != *name {
                let shard = self.store.name(shard);
                tracing::warn!(shard, code, tag = name, known, "the code of an id tag was another tag's before");
            }
        }
        let (tables, layouts): (Vec<&String>, Vec<&String>) = columns.iter().unzip();
        transaction.execute(COLUMNS, &[&tables, &layouts]).await.map_err(&at)?;
        if shard == self.settings.home {
            self.change_wanted(|wanted| wanted.changed_layouts = changed);
        }
        Ok(())
    }

    /// Returns the layouts that home knows with other numbers, and what it knows.
    pub fn changed_layouts(&self) -> BTreeMap<String, String> {
        self.wanted().changed_layouts
    }
}
