//! Asking again for ids that could not be had: a segment was empty, or they have run ahead of the clock.

use std::cell::{Cell, RefCell};

use super::failure::Failure;
use super::link::Link;
use crate::plan::{IdValue, IdsWanted};
use crate::proxy::{IdWait, is_waited_for};
use crate::types::Refusal;

/// How many ids are asked for at a time where the clock does not let through all at once.
const PIECE: usize = 1000;

/// The ids of a statement that could not have all of them at once, in the order in which planning asks for them. Empty but while
/// it waits.
#[derive(Debug, Default)]
pub struct Pieces {
    lots: RefCell<Vec<Lot>>,
    /// How many lots were asked for since planning began.
    asked: Cell<usize>,
}

#[derive(Debug, Default)]
struct Lot {
    /// What was asked for; `None` for what was had at once when something behind it had to wait.
    wanted: Option<IdsWanted>,
    made: Vec<IdValue>,
}

impl Pieces {
    /// Planning begins anew.
    pub(super) fn rewind(&self) {
        self.asked.set(0);
    }

    /// Forgets what another statement wanted.
    pub(super) fn clear(&self) {
        self.lots.borrow_mut().clear();
        self.rewind();
    }

    /// Returns what the lot at hand has already; `None` where nothing waits.
    fn next(&self, wanted: IdsWanted) -> Option<Vec<IdValue>> {
        let mut lots = self.lots.borrow_mut();
        let at = self.asked.replace(self.asked.get() + 1);
        if lots.is_empty() {
            return None;
        }
        // Another order than before: those lots are nobody's.
        if lots.get(at).and_then(|lot| lot.wanted).is_some_and(|known| known != wanted) {
            lots.truncate(at);
        }
        Some(lots.get_mut(at).map(|lot| std::mem::take(&mut lot.made)).unwrap_or_default())
    }

    /// Keeps what was made for the lot at hand.
    fn keep(&self, wanted: IdsWanted, made: Vec<IdValue>) {
        let mut lots = self.lots.borrow_mut();
        let at = self.asked.get().saturating_sub(1);
        if lots.len() <= at {
            lots.resize_with(at + 1, Lot::default);
        }
        lots[at] = Lot { wanted: Some(wanted), made };
    }
}

impl Link {
    /// Makes ids for a statement; where there are not all of them, what there is is kept for the next time.
    pub(super) fn make_ids(&self, wanted: IdsWanted) -> Result<Vec<IdValue>, Refusal> {
        let (proxy, rules) = (&self.worker.proxy, &self.snapshot.rules.ids);
        let mut made = match self.pieces.next(wanted) {
            Some(made) => made,
            None => match proxy.make_ids(wanted, rules) {
                Err(refusal) if is_waited_for(&refusal) => Vec::new(),
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
        self.pieces.keep(wanted, made.clone());
        Ok(made)
    }
}

/// Tells whether there will be ids in a while.
pub(super) fn lacks_ids<T>(done: &Result<T, Failure>) -> bool {
    matches!(done, Err(Failure::Refused(refusal)) if is_waited_for(refusal))
}

/// Asks again until there are ids or the time is over.
pub(super) async fn asked_again<T>(link: &Link, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut wait = IdWait::new(&link.worker.proxy, Some(&link.cancel));
    let mut asked = ask();
    while let Err(Failure::Refused(refusal)) = &asked
        && wait.ends(refusal).await?
    {
        asked = ask();
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{IdSource, standard_layout};

    fn wanted(tag_code: u16, count: usize) -> IdsWanted {
        IdsWanted { source: IdSource::Snowflake { layout: standard_layout(), tag_code }, bucket: None, count }
    }

    #[test]
    fn lots_go_on_where_they_were() {
        let pieces = Pieces::default();
        let ids = |count: i64| (0..count).map(IdValue::Bigint).collect::<Vec<_>>();
        assert_eq!(pieces.next(wanted(1, 5)), None, "nothing waits");
        assert_eq!(pieces.next(wanted(2, 9)), None);
        pieces.keep(wanted(2, 9), ids(4));
        pieces.rewind();
        assert_eq!(pieces.next(wanted(1, 5)), Some(Vec::new()), "it was had at once, and is made anew");
        pieces.keep(wanted(1, 5), ids(5));
        assert_eq!(pieces.next(wanted(2, 9)), Some(ids(4)));
        pieces.keep(wanted(2, 9), ids(7));
        pieces.rewind();
        assert_eq!((pieces.next(wanted(1, 5)), pieces.next(wanted(2, 9))), (Some(ids(5)), Some(ids(7))));
        pieces.keep(wanted(2, 9), ids(8));
        pieces.rewind();
        assert_eq!(pieces.next(wanted(3, 5)), Some(Vec::new()), "another order");
        pieces.keep(wanted(3, 5), ids(5));
        assert_eq!(pieces.next(wanted(2, 9)), Some(Vec::new()));
        pieces.clear();
        assert_eq!(pieces.next(wanted(1, 5)), None);
    }
}
