//! What a pool hands to one who waits, and the wait itself.

use std::rc::Rc;

use tokio::sync::oneshot;

use super::Server;
use super::pool::Pool;

/// A place in a pool: the right to have one connection. Dropping it gives the place to the next who waits.
#[derive(Debug)]
pub(super) struct Slot {
    pool: Option<Rc<Pool>>,
    epoch: u64,
}

impl Slot {
    /// Makes the token for a place that is already counted as taken.
    pub(super) fn counted(pool: Rc<Pool>) -> Self {
        let epoch = pool.epoch();
        Self { pool: Some(pool), epoch }
    }

    /// Returns the pool.
    pub(super) fn pool(&self) -> Option<&Rc<Pool>> {
        self.pool.as_ref()
    }

    /// Returns the order under which the place was taken; later ones outdate its connection.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Ends the token and leaves the place taken, for a connection that goes idle.
    pub(super) fn keep(mut self) {
        self.pool = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.release(self.epoch);
        }
    }
}

/// What one who waited gets.
#[derive(Debug)]
pub(super) enum Grant {
    /// A connection.
    Server(Server),
    /// The right to open one.
    Slot(Slot),
}

/// A place in the queue; dropping it leaves the queue and passes on what came too late.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) pool: Rc<Pool>,
    pub(super) number: u64,
    pub(super) receiver: oneshot::Receiver<Grant>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        match self.receiver.try_recv() {
            Ok(Grant::Server(server)) => self.pool.give_back(server),
            Ok(Grant::Slot(slot)) => drop(slot),
            Err(_) => self.pool.leave(self.number),
        }
    }
}
