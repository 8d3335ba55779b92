//! Puts the `shardloom` schema on the shards: idempotent, versioned, under an advisory lock.

use postgres_protocol::escape::escape_identifier;

use super::error::Error;
use super::handle::Outbox;
use crate::types::ShardId;

/// The version of `schema.sql`; raise it with every change there.
pub(super) const SCHEMA_VERSION: i32 = 9;

/// The advisory lock that installers hold, "shardloo" in ASCII.
const INSTALL_LOCK: i64 = 0x7368_6172_646c_6f6f;

/// Longest wait for a table that an upgrade of the schema changes.
const UPGRADE_LOCK_WAIT: &str = "SET LOCAL lock_timeout = '2s'";

/// Columns that the client path fills; `acting_role` and the times are the server's to say.
const LEDGER_COLUMNS: &str = "txid, xid, state, mode, kind, targets, copies, payload, environment, home_rows, captured_rows, \
     proxy, username, rule_version, on_dead, business_key, idempotency_key, trace_id, commit_seq";

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
        self.write_ids(shard, &transaction).await?;
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

    /// Says under which roles clients reach the shards from now on; they are granted by the next [`Outbox::install`].
    pub fn set_shard_roles(&self, roles: Vec<String>) {
        self.change_wanted(|wanted| wanted.roles = roles);
    }
}
