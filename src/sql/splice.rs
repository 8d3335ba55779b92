//! Changes in the client's own text: SQL is never printed from a syntax tree.

use std::ops::Range;

/// Replaces byte ranges of `text`. `edits` may come in any order and must not overlap; an empty range inserts, and
/// several insertions at one place keep their order. Ranges are at token borders, hence at character borders.
pub fn splice(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut order: Vec<usize> = (0..edits.len()).collect();
    order.sort_by_key(|index| (edits[*index].0.start, edits[*index].0.end));
    let grown: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut out = String::with_capacity(text.len() + grown);
    let mut copied = 0;
    for index in order {
        let (range, new) = &edits[index];
        assert!(range.start >= copied && range.end >= range.start, "edits do not overlap");
        out.push_str(&text[copied..range.start]);
        out.push_str(new);
        copied = range.end;
    }
    out.push_str(&text[copied..]);
    out
}
