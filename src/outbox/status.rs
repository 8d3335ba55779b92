//! What became of a transaction, and how far its targets are: asked of the ledgers of all shards that may be its home.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::error::Error;
use super::handle::{Fence, Outbox, Resolution};
use crate::types::ShardId;

/// The first pause between two questions how far the targets are.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest pause between two questions.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// The parts of `ledger_grace` during which a transaction without a ledger row cannot have been forgotten: the rest is
/// room for clocks that differ and for other proxies' pace.
pub(super) const REMEMBERED: f64 = 0.75;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnStatus {
    /// Home committed; the targets have it or will.
    Committed,
    /// Home committed, and it was taken back since: the targets follow.
    Compensated,
    /// Nothing of it is left, and nothing can come.
    Aborted,
    /// Its client is still at work, or its COMMIT is under way.
    InProgress,
    /// A shard that may have decided it does not answer.
    InDoubt,
}

impl TxnStatus {
    /// Returns the word that `shardloom.txn_status` answers with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Compensated => "compensated",
            Self::Aborted => "aborted",
            Self::InProgress => "in progress",
            Self::InDoubt => "in doubt",
        }
    }
}

/// What the ledgers of all shards say of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Committed(ShardId),
    Fenced,
    Nowhere,
    /// No shard that answers knows it, and not all have answered.
    Unanswered,
}

const STATE: &str = "SELECT state = 'ABORTED', kind = 'asked' FROM shardloom.ledger WHERE txid = $1";

/// What is not there yet on its targets.
const MISSING: &str = "SELECT x.target FROM shardloom.ledger l CROSS JOIN unnest(l.targets) x (target) \
     LEFT JOIN shardloom.ledger_target t ON t.txid = l.txid AND t.target = x.target WHERE l.txid = $1 \
     AND l.state IN ('OPEN', 'ATTENTION') \
     AND coalesce(t.state, 'PENDING') NOT IN ('APPLIED', 'SKIPPED', 'RESYNCED', 'COMPENSATED') ORDER BY 1";

const TAKEN_BACK: &str = "SELECT FROM shardloom.compensation WHERE txid = $1 AND state = 'DONE'";

/// Fences of a question, on shards that turned out not to be home.
const UNFENCE: &str = "DELETE FROM shardloom.ledger WHERE txid = $1 AND state = 'ABORTED' AND kind = 'asked'";

impl Outbox {
    /// Tells what became of `txid`; `None` if no shard knows it and it may be forgotten by now, or never existed.
    ///
    /// `age` is how long ago it drew its id, `None` for a number that is no such id. Where nobody knows it and it may
    /// still be under way, it is fenced: it cannot commit any more. One that a client of this process has open is not.
    pub async fn status(&self, txid: i64, age: Option<Duration>) -> Option<TxnStatus> {
        match self.find_home(txid).await {
            Found::Committed(home) => Some(self.committed(txid, home).await),
            Found::Fenced => Some(TxnStatus::Aborted),
            Found::Nowhere | Found::Unanswered if self.flights.is_open(txid) => Some(TxnStatus::InProgress),
            Found::Unanswered => age.map(|_| TxnStatus::InDoubt),
            Found::Nowhere => self.fence(txid, age?).await,
        }
    }

    /// Tells whether home says that a transaction was taken back.
    pub async fn is_taken_back(&self, txid: i64, home: ShardId) -> bool {
        self.query(home, TAKEN_BACK, &[&txid]).await.is_ok_and(|rows| !rows.is_empty())
    }

    /// Tells whether what home has committed was taken back; in doubt where home does not say.
    async fn committed(&self, txid: i64, home: ShardId) -> TxnStatus {
        match self.query(home, TAKEN_BACK, &[&txid]).await {
            Ok(rows) if rows.is_empty() => TxnStatus::Committed,
            Ok(_) => TxnStatus::Compensated,
            Err(_) => TxnStatus::InDoubt,
        }
    }

    /// Waits until every target of `txid` has it, or an operator gave it up; tells whether that came true in time.
    /// False at once for an aborted transaction, `None` for one that nobody knows.
    pub async fn wait_for(&self, txid: i64, age: Option<Duration>, timeout: Duration) -> Option<bool> {
        let deadline = Instant::now() + timeout;
        let mut pause = PAUSE_MIN;
        loop {
            match self.find_home(txid).await {
                Found::Committed(home) => {
                    let is_there = self.wait_all(txid, home, deadline).await.is_empty();
                    return Some(is_there && !self.is_taken_back(txid, home).await);
                }
                Found::Fenced => return Some(false),
                Found::Nowhere if !self.flights.is_open(txid) => {
                    return self.fence(txid, age?).await.map(|status| status == TxnStatus::Committed);
                }
                Found::Nowhere | Found::Unanswered if Instant::now() + pause >= deadline => return Some(false),
                Found::Nowhere | Found::Unanswered => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits until no target of a committed transaction misses it; returns the names of those that do at the deadline.
    pub async fn wait_all(&self, txid: i64, home: ShardId, deadline: Instant) -> Vec<String> {
        let _waiter = self.flights.pace.hurry();
        let mut pause = PAUSE_MIN;
        let mut changed = self.flights.changed.subscribe();
        loop {
            // What this process knows to be pending need not be asked.
            let own = changed.wait_for(|_| self.flights.pending(txid).is_empty());
            let _ = tokio::time::timeout_at(deadline, own).await;
            let missing = self.missing(txid, home).await.unwrap_or_else(|error| {
                tracing::debug!(txid, %error, "home cannot tell yet how far the targets are");
                vec![format!("home \"{}\" does not answer", self.store.name(home))]
            });
            if missing.is_empty() || Instant::now() + pause >= deadline {
                return missing;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Asks home which targets miss `txid`; what this process has settled counts before its mark is written.
    async fn missing(&self, txid: i64, home: ShardId) -> Result<Vec<String>, Error> {
        let client = self.store.connect(home).await?;
        let marked = self.flights.is_flying(txid);
        let rows = client.query(MISSING, &[&txid]).await.map_err(self.store.at(home))?;
        let pending = self.flights.pending(txid);
        let names = rows.iter().map(|row| row.get::<_, String>(0));
        Ok(names.filter(|name| !marked || self.store.id(name).is_none_or(|target| pending.contains(target))).collect())
    }

    /// Asks every shard at once whether it decided `txid`.
    async fn find_home(&self, txid: i64) -> Found {
        let answers = join_all(self.store.shards().map(async |shard| {
            let client = self.store.connect(shard).await?;
            let row = client.query_opt(STATE, &[&txid]).await.map_err(self.store.at(shard))?;
            Ok::<_, Error>((shard, row.map(|row| (row.get::<_, bool>(0), row.get::<_, bool>(1)))))
        }))
        .await;
        let (mut fenced, mut asked, mut unanswered) = (false, 0, false);
        for answer in answers {
            match answer {
                Ok((shard, Some((false, _)))) => return Found::Committed(shard),
                // Recovery puts a fence on the true home.
                Ok((_, Some((true, false)))) => fenced = true,
                // A question does so on every shard, one after the other: one that was cut short says nothing of home.
                Ok((_, Some((true, true)))) => asked += 1,
                Ok((_, None)) => {}
                Err(error) => {
                    tracing::debug!(txid, %error, "a shard cannot tell what became of a transaction");
                    unanswered = true;
                }
            }
        }
        // A fence may stand beside home's own row: only all answers together say that there is none.
        match unanswered {
            true => Found::Unanswered,
            false if fenced || asked == self.store.names().len() => Found::Fenced,
            false => Found::Nowhere,
        }
    }

    /// Makes sure that `txid` cannot commit any more on any shard, unless it has or it may be forgotten.
    async fn fence(&self, txid: i64, age: Duration) -> Option<TxnStatus> {
        if age.is_zero() || age > self.settings.bounds.ledger_grace.mul_f64(REMEMBERED) {
            return None;
        }
        let mut status = TxnStatus::Aborted;
        for shard in self.store.shards() {
            match self.resolve_once(txid, shard, Fence::Asked).await {
                Ok(Resolution::Committed) => {
                    self.unfence(txid, shard).await;
                    return Some(TxnStatus::Committed);
                }
                Ok(Resolution::Aborted | Resolution::Unknown) => {}
                // The COMMIT itself holds its ledger row.
                Err(error) if error.sqlstate() == Some("55P03") => status = TxnStatus::InProgress,
                Err(error) => {
                    tracing::debug!(txid, %error, "a shard cannot tell what became of a transaction");
                    status = TxnStatus::InDoubt;
                }
            }
        }
        Some(status)
    }

    /// Takes back fences on other shards than the one that committed.
    async fn unfence(&self, txid: i64, home: ShardId) {
        for shard in self.store.shards().filter(|shard| *shard != home) {
            if let Ok(client) = self.store.connect(shard).await
                && let Err(error) = client.execute(UNFENCE, &[&txid]).await
            {
                tracing::debug!(txid, %error, "a fence that is not needed stays until it is old");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_documentation() {
        let all = [TxnStatus::Committed, TxnStatus::Aborted, TxnStatus::InProgress, TxnStatus::InDoubt];
        assert_eq!(all.map(TxnStatus::name), ["committed", "aborted", "in progress", "in doubt"]);
    }
}
