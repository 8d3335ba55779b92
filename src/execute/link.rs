//! One client's link to the shards: its socket, its transaction, its settings, and the servers it borrows.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::backend::{CancelHandle, PoolRef, Server, ServerTarget, SettingsTag};
use crate::config::PoolMode;
use crate::outbox;
use crate::proxy::{Pinned, Snapshot};
use crate::types::{Refusal, ShardId, ShardSet, SqlState, WriteMode};

use super::client::{Client, ClientError};
use super::failure::Failure;
use super::forward;
use super::id_wait::Pieces;
use super::lookup::Lookups;
use super::own_writes::Following;
use super::pinned::Keeping;
use super::settings::Settings;
use super::transaction::{Block, Member, PLAIN_BEGIN, Transaction};
use super::worker::Worker;

/// How long a server may take to clean what a session left; one that takes longer is closed.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

/// Has a server forget what was drawn on it.
pub(super) const FORGET_SEQUENCES: &str = "DISCARD SEQUENCES";

/// Who the client is, and as whom the shards see it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user that logged in.
    pub user: String,
    /// The role on the shards.
    pub shard_user: String,
    /// That role's password.
    pub shard_password: Option<crate::config::Secret>,
    /// What logs in where there is no password.
    pub shard_keys: Option<crate::wire::scram::ScramKeys>,
    /// The database that the client asked for.
    pub database: String,
    /// Whether that is a database of home served unsharded under its own name.
    pub passthrough: bool,
}

/// Everything that a statement of one client needs.
pub struct Link {
    /// The worker that runs this client.
    pub worker: Rc<Worker>,
    /// The client's socket.
    pub client: Client,
    /// The open transaction, if any.
    pub transaction: Transaction,
    /// What the session set.
    pub settings: Settings,
    /// Who it is.
    pub identity: Identity,
    /// Addresses of shards, by position.
    pub targets: Targets,
    /// Where a cancel request finds the servers at work.
    pub cancel: CancelHandle,
    /// The rules of this transaction.
    pub snapshot: Arc<Snapshot>,
    /// Transactions of this session whose reference writes may not have reached every copy, oldest first.
    pub unsettled: Vec<i64>,
    /// This session's newest sharded rows, by lane, that may not have reached their shard.
    pub following: Vec<Following>,
    /// The txid of the last transaction that has a ledger row.
    pub last_txid: Option<i64>,
    /// Servers that the session keeps outside transactions, one per shard at most: it left something there.
    pub pinned: Vec<Server>,
    /// Whether reads of reference tables wait for the session's own writes.
    pub read_your_writes: bool,
    /// Whether the open transaction changed tables.
    pub schema_dirty: bool,
    /// How long servers are lent to this client.
    pub mode: PoolMode,
    /// What the session left on its servers that must not reach another client; from then on it keeps its servers.
    pub pin: Pinned,
    /// Which servers it keeps, and whether it still has to.
    pub keeping: Keeping,
    /// The settings to go back to if the transaction rolls back.
    pub settings_before: Option<Settings>,
    /// How many rows the statement at hand has answered or written, where several shards had a part in it.
    pub rows: u64,
    /// Whether the statement at hand changes settings past the proxy's book-keeping.
    pub touches_settings: bool,
    /// The keys that the statement at hand has looked up, or has to.
    pub lookups: Lookups,
    /// Ids that its statement waits for more of.
    pub pieces: Pieces,
    /// How many statements in two steps are at work, one as the second step of another.
    pub carrying: usize,
}

/// Addresses that a session has looked up, under one generation of the rules.
#[derive(Debug, Default)]
pub struct Targets {
    generation: u64,
    known: Vec<Option<(Arc<ServerTarget>, PoolRef)>>,
}

impl Link {
    /// Takes a server for one statement that commits by itself, with this session's settings applied.
    pub async fn borrow(&mut self, shard: ShardId) -> Result<Server, Failure> {
        self.borrow_beside(&[], shard).await
    }

    /// As [`Link::borrow`], for a statement that has these servers already.
    pub(super) async fn borrow_beside(&mut self, others: &[Server], shard: ShardId) -> Result<Server, Failure> {
        let begun = !others.is_empty() || !self.transaction.members.is_empty();
        let mut server = match self.pinned.iter().position(|server| server.shard() == shard) {
            Some(position) => self.pinned.swap_remove(position),
            None => self.checkout(shard, begun).await?,
        };
        self.prepare(&mut server).await?;
        if self.keeping.is_for_sequences() && server.borrowers.are_others() {
            // The session asks what it drew, and this server knows what others drew.
            server.simple(FORGET_SEQUENCES).await?;
            server.borrowers.forget_others();
        }
        Ok(server)
    }

    /// Takes a server besides those that the session keeps or the transaction has.
    pub(super) async fn borrow_another(&mut self, shard: ShardId) -> Result<Server, Failure> {
        let mut server = self.checkout(shard, true).await?;
        self.prepare(&mut server).await?;
        Ok(server)
    }

    async fn prepare(&mut self, server: &mut Server) -> Result<(), Failure> {
        server.lock_bounded = false;
        self.cancel.set_active(&[server.cancel_key()]);
        self.apply_settings(server).await
    }

    /// Returns a server that [`Link::borrow_another`] gave. It is not kept, even where the session keeps its servers: that has
    /// another one of the shard.
    pub(super) fn give_back_another(&self, server: Server) {
        self.show_active();
        if server.is_usable() {
            self.worker.pools.checkin(server);
        }
    }

    /// Returns a server that [`Link::borrow`] gave, or closes it if it is not in a known state.
    pub fn give_back(&mut self, mut server: Server) {
        self.show_active();
        if self.touches_settings {
            server.settings.fingerprint = SettingsTag::UNKNOWN;
        }
        let free = if self.pin == Pinned::No { Some(server) } else { self.keep(server) };
        if let Some(server) = free.filter(|server| server.is_usable()) {
            self.worker.pools.checkin(server);
        }
    }

    /// Takes a server from the pool; a client that leaves while it waits, or cancels, leaves the queue. `begun`: a pause does not
    /// hold it.
    async fn checkout(&mut self, shard: ShardId, begun: bool) -> Result<Server, Failure> {
        let (target, pool) = self.target(shard);
        if let Some(mut server) = self.worker.pools.take_idle(&pool, &target) {
            server.lend(self.cancel.process());
            return Ok(server);
        }
        // In the heap: waiting and connecting are rare, and every idle session would carry the room for them.
        let pools = &self.worker.pools;
        let cancels = self.cancel.requests();
        let mut checkout = Box::pin(async {
            let taken = async {
                match begun {
                    true => pools.checkout_begun(&pool, &target).await,
                    false => pools.checkout_from(&pool, &target).await,
                }
            };
            tokio::select! {
                taken = taken => taken.map_err(Failure::from),
                canceled = cancels.next() => Err(canceled.into()),
            }
        });
        let client = &mut self.client;
        let mut server = poll_fn(|context| match checkout.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => client.poll_gone(context).map(|()| Err(Failure::Client(ClientError::Gone))),
        })
        .await?;
        server.lend(self.cancel.process());
        Ok(server)
    }

    /// Returns how long joining another shard may take; those are alike in that.
    pub(super) fn longest_wait(&mut self, shard: ShardId) -> Duration {
        self.target(shard).1.wait() + self.worker.limits().gate_wait
    }

    /// What ties the client to its servers from here on, apart from what it leaves there: its pool mode.
    pub fn base_pin(&self) -> Pinned {
        match self.mode {
            PoolMode::Session => Pinned::Session,
            PoolMode::Transaction | PoolMode::Statement => Pinned::No,
        }
    }

    /// Cleans the servers that the session kept and gives them back; those that cannot be cleaned are closed.
    pub async fn retire(&mut self) {
        self.cancel.clear();
        let reset = self.worker.proxy.live.load().pool_reset.clone();
        for mut server in std::mem::take(&mut self.pinned) {
            // A cancel request that is still on its way could hit the clean-up or the next client.
            if reset.is_empty() || !server.is_usable() {
                continue;
            }
            let cleaned = tokio::time::timeout(RESET_TIMEOUT, server.simple(&reset)).await;
            if matches!(cleaned, Ok(Ok(_))) {
                server.forget_session(&reset);
                self.worker.pools.checkin(server);
            }
        }
    }

    /// Returns where a shard is reached as this client's role; looked up once per generation of the rules.
    fn target(&mut self, shard: ShardId) -> (Arc<ServerTarget>, PoolRef) {
        if self.targets.generation != self.snapshot.generation {
            self.targets = Targets { generation: self.snapshot.generation, known: Vec::new() };
        }
        let known = &mut self.targets.known;
        if known.len() <= shard.index() {
            known.resize(shard.index() + 1, None);
        }
        let known = known[shard.index()].get_or_insert_with(|| {
            let target = self.worker.target(&self.snapshot, &self.identity, shard);
            let pool = self.worker.pools.pool_of(&target);
            (target, pool)
        });
        known.clone()
    }

    /// Brings a server to this session's settings if it has others.
    async fn apply_settings(&mut self, server: &mut Server) -> Result<(), Failure> {
        if server.settings.fingerprint == self.settings.tag() {
            return Ok(());
        }
        server.settings.fingerprint = SettingsTag::UNKNOWN;
        server.simple(&self.settings.statements()).await?;
        server.settings.fingerprint = self.settings.tag();
        Ok(())
    }

    /// Brings a shard into the transaction and returns its position among the members.
    ///
    /// What opens the transaction there is queued, not sent: it travels with the statement. `role` says whether the
    /// statement writes, and whether the shard could be a target whose inbox row must come first.
    pub async fn enlist(&mut self, shard: ShardId, role: Role) -> Result<usize, Failure> {
        let (position, mut opening) = match self.transaction.position(shard) {
            Some(position) => (position, String::new()),
            None => self.join(shard).await?,
        };
        let owes = self.transaction.owes(shard);
        let prepared = match role {
            Role::Reader if owes => self.prepare_write(position, Role::Writer, &mut opening).await,
            Role::Reader => Ok(()),
            Role::Locker | Role::Writer | Role::Part | Role::Authority => {
                self.prepare_write(position, role, &mut opening).await
            }
        };
        if !opening.is_empty() {
            let member = &mut self.transaction.members[position];
            crate::wire::frontend::write_query(member.server.out(), &opening);
            member.preamble += 1;
        }
        prepared?;
        if owes {
            // In the heap: every statement would carry the room for it.
            Box::pin(self.run_postponed(position)).await?;
        }
        Ok(position)
    }

    /// Makes a shard a member; returns its position, and what it must be told first.
    async fn join(&mut self, shard: ShardId) -> Result<(usize, String), Failure> {
        if self.transaction.snapshot_isolation && !self.transaction.members.is_empty() {
            return Err(snapshot_over_shards().into());
        }
        let server = self.borrow(shard).await?;
        let mut opening = self.transaction.begin_statement().to_owned();
        for statement in self.transaction.replayed() {
            // On a line of its own: the statement may end in a comment.
            opening.push_str("\n;");
            opening.push_str(&statement);
        }
        self.transaction.members.push(Member {
            server,
            wrote: false,
            inbox: None,
            lock_bounded: false,
            preamble: 0,
            checked: false,
            behind: 0,
            commands: Vec::new(),
            never_redo: false,
        });
        self.show_active();
        let position = self.transaction.members.len() - 1;
        if self.transaction.begin_statement() != PLAIN_BEGIN {
            // Modes may be refused: then the statement must not have been sent behind them, to commit by itself.
            let member = &mut self.transaction.members[position];
            crate::wire::frontend::write_query(member.server.out(), &std::mem::take(&mut opening));
            member.preamble += 1;
            self.flush_member(position).await?;
        }
        Ok((position, opening))
    }

    /// Makes ready for a write where another shard has been written: adds bounded lock waits, and the target's inbox row, to
    /// what the shard is told first.
    async fn prepare_write(&mut self, position: usize, role: Role, opening: &mut String) -> Result<(), Failure> {
        let shard = self.transaction.members[position].server.shard();
        if !self.transaction.members[position].wrote {
            self.wait_for_gate(shard).await?;
        }
        if role == Role::Authority {
            self.check_copies(shard)?;
        }
        if !self.transaction.wrote_elsewhere(shard) && !matches!(role, Role::Part | Role::Locker) {
            return Ok(());
        }
        if self.transaction.wrote_elsewhere(shard) {
            self.check_span()?;
        }
        let mut tell = |statement: &str| {
            if !opening.is_empty() {
                // On a line of its own: what a client has set may end in a comment.
                opening.push_str("\n;");
            }
            opening.push_str(statement);
        };
        if !self.transaction.members[position].lock_bounded && self.settings.get("lock_timeout").is_none() {
            let bound = self.worker.limits().cross_shard_lock_timeout;
            tell(&format!("SET LOCAL lock_timeout = {}", bound.as_millis()));
            self.transaction.members[position].server.lock_bounded = true;
        }
        self.transaction.members[position].lock_bounded = true;
        let home = self.home();
        let is_writer = !matches!(role, Role::Authority | Role::Locker);
        let target = is_writer && self.transaction.wrote_elsewhere(shard) && shard != home;
        if target {
            // Its part is in an open transaction, which a redo must not come late for.
            self.transaction.mode = self.transaction.mode.max(Some(WriteMode::Eager));
        }
        if target && self.transaction.members[position].inbox != Some(home) {
            let txid = self.txid()?;
            tell(&outbox::inbox_insert(txid, &self.snapshot.rules.shard(home).name));
            self.transaction.members[position].inbox = Some(home);
        }
        Ok(())
    }

    /// Refuses a write of a reference table that its copies could not follow.
    fn check_copies(&self, home: ShardId) -> Result<(), Refusal> {
        if self.transaction.reference_home.is_some_and(|other| other != home) {
            return Err(two_reference_homes());
        }
        let copies = ShardSet::first(self.snapshot.rules.shards.len());
        copies.iter().filter(|copy| *copy != home).try_for_each(|copy| self.worker.proxy.outbox.check_backlog(copy))
    }

    /// Refuses a second shard where the rules of a table written so far want one.
    pub(super) fn check_span(&self) -> Result<(), Refusal> {
        match &self.transaction.rejects {
            Some(table) => Err(Refusal::unsupported(
                format!("the rules reject transactions over several shards that write table \"{table}\""),
                "Keep the transaction on one shard, or set multi_shard.mode of its tables.",
            )
            .with_reason("multi_shard_rejected")),
            None => Ok(()),
        }
    }

    /// Returns this transaction's snowflake id, drawing it at the first call.
    pub fn txid(&mut self) -> Result<i64, Failure> {
        match &self.transaction.txid {
            Some(drawn) => Ok(drawn.txid()),
            None => {
                let txid = self.worker.proxy.next_txid()?;
                self.transaction.txid = Some(self.worker.proxy.outbox.note_drawn(txid));
                Ok(txid)
            }
        }
    }

    /// Returns the shard whose commit decides: the reference tables' home, else the first shard written.
    pub fn home(&self) -> ShardId {
        if self.transaction.reference {
            return self.transaction.reference_home.unwrap_or(self.snapshot.rules.home);
        }
        self.transaction.first_written.unwrap_or(self.snapshot.rules.home)
    }

    /// Reads the replies to what was queued for a member and the client did not ask for.
    ///
    /// Sending goes along with reading, here and wherever the statement's own reply is read: a statement larger than the
    /// sockets hold must not wait for a server that waits to be read.
    pub async fn flush_member(&mut self, position: usize) -> Result<(), Failure> {
        let Self { client, transaction, .. } = self;
        let member = &mut transaction.members[position];
        let preamble = std::mem::take(&mut member.preamble);
        if preamble == 0 {
            return Ok(());
        }
        let opened = forward::swallow(client, &mut member.server, preamble).await;
        if opened.is_err() && member.server.is_awaited() {
            // The statement behind it was sent with it: its reply must not be taken for the next one's.
            forward::settle(client, &mut member.server).await?;
        }
        opened
    }

    /// Tells the cancel registry which servers work for this client.
    pub fn show_active(&self) {
        if self.transaction.members.is_empty() {
            return self.cancel.clear();
        }
        let keys: Vec<_> = self.transaction.members.iter().map(|member| member.server.cancel_key()).collect();
        self.cancel.set_active(&keys);
    }

    /// Opens an implicit block unless one is open already; tells whether it did.
    pub fn open_implicit(&mut self) -> bool {
        if self.transaction.is_open() {
            return false;
        }
        self.transaction.open(Block::Implicit, "", false);
        true
    }
}

/// What a statement makes of the shard it is about to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing is written.
    Reader,
    /// Its rows are locked, as those of other shards are by the same statement.
    Locker,
    /// It is written; a target if another shard was written before.
    Writer,
    /// It is written as one of several shards of one statement, all at the same time.
    Part,
    /// It is written as the home of a reference table.
    Authority,
}

fn two_reference_homes() -> Refusal {
    Refusal::unsupported(
        "this transaction has changed a reference table that another shard is home of",
        "Write reference tables of one home in one transaction.",
    )
}

fn snapshot_over_shards() -> Refusal {
    Refusal::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "REPEATABLE READ and SERIALIZABLE transactions are not available over several shards",
    )
    .with_detail("No commit protocol gives one snapshot over several shards.")
    .with_hint("Use READ COMMITTED, or keep the transaction on one shard.")
}
