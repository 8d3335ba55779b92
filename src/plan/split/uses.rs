//! Which slots of a split table a statement needs: those that its conditions leave, over all uses of the table.

use std::collections::BTreeSet;

use super::places::Named;
use crate::plan::colocate::SlotUse;
use crate::plan::context::Values;
use crate::plan::key::each_value;
use crate::rules::Split;

/// Returns the slots of `table` that can have rows that matter, ascending, at least one.
pub(super) fn slots(table: &Named, uses: &[SlotUse], values: &Values<'_>) -> Vec<usize> {
    let mut needed = BTreeSet::new();
    let mut any = false;
    for slot_use in uses.iter().filter(|slot_use| slot_use.table == table.key) {
        any = true;
        match of_use(slot_use, &table.split, values) {
            Some(slots) => needed.extend(slots),
            None => return all(&table.split),
        }
    }
    match (any, needed.is_empty()) {
        (false, _) => all(&table.split),
        // No row can match: any table says so.
        (true, true) => vec![0],
        (true, false) => needed.into_iter().collect(),
    }
}

/// Returns the slots of one use; `None` if nothing binds its column.
fn of_use(slot_use: &SlotUse, split: &Split, values: &Values<'_>) -> Option<BTreeSet<usize>> {
    let mut found: Option<BTreeSet<usize>> = None;
    for binding in &slot_use.bindings {
        let mut set = BTreeSet::new();
        let mut add = |value| {
            set.insert(split.slot(&value));
        };
        if binding.slots.iter().all(|slot| each_value(slot, split.by_type, values, &mut add)) {
            found = Some(found.map_or_else(|| set.clone(), |before| before.intersection(&set).copied().collect()));
        }
    }
    found
}

/// Returns all slots.
pub(super) fn all(split: &Split) -> Vec<usize> {
    (0..split.names.len()).collect()
}
