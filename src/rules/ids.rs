//! The Ids document: tags and layouts, and the id columns of tables that use them.

use std::collections::{BTreeMap, HashMap};

use super::formats::epoch_ms;
use super::{IdLayout, IdRule, IdRules, names};
use crate::yaml::{Findings, Node};

/// The layout that is there without being declared.
pub const STANDARD: &str = "standard";

/// The most bits of an id: a bigint without its sign.
const ID_BITS_MAX: u64 = 63;

/// 2026-01-01T00:00:00Z, the epoch of the undeclared `standard` layout.
const STANDARD_EPOCH_MS: i64 = 1_767_225_600_000;

/// Returns the `standard` layout as it is without a declaration: time 41, tag 6, worker 7, sequence 9.
pub fn standard_layout() -> IdLayout {
    IdLayout { epoch_ms: STANDARD_EPOCH_MS, time_bits: 41, tag_bits: 6, worker_bits: 7, sequence_bits: 9 }
}

/// Reads the Ids document, if there is one, whose shape was checked.
pub fn read(document: Option<&Node>, findings: &mut Findings) -> IdRules {
    let mut rules =
        IdRules { tags: BTreeMap::new(), layouts: BTreeMap::from([(STANDARD.to_owned(), standard_layout())]) };
    let Some(document) = document else { return rules };
    if let Some(layouts) = document.get("layouts") {
        for entry in layouts.entries() {
            // A broken layout keeps its name, so that its users are not reported as well.
            let layout =
                layout(&entry.node, findings).unwrap_or_else(|| IdLayout { tag_bits: 16, ..standard_layout() });
            rules.layouts.insert(entry.key.clone(), layout);
        }
    }
    if let Some(tags) = document.get("tags") {
        read_tags(tags, &mut rules, findings);
    }
    rules
}

fn layout(node: &Node, findings: &mut Findings) -> Option<IdLayout> {
    let bits = node.get("bits")?;
    let width = |key: &str| bits.get(key).and_then(Node::integer);
    if width("tag").is_none() && bits.get("bucket").is_none() {
        findings.report(&bits.place, "a layout's bits needs the key \"tag\"");
    }
    let widths = [width("time")?, width("tag")?, width("worker")?, width("sequence")?];
    let sum = widths.iter().fold(0, |sum: u64, bits| sum.saturating_add(*bits));
    if sum > ID_BITS_MAX {
        findings.report(&bits.place, format!("the bits sum to {sum}, an id has at most {ID_BITS_MAX}"));
    }
    let [time_bits, tag_bits, worker_bits, sequence_bits] = widths.map(|bits| bits.min(ID_BITS_MAX) as u8);
    let epoch_ms = epoch_ms(node.get("epoch")?.text()?)?;
    Some(IdLayout { epoch_ms, time_bits, tag_bits, worker_bits, sequence_bits })
}

/// Reads the tags; each code belongs to one tag and fits the `standard` layout, which `next_id` uses.
fn read_tags(tags: &Node, rules: &mut IdRules, findings: &mut Findings) {
    let mut owners = HashMap::new();
    let standard = rules.layouts[STANDARD].clone();
    for entry in tags.entries() {
        let Some(code) = entry.node.integer().and_then(|code| u16::try_from(code).ok()) else {
            // Reported by the shape; the name stays known.
            rules.tags.insert(entry.key.clone(), 0);
            continue;
        };
        if let Some(other) = owners.insert(code, &entry.key) {
            findings.report(&entry.node.place, format!("code {code} belongs to the tag {other:?} already"));
        }
        if !fits(code, &standard) {
            findings.report(&entry.node.place, misfit(&entry.key, code, STANDARD, &standard));
        }
        rules.tags.insert(entry.key.clone(), code);
    }
}

/// Reads the id column of a table.
pub fn read_column(node: &Node, rules: &IdRules, findings: &mut Findings) -> Option<IdRule> {
    let column = node.get("column").and_then(|column| match names::column(column.name()?) {
        Ok(name) => Some(name),
        Err(message) => {
            findings.report(&column.place, message);
            None
        }
    });
    let layout = match node.get("layout") {
        Some(name) => known(name, "layout", &rules.layouts, findings),
        None => rules.layouts.get_key_value(STANDARD),
    };
    let tag = node.get("tag").and_then(|name| known(name, "tag", &rules.tags, findings));
    let ((layout_name, layout), (tag, code)) = (layout?, tag?);
    if layout_name != STANDARD && !fits(*code, layout) {
        findings.report(&node.place, misfit(tag, *code, layout_name, layout));
    }
    Some(IdRule { column: column?, layout: layout_name.clone(), tag: tag.clone(), tag_code: *code })
}

fn known<'a, T>(
    node: &Node,
    what: &str,
    map: &'a BTreeMap<String, T>,
    findings: &mut Findings,
) -> Option<(&'a String, &'a T)> {
    let name = node.text()?;
    let found = map.get_key_value(name);
    if found.is_none() {
        let message = format!("no {what} is named {name:?} in the Ids file");
        findings.report_word(&node.place, message, name, map.keys().map(String::as_str));
    }
    found
}

fn fits(code: u16, layout: &IdLayout) -> bool {
    u64::from(code) < 1 << layout.tag_bits.min(16)
}

fn misfit(tag: &str, code: u16, name: &str, layout: &IdLayout) -> String {
    let bits = layout.tag_bits;
    format!("code {code} of the tag {tag:?} does not fit the {bits} tag bits of the layout {name:?}")
}
