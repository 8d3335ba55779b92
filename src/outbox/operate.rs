//! What operators do: try again, skip, copy again; each change is audited with its reason.

use super::error::Error;
use super::handle::Outbox;
use super::item::LET_GO;
use super::marks::Verdict;
use super::state::{Input, TargetState, next};
use crate::types::ShardId;

/// An operator's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Retry,
    Skip,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }

    fn input(self) -> Input {
        match self {
            Self::Retry => Input::Reopen,
            Self::Skip => Input::Skip,
        }
    }
}

impl Outbox {
    /// Tries the unfinished targets of `txid` again, or only `target`; what waited behind them may go on.
    ///
    /// Returns how many targets were reopened.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a transaction that no reachable home knows, [`Error::BadRecord`] without a reason.
    pub async fn retry(&self, txid: i64, target: Option<ShardId>, reason: &str, actor: &str) -> Result<usize, Error> {
        let (home, states) = self.find(txid).await?;
        let mut count = 0;
        for (shard, state) in states {
            let chosen =
                target.map_or(state.wants_attention() || matches!(state, TargetState::Retry { .. }), |t| t == shard);
            if chosen {
                self.change(home, txid, shard, state, Verb::Retry, reason, actor).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Lets one target of `txid` go: its change is never made there; what waited behind it may go on.
    ///
    /// # Errors
    /// As [`Self::retry`], and [`Error::Illegal`] for a target that is finished.
    pub async fn skip(&self, txid: i64, target: ShardId, reason: &str, actor: &str) -> Result<(), Error> {
        let (home, states) = self.find(txid).await?;
        let Some((_, state)) = states.into_iter().find(|(shard, _)| *shard == target) else {
            return Err(Error::Unknown(format!("transaction {txid} has no target \"{}\"", self.store.name(target))));
        };
        self.change(home, txid, target, state, Verb::Skip, reason, actor).await
    }

    /// Finds a transaction's home and where its targets stand.
    pub(super) async fn find(&self, txid: i64) -> Result<(ShardId, Vec<(ShardId, TargetState)>), Error> {
        let mut away = None;
        for home in self.store.shards() {
            match self.targets_of(home, txid).await {
                Ok(targets) if targets.is_empty() => {}
                Ok(targets) => return Ok((home, targets)),
                Err(error) => away = Some(error),
            }
        }
        Err(away.unwrap_or_else(|| Error::Unknown(format!("no home knows transaction {txid}"))))
    }

    async fn targets_of(&self, home: ShardId, txid: i64) -> Result<Vec<(ShardId, TargetState)>, Error> {
        let client = self.store.connect(home).await?;
        let rows = client
            .query(
                "SELECT x.target, coalesce(t.state, 'PENDING'), coalesce(t.attempts, 0) FROM shardloom.ledger l \
                 CROSS JOIN unnest(l.targets) x (target) LEFT JOIN shardloom.ledger_target t \
                 ON t.txid = l.txid AND t.target = x.target WHERE l.txid = $1",
                &[&txid],
            )
            .await
            .map_err(self.store.at(home))?;
        let read = |row: &tokio_postgres::Row| {
            let shard = self.store.id(row.get(0))?;
            Some((shard, TargetState::from_name(row.get(1), row.get(2))?))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    #[expect(clippy::too_many_arguments, reason = "one change in full, as the audit row has it")]
    async fn change(
        &self,
        home: ShardId,
        txid: i64,
        target: ShardId,
        state: TargetState,
        verb: Verb,
        reason: &str,
        actor: &str,
    ) -> Result<(), Error> {
        let after = next(state, verb.input())?;
        let name = self.store.name(target);
        self.audit(home, actor, verb.name(), &format!("{txid} on {name}"), state.name(), after.name(), reason).await?;
        self.write_verdicts(home, &[Verdict::new(txid, target, after)]).await?;
        let client = self.store.connect(home).await?;
        let at = self.store.at(home);
        client
            .execute(
                "UPDATE shardloom.dead_letter SET resolved_at = clock_timestamp(), resolution = $3 \
                 WHERE txid = $1 AND target = $2 AND resolved_at IS NULL",
                &[&txid, &name, &verb.name()],
            )
            .await
            .map_err(&at)?;
        // What waited behind it is looked at again; if another dead event has its key, it parks again.
        client.execute(LET_GO, &[&name]).await.map_err(&at)?;
        self.flights.nudge(home);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of the audit table")]
    pub(super) async fn audit(
        &self,
        home: ShardId,
        actor: &str,
        verb: &str,
        subject: &str,
        before: &str,
        after: &str,
        reason: &str,
    ) -> Result<(), Error> {
        if reason.trim().is_empty() {
            return Err(Error::BadRecord(format!("{verb} needs a reason")));
        }
        let client = self.store.connect(home).await?;
        client
            .execute(
                "INSERT INTO shardloom.audit (actor, verb, subject, before, after, reason) VALUES ($1, $2, $3, $4, $5, $6)",
                &[&actor, &verb, &subject, &before, &after, &reason],
            )
            .await
            .map_err(self.store.at(home))?;
        Ok(())
    }

    /// Writes a dead letter; equal errors share a group, in which numbers and quoted values are masked.
    pub(super) async fn write_dead_letter(&self, home: ShardId, verdict: &Verdict) -> Result<(), Error> {
        let error = verdict.error.clone().unwrap_or_default();
        let client = self.store.connect(home).await?;
        client
            .execute(
                "INSERT INTO shardloom.dead_letter (txid, target, keys, sqlstate, error, error_group) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (txid, target) DO UPDATE SET keys = excluded.keys, \
                 sqlstate = excluded.sqlstate, error = excluded.error, error_group = excluded.error_group, \
                 died_at = clock_timestamp(), resolved_at = NULL, resolution = NULL",
                &[
                    &verdict.txid,
                    &self.store.name(verdict.target),
                    &verdict.keys,
                    &verdict.sqlstate,
                    &error,
                    &error_group(&error),
                ],
            )
            .await
            .map_err(self.store.at(home))?;
        Ok(())
    }
}

fn error_group(error: &str) -> String {
    let mut group = String::with_capacity(error.len());
    let mut digits = false;
    for character in error.chars() {
        if character.is_ascii_digit() {
            if !digits {
                group.push('#');
            }
            digits = true;
        } else {
            group.push(character);
            digits = false;
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_differ_in_numbers_share_a_group() {
        assert_eq!(error_group("value 12 of row 3"), error_group("value 7 of row 44"));
        assert_ne!(error_group("value 12"), error_group("row 12"));
    }
}
