//! One apply transaction on a target: fence, inbox, row images, commands.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState as PgState;

use super::error::Error;
use super::fault::{self, FaultPoint};
use super::handle::Outbox;
use super::images;
use super::item::{self, BARRIER, Item, ORPHAN};
use super::lane::LaneRun;
use super::ledger::{Compensates, RedoCommand};
use super::redo;
use super::referred;
use super::store::{execute_prepared, query_prepared};
use crate::types::{ShardId, WriteMode};

/// What to write on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// What was recorded.
    Exact,
    /// The rows as home has them now.
    Resync,
}

/// One transaction's share, applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Applied {
    pub txid: i64,
    pub expected: i64,
    /// `None` if an earlier run applied it: only its inbox row tells.
    pub affected: Option<i64>,
}

const FENCE: &str = "UPDATE shardloom.lane SET applied_seq = greatest(applied_seq, $3), updated_at = clock_timestamp() \
     WHERE home = $1 AND epoch = $2";

const INBOX: &str = "INSERT INTO shardloom.inbox (txid, home, part) SELECT unnest($1::bigint[]), $2, $3 \
     ON CONFLICT DO NOTHING RETURNING txid";

impl Outbox {
    /// Applies a group in one transaction on its target; what the inbox knows already is recognised and left out.
    pub(super) async fn apply(&self, run: &LaneRun, group: &[Item], delivery: Delivery) -> Result<Vec<Applied>, Error> {
        let at = self.store.at(run.target);
        let mut client = self.store.connect(run.target).await?;
        let mut transaction = client.transaction().await.map_err(&at)?;
        let bounds = &self.settings.bounds;
        let (lock_ms, statement_ms) = (bounds.apply_lock_wait.as_millis(), bounds.apply_timeout.as_millis());
        let waits = format!("SET LOCAL lock_timeout = {lock_ms}; SET LOCAL statement_timeout = {statement_ms}");
        transaction.batch_execute(&waits).await.map_err(&at)?;
        self.pass_fence(run, group, &transaction).await?;
        let new_images = self.enter(run, &transaction, group.iter().filter(|item| item.images), "image").await?;
        let with_commands = group.iter().filter(|item| item.shared);
        let new_commands = self.enter(run, &transaction, with_commands, "command").await?;
        let missing = self.apply_images(run, &mut transaction, group, &new_images, delivery).await?;
        let commands = self.apply_all_commands(run, &transaction, group, &new_commands).await?;
        let mut applied = Vec::with_capacity(group.len());
        for (item, commands) in group.iter().zip(commands) {
            let images = new_images.contains(&item.txid).then_some(item.captured_rows - missing);
            let affected = match (images, commands) {
                (Some(images), Some(commands)) => Some(images + commands),
                (Some(rows), None) if !item.shared => Some(rows),
                (None, Some(rows)) if !item.images => Some(rows),
                (Some(_) | None, None | Some(_)) => None,
            };
            applied.push(Applied { txid: item.txid, expected: item.expected(), affected });
        }
        fault::reached(FaultPoint::BeforeApplyCommit);
        transaction.commit().await.map_err(&at)?;
        fault::reached(FaultPoint::AfterApplyCommit);
        Ok(applied)
    }

    async fn pass_fence(&self, run: &LaneRun, group: &[Item], transaction: &Transaction<'_>) -> Result<(), Error> {
        let home = self.store.name(run.home);
        let last = group.iter().map(|item| item.commit_seq).max().unwrap_or(0);
        let passed = execute_prepared(transaction, FENCE, &[&home, &run.epoch, &last])
            .await
            .map_err(self.held(run.target, "the lane"))?;
        if passed == 0 { Err(Error::Fenced { home: home.to_owned() }) } else { Ok(()) }
    }

    /// Names the shard in a driver's error, and what an earlier try holds if the wait for a lock ran out.
    fn held(&self, target: ShardId, what: &'static str) -> impl Fn(tokio_postgres::Error) -> Error + use<> {
        let shard = self.store.name(target).to_owned();
        move |source| match source.code() {
            Some(code) if *code == PgState::LOCK_NOT_AVAILABLE => Error::Held { shard: shard.clone(), what },
            Some(_) | None => Error::Shard { shard: shard.clone(), source },
        }
    }

    async fn enter(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        items: impl Iterator<Item = &Item>,
        part: &str,
    ) -> Result<HashSet<i64>, Error> {
        let txids: Vec<i64> = items.map(|item| item.txid).collect();
        if txids.is_empty() {
            return Ok(HashSet::new());
        }
        let home = self.store.name(run.home);
        let rows = query_prepared(transaction, INBOX, &[&txids, &home, &part])
            .await
            .map_err(self.held(run.target, "the inbox row"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Applies the images of all new transactions of the group at once; returns how many rows the copy lacked.
    async fn apply_images(
        &self,
        run: &LaneRun,
        transaction: &mut Transaction<'_>,
        group: &[Item],
        new: &HashSet<i64>,
        delivery: Delivery,
    ) -> Result<i64, Error> {
        let at = self.store.at(run.target);
        let items: Vec<&Item> = group.iter().filter(|item| new.contains(&item.txid)).collect();
        if items.is_empty() {
            return Ok(0);
        }
        let xids: Vec<&str> = items.iter().map(|item| item.xid.as_str()).collect();
        let mut captured = item::captured(self, run.home, &xids).await?;
        // Within a transaction as captured, between transactions in commit order.
        captured.sort_by_key(|(xid, _)| items.iter().position(|item| item.xid == *xid));
        let mut events: Vec<_> = captured.into_iter().map(|(_, event)| event).collect();
        let home = self.store.connect(run.home).await?;
        let resync = delivery == Delivery::Resync || items.iter().any(|item| item.kind == ORPHAN);
        if resync {
            events = images::fresh(&home, &events, self.store.name(run.home)).await?;
        }
        transaction.batch_execute("SET LOCAL session_replication_role = replica").await.map_err(&at)?;
        let missing = images::apply(transaction, &home, &events, self.store.name(run.target)).await?;
        transaction.batch_execute("SET LOCAL session_replication_role = origin").await.map_err(&at)?;
        referred::check(transaction, &events, self.store.name(run.target)).await?;
        if missing != 0 && !resync && group.len() > 1 {
            let expected = items.iter().map(|item| item.captured_rows).sum();
            return Err(Error::BatchDrift { expected, affected: expected - missing });
        }
        Ok(if resync { 0 } else { missing })
    }

    /// Tells whether a transaction that is to be taken back was applied here. One that was not never will be: its inbox row
    /// is there from now on.
    async fn was_applied(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        taken_back: Compensates,
    ) -> Result<bool, Error> {
        // The inbox forgets sooner than the ledger.
        if taken_back.applied {
            return Ok(true);
        }
        let home = self.store.name(run.home);
        let fenced = query_prepared(transaction, INBOX, &[&vec![taken_back.txid], &home, &"command"])
            .await
            .map_err(self.held(run.target, "the inbox row"))?;
        Ok(fenced.is_empty())
    }

    /// Runs the commands that are new here; returns the affected rows of each transaction.
    async fn apply_all_commands(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        group: &[Item],
        new: &HashSet<i64>,
    ) -> Result<Vec<Option<i64>>, Error> {
        let mut affected = Vec::with_capacity(group.len());
        while let Some(item) = group.get(affected.len()) {
            let rest = &group[affected.len()..];
            match rest.iter().take_while(|other| is_alike(item, other, new)).count() {
                0 | 1 => affected.push(self.apply_commands(run, transaction, item, new).await?),
                several => affected.extend(self.apply_alike(run, transaction, &rest[..several]).await?),
            }
        }
        Ok(affected)
    }

    /// Runs the commands of transactions with the same role and settings, all on their way at once.
    async fn apply_alike(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        items: &[Item],
    ) -> Result<Vec<Option<i64>>, Error> {
        let commands = items.iter().flat_map(|item| &item.commands);
        let mut rows = self.run_as(run, transaction, &items[0], commands).await?.into_iter();
        Ok(items.iter().map(|item| Some(rows.by_ref().take(item.commands.len()).sum())).collect())
    }

    /// Runs commands with the role and settings of a transaction; returns the rows that each affected.
    async fn run_as<'a>(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        item: &Item,
        commands: impl Iterator<Item = &'a RedoCommand>,
    ) -> Result<Vec<i64>, Error> {
        let at = self.store.at(run.target);
        transaction.batch_execute(&redo::settings(&item.environment, &item.role)).await.map_err(&at)?;
        let rows = redo::run(transaction, commands, self.store.name(run.target)).await?;
        transaction.batch_execute("RESET ROLE; SET LOCAL search_path = pg_catalog").await.map_err(&at)?;
        Ok(rows)
    }

    /// Runs one transaction's commands if they are new here; returns the affected rows.
    async fn apply_commands(
        &self,
        run: &LaneRun,
        transaction: &Transaction<'_>,
        item: &Item,
        new: &HashSet<i64>,
    ) -> Result<Option<i64>, Error> {
        if !new.contains(&item.txid) {
            return Ok(None);
        }
        if item.kind == BARRIER {
            self.apply_barrier(run, transaction, item.txid).await?;
            return Ok(Some(0));
        }
        let commands = match item.compensates {
            Some(taken_back) if !self.was_applied(run, transaction, taken_back).await? => return Ok(None),
            Some(_) => &item.undo,
            None => &item.commands,
        };
        if item.commands.is_empty() && item.mode == WriteMode::TwoPhase.name() {
            return Err(Error::BadRecord(
                "its prepared transaction is gone and nothing was recorded to redo".to_owned(),
            ));
        }
        let rows = self.run_as(run, transaction, item, commands.iter()).await?;
        Ok(Some(rows.into_iter().sum()))
    }
}

/// Tells whether two transactions may run under settings that are put in force once: those that were left for later fire no
/// triggers, which might change them.
fn is_alike(first: &Item, other: &Item, new: &HashSet<i64>) -> bool {
    new.contains(&other.txid)
        && other.mode == WriteMode::Eventual.name()
        && other.kind != BARRIER
        && other.compensates.is_none()
        && other.role == first.role
        && other.environment == first.environment
}
