//! Small services on the members of a transaction and on single servers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::backend::{Server, SettingsTag};
use crate::plan::{Redo, Statement, WriteEffect};
use crate::types::ShardId;
use crate::wire::{backend, frontend};

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::forward;
use super::link::Link;

/// How long the client of a change of tables waits for the catalog; longer only delays the refusal of what is new.
const SCHEMA_WAIT_MAX: Duration = Duration::from_secs(10);

impl Link {
    /// Runs a statement without rows on one member; its error is the client's, and what the first member says besides.
    pub async fn member_simple(&mut self, position: usize, sql: &str) -> Result<(), Failure> {
        self.flush_member(position).await?;
        let reply = self.transaction.members[position].server.simple(sql).await?;
        if position == 0 {
            self.pass_said(&reply.asides);
        }
        Ok(())
    }

    /// Returns the client's socket and one member's server, to pass replies between them.
    pub fn client_and_member(&mut self, position: usize) -> (&mut Client, &mut Server) {
        (&mut self.client, &mut self.transaction.members[position].server)
    }

    /// Waits until writes to a shard may go ahead: not while a redo of this proxy's own writes to it is outstanding.
    ///
    /// An unsharded database has no redo; its rules know one shard, whose number means another one in the outbox.
    pub async fn wait_for_gate(&self, shard: ShardId) -> Result<(), Failure> {
        if self.identity.passthrough {
            return Ok(());
        }
        let gate = self.worker.proxy.outbox.gate(shard);
        if gate.is_open() {
            return Ok(());
        }
        Ok(Box::pin(gate.wait_open(self.worker.limits().gate_wait)).await?)
    }

    /// Notes what a statement that ran as the client wrote it means for the commit.
    pub fn note_statement(
        &mut self,
        position: usize,
        call: &Call,
        statement: &Statement,
        effect: &WriteEffect,
        rows: u64,
    ) -> Result<(), Failure> {
        self.note_write(position, effect);
        self.note_rejects(effect);
        // It ran as it is: its now() was the shard's own.
        self.transaction.members[position].never_redo |= matches!(effect.redo, Redo::AfterFreeze);
        self.note_redo(position, call, statement, effect, rows)
    }

    /// Forgets what is known of the members' settings: a SET ran there that may still be rolled back.
    pub fn forget_applied_settings(&mut self) {
        for member in &mut self.transaction.members {
            member.server.settings.fingerprint = SettingsTag::UNKNOWN;
        }
        for server in &mut self.pinned {
            server.settings.fingerprint = SettingsTag::UNKNOWN;
        }
    }

    /// Asks one shard what a statement takes and returns: ParameterDescription, then RowDescription or NoData.
    ///
    /// The last `injected` parameters are the proxy's own and are left out.
    pub async fn describe_on(
        &mut self,
        shard: ShardId,
        sql: &str,
        types: &[u32],
        injected: usize,
    ) -> Result<Bytes, Failure> {
        match self.transaction.position(shard) {
            Some(position) => {
                self.flush_member(position).await?;
                let (client, server) = self.client_and_member(position);
                describe(client, server, sql, types, injected).await
            }
            None => {
                let mut server = self.borrow(shard).await?;
                let described = describe(&mut self.client, &mut server, sql, types, injected).await;
                self.give_back(server);
                described
            }
        }
    }

    /// Lets the catalog be read again, and waits until that is done: the next statement must see the new tables.
    pub async fn schema_changed(&mut self) {
        if self.transaction.is_open() {
            self.schema_dirty = true;
            return;
        }
        self.schema_dirty = false;
        if !self.identity.passthrough {
            let done = self.worker.proxy.requests.refreshed_catalog(SCHEMA_WAIT_MAX).await;
            if !done {
                tracing::warn!("the catalog was not read again in time after a change of tables");
            }
            self.snapshot = self.worker.proxy.rules.load();
        }
    }
}

/// Asks a server what a statement takes and returns.
pub(super) async fn describe(
    client: &mut Client,
    server: &mut Server,
    sql: &str,
    types: &[u32],
    injected: usize,
) -> Result<Bytes, Failure> {
    frontend::write_parse(server.out(), "", sql, types);
    frontend::write_describe(server.out(), frontend::Target::Statement, "");
    frontend::write_sync(server.out());
    server.flush().await?;
    let mut frames = BytesMut::new();
    let mut error = None;
    loop {
        let (kind, frame) = forward::next_frame(client, server).await?;
        match kind {
            b't' => {
                let mut types = backend::parameter_description(&frame[5..]).unwrap_or_default();
                types.truncate(types.len().saturating_sub(injected));
                backend::write_parameter_description(&mut frames, &types);
            }
            b'T' | b'n' => frames.extend_from_slice(&frame),
            b'E' => error = error.or(Some(frame)),
            b'Z' => {
                forward::note_ready(server, &frame)?;
                return match error {
                    Some(frame) => Err(Failure::Shard { frame }),
                    None => Ok(frames.freeze()),
                };
            }
            _ => {}
        }
    }
}
