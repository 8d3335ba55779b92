//! Capture triggers on the home of each reference table, guard triggers on its copies and on lookup tables.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use postgres_protocol::escape::escape_identifier;
use sha2::{Digest, Sha256};

use super::error::Error;
use super::handle::Outbox;
use super::literal::literal;
use super::registry::IdRegistry;
use crate::rules::{Lookup, OnDead};
use crate::types::ShardId;

/// One reference table of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceTable {
    /// Lower-case name, schema `public` unless qualified.
    pub table: String,
    /// The shard whose rows are the truth.
    pub home: ShardId,
    /// What becomes of an image that a copy refuses.
    pub on_dead: OnDead,
}

/// What the rules want of the shards' schemas.
#[derive(Debug, Default, Clone)]
pub(super) struct Wanted {
    /// `None` until the rules have said so: a relay that does not know them must not drop a trigger.
    pub references: Option<Vec<ReferenceTable>>,
    pub lookups: Vec<Lookup>,
    pub ids: IdRegistry,
    /// Layouts that home knows with other numbers, and what it knows.
    pub changed_layouts: BTreeMap<String, String>,
    pub roles: Vec<String>,
}

/// How long the triggers of one shard may take, and the wait for the lock of each: a table in use, as a shard that is away,
/// is tried again later.
struct Patience {
    most: Duration,
    lock: &'static str,
}

/// Without its capture triggers a table's writes do not reach the copies.
const CAPTURES: Patience = Patience { most: Duration::from_secs(6), lock: "SET LOCAL lock_timeout = '5s'" };
/// Guards only keep out who writes a copy past the proxy: DDL does not wait long for a silent shard's.
const GUARDS: Patience = Patience { most: Duration::from_secs(2), lock: "SET LOCAL lock_timeout = '1s'" };

/// Triggers of ours on one shard: table and trigger name.
const INSTALLED: &str = "SELECT format('%I.%I', n.nspname, c.relname), t.tgname::text FROM pg_trigger t \
     JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE NOT t.tgisinternal AND t.tgname LIKE 'shardloom\\_%' AND t.tgparentid = 0 AND c.relpersistence <> 't'";

/// A table's quoted name and whether its primary key can tell rows apart at once; no row if there is no such table.
const LOOK_UP: &str = "SELECT format('%I.%I', n.nspname, c.relname), EXISTS (SELECT FROM pg_index i \
     WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate) FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

impl Outbox {
    /// Says which lookup tables are to be kept as they are; the next [`Outbox::reconcile_triggers`] sees to it.
    pub fn set_lookups(&self, lookups: Vec<Lookup>) {
        self.change_wanted(|wanted| wanted.lookups = lookups);
    }

    /// Makes the triggers on all shards fit `tables`: after DDL, at start and when rules are reloaded.
    ///
    /// Returns what could not be done: shards that are away (made up for when they are back), and tables that cannot be
    /// captured, whose writes home then refuses. Holds a short lock on each table it changes.
    pub async fn reconcile_triggers(&self, tables: Vec<ReferenceTable>) -> Vec<(ShardId, Error)> {
        self.change_wanted(|wanted| wanted.references = Some(tables));
        let done = join_all(self.store.shards().map(async |shard| {
            let most = self.patience(shard).most;
            match self.store.within(shard, most, self.reconcile_on(shard)).await {
                Ok(refused) => {
                    if let Err(error) = self.store.within(shard, GUARDS.most, self.probe_blocked(shard)).await {
                        tracing::debug!(%error, "blocked events wait for their probe");
                    }
                    refused.into_iter().map(|error| (shard, error)).collect()
                }
                Err(error) => vec![(shard, error)],
            }
        }));
        done.await.into_iter().flatten().collect()
    }

    /// Returns how long a shard's triggers are waited for.
    fn patience(&self, shard: ShardId) -> Patience {
        let Wanted { references, lookups, .. } = self.wanted();
        let captures = references.unwrap_or_default().iter().any(|reference| reference.home == shard);
        let keeps = shard == self.settings.home && !lookups.is_empty();
        if captures || keeps { CAPTURES } else { GUARDS }
    }

    /// Lets events that wait for another schema try now: it may just have come.
    async fn probe_blocked(&self, home: ShardId) -> Result<(), Error> {
        let client = self.store.connect(home).await?;
        client
            .execute("UPDATE shardloom.ledger_target SET next_attempt_at = NULL WHERE state = 'BLOCKED'", &[])
            .await
            .map_err(self.store.at(home))?;
        self.flights.nudge(home);
        Ok(())
    }

    /// Makes the triggers on one shard fit; returns the tables that cannot be captured.
    pub(super) async fn reconcile_on(&self, shard: ShardId) -> Result<Vec<Error>, Error> {
        let Wanted { references: Some(references), lookups, .. } = self.wanted() else { return Ok(Vec::new()) };
        let at = self.store.at(shard);
        let mut client = self.store.connect(shard).await?;
        let transaction = client.transaction().await.map_err(&at)?;
        transaction.batch_execute(self.patience(shard).lock).await.map_err(&at)?;
        let mut refused = Vec::new();
        let mut desired: BTreeMap<(String, String), String> = BTreeMap::new();
        for reference in references {
            let (schema, table) = qualified(&reference.table);
            let Some(row) = transaction.query_opt(LOOK_UP, &[&schema, &table]).await.map_err(&at)? else { continue };
            let (relation, has_key): (String, bool) = (row.get(0), row.get(1));
            if !has_key && shard == reference.home {
                refused.push(Error::Uncapturable(format!("reference table {relation} has no immediate primary key")));
            }
            let home = self.store.name(reference.home);
            desired.extend(triggers(&relation, shard == reference.home, has_key, home));
        }
        for lookup in lookups.iter().filter(|_| shard == self.settings.home) {
            let (schema, table) = qualified(&lookup.table);
            let found = transaction.query_opt(LOOK_UP, &[&schema, &table]).await.map_err(&at)?;
            desired.extend(found.into_iter().flat_map(|row| keeping_triggers(row.get(0), lookup)));
        }
        let rows = transaction.query(INSTALLED, &[]).await.map_err(&at)?;
        let installed: BTreeSet<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (relation, trigger) in installed.iter().filter(|key| !desired.contains_key(*key)) {
            let drop = format!("DROP TRIGGER {} ON {relation}", escape_identifier(trigger));
            transaction.batch_execute(&drop).await.map_err(&at)?;
        }
        for (_, create) in desired.iter().filter(|(key, _)| !installed.contains(*key)) {
            transaction.batch_execute(create).await.map_err(&at)?;
        }
        transaction.commit().await.map_err(&at)?;
        Ok(refused)
    }
}

/// Splits a rule's name of a table into schema and table.
pub(super) fn qualified(table: &str) -> (&str, &str) {
    table.split_once('.').unwrap_or(("public", table))
}

/// Returns the names of the triggers on UPDATE, DELETE and TRUNCATE that keep a lookup table as it is. The first is that of
/// these columns: rules may name others later, and other groups other ones now.
pub(super) fn lookup_triggers(lookup: &Lookup) -> [String; 3] {
    let columns = Sha256::digest(format!("{:?} {:?}", lookup.key, lookup.bucket));
    let columns: String = columns.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    [columns, "delete".to_owned(), "truncate".to_owned()].map(|of| format!("shardloom_lookup_{of}"))
}

/// Returns the triggers that keep the keys of a lookup table where they are, whatever the session's replication role.
fn keeping_triggers(relation: &str, lookup: &Lookup) -> [((String, String), String); 3] {
    let differs = |column: &str| {
        let column = escape_identifier(column);
        format!("OLD.{column} IS DISTINCT FROM NEW.{column}")
    };
    // A key without a bucket was never answered.
    let answered = format!("OLD.{} IS NOT NULL", escape_identifier(&lookup.bucket));
    let changed = format!("WHEN ({answered} AND ({} OR {}))", differs(&lookup.key), differs(&lookup.bucket));
    let [update, delete, truncate] = lookup_triggers(lookup);
    [
        (update, "AFTER UPDATE", format!("FOR EACH ROW {changed}")),
        (delete, "AFTER DELETE", "FOR EACH ROW".to_owned()),
        (truncate, "BEFORE TRUNCATE", "FOR EACH STATEMENT".to_owned()),
    ]
    .map(|(name, when, each)| {
        let create = format!(
            "CREATE TRIGGER {name} {when} ON {relation} {each} EXECUTE FUNCTION shardloom.keep_bucket(); \
             ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {name}"
        );
        ((relation.to_owned(), name), create)
    })
}

/// Returns the triggers of one table on one shard: (relation, name) → how to create it.
fn triggers(relation: &str, is_home: bool, has_key: bool, home: &str) -> Vec<((String, String), String)> {
    let entry =
        |name: &str, body: String| ((relation.to_owned(), name.to_owned()), format!("CREATE TRIGGER {name} {body}"));
    let any_write =
        format!("BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {relation} FOR EACH STATEMENT EXECUTE FUNCTION");
    if !is_home {
        return vec![entry("shardloom_guard", format!("{any_write} shardloom.guard({})", literal(home)))];
    }
    if !has_key {
        return vec![entry(
            "shardloom_refuse",
            format!("{any_write} shardloom.refuse('it has no immediate primary key')"),
        )];
    }
    let after = |event: &str, referencing: &str| {
        format!("AFTER {event} ON {relation} {referencing} FOR EACH STATEMENT EXECUTE FUNCTION shardloom.capture()")
    };
    vec![
        entry("shardloom_capture_insert", after("INSERT", "REFERENCING NEW TABLE AS shardloom_new")),
        entry(
            "shardloom_capture_update",
            after("UPDATE", "REFERENCING OLD TABLE AS shardloom_old NEW TABLE AS shardloom_new"),
        ),
        entry("shardloom_capture_delete", after("DELETE", "REFERENCING OLD TABLE AS shardloom_old")),
        entry("shardloom_capture_truncate", after("TRUNCATE", "")),
    ]
}
