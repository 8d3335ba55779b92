//! Ids for the client path, and the coarse time that counts as now.

use super::Proxy;
use crate::types::Refusal;

/// The tag code of transaction ids; the rules' tags start at 1.
const TRANSACTION_TAG: u16 = 0;

impl Proxy {
    /// Makes a transaction's id.
    pub fn next_txid(&self) -> Result<i64, Refusal> {
        self.ids.next(TRANSACTION_TAG).map_err(|error| error.refusal())
    }

    /// Makes one id of the tag with this code.
    pub fn next_id(&self, tag_code: u16) -> Result<i64, Refusal> {
        let id = self.ids.next(tag_code).map_err(|error| error.refusal())?;
        self.metrics.ids_issued(1);
        Ok(id)
    }

    /// Makes `count` ids of the tag with this code, ascending.
    pub fn make_ids(&self, tag_code: u16, count: usize) -> Result<Vec<i64>, Refusal> {
        let mut ids = Vec::with_capacity(count);
        self.ids.next_many(tag_code, count, &mut ids).map_err(|error| error.refusal())?;
        self.metrics.ids_issued(count as u64);
        Ok(ids)
    }

    /// Returns wall time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }
}
