//! The end of a transaction: one shard's own COMMIT, or one decision on home and the targets along with it.
//!
//! Where the proxy may die: before home's COMMIT is sent nothing happened anywhere; after it the ledger row says what
//! the targets must have, and the relay or recovery brings it to them. `docs/multi-shard-writes.md` has the table.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::join_all;

use crate::backend::{BackendError, Server, SimpleReply};
use crate::outbox::fault::{self, FaultPoint};
use crate::outbox::{self, Flight, LedgerEntry, LedgerTarget, Resolution};
use crate::types::{Refusal, ShardId, ShardSet, SqlState, TransactionStatus, WriteMode};

use super::decision;
use super::failure::Failure;
use super::forward;
use super::link::Link;
use super::transaction::{Block, Member};

/// Who hears what a shard says besides its answer: of several shards that say the same, one speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    ToClient,
    ToNobody,
}

/// Steps of a commit during which a shard's transaction may stand idle: the others prepare, home commits, home is asked.
const COMMIT_STEPS: u32 = 3;

/// When a vanished client's statement is cancelled again: long enough for a server to have begun it.
const SECOND_CANCEL: Duration = Duration::from_millis(250);

impl Link {
    /// Ends an implicit block: commits what went well and rolls back what did not, then passes a held command tag.
    pub async fn end_implicit(&mut self, done: Result<forward::Reply, Failure>) -> Result<(), Failure> {
        match done {
            Ok(reply) => {
                self.commit().await?;
                if let Some(tag) = reply.held {
                    self.client.output().extend_from_slice(&tag);
                }
                Ok(())
            }
            Err(failure) => {
                self.rollback().await;
                Err(failure)
            }
        }
    }

    /// Commits the open transaction everywhere; after an error nothing of it is left, except after `08007`.
    pub async fn commit(&mut self) -> Result<(), Failure> {
        match self.try_commit().await {
            Ok(()) => {
                // Tables made in the transaction get their capture triggers before anybody can write them.
                if self.schema_dirty {
                    self.schema_changed().await;
                }
                Ok(())
            }
            Err(failure) => {
                self.rollback().await;
                Err(failure)
            }
        }
    }

    async fn try_commit(&mut self) -> Result<(), Failure> {
        let is_keyed = self.transaction.idempotency.is_some();
        if is_keyed {
            Box::pin(self.place_key()).await?;
        }
        for position in 0..self.transaction.members.len() {
            self.flush_member(position).await?;
        }
        if !self.transaction.postponed.is_empty() {
            Box::pin(self.settle_postponed()).await?;
        }
        let written = self.transaction.written();
        if written.len() <= 1 && !is_keyed && !self.transaction.reference && self.transaction.deferred.is_empty() {
            return self.commit_one_writer().await;
        }
        if written.len() > 1 {
            self.check_span()?;
        }
        let home = self.home();
        let mode = self.commit_mode(home);
        // In the heap: a transaction of one shard would carry the room for it.
        match mode {
            WriteMode::TwoPhase => Box::pin(self.commit_two_phase(home)).await,
            WriteMode::Eventual | WriteMode::Eager => Box::pin(self.commit_ledger(home)).await,
        }
    }

    /// One shard at most was written: its COMMIT decides; those that were only read follow.
    async fn commit_one_writer(&mut self) -> Result<(), Failure> {
        let mut members = self.transaction.finish();
        members.sort_by_key(|member| !member.wrote);
        let mut members = members.into_iter();
        let Some(mut first) = members.next() else { return Ok(()) };
        let outcome = self.end_member(&mut first, "COMMIT", Said::ToClient).await;
        self.give_back(first.server);
        let sql = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        for mut member in members {
            // Nothing was written here: how it ends changes nothing of what the first member decided.
            let _ = self.end_member(&mut member, sql, Said::ToNobody).await;
            self.give_back(member.server);
        }
        outcome
    }

    /// Runs COMMIT or ROLLBACK on one member. A COMMIT that answers ROLLBACK, or no answer to it, is an error.
    async fn end_member(&mut self, member: &mut Member, sql: &str, said: Said) -> Result<(), Failure> {
        match member.server.simple(sql).await {
            Ok(reply) if sql == "COMMIT" && reply.tag != "COMMIT" => Err(Refusal::new(
                SqlState::SERIALIZATION_FAILURE,
                format!("shard \"{}\" rolled the transaction back", member.server.target().shard_name),
            )
            .into()),
            Ok(reply) => {
                if said == Said::ToClient {
                    self.pass_said(&reply.asides);
                }
                Ok(())
            }
            Err(error @ BackendError::Server(_)) => Err(error.into()),
            Err(error) if sql == "COMMIT" && member.wrote => Err(outcome_unknown(&member.server, &error, None).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Eager and eventual: home commits with the ledger row, the targets right after it.
    async fn commit_ledger(&mut self, home: ShardId) -> Result<(), Failure> {
        self.check_constraints(home).await?;
        let txid = self.txid()?;
        let entry = self.ledger_entry(txid, home, self.transaction.mode.unwrap_or(WriteMode::Eventual));
        let flight = self.begin_flight(txid, home);
        let flight = self.decide(home, &entry, flight).await?;
        self.note_committed(txid);
        self.finish_targets(home, flight, "COMMIT".to_owned()).await;
        self.wait_after_commit(txid, home, !entry.home_undo.is_empty()).await
    }

    /// Two-phase: every target prepares, home commits with the ledger row, the targets commit what they prepared.
    async fn commit_two_phase(&mut self, home: ShardId) -> Result<(), Failure> {
        self.check_constraints(home).await?;
        let txid = self.txid()?;
        // Before the first PREPARE, or this proxy's own scanner would take what is prepared for left over.
        let flight = self.begin_flight(txid, home);
        let prepare = self.worker.proxy.outbox.prepare_statement(txid, home);
        fault::reached(FaultPoint::BeforePrepare);
        if let Err(failure) = self.on_targets(home, &prepare).await {
            self.undo_prepared(home, txid, &failure).await;
            flight.aborted();
            return Err(failure);
        }
        fault::reached(FaultPoint::AfterPrepare);
        let mut entry = self.ledger_entry(txid, home, WriteMode::TwoPhase);
        for target in &mut entry.targets {
            target.commands.clear();
        }
        let flight = match self.decide(home, &entry, flight).await {
            Ok(flight) => flight,
            Err(failure) => {
                self.undo_prepared(home, txid, &failure).await;
                return Err(failure);
            }
        };
        self.note_committed(txid);
        let sql = self.worker.proxy.outbox.commit_prepared(txid, home);
        self.finish_targets(home, flight, sql).await;
        self.wait_after_commit(txid, home, false).await
    }

    /// Rolls back what the targets prepared, unless nobody knows whether home committed: recovery decides then.
    async fn undo_prepared(&mut self, home: ShardId, txid: i64, failure: &Failure) {
        if is_unknown(failure) {
            return;
        }
        let sql = self.worker.proxy.outbox.rollback_prepared(txid, home);
        let members =
            self.transaction.members.iter_mut().filter(|member| member.server.shard() != home && member.wrote);
        let most = self.worker.limits().commit_timeout;
        join_all(members.map(|member| member.server.simple_within(&sql, most))).await;
    }

    /// Fires deferred constraints on every member before anything is decided, and puts in missing inbox rows.
    async fn check_constraints(&mut self, home: ShardId) -> Result<(), Failure> {
        let written = self.transaction.written();
        if written.iter().all(|shard| *shard == home) {
            return Ok(());
        }
        let txid = self.txid()?;
        let inbox = outbox::inbox_insert(txid, &self.shard_name(home));
        let last_words = self.last_words();
        for member in self.transaction.members.iter_mut().filter(|member| member.wrote && !member.checked) {
            let needs_inbox = member.server.shard() != home && member.inbox != Some(home);
            let told = if needs_inbox { format!("{inbox};{last_words}") } else { last_words.clone() };
            if needs_inbox {
                member.inbox = Some(home);
            }
            crate::wire::frontend::write_query(member.server.out(), &told);
            member.server.flush().await?;
            member.preamble += 1;
        }
        let most = self.worker.limits().commit_timeout;
        match tokio::time::timeout(most, Box::pin(self.flush_members())).await {
            Ok(flushed) => flushed,
            Err(_) => Err(self.silent(most).into()),
        }
    }

    /// Returns what each shard is told before anything is decided: fire deferred constraints, and do not wait without end.
    pub(super) fn last_words(&self) -> String {
        // If this process stands still from here on, the locks must not be held without end: by then it is redone.
        let idle = self.worker.limits().commit_timeout * COMMIT_STEPS;
        // The inbox row has seen to that already, unless it was set later.
        let flushed = if self.commits_unflushed() { ";SET LOCAL synchronous_commit = on" } else { "" };
        let idle = idle.as_millis();
        format!("SET CONSTRAINTS ALL IMMEDIATE;SET LOCAL idle_in_transaction_session_timeout = {idle}{flushed}")
    }

    async fn flush_members(&mut self) -> Result<(), Failure> {
        for position in 0..self.transaction.members.len() {
            self.flush_member(position).await?;
        }
        Ok(())
    }

    /// Gives up the members that have not answered before anything was decided.
    fn silent(&mut self, most: Duration) -> Refusal {
        let mut names = Vec::new();
        for member in self.transaction.members.iter_mut().filter(|member| member.server.is_awaited()) {
            member.server.mark_broken();
            names.push(format!("\"{}\"", member.server.target().shard_name));
        }
        Refusal::new(
            SqlState::CONNECTION_FAILURE,
            format!("shard {} did not answer within {most:?} before COMMIT; nothing is committed", names.join(", ")),
        )
        .with_hint("Try again; if deferred constraints take that long to check, raise limits.commit_timeout.")
    }

    /// Tells whether the client wants its COMMIT not to wait for the disk.
    fn commits_unflushed(&self) -> bool {
        let set = self.settings.get("synchronous_commit").map(super::settings::plain_value);
        set.is_some_and(|value| ["off", "false", "no", "0"].contains(&value.to_ascii_lowercase().as_str()))
    }

    /// Runs one statement on every written target at once; the first error wins after all have answered.
    async fn on_targets(&mut self, home: ShardId, sql: &str) -> Result<(), Failure> {
        let members =
            self.transaction.members.iter_mut().filter(|member| member.server.shard() != home && member.wrote);
        let most = self.worker.limits().commit_timeout;
        let answers = join_all(members.map(async |member| {
            let answer = member.server.simple_within(sql, most).await;
            fault::reached(FaultPoint::OnePrepared);
            answer
        }))
        .await;
        answers.into_iter().try_for_each(|answer| answer.map(|_| ()).map_err(not_prepared))
    }

    fn begin_flight(&self, txid: i64, home: ShardId) -> Flight {
        let rules = &self.snapshot.rules;
        let mut targets: ShardSet = self.transaction.written().into_iter().collect();
        targets.extend(self.transaction.deferred.iter().filter_map(|target| rules.shard_by_name(&target.shard)));
        if self.transaction.captured {
            targets = ShardSet::first(rules.shards.len());
        }
        let targets: ShardSet = targets.iter().filter(|shard| *shard != home).collect();
        let copies = if self.transaction.captured { targets } else { ShardSet::new() };
        self.worker.proxy.outbox.begin_flight(txid, home, targets).with_copies(copies)
    }

    /// The decision: ledger row and COMMIT in one write on home.
    async fn decide(&mut self, home: ShardId, entry: &LedgerEntry, flight: Flight) -> Result<Flight, Failure> {
        let position = self.transaction.position(home).expect("home was written, so it is a member");
        let key = self.key_statement(home, entry.txid);
        let server = &mut self.transaction.members[position].server;
        fault::reached(FaultPoint::BeforeHomeCommit);
        let most = self.worker.limits().commit_timeout;
        let failure = match decision::decide(server, entry, key.as_deref(), most).await {
            Ok(reply) if reply.tag == "COMMIT" => {
                fault::reached(FaultPoint::AfterHomeCommit);
                self.pass_said(&reply.asides);
                return Ok(flight);
            }
            Ok(_) => Refusal::new(
                SqlState::SERIALIZATION_FAILURE,
                format!("home \"{}\" rolled the transaction back", server.target().shard_name),
            )
            .into(),
            // One that ended the session may have come after the commit.
            Err(error @ BackendError::Server(_)) if server.is_in_step() => {
                fenced(&error).map_or_else(|| Failure::from(error), Failure::from)
            }
            Err(error) => return self.resolve(home, entry.txid, error, flight).await,
        };
        flight.aborted();
        match &entry.idempotency_key {
            Some(key) => Err(Box::pin(self.key_failure(failure, key)).await),
            None => Err(failure),
        }
    }

    /// Home's answer is lost: asks home itself, by the fencing insert, whether the transaction committed.
    async fn resolve(
        &mut self,
        home: ShardId,
        txid: i64,
        error: BackendError,
        flight: Flight,
    ) -> Result<Flight, Failure> {
        let position = self.transaction.position(home).expect("home was written, so it is a member");
        self.transaction.members[position].server.mark_broken();
        match self.worker.proxy.outbox.resolve(txid, home).await {
            Resolution::Committed => Ok(flight),
            Resolution::Aborted => {
                flight.aborted();
                Err(error.into())
            }
            Resolution::Unknown => {
                Err(outcome_unknown(&self.transaction.members[position].server, &error, Some(txid)).into())
            }
        }
    }

    /// After the decision: the targets end their part; those that do not answer are left to the relay.
    async fn finish_targets(&mut self, home: ShardId, flight: Flight, target_sql: String) {
        let mut members = self.transaction.finish();
        let most = self.worker.limits().commit_timeout;
        let ends = members.iter_mut().filter(|member| member.server.shard() != home).map(async |member| {
            let sql = if member.wrote { target_sql.as_str() } else { "COMMIT" };
            let ended = end_target(&mut member.server, sql, most).await;
            fault::reached(FaultPoint::OneTargetCommitted);
            let rows = member.commands.iter().map(|command| command.expected_rows).sum::<i64>();
            (member.server.shard(), member.wrote, ended.is_ok_and(|reply| reply.tag != "ROLLBACK"), rows)
        });
        let ended = join_all(ends).await;
        fault::reached(FaultPoint::AfterTargetCommit);
        let (settled, lost): (Vec<_>, Vec<_>) =
            ended.into_iter().filter(|(_, wrote, ..)| *wrote).partition(|(_, _, committed, _)| *committed);
        let settled = settled.iter().map(|(shard, _, _, rows)| (*shard, *rows)).collect();
        if lost.is_empty() {
            flight.settled(settled);
        } else {
            let lost: Vec<ShardId> = lost.iter().map(|(shard, ..)| *shard).collect();
            flight.unknown_targets(&lost, settled);
            if let Some(txid) = self.last_txid {
                lost.iter().for_each(|target| self.follow(txid, home, *target));
            }
        }
        for member in members {
            self.give_back(member.server);
        }
    }

    fn note_committed(&mut self, txid: i64) {
        self.last_txid = Some(txid);
        if self.transaction.reference {
            self.unsettled.push(txid);
            self.worker.proxy.outbox.notify(self.home());
        }
        let shard_of = |target: &LedgerTarget| self.snapshot.rules.shard_by_name(&target.shard);
        let deferred: Vec<ShardId> = self.transaction.deferred.iter().filter_map(shard_of).collect();
        for target in deferred {
            self.follow(txid, self.home(), target);
        }
    }

    /// Returns how this transaction commits: the strongest mode asked for, two-phase where a target's part cannot be redone.
    fn commit_mode(&self, home: ShardId) -> WriteMode {
        let asked = self.settings.steering.is_two_phase().then_some(WriteMode::TwoPhase);
        let mode = self.transaction.mode.max(asked).unwrap_or(WriteMode::Eager);
        let targets = self.transaction.members.iter().filter(|member| member.wrote && member.server.shard() != home);
        let mut targets = targets.filter(|member| member.never_redo);
        if targets.next().is_some() { WriteMode::TwoPhase } else { mode }
    }

    pub(super) fn shard_name(&self, shard: ShardId) -> String {
        self.snapshot.rules.shard(shard).name.clone()
    }

    /// Rolls the open transaction back everywhere; a server that does not answer is closed, which rolls it back too.
    pub async fn rollback(&mut self) {
        self.schema_dirty = false;
        let members = self.transaction.finish();
        let most = self.worker.limits().commit_timeout;
        let ended = join_all(members.into_iter().map(async |mut member| {
            let at_rest = member.preamble == 0 && member.server.is_in_step() && member.server.input().is_empty();
            let asides = match member.server.status() {
                TransactionStatus::Idle => member.server.is_at_rest().then(BytesMut::new),
                TransactionStatus::Open | TransactionStatus::Failed if !at_rest => None,
                TransactionStatus::Open | TransactionStatus::Failed => {
                    member.server.simple_within("ROLLBACK", most).await.ok().map(|reply| reply.asides)
                }
            };
            asides.map(|asides| (member.server, asides))
        }))
        .await;
        for (position, (server, asides)) in ended.into_iter().flatten().enumerate() {
            if position == 0 {
                self.pass_said(&asides);
            }
            self.give_back(server);
        }
        self.cancel.clear();
    }

    /// Ends the transaction when the client has gone: nothing of it may commit.
    pub fn abandon(&mut self) {
        drop(self.transaction.finish());
        self.cancel.clear();
    }

    /// Stops what servers still run for a client that is gone: a closed connection alone ends no statement there.
    ///
    /// Asks twice: a request that arrives before the server has begun the statement does nothing.
    pub async fn stop_running(&self) {
        let cancels = &self.worker.proxy.cancels;
        if cancels.cancel_process(self.cancel.process()).await > 0 {
            tokio::time::sleep(SECOND_CANCEL).await;
            cancels.cancel_process(self.cancel.process()).await;
        }
    }

    /// Tells whether a statement runs in a block that the client did not open.
    pub fn is_implicit(&self) -> bool {
        self.transaction.block() == Block::Implicit
    }
}

/// Runs the statement that ends a target's transaction; a target that is silent for `most` counts as lost.
async fn end_target(server: &mut Server, sql: &str, most: Duration) -> Result<SimpleReply, BackendError> {
    server.put_query(sql)?;
    if fault::is_chosen(FaultPoint::TargetCommitSent) {
        server.flush().await?;
        fault::reached(FaultPoint::TargetCommitSent);
    }
    server.query_reply_within(most).await
}

/// Says what is missing where a shard does not prepare transactions at all.
fn not_prepared(error: BackendError) -> Failure {
    match error.server_error() {
        Some(said) if said.state == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => Refusal::new(
            said.state,
            format!("shard \"{}\" cannot prepare the transaction: {}", said.shard, said.message),
        )
        .with_hint(
            "This transaction commits by two_phase: set max_prepared_transactions above 0 on every shard and restart \
             it, or keep COPY, TRUNCATE, DDL and what cannot be redone on one shard per transaction.",
        )
        .into(),
        Some(_) | None => error.into(),
    }
}

/// Reads the refusal of a ledger row whose place recovery has taken: it counted the transaction as lost.
fn fenced(error: &BackendError) -> Option<Refusal> {
    let said = error.server_error()?;
    let taken = said.field(b's') == Some("shardloom") && said.field(b'n') == Some("ledger_pkey");
    taken.then(|| {
        Refusal::new(
            SqlState::SERIALIZATION_FAILURE,
            "the transaction was given up by recovery before it committed; nothing of it is left",
        )
        .with_hint("Try again.")
    })
}

fn is_unknown(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(refusal) if refusal.state == SqlState::TRANSACTION_RESOLUTION_UNKNOWN)
}

fn outcome_unknown(server: &Server, error: &BackendError, txid: Option<i64>) -> Refusal {
    let shard = &server.target().shard_name;
    let refusal = Refusal::new(
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        format!("the connection to shard \"{shard}\" was lost during COMMIT: the outcome is unknown"),
    )
    .with_detail(match txid {
        Some(txid) => format!("Transaction {txid}: {}.", error.refusal().message),
        None => format!("{}.", error.refusal().message),
    });
    match txid {
        Some(txid) => refusal.with_hint(format!("Ask SELECT shardloom.txn_status({txid}) before you try again.")),
        None => refusal.with_hint("Look whether the change is there before you try again."),
    }
}
