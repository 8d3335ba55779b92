//! Session and transaction statements.

use crate::config::PoolMode;
use crate::execute::{Block, Call, Failure, Position};
use crate::plan::{Direct, Statement};
use crate::proxy::Pinned;
use crate::sql::{Control, Discard, Isolation, Scanner};
use crate::types::{Refusal, ShardId, SqlState};
use crate::wire::backend;

use super::conversation::Session;

impl Session {
    /// Answers a session or transaction statement.
    pub(super) async fn control(&mut self, call: &Call, control: &Control) -> Result<(), Failure> {
        match control {
            Control::Begin { modes, isolation, .. } => self.begin(call, modes, *isolation).await,
            Control::Commit { chain } => self.end(true, *chain).await,
            Control::Rollback { chain } => self.end(false, *chain).await,
            Control::RollbackTo(name) => self.rollback_to(name).await,
            other => {
                self.refuse_if_failed()?;
                // In the heap: nearly all are BEGIN and COMMIT, and every message would carry the room for the others.
                Box::pin(self.control_in_good_state(call, other)).await
            }
        }
    }

    async fn control_in_good_state(&mut self, call: &Call, control: &Control) -> Result<(), Failure> {
        match control {
            Control::Begin { .. } | Control::Commit { .. } | Control::Rollback { .. } | Control::RollbackTo(_) => {
                Ok(())
            }
            Control::Savepoint(name) => self.savepoint(name).await,
            Control::Release(name) => self.release(name).await,
            Control::Set(setting) => self.set(call, setting).await,
            Control::Reset(name) => self.reset(call, name.as_deref()).await,
            Control::Show(name) => self.show(call, name).await,
            Control::Discard(what) => self.discard(call, *what).await,
            Control::Deallocate(name) => self.deallocate(name.as_deref()),
            Control::Explain { route, format, analyze, inner } => {
                Box::pin(self.explain(call, *route, *format, *analyze, inner.clone())).await
            }
            Control::Declare { name, hold, inner } => Box::pin(self.declare(call, name, *hold, inner.clone())).await,
            Control::Fetch { name } | Control::Move { name } => self.on_cursor(call, Some(name)).await,
            Control::CloseCursor(name) => self.on_cursor(call, name.as_deref()).await,
            Control::Notify(_) => self.at_home(call, false).await,
            Control::Listen(_) => {
                self.link.keep_servers(Pinned::Listen, [self.link.snapshot.rules.home].into_iter().collect());
                self.at_home(call, false).await
            }
            Control::Unlisten(_) => {
                self.link.keeping.doubt();
                self.at_home(call, false).await
            }
            Control::NextIds(wanted) => self.next_ids(call, wanted).await,
            Control::Ledger(asked) => self.ledger_call(call, asked).await,
            Control::Prepare { name, types, inner } => self.prepare_by_sql(call, name, types, inner.clone()).await,
            Control::Execute { name, arguments } => {
                // In the heap: what it executes may be another control statement.
                Box::pin(self.execute_by_sql(call, name, arguments.as_deref())).await
            }
            Control::PrepareTransaction | Control::CommitPrepared | Control::RollbackPrepared => Err(not_yet(
                "PREPARE TRANSACTION by clients",
                "SET LOCAL shardloom.multi_shard = 'two_phase' prepares for you.",
            )),
        }
    }

    async fn begin(&mut self, call: &Call, modes: &str, isolation: Option<Isolation>) -> Result<(), Failure> {
        let link = &mut self.link;
        if link.mode == PoolMode::Statement {
            return Err(no_blocks().into());
        }
        let snapshot = match isolation {
            Some(level) => level != Isolation::ReadCommitted,
            None => snapshot_by_default(link.settings.get("default_transaction_isolation")),
        };
        match link.transaction.block() {
            Block::None => link.transaction.open(Block::Explicit, modes, snapshot),
            // In a query string the block is open already, but its modes count until a shard is in it.
            Block::Implicit if link.transaction.members.is_empty() => {
                link.transaction.open(Block::Explicit, modes, snapshot);
            }
            Block::Implicit => {
                self.change_modes(modes, snapshot).await?;
                self.link.transaction.make_explicit();
            }
            Block::Explicit => {
                self.refuse_if_failed()?;
                self.warn(SqlState::ACTIVE_TRANSACTION, "there is already a transaction in progress");
                self.change_modes(modes, snapshot).await?;
            }
        }
        let start = Scanner::new(&call.text).next().is_some_and(|token| token.is_word(&call.text, "start"));
        let tag = if start { "START TRANSACTION" } else { "BEGIN" };
        backend::write_command_complete(self.link.client.output(), tag);
        Ok(())
    }

    /// The modes of a BEGIN inside of a transaction: each member judges them, later ones get them when they join.
    async fn change_modes(&mut self, modes: &str, snapshot: bool) -> Result<(), Failure> {
        if modes.is_empty() {
            return Ok(());
        }
        let statement = format!("SET TRANSACTION {modes}");
        for position in 0..self.link.transaction.members.len() {
            self.link.member_simple(position, &statement).await?;
        }
        self.link.transaction.snapshot_isolation |= snapshot;
        self.link.transaction.local_statements.push(statement);
        Ok(())
    }

    async fn end(&mut self, commit: bool, chain: bool) -> Result<(), Failure> {
        let block = self.link.transaction.block();
        let failed = self.link.transaction.is_failed();
        if block != Block::Explicit {
            if chain {
                let verb = if commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
                let message = format!("{verb} can only be used in transaction blocks");
                return Err(Refusal::new(SqlState::NO_ACTIVE_TRANSACTION, message).into());
            }
            self.warn(SqlState::NO_ACTIVE_TRANSACTION, "there is no transaction in progress");
        }
        let chained = chain.then(|| {
            let transaction = &self.link.transaction;
            let modes = transaction.begin_statement().strip_prefix("BEGIN").unwrap_or("").trim().to_owned();
            (modes, transaction.snapshot_isolation)
        });
        let tag = if commit && !failed { "COMMIT" } else { "ROLLBACK" };
        if tag == "COMMIT" {
            let committed = self.link.commit().await;
            self.transaction_ended(committed.is_ok()).await;
            committed?;
        } else {
            self.link.rollback().await;
            self.transaction_ended(false).await;
        }
        if let Some((modes, snapshot)) = chained {
            self.link.transaction.open(Block::Explicit, &modes, snapshot);
        }
        backend::write_command_complete(self.link.client.output(), tag);
        Ok(())
    }

    pub(super) fn warn(&mut self, state: SqlState, message: &str) {
        backend::write_warning(self.link.client.output(), &Refusal::new(state, message));
    }

    /// Runs the statement as it stands on home.
    pub(super) async fn at_home(&mut self, call: &Call, anywhere: bool) -> Result<(), Failure> {
        self.on_shard(call, self.link.snapshot.rules.home, anywhere).await
    }

    /// Runs the statement as it stands on one shard.
    pub(super) async fn on_shard(&mut self, call: &Call, shard: ShardId, anywhere: bool) -> Result<(), Failure> {
        let plan = Direct { shard, statement: Statement::Original, effect: None, anywhere, reads_reference: false };
        self.link.direct(call, &plan).await
    }

    async fn discard(&mut self, call: &Call, what: Discard) -> Result<(), Failure> {
        if what == Discard::All && self.link.transaction.is_open() {
            let message = "DISCARD ALL cannot run inside a transaction block";
            return Err(Refusal::new(SqlState::ACTIVE_TRANSACTION, message).into());
        }
        self.link.keeping.doubt();
        if what != Discard::All {
            self.discard_elsewhere(call).await?;
            return self.at_home(call, false).await;
        }
        if self.link.pin == Pinned::No && self.link.settings.is_as_at_start() {
            // Nothing is anywhere: no server has to be asked.
            self.extended.forget_all();
            backend::write_command_complete(self.link.client.output(), "DISCARD ALL");
            return Ok(());
        }
        self.discard_elsewhere(call).await?;
        self.link.discard_all(call).await?;
        self.extended.forget_all();
        Ok(())
    }

    /// Discards on kept servers of other shards than home, and what those of a transaction have.
    async fn discard_elsewhere(&mut self, call: &Call) -> Result<(), Failure> {
        let home = self.link.snapshot.rules.home;
        for position in 0..self.link.transaction.members.len() {
            if self.link.transaction.members[position].server.shard() != home {
                self.link.member_simple(position, &call.text).await?;
            }
        }
        for server in self.link.pinned.iter_mut().filter(|server| server.shard() != home) {
            server.simple(&call.text).await?;
        }
        Ok(())
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<(), Failure> {
        let tag = match name {
            None => {
                self.extended.forget_statements();
                "DEALLOCATE ALL"
            }
            Some(name) if self.extended.forget_statement(name) => "DEALLOCATE",
            Some(name) => {
                let message = format!("prepared statement \"{name}\" does not exist");
                return Err(Refusal::new(SqlState::INVALID_STATEMENT_NAME, message).into());
            }
        };
        backend::write_command_complete(self.link.client.output(), tag);
        Ok(())
    }

    /// Tells whether the open transaction is only what holds a pipeline together: that is no block to PostgreSQL, as
    /// it is between the statements of one Query.
    pub(super) fn is_pipelined(&self) -> bool {
        self.link.is_implicit() && !matches!(self.link.client.position, Position::Behind(_))
    }

    async fn on_cursor(&mut self, call: &Call, name: Option<&str>) -> Result<(), Failure> {
        let Some(name) = name else {
            self.extended.cursors.clear();
            self.extended.held_cursors.clear();
            self.extended.open_cursors.clear();
            self.link.close_held().await?;
            for position in 0..self.link.transaction.members.len() {
                self.link.member_simple(position, "CLOSE ALL").await?;
            }
            backend::write_command_complete(self.link.client.output(), "CLOSE CURSOR ALL");
            return Ok(());
        };
        if let Some(done) = Box::pin(self.on_open_cursor(call, name)).await {
            return done;
        }
        self.link.keeping.doubt();
        let open = self.extended.cursors.get(name).copied().filter(|_| self.link.transaction.is_open());
        let open = open.or_else(|| self.extended.held_cursors.get(name).copied());
        match (open, self.extended.portal(name)) {
            (Some(shard), _) | (None, Some(Some(shard))) => self.on_shard(call, shard, false).await,
            (None, Some(None)) => Err(not_yet(
                "SQL on a portal over several shards",
                "Fetch from it by the protocol, or add the sharding key to the query.",
            )),
            (None, None) => {
                let message = format!("cursor \"{name}\" does not exist");
                Err(Refusal::new(SqlState::INVALID_CURSOR_NAME, message).into())
            }
        }
    }
}

/// What a client is told that has as many prepared statements as it may have.
pub(super) fn too_many_statements(most: usize) -> Refusal {
    Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("more than {most} prepared statements in one session"))
        .with_hint("Close statements that are no longer used, or raise limits.client_statements.")
}

/// Refuses a transaction block in the pool mode `statement`, in PgBouncer's words.
pub(super) fn no_blocks() -> Refusal {
    Refusal::unsupported(
        "transaction blocks not allowed in statement pooling mode",
        "Every statement commits by itself here; use a user or database with pool_mode transaction.",
    )
}

/// Tells whether a session's own default gives one snapshot per transaction.
fn snapshot_by_default(setting: Option<&str>) -> bool {
    let level = setting.map(|value| crate::execute::plain_value(value).to_ascii_lowercase());
    matches!(level.as_deref(), Some("serializable" | "repeatable read"))
}

/// A refusal of what is not there yet.
pub(super) fn not_yet(what: &str, hint: &str) -> Failure {
    Failure::Refused(Refusal::unsupported(format!("{what}: not available through the proxy"), hint))
}
