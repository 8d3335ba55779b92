//! What a lane has to deliver: the pending share of each ledger row, its keys, and the keys that are parked.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::Error;
use super::handle::Outbox;
use super::images::{self, Captured};
use super::lane::LaneRun;
use super::ledger::{Compensates, Environment, LedgerTarget, RedoCommand, on_dead_from};
use super::state::TargetState;
use super::store::query_prepared;
use crate::rules::OnDead;
use crate::types::ShardId;

/// The key that every event has: where it is parked, the lane stands.
pub(super) const EVERY_KEY: &str = "*";

/// The pending share of one transaction on one target.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub txid: i64,
    pub commit_seq: i64,
    pub mode: String,
    pub kind: String,
    /// Home's transaction id, as text; row images are found by it.
    pub xid: String,
    pub commands: Vec<RedoCommand>,
    /// The transaction that is taken back.
    pub compensates: Option<Compensates>,
    /// What takes that back, in the order in which it runs.
    pub undo: Vec<RedoCommand>,
    /// Whether the client path, or a redo, runs commands there: not so where it only gets row images.
    pub shared: bool,
    pub expected_commands: i64,
    pub environment: Environment,
    pub role: String,
    pub on_dead: OnDead,
    pub business_key: Option<String>,
    pub images: bool,
    pub captured_rows: i64,
    pub state: TargetState,
    /// How long until it may be tried again.
    pub wait: Option<Duration>,
    proxy: String,
    old: bool,
}

/// Kind of a write that was found on home without a ledger row.
pub(super) const ORPHAN: &str = "orphan";

/// Kind of what compares a table with its copies.
pub(super) const BARRIER: &str = "barrier";

/// Has the next queries of a transaction go along the commit sequence and stop at their limit.
///
/// How rare events are that wait, no statistics tell: the planner takes them for few, and reads and sorts a whole backlog
/// for every batch.
pub(super) const IN_ORDER: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; \
     SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// The most rows of images in one batch, for which home's ledger does not say how many bytes they have.
const BATCH_ROWS_MAX: i64 = 10_000;

/// The last column tells whether the batch is full with that event.
const FETCH: &str = "SELECT * FROM (SELECT l.txid, l.commit_seq, l.mode, l.kind, l.xid::text, (SELECT e.value::text FROM \
     json_array_elements(l.payload) e (value) WHERE e.value ->> 'shard' = $2), l.environment::text, l.acting_role, l.on_dead, \
     l.business_key, $2 = ANY (l.copies), l.captured_rows, coalesce(t.state, 'PENDING'), coalesce(t.attempts, 0), \
     (extract(epoch FROM t.next_attempt_at - clock_timestamp()) * 1000)::bigint, coalesce(l.proxy, ''), \
     l.created_at < clock_timestamp() - make_interval(secs => $4), \
     sum(pg_column_size(l.payload)) OVER upto >= $5::bigint OR sum(l.captured_rows) OVER upto >= $6::bigint AS fills, \
     coalesce(sum(pg_column_size(l.payload)) OVER earlier < $5::bigint, true) AND \
     coalesce(sum(l.captured_rows) OVER earlier < $6::bigint, true) AS fits \
     FROM shardloom.ledger l LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = $2 \
     WHERE l.commit_seq > $1 AND l.state IN ('OPEN', 'ATTENTION') AND $2 = ANY (l.targets) \
     AND coalesce(t.state, 'PENDING') IN ('PENDING', 'PUBLISHED', 'RETRY', 'BLOCKED') \
     WINDOW upto AS (ORDER BY l.commit_seq ROWS UNBOUNDED PRECEDING), \
     earlier AS (ORDER BY l.commit_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) \
     ORDER BY l.commit_seq LIMIT $3) due WHERE due.fits";

const CAPTURED: &str = "SELECT relation, op, old_rows, new_rows, xid::text FROM shardloom.outbox \
     WHERE xid = ANY ($1::text[]::xid8[]) ORDER BY seq";

const PARKED: &str = "SELECT DISTINCT k.key, t.state = 'DEAD' FROM shardloom.ledger_target t LEFT JOIN LATERAL unnest(t.keys) k (key) ON true \
     WHERE t.target = $1 AND t.state IN ('DEAD', 'PARKED')";

/// Has the parked events of a lane looked at again.
pub(super) const LET_GO: &str = "UPDATE shardloom.ledger_target SET state = 'PENDING', keys = '{}', \
     updated_at = clock_timestamp() WHERE target = $1 AND state = 'PARKED'";

/// Reads the first events of a lane that are not finished, in commit order, as many as a batch holds; tells whether it is
/// full.
pub(super) async fn fetch(outbox: &Outbox, run: &LaneRun) -> Result<(Vec<Item>, bool), Error> {
    let at = outbox.store.at(run.home);
    let mut client = outbox.store.connect(run.home).await?;
    let transaction = client.transaction().await.map_err(&at)?;
    transaction.batch_execute(IN_ORDER).await.map_err(&at)?;
    let bounds = &outbox.settings.bounds;
    let target = outbox.store.name(run.target);
    let grace = bounds.foreign_grace.as_secs_f64();
    let values: [&(dyn ToSql + Sync); 6] =
        [&run.floor, &target, &bounds.batch, &grace, &bounds.batch_bytes, &BATCH_ROWS_MAX];
    let rows = query_prepared(&transaction, FETCH, &values).await.map_err(&at)?;
    transaction.commit().await.map_err(&at)?;
    let full = rows.len() as i64 >= bounds.batch
        || rows.last().is_some_and(|last| last.get::<_, Option<bool>>(17) == Some(true));
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, full))
}

fn read(row: &Row) -> Result<Item, Error> {
    let bad = |error: serde_json::Error| Error::BadRecord(format!("ledger row {}: {error}", row.get::<_, i64>(0)));
    let payload: Option<String> = row.get(5);
    let share: Option<LedgerTarget> = payload.map(|text| serde_json::from_str(&text)).transpose().map_err(bad)?;
    let environment: Option<String> = row.get(6);
    let environment = environment.map(|text| serde_json::from_str(&text)).transpose().map_err(bad)?;
    let wait_ms: Option<i64> = row.get(14);
    let state: String = row.get(12);
    let state =
        TargetState::from_name(&state, row.get(13)).ok_or_else(|| Error::BadRecord(format!("state {state}")))?;
    Ok(Item {
        txid: row.get(0),
        commit_seq: row.get(1),
        mode: row.get(2),
        kind: row.get(3),
        xid: row.get::<_, Option<String>>(4).unwrap_or_default(),
        shared: share.is_some(),
        expected_commands: share.as_ref().map_or(0, |share| share.expected_rows),
        compensates: share.as_ref().and_then(|share| share.compensates),
        undo: share.as_ref().map(|share| share.undo.clone()).unwrap_or_default(),
        commands: share.map(|share| share.commands).unwrap_or_default(),
        environment: environment.unwrap_or_default(),
        role: row.get(7),
        on_dead: on_dead_from(row.get(8)),
        business_key: row.get(9),
        images: row.get(10),
        captured_rows: row.get(11),
        state,
        wait: wait_ms.filter(|wait| *wait > 0).map(|wait| Duration::from_millis(wait as u64)),
        proxy: row.get(15),
        old: row.get(16),
    })
}

impl Item {
    /// Tells whether the client path of another proxy may still be at work on it: it runs commands there, and has not
    /// said yet that it is done.
    ///
    /// Where a prepared transaction still decides, its inbox row keeps the relay waiting until that is done.
    pub fn is_left_to_others(&self, me: &str) -> bool {
        let at_work = self.shared && self.state != TargetState::Published;
        at_work && self.mode != "eventual" && self.proxy != me && !self.old
    }

    /// Tells whether both may share one transaction on the target.
    pub fn goes_with(&self, other: &Self) -> bool {
        let images = |item: &Self| item.images && item.commands.is_empty() && item.kind != ORPHAN;
        let commands = |item: &Self| !item.images && !item.commands.is_empty();
        (images(self) && images(other))
            || (commands(self) && commands(other) && self.environment == other.environment && self.role == other.role)
    }

    /// Returns the rows that the target is to change in all.
    pub fn expected(&self) -> i64 {
        self.expected_commands + if self.images { self.captured_rows } else { 0 }
    }
}

/// Reads the row images of these transactions, in the order in which they were captured.
pub(super) async fn captured(outbox: &Outbox, home: ShardId, xids: &[&str]) -> Result<Vec<(String, Captured)>, Error> {
    let client = outbox.store.connect(home).await?;
    let rows = query_prepared(&client, CAPTURED, &[&xids]).await.map_err(outbox.store.at(home))?;
    Ok(rows.iter().map(|row| (row.get(4), Captured::from_row(row))).collect())
}

/// Returns the tables whose images `item` carries.
pub(super) async fn relations(outbox: &Outbox, home: ShardId, item: &Item) -> Result<BTreeSet<String>, Error> {
    let rows = captured(outbox, home, &[&item.xid]).await?;
    Ok(rows.into_iter().map(|(_, captured)| captured.relation).collect())
}

/// Returns the keys that order `item`: rows of images, and the business key of commands.
pub(super) async fn keys(outbox: &Outbox, home: ShardId, item: &Item) -> Result<BTreeSet<String>, Error> {
    let mut keys = keys_of(outbox, home, std::slice::from_ref(item)).await?;
    Ok(keys.remove(&item.txid).unwrap_or_default())
}

/// Returns the keys of many events at once, by txid.
pub(super) async fn keys_of(
    outbox: &Outbox,
    home: ShardId,
    items: &[Item],
) -> Result<HashMap<i64, BTreeSet<String>>, Error> {
    let business = |item: &Item| item.business_key.iter().map(|key| format!("key|{key}")).collect();
    let mut keys: HashMap<i64, BTreeSet<String>> = items.iter().map(|item| (item.txid, business(item))).collect();
    let with_images = || items.iter().filter(|item| item.images);
    let xids: Vec<&str> = with_images().map(|item| item.xid.as_str()).collect();
    if xids.is_empty() {
        return Ok(keys);
    }
    let txids: HashMap<&str, i64> = with_images().map(|item| (item.xid.as_str(), item.txid)).collect();
    let client = outbox.store.connect(home).await?;
    let mut shapes: HashMap<String, images::Shape> = HashMap::new();
    for (xid, event) in captured(outbox, home, &xids).await? {
        if !shapes.contains_key(&event.relation) {
            let shape = images::shape(&client, &event.relation).await.map_err(outbox.store.at(home))?;
            shapes.insert(event.relation.clone(), shape);
        }
        let Some(of_item) = txids.get(xid.as_str()).and_then(|txid| keys.get_mut(txid)) else { continue };
        if event.op == "TRUNCATE" {
            of_item.insert(format!("{}|{EVERY_KEY}", event.relation));
        }
        let key = &shapes[&event.relation].key;
        for image in event.old_rows.iter().chain(&event.new_rows) {
            of_item.insert(format!("{}|{}", event.relation, row_key(image, key)));
        }
    }
    Ok(keys)
}

/// A row's key as text; a row that cannot be read stands for its whole table.
fn row_key(image: &str, key: &[String]) -> String {
    let Ok(serde_json::Value::Object(row)) = serde_json::from_str(image) else { return EVERY_KEY.to_owned() };
    let values: Option<Vec<String>> = key.iter().map(|column| row.get(column).map(ToString::to_string)).collect();
    values.filter(|values| !values.is_empty()).map_or_else(|| EVERY_KEY.to_owned(), |values| values.join(","))
}

/// Tells whether two sets of keys have one in common; `*` stands for all keys of a table, or of the lane.
pub(super) fn overlap(keys: &BTreeSet<String>, parked: &BTreeSet<String>) -> bool {
    if parked.contains(EVERY_KEY) {
        return true;
    }
    let table = |key: &str| key.split_once('|').map(|(table, rest)| (table.to_owned(), rest == EVERY_KEY));
    keys.iter().any(|key| {
        parked.contains(key)
            || parked.iter().any(|other| match (table(key), table(other)) {
                (Some((mine, whole)), Some((theirs, all))) => mine == theirs && (whole || all),
                (None, _) | (_, None) => false,
            })
    })
}

/// Reads the keys of dead and parked events of a lane; `None` if there is no such event.
pub(super) async fn parked_keys(outbox: &Outbox, run: &LaneRun) -> Result<Option<BTreeSet<String>>, Error> {
    let client = outbox.store.connect(run.home).await?;
    let target = outbox.store.name(run.target);
    let at = outbox.store.at(run.home);
    let rows = query_prepared(&client, PARKED, &[&target]).await.map_err(&at)?;
    if !rows.is_empty() && !rows.iter().any(|row| row.get::<_, bool>(1)) {
        // They wait for nothing: parked by what was read just before an operator let the dead one go on.
        client.execute(LET_GO, &[&target]).await.map_err(&at)?;
        return Ok(None);
    }
    let keys = rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).collect();
    Ok((!rows.is_empty()).then_some(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn only_equal_keys_of_one_table_overlap() {
        assert!(overlap(&set(&["a|1"]), &set(&["a|1"])));
        assert!(!overlap(&set(&["a|1", "b|2"]), &set(&["a|2", "b|1"])));
    }

    #[test]
    fn a_whole_table_overlaps_each_of_its_rows_and_a_stopped_lane_everything() {
        assert!(overlap(&set(&["a|1"]), &set(&["a|*"])));
        assert!(overlap(&set(&["a|*"]), &set(&["a|1"])));
        assert!(!overlap(&set(&["a|*"]), &set(&["b|1"])));
        assert!(overlap(&set(&[]), &set(&[EVERY_KEY])));
    }

    #[test]
    fn a_row_without_its_key_stands_for_the_table() {
        assert_eq!(row_key(r#"{"id":7,"v":"x"}"#, &["id".to_owned()]), "7");
        assert_eq!(row_key(r#"{"v":"x"}"#, &["id".to_owned()]), EVERY_KEY);
    }
}
