//! Asking again for ids that could not be had: a segment was empty, or they have run ahead of the clock.

use std::cell::RefCell;

use super::failure::Failure;
use super::link::Link;
use crate::plan::{IdValue, IdsWanted};
use crate::proxy::{IdWait, Proxy, is_waited_for};
use crate::types::Refusal;

/// How many ids are asked for at a time where the clock does not let through all at once.
const PIECE: usize = 1000;

/// What was made of ids that could not be had at once, until the statement is planned again.
#[derive(Debug, Default)]
pub struct Pieces(RefCell<Vec<(IdsWanted, Vec<IdValue>)>>);

impl Pieces {
    fn take(&self, wanted: IdsWanted) -> Option<Vec<IdValue>> {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|(known, _)| *known == wanted)?;
        Some(all.swap_remove(at).1)
    }

    fn keep(&self, wanted: IdsWanted, made: Vec<IdValue>) {
        self.0.borrow_mut().push((wanted, made));
    }

    /// Forgets what another statement wanted.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Link {
    /// Makes ids for a statement; where the clock does not let through all of them, what there is is kept for the next time.
    pub(super) fn make_ids(&self, wanted: IdsWanted) -> Result<Vec<IdValue>, Refusal> {
        let (proxy, rules) = (&self.worker.proxy, &self.snapshot.rules.ids);
        let mut made = match self.pieces.take(wanted) {
            Some(made) => made,
            None => match proxy.make_ids(wanted, rules) {
                Err(refusal) if wanted.count > PIECE && is_waited_for(&refusal) => Vec::new(),
                made => return made,
            },
        };
        while made.len() < wanted.count {
            let count = PIECE.min(wanted.count - made.len());
            match proxy.make_ids(IdsWanted { count, ..wanted }, rules) {
                Ok(more) => made.extend(more),
                Err(refusal) => {
                    self.pieces.keep(wanted, made);
                    return Err(refusal);
                }
            }
        }
        Ok(made)
    }
}

/// Tells whether there will be ids in a while.
pub(super) fn lacks_ids<T>(done: &Result<T, Failure>) -> bool {
    matches!(done, Err(Failure::Refused(refusal)) if is_waited_for(refusal))
}

/// Asks again until there are ids or the time is over.
pub(super) async fn asked_again<T>(proxy: &Proxy, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut wait = IdWait::new(proxy);
    let mut asked = ask();
    while let Err(Failure::Refused(refusal)) = &asked
        && wait.ends(refusal).await
    {
        asked = ask();
    }
    asked
}
