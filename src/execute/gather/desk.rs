//! A connection of home to work on, and connections of the shards whose rows come there.
//!
//! Outside of a transaction all are taken before any is used, in the order of the shards, as every statement over several
//! shards takes them: nobody holds one and waits for another whose holder waits for the first.

use crate::backend::Server;
use crate::types::ShardSet;

use super::super::failure::Failure;
use super::super::link::{Link, Role};

/// The servers of one statement that runs on home over rows of several shards.
pub(in crate::execute) struct Desk {
    /// Where it runs; in a transaction of its own.
    pub scratch: Server,
    /// The other shards'; in the client's own transaction that has them.
    pub others: Vec<Server>,
}

/// How often a shard is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) enum Reads {
    /// By one statement.
    One,
    /// By several: what one of them leaves out by what it sees of another table, that table's rows must agree with.
    Several,
}

impl Link {
    /// Works on a connection of home that is not the transaction's, in a transaction of its own that begins with `sets`
    /// and is rolled back; `shards` are those that will be read, outside of a transaction each by the view of one moment
    /// if it is read by several statements.
    pub(in crate::execute) async fn on_desk<W>(
        &mut self,
        sets: &str,
        (shards, reads): (ShardSet, Reads),
        work: W,
    ) -> Result<(), Failure>
    where
        W: AsyncFnOnce(&mut Self, &mut Desk) -> Result<(), Failure>,
    {
        let mut desk = self.lay(shards).await?;
        let several = reads == Reads::Several && !self.transaction.is_open();
        let done = match self.open(&mut desk, sets, several).await {
            Ok(()) => work(self, &mut desk).await,
            Err(failure) => Err(failure),
        };
        let in_step = desk.scratch.is_in_step();
        if !in_step || desk.others.iter().any(|server| !server.is_in_step()) {
            self.stop_running().await;
        }
        if in_step {
            // The copies go with the transaction. A connection on which that fails is closed.
            let _ = desk.scratch.simple("ROLLBACK").await;
        }
        for server in desk.others.iter_mut().filter(|server| several && server.is_in_step()) {
            let _ = server.simple("ROLLBACK").await;
        }
        self.clear(desk);
        done
    }

    /// Opens the transactions.
    async fn open(&self, desk: &mut Desk, sets: &str, several: bool) -> Result<(), Failure> {
        desk.scratch.simple(&self.opening(sets, several)).await?;
        for server in desk.others.iter_mut().filter(|_| several) {
            server.simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        }
        Ok(())
    }

    /// Takes the servers.
    async fn lay(&mut self, shards: ShardSet) -> Result<Desk, Failure> {
        let home = self.snapshot.rules.home;
        if self.transaction.is_open() {
            // The scratch comes last, so that nobody waits for a shard while others wait for it.
            self.enlist_all(shards, Role::Reader).await?;
            let scratch = self.borrow_another(home).await?;
            self.cancel.set_active(&[scratch.cancel_key()]);
            return Ok(Desk { scratch, others: Vec::new() });
        }
        let all: ShardSet = shards.iter().chain([home]).collect();
        let mut others = Vec::with_capacity(all.len());
        for shard in all.iter() {
            match self.borrow_beside(&others, shard).await {
                Ok(server) => others.push(server),
                Err(failure) => {
                    others.into_iter().for_each(|server| self.give_back(server));
                    return Err(failure);
                }
            }
        }
        let at = others.iter().position(|server| server.shard() == home).unwrap_or_default();
        let scratch = others.swap_remove(at);
        self.cancel.set_active(&[scratch.cancel_key()]);
        Ok(Desk { scratch, others })
    }

    /// Gives the servers back.
    fn clear(&mut self, desk: Desk) {
        let Desk { scratch, others } = desk;
        if !self.transaction.is_open() {
            for server in others.into_iter().chain([scratch]) {
                self.give_back(server);
            }
            return;
        }
        self.give_back_another(scratch);
    }

    /// What opens the scratch's transaction, with what the client's own has set for itself.
    fn opening(&self, sets: &str, several: bool) -> String {
        let level = if several { "REPEATABLE READ" } else { "READ COMMITTED" };
        let mut opening = format!("BEGIN ISOLATION LEVEL {level} READ WRITE");
        for statement in &self.transaction.local_statements {
            // On a line of its own: the statement may end in a comment.
            opening.push_str("\n;");
            opening.push_str(statement);
        }
        // The client's transaction may be READ ONLY; this one makes a table of its own.
        opening.push_str("\n;SET TRANSACTION READ WRITE");
        opening.push_str(sets);
        if self.transaction.is_open() {
            // A lock of the session's own transaction would be waited for without end: no server sees that deadlock.
            let bound = self.worker.limits().cross_shard_lock_timeout.as_millis();
            opening.push_str(&format!(
                ";SELECT pg_catalog.set_config('lock_timeout', \
                 least(nullif(extract(epoch FROM pg_catalog.current_setting('lock_timeout')::interval) * 1000, 0), {bound})\
                 ::int8::text, true)"
            ));
        }
        opening
    }
}
