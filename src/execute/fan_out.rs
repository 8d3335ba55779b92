//! One statement on several shards at once: who runs it, what they say beside their answers, and how all come to rest.
//!
//! What becomes of the answers is the caller's: rows are merged ([`super::scatter`]) or passed on
//! ([`super::copy_out`]).

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::backend::Server;
use crate::plan::Statement;
use crate::types::{ShardId, ShardSet};

use super::call::Call;
use super::client::Client;
use super::failure::Failure;
use super::forward;
use super::link::{Link, Role};
use super::worker::Worker;

/// How long the other shards have to end by themselves when one has failed, before they are cancelled.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// What several shards run, each the same text.
pub(super) struct Task<'a> {
    pub call: &'a Call,
    pub statement: &'a Statement,
    pub shards: ShardSet,
    /// What they are to an open transaction.
    pub role: Role,
}

/// One shard's answer.
pub(super) struct Stream<'a> {
    server: &'a mut Server,
    /// Whether its command tag has come.
    ended: bool,
    /// Whether its ReadyForQuery has come.
    ready: bool,
}

/// By whom the others are stopped when one shard fails.
struct Canceller {
    worker: Rc<Worker>,
    /// The process number of the session's own cancel key.
    process: i32,
}

impl Link {
    /// Starts the task everywhere and leaves the answers, in the order of the shards, to `work`; the first error stops
    /// all. Returns the rows that `work` has counted, when every server is at rest.
    pub(super) async fn fan_out<W>(&mut self, task: Task<'_>, work: W) -> Result<u64, Failure>
    where
        W: AsyncFnOnce(&mut Client, &mut [Stream<'_>]) -> Result<u64, Failure>,
    {
        let canceller = Canceller { worker: Rc::clone(&self.worker), process: self.cancel.process() };
        if self.transaction.is_open() {
            return self.fan_out_in_transaction(&task, &canceller, work).await;
        }
        let mut servers = Vec::with_capacity(task.shards.len());
        for shard in task.shards.iter() {
            match self.borrow_beside(&servers, shard).await {
                Ok(server) => servers.push(server),
                Err(failure) => {
                    servers.into_iter().for_each(|server| self.give_back(server));
                    return Err(failure);
                }
            }
        }
        let keys: Vec<_> = servers.iter().map(|server| server.cancel_key()).collect();
        self.cancel.set_active(&keys);
        let done = run(&mut self.client, servers.iter_mut().collect(), &task, &canceller, work).await;
        if servers.iter().any(|server| !server.is_in_step()) {
            self.stop_running().await;
        }
        for server in servers {
            self.give_back(server);
        }
        done
    }

    /// Does the same over servers that were taken before; in an open transaction, over its own.
    pub(super) async fn fan_out_lent<W>(&mut self, lent: &mut [Server], task: Task<'_>, work: W) -> Result<u64, Failure>
    where
        W: AsyncFnOnce(&mut Client, &mut [Stream<'_>]) -> Result<u64, Failure>,
    {
        if self.transaction.is_open() {
            return self.fan_out(task, work).await;
        }
        let canceller = Canceller { worker: Rc::clone(&self.worker), process: self.cancel.process() };
        let servers: Vec<_> = lent.iter_mut().filter(|server| task.shards.contains(server.shard())).collect();
        let keys: Vec<_> = servers.iter().map(|server| server.cancel_key()).collect();
        self.cancel.set_active(&keys);
        run(&mut self.client, servers, &task, &canceller, work).await
    }

    /// Takes all shards into the open transaction, and reads what they still have to answer.
    pub(super) async fn enlist_all(&mut self, shards: ShardSet, role: Role) -> Result<(), Failure> {
        let mut positions = Vec::with_capacity(shards.len());
        for shard in shards.iter() {
            positions.push(self.enlist(shard, role).await?);
        }
        for position in positions {
            self.flush_member(position).await?;
        }
        Ok(())
    }

    async fn fan_out_in_transaction<W>(
        &mut self,
        task: &Task<'_>,
        canceller: &Canceller,
        work: W,
    ) -> Result<u64, Failure>
    where
        W: AsyncFnOnce(&mut Client, &mut [Stream<'_>]) -> Result<u64, Failure>,
    {
        self.enlist_all(task.shards, task.role).await?;
        self.show_active();
        let order: Vec<ShardId> = task.shards.iter().collect();
        let members = self.transaction.members.iter_mut().map(|member| &mut member.server);
        let mut servers: Vec<_> = members.filter(|server| task.shards.contains(server.shard())).collect();
        servers.sort_by_key(|server| order.iter().position(|shard| *shard == server.shard()));
        run(&mut self.client, servers, task, canceller, work).await
    }
}

async fn run<W>(
    client: &mut Client,
    servers: Vec<&mut Server>,
    task: &Task<'_>,
    canceller: &Canceller,
    work: W,
) -> Result<u64, Failure>
where
    W: AsyncFnOnce(&mut Client, &mut [Stream<'_>]) -> Result<u64, Failure>,
{
    let mut streams: Vec<Stream<'_>> =
        servers.into_iter().map(|server| Stream { server, ended: false, ready: false }).collect();
    for stream in &mut streams {
        task.call.write(stream.server.out(), task.statement);
        stream.server.flush().await?;
    }
    let done = work(client, &mut streams).await;
    if matches!(done, Err(Failure::Client(_) | Failure::Server(_))) {
        return done;
    }
    if done.is_err() && streams.iter().any(|stream| !stream.ended && !stream.ready) {
        // A statement that is wrong fails everywhere at once. Who is cancelled nevertheless loses the connection: the
        // cancel may come late.
        match timeout(LAST_WORDS, drain(client, &mut streams)).await {
            Ok(drained) => return drained.and(done),
            Err(_) => _ = canceller.worker.proxy.cancels.cancel_process(canceller.process).await,
        }
    }
    drain(client, &mut streams).await?;
    done
}

/// Brings all servers to rest. Cancel-safe.
async fn drain(client: &mut Client, streams: &mut [Stream<'_>]) -> Result<(), Failure> {
    for stream in streams {
        stream.drain(client).await?;
    }
    Ok(())
}

impl Stream<'_> {
    /// Returns the next message of the answer, the last is ReadyForQuery; what else a server says goes to the client.
    pub async fn next(&mut self, client: &mut Client) -> Result<(u8, Bytes), Failure> {
        loop {
            let (kind, frame) = forward::next_frame(client, self.server).await?;
            match kind {
                b'E' => return Err(Failure::Shard { frame }),
                b'N' | b'S' | b'A' => {
                    forward::note_parameter(self.server, &frame);
                    client.output().extend_from_slice(&frame);
                }
                b'Z' => {
                    self.ready = true;
                    forward::note_ready(self.server, &frame)?;
                    return Ok((kind, frame));
                }
                _ => {
                    self.ended |= kind == b'C';
                    return Ok((kind, frame));
                }
            }
        }
    }

    /// Tells whether the command tag has come: no more rows follow.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Brings the server to rest: what it still sends is read and dropped.
    async fn drain(&mut self, client: &mut Client) -> Result<(), Failure> {
        while !self.ready {
            let (kind, frame) = forward::next_frame(client, self.server).await?;
            if kind == b'Z' {
                self.ready = true;
                forward::note_ready(self.server, &frame)?;
            }
        }
        Ok(())
    }
}
