//! Servers that a session keeps because it left something on them: which, for how long, and what they say meanwhile.
//!
//! What a statement leaves is guessed from its words (`pins`); when a transaction is over, the server is asked whether
//! it is really there, so that a connection goes back to its pool as soon as it is clean.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};

use crate::backend::{BackendError, Server, SettingsTag};
use crate::config::PoolMode;
use crate::plan::{Direct, Plan, Statement};
use crate::proxy::Pinned;
use crate::types::{Refusal, ShardSet, SqlState};
use crate::wire::backend;
use crate::wire::frame::{self, LARGE_BOUND};

use super::call::Call;
use super::client::{Client, ClientError};
use super::failure::Failure;
use super::forward::{self, Passing, Tag};
use super::link::Link;
use super::settings::Settings;

/// What a session keeps, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keeping {
    /// The shards whose servers are kept; empty while something is kept means all.
    pub shards: ShardSet,
    /// The shards whose servers have been kept at least once.
    held: ShardSet,
    /// Something was left that no server can be asked about: it stays until DISCARD ALL.
    lasting: Option<Pinned>,
    /// Something came or may have gone since the servers were last asked.
    doubt: bool,
    /// Texts may mean something else to this session than to others, by temporary tables or settings that nobody knows.
    pub own_meanings: bool,
}

/// Asks what a session has left on its server; whatever is in its temporary schema depends on that. Names are qualified: the session's search_path is its own.
const REMAINS: &str = "SELECT CASE \
     WHEN EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refobjid = pg_catalog.pg_my_temp_schema() \
       AND refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass) THEN 1 \
     WHEN EXISTS (SELECT FROM pg_catalog.pg_listening_channels()) THEN 2 \
     WHEN EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' \
       AND pid = pg_catalog.pg_backend_pid()) THEN 3 \
     WHEN EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable) THEN 4 \
     WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql) THEN 5 ELSE 0 END";

impl Keeping {
    /// Tells whether the server of a shard is kept, given that something is.
    fn keeps(&self, server: &Server) -> bool {
        self.shards.is_empty() || self.shards.contains(server.shard())
    }

    /// Tells whether a server is kept, or will be, because the session asks which numbers it drew.
    pub(super) fn is_for_sequences(&self) -> bool {
        self.lasting == Some(Pinned::Sequence)
    }

    /// Says that something may have gone.
    pub fn doubt(&mut self) {
        self.doubt = true;
    }
}

impl Link {
    /// Keeps the servers of `shards` from now on, because of `cause`.
    pub fn keep_servers(&mut self, cause: Pinned, shards: ShardSet) {
        match cause {
            Pinned::No => return,
            Pinned::Setting | Pinned::Library => {
                self.keeping.lasting = Some(cause);
                self.keeping.own_meanings = true;
            }
            Pinned::Sequence => self.keeping.lasting = Some(cause),
            Pinned::TemporaryTable => self.keeping.own_meanings = true,
            Pinned::Listen
            | Pinned::AdvisoryLock
            | Pinned::HeldCursor
            | Pinned::PreparedStatement
            | Pinned::Session => {}
        }
        if self.pin == Pinned::No {
            self.keeping.shards = shards;
        } else if !self.keeping.shards.is_empty() {
            self.keeping.shards = self.keeping.shards.union(&shards);
        }
        self.pin = cause;
        self.keeping.doubt = true;
    }

    /// Takes a server that is kept, after its reply was read; `false`: it is not to be kept.
    pub(super) fn keep(&mut self, server: Server) -> Option<Server> {
        if !self.keeping.keeps(&server) {
            return Some(server);
        }
        let mut server = server;
        let shard = server.shard();
        let said = self.pass_asides(&mut server);
        if said.is_ok() && server.is_in_step() && server.out().is_empty() {
            // A late cancel request can hit nobody but this session, so the connection may stay.
            self.keeping.held.insert(shard);
            self.pinned.push(server);
        }
        None
    }

    /// Tells whether servers have to be asked what is left, or one is missing.
    pub fn has_doubts(&self) -> bool {
        self.pin != Pinned::No && (self.keeping.doubt || self.has_lost())
    }

    /// A server that had something of the session is gone, and what it had with it.
    fn has_lost(&self) -> bool {
        self.keeping.held.iter().any(|shard| !self.pinned.iter().any(|server| server.shard() == shard))
    }

    /// Asks every kept server what is still there, outside of transactions; those that are clean go back.
    ///
    /// Fails if one is gone: the session cannot go on without what it had there, as with a PostgreSQL that died.
    pub async fn settle_keeping(&mut self) -> Result<(), ClientError> {
        if self.has_lost() {
            return self.part_from_lost().await;
        }
        self.keeping.doubt = false;
        let base = self.base_pin();
        let mut found = base;
        let mut kept = ShardSet::new();
        let mut has_tables = false;
        for mut server in std::mem::take(&mut self.pinned) {
            let Ok(left) = remains(&mut server).await else { return self.part_from_lost().await };
            has_tables |= left == Pinned::TemporaryTable;
            if left == Pinned::No && self.keeping.lasting.is_none() && base == Pinned::No {
                if server.is_usable() {
                    self.worker.pools.checkin(server);
                }
                continue;
            }
            if left != Pinned::No {
                found = left;
            }
            kept.insert(server.shard());
            self.pinned.push(server);
        }
        self.pin = self.keeping.lasting.unwrap_or(found);
        self.keeping.own_meanings &= has_tables || self.keeping.lasting.is_some();
        self.keeping.held = kept;
        if self.keeping.lasting.is_none() && base == Pinned::No {
            self.keeping.shards = kept;
        }
        Ok(())
    }

    /// Runs DISCARD ALL on home, which says to the client what changes; kept servers, discarded already, are clean.
    pub async fn discard_all(&mut self, call: &Call) -> Result<(), Failure> {
        let mut server = self.borrow(self.snapshot.rules.home).await?;
        server.settings.fingerprint = SettingsTag::UNKNOWN;
        server.statements.clear();
        call.write(server.out(), &Statement::Original);
        server.flush().await?;
        let reply = forward::reply(&mut self.client, &mut server, Passing::of(call), Tag::Pass).await?;
        let failed = reply.failed;
        self.give_back(server);
        if failed {
            return Err(Failure::Told);
        }
        self.settings.clear();
        self.pin = self.base_pin();
        self.keeping = Keeping::default();
        for mut server in std::mem::take(&mut self.pinned) {
            server.statements.clear();
            server.settings.fingerprint = SettingsTag::UNKNOWN;
            self.give_back(server);
        }
        self.tell_defaults().await
    }

    /// Tells the client the values of its start that RESET and DISCARD go back to: the server has others of its own.
    pub async fn tell_defaults(&mut self) -> Result<(), Failure> {
        if !self.settings.has_defaults() {
            return Ok(());
        }
        let Self { client, transaction, settings, .. } = self;
        if let Some(member) = transaction.members.first() {
            tell(client, settings, &member.server);
            return Ok(());
        }
        let server = self.borrow(self.snapshot.rules.home).await?;
        tell(&mut self.client, &self.settings, &server);
        self.give_back(server);
        Ok(())
    }

    /// Closes the WITH HOLD cursors on kept servers.
    pub async fn close_held(&mut self) -> Result<(), Failure> {
        self.keeping.doubt = true;
        for server in &mut self.pinned {
            server.simple("CLOSE ALL").await?;
        }
        Ok(())
    }

    async fn part_from_lost(&mut self) -> Result<(), ClientError> {
        let refusal = Refusal::new(
            SqlState::CONNECTION_FAILURE,
            "terminating connection because a server connection that had something of this session is gone",
        )
        .with_hint("It had what the session left there: a temporary table, LISTEN, a lock, a cursor.");
        backend::write_error(self.client.output(), "FATAL", &refusal);
        self.client.flush().await?;
        Err(ClientError::Gone)
    }

    /// Returns the client's next message; what kept servers say meanwhile passes at once. Cancel-safe.
    pub async fn frame_while_keeping(&mut self) -> Result<(u8, Bytes), ClientError> {
        loop {
            let Self { client, pinned, .. } = self;
            let spoke = tokio::select! {
                biased;
                frame = client.frame() => return frame,
                spoke = somebody_speaks(pinned) => spoke,
            };
            let mut server = self.pinned.swap_remove(spoke.0);
            let said = match spoke.1 {
                Ok(()) => self.pass_asides(&mut server),
                Err(error) => Err(error),
            };
            if said.is_err() {
                return self.part_from_lost().await.and(Err(ClientError::Gone));
            }
            self.pinned.push(server);
        }
    }

    /// Passes what a server says unasked: notices, notifications, parameters.
    fn pass_asides(&mut self, server: &mut Server) -> Result<(), BackendError> {
        loop {
            let header = match frame::header(server.input(), LARGE_BOUND) {
                Ok(Some(header)) if header.length <= server.input().len() => header,
                Ok(_) => return Ok(()),
                Err(error) => return Err(broken(server, error)),
            };
            let whole = server.input().split_to(header.length);
            match header.kind {
                b'A' => {
                    let named = self.named_sender(server, &whole);
                    self.client.output().extend_from_slice(named.as_deref().unwrap_or(&whole));
                }
                b'N' | b'S' => self.client.output().extend_from_slice(&whole),
                _ => return Err(broken(server, "it ended the session")),
            }
        }
    }

    /// Returns a notification of `server`, which the session has, with its sender's number as clients know it; `None`
    /// where it passes as it is.
    pub fn named_sender(&self, server: &Server, frame: &[u8]) -> Option<Vec<u8>> {
        server.named_sender(frame, self.cancel.process(), self.mode == PoolMode::Session)
    }

    /// Passes what a server said besides its answer to a control statement.
    pub(super) fn pass_said(&mut self, asides: &BytesMut) {
        self.client.output().extend_from_slice(asides.chunk());
    }
}

/// Returns the plan that does not go to just any shard, if this one may.
pub(super) fn at_home(plan: &Plan) -> Option<Plan> {
    match plan {
        Plan::Direct(direct) if direct.anywhere => Some(Plan::Direct(Direct { anywhere: false, ..direct.clone() })),
        Plan::Direct(_)
        | Plan::Scatter(_)
        | Plan::Gather(_)
        | Plan::MultiWrite(_)
        | Plan::Carry(_)
        | Plan::Copy(_)
        | Plan::CopyOut(_)
        | Plan::Everywhere { .. } => None,
    }
}

/// Returns the shards on which a plan leaves what its statement leaves.
pub(super) fn shards_of(plan: &Plan) -> ShardSet {
    match plan {
        Plan::Direct(direct) => [direct.shard].into_iter().collect(),
        Plan::Scatter(scatter) => scatter.shards,
        Plan::Gather(gather) => [gather.home].into_iter().collect(),
        Plan::MultiWrite(write) => write.parts.iter().map(|part| part.shard).collect(),
        Plan::CopyOut(copy) => copy.shards,
        Plan::Everywhere { shards, .. } => *shards,
        // Its shards are known line by line; empty means all.
        Plan::Copy(_) | Plan::Carry(_) => ShardSet::new(),
    }
}

/// Says the parameters of the session's start as the server has them.
fn tell(client: &mut Client, settings: &Settings, server: &Server) {
    for (name, value) in server.parameters().iter().filter(|(name, _)| settings.is_default(name)) {
        backend::write_parameter_status(client.output(), name, value);
    }
}

fn broken(server: &mut Server, cause: impl ToString) -> BackendError {
    server.mark_broken();
    BackendError::Protocol { shard: server.target().shard_name.clone(), cause: cause.to_string() }
}

/// Waits until one of the servers has sent something, or its end; returns its position.
async fn somebody_speaks(servers: &mut [Server]) -> (usize, Result<(), BackendError>) {
    poll_fn(|context| {
        for (position, server) in servers.iter_mut().enumerate() {
            if let Poll::Ready(done) = server.poll_fill(context) {
                return Poll::Ready((position, done.map(|_| ())));
            }
        }
        Poll::Pending
    })
    .await
}

async fn remains(server: &mut Server) -> Result<Pinned, BackendError> {
    let reply = server.simple(REMAINS).await?;
    let value = reply.rows.first().and_then(|row| row.first().cloned().flatten());
    Ok(match value.as_deref() {
        Some(b"1") => Pinned::TemporaryTable,
        Some(b"2") => Pinned::Listen,
        Some(b"3") => Pinned::AdvisoryLock,
        Some(b"4") => Pinned::HeldCursor,
        Some(b"5") => Pinned::PreparedStatement,
        Some(_) | None => Pinned::No,
    })
}
