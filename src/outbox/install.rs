//! Puts the `shardloom` schema on the shards: idempotent, versioned, under an advisory lock.

use std::collections::BTreeMap;

use postgres_protocol::escape::escape_identifier;

use super::error::Error;
use super::handle::Outbox;
use super::triggers::Wanted;
use crate::rules::IdLayout;
use crate::types::ShardId;

/// The version of `schema.sql`; raise it with every change there.
pub(super) const SCHEMA_VERSION: i32 = 7;

/// The advisory lock that installers hold, "shardloo" in ASCII.
const INSTALL_LOCK: i64 = 0x7368_6172_646c_6f6f;

/// Longest wait for a table that an upgrade of the schema changes.
const UPGRADE_LOCK_WAIT: &str = "SET LOCAL lock_timeout = '2s'";

/// Columns that the client path fills; `acting_role` and the times are the server's to say.
const LEDGER_COLUMNS: &str = "txid, xid, state, mode, kind, targets, copies, payload, environment, home_rows, captured_rows, \
     proxy, username, rule_version, on_dead, business_key, idempotency_key, trace_id, commit_seq";

/// Registers a layout if there is none of its name; tells whether it is as registered, and what is.
const LAYOUT: &str = "WITH added AS (INSERT INTO shardloom.id_layout VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (name) DO NOTHING RETURNING name) \
     SELECT coalesce((epoch_ms, time_bits, tag_bits, worker_bits, sequence_bits) = ($2, $3, $4, $5, $6), true), \
     format('epoch_ms %s, time %s, tag %s, worker %s, sequence %s', epoch_ms, time_bits, tag_bits, worker_bits, \
     sequence_bits) FROM (SELECT) one LEFT JOIN shardloom.id_layout ON name = $1";

/// Registers a tag's code if it is free; returns whose it is.
const TAG: &str = "WITH added AS (INSERT INTO shardloom.id_tag VALUES ($1, $2) ON CONFLICT (code) DO NOTHING) \
     SELECT coalesce((SELECT name FROM shardloom.id_tag WHERE code = $1), $2)";

impl Outbox {
    /// Installs the schema on every shard; what failed is returned, and made up for by the relay when the shard is back.
    pub async fn install(&self) -> Vec<(ShardId, Error)> {
        let mut failed = Vec::new();
        for shard in self.store.shards() {
            if let Err(error) = self.install_on(shard).await {
                tracing::warn!(shard = self.store.name(shard), %error, "schema not installed yet");
                failed.push((shard, error));
            }
        }
        failed
    }

    /// Installs schema, grants, layouts and triggers on one shard.
    pub(super) async fn install_on(&self, shard: ShardId) -> Result<(), Error> {
        let at = self.store.at(shard);
        let mut client = self.store.connect(shard).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&INSTALL_LOCK]).await.map_err(&at)?;
        let known =
            transaction.query_one("SELECT to_regclass('shardloom.version') IS NOT NULL", &[]).await.map_err(&at)?;
        let mut version = 0;
        if known.get::<_, bool>(0) {
            let row = transaction.query_opt("SELECT version FROM shardloom.version", &[]).await.map_err(&at)?;
            version = row.map_or(0, |row| row.get(0));
        }
        if version > SCHEMA_VERSION {
            return Err(Error::SchemaDrift(format!(
                "the shardloom schema on shard \"{}\" has version {version}, this proxy knows {SCHEMA_VERSION}",
                self.store.name(shard)
            )));
        }
        if version < SCHEMA_VERSION {
            // A client that stays in its transaction must not hold up all others' COMMITs: the next turn tries again.
            transaction.batch_execute(UPGRADE_LOCK_WAIT).await.map_err(&at)?;
            transaction.batch_execute(include_str!("schema.sql")).await.map_err(&at)?;
            transaction
                .execute(
                    "INSERT INTO shardloom.version (version) VALUES ($1) ON CONFLICT (only_row) \
                     DO UPDATE SET version = excluded.version, installed_at = clock_timestamp()",
                    &[&SCHEMA_VERSION],
                )
                .await
                .map_err(&at)?;
        }
        self.grant(shard, &transaction).await?;
        self.write_layouts(shard, &transaction).await?;
        transaction.commit().await.map_err(&at)
    }

    async fn grant(&self, shard: ShardId, transaction: &deadpool_postgres::Transaction<'_>) -> Result<(), Error> {
        let at = self.store.at(shard);
        for role in &self.wanted().roles {
            let found = transaction.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[role]).await.map_err(&at)?;
            if found.is_none() {
                tracing::warn!(shard = self.store.name(shard), role, "role does not exist, nothing granted");
                continue;
            }
            let role = escape_identifier(role);
            let grants = format!(
                "GRANT USAGE ON SCHEMA shardloom TO {role}; GRANT INSERT ({LEDGER_COLUMNS}) ON shardloom.ledger TO {role}; \
                 GRANT INSERT (txid, home) ON shardloom.inbox TO {role}; \
                 GRANT SELECT (xid, row_count) ON shardloom.outbox TO {role}; \
                 GRANT INSERT (username, key, statement_hash, command_tag, txid) ON shardloom.idempotency TO {role}; \
                 GRANT USAGE ON SEQUENCE shardloom.commit_seq TO {role}"
            );
            transaction.batch_execute(&grants).await.map_err(&at)?;
        }
        Ok(())
    }

    /// Registers layouts and tags; what is there already stays: ids were made by it.
    async fn write_layouts(
        &self,
        shard: ShardId,
        transaction: &deadpool_postgres::Transaction<'_>,
    ) -> Result<(), Error> {
        let at = self.store.at(shard);
        let Wanted { layouts, tags, .. } = self.wanted();
        let mut changed = BTreeMap::new();
        for (name, layout) in &layouts {
            let widths = [layout.time_bits, layout.tag_bits, layout.worker_bits, layout.sequence_bits].map(i32::from);
            let [time, tag, worker, sequence] = &widths;
            let row = transaction.query_one(LAYOUT, &[name, &layout.epoch_ms, time, tag, worker, sequence]).await;
            let row = row.map_err(&at)?;
            if !row.get::<_, bool>(0) {
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
        if shard == self.settings.home {
            self.change_wanted(|wanted| wanted.changed_layouts = changed);
        }
        Ok(())
    }

    /// Says under which roles clients reach the shards from now on; they are granted by the next [`Outbox::install`].
    pub fn set_shard_roles(&self, roles: Vec<String>) {
        self.change_wanted(|wanted| wanted.roles = roles);
    }

    /// Says which id layouts `shardloom.decode_id` is to know; they are written by the next [`Outbox::install`].
    pub fn set_id_layouts(&self, layouts: BTreeMap<String, IdLayout>) {
        self.change_wanted(|wanted| wanted.layouts = layouts);
    }

    /// Says which tags have which codes, for those who come later; they are written by the next [`Outbox::install`].
    pub fn set_id_tags(&self, tags: BTreeMap<String, u16>) {
        self.change_wanted(|wanted| wanted.tags = tags);
    }

    /// Returns the layouts that home knows with other numbers, and what it knows.
    pub fn changed_layouts(&self) -> BTreeMap<String, String> {
        self.wanted().changed_layouts
    }
}
