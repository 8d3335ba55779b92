//! Keys of COPY rows that are to be looked up: of all rows at hand at once, as each by itself would wait for home.

use std::collections::HashSet;

use crate::rules::Algorithm;
use crate::types::KeyValue;
use crate::wire::copy_binary::{self, Next};
use crate::wire::copy_text;

use super::copy_rows::{Split, key_of_line, key_of_row};
use super::failure::Failure;
use super::link::Link;

impl Link {
    /// Looks up the keys of the whole rows at the front of `pending` that nobody knows, where the rules say to.
    ///
    /// What is wrong with a row is told when its turn comes: rows are read up to there.
    pub(super) async fn look_ahead(&self, split: &Split<'_>, pending: &[u8]) -> Result<(), Failure> {
        let (rules, group) = (&self.snapshot.rules, split.plan.group);
        if !matches!(rules.group(group).algorithm, Algorithm::Lookup(_)) {
            return Ok(());
        }
        let keys = if split.plan.binary { keys_of_rows(split, pending) } else { keys_of_lines(split, pending) };
        let unknown: Vec<KeyValue> = keys.into_iter().filter(|key| rules.bucket_of(group, key).is_none()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        self.look_up(group, unknown).await.map(drop)
    }
}

fn keys_of_lines(split: &Split<'_>, mut pending: &[u8]) -> HashSet<KeyValue> {
    let mut keys = HashSet::new();
    let mut csv = split.csv.clone();
    let mut is_header = split.plan.header && split.header.is_none();
    loop {
        let length = match &mut csv {
            Some(rows) => rows.next(pending, split.done).unwrap_or_default(),
            None => copy_text::next_row(pending),
        };
        let Some((line, rest)) = length.and_then(|length| pending.split_at_checked(length)) else { return keys };
        pending = rest;
        if std::mem::take(&mut is_header) {
            continue;
        }
        if split.is_end_of_data(line) {
            return keys;
        }
        match key_of_line(split.plan, line) {
            Ok(key) => keys.extend(key),
            Err(_) => return keys,
        }
    }
}

/// Behind the header.
fn keys_of_rows(split: &Split<'_>, mut pending: &[u8]) -> HashSet<KeyValue> {
    let mut keys = HashSet::new();
    while let Ok(Next::Row(length)) = copy_binary::next(pending, split.columns)
        && let Some((row, rest)) = pending.split_at_checked(length)
        && let Ok(key) = key_of_row(split.plan, row)
    {
        keys.extend(key);
        pending = rest;
    }
    keys
}
