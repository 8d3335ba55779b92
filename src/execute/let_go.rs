//! What a failed transaction holds on shards that did not fail: its locks. PostgreSQL lets go of them at the error, not when
//! the client gets to its ROLLBACK.

use futures_util::future::join_all;

use crate::types::TransactionStatus;

use super::link::Link;

impl Link {
    /// Takes back on every shard what was done since the last savepoint, or at all; the block stays open and failed.
    pub async fn let_go(&mut self) {
        if !self.transaction.is_failed() || self.transaction.has_let_go {
            return;
        }
        self.transaction.has_let_go = true;
        let sql = match self.transaction.savepoints.last() {
            Some(savepoint) => format!("ROLLBACK TO SAVEPOINT {}", savepoint.name),
            None => "ROLLBACK AND CHAIN".to_owned(),
        };
        let most = self.worker.limits().commit_timeout;
        let holds = self.transaction.members.iter_mut().filter(|member| {
            let server = &member.server;
            member.preamble == 0 && server.is_in_step() && server.status() == TransactionStatus::Open
        });
        // A server that is lost holds nothing; ROLLBACK will find it so.
        join_all(holds.map(|member| member.server.simple_within(&sql, most))).await;
    }
}
